//! A shell in a VM over SSH through its host, in a pseudo-terminal. The VM and its host are real; the VM's SSH
//! server is a real sshd beside it, at an address of the loopback that the host reaches, because the guest of
//! the laboratory has no network.

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::support::deck::Deck;
use crate::support::keys::KeyKind;
use crate::support::lab::LibvirtHost;
use crate::support::pty::Pty;
use crate::support::sshd::Sshd;

/// Waits for the prompt's other side: what a shell computes and nobody has typed.
fn answers(pty: &mut Pty, number: u32) {
    pty.wait_for("an open shell", |screen| {
        screen.contains("shell in web-1 on kvm1 as") && screen.contains("live")
    });
    pty.keys(&format!("echo $(({number}*2))-here\r"));
    pty.wait_text(&format!("{}-here", number * 2));
}

#[test]
fn a_shell_goes_through_the_host_and_the_key_is_the_vms_own() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web-1");
    host.start_vm(&id);
    let mut guest = Sshd::builder().start();
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open(&deck, (110, 30));
    pty.wait_for("the running VM", |screen| {
        screen.contains("1 up") && row(screen, "web-1").contains("running")
    });
    pty.keys("e");
    pty.wait_text("its address is not known");
    let key = guest.client_key.path.display().to_string();
    let at = format!("127.0.0.1:{}", guest.port());
    pty.keys(&format!("{}\r{key}\r{at}\r", guest.user()));
    let dialog = pty.wait_text("Is this the key of web-1?");
    let print = guest.host_keys[0].fingerprint();
    assert!(dialog.contains(&print), "{dialog}");
    assert!(dialog.contains(&format!("vm-{id}")), "{dialog}");
    assert_eq!(
        guest.logged("Accepted publickey"),
        0,
        "nobody logs in before"
    );
    let (_, tail) = print.split_at(print.len() - 6);
    pty.keys(tail);
    pty.keys("\r");
    answers(&mut pty, 21);
    pty.keys("exit 3\r");
    pty.wait_text("the shell ended (exit 3)");
    pty.keys("\x1b");
    pty.wait_for("the table", |screen| screen.contains("NAME"));

    // It is found again, and asks nothing.
    pty.keys("e");
    answers(&mut pty, 50);
    pty.keys("\x1d");
    pty.wait_for("the table", |screen| screen.contains("NAME"));

    guest.change_host_key(KeyKind::Ecdsa);
    guest.restart();
    let logins = guest.logged("Accepted publickey");
    pty.keys("e");
    pty.wait_text("THE KEY OF web-1 HAS CHANGED");
    pty.keys("\x1b");
    pty.wait_text("closed");
    assert_eq!(guest.logged("Accepted publickey"), logins);
    guest.stop();
    pty.keys("\r");
    pty.wait_for("why not", |screen| {
        screen.contains(&format!("{} at 127.0.0.1", guest.user()))
            && screen.contains("it opens again by itself")
    });
    pty.keys("\x1b");
    pty.wait_for("the table", |screen| screen.contains("NAME"));
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);

    deck.run(&["audit", "verify"]).expect(0);
    let audit = deck.run(&["audit", "export"]).expect(0).stdout;
    for said in [
        "\"shell\"",
        "ssh -J kvm1 -p",
        "exit 3",
        "host-key-accepted",
        "host-key-rejected",
    ] {
        assert!(audit.contains(said), "{said}: {audit}");
    }
    assert!(
        !audit.contains("-here"),
        "what is typed is not recorded: {audit}"
    );
}
