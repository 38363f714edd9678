//! How many connections a host sees: one for everything that is read and done, and at most one more while somebody
//! reaches into one of its VMs.

use std::fs;
use std::time::Duration;

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::pty::Pty;
use crate::support::sshd::Sshd;
use crate::support::wait_for;

/// Connections that are open now: sshd has a process of its own for each.
fn open_now(sshd: &Sshd) -> usize {
    let pid = sshd.pid();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.split_whitespace().count()
}

/// Waits until so many are open and so many logins were made in all.
#[track_caller]
fn expect(sshd: &Sshd, connections: usize, logins: usize) {
    let seen = || (open_now(sshd), sshd.logged("Accepted publickey"));
    let came = wait_for(Duration::from_secs(20), || seen() == (connections, logins));
    assert!(
        came,
        "{:?} of {:?}: {}",
        seen(),
        (connections, logins),
        sshd.log()
    );
}

/// Opens a shell in the VM under the cursor, whose SSH server stands beside it; never over a third connection.
fn shell(pty: &mut Pty, guest: &Sshd, sshd: &Sshd) {
    pty.keys("e");
    pty.wait_text("its address is not known");
    let key = guest.client_key.path.display().to_string();
    let at = format!("127.0.0.1:{}", guest.port());
    pty.keys(&format!("{}\r{key}\r{at}\r", guest.user()));
    pty.wait_text("of the fingerprint:");
    assert!(open_now(sshd) <= 2, "{}", sshd.log());
    let print = guest.host_keys[0].fingerprint();
    pty.keys(&format!("{}\r", print.split_at(print.len() - 6).1));
    pty.wait_text("live");
    assert_eq!(guest.logged("Accepted publickey"), 1);
    assert_eq!(open_now(sshd), 2, "{}", sshd.log());
}

#[test]
fn reaching_into_vms_costs_one_more_connection_for_as_long_as_it_lasts() {
    let host = LibvirtHost::start();
    let video = "<video><model type='vga'/></video>";
    let os = "<os><type arch='x86_64'>hvm</type></os>";
    for name in ["web-1", "web-2"] {
        host.start_vm(&host.define(name, os, video));
    }
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let sshd = &host.sshd;
    let guest = Sshd::start();
    let mut pty = open(&deck, (110, 30));
    pty.wait_for("the running VMs", |screen| {
        screen.contains("1 up") && row(screen, "web-2").contains("running")
    });
    expect(sshd, 1, 1);

    // For as long as a console is open.
    pty.keys("a");
    pty.wait_text("live");
    expect(sshd, 2, 2);
    pty.keys("\x1d");
    pty.wait_for("the table", |screen| screen.contains("NAME"));
    expect(sshd, 1, 2);

    // Picture after picture over one and the same.
    pty.keys("i");
    pty.wait_for("a picture", |screen| {
        screen.contains("screen of web-1") && screen.contains('▀')
    });
    expect(sshd, 2, 3);
    for _ in 0..3 {
        pty.keys("r");
    }
    pty.still();
    expect(sshd, 2, 3);
    pty.keys("\x1b");
    pty.wait_for("the table", |screen| screen.contains("NAME"));
    expect(sshd, 1, 3);

    // A shell in a VM goes through the same second one, also while its key is asked about.
    shell(&mut pty, &guest, sshd);
    pty.keys("\x1d");
    pty.wait_for("the table", |screen| screen.contains("NAME"));
    let logins = sshd.logged("Accepted publickey");
    expect(sshd, 1, logins);

    // Acting and looking meanwhile goes over the first.
    pty.keys("jp");
    pty.wait_for("it paused", |screen| {
        row(screen, "web-2").contains("paused")
    });
    expect(sshd, 1, logins);
    pty.wait_for_the_end_of_orders();
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    expect(sshd, 0, logins);
}
