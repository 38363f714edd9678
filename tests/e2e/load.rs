//! What a real VM that works hard shows: its figures and charts, what its disk is made of and how much of it is
//! allocated, its card.

use crate::VMDECK;
use crate::dashboard::{open_with, row};
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::{run, write};
use vmdeck::domain::vm::VmId;

/// The first sector of a disk, which a PC runs: for ever it reads 32 sectors behind itself and writes one of them back,
/// with the BIOS's own calls (INT 13h, AH=02h and AH=03h).
const RESTLESS: [u8; 33] = [
    0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, // xor ax, ax; mov ds, ax; mov es, ax
    0xbb, 0x00, 0x7e, // again: mov bx, 0x7e00
    0xb8, 0x20, 0x02, 0xb9, 0x02, 0x00, 0xba, 0x80, 0x00, 0xcd, 0x13, // read
    0xb8, 0x01, 0x03, 0xb9, 0x03, 0x00, 0xba, 0x80, 0x00, 0xcd, 0x13, // write
    0xeb, 0xe5, // jmp again
];

const CARD: &str =
    "<interface type='user'><mac address='52:54:00:aa:bb:cc'/><model type='virtio'/></interface>";

/// Defines a VM that boots from a disk based on an image with that sector; returns where the image is.
fn define_restless(host: &LibvirtHost) -> (VmId, String) {
    let (base, top) = (host.file("base.img"), host.file("top.qcow2"));
    let mut image = vec![0; 4 << 20];
    for (to, byte) in image.iter_mut().zip(RESTLESS) {
        *to = byte;
    }
    for (to, byte) in image.iter_mut().skip(510).zip([0x55, 0xaa]) {
        *to = byte;
    }
    write(&base, &image);
    host.give(&base);
    let (base, top) = (base.display().to_string(), top.display().to_string());
    let based = [
        "create", "-q", "-f", "qcow2", "-b", &base, "-F", "raw", &top,
    ];
    run(&mut host.prepare("qemu-img", &based));
    let devices = format!(
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>\
         <source file='{top}'/><target dev='vda' bus='virtio'/></disk>{CARD}"
    );
    let os = "<os><type arch='x86_64'>hvm</type></os>";
    (host.define("web-1", os, &devices), base)
}

/// The present figure of a row of the tab of figures, in whatever unit; `None` where it is not known.
pub(crate) fn present(screen: &str, metric: &str) -> Option<f64> {
    let line = row(screen, metric);
    let (_, rest) = line.split_once(metric)?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Returns whether the chart between two rows rises from its ground anywhere.
pub(crate) fn rises(screen: &str, metric: &str, next: &str) -> bool {
    let from = screen.lines().skip_while(|line| !line.contains(metric));
    let chart = from.skip(1).take_while(|line| !line.contains(next));
    let bars: Vec<&str> = chart.collect();
    bars.iter()
        .any(|line| line.contains(['▂', '▃', '▄', '▅', '▆', '▇', '█']))
}

/// What libvirt itself has counted of its disk.
fn read_so_far(host: &LibvirtHost, id: &VmId) -> u64 {
    let told = host.virsh(&["-q", "domstats", "--block", id.as_str()]);
    let line = told.lines().find(|line| line.contains("rd.bytes="));
    line.and_then(|line| line.rsplit('=').next()?.trim().parse().ok())
        .unwrap_or_default()
}

#[test]
fn figures_and_charts_of_a_vm_go_with_its_load() {
    let host = LibvirtHost::start();
    let (id, base) = define_restless(&host);
    host.virsh(&["-q", "start", "--paused", id.as_str()]);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open_with(&deck, "[poll]\nlibvirt_tick = \"500ms\"\n", (160, 50));
    pty.wait_for("the paused VM", |screen| {
        row(screen, "web-1").contains("paused")
    });
    pty.keys("\r\t");
    let rest = pty.wait_for("figures of a VM that does nothing", |screen| {
        ["processor", "disk read", "disk write"]
            .iter()
            .all(|metric| present(screen, metric) == Some(0.0))
    });
    assert!(
        present(&rest, "memory").is_some_and(|used| used > 0.0),
        "{rest}"
    );
    assert!(!rises(&rest, "disk read", "disk write"), "{rest}");

    let before = read_so_far(&host, &id);
    host.virsh(&["-q", "resume", id.as_str()]);
    pty.wait_for("figures of one that works", |screen| {
        let works = |metric| present(screen, metric).is_some_and(|figure| figure > 0.0);
        works("processor")
            && works("disk read")
            && works("disk write")
            && rises(screen, "disk read", "disk write")
            && rises(screen, "processor", "memory")
    });
    assert!(
        read_so_far(&host, &id) > before,
        "libvirt has counted it as well"
    );
    host.virsh(&["-q", "suspend", id.as_str()]);
    let after = pty.wait_for("figures of one that does nothing, and what was", |screen| {
        present(screen, "disk read") == Some(0.0) && present(screen, "disk write") == Some(0.0)
    });
    assert!(rises(&after, "disk read", "disk write"), "{after}");

    pty.keys("\t");
    pty.wait_for("its disk and what that is based on", |screen| {
        let parts = ["controller", "virtio", "qcow2", "4.0 M", &base, "raw"];
        let line = row(screen, "of it allocated on the host");
        parts.iter().all(|part| screen.contains(part)) && line.contains('M') && !line.contains('–')
    });
    pty.keys("\t");
    pty.wait_for("its card", |screen| {
        let parts = ["52:54:00:aa:bb:cc", "model", "virtio", "user"];
        parts.iter().all(|part| screen.contains(part))
    });
    pty.keys("q");
    pty.wait_for("the table", |screen| screen.contains("NAME"));
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
}
