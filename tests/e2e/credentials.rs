//! Credentials in the dashboard: a key that is made there and one that is imported from a file with a passphrase of its
//! own let a host of the laboratory in, and what is on the disk is sealed.

use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::support::deck::Deck;
use crate::support::keys::{KeyKind, KeyPair};
use crate::support::lab::LibvirtHost;
use crate::support::pty::Pty;
use crate::support::{command, run, wait_for, write};

const PASSPHRASE: &str = "open sesame 12";
const OF_THE_KEY: &str = "its own secret 34";

/// Lets only the holder of this key in.
fn let_in(host: &LibvirtHost, public: &str) {
    write(
        host.sshd.dir().join("authorized_keys"),
        format!("{}\n", public.trim()),
    );
}

/// Adds a credential of a key file by the form.
fn import(pty: &mut Pty, path: &Path, passphrase: &str) {
    pty.keys("A");
    pty.wait_text("Log in with");
    pty.keys("imported\t ");
    pty.wait_text("a key file");
    pty.keys(&format!("\t{}\t{passphrase}\t\r", path.display()));
}

/// Has the host log in with a credential, from the view of hosts: its seventh field says so, the eighth which.
fn use_for_host(pty: &mut Pty, steps: &str, name: &str) {
    pty.keys("2");
    pty.wait_text("ADDRESS, VERSION OR TROUBLE");
    pty.keys("E");
    pty.wait_text("Change kvm1");
    pty.keys("\t\t\t\t\t\t");
    pty.keys(steps);
    pty.wait_text("‹ credential ›");
    pty.keys(&format!("\t\x15{name}"));
    // Backwards over the first field to the button.
    pty.keys("\x1b[Z\x1b[Z\x1b[Z\x1b[Z\x1b[Z\x1b[Z\x1b[Z\x1b[Z\r");
    pty.wait_for("the form gone", |screen| !screen.contains("Change kvm1"));
}

/// The fingerprint of a public key as `ssh-keygen` says it.
fn print_of(folder: &Path, public: &str) -> String {
    let path = folder.join("key.pub");
    write(&path, public);
    let line = run(command("ssh-keygen").arg("-lf").arg(&path));
    line.split_whitespace().nth(1).unwrap().to_owned()
}

fn logged_in_with(host: &LibvirtHost, print: &str) -> bool {
    let log = host.sshd.log();
    log.lines()
        .any(|line| line.contains("Accepted publickey") && line.contains(print))
}

/// Every file below a folder that holds these bytes.
fn holding(folder: &Path, wanted: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, wanted));
        } else if fs::read(&path)
            .unwrap_or_default()
            .windows(wanted.len())
            .any(|part| part == wanted)
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_key_that_is_made_and_one_that_is_imported_log_in_and_are_sealed() {
    let host = LibvirtHost::start();
    host.define_deaf("web-1");
    let elsewhere = TempDir::new().unwrap();
    let imported = KeyPair::generate(&elsewhere.path().join("id"), KeyKind::Ed25519, OF_THE_KEY);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let_in(&host, "");
    let public_of = |name: &str| deck.run(&["credential", "public", name]).expect(0).stdout;

    let mut pty = open(&deck, (140, 40));
    pty.keys("6");
    pty.wait_text("No credentials");
    // The first one sets the passphrase of the profile, twice.
    pty.keys("A");
    pty.wait_text("Set a passphrase for default");
    pty.keys(&format!("{PASSPHRASE}\r"));
    pty.wait_text("Once more, the same");
    pty.keys(&format!("{PASSPHRASE}\r"));
    pty.wait_for("the form alone", |screen| {
        screen.contains("a new ed25519 key") && !screen.contains("Set a passphrase")
    });
    pty.keys("ops\t\t\r");
    let added = pty.wait_text("added ops, SHA256:");
    pty.wait_for("its row", |screen| {
        let mut lines = screen.lines();
        lines.any(|line| line.contains("▌ ops") && line.contains(" key "))
    });
    pty.keys("c");
    let public = public_of("ops");
    pty.wait_bytes(STANDARD.encode(public.trim()).as_bytes());
    let_in(&host, &public);
    use_for_host(&mut pty, "\x1b[D", "ops");
    pty.wait_for("the host up", |screen| screen.contains("1 up"));
    let print = print_of(elsewhere.path(), &public);
    assert!(added.contains(&print), "{print}: {added}");
    assert!(logged_in_with(&host, &print), "{}", host.sshd.log());

    // One with a passphrase of its own: the wrong one adds nothing and says why.
    pty.keys("6");
    pty.wait_for("who uses it", |screen| row(screen, "ops").contains("kvm1"));
    import(&mut pty, &imported.path, "not this one");
    pty.wait_text("could not use");
    assert!(
        !deck
            .run(&["credential", "list"])
            .expect(0)
            .stdout
            .contains("imported")
    );
    // Its name, kind and path are still there.
    pty.keys(&format!("\x1b[Z\x15{OF_THE_KEY}\t\r"));
    pty.wait_text("added imported, SHA256:");
    let_in(&host, &imported.public_line());
    use_for_host(&mut pty, "", "imported");
    let print = imported.fingerprint();
    pty.keys("r");
    let used = wait_for(Duration::from_secs(20), || logged_in_with(&host, &print));
    assert!(used, "{}", host.sshd.log());
    pty.wait_for("the host up", |screen| screen.contains("1 up"));
    pty.keys("1q");
    assert_eq!(pty.wait_exit(), 0);
    is_sealed(&deck, &imported);
}

/// Nothing secret is in any file, neither as text nor as the bytes it stands for.
fn is_sealed(deck: &Deck, key: &KeyPair) {
    let pem = key.pem();
    let inside: Vec<&str> = pem.lines().filter(|line| !line.contains("-----")).collect();
    // A piece that begins and ends with whole groups: a line has 70 characters.
    let (line, _) = inside[2].split_at(68);
    let bytes = STANDARD.decode(line).unwrap();
    for secret in [
        line.as_bytes(),
        &bytes,
        b"PRIVATE KEY",
        PASSPHRASE.as_bytes(),
        OF_THE_KEY.as_bytes(),
    ] {
        let files = holding(deck.home(), secret);
        assert!(
            files.is_empty(),
            "{}: {files:?}",
            String::from_utf8_lossy(secret)
        );
    }
    // The public half is no secret, and shows that this way of looking finds what is there.
    let (_, public) = key.public_parts();
    assert!(!holding(deck.home(), public.as_bytes()).is_empty());
    let audit = deck.run(&["audit", "export"]).expect(0).stdout;
    assert!(
        audit.contains("ops") && audit.contains("imported"),
        "{audit}"
    );
}
