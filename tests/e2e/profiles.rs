//! From one profile to another without leaving the dashboard; a profile that is locked and unlocked.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::VMDECK;
use crate::dashboard::open;
use crate::support::deck::{Deck, Run};
use crate::support::write;

#[test]
fn the_dashboard_goes_on_with_another_profile_and_comes_back() {
    let deck = Deck::new(VMDECK);
    let secret = deck.home().join("passphrase");
    write(&secret, "open sesame 12");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let mut made = deck.command(&["profile", "create", "other", "--passphrase"]);
    Run::of(made.env("VMDECK_PASSPHRASE_FILE", &secret)).expect(0);
    let mut pty = open(&deck, (120, 30));
    pty.wait_for("the first profile", |screen| {
        screen.contains("vmdeck  default")
    });
    pty.keys("6P");
    pty.wait_text("Go on with profile");
    pty.keys("\r");
    pty.wait_text("Unlock other");
    pty.keys("open sesame 12\r");
    pty.wait_for("the other one, open", |screen| {
        screen.contains("vmdeck  other · unlocked") && !screen.contains("Unlock other")
    });
    pty.keys(":");
    pty.keys("switch profile");
    pty.keys("\r");
    pty.wait_text("Go on with profile");
    pty.keys("\r");
    pty.wait_for("the first one again", |screen| {
        screen.contains("vmdeck  default")
    });

    // One that cannot be opened leaves one where one came from.
    let folder = deck.home().join("profiles/other");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    pty.keys("6P");
    pty.wait_text("Go on with profile");
    pty.keys("\r");
    // It begins anew with the table, in the profile that can be opened.
    pty.wait_for("the first one once more", |screen| {
        screen.contains("vmdeck  default") && screen.contains("0 VMs")
    });
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
}

#[test]
fn a_profile_is_unlocked_and_locked_by_keys() {
    let deck = Deck::new(VMDECK);
    let secret = deck.home().join("passphrase");
    write(&secret, "open sesame 12");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let add = ["credential", "add", "ops", "--generate", "ed25519"];
    let mut adding = deck.command(&add);
    Run::of(adding.env("VMDECK_PASSPHRASE_FILE", &secret)).expect(0);
    let mut pty = open(&deck, (120, 30));
    pty.wait_text("Unlock default");
    pty.keys("\x1b");
    pty.wait_for("the question gone", |screen| {
        screen.contains("default · locked") && !screen.contains("Unlock default")
    });
    pty.keys("6");
    pty.wait_text("Profile default is locked");
    pty.keys("u");
    pty.wait_text("Unlock default");
    pty.keys("open sesame 12\r");
    pty.wait_text("Profile default is unlocked");
    pty.keys("x");
    pty.wait_text("Profile default is locked");
    pty.keys("R");
    pty.wait_text("u unlocks it");
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
}
