//! What a person has set up on the screen is found again: columns, order, filters under a name, the theme, keys; in the
//! profile where it was set up, and in no other.

use crate::VMDECK;
use crate::dashboard::open;
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::pty::{Pty, RED, shows};
use crate::support::write;

#[test]
fn columns_filters_theme_and_keys_are_found_again() {
    let host = LibvirtHost::start();
    host.define_deaf("web-1");
    host.define_deaf("db-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let config = deck.home().join("config.toml");
    write(&config, "[tui.keys]\n\"vms.wide\" = [\"ctrl-w\"]\n");

    let mut pty = open(&deck, (140, 40));
    pty.wait_for("both VMs", |screen| {
        screen.contains("web-1") && screen.contains("db-1") && screen.contains("1 up")
    });
    pty.keys("\x17");
    pty.wait_text("VCPU");
    pty.keys("=");
    pty.wait_text("NAME▾");
    pty.keys("/web\r");
    pty.wait_text("1 of 2");
    pty.keys("Kthe web\r");
    pty.wait_text("the web");
    pty.keys("\x1b");
    pty.wait_text("db-1");
    pty.keys("\x14");
    pty.wait_text("Theme");
    pty.keys("j\r");
    pty.wait_for("the picker gone", |screen| !screen.contains("Theme"));
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);

    let mut pty = open(&deck, (140, 40));
    pty.wait_for("as it was left", |screen| {
        screen.contains("VCPU") && screen.contains("NAME▾") && screen.contains("db-1")
    });
    pty.keys("f");
    pty.wait_text("the web");
    pty.keys("1");
    pty.wait_for("the filter of that name", |screen| {
        screen.contains("1 of 2") && !screen.contains("db-1")
    });
    pty.keys("\x14");
    pty.wait_text("Theme");
    pty.keys("\x1b");
    pty.wait_for("the picker gone", |screen| !screen.contains("Theme"));
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
}

/// Goes on with the only other profile.
fn go_on(pty: &mut Pty, name: &str) {
    pty.keys("6P");
    pty.wait_text("Go on with profile");
    pty.keys("\r");
    pty.wait_for("the table of the other profile", |screen| {
        screen.contains(&format!("vmdeck  {name} ")) && screen.contains("NAME")
    });
}

#[test]
fn each_profile_has_its_own_looks_and_they_are_in_force_after_a_restart() {
    let host = LibvirtHost::start();
    host.define_deaf("web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    deck.run(&["profile", "create", "other"]).expect(0);
    std::fs::create_dir(deck.home().join("themes")).unwrap();
    let theme = "inherits = \"dark\"\n\n[palette]\naccent = \"#ff0000\"\n";
    write(deck.home().join("themes/zz-mine.toml"), theme);

    let mut pty = open(&deck, (150, 40));
    pty.wait_for("the VM", |screen| {
        screen.contains("1 up") && screen.contains("web-1")
    });
    pty.keys("w>=");
    pty.wait_for("wide, by host, downwards", |screen| {
        screen.contains("VCPU") && screen.contains("HOST▾")
    });
    pty.keys("\x14");
    pty.wait_text("zz-mine");
    pty.keys("G\r");
    pty.wait_cells("the theme", |screen| {
        shows(screen, RED) && !screen.contents().contains("zz-mine")
    });
    go_on(&mut pty, "other");
    pty.wait_cells("nothing of it in the other", |screen| {
        let text = screen.contents();
        !shows(screen, RED) && !text.contains("VCPU") && text.contains("NAME▴")
    });
    pty.keys("=\x05");
    pty.wait_text("NAME▾");
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);

    let mut pty = open(&deck, (150, 40));
    pty.wait_cells("the first as it was left", |screen| {
        let text = screen.contents();
        shows(screen, RED) && text.contains("VCPU") && text.contains("HOST▾")
    });
    go_on(&mut pty, "other");
    pty.wait_cells("the other as it was left", |screen| {
        let text = screen.contents();
        !shows(screen, RED) && !text.contains("VCPU") && text.contains("NAME▾")
    });
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
}
