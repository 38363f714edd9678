//! The details of real VMs, by keys and eyes: figures over time, disks, network cards, the definition.

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::windows::EmulatedWindows;

const NIC: &str =
    "<interface type='user'><mac address='52:54:00:aa:bb:cc'/><model type='virtio'/></interface>";

/// Defines a VM with a card and a disk that is based on another one; returns where that is.
fn define(host: &LibvirtHost) -> (vmdeck::domain::vm::VmId, String) {
    let (base, top) = (host.file("base.qcow2"), host.file("top.qcow2"));
    let (base, top) = (base.display().to_string(), top.display().to_string());
    let make = |args: &[&str]| {
        let mut made = host.prepare("qemu-img", args);
        assert!(made.status().unwrap().success(), "{args:?}");
    };
    make(&["create", "-q", "-f", "qcow2", &base, "4M"]);
    make(&[
        "create", "-q", "-f", "qcow2", "-b", &base, "-F", "qcow2", &top,
    ]);
    let disk = format!(
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>\
         <source file='{top}'/><target dev='vda' bus='virtio'/></disk>{NIC}"
    );
    let os = "<os><type arch='x86_64'>hvm</type></os>";
    (host.define("web-1", os, &disk), base)
}

#[test]
fn the_details_of_a_real_vm_are_read_by_keys() {
    let host = LibvirtHost::start();
    let (id, base) = define(&host);
    host.start_vm(&id);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open(&deck, (160, 50));
    pty.wait_for("the running VM", |screen| {
        row(screen, "web-1").contains("running")
    });
    pty.keys("\r\t");
    pty.wait_for("figures of its processor and of its disk", |screen| {
        let known = |what: &str| {
            let line = row(screen, what);
            line.contains("max") && !line.contains("max \u{2013}")
        };
        known("processor") && known("disk read") && screen.contains("last figure")
    });

    pty.keys("\t");
    let disks = pty.wait_text("based on");
    assert!(disks.contains(&base) && disks.contains("4.0 M"), "{disks}");
    pty.keys("\t");
    let cards = pty.wait_text("52:54:00:aa:bb:cc");
    assert!(
        cards.contains("virtio") && cards.contains("user"),
        "{cards}"
    );

    pty.keys("\t\t/<TARGET DEV\r");
    let found = pty.wait_text("1 of");
    assert!(
        found.contains("<target dev='vda' bus='virtio'/>"),
        "{found}"
    );
    pty.keys("q");
    pty.wait_for("the table", |screen| {
        row(screen, "web-1").contains("running") && !screen.contains("target dev")
    });
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);

    let shown = deck.once(&["show", "kvm1/web-1"]).expect(0);
    assert!(
        shown.stdout.contains(&format!("on {base}")),
        "{}",
        shown.stdout
    );
}

#[test]
fn a_definition_is_searched_and_the_next_match_comes_into_sight() {
    let host = LibvirtHost::start();
    host.define_deaf("web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open(&deck, (120, 16));
    pty.wait_for("the VM", |screen| row(screen, "web-1").contains("stopped"));
    pty.keys("y");
    pty.wait_for("its begin, and not its end", |screen| {
        screen.contains("<domain type='qemu'>") && !screen.contains("</domain>")
    });
    pty.keys("/DOMAIN\r");
    pty.wait_text("/DOMAIN 1 of ");
    pty.keys("n");
    pty.wait_text("/DOMAIN 2 of ");
    // Around the ends, from the first to the last and on to the first.
    pty.keys("NN");
    pty.wait_text("</domain>");
    pty.keys("n");
    pty.wait_for("the first one again", |screen| {
        screen.contains("/DOMAIN 1 of ") && screen.contains("<domain type='qemu'>")
    });
    pty.keys("/nowhere to be seen\r");
    pty.wait_text("not found");
    pty.keys("q");
    pty.wait_text("NAME");
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
}

const WINDOWS: &str = r#"
[[host]]
name = "win1"
kind = "hyperv"
windows = "2019"
[[host.vm]]
name = "web-3"
state = "running"
cpu = 0.5
addresses = ["10.33.0.7"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_details_of_a_vm_of_windows_are_read_by_keys() {
    let windows = EmulatedWindows::start(WINDOWS).await;
    let deck = Deck::new(VMDECK);
    deck.add_server("win1", &windows.sshd, &["--kind", "hyperv"]);
    let mut pty = open(&deck, (160, 50));
    pty.wait_for("the running VM", |screen| {
        row(screen, "web-3").contains("running")
    });
    pty.keys("\r\t");
    pty.wait_for("figures of its processor", |screen| {
        let line = row(screen, "processor");
        line.contains("max") && !line.contains("max \u{2013}")
    });
    pty.keys("\t");
    let disks = pty.wait_text("controller");
    assert!(disks.contains("SCSI") || disks.contains("IDE"), "{disks}");
    pty.keys("\t");
    let cards = pty.wait_text("10.33.0.7");
    assert!(cards.contains("agent in the VM"), "{cards}");
    pty.keys("\t\t/\"NICS\"\r");
    let found = pty.wait_text("1 of");
    assert!(found.contains("\"nics\""), "{found}");
    pty.keys("/NAME\r");
    pty.wait_text("/NAME 1 of");
    pty.keys("n");
    pty.wait_text("/NAME 2 of");
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
    windows.end().await;
}
