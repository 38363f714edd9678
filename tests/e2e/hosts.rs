//! Hosts by keys: one is taken over from the configuration of the SSH client, and one that is read-only takes an
//! action while a person has lifted that, and no longer.

use std::time::Duration;

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::{wait_for, write};

#[test]
fn a_host_is_imported_and_a_read_only_one_is_lifted_for_a_while() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &["--read-only"]);
    std::fs::create_dir(deck.home().join(".ssh")).unwrap();
    let config = format!(
        "Host other\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {}\n",
        host.sshd.port(),
        host.sshd.user(),
        host.sshd.client_key.path.display()
    );
    write(deck.home().join(".ssh/config"), config);

    let mut pty = open(&deck, (140, 40));
    pty.wait_for("the VM", |screen| {
        screen.contains("1 up") && row(screen, "web-1").contains("stopped")
    });
    pty.keys("s");
    pty.wait_text("read-only");
    pty.keys(":rw kvm1 5m\r");
    pty.wait_text("RW kvm1");
    pty.keys("s");
    pty.wait_for("the VM running", |screen| {
        row(screen, "web-1").contains("running")
    });
    assert_eq!(host.state(&id), "running");
    pty.keys(":ro kvm1\r");
    pty.wait_for("the end of it", |screen| !screen.contains("RW kvm1"));
    pty.wait_for_the_end_of_orders();

    pty.keys("2");
    pty.wait_text("LATENCY");
    pty.keys("I");
    pty.wait_for("what can be imported", |screen| {
        screen.contains("other") && screen.contains("127.0.0.1")
    });
    pty.keys(" A");
    // Its key is that of the same server, which is known.
    pty.wait_for("the host, connected", |screen| {
        row(screen, "other").contains("up") && row(screen, "other").contains("libvirt")
    });
    pty.keys("1");
    pty.wait_text("UPTIME");
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    let listed = deck.run(&["host", "list"]).expect(0).stdout;
    assert!(listed.contains("other"), "{listed}");
    let audit = deck.run(&["audit", "export"]).expect(0).stdout;
    assert!(audit.contains("\"start\""), "{audit}");
}

#[test]
fn what_was_lifted_for_a_while_is_over_by_itself() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &["--read-only"]);
    let mut pty = open(&deck, (140, 40));
    pty.wait_for("the VM", |screen| {
        screen.contains("1 up") && row(screen, "web-1").contains("stopped")
    });
    pty.keys(":rw kvm1 4s\r");
    pty.wait_text("RW kvm1");
    pty.keys("s");
    pty.wait_for("the VM running", |screen| {
        row(screen, "web-1").contains("running")
    });
    assert_eq!(host.state(&id), "running");
    pty.wait_for("the end of it", |screen| {
        !screen.contains("RW kvm1") && !screen.contains("read-only")
    });
    pty.keys("F");
    pty.wait_text("kvm1 is read-only");
    assert_eq!(host.state(&id), "running");
    let audit = || deck.run(&["audit", "export"]).expect(0).stdout;
    let ended = wait_for(Duration::from_secs(10), || {
        let audit = audit();
        audit.contains("read-only-again") && audit.contains("its time is over")
    });
    assert!(ended, "{}", audit());
    pty.wait_for_the_end_of_orders();
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    let audit = audit();
    assert!(audit.contains("for 4 seconds, until"), "{audit}");
    let sent = |line: &str| line.contains("\"force-off\"") && line.contains("\"intent\"");
    assert!(!audit.lines().any(sent), "{audit}");
}
