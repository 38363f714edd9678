//! Every way to be refused, and the ways not to be.

use std::sync::Arc;
use std::time::Duration;

use super::admission::{admit, agreed_to, decide, may_reach, may_run_own, may_type};
use super::test_fleet::{
    actor, capabilities, fleet, host, now, operation, plan, submission, vm, vm_ref,
};
use crate::domain::action::{ActionKind, Ask};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::guest_command::GuestVerb;
use crate::domain::health::HostHealth;
use crate::domain::inventory::{AuditState, FleetSnapshot};
use crate::domain::operation::Consent;
use crate::domain::policy::{BUILT_IN, Decision, Effect, Rule};
use crate::domain::snapshot::{Chosen, SnapshotRequest, VmSnapshot};
use crate::domain::text::RemoteText;
use crate::domain::vm::{PowerState, Vm};

fn ask(state: &FleetSnapshot, action: ActionKind) -> Result<Ask, Failure> {
    let verdict = decide(state, &vm_ref(1), &action.into(), &actor(), 1, now())?;
    match verdict.decision {
        Decision::Ask(ask) => Ok(ask),
        Decision::Deny(reason) => panic!("a denial came as a verdict: {reason}"),
    }
}

/// A fleet of one healthy host with one VM in this state, changed by `change`.
fn with(
    power: PowerState,
    change: impl FnOnce(&mut FleetSnapshot, &mut crate::domain::inventory::HostSnapshot),
) -> FleetSnapshot {
    let mut host = host(vec![vm(1, "web-1", power)]);
    let mut state = fleet(vec![]);
    change(&mut state, &mut host);
    state.hosts.push(Arc::new(host));
    state
}

fn running() -> FleetSnapshot {
    with(PowerState::Running, |_, _| {})
}

#[test]
fn an_action_fits_exactly_the_states_of_its_row() {
    let states = [
        PowerState::Running,
        PowerState::Paused,
        PowerState::Stopped,
        PowerState::Saved,
        PowerState::Starting,
        PowerState::Stopping,
        PowerState::Crashed,
        PowerState::Unknown(RemoteText::new("odd")),
    ];
    for power in states {
        let state = with(power.clone(), |_, _| {});
        for action in ActionKind::ALL {
            let answer = ask(&state, action);
            if action.fits(&power) {
                assert!(answer.is_ok(), "{action} on {power}: {answer:?}");
            } else {
                let refusal = answer.unwrap_err();
                assert_eq!(refusal.kind, ErrorKind::Refused);
                assert!(refusal.message.starts_with("web-1 is "), "{refusal}");
                assert!(refusal.hint.is_some());
            }
        }
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_obstacle_has_its_kind_and_its_words() {
    let down = Failure::new(ErrorKind::Unreachable, "no connection to kvm1:22");
    let cases: Vec<(FleetSnapshot, ErrorKind, &str)> = vec![
        (fleet(vec![]), ErrorKind::NotFound, "not in the profile"),
        (
            with(PowerState::Running, |_, host| host.inventory = None),
            ErrorKind::NotFound,
            "has not been read yet",
        ),
        (
            with(PowerState::Running, |_, host| {
                host.inventory = Some(Arc::default());
            }),
            ErrorKind::NotFound,
            "there is no VM",
        ),
        (
            with(PowerState::Running, |state, _| state.read_only = true),
            ErrorKind::Refused,
            "read-only mode is on",
        ),
        (
            with(PowerState::Running, |_, host| {
                Arc::make_mut(&mut host.spec).read_only = true;
            }),
            ErrorKind::Refused,
            "host kvm1 is read-only",
        ),
        (
            with(PowerState::Running, |_, host| {
                host.health = HostHealth::Offline {
                    cause: down.clone(),
                    next_try: now(),
                    attempt: 3,
                };
            }),
            ErrorKind::Unreachable,
            "kvm1 does not answer: no connection to kvm1:22",
        ),
        (
            with(PowerState::Running, |_, host| {
                host.health = HostHealth::NeedsOperator {
                    cause: Failure::new(ErrorKind::Auth, "login refused"),
                    question: None,
                };
            }),
            ErrorKind::Auth,
            "kvm1 waits for you: login refused",
        ),
        (
            with(PowerState::Running, |_, host| {
                host.health = HostHealth::Connecting {
                    attempt: 1,
                    queued: false,
                };
            }),
            ErrorKind::Unreachable,
            "still connecting",
        ),
        (
            with(PowerState::Running, |_, host| {
                host.health = HostHealth::Disabled;
            }),
            ErrorKind::Unreachable,
            "switched off",
        ),
        (
            with(PowerState::Running, |_, host| host.from_cache = true),
            ErrorKind::Conflict,
            "is from an earlier run: read it again first",
        ),
        (
            with(PowerState::Running, |_, host| {
                host.observed_at = Some(now() - Duration::from_secs(7));
            }),
            ErrorKind::Conflict,
            "what is known about web-1 is 7s old: read it again first",
        ),
        (
            with(PowerState::Running, |state, _| {
                state.audit =
                    AuditState::Blocked(Failure::new(ErrorKind::Store, "the disk is full"));
            }),
            ErrorKind::NotRecorded,
            "cannot be recorded: the disk is full",
        ),
        (
            with(PowerState::Running, |_, host| {
                host.capabilities = Some(Arc::new(capabilities(&[ActionKind::Start])));
            }),
            ErrorKind::Refused,
            "kvm1 (libvirt 9.0.0) cannot shut down a VM",
        ),
        (
            with(PowerState::Running, |state, _| {
                state
                    .operations
                    .push(operation(1, ActionKind::Reboot, None));
            }),
            ErrorKind::Busy,
            "web-1 is busy rebooting for 2s (asked by ann)",
        ),
    ];
    for (state, kind, words) in cases {
        let refusal = ask(&state, ActionKind::Shutdown).unwrap_err();
        assert_eq!(refusal.kind, kind, "{refusal}");
        assert!(refusal.message.contains(words), "{refusal} lacks {words:?}");
    }
}

#[test]
fn a_row_is_fresh_up_to_two_ticks() {
    let state = with(PowerState::Running, |_, host| {
        host.observed_at = Some(now() - Duration::from_secs(6));
    });
    assert_eq!(ask(&state, ActionKind::Shutdown), Ok(Ask::Confirm));
}

#[test]
fn a_slow_host_may_still_be_acted_on() {
    let state = with(PowerState::Running, |_, host| {
        host.health = HostHealth::Degraded {
            cause: Failure::new(ErrorKind::Timeout, "reading took long"),
        };
    });
    assert!(ask(&state, ActionKind::Shutdown).is_ok());
}

#[test]
fn force_off_overtakes_a_shutdown_and_nothing_else() {
    for under_way in ActionKind::ALL {
        let state = with(PowerState::Running, |state, _| {
            state.operations.push(operation(1, under_way, None));
        });
        let answer = ask(&state, ActionKind::ForceOff);
        if under_way == ActionKind::Shutdown {
            assert!(answer.is_ok(), "{answer:?}");
        } else {
            assert_eq!(answer.unwrap_err().kind, ErrorKind::Busy, "{under_way}");
        }
    }
    let both = with(PowerState::Running, |state, _| {
        state
            .operations
            .push(operation(1, ActionKind::ForceOff, None));
        state
            .operations
            .push(operation(1, ActionKind::Shutdown, None));
    });
    assert_eq!(
        ask(&both, ActionKind::ForceOff).unwrap_err().kind,
        ErrorKind::Busy
    );
}

#[test]
fn finished_operations_and_those_of_other_vms_do_not_stand_in_the_way() {
    let done = Some(crate::domain::operation::Outcome::Confirmed);
    let state = with(PowerState::Running, |state, _| {
        state.operations.push(operation(1, ActionKind::Start, done));
        state.operations.push(operation(2, ActionKind::Start, None));
    });
    assert!(ask(&state, ActionKind::Shutdown).is_ok());
}

#[test]
fn a_rule_that_denies_says_its_reason() {
    let rule = Rule {
        name: "night".into(),
        effect: Some(Effect::Deny),
        reason: "nobody acts at night".into(),
        ..Rule::default()
    };
    let state = with(PowerState::Running, |state, _| {
        state.policy = Arc::new([rule]);
    });
    let refusal = ask(&state, ActionKind::Shutdown).unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::Refused);
    assert!(refusal.message.contains("nobody acts at night"));
}

#[test]
fn consent_must_reach_what_is_asked() {
    let prod = || {
        with(PowerState::Running, |_, host| {
            Arc::make_mut(&mut host.spec).tier = Some("prod".parse().unwrap());
        })
    };
    let typed = |name: &str| Consent::TypedName(name.to_owned());
    let cases = [
        (running(), ActionKind::Pause, Consent::Nothing, true),
        (running(), ActionKind::Shutdown, Consent::Nothing, false),
        (running(), ActionKind::Shutdown, Consent::Confirmed, true),
        (running(), ActionKind::Shutdown, typed("web-1"), true),
        (running(), ActionKind::Shutdown, typed("web-2"), false),
        (prod(), ActionKind::ForceOff, Consent::Confirmed, false),
        (prod(), ActionKind::ForceOff, typed("web"), false),
        (prod(), ActionKind::ForceOff, typed("web-1"), true),
    ];
    for (state, action, consent, fine) in cases {
        let mut handed_in = submission(plan(1, action, PowerState::Running));
        handed_in.consent = consent;
        let answer = admit(&state, &handed_in, now());
        assert_eq!(
            answer.is_ok(),
            fine,
            "{action} {:?}: {answer:?}",
            handed_in.consent
        );
        if let Err(refusal) = answer {
            assert_eq!(refusal.kind, ErrorKind::Refused);
            assert!(refusal.hint.is_some());
        }
    }
}

#[test]
fn a_name_is_typed_as_it_is_or_as_it_is_shown() {
    let hostile = RemoteText::new("web\u{202e}1");
    assert_ne!(hostile.raw(), hostile.shown());
    let agrees = |typed: &str| {
        let consent = Consent::TypedName(typed.to_owned());
        agreed_to(Ask::TypeName, &consent, (&hostile, "force off", "VM"))
    };
    assert_eq!(agrees(hostile.raw()), Ok(()));
    assert_eq!(agrees(hostile.shown()), Ok(()));
    assert_eq!(agrees("web1").unwrap_err().kind, ErrorKind::Refused);
}

#[test]
fn a_rule_about_a_tag_is_about_the_hosts_that_have_it() {
    let tagged = |tags: &[&str]| {
        with(PowerState::Running, |state, host| {
            let tags = tags.iter().map(|tag| tag.parse().unwrap());
            Arc::make_mut(&mut host.spec).tags = tags.collect();
            state.policy = Arc::new([Rule {
                tags: vec!["db".into()],
                effect: Some(Effect::Deny),
                ..Rule::default()
            }]);
        })
    };
    for (tags, denied) in [
        (&[][..], false),
        (&["web"], false),
        (&["db"], true),
        (&["web", "db"], true),
    ] {
        let answer = ask(&tagged(tags), ActionKind::Shutdown);
        assert_eq!(answer.is_err(), denied, "{tags:?}: {answer:?}");
    }
}

/// A fleet in which nothing is done to three VMs or more at once.
fn two_at_once() -> FleetSnapshot {
    with(PowerState::Running, |state, _| {
        state.policy = Arc::new([Rule {
            min_count: 3,
            effect: Some(Effect::Deny),
            ..Rule::default()
        }]);
    })
}

#[test]
fn rules_hear_how_many_are_acted_on_together() {
    let state = two_at_once();
    for (count, fine) in [(1, true), (2, true), (3, false), (4, false)] {
        let action = ActionKind::Shutdown.into();
        let answer = decide(&state, &vm_ref(1), &action, &actor(), count, now());
        assert_eq!(answer.is_ok(), fine, "{count}");
        let answer = may_run_own(&state, None, false, &actor(), count);
        assert_eq!(answer.is_ok(), fine, "{count}");
    }
}

#[test]
fn keys_are_pressed_as_far_as_a_reboot_is_allowed() {
    let bound = |effect: Option<Effect>| {
        let state = with(PowerState::Running, |state, _| {
            state.policy = Arc::new([Rule {
                name: "keys".into(),
                verbs: vec![ActionKind::Reboot.into()],
                effect,
                ..Rule::default()
            }]);
        });
        may_type(&state, &state.hosts[0], &actor())
    };
    for effect in [Effect::Allow, Effect::Confirm] {
        assert_eq!(bound(Some(effect)).unwrap().rule, "keys");
    }
    assert_eq!(bound(None).unwrap().rule, BUILT_IN);
    let refusal = bound(Some(Effect::TypeName)).unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::Refused);
    assert!(refusal.message.contains("`keys`"), "{refusal}");
    assert_eq!(
        bound(Some(Effect::Deny)).unwrap_err().kind,
        ErrorKind::Refused
    );
}

#[test]
fn a_plan_whose_vm_changed_state_is_a_conflict() {
    let state = with(PowerState::Stopped, |_, _| {});
    let handed_in = submission(plan(1, ActionKind::Shutdown, PowerState::Running));
    let refusal = admit(&state, &handed_in, now()).unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::Conflict);
    assert_eq!(
        refusal.message,
        "web-1 is stopped now; it was running when the plan was shown"
    );
}

#[test]
fn a_plan_whose_vm_vanished_is_not_found() {
    let state = with(PowerState::Running, |_, host| {
        host.inventory = Some(Arc::default());
    });
    let handed_in = submission(plan(1, ActionKind::Shutdown, PowerState::Running));
    assert_eq!(
        admit(&state, &handed_in, now()).unwrap_err().kind,
        ErrorKind::NotFound
    );
}

#[test]
fn a_refusal_by_state_names_exactly_what_is_possible() {
    let refusal = ask(&running(), ActionKind::Start).unwrap_err();
    let hint = refusal.hint.unwrap();
    let named: Vec<&str> = hint
        .0
        .strip_prefix("possible now: ")
        .unwrap()
        .split(", ")
        .collect();
    for action in ActionKind::ALL {
        let spec = action.spec();
        assert_eq!(
            named.contains(&spec.verb),
            spec.from.contains(&"running"),
            "{action}: {hint}"
        );
    }
}

#[test]
fn rules_about_old_snapshots_hear_how_old_the_chosen_one_is() {
    let day = Duration::from_secs(86_400);
    let taken = |id: &str, days: u32| VmSnapshot {
        taken: Some(now() - day * days),
        ..VmSnapshot::new(RemoteText::new(id), RemoteText::new(id))
    };
    let tree = [taken("old", 40), taken("new", 2)];
    let mut with_tree = Vm::clone(&vm(1, "web-1", PowerState::Running));
    Arc::make_mut(&mut with_tree.facts).snapshot_tree = Some(Arc::from(tree.clone()));
    let mut state = fleet(vec![Arc::new(host(vec![Arc::new(with_tree)]))]);
    state.policy = Arc::new([Rule {
        name: "old".into(),
        min_snapshot_age: Some(day * 30),
        effect: Some(Effect::TypeName),
        ..Rule::default()
    }]);
    for (snapshot, rule) in tree.iter().zip(["old", BUILT_IN]) {
        let action = SnapshotRequest::Revert(Chosen::from(snapshot)).into();
        let verdict = decide(&state, &vm_ref(1), &action, &actor(), 1, now()).unwrap();
        assert_eq!(verdict.rule, rule, "{}", snapshot.id);
    }
}

#[test]
fn read_only_shows_a_console_and_a_rule_denies_it() {
    let state = with(PowerState::Running, |state, _| {
        state.read_only = true;
        state.policy = Arc::from([Rule {
            name: "no-shells".into(),
            verbs: vec![GuestVerb::Shell.into()],
            effect: Some(Effect::Deny),
            ..Rule::default()
        }]);
    });
    let mut host = (*state.hosts[0]).clone();
    Arc::make_mut(&mut host.spec).read_only = true;
    let host = &host;
    let console = may_reach(&state, host, GuestVerb::Console, &actor()).unwrap();
    assert_eq!(console.ask, Ask::Nothing);
    let refusal = may_reach(&state, host, GuestVerb::Shell, &actor()).unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::Refused);
    assert!(refusal.message.contains("`no-shells`"), "{refusal}");
}

#[test]
fn a_command_that_disrupts_is_bound_by_read_only_and_others_are_not() {
    let state = with(PowerState::Running, |state, _| state.read_only = true);
    let host = Some(&*state.hosts[0]);
    assert!(may_run_own(&state, host, false, &actor(), 1).is_ok());
    for about in [host, None] {
        let refusal = may_run_own(&state, about, true, &actor(), 1).unwrap_err();
        assert_eq!(refusal.message, "read-only mode is on");
    }
}

#[test]
fn a_host_that_is_read_only_binds_the_commands_about_it() {
    let of = |read_only| {
        with(PowerState::Running, |_, host| {
            Arc::make_mut(&mut host.spec).read_only = read_only;
        })
    };
    for (read_only, dangerous, fine) in [
        (true, true, false),
        (true, false, true),
        (false, true, true),
        (false, false, true),
    ] {
        let state = of(read_only);
        let answer = may_run_own(&state, Some(&state.hosts[0]), dangerous, &actor(), 1);
        assert_eq!(answer.is_ok(), fine, "{read_only} {dangerous}");
    }
    assert!(may_run_own(&of(true), None, true, &actor(), 1).is_ok());
}

#[test]
fn a_rule_about_hosts_is_not_about_a_command_that_is_about_none() {
    let state = with(PowerState::Running, |state, _| {
        state.policy = Arc::from([Rule {
            hosts: vec!["kvm*".into()],
            effect: Some(Effect::Deny),
            ..Rule::default()
        }]);
    });
    assert!(may_run_own(&state, None, false, &actor(), 1).is_ok());
    assert!(may_run_own(&state, Some(&state.hosts[0]), false, &actor(), 1).is_err());
}
