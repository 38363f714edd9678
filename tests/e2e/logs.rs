//! What happened, as lists over a real fleet: errors, commands, activity; filtered, copied, written to a file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::Value;

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::wait_for;

/// How long a file may take to be written.
const SOON: Duration = Duration::from_secs(20);

/// A terminal is asked to copy (OSC 52).
const COPIES: &[u8] = b"\x1b]52;c;";

#[test]
fn errors_commands_and_activity_are_read_filtered_copied_and_written_to_a_file() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let key = host.sshd.client_key.path.display().to_string();
    // Nobody listens on port 1.
    let mut nowhere = vec!["host", "add", "kvm2", "--address", "127.0.0.1:1"];
    nowhere.extend(["--user", "ops", "--key-file", &key]);
    deck.run(&nowhere).expect(0);

    let mut pty = open(&deck, (170, 45));
    pty.wait_for("the stopped VM", |screen| {
        row(screen, "web-1").contains("stopped")
    });
    pty.keys("!");
    pty.wait_for("the host that cannot be reached", |screen| {
        screen.contains("Errors") && screen.contains("127.0.0.1:1")
    });
    pty.keys("/host:kvm1\r");
    pty.wait_text("Nothing fits");
    pty.keys("\x1b");
    pty.wait_for("all of them again", |screen| {
        screen.contains("127.0.0.1:1") && !screen.contains("Nothing fits")
    });
    pty.keys("/host:kvm2\r");
    pty.wait_text("/host:kvm2");
    pty.keys("c");
    pty.wait_bytes(COPIES);
    let file = deck.home().join("errors.jsonl");
    pty.keys("X");
    pty.wait_text("vmdeck-errors-");
    // The name that is offered is taken away with the key of every prompt.
    pty.keys(&format!("\x15{}{}\r", "\x7f".repeat(90), file.display()));
    pty.wait_text("wrote ");
    assert!(wait_for(SOON, || file.exists()), "{}", pty.screen());
    let written = fs::read_to_string(&file).unwrap();
    for line in written.lines() {
        let error: Value = serde_json::from_str(line).expect("a line of JSON");
        assert_eq!(error["host"], "kvm2", "{written}");
    }
    assert!(!written.is_empty());
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    pty.keys("q");
    pty.wait_for("the table", |screen| !screen.contains("Errors"));

    pty.keys("s");
    pty.wait_for("the running VM", |screen| {
        row(screen, "web-1").contains("running")
    });
    assert_eq!(host.state(&id), "running");
    pty.keys("@");
    pty.wait_for("the command that was sent", |screen| {
        screen.contains("Commands") && screen.contains("domstats")
    });
    pty.keys("/kind:change host:kvm1\r");
    pty.wait_for("the one that changed something", |screen| {
        !screen.contains("domstats") && row(screen, &id.to_string()).contains("start")
    });
    pty.keys("\r");
    let whole = pty.wait_text("an action");
    assert!(whole.contains("start") && whole.contains("kvm1"), "{whole}");
    pty.keys("q");
    pty.wait_for("the table", |screen| {
        row(screen, "web-1").contains("running")
    });

    pty.keys("L");
    pty.wait_for("who started it, and how", |screen| {
        screen.contains("Activity of web-1") && row(screen, "start").contains("@tui")
    });
    pty.keys("q");
    pty.wait_for("the table", |screen| !screen.contains("Activity of"));
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
}
