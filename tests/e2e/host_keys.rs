//! Host keys in the dashboard, against a real sshd: an unknown one is trusted by the end of its fingerprint and by
//! nothing else, a changed one stops everything until a person says in so many words that the old one is void.

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::support::deck::Deck;
use crate::support::keys::KeyKind;
use crate::support::lab::LibvirtHost;
use crate::support::pty::Pty;
use crate::support::wait_for;

use std::time::Duration;

/// How often somebody has begun to log in, by whatever the server says of it.
fn attempts(host: &LibvirtHost) -> usize {
    let begun = ["publickey", "Accepted key", "authenticating user"];
    begun.iter().map(|words| host.sshd.logged(words)).sum()
}

/// The last characters of a fingerprint, which the dialog asks for.
fn tail(print: &str) -> &str {
    print.split_at(print.len() - 6).1
}

/// Waits for the dialog of this title, all of it: its keys are drawn last.
fn dialog(pty: &Pty, title: &str) -> String {
    pty.wait_for(title, |screen| {
        screen.contains(title) && screen.contains("enter leave it")
    })
}

#[test]
fn an_unknown_key_is_trusted_by_the_end_of_its_fingerprint_and_by_nothing_else() {
    let host = LibvirtHost::start();
    host.define_deaf("web-1");
    let deck = Deck::new(VMDECK);
    deck.add_unpinned("kvm1", &host, &[]);
    let print = host.sshd.host_keys[0].fingerprint();
    let refused = deck.once(&["list"]).expect(5);
    assert!(
        refused.stderr.contains(&print) && refused.stderr.contains("host trust"),
        "{refused:?}"
    );

    let mut pty = open(&deck, (140, 40));
    let asked = dialog(&pty, "Is this the key of kvm1?");
    assert!(row(&asked, "shown now").contains(&print), "{asked}");
    // Enter alone is the safe choice, and the question can be had again.
    pty.keys("\r");
    pty.wait_for("the dialog gone", |screen| !screen.contains("shown now"));
    pty.keys("2K");
    let asked = dialog(&pty, "Is this the key of kvm1?");
    assert!(row(&asked, "shown now").contains(&print), "{asked}");
    pty.keys("y12345\r");
    pty.wait_text("that is not what is asked for");
    assert_eq!(attempts(&host), 0, "{}", host.sshd.log());

    pty.keys(&format!("\x15{}\r", tail(&print)));
    pty.wait_for("the host up", |screen| screen.contains("1 up"));
    pty.keys("1");
    pty.wait_for("its VM", |screen| row(screen, "web-1").contains("stopped"));
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    assert_eq!(host.sshd.logged("Accepted publickey"), 1);
    // It is pinned: nobody is asked again, and no other key would do.
    deck.once(&["list"]).expect(0);
    let audit = deck.run(&["audit", "export"]).expect(0).stdout;
    assert!(audit.contains(&print), "{audit}");
}

#[test]
fn a_changed_key_stops_everything_until_its_sentence_is_typed() {
    let mut host = LibvirtHost::start();
    let id = host.define_deaf("web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let old = host.sshd.host_keys[0].fingerprint();
    let mut pty = open(&deck, (140, 40));
    pty.wait_for("the host up", |screen| {
        screen.contains("1 up") && row(screen, "web-1").contains("stopped")
    });
    let before = attempts(&host);
    host.sshd.change_host_key(KeyKind::Ecdsa);
    host.sshd.restart();
    let new = host.sshd.host_keys[0].fingerprint();

    let asked = dialog(&pty, "THE KEY OF kvm1 HAS CHANGED");
    assert!(row(&asked, "shown now").contains(&new), "{asked}");
    assert!(row(&asked, "known until  ").contains(&old), "{asked}");
    let (_, sentence) = asked.split_once("To trust the new key, type: ").unwrap();
    let sentence = sentence
        .lines()
        .next()
        .unwrap()
        .trim_matches(['│', ' ', '|']);
    assert!(sentence.contains(&host.sshd.label()), "{sentence}");
    // Neither a yes nor what accepts an unknown key is enough.
    pty.keys(&format!("{}\r", tail(&new)));
    pty.wait_text("that is not what is asked for");
    pty.keys("\x1b");
    pty.wait_for("the dialog gone", |screen| !screen.contains("shown now"));
    // What is known stays in sight, and nothing is sent.
    pty.keys("s");
    pty.wait_for("why not", |screen| {
        row(screen, "web-1").contains("stopped") && screen.contains("kvm1 waits for you")
    });
    let dialled = host.sshd.logged("Connection from");
    pty.keys("2r");
    let again = wait_for(Duration::from_secs(10), || {
        host.sshd.logged("Connection from") > dialled
    });
    assert!(again, "{}", host.sshd.log());
    // The answer to the key: before it the host may still be dialled.
    pty.wait_text("kvm1 needs you: THE HOST KEY");
    pty.keys("K");
    dialog(&pty, "THE KEY OF kvm1 HAS CHANGED");
    assert_eq!(attempts(&host), before, "{}", host.sshd.log());
    deck.once(&["list"]).expect(5);
    assert_eq!(attempts(&host), before, "{}", host.sshd.log());
    assert_eq!(host.state(&id), "shut off");

    pty.keys(&format!("{sentence}\r"));
    pty.wait_for("the host up", |screen| screen.contains("1 up"));
    assert!(attempts(&host) > before);
    pty.keys("1");
    // It may be acted on again once it has been read.
    pty.wait_text("s start");
    pty.keys("s");
    pty.wait_for("it running", |screen| {
        row(screen, "web-1").contains("running")
    });
    let runs = wait_for(Duration::from_secs(10), || host.state(&id) == "running");
    assert!(runs, "{}", host.state(&id));
    pty.wait_for_the_end_of_orders();
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    deck.once(&["list"]).expect(0);
}
