//! Everything that lies over a view, and what it lets through.

use std::sync::Arc;

use vmdeck::domain::error_kind::{ErrorKind, Failure};
use vmdeck::domain::health::HostHealth;
use vmdeck::domain::host_key::{HostKey, HostKeyQuestion, HostKeyVerdict};
use vmdeck::domain::inventory::{FleetSnapshot, LockState};
use vmdeck::domain::policy::{Effect, Rule};
use vmdeck::testing::fleet;
use vmdeck::tui::event::Input;

use crate::harness::Screen;

#[tokio::test]
async fn a_shutdown_shows_its_plan_and_wants_a_yes() {
    let mut screen = Screen::small((100, 24));
    screen.keys("/ \"web-1\" enter S").await;
    insta::assert_snapshot!(screen.text());
    screen.keys("y").await;
    assert_eq!(
        screen.asked(),
        [
            "plan shutdown for 6c090002",
            "submit shutdown web-1 (Confirmed, 1)"
        ]
    );
    assert!(screen.text().contains("stopping web-1"));
}

#[tokio::test]
async fn enter_is_the_safe_choice() {
    for key in ["enter", "esc", "n", "q"] {
        let mut screen = Screen::small((80, 24));
        screen.keys("/ \"web-1\" enter S").await;
        screen.keys(key).await;
        assert_eq!(screen.asked(), ["plan shutdown for 6c090002"], "{key}");
        assert!(screen.app.overlays.is_empty());
    }
}

#[tokio::test]
async fn the_worst_verbs_want_the_name_typed() {
    let mut screen = Screen::small((100, 24));
    screen.keys("/ \"db-main\" enter F y enter").await;
    assert_eq!(screen.asked().len(), 1);
    insta::assert_snapshot!(screen.text());
    screen.keys("backspace \"db-main\" enter").await;
    assert_eq!(
        screen.asked()[1],
        "submit force-off db-main (TypedName(\"db-main\"), 1)"
    );
}

#[tokio::test]
async fn enter_without_a_name_is_the_safe_choice() {
    let mut screen = Screen::small((100, 24));
    screen.keys("/ \"db-main\" enter F").await;
    assert!(screen.text().contains("enter cancel"), "{}", screen.text());
    screen.keys("enter").await;
    assert!(screen.app.overlays.is_empty());
    assert_eq!(screen.asked(), ["plan force-off for 6c090001"]);
}

#[tokio::test]
async fn a_long_plan_scrolls_while_a_name_is_typed() {
    let mut screen = Screen::small((50, 12));
    screen.keys("/ \"db-main\" enter F").await;
    assert!(!screen.text().contains("built-in"), "{}", screen.text());
    screen.keys("d down down down down").await;
    let text = screen.text();
    assert!(text.contains("built-in"), "{text}");
    assert!(
        text.contains("> d") && text.contains("not its name yet"),
        "{text}"
    );
}

#[tokio::test]
async fn the_power_menu_says_why_without_the_name_in_its_title() {
    let mut screen = Screen::small((80, 24));
    screen.keys("/ \"win-test\" enter P").await;
    let text = screen.text();
    assert!(text.contains("win-test on hv1"), "{text}");
    assert!(!text.contains("shut down   win-test"), "{text}");
}

#[tokio::test]
async fn start_needs_no_question_and_resumes_what_is_paused() {
    let mut screen = Screen::small((80, 24));
    screen.keys("/ \"win-test\" enter s").await;
    assert_eq!(screen.asked()[1], "submit start win-test (Nothing, 1)");
    let mut screen = Screen::small((80, 24));
    screen.keys("/ \"staging\" enter").await;
    assert!(screen.text().contains("s resume"), "{}", screen.text());
    screen.keys("s").await;
    assert_eq!(screen.asked()[1], "submit resume staging-app (Nothing, 1)");
}

#[tokio::test]
async fn pause_resumes_those_that_are_paused_where_none_is_left_to_pause() {
    for (with, expected) in [("web-1", "plan pause"), ("win-test", "plan resume")] {
        let mut screen = Screen::small((100, 30));
        let keys = format!("/ \"staging\" enter space esc / \"{with}\" enter space esc p");
        screen.keys(&keys).await;
        let asked = screen.asked();
        let planned = asked.iter().filter(|line| line.starts_with("plan"));
        let planned: Vec<&String> = planned.collect();
        assert_eq!(planned.len(), 2, "{asked:?}");
        assert!(
            planned.iter().all(|line| line.starts_with(expected)),
            "{asked:?}"
        );
    }
}

#[tokio::test]
async fn many_vms_are_listed_with_those_left_out() {
    let mut screen = Screen::small((100, 30));
    screen.keys("* S").await;
    insta::assert_snapshot!(screen.text());
    screen.keys("y").await;
    let submitted = screen
        .asked()
        .iter()
        .filter(|line| line.starts_with("submit"))
        .count();
    assert!(submitted > 3, "{:?}", screen.asked());
}

#[tokio::test]
async fn what_is_sent_to_each_of_many_vms_can_be_read_before_it_is_agreed_to() {
    let mut screen = Screen::small((100, 60));
    screen.keys("* S").await;
    let shown = screen.text().matches("virsh shutdown --domain").count();
    screen.keys("y").await;
    let asked = screen.asked();
    let submitted = asked
        .iter()
        .filter(|line| line.starts_with("submit"))
        .count();
    assert_eq!(shown, submitted, "{asked:?}");
}

#[tokio::test]
async fn a_refused_key_says_why_in_one_line() {
    let mut screen = Screen::small((100, 24));
    screen.keys("/ \"win-test\" enter S").await;
    assert!(screen.asked().is_empty());
    assert!(
        screen.text().contains("cannot shut down"),
        "{}",
        screen.text()
    );
    assert!(!screen.text().contains("S shut down"));
}

#[tokio::test]
async fn policy_hides_keys_from_the_footer_and_gives_its_reason() {
    let mut state = fleet::small();
    state.policy = Arc::from([Rule {
        name: "no-cut".into(),
        verbs: vec![vmdeck::domain::action::ActionKind::ForceOff.into()],
        effect: Some(Effect::Deny),
        reason: "ask the owner".into(),
        ..Rule::default()
    }]);
    let mut screen = Screen::new(state, (120, 24));
    screen.keys("/ \"web-1\" enter").await;
    assert!(!screen.text().contains("F force off"));
    assert!(screen.text().contains("S shut down"));
    screen.keys("F").await;
    assert!(screen.text().contains("ask the owner"));
    let mut read_only = fleet::small();
    read_only.read_only = true;
    let mut screen = Screen::new(read_only, (120, 24));
    screen.keys("g").await;
    assert!(screen.text().contains("READ-ONLY") && !screen.text().contains("S shut down"));
}

#[tokio::test]
async fn the_power_menu_shows_every_action_and_why_not() {
    let mut screen = Screen::small((100, 24));
    screen.keys("/ \"web-1\" enter P").await;
    insta::assert_snapshot!(screen.text());
    screen.keys("v y").await;
    assert_eq!(screen.asked()[1], "submit save web-1 (Confirmed, 1)");
}

#[tokio::test]
async fn details_have_tabs() {
    let mut screen = Screen::small((100, 30));
    screen.keys("/ \"build\" enter enter").await;
    insta::assert_snapshot!("details_overview", screen.text());
    screen.keys("shift-tab").await;
    assert!(screen.text().contains("  <name>x</name>"));
    screen.keys("S y esc").await;
    assert_eq!(
        screen.asked().last().map(String::as_str),
        Some("submit shutdown build-07 (Confirmed, 1)")
    );
}

#[tokio::test]
async fn help_lists_every_key_and_can_be_searched() {
    let mut screen = Screen::small((100, 30));
    screen.keys("?").await;
    insta::assert_snapshot!("help", screen.text());
    screen.keys("\"force\"").await;
    let text = screen.text();
    assert!(
        text.contains("force off") && !text.contains("sort by"),
        "{text}"
    );
}

#[tokio::test]
async fn the_palette_finds_commands_and_hosts() {
    let mut screen = Screen::small((100, 24));
    screen.keys(": \"host kvm2\"").await;
    insta::assert_snapshot!("palette", screen.text());
    screen.keys("enter").await;
    assert!(screen.text().contains("host kvm2") && screen.text().contains("3 of 13"));
    screen.keys(": \"view ops\" enter").await;
    assert!(screen.text().contains("AUDIT LOG"));
}

#[tokio::test]
async fn logs_are_read_in_documents() {
    let mut screen = Screen::small((100, 24));
    screen.keys("!").await;
    assert!(screen.text().contains("could not reach kvm3: timed out"));
    screen.keys("esc 2").await;
    assert!(screen.app.overlays.is_empty());
}

#[tokio::test]
async fn a_locked_profile_asks_for_its_passphrase() {
    let mut state = fleet::small();
    state.lock = LockState::Locked;
    let mut screen = Screen::new(state, (80, 24));
    screen.keys("\"wrong\" enter").await;
    let text = screen.text();
    assert!(
        text.contains("wrong passphrase") && text.contains("Unlock lab"),
        "{text}"
    );
    screen.keys("\"right\"").await;
    insta::assert_snapshot!("passphrase", screen.text());
    screen.keys("enter").await;
    assert!(screen.app.overlays.is_empty());
}

fn with_question(verdict: HostKeyVerdict) -> FleetSnapshot {
    let mut state = fleet::small();
    let host = Arc::make_mut(&mut state.hosts[1]);
    host.health = HostHealth::NeedsOperator {
        cause: Failure::new(ErrorKind::HostKey, "the key of kvm1 is not known"),
        question: Some(Box::new(HostKeyQuestion {
            label: "10.0.0.1".into(),
            dialled: "10.0.0.1:22".into(),
            key: HostKey {
                algorithm: "ssh-ed25519".into(),
                base64: "AAAA".into(),
                fingerprint: "SHA256:4bNmUq1uXbP8Z0v0cJ0Q7w1mQp1fKQn3lZr5o2hYxTE".into(),
            },
            verdict,
        })),
    };
    state
}

#[tokio::test]
async fn an_unknown_host_key_is_accepted_by_its_fingerprint_only() {
    let mut screen = Screen::small((100, 24));
    let state = Arc::new(with_question(HostKeyVerdict::Unknown));
    screen.send(Input::Snapshot(Arc::clone(&state))).await;
    insta::assert_snapshot!("host_key_unknown", screen.text());
    screen.keys("\"y\" enter").await;
    assert!(screen.asked().is_empty());
    screen.keys("backspace \"2hYxTE\" enter").await;
    assert_eq!(screen.asked(), ["host key: true"]);
    // The same question is not brought up twice.
    screen.send(Input::Snapshot(state)).await;
    assert!(screen.app.overlays.is_empty());
}

#[tokio::test]
async fn a_question_that_is_over_closes_its_dialog_and_can_be_asked_again() {
    let mut screen = Screen::small((100, 24));
    let asks = Arc::new(with_question(HostKeyVerdict::Unknown));
    screen.send(Input::Snapshot(Arc::clone(&asks))).await;
    screen.keys("\"2hYx\"").await;
    let mut over = FleetSnapshot::clone(&asks);
    Arc::make_mut(&mut over.hosts[1]).health = HostHealth::NeedsOperator {
        cause: Failure::new(ErrorKind::HostKey, "the key is unknown; nobody answered"),
        question: None,
    };
    screen.send(Input::Snapshot(Arc::new(over))).await;
    assert!(screen.app.overlays.is_empty());
    let text = screen.text();
    assert!(text.contains("nobody answered about the key of"), "{text}");
    // On the hosts view `K` asks again, which is a refresh; the question then comes up by itself.
    screen.keys("2 j K").await;
    let id = asks.hosts[1].spec.id;
    assert_eq!(screen.asked(), [format!("refresh Only([{id:?}])")]);
    screen.send(Input::Snapshot(asks)).await;
    assert_eq!(screen.app.overlays.len(), 1);
}

#[tokio::test]
async fn a_dialog_about_a_key_that_was_decided_elsewhere_is_closed() {
    let mut screen = Screen::small((100, 24));
    let asks = Arc::new(with_question(HostKeyVerdict::Unknown));
    screen.send(Input::Snapshot(Arc::clone(&asks))).await;
    assert_eq!(screen.app.overlays.len(), 1);
    screen.send(Input::Snapshot(Arc::new(fleet::small()))).await;
    assert!(screen.app.overlays.is_empty());
    let text = screen.text();
    assert!(text.contains("is no longer in question"), "{text}");
    // It was only being tried anew: nobody has decided, so nobody has to look for the question.
    screen.send(Input::Snapshot(asks)).await;
    assert_eq!(screen.app.overlays.len(), 1);
}

#[tokio::test]
async fn a_changed_host_key_is_loud() {
    let mut screen = Screen::small((100, 26));
    let known = vmdeck::domain::host_key::KnownAt {
        source: "~/.ssh/known_hosts".into(),
        line: Some(7),
        key: HostKey {
            algorithm: "ssh-ed25519".into(),
            base64: "BBBB".into(),
            fingerprint: "SHA256:Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm8".into(),
        },
    };
    let state = with_question(HostKeyVerdict::Changed { known: vec![known] });
    screen.send(Input::Snapshot(Arc::new(state))).await;
    insta::assert_snapshot!("host_key_changed", screen.text());
    screen.keys("\"2hYxTE\" enter esc").await;
    assert_eq!(screen.asked(), ["host key: false"]);
}

#[tokio::test]
async fn a_host_is_added_with_a_form() {
    let mut screen = Screen::small((100, 26));
    screen.keys("2 A \"kvm9\" tab \"10.0.0.9:99999\" tab").await;
    insta::assert_snapshot!("host_form", screen.text());
    screen.keys("shift-tab").await;
    for _ in 0..4 {
        screen.keys("backspace").await;
    }
    screen.keys("shift-tab shift-tab enter").await;
    assert_eq!(screen.asked(), ["save host kvm9 at 10.0.0.9:9"]);
    assert!(screen.app.overlays.is_empty());
}

#[tokio::test]
async fn forgetting_a_host_wants_a_yes() {
    let mut screen = Screen::small((80, 24));
    screen.keys("2 D enter D y").await;
    assert_eq!(screen.asked(), ["remove host 5"]);
}

#[tokio::test]
async fn a_plan_that_comes_late_finds_nobody() {
    use vmdeck::tui::event::{Answer, Event};
    use vmdeck::tui::key::KeyPress;
    use vmdeck::tui::update::update;

    let mut screen = Screen::small((80, 24));
    let now = fleet::now();
    let press = |screen: &mut Screen, key: &str| {
        let press: KeyPress = key.parse().unwrap();
        let input = Input::Key(press.to_event());
        update(&mut screen.app, Event { at: now, input })
    };
    assert_eq!(press(&mut screen, "S").len(), 1);
    // Keys wait for the plan: none of these reaches the table.
    for key in ["j", "F", "y", "S"] {
        assert!(press(&mut screen, key).is_empty(), "{key}");
    }
    press(&mut screen, "esc");
    let late = Answer::Planned {
        ticket: 1,
        action: vmdeck::domain::action::ActionKind::Shutdown.into(),
        proposals: Vec::new(),
    };
    screen.send(Input::Answer(late)).await;
    assert!(screen.app.overlays.is_empty());
}

#[tokio::test]
async fn the_header_counts_what_the_error_log_holds_and_nothing_else() {
    let mut screen = Screen::small((120, 30));
    screen
        .app
        .fail(&Failure::new(ErrorKind::Refused, "not now"));
    assert!(screen.text().contains("not now"));
    assert!(!screen.text().contains(" error"), "a refusal is not logged");
    let mut state = (*screen.app.snapshot).clone();
    state.errors = 2;
    screen.send(Input::Snapshot(Arc::new(state.clone()))).await;
    assert!(screen.text().contains("2 errors"));
    screen.keys("! esc").await;
    assert!(!screen.text().contains(" error"), "they have been seen");
    state.errors = 3;
    screen.send(Input::Snapshot(Arc::new(state))).await;
    assert!(screen.text().contains("1 error"));
}
