//! A disk-only snapshot of a real VM whose file systems stand still meanwhile, because QEMU's own guest agent in it was
//! told so.

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::eyes::{asked, sentence};
use crate::run::wait_for_agent;
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;

#[test]
fn the_agent_of_a_vm_is_asked_to_hold_still_for_a_snapshot() {
    let host = LibvirtHost::start();
    let log = host.log_daemon("1:qemu_agent");
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    let id = host.define_with_agent_and_disk("web-1");
    host.start_vm(&id);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    wait_for_agent(&host, "web-1");
    let mut pty = open(&deck, (160, 40));
    pty.wait_for("the running VM", |screen| {
        screen.contains("1 up") && row(screen, "web-1").contains("running")
    });
    pty.keys("t");
    pty.wait_text("This VM has no snapshots");
    // Name, description, disk-only, quiesce, the button.
    pty.keys("N");
    pty.wait_text("Take a snapshot of web-1");
    pty.keys("\u{15}still\t\t \t \t\r");
    let screen = asked(&pty, "Take a snapshot of web-1?");
    assert!(screen.contains("--quiesce"), "{screen}");
    let told = sentence(&screen, "Take a snapshot of web-1?");
    assert!(
        !told.contains("power cut"),
        "its disks are whole then: {told}"
    );
    assert!(
        !said().contains("guest-fsfreeze"),
        "nothing is sent before y"
    );
    pty.keys("y");
    pty.wait_for("it in the tree", |screen| {
        screen.contains("Snapshots of web-1 on kvm1: 1") && screen.contains("still")
    });
    let xml = host.virsh(&["snapshot-dumpxml", id.as_str(), "still"]);
    assert!(xml.contains("<memory snapshot='no'/>"), "{xml}");

    let said = said();
    let (_, after) = said
        .split_once(r#"{"execute":"guest-fsfreeze-freeze"}"#)
        .unwrap_or_else(|| panic!("it was not told to hold still: {said}"));
    // Its one file system stood still, and goes on.
    let answer = after.find(r#"{"return": 1}"#);
    let thaw = after.find(r#"{"execute":"guest-fsfreeze-thaw"}"#);
    assert!(answer.is_some() && answer < thaw, "{after}");
    let (_, thawed) = after.split_at(thaw.unwrap_or_default());
    assert!(thawed.contains(r#"{"return": 1}"#), "{after}");
    let status = r#"{"execute":"guest-fsfreeze-status"}"#;
    let status = host.virsh(&["-q", "qemu-agent-command", "web-1", status]);
    assert!(status.contains("thawed"), "{status}");
    pty.wait_for_the_end_of_orders();
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
}
