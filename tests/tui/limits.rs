//! The ends of the scale: no room, no VMs, ten thousand of them, names that mean harm, nothing to do.

use std::sync::Arc;

use ratatui::buffer::Buffer;
use vmdeck::domain::host::HypervisorKind;
use vmdeck::domain::text::is_hostile;
use vmdeck::domain::vm::{PowerState, Vm};
use vmdeck::testing::fleet;
use vmdeck::tui::event::Input;
use vmdeck::tui::terminal::Surface;
use vmdeck::tui::view::view;

use crate::harness::Screen;

const EVERYTHING: [&str; 19] = [
    "", "w", "2", "5", "6", "enter", "m", "P", "?", ":", "f", "o", "* S", "2 A", "2 i", "!", "@",
    "L", "! X",
];

#[tokio::test]
async fn no_size_is_too_small_to_survive() {
    for keys in EVERYTHING {
        let mut screen = Screen::small((80, 24));
        screen.keys(keys).await;
        for width in [0, 1, 2, 3, 7, 20, 29, 30, 31, 45, 79, 200, 300] {
            for height in [0, 1, 2, 5, 7, 8, 9, 13, 60] {
                screen.send(Input::Resize(width, height)).await;
                screen.frame();
            }
        }
    }
}

#[tokio::test]
async fn a_screen_that_is_too_small_says_so() {
    let mut screen = Screen::small((25, 5));
    assert!(screen.text().contains("too small"));
}

#[tokio::test]
async fn an_empty_fleet_says_what_to_do() {
    let mut screen = Screen::new(fleet::state(Vec::new()), (80, 24));
    assert!(screen.text().contains("A adds the first one"));
    screen
        .keys("j k G S F enter space * V p d y L c Y r w o")
        .await;
    screen.keys("enter 2 enter D E i K r 5 x c tab j").await;
    let mut asked = screen.asked();
    // What is set up on the screen is kept without any host.
    asked.retain(|asked| !asked.starts_with("remember "));
    assert!(asked.is_empty(), "{asked:?}");
}

#[tokio::test]
async fn names_that_mean_harm_are_shown_and_do_none() {
    let names = [
        "a\u{1b}[2J\u{1b}]0;title\u{7}b",
        "c\u{9b}31md",
        "rtl\u{202e}gnp.exe",
        "zero\u{200b}width",
        "tower\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}",
        "wide日本語日本語日本語日本語日本語",
        "'; rm -rf / #",
        &"x".repeat(200),
    ];
    let vms = names
        .iter()
        .enumerate()
        .map(|(n, name)| Vm::new(fleet::vm_id(1, n), (*name).into(), PowerState::Running));
    let spec = fleet::host_spec(1, "kvm1", None, &[]);
    let host = fleet::host(spec, HypervisorKind::Libvirt, vms.collect());
    let mut screen = Screen::new(fleet::state(vec![host]), (80, 24));
    insta::assert_snapshot!("hostile_names", screen.text());
    for keys in [
        "S",
        "esc d",
        "esc enter",
        "esc m",
        "esc Y",
        "esc : \"rm\"",
        "esc * S",
    ] {
        screen.keys(keys).await;
        for cell in &screen.frame().content {
            assert!(
                !cell.symbol().chars().any(is_hostile),
                "{:?}",
                cell.symbol()
            );
        }
    }
}

#[tokio::test]
async fn a_name_is_compared_as_the_host_has_it() {
    let spec = fleet::host_spec(1, "kvm1", Some("prod"), &[]);
    let vm = Vm::new(fleet::vm_id(1, 1), "a\u{200b}b".into(), PowerState::Running);
    let host = fleet::host(spec, HypervisorKind::Libvirt, vec![vm]);
    let mut screen = Screen::new(fleet::state(vec![host]), (80, 24));
    screen.keys("F \"ab\" enter").await;
    assert_eq!(screen.asked().len(), 1);
}

#[tokio::test]
async fn ten_thousand_vms() {
    let mut screen = Screen::new(fleet::grid(100, 100), (120, 40));
    screen.keys("G").await;
    assert!(screen.text().contains("10000 VMs"));
    screen.keys("/ \"web-00 cpu>50\"").await;
    let shown = screen.app.vms.rows.visible().len();
    assert!((1..10_000).contains(&shown), "{shown}");
    screen.keys("enter * S").await;
    assert!(screen.text().contains("Shut down"));
}

#[tokio::test]
async fn nothing_is_written_while_nothing_changes() {
    let mut state = fleet::small();
    state.operations.clear();
    state.hosts.retain(|host| host.health.is_up());
    let mut screen = Screen::new(state.clone(), (100, 24));
    let mut surface = Surface::new(Vec::new(), (100, 24));
    let draw = |screen: &mut Screen, surface: &mut Surface<Vec<u8>>| {
        surface
            .draw(|buf: &mut Buffer| view(&screen.app, &screen.theme, &mut screen.state, buf))
            .unwrap();
        surface.output().len()
    };
    let written = draw(&mut screen, &mut surface);
    for generation in 2..12 {
        state.generation = generation;
        screen.send(Input::Snapshot(Arc::new(state.clone()))).await;
        assert_eq!(draw(&mut screen, &mut surface), written);
    }
    screen.keys("j").await;
    assert!(draw(&mut screen, &mut surface) > written);
}

#[tokio::test]
async fn a_quiet_fleet_wakes_nobody_up_before_rows_grow_old() {
    let mut state = fleet::small();
    state.operations.clear();
    state.hosts.retain(|host| host.spec.name.as_str() == "kvm1");
    let screen = Screen::new(state, (100, 24));
    // Read a second ago, at a tick of three seconds: old in five.
    let wait = screen.app.next_tick().unwrap();
    assert!((4..6).contains(&wait.as_secs()), "{wait:?}");
    let empty = Screen::new(fleet::state(Vec::new()), (100, 24));
    assert_eq!(empty.app.next_tick(), None);
}

#[test]
fn the_keys_in_the_docs_are_those_of_the_program() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/tui.md");
    let text = std::fs::read_to_string(path).unwrap();
    let table = vmdeck::tui::command::markdown_table();
    let begin = "<!-- keys: made from src/tui/command -->\n";
    let (head, rest) = text.split_once(begin).unwrap();
    let (written, tail) = rest.split_once("<!-- end of keys -->").unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch of this test, not of the program"
    )]
    if std::env::var_os("VMDECK_UPDATE_DOCS").is_some() {
        std::fs::write(
            path,
            format!("{head}{begin}{table}<!-- end of keys -->{tail}"),
        )
        .unwrap();
    } else {
        assert!(written == table, "run the tests with VMDECK_UPDATE_DOCS=1");
    }
}
