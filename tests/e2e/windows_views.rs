//! What a person sees and does on an emulated Hyper-V host behind a real sshd: checkpoints, storage and switches,
//! orders about several VMs, the findings of the doctor, and a clear word where the platform has no way.

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::support::deck::Deck;
use crate::support::pty::Pty;
use crate::support::windows::EmulatedWindows;

const HOST: &str = r#"
[[host]]
name = "hv1"
kind = "hyperv"
[[host.vm]]
name = "app-1"
[[host.vm]]
name = "old-1"
state = "off"
[[host.vm]]
name = "old-2"
state = "off"
"#;

/// The dashboard on such a host, with what it has on the screen.
async fn ground(deck: &Deck) -> (EmulatedWindows, Pty) {
    let host = EmulatedWindows::start(HOST).await;
    deck.add_server("hv1", &host.sshd, &["--kind", "hyperv"]);
    let pty = open(deck, (140, 40));
    pty.wait_for("the running VM", |screen| {
        screen.contains("1 up") && row(screen, "app-1").contains("running")
    });
    (host, pty)
}

fn to_table(pty: &mut Pty) {
    pty.keys("1");
    pty.wait_text("UPTIME");
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_made_reverted_to_and_deleted_by_keys() {
    let deck = Deck::new(VMDECK);
    let (host, mut pty) = ground(&deck).await;
    pty.keys("/name:app-1\r");
    pty.wait_text("1 of 3");
    pty.keys("T");
    pty.wait_text("Checkpoint-VM");
    pty.keys("y");
    pty.wait_text("has a new snapshot");
    pty.keys("t");
    pty.wait_for("the tree", |screen| {
        screen.contains("Snapshots of app-1 on hv1: 1") && screen.contains("disks and memory")
    });
    pty.keys("R");
    pty.wait_text("Restore-VMSnapshot");
    pty.keys("app-1\r");
    pty.wait_text("app-1 reverted");
    pty.keys("D");
    pty.wait_text("Remove-VMSnapshot");
    pty.keys("\r");
    pty.wait_for("the dialog gone", |screen| {
        !screen.contains("Remove-VMSnapshot")
    });
    pty.keys("D");
    pty.wait_text("Remove-VMSnapshot");
    pty.keys("y");
    pty.wait_text("This VM has no snapshots");
    pty.wait_for_the_end_of_orders();
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
    deck.run(&["audit", "verify"]).expect(0);
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_vms_are_started_with_one_order_and_stores_and_findings_are_shown() {
    let deck = Deck::new(VMDECK);
    let (host, mut pty) = ground(&deck).await;
    pty.keys("/old\r");
    pty.wait_text("2 of 3");
    pty.keys("*s");
    pty.wait_text("Start 2 VMs?");
    pty.keys("y");
    pty.wait_text("2 of 2 over: 2 done");
    pty.keys("\x1b");
    pty.wait_for("both running", |screen| {
        row(screen, "old-1").contains("running") && row(screen, "old-2").contains("running")
    });
    pty.wait_for_the_end_of_orders();
    pty.keys("\x1b");
    pty.wait_text("app-1");

    // The one thing that this platform does not have.
    pty.keys("a");
    pty.wait_text("its serial ports are pipes of the host");
    pty.keys("\x1d");
    pty.wait_text("UPTIME");

    pty.keys("4");
    pty.wait_for("folders and switches", |screen| {
        screen.contains("folder") && screen.contains("NETWORK") && screen.contains("hv1")
    });
    to_table(&mut pty);
    pty.keys("2");
    pty.wait_text("LATENCY");
    pty.keys("i");
    pty.wait_for("what was looked at", |screen| {
        screen.contains("looked at") && screen.contains("vmms is Running")
    });
    pty.keys("\x1b");
    pty.wait_text("LATENCY");
    to_table(&mut pty);
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    host.end().await;
}
