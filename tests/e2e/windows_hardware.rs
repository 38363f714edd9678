//! What an emulated Hyper-V VM is set up with, by keys: changed in the form while it is off, refused with the reason
//! while it is not; its disks, cards, figures and definition.

use vmdeck::sim::hyperv::{Provocation, Situation, WinVmState};

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::support::deck::Deck;
use crate::support::pty::Pty;
use crate::support::windows::EmulatedWindows;

const FORM: &str = r#"
[[host]]
name = "hv1"
kind = "hyperv"
[[host.vm]]
name = "cold"
state = "off"
start_action = "nothing"
notes = "one\ntwo"
[[host.vm]]
name = "balloon"
state = "off"
dynamic_memory = [512, 4096]
[[host.vm]]
name = "web-1"
"#;

const DEVICES: &str = r#"
[[host]]
name = "hv1"
kind = "hyperv"
[[host.vm]]
name = "web-1"
cpu = 0.5
disk_kbps = 3000
net_kbps = 2000
[[host.vm.disks]]
path = 'D:\vms\web.vhdx'
size_gib = 60
parents = ['D:\base\golden.vhdx']
[[host.vm.disks]]
path = 'D:\vms\data.vhdx'
size_gib = 10
fixed = true
[[host.vm.nics]]
name = "front"
switch = "LAN"
mac = "00:15:5D:0A:0B:0C"
addresses = ["10.33.0.7", "fd00::7"]
[[host.vm.nics]]
name = "back"
"#;

/// The dashboard on the host of a scenario, whose one running VM is seen.
async fn ground(deck: &Deck, scenario: &str) -> (EmulatedWindows, Pty) {
    let host = EmulatedWindows::start(scenario).await;
    deck.add_server("hv1", &host.sshd, &["--kind", "hyperv"]);
    let pty = open(deck, (160, 50));
    pty.wait_for("the running VM", |screen| {
        screen.contains("1 up") && row(screen, "web-1").contains("running")
    });
    (host, pty)
}

/// Puts the cursor on a VM and opens its form.
fn form(pty: &mut Pty, vm: &str, state: &str) {
    pty.keys(&format!("/name:{vm}\r"));
    pty.wait_for("the VM alone", |screen| {
        row(screen, vm).contains(state) && screen.contains("1 of 3")
    });
    pty.keys("E");
    pty.wait_for("its form", |screen| {
        screen.contains(&format!("Change {vm} ({state})")) && screen.contains("Autostart")
    });
}

/// Takes the filter away. What followed Escape at once would be another key.
fn all(pty: &mut Pty) {
    pty.keys("\x1b");
    pty.wait_for("all VMs", |screen| {
        screen.contains("balloon") && screen.contains("web-1")
    });
}

/// What a change of each setting does to the model; the rest of it stays.
fn setup(vm: &WinVmState) -> (u32, u64, u16, &str) {
    (vm.vcpus, vm.memory_mib, vm.start_action, &vm.notes)
}

#[tokio::test(flavor = "multi_thread")]
async fn hardware_of_a_vm_that_is_off_is_changed_in_the_form_and_else_the_reason_is_told() {
    let deck = Deck::new(VMDECK);
    let (host, mut pty) = ground(&deck, FORM).await;
    let model = |vm: &str| host.control().vm(vm).unwrap();
    form(&mut pty, "cold", "stopped");
    let shown = pty.wait_text("one\\ntwo");
    assert!(!shown.contains("Title"), "Hyper-V has none: {shown}");
    pty.keys("\u{15}4\t\u{15}3G\t \t\u{15}moved\\nhere\t\r");
    pty.wait_for("a command for each", |screen| {
        let sent = ["-ProcessorCount", "-MemoryStartupBytes", "-Notes"];
        sent.iter().all(|part| screen.contains(part))
            && screen.contains("AutomaticStartAction Start")
    });
    assert_eq!(setup(&model("cold")), (2, 2048, 2, "one\ntwo"));
    pty.keys("y");
    pty.wait_text("cold has been changed");
    assert_eq!(setup(&model("cold")), (4, 3072, 4, "moved\nhere"));
    pty.wait_for_the_end_of_orders();

    all(&mut pty);
    // What lies outside of the limits of dynamic memory, and hardware of a VM that runs.
    form(&mut pty, "balloon", "stopped");
    pty.wait_text("at the start (dynamic), like 4G");
    pty.keys("\t\u{15}8G\t\t\t\r");
    pty.wait_text("its memory is dynamic, from 512M to 4G");
    pty.keys("\x1b");
    pty.wait_for("no form", |screen| !screen.contains("Autostart"));
    all(&mut pty);
    form(&mut pty, "web-1", "running");
    pty.keys("\u{15}8\t\t\t\t\r");
    pty.wait_text("only while a VM is off, and it is running");
    pty.keys("\x1b");
    pty.wait_for("no form", |screen| !screen.contains("Autostart"));
    assert_eq!(model("balloon").memory_mib, 2048);
    assert_eq!(model("web-1").vcpus, 2);

    all(&mut pty);
    // Each setting is a command of its own: the first is refused, nothing is told as done that is not.
    host.control().provoke(Provocation {
        on: "Set-VM".to_owned(),
        error: Situation::WrongStateForSettings,
        times: Some(1),
        at_once: false,
    });
    form(&mut pty, "cold", "stopped");
    pty.keys("\u{15}6\t\t\t\u{15}other\t\r");
    pty.wait_text("-ProcessorCount");
    pty.keys("y");
    pty.wait_text("could not change cold (vCPUs 4 to 6, description)");
    assert_eq!(setup(&model("cold")), (4, 3072, 4, "moved\nhere"));
    pty.wait_for_the_end_of_orders();
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
    host.end().await;
}

/// Whether a chart stands below a figure that is known.
fn is_drawn(screen: &str, figure: &str) -> bool {
    let mut lines = screen.lines().skip_while(|line| !line.contains(figure));
    let is_known = lines
        .next()
        .is_some_and(|line| line.contains("max") && !line.contains("max \u{2013}"));
    let eighths = '\u{2581}'..='\u{2588}';
    is_known
        && lines
            .take(6)
            .any(|line| line.contains(|c| eighths.contains(&c)))
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_cards_figures_and_the_definition_are_read_by_keys() {
    let deck = Deck::new(VMDECK);
    let (host, mut pty) = ground(&deck, DEVICES).await;
    pty.keys("\r\t");
    pty.wait_for("charts of all figures", |screen| {
        ["processor", "memory", "disk read", "disk write", "net"]
            .iter()
            .all(|figure| is_drawn(screen, figure))
    });
    pty.keys("\t");
    pty.wait_for("both disks", |screen| {
        let mut sizes = screen.lines().filter(|line| line.contains("capacity"));
        let first = sizes.next().unwrap_or_default();
        let second = sizes.next().unwrap_or_default();
        screen.contains("SCSI 0:0")
            && screen.contains("SCSI 0:1")
            && screen.contains(r"D:\vms\web.vhdx")
            && row(screen, "based on").contains(r"D:\base\golden.vhdx")
            && first.contains("60")
            && first.contains("allocated on the host")
            && second.contains("10")
            && second.contains("allocated on the host")
            && screen.contains("it stands alone")
    });
    pty.keys("\t");
    pty.wait_for("both cards", |screen| {
        row(screen, "10.33.0.7").contains("agent in the VM")
            && row(screen, "fd00::7").contains("agent in the VM")
            && screen.contains("00:15:5d:0a:0b:0c")
            && row(screen, "LAN").contains("switch")
            && screen.contains("not connected")
    });
    pty.keys("\x1b");
    pty.wait_text("UPTIME");
    pty.keys("y");
    pty.wait_text("\"machine\"");
    pty.keys("/GOLDEN\r");
    let found = pty.wait_text("1 of ");
    assert!(found.contains("golden.vhdx"), "{found}");
    pty.keys("\x1b");
    pty.still();
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
    host.end().await;
}
