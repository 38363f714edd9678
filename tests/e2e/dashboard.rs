//! The dashboard on real VMs, by keys and eyes.

use std::path::Path;
use std::time::Duration;

use crate::VMDECK;
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::pty::Pty;
use crate::support::wait_for;

/// Opens the dashboard in a terminal of this size.
pub(crate) fn open(deck: &Deck, size: (u16, u16)) -> Pty {
    start(deck, &[], size)
}

/// Opens it with this configuration.
pub(crate) fn open_with(deck: &Deck, config: &str, size: (u16, u16)) -> Pty {
    let path = deck.configure(config).display().to_string();
    start(deck, &["--config", &path], size)
}

fn start(deck: &Deck, args: &[&str], size: (u16, u16)) -> Pty {
    let environment = deck.environment();
    let environment = environment
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    Pty::start(Path::new(VMDECK), args, &environment, size)
}

/// The line of the screen that a VM is on.
pub(crate) fn row<'a>(screen: &'a str, vm: &str) -> &'a str {
    screen
        .lines()
        .find(|line| line.contains(vm))
        .unwrap_or_default()
}

#[test]
fn a_vm_is_started_and_forced_off_by_keys() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open(&deck, (140, 40));
    pty.wait_for("the stopped VM", |screen| {
        row(screen, "web-1").contains("stopped")
    });

    pty.keys("s");
    pty.wait_for("it running", |screen| {
        row(screen, "web-1").contains("running")
    });
    assert_eq!(host.state(&id), "running");

    pty.keys("p");
    pty.wait_for("it paused", |screen| {
        row(screen, "web-1").contains("paused")
    });
    assert_eq!(host.state(&id), "paused");

    pty.keys("F");
    let dialog = pty.wait_text("destroy");
    assert!(
        dialog.contains(id.as_str()),
        "the dialog shows the command:\n{dialog}"
    );
    pty.keys("\r");
    pty.wait_for("the dialog gone", |screen| !screen.contains("destroy"));
    assert_eq!(host.state(&id), "paused", "Enter is the safe choice");
    pty.keys("F");
    pty.wait_text("destroy");
    pty.keys("y");
    pty.wait_for("it stopped", |screen| {
        row(screen, "web-1").contains("stopped")
    });
    assert_eq!(host.state(&id), "shut off");

    pty.wait_for_the_end_of_orders();
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    deck.run(&["audit", "verify"]).expect(0);
    let tail = deck.run(&["audit", "tail", "-n", "20"]).expect(0);
    assert!(tail.stdout.contains("force-off"), "{}", tail.stdout);
}

#[test]
fn a_vm_is_reset_and_shut_down_by_keys() {
    let host = LibvirtHost::start();
    let id = host.define_obedient("web-1");
    host.start_vm(&id);
    host.wait_ready(&id);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open(&deck, (140, 40));
    pty.wait_for("the running VM", |screen| {
        screen.contains("1 up") && row(screen, "web-1").contains("running")
    });
    pty.keys("P");
    pty.wait_text("reset");
    pty.keys("r");
    pty.wait_for("the plan of the reset", |screen| {
        screen.contains("virsh") && screen.contains(id.as_str())
    });
    pty.keys("y");
    host.wait_boots(&id, 2);

    pty.wait_for("the dialog gone", |screen| !screen.contains(id.as_str()));
    pty.keys("S");
    pty.wait_for("the plan of the shutdown", |screen| {
        screen.contains("shutdown") && screen.contains(id.as_str())
    });
    pty.keys("y");
    pty.wait_for("it stopped", |screen| {
        row(screen, "web-1").contains("stopped")
    });
    assert_eq!(host.state(&id), "shut off");
    pty.wait_for_the_end_of_orders();
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    let tail = deck.run(&["audit", "tail", "-n", "20"]).expect(0);
    for verb in ["reset", "shutdown"] {
        assert!(tail.stdout.contains(verb), "{verb}: {}", tail.stdout);
    }
}

#[test]
fn what_happens_behind_its_back_is_on_the_screen() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open(&deck, (140, 40));
    pty.wait_for("the stopped VM", |screen| {
        row(screen, "web-1").contains("stopped")
    });
    host.virsh(&["start", id.as_str()]);
    pty.wait_for("it running", |screen| {
        row(screen, "web-1").contains("running")
    });
    host.virsh(&["destroy", id.as_str()]);
    pty.wait_for("it stopped", |screen| {
        row(screen, "web-1").contains("stopped")
    });
    host.define_deaf("late-comer");
    pty.wait_text("late-comer");
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
}

#[test]
fn a_lost_host_keeps_its_rows_and_comes_back_by_itself() {
    let mut host = LibvirtHost::start();
    let id = host.define_deaf("web-1");
    host.start_vm(&id);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open(&deck, (140, 40));
    pty.wait_for("the host up", |screen| {
        row(screen, "web-1").contains("running") && screen.contains("1 up")
    });
    host.sshd.stop();
    pty.wait_for("the host down, its row kept", |screen| {
        screen.contains("1 down") && row(screen, "web-1").contains("running")
    });
    host.sshd.restart();
    pty.wait_for("the host up again", |screen| screen.contains("1 up"));
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
}

#[test]
fn nothing_is_written_to_the_terminal_while_nothing_changes() {
    let host = LibvirtHost::start();
    host.define_deaf("web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let pty = open(&deck, (140, 40));
    pty.wait_for("the stopped VM", |screen| {
        row(screen, "web-1").contains("stopped")
    });
    pty.wait_text("1 up");
    pty.still();
    let reads = host.sshd.session_pids().len();
    assert!(reads > 0, "the host is being read meanwhile");
    // The load of the machine itself may move a figure; then, and only then, there is something to write.
    let mut seen = (pty.bytes_written(), pty.still());
    let idle_writes = wait_for(Duration::from_secs(7), || {
        let bytes = pty.bytes_written();
        if bytes == seen.0 {
            return false;
        }
        let screen = pty.still();
        let same = screen == seen.1;
        seen = (pty.bytes_written(), screen);
        same
    });
    assert!(
        !idle_writes,
        "bytes were written and the screen is the same:\n{}",
        seen.1
    );
}
