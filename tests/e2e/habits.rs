//! What a person has set up on the screen is found again: columns, order, filters under a name, the theme, keys.

use crate::VMDECK;
use crate::dashboard::open;
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
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
