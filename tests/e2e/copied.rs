//! What is copied and written from the lists of what happened: the bytes that the terminal is given for its clipboard,
//! and the files, are the rows that are shown.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::pty::Pty;
use crate::support::wait_for;

/// How long a file may take to be written.
const SOON: Duration = Duration::from_secs(20);

/// What terminals are told for the clipboard (OSC 52), up to its end.
fn clipboard(raw: &[u8]) -> Option<String> {
    let begin = b"\x1b]52;c;";
    let at = raw.windows(begin.len()).position(|part| part == begin)?;
    let rest = &raw[at + begin.len()..];
    let end = rest.iter().position(|byte| matches!(byte, 7 | 0x1b))?;
    Some(String::from_utf8(STANDARD.decode(&rest[..end]).unwrap()).unwrap())
}

/// Presses a key that copies; returns what is copied.
fn copied(pty: &mut Pty, key: &str) -> String {
    pty.forget_raw();
    pty.keys(key);
    let raw = pty.wait_raw("a copy", |raw| clipboard(raw).is_some());
    clipboard(&raw).unwrap()
}

/// Writes what is shown into a file of this name.
fn exported(pty: &mut Pty, deck: &Deck, name: &str) -> String {
    let file: PathBuf = deck.home().join(name);
    pty.keys("X");
    pty.wait_text("Write 1 row into a file");
    pty.keys(&format!("\x15{}{}\r", "\x7f".repeat(90), file.display()));
    // What was told of the file before may still stand there, and the name in the dialog.
    pty.wait_for("what was written", |screen| {
        !screen.contains("into a file") && screen.contains("wrote ") && screen.contains(name)
    });
    assert!(wait_for(SOON, || file.exists()), "{}", pty.screen());
    fs::read_to_string(&file).unwrap()
}

/// Filters the list that is open, titled so, to one row, and takes that in every way; returns it as text and as JSON.
fn taken(pty: &mut Pty, deck: &Deck, filter: &str, title: &str) -> (String, Value) {
    pty.wait_text(title);
    pty.keys(&format!("/{filter}\r"));
    pty.wait_for("one row", |screen| {
        screen.contains(&format!("/{filter}")) && row(screen, "╰").contains(" 1 of ")
    });
    let line = copied(pty, "c");
    assert_eq!(copied(pty, "Y"), format!("{line}\n"));
    let name = title.replace(' ', "-");
    let text = exported(pty, deck, &format!("{name}.txt"));
    assert_eq!(text, format!("{line}\n"));
    let json = exported(pty, deck, &format!("{name}.jsonl"));
    assert_eq!(json.lines().count(), 1, "{json}");
    // The first one takes the filter away.
    pty.keys("q");
    pty.wait_for("the table", |screen| !screen.contains(title));
    (line, serde_json::from_str(&json).unwrap())
}

/// Adds a host that lets nobody of that name in: told once, since nobody tries again by itself.
fn stranger(deck: &Deck, host: &LibvirtHost) {
    let known = host.sshd.known_hosts();
    let (_, pinned) = known.lines().next().unwrap().split_once(' ').unwrap();
    let address = format!("127.0.0.1:{}", host.sshd.port());
    let key = host.sshd.client_key.path.display().to_string();
    let mut args = vec!["host", "add", "kvm2", "--address", &address];
    args.extend([
        "--user",
        "no-such-user",
        "--key-file",
        &key,
        "--host-key",
        pinned,
    ]);
    deck.run(&args).expect(0);
}

#[test]
fn what_is_copied_and_written_is_the_row_that_is_shown() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    stranger(&deck, &host);
    let mut pty = open(&deck, (170, 45));
    pty.wait_for("the stopped VM", |screen| {
        row(screen, "web-1").contains("stopped")
    });
    pty.keys("s");
    pty.wait_for("the running VM", |screen| {
        row(screen, "web-1").contains("running")
    });
    pty.wait_for_the_end_of_orders();

    pty.keys("@");
    let (line, json) = taken(&mut pty, &deck, "kind:change", "Commands sent");
    assert!(line.contains(&format!("start {id}")), "{line}");
    assert_eq!(json["host"], "kvm1");
    assert!(json["command"].as_str().unwrap().contains(id.as_str()));

    pty.keys("L");
    let (line, json) = taken(&mut pty, &deck, "status:ok", "Activity of web-1");
    assert!(line.contains("start") && line.contains("@tui"), "{line}");
    let audit = deck.run(&["audit", "export"]).expect(0).stdout;
    let recorded: Vec<Value> = audit
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(recorded.contains(&json), "{json}\n{audit}");

    pty.keys("!");
    let (line, json) = taken(&mut pty, &deck, "host:kvm2", "Errors");
    let message = json["message"].as_str().unwrap();
    assert!(line.contains("kvm2") && line.contains(message), "{line}");
    assert!(message.contains("no-such-user"), "{json}");
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
}
