//! The console of a VM as the screen shows it, with words of a VM put in its mouth.

use std::sync::Arc;

use vmdeck::domain::console::{ConsoleEnd, ConsoleEndKind, ConsoleNews};
use vmdeck::domain::error_kind::{ErrorKind, Failure};
use vmdeck::domain::guest_command::GuestVerb;
use vmdeck::domain::inventory::FleetSnapshot;
use vmdeck::domain::policy::{Effect, Rule};
use vmdeck::testing::fleet;
use vmdeck::tui::event::Input;
use vmdeck::tui::overlay::Overlay;

use crate::harness::{Screen, styles_of};

async fn says(screen: &mut Screen, text: &str) {
    let ticket = ticket(screen);
    let news = ConsoleNews::Output(text.as_bytes().to_vec());
    screen.send(Input::Console(ticket, news)).await;
}

async fn ends(screen: &mut Screen, why: ConsoleEndKind, words: &str) {
    let ticket = ticket(screen);
    let end = ConsoleEnd {
        why,
        cause: Failure::new(ErrorKind::Conflict, words),
    };
    screen
        .send(Input::Console(ticket, ConsoleNews::Ended(end)))
        .await;
}

fn ticket(screen: &Screen) -> u64 {
    match screen.app.overlays.last() {
        Some(Overlay::Console(console)) => console.ticket,
        other => panic!("no console: {other:?}"),
    }
}

async fn open() -> Screen {
    let mut screen = Screen::small((80, 24));
    screen.keys("/ \"web-1\" enter a").await;
    screen
}

#[tokio::test]
async fn a_console_shows_cells_and_nothing_else_of_what_a_vm_writes() {
    let mut screen = open().await;
    assert_eq!(screen.asked(), ["console of 6c090002 80x24"]);
    says(
        &mut screen,
        "boot \x1b[1;32mok\x1b[0m\r\n\x1b]0;title\x07\x1b]52;c;aGk=\x07\x07\x1b[?1049h\x1b[2J\x1b[H\x1b[44m日本\x1b[0m \u{202e}evil\r\nlogin: ",
    )
    .await;
    insta::assert_snapshot!(screen.text());
    insta::assert_snapshot!(styles_of(&screen.frame()));
}

/// The dashboard at web-1 under one rule about consoles.
async fn ruled(effect: Effect) -> Screen {
    let mut state = fleet::small();
    state.policy = Arc::from([Rule {
        name: "no-consoles".into(),
        verbs: vec![GuestVerb::Console.into()],
        effect: Some(effect),
        ..Rule::default()
    }]);
    let mut screen = Screen::new(state, (80, 24));
    screen.keys("/ \"web-1\" enter a").await;
    screen
}

#[tokio::test]
async fn a_rule_of_the_policy_denies_a_console_or_asks_for_it() {
    let mut screen = ruled(Effect::Deny).await;
    assert!(screen.text().contains("`no-consoles`"), "{}", screen.text());
    assert!(!screen.text().contains("a console"), "{}", screen.text());
    assert!(screen.asked().is_empty(), "{:?}", screen.asked());

    let mut screen = ruled(Effect::Confirm).await;
    assert!(screen.text().contains("no-consoles"), "{}", screen.text());
    screen.keys("enter").await;
    assert!(screen.asked().is_empty(), "{:?}", screen.asked());
    screen.keys("a y").await;
    assert_eq!(screen.asked(), ["console of 6c090002 80x24"]);

    let mut screen = ruled(Effect::TypeName).await;
    screen.keys("y enter").await;
    assert!(screen.asked().is_empty(), "{:?}", screen.asked());
    screen.keys("ctrl-u \"web-1\" enter").await;
    assert_eq!(screen.asked(), ["console of 6c090002 80x24"]);
}

#[tokio::test]
async fn read_only_mode_that_begins_later_ends_the_typing() {
    let mut screen = open().await;
    says(&mut screen, "$ ").await;
    assert!(screen.text().contains("live") && !screen.text().contains("read-only"));
    for (read_only, word) in [(true, "live, read-only"), (false, "live")] {
        let mut state = FleetSnapshot::clone(&screen.app.snapshot);
        state.read_only = read_only;
        screen.send(Input::Snapshot(Arc::new(state))).await;
        assert!(screen.text().contains(word), "{}", screen.text());
        assert_eq!(screen.text().contains("read-only"), read_only);
    }
}

#[tokio::test]
async fn keys_are_the_vms_until_the_one_that_leaves() {
    let mut screen = open().await;
    says(&mut screen, "$ ").await;
    screen.keys("q ctrl-c ctrl-z esc : ? S F \"y\"").await;
    assert!(matches!(
        screen.app.overlays.last(),
        Some(Overlay::Console(_))
    ));
    assert!(screen.local.is_empty(), "{:?}", screen.local);
    assert_eq!(screen.asked().len(), 1);
    screen.keys("ctrl-5").await;
    assert!(screen.app.overlays.is_empty());
}

#[tokio::test]
async fn a_console_that_somebody_has_is_taken_over_only_when_told() {
    let mut screen = open().await;
    ends(
        &mut screen,
        ConsoleEndKind::InUse,
        "somebody else has this console open",
    )
    .await;
    insta::assert_snapshot!(screen.text());
    screen.later(100).await;
    assert_eq!(screen.asked().len(), 1, "it does not fight");
    screen.keys("f").await;
    assert_eq!(screen.asked()[1], "console of 6c090002 80x24, taken over");
}

#[tokio::test]
async fn a_console_that_was_cut_is_asked_for_again() {
    let mut screen = open().await;
    says(&mut screen, "last words").await;
    ends(&mut screen, ConsoleEndKind::Cut, "the console was cut").await;
    assert!(screen.text().contains("last words"));
    assert!(
        screen.text().contains("opens again by itself"),
        "{}",
        screen.text()
    );
    screen.later(1).await;
    assert_eq!(screen.asked().len(), 2);
    // What the first one still says is nobody's.
    screen
        .send(Input::Console(1, ConsoleNews::Output(b"ghost".to_vec())))
        .await;
    assert!(!screen.text().contains("ghost"));
}

#[tokio::test]
async fn older_lines_are_scrolled_to_and_a_key_returns() {
    let mut screen = open().await;
    for n in 0..100 {
        says(&mut screen, &format!("line {n}\r\n")).await;
    }
    screen.keys("shift-pgup").await;
    let text = screen.text();
    assert!(
        text.contains("lines back") && text.contains("line 60"),
        "{text}"
    );
    assert!(!text.contains("line 99"), "{text}");
    screen.keys("x").await;
    assert!(screen.text().contains("line 99"));
}

#[tokio::test]
async fn a_small_terminal_shows_the_part_where_the_cursor_is() {
    let mut screen = open().await;
    says(&mut screen, "\x1b[24;1Hbottom line").await;
    assert!(screen.text().contains("bottom line"));
    screen.app.size = (60, 10);
    screen.send(Input::Resize(60, 10)).await;
    let text = screen.text();
    assert!(text.contains("bottom line"), "{text}");
    screen.send(Input::Resize(20, 5)).await;
    screen.app.size = (20, 5);
    assert!(!screen.text().trim().is_empty());
}
