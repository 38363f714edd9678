//! What a host's tier looks like: a colour of its own in the table, and a frame around what is about to be done to
//! production, cell by cell as a terminal keeps them.

use std::fs;

use crate::VMDECK;
use crate::dashboard::open_with;
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::pty::{BLUE, GREEN, RED, Shade, written_in};
use crate::support::write;

/// Colours that nothing else on the screen has.
const THEME: &str = r##"inherits = "dark"

[roles]
"tier.prod" = { fg = "#ff0000" }
"tier.stage" = { fg = "#0000ff" }
"tier.dev" = { fg = "#00ff00" }
"prod.frame" = { fg = "#ff0000" }
"##;

/// Everything on the screen in a colour, one text for all rows.
fn all_in(screen: &vt100::Screen, shade: Shade) -> String {
    let rows = 0..screen.size().0.get();
    rows.map(|row| written_in(screen, row, shade)).collect()
}

#[test]
fn tiers_have_their_colours_and_production_its_frame() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web-1");
    host.start_vm(&id);
    let deck = Deck::new(VMDECK);
    for (name, tier) in [("one", "dev"), ("two", "prod"), ("three", "stage")] {
        deck.add(name, &host, &["--tier", tier]);
    }
    fs::create_dir(deck.home().join("themes")).unwrap();
    write(deck.home().join("themes/tiers.toml"), THEME);
    let mut pty = open_with(&deck, "[tui]\ntheme = \"tiers\"\n", (140, 40));
    pty.wait_text("3 up");
    pty.wait_cells("each host in its colour", |screen| {
        all_in(screen, RED) == "two▲"
            && all_in(screen, GREEN) == "one"
            && all_in(screen, BLUE) == "three"
    });

    // The table is all of them: nothing is said before something is about to be done.
    pty.keys("/host:one\r");
    pty.wait_text("1 of 3");
    pty.keys("F");
    let dialog = pty.wait_text("virsh");
    assert!(
        !dialog.contains('═') && !dialog.contains("PRODUCTION"),
        "{dialog}"
    );
    pty.keys("\x1b");
    pty.wait_for("the dialog gone", |screen| !screen.contains("virsh"));
    pty.keys("/\x15host:two\r");
    pty.wait_cells("the one of production", |screen| {
        all_in(screen, RED) == "two▲" && all_in(screen, GREEN).is_empty()
    });
    pty.keys("F");
    pty.wait_cells("a frame of its own", |screen| {
        let red = all_in(screen, RED);
        let whole = ["╔", "╗", "╚", "╝", "║", "═══"];
        whole.iter().all(|part| red.contains(part)) && screen.contents().contains("▲ PRODUCTION")
    });
    // Its name is wanted, a `y` is not enough.
    pty.keys("y\r");
    pty.wait_text("that is not its name");
    assert_eq!(host.state(&id), "running");
    pty.keys("\x1b");
    pty.wait_cells("no frame", |screen| !all_in(screen, RED).contains('═'));
    pty.keys("\x1b");
    pty.wait_text("3 VMs");
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    assert_eq!(host.state(&id), "running");
}
