//! The doctor in the dashboard on a host of the laboratory: what is wrong is a row with what mends it, and is gone once
//! it is mended.

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::write;

#[test]
fn what_is_wrong_with_a_host_is_shown_with_what_mends_it_until_it_is_mended() {
    let host = LibvirtHost::builder()
        .script(
            "virsh",
            "[ -e \"$XDG_DATA_HOME/gone\" ] && exit 127\nexec \"$REAL\" \"$@\"",
        )
        .start();
    host.define_deaf("web-1");
    let allowed = host.sshd.dir().join("authorized_keys");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    write(&allowed, "");
    write(host.file("gone"), "");
    let mut pty = open(&deck, (140, 40));
    pty.keys("2");
    pty.wait_text("ADDRESS, VERSION OR TROUBLE");
    // In the line below the table as well, ready to be pasted.
    pty.wait_text("with `vmdeck host edit kvm1`)");
    pty.keys("i");
    let found = pty.wait_for("1 problem, and what was not looked at", |screen| {
        screen.contains("1 problem") && row(screen, " tool ").contains("not reached")
    });
    assert!(row(&found, "✕ problem").contains("login"), "{found}");
    assert!(row(&found, "do: ").contains("authorized_keys"), "{found}");

    // Mended by hand, and looked at again: it goes one step further.
    write(&allowed, host.sshd.client_key.public_line());
    pty.keys("r");
    let found = pty.wait_for("the next one", |screen| {
        row(screen, "✕ problem").contains(" tool ")
    });
    assert!(
        row(&found, "do: ").contains("virsh") || row(&found, "do: ").contains("libvirt"),
        "the cursor follows to what is wrong now: {found}"
    );
    std::fs::remove_file(host.file("gone")).unwrap();
    pty.keys("r");
    let found = pty.wait_text("everything that was looked at is in order");
    assert!(row(&found, " latency ").contains("1 VMs read"), "{found}");
    assert!(
        !found.contains("✕ problem") && !found.contains("do: "),
        "{found}"
    );
    pty.keys("qr");
    pty.wait_for("the host up", |screen| screen.contains("1 up"));
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
}
