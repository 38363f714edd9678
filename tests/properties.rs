//! Properties of what decides: admission, policy, filters, words, quoting. `PROPTEST_CASES` says how many
//! cases each gets (2,000 by itself, `.cargo/config.toml`).

#![cfg(test)]

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use vmdeck::domain::action::{Action, ActionKind, Ask};
use vmdeck::domain::error_kind::ErrorKind;
use vmdeck::domain::host::{Endpoint, HostName, Jump, Tag};
use vmdeck::domain::inventory::FleetSnapshot;
use vmdeck::domain::operation::Door;
use vmdeck::domain::policy::{Decision, Effect, PolicyQuery, Rule, decide, glob};
use vmdeck::domain::selector::{Filter, Row};
use vmdeck::domain::text::RemoteText;
use vmdeck::domain::vm::VmRef;
use vmdeck::fleet::admission;
use vmdeck::testing::fleet;

fn rule() -> impl Strategy<Value = Rule> {
    let words = || {
        vec(
            select(vec!["prod", "kvm*", "kvm1", "ann", "*", "blue"]),
            0..2,
        )
    };
    let owned = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect::<Vec<_>>();
    (
        (words(), words(), words(), words()),
        vec(select(ActionKind::ALL.to_vec()), 0..3),
        0_usize..4,
        proptest::option::of(select(vec![
            Effect::Allow,
            Effect::Confirm,
            Effect::TypeName,
            Effect::Deny,
        ])),
    )
        .prop_map(
            move |((tiers, hosts, tags, users), verbs, min_count, effect)| Rule {
                name: "rule".to_owned(),
                tiers: owned(tiers),
                hosts: owned(hosts),
                tags: owned(tags),
                users: owned(users),
                verbs: verbs.into_iter().map(Into::into).collect(),
                doors: Vec::new(),
                min_count,
                min_snapshot_age: None,
                max_snapshot_age: None,
                effect,
                reason: String::new(),
            },
        )
}

fn verb() -> impl Strategy<Value = ActionKind> {
    select(ActionKind::ALL.to_vec())
}

fn query(action: ActionKind, count: usize) -> PolicyQuery<'static> {
    PolicyQuery {
        verb: action.into(),
        tier: Some("prod"),
        host: "kvm1",
        tags: &["blue"],
        door: Door::Once,
        user: "ann",
        count,
        snapshot_age: None,
        read_only: false,
        host_read_only: false,
    }
}

/// Every VM of the invented fleet.
fn vms(state: &FleetSnapshot) -> Vec<VmRef> {
    let of_host = |host: &Arc<vmdeck::domain::inventory::HostSnapshot>| {
        let id = host.spec.id;
        let vms = host.vms().iter().map(move |vm| VmRef {
            host: id,
            vm: vm.id.clone(),
        });
        vms.collect::<Vec<_>>()
    };
    state.hosts.iter().flat_map(of_host).collect()
}

fn rows(filter: &Filter) -> Vec<bool> {
    let state = fleet::small();
    let mut found = Vec::new();
    for host in &state.hosts {
        for vm in host.vms() {
            found.push(filter.matches(&Row {
                host,
                vm,
                now: fleet::now(),
                marked: false,
                protected: false,
            }));
        }
    }
    found
}

/// A term whose answer is always known.
fn term() -> impl Strategy<Value = String> {
    select(vec![
        "web",
        "kvm1",
        "name:web*",
        "host:kvm*",
        "state:running",
        "state:stopped|paused",
        "tier:prod",
        "marked",
        "~wb",
        "\"a b\"",
        "hv:libvirt",
        "id:6c09",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn what_is_read_only_is_never_acted_on(rules in vec(rule(), 0..4), action in verb(), count in 1_usize..9, whole: bool) {
        let query = PolicyQuery { read_only: whole, host_read_only: !whole, ..query(action, count) };
        prop_assert!(matches!(decide(&rules, &query).decision, Decision::Deny(_)));
    }

    #[test]
    fn the_first_rule_that_matches_decides_whatever_follows(rules in vec(rule(), 0..4), more in vec(rule(), 0..4), action in verb(), count in 1_usize..9) {
        let query = query(action, count);
        let alone = decide(&rules, &query);
        let with_more: Vec<Rule> = rules.iter().chain(&more).cloned().collect();
        if alone.rule == "rule" {
            prop_assert_eq!(decide(&with_more, &query), alone);
        } else {
            prop_assert_eq!(decide(&with_more, &query), decide(&more, &query));
        }
    }

    #[test]
    fn rules_that_never_decide_change_nothing(rules in vec(rule(), 0..4), action in verb(), count in 1_usize..9) {
        let silent: Vec<Rule> = rules.into_iter().map(|rule| Rule { effect: None, ..rule }).collect();
        prop_assert_eq!(decide(&silent, &query(action, count)), decide(&[], &query(action, count)));
    }

    #[test]
    fn more_vms_at_once_never_need_less_consent(action in verb(), few in 1_usize..20, more in 0_usize..50) {
        let asks = |count| match decide(&[], &query(action, count)).decision {
            Decision::Ask(Ask::Nothing) => 0,
            Decision::Ask(Ask::Confirm) => 1,
            Decision::Ask(_) => 2,
            Decision::Deny(_) => 3,
        };
        prop_assert!(asks(few) <= asks(few + more));
    }

    #[test]
    fn nothing_is_admitted_that_does_not_fit_the_state_or_cannot_be_recorded(which: Index, action in verb(), count in 1_usize..5, locked: bool) {
        let mut state = fleet::small();
        if locked {
            state.read_only = true;
        }
        let all = vms(&state);
        let vm = which.get(&all);
        let asked = admission::decide(&state, vm, &Action::new(action), &fleet::actor(), count, fleet::now());
        let (host, found) = state.vm(vm).unwrap();
        if asked.is_ok() {
            prop_assert!(!locked);
            prop_assert!(action.fits(&found.state));
            prop_assert!(host.health.is_up() && !host.spec.read_only);
        }
    }

    #[test]
    fn a_vm_that_is_not_there_is_never_acted_on(action in verb(), n in 100_000_usize..200_000) {
        let state = fleet::small();
        let vm = VmRef { host: state.hosts[0].spec.id, vm: fleet::vm_id(77, n) };
        let asked = admission::decide(&state, &vm, &Action::new(action), &fleet::actor(), 1, fleet::now());
        prop_assert_eq!(asked.unwrap_err().kind, ErrorKind::NotFound);
    }

    #[test]
    fn a_filter_and_its_opposite_share_no_row(one in term()) {
        let (yes, no) = (Filter::parse(&one).unwrap(), Filter::parse(&format!("!({one})")).unwrap());
        for (yes, no) in rows(&yes).into_iter().zip(rows(&no)) {
            prop_assert!(!(yes && no));
        }
    }

    #[test]
    fn or_finds_no_less_and_and_no_more(one in term(), other in term()) {
        let found = |text: &str| rows(&Filter::parse(text).unwrap());
        let (a, b) = (found(&one), found(&other));
        let (either, both) = (found(&format!("({one})|({other})")), found(&format!("({one}) ({other})")));
        for n in 0..a.len() {
            prop_assert_eq!(either[n], a[n] || b[n]);
            prop_assert_eq!(both[n], a[n] && b[n]);
        }
    }

    #[test]
    fn a_pattern_matches_what_it_was_made_of(parts in vec("[a-z*?.\\[ ]{0,4}", 1..4), fill in vec("[a-z]{0,5}", 3)) {
        let literal: Vec<String> = parts.iter().map(|part| part.replace('*', "")).collect();
        let text: String = literal.iter().zip(fill.iter().cycle()).flat_map(|(part, fill)| [part.as_str(), fill.as_str()]).collect();
        let pattern = format!("{}*", literal.join("*"));
        prop_assert!(glob(&pattern, &text), "{} {}", pattern, text);
    }

    #[test]
    fn addresses_and_jumps_read_back_as_they_were(user in proptest::option::of("[a-z_][a-z0-9_-]{0,8}"), host in "[a-z0-9]([a-z0-9.-]{0,12}[a-z0-9])?", port in proptest::option::of(1_u16..)) {
        let text = match (&user, port) {
            (Some(user), Some(port)) => format!("{user}@{host}:{port}"),
            (Some(user), None) => format!("{user}@{host}"),
            (None, Some(port)) => format!("{host}:{port}"),
            (None, None) => host.clone(),
        };
        let jump: Jump = text.parse().unwrap();
        prop_assert_eq!(jump.to_string(), text);
        prop_assert_eq!(&jump.endpoint.address, &host);
        prop_assert_eq!(jump.endpoint.port, port);
    }

    #[test]
    fn words_of_a_profile_hold_nothing_that_acts(text in "\\PC{0,20}|.{0,20}|[\\u{80}-\\u{9f}\\u{200b}-\\u{202e}a]{1,5}") {
        let safe = |shown: String| !shown.chars().any(vmdeck::domain::text::is_hostile);
        prop_assert!(text.parse::<HostName>().map_or(true, |name| safe(name.to_string())));
        prop_assert!(text.parse::<Tag>().map_or(true, |tag| safe(tag.to_string())));
        prop_assert!(text.parse::<Endpoint>().map_or(true, |at| safe(at.to_string())));
    }

    #[test]
    fn text_that_was_made_harmless_stays_as_it_is(text in "\\PC*|.{0,40}|[\\u{0}-\\u{9f}\\u{200b}-\\u{206f}]{0,20}") {
        let once = RemoteText::new(&text).shown().to_owned();
        let shown_again = RemoteText::new(&once);
        prop_assert_eq!(shown_again.shown(), once.as_str());
    }
}
