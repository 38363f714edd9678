//! Storage and switches of an emulated Hyper-V host by keys: images of VMs and of their checkpoints, and what nothing
//! uses; a folder that is not this host's alone.

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::support::deck::Deck;
use crate::support::windows::EmulatedWindows;

const HOST: &str = r#"
[[host]]
name = "hv1"
kind = "hyperv"
[[host.vm]]
name = "web-1"
current = "second"
[[host.vm.checkpoints]]
name = "first"
age_h = 50
[[host.vm.checkpoints]]
name = "second"
parent = "first"
age_h = 40
[[host.vm.checkpoints]]
name = "third"
parent = "second"
age_h = 30
[[host.vm.disks]]
size_gib = 30
[[host.vm.disks]]
path = 'C:\ClusterStorage\Volume1\shared.vhdx'
[[host.vm]]
name = "lab-1"
state = "off"
switch = "Lab"
"#;

const DISKS: &str = r"C:\Hyper-V\Virtual Hard Disks";

#[tokio::test(flavor = "multi_thread")]
async fn images_switches_and_what_nothing_uses_are_seen_by_keys() {
    let deck = Deck::new(VMDECK);
    let host = EmulatedWindows::start(HOST).await;
    let put = |path: &str, size: usize| host.control().put_file(path, &vec![0; size], "O:BA");
    put(&format!(r"{DISKS}\left over.VHDX"), 5 << 20);
    put(&format!(r"{DISKS}\notes.txt"), 10);
    put(r"C:\ClusterStorage\Volume1\of another host.vhdx", 10);
    deck.add_server("hv1", &host.sshd, &["--kind", "hyperv"]);
    let mut pty = open(&deck, (150, 40));
    pty.wait_for("the running VM", |screen| {
        screen.contains("1 up") && row(screen, "web-1").contains("running")
    });
    pty.keys("4");
    pty.wait_for("folders and switches", |screen| {
        row(screen, "al Hard Disks").contains("5 volumes, 1 unattached")
            && row(screen, "ClusterStorage")
                .trim_end()
                .ends_with("3 volumes")
            && row(screen, "Lab").contains("external")
            && row(screen, "LAN").contains("external")
    });
    pty.keys("o");
    pty.wait_for("only what nothing uses", |screen| {
        row(screen, "left over.VHDX").contains("unattached") && !screen.contains("ClusterStorage")
    });
    pty.keys("o");
    pty.wait_text("ClusterStorage");
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);

    let listed = deck.once(&["storage", "list", "--volumes", "-o", "json"]);
    let listed = listed.expect(0).stdout;
    assert!(
        !listed.contains("notes.txt") && !listed.contains("of another host"),
        "{listed}"
    );
    let unattached = deck
        .once(&["storage", "list", "--unattached"])
        .expect(0)
        .stdout;
    let rows = unattached
        .lines()
        .filter(|line| line.contains(".vhdx") || line.contains(".VHDX"));
    assert_eq!(rows.count(), 1, "{unattached}");
    host.end().await;
}
