//! What is the operator's own: being told, and commands on keys.

use std::path::Path;
use std::sync::Arc;

use vmdeck::config::{OwnCommand, own};
use vmdeck::domain::error_kind::{ErrorKind, Failure};
use vmdeck::domain::event::{Fact, FleetEvent};
use vmdeck::domain::host::{HostSpec, HypervisorKind};
use vmdeck::domain::operation::Outcome;
use vmdeck::domain::policy::{Effect, OwnVerb, Rule};
use vmdeck::domain::text::is_hostile;
use vmdeck::domain::vm::{PowerState, Vm, VmRef};
use vmdeck::testing::{fleet, names};
use vmdeck::tui::effect::Local;
use vmdeck::tui::event::Input;
use vmdeck::tui::notify::{Notices, NotifyOptions};
use vmdeck::tui::own::OwnCommands;

use crate::harness::Screen;

fn fact(screen: &Screen, fact: Fact) -> Input {
    Input::Fact(Box::new(FleetEvent {
        at: screen.now,
        generation: 1,
        fact,
    }))
}

/// The VM under the cursor goes to another state.
fn changed(screen: &Screen, to: PowerState) -> Fact {
    let vm = screen.app.vms.cursor.id().unwrap().clone();
    let (host, found) = screen.app.snapshot.vm(&vm).unwrap();
    Fact::VmChangedState {
        vm,
        name: found.name.clone(),
        host_name: host.spec.name.clone(),
        from: found.state.clone(),
        to,
    }
}

fn name(screen: &Screen) -> String {
    let vm = screen.app.vms.cursor.id().unwrap();
    screen
        .app
        .snapshot
        .vm(vm)
        .unwrap()
        .1
        .name
        .shown()
        .to_owned()
}

/// What was written to the terminal beside frames.
fn told(screen: &Screen) -> Vec<&str> {
    let told = screen.local.iter().filter_map(|local| match local {
        Local::Tell(bytes) => Some(bytes.as_str()),
        _ => None,
    });
    told.collect()
}

#[tokio::test]
async fn a_watched_vm_is_marked_remembered_and_told_of() {
    let mut screen = Screen::small((120, 30));
    screen.keys("n").await;
    let web = name(&screen);
    assert!(
        screen
            .text()
            .contains(&format!("you are told when {web} changes"))
    );
    assert!(screen.text().contains('♪'), "{}", screen.text());
    let remembered = screen.asked();
    let vm = screen.app.vms.cursor.id().unwrap().clone();
    let wanted = format!("remember vms.watched = Some(\"{}/{}\")", vm.host.0, vm.vm);
    assert!(remembered.contains(&wanted), "{remembered:?}");
    let input = fact(&screen, changed(&screen, PowerState::Stopped));
    screen.send(input).await;
    assert!(
        screen.text().contains(&format!("{web} on ")),
        "{}",
        screen.text()
    );
    assert!(told(&screen).is_empty(), "news are gathered first");
    screen.later(2).await;
    assert_eq!(told(&screen), ["\u{7}"]);
    screen.keys("enter").await;
    assert!(screen.text().contains("you are told"), "{}", screen.text());
    screen.keys("esc n").await;
    assert!(!screen.text().contains('♪'));
    assert!(
        screen
            .asked()
            .contains(&"remember vms.watched = None".to_owned())
    );
    let input = fact(&screen, changed(&screen, PowerState::Paused));
    screen.send(input).await;
    screen.later(60).await;
    assert_eq!(told(&screen).len(), 1, "nobody wants to know any more");
}

#[tokio::test]
async fn a_vm_is_watched_from_its_details() {
    let mut screen = Screen::small((120, 30));
    screen.keys("enter w").await;
    assert_eq!(screen.app.vms.watched.len(), 1, "{}", screen.text());
    screen.keys("w").await;
    assert!(screen.app.vms.watched.is_empty());
}

#[tokio::test]
async fn marks_are_watched_together_and_stop_together() {
    let mut screen = Screen::small((120, 30));
    screen.keys("space space n").await;
    assert_eq!(screen.app.vms.watched.len(), 2);
    assert!(screen.text().contains("one of 2 VMs"));
    // One of them alone is not all of them: the others join it.
    screen.keys("space n").await;
    assert_eq!(screen.app.vms.watched.len(), 3);
    screen.keys("n").await;
    assert!(screen.app.vms.watched.is_empty());
}

#[tokio::test]
async fn a_host_that_answers_covers_bad_news_of_its_own_only() {
    let mut screen = Screen::small((120, 30));
    let hosts = screen.app.snapshot.hosts.clone();
    let [one, other] = [&hosts[0].spec, &hosts[1].spec];
    let came = |spec: &HostSpec| Fact::HostCameOnline {
        host: spec.id,
        name: spec.name.clone(),
    };
    let went = Fact::HostWentOffline {
        host: one.id,
        name: one.name.clone(),
        cause: Failure::new(ErrorKind::Unreachable, "timed out"),
    };
    for (step, shown) in [
        (went, "timed out".to_owned()),
        (came(other), "timed out".to_owned()),
        (came(one), format!("{} answers", one.name)),
        (came(other), format!("{} answers", other.name)),
    ] {
        let input = fact(&screen, step);
        screen.send(input).await;
        assert!(screen.text().contains(&shown), "{}", screen.text());
    }
}

#[tokio::test]
async fn hosts_crashes_and_long_operations_are_told_without_asking() {
    let mut screen = Screen::small((120, 30));
    let host = Arc::clone(&screen.app.snapshot.hosts[0].spec);
    let came = Fact::HostCameOnline {
        host: host.id,
        name: host.name.clone(),
    };
    let went = Fact::HostWentOffline {
        host: host.id,
        name: host.name.clone(),
        cause: Failure::new(ErrorKind::Unreachable, "timed out"),
    };
    let crashed = changed(&screen, PowerState::Crashed);
    for step in [came.clone(), went, came, crashed] {
        let input = fact(&screen, step);
        screen.send(input).await;
        screen.later(30).await;
    }
    assert_eq!(
        told(&screen),
        ["\u{7}", "\u{7}", "\u{7}"],
        "the first answer is no news"
    );
    // An operation that was over at once is no news to who looks at it.
    let vm = screen.app.vms.cursor.id().unwrap().clone();
    for (seconds, heard) in [(2, 3), (20, 4)] {
        let mut state = screen.app.snapshot.as_ref().clone();
        let kind = vmdeck::domain::action::ActionKind::Start;
        let mut operation = fleet::operation(&state, &vm, kind, seconds);
        operation.id = vmdeck::domain::operation::OperationId(Arc::from(format!("op-{seconds}")));
        operation.actor = screen.app.settings.actor.clone();
        operation.started_at = screen.now - jiff::SignedDuration::from_secs(seconds);
        state.operations = vec![Arc::new(operation.clone())];
        screen.send(Input::Snapshot(Arc::new(state.clone()))).await;
        operation.outcome = Some(Outcome::Confirmed);
        operation.phase = vmdeck::domain::operation::Phase::Done;
        operation.finished_at = Some(screen.now);
        state.operations = vec![Arc::new(operation)];
        screen.send(Input::Snapshot(Arc::new(state))).await;
        screen.later(30).await;
        assert_eq!(told(&screen).len(), heard, "after {seconds} seconds");
    }
}

#[tokio::test]
async fn no_name_comes_raw_into_what_is_told() {
    let all = names::hostile();
    let vms = all.iter().enumerate().map(|(n, name)| {
        Vm::new(
            fleet::vm_id(1, n),
            name.as_str().into(),
            PowerState::Running,
        )
    });
    let spec = fleet::host_spec(1, "kvm1", None, &[]);
    let host = fleet::host(spec, HypervisorKind::Libvirt, vms.collect());
    let state = fleet::state(vec![host]);
    let vms: Vec<_> = state.hosts[0].vms().to_vec();
    let mut screen = Screen::new(state, (100, 30));
    for vm in &vms {
        screen.app.notices = Notices::new(NotifyOptions::default());
        let input = fact(
            &screen,
            Fact::VmChangedState {
                vm: VmRef {
                    host: vmdeck::domain::host::HostId(1),
                    vm: vm.id.clone(),
                },
                name: vm.name.clone(),
                host_name: "kvm1".parse().unwrap(),
                from: PowerState::Running,
                to: PowerState::Crashed,
            },
        );
        // The effect itself, before a way is chosen.
        let at = screen.now;
        drop(vmdeck::tui::update::update(
            &mut screen.app,
            vmdeck::tui::event::Event { at, input },
        ));
        screen.now += jiff::SignedDuration::from_secs(1);
        let at = screen.now;
        let tick = vmdeck::tui::event::Event {
            at,
            input: Input::Tick,
        };
        let text = vmdeck::tui::update::update(&mut screen.app, tick)
            .into_iter()
            .find_map(|effect| match effect {
                vmdeck::tui::effect::Effect::Notify(text) => Some(text),
                _ => None,
            })
            .unwrap();
        let bad = text.chars().find(|c| is_hostile(*c) || *c == ';');
        assert_eq!(bad, None, "{text:?}");
    }
}

/// A dashboard with these commands.
fn with(blocks: &str) -> Screen {
    let mut screen = Screen::small((120, 30));
    let (own, mistakes) = OwnCommands::new(&read(blocks), &screen.app.settings.keymap);
    assert_eq!(mistakes, []);
    screen.app.own = Arc::new(own);
    screen
}

fn read(blocks: &str) -> Vec<OwnCommand> {
    let (commands, mistakes) = own::of_text(Path::new("config.toml"), blocks);
    assert!(mistakes.is_empty(), "{mistakes:?}");
    commands
}

const SAY: &str = "[[command]]\nkey = \"ctrl-y\"\ndescription = \"say it\"\n\
    argv = [\"printf\", \"%s\\n\", \"x {vm.name}\", \"$(touch CANARY)\", \"{host.name}\"]\noutput = \"popup\"\n";

#[tokio::test]
async fn a_command_gets_its_arguments_as_they_are_and_is_recorded() {
    let mut screen = with(SAY);
    let (vm, host) = (name(&screen), {
        let id = screen.app.vms.cursor.id().unwrap();
        screen
            .app
            .snapshot
            .host(id.host)
            .unwrap()
            .spec
            .name
            .to_string()
    });
    screen.keys("ctrl-y").await;
    let text = screen.text();
    for line in [
        format!("x {vm}"),
        "$(touch CANARY)".to_owned(),
        host.clone(),
    ] {
        assert!(text.contains(&line), "{line} in:\n{text}");
    }
    let asked = screen.asked();
    let records: Vec<&String> = asked
        .iter()
        .filter(|asked| asked.starts_with("record"))
        .collect();
    assert_eq!(records.len(), 2, "{asked:?}");
    assert!(
        records[0].starts_with(&format!("record own-command {vm} pending")),
        "{records:?}"
    );
    assert!(
        records[1].starts_with(&format!("record own-command {vm} ok")),
        "{records:?}"
    );
    assert!(records[0].contains("$(touch CANARY)"), "{records:?}");
}

#[tokio::test]
async fn it_is_in_the_help_the_palette_and_the_menu() {
    let mut screen = with(SAY);
    screen.keys("? \"say it\"").await;
    assert!(
        screen.text().contains("Commands of your own"),
        "{}",
        screen.text()
    );
    assert!(screen.text().contains("ctrl-y"), "{}", screen.text());
    screen.keys("esc : \"say it\" enter").await;
    assert!(
        screen.text().contains("$(touch CANARY)"),
        "{}",
        screen.text()
    );
    screen.keys("esc m").await;
    assert!(screen.text().contains("say it"), "{}", screen.text());
    screen.keys("esc 2 : \"say it\"").await;
    assert!(
        screen.text().contains("nothing is called that"),
        "{}",
        screen.text()
    );
}

#[tokio::test]
async fn what_is_dangerous_asks_and_read_only_mode_refuses_it() {
    let blocks = "[[command]]\nkey = \"ctrl-y\"\ndescription = \"wipe\"\nargv = [\"true\", \"{vm.id}\"]\ndanger = true\n";
    let mut screen = with(blocks);
    let vm = name(&screen);
    screen.keys("ctrl-y").await;
    let text = screen.text();
    assert!(
        text.contains(&format!("wipe on {vm}")) && text.contains("true "),
        "{text}"
    );
    screen.keys("enter").await;
    assert!(
        screen
            .asked()
            .iter()
            .all(|asked| !asked.starts_with("record"))
    );
    screen.keys("ctrl-y y").await;
    assert!(screen.text().contains("done"), "{}", screen.text());
    let mut state = screen.app.snapshot.as_ref().clone();
    state.read_only = true;
    screen.send(Input::Snapshot(Arc::new(state))).await;
    screen.keys("ctrl-y").await;
    assert!(
        screen.text().contains("read-only mode is on"),
        "{}",
        screen.text()
    );
}

#[tokio::test]
async fn marked_vms_are_taken_one_after_another_and_a_failure_is_in_the_error_log() {
    let blocks = "[[command]]\nkey = \"ctrl-y\"\ndescription = \"try\"\nargv = [\"sh\", \"-c\", \"exit 3\", \"{vm.name}\"]\n";
    let mut screen = with(blocks);
    screen.keys("space space ctrl-y").await;
    let asked = screen.asked();
    let count = |start: &str| {
        asked
            .iter()
            .filter(|asked| asked.starts_with(start))
            .count()
    };
    assert_eq!(count("record"), 4, "{asked:?}");
    assert_eq!(count("complain try on "), 2, "{asked:?}");
    assert!(
        screen.text().contains("exit status: 3"),
        "{}",
        screen.text()
    );
}

/// The dashboard with a command on ctrl-y, under these rules.
fn ruled(blocks: &str, rules: Vec<Rule>) -> Screen {
    let mut screen = with(blocks);
    let mut state = screen.app.snapshot.as_ref().clone();
    state.policy = Arc::from(rules);
    screen.app.snapshot = Arc::new(state);
    screen
}

fn rule(name: &str, effect: Effect) -> Rule {
    Rule {
        name: name.into(),
        verbs: vec![OwnVerb::OwnCommand.into()],
        effect: Some(effect),
        ..Rule::default()
    }
}

const QUIET: &str =
    "[[command]]\nkey = \"ctrl-y\"\ndescription = \"try\"\nargv = [\"true\", \"{vm.name}\"]\n";

fn records(screen: &Screen) -> usize {
    let asked = screen.asked();
    asked
        .iter()
        .filter(|asked| asked.starts_with("record"))
        .count()
}

#[tokio::test]
async fn a_rule_of_the_policy_denies_a_command_on_the_tier_it_names_and_says_so() {
    let deny = Rule {
        tiers: vec!["prod".into()],
        ..rule("no tools on production", Effect::Deny)
    };
    let mut screen = ruled(QUIET, vec![deny.clone()]);
    screen.keys("/ \"tier:prod\" enter ctrl-y").await;
    assert!(
        screen.text().contains("`no tools on production`"),
        "{}",
        screen.text()
    );
    assert_eq!(records(&screen), 0);
    let mut screen = ruled(QUIET, vec![deny]);
    screen.keys("/ \"!tier:prod\" enter ctrl-y").await;
    assert_eq!(records(&screen), 2, "{}", screen.text());
}

#[tokio::test]
async fn the_stricter_of_command_and_policy_counts() {
    // A rule that asks, for a command that does not; and one that allows, for a command that does.
    let dangerous = QUIET.replace("argv", "danger = true\nargv");
    for (blocks, effect, asks) in [
        (QUIET, Effect::Allow, false),
        (QUIET, Effect::Confirm, true),
        (&dangerous, Effect::Allow, true),
    ] {
        let mut screen = ruled(blocks, vec![rule("mine", effect.clone())]);
        screen.keys("/ \"web-1\" enter ctrl-y").await;
        let text = screen.text();
        assert_eq!(text.contains("y run it"), asks, "{effect:?}: {text}");
        assert_eq!(text.contains("`mine`"), effect == Effect::Confirm);
        assert_eq!(records(&screen), if asks { 0 } else { 2 }, "{text}");
    }
}

#[tokio::test]
async fn a_rule_wants_the_name_typed_and_several_are_done_one_by_one() {
    let mut screen = ruled(QUIET, vec![rule("say who", Effect::TypeName)]);
    screen.keys("/ \"web-1\" enter ctrl-y").await;
    assert!(
        screen.text().contains("Type the VM's name"),
        "{}",
        screen.text()
    );
    assert!(screen.text().contains("say who"), "{}", screen.text());
    screen.keys("\"web-2\" enter").await;
    assert_eq!(records(&screen), 0);
    screen.keys("ctrl-u \"web-1\" enter").await;
    assert_eq!(records(&screen), 2, "{}", screen.text());
    screen.keys("esc space space ctrl-y").await;
    assert!(screen.text().contains("one by one"), "{}", screen.text());
    assert_eq!(records(&screen), 2);
}
