//! The mouse on real VMs: titles sort, keys of the footer and items of menus do what keys do, the wheel moves.

use crate::VMDECK;
use crate::dashboard::{open_with, row};
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::pty::Pty;

/// Presses the left button on the first place where a text stands, as xterm reports it: one-based.
fn click(pty: &mut Pty, text: &str) {
    let screen = pty.wait_text(text);
    let (line, before) = screen
        .lines()
        .enumerate()
        .find_map(|(at, line)| Some((at + 1, line.split_once(text)?.0)))
        .unwrap();
    let column = before.chars().count() + 1;
    pty.keys(&format!("\x1b[<0;{column};{line}M\x1b[<0;{column};{line}m"));
}

/// The line on which a text stands.
fn line_of(screen: &str, text: &str) -> Option<usize> {
    screen.lines().position(|line| line.contains(text))
}

fn has_cursor(screen: &str, vm: &str) -> bool {
    row(screen, vm).contains('▌')
}

#[test]
fn the_mouse_sorts_acts_chooses_and_scrolls() {
    let host = LibvirtHost::start();
    let web = host.define_deaf("web-1");
    let db = host.define_deaf("db-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open_with(&deck, "[tui]\nmouse = true\n", (140, 40));
    pty.wait_for("the VMs, by name", |screen| {
        screen.contains("1 up")
            && row(screen, "web-1").contains("stopped")
            && line_of(screen, "db-1") < line_of(screen, "web-1")
            && has_cursor(screen, "db-1")
    });
    assert!(pty.takes_mouse());

    // The title that is sorted by turns the order around, another one sorts by it.
    click(&mut pty, "NAME▴");
    pty.wait_for("the other way round", |screen| {
        screen.contains("NAME▾") && line_of(screen, "web-1") < line_of(screen, "db-1")
    });
    click(&mut pty, "HOST");
    pty.wait_for("by another column", |screen| {
        screen.contains("HOST▴") && !screen.contains("NAME▾")
    });
    click(&mut pty, "NAME");
    pty.wait_for("by name", |screen| {
        screen.contains("NAME▴") && line_of(screen, "db-1") < line_of(screen, "web-1")
    });

    // A row, the wheel, and what the footer offers for the row.
    click(&mut pty, "web-1");
    pty.wait_for("the cursor on it", |screen| has_cursor(screen, "web-1"));
    pty.keys("\x1b[<64;20;3M");
    pty.wait_for("the cursor above", |screen| has_cursor(screen, "db-1"));
    pty.keys("\x1b[<65;20;3M");
    pty.wait_for("the cursor below", |screen| has_cursor(screen, "web-1"));
    click(&mut pty, "s start");
    pty.wait_for("it running", |screen| {
        row(screen, "web-1").contains("running")
    });
    assert_eq!(host.state(&web), "running");
    assert_eq!(host.state(&db), "shut off");

    // An item of a menu: the first click goes there, the second chooses it.
    click(&mut pty, "m menu");
    click(&mut pty, "p  pause");
    pty.wait_for("the cursor on the item", |screen| {
        row(screen, "p  pause").contains('▌') && row(screen, "web-1").contains("running")
    });
    assert_eq!(host.state(&web), "running");
    click(&mut pty, "p  pause");
    pty.wait_for("it paused", |screen| {
        row(screen, "web-1").contains("paused")
    });
    assert_eq!(host.state(&web), "paused");

    // What asks by keys asks here as well, and what lies below the question cannot be clicked.
    pty.keys("F");
    pty.wait_text("destroy");
    click(&mut pty, "db-1");
    pty.keys("\x1b");
    pty.wait_for("the same as before", |screen| {
        !screen.contains("destroy") && has_cursor(screen, "web-1")
    });
    assert_eq!(host.state(&web), "paused");
    pty.wait_for_the_end_of_orders();
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    assert!(!pty.takes_mouse(), "the mouse is still taken");
}
