//! Settings of real VMs changed by a script and by keys, and what plain `virsh` says of the same; on an emulated
//! Hyper-V host by keys.

use serde_json::Value;
use vmdeck::domain::vm::VmId;

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::eyes::{asked, dialog, sentence};
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::pty::Pty;
use crate::support::windows::EmulatedWindows;

/// A wrapper that fails where memory is set, as a host may.
const NO_MEMORY: &str = r#"case " $* " in
*" setmem "*) echo "error: internal error: no such memory" >&2; exit 1;;
esac
exec "$REAL" "$@""#;

fn changed<'a>(result: &'a Value, setting: &str) -> &'a Value {
    let changes = result["changes"].as_array().expect("changes");
    changes
        .iter()
        .find(|one| one["setting"] == setting)
        .unwrap_or_else(|| panic!("{setting} is not in {result:#}"))
}

#[test]
fn a_script_changes_what_a_vm_is_set_up_with() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web-1");
    host.start_vm(&id);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let defined = || host.virsh(&["dumpxml", "--inactive", id.as_str()]);

    let words = ["set", "web-1", "--vcpus", "3", "--title", "shop; it's"];
    let asked = deck.once(&words).expect(4);
    assert!(asked.stderr.contains("--yes"), "{asked:?}");
    let plan = deck.once(&[&words[..], &["--dry-run"]].concat()).expect(0);
    for part in [
        "would change: vCPUs 1 to 3, title",
        "in effect after the VM was off",
        "setvcpus",
        "--config --maximum",
        "--new-desc",
    ] {
        assert!(plan.stdout.contains(part), "{part}: {plan:?}");
    }
    assert!(!defined().contains("<title>"));

    let done = deck.once(&[&words[..], &["--yes", "-o", "json"]].concat());
    let done = done.expect(0).json();
    assert_eq!(done["outcome"], "confirmed", "{done:#}");
    assert_eq!(done["action"], "edit");
    assert_eq!(changed(&done, "vcpus")["from"], "1");
    assert_eq!(changed(&done, "vcpus")["to"], "3");
    assert!(
        done["note"]
            .as_str()
            .unwrap()
            .contains("after the VM was off")
    );
    let text = defined();
    assert!(
        text.contains(">3</vcpu>") && text.contains("<title>shop; it&apos;s</title>"),
        "{text}"
    );
    let live = host.virsh(&["dumpxml", id.as_str()]);
    assert!(
        live.contains(">1</vcpu>") && live.contains("<title>shop"),
        "{live}"
    );

    let again = deck.once(&[&words[..], &["--yes"]].concat()).expect(4);
    assert!(again.stderr.contains("nothing to change"), "{again:?}");
    for wrong in [
        ["--vcpus", "0"],
        ["--memory", "1K"],
        ["--memory", "4"],
        ["--title", "two\nlines"],
        ["--description", &"x".repeat(10_000)],
    ] {
        deck.once(&["set", "web-1", wrong[0], wrong[1]]).expect(2);
    }
    deck.once(&["set", "web-1"]).expect(2);
    deck.run(&["audit", "verify"]).expect(0);
    let tail = deck.run(&["audit", "tail", "-n", "9"]).expect(0).stdout;
    assert!(tail.contains("edit"), "{tail}");
}

#[test]
fn a_change_that_the_host_takes_half_of_is_told_as_that() {
    let host = LibvirtHost::builder().script("virsh", NO_MEMORY).start();
    let id = host.define_deaf("web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let half = deck
        .once(&["set", "web-1", "--vcpus", "2", "--memory", "1G", "--yes"])
        .expect(1);
    assert!(
        half.stderr.contains("changed: vCPUs") && half.stderr.contains("not changed: memory"),
        "{half:?}"
    );
    assert!(half.stderr.contains("no such memory"), "{half:?}");
    let text = host.virsh(&["dumpxml", "--inactive", id.as_str()]);
    assert!(text.contains(">2</vcpu>"), "{text}");
}

#[test]
fn a_person_changes_a_vm_in_the_form() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open(&deck, (140, 40));
    pty.wait_for("the VM", |screen| {
        screen.contains("web-1") && screen.contains("stopped") && screen.contains("1 up")
    });
    pty.keys("E");
    pty.wait_text("Change web-1 (stopped)");
    // vCPUs, then the description: the button is behind it.
    pty.keys("\u{15}2\t\t\t\tafter the move\t\r");
    let plan = pty.wait_text("--new-desc");
    assert!(
        plan.contains("setvcpus") && plan.contains("1 → 2"),
        "{plan}"
    );
    // Somebody else is quicker.
    host.virsh(&["setvcpus", id.as_str(), "4", "--config", "--maximum"]);
    pty.keys("y");
    pty.wait_text("nothing was changed");
    let text = host.virsh(&["dumpxml", "--inactive", id.as_str()]);
    assert!(!text.contains("<description>"), "{text}");

    pty.keys("E");
    pty.wait_text("Change web-1 (stopped)");
    pty.keys("\t\t\t\tafter the move\t\r");
    pty.wait_text("--new-desc");
    pty.keys("y");
    pty.wait_text("web-1 has been changed (description)");
    let text = host.virsh(&["dumpxml", "--inactive", id.as_str()]);
    assert!(
        text.contains("<description>after the move</description>"),
        "{text}"
    );
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
}

#[test]
fn every_setting_of_the_form_is_what_plain_virsh_says_afterwards() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web-1");
    host.start_vm(&id);
    let defined = || host.virsh(&["dumpxml", "--inactive", id.as_str()]);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open(&deck, (140, 60));
    pty.wait_for("the running VM", |screen| {
        row(screen, "web-1").contains("running") && screen.contains("1 up")
    });
    pty.keys("E");
    pty.wait_text("Change web-1 (running)");
    // vCPUs, memory, autostart, title, description, the button.
    pty.keys("\u{15}2\t\u{15}32M\t \tshop front\tmoved\\nask Ann\t\r");
    let screen = asked(&pty, "Change web-1?");
    let plan = dialog(&screen, "Change web-1?");
    for part in [
        "1 → 2",
        "16M → 32M",
        "off → on",
        "shop front",
        "setvcpus",
        "setmaxmem",
        "autostart",
        "--title",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    assert!(sentence(&screen, "Change web-1?").contains("in effect after the VM was off"));
    assert!(defined().contains(">1</vcpu>"), "nothing is sent before y");
    pty.keys("y");
    pty.wait_text("web-1 has been changed (vCPUs");
    let text = defined();
    for part in [
        ">2</vcpu>",
        "<memory unit='KiB'>32768</memory>",
        "<currentMemory unit='KiB'>32768</currentMemory>",
        "<title>shop front</title>",
        "<description>moved\nask Ann</description>",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let autostarts = || {
        let info = host.virsh(&["dominfo", id.as_str()]);
        info.lines()
            .any(|line| line.starts_with("Autostart:") && line.ends_with("enable"))
    };
    assert!(autostarts());
    let live = host.virsh(&["dumpxml", id.as_str()]);
    assert!(live.contains(">1</vcpu>"), "what runs goes on: {live}");

    what_changed_behind_the_form_is_not_overwritten(&host, &id, &mut pty);
    pty.wait_for_the_end_of_orders();
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    deck.run(&["audit", "verify"]).expect(0);
}

/// The form is open while somebody else is at work: on another setting, and then on the VM itself.
fn what_changed_behind_the_form_is_not_overwritten(host: &LibvirtHost, id: &VmId, pty: &mut Pty) {
    let defined = || host.virsh(&["dumpxml", "--inactive", id.as_str()]);
    pty.keys("E");
    pty.wait_for("the form with what is there now", |screen| {
        let form = dialog(screen, "Change web-1 (running)");
        form.contains("32M") && form.contains("shop front") && form.contains("moved\\nask Ann")
    });
    let title = ["--config", "--title", "--new-desc", "theirs"];
    host.virsh(&[&["desc", id.as_str()], &title[..]].concat());
    pty.keys("\u{15}3\t\t\t\t\t\r");
    pty.wait_text("2 → 3");
    pty.keys("y");
    pty.wait_text("nothing was changed");
    let text = defined();
    assert!(
        text.contains(">2</vcpu>") && text.contains("<title>theirs</title>"),
        "{text}"
    );

    pty.keys("E");
    pty.wait_for("the form with their title", |screen| {
        dialog(screen, "Change web-1 (").contains("theirs")
    });
    pty.keys("\u{15}4\t\t\t\t\t\r");
    pty.wait_text("2 → 4");
    host.virsh(&["-q", "destroy", id.as_str()]);
    host.virsh(&["-q", "undefine", id.as_str()]);
    pty.keys("y");
    pty.wait_for("that it is gone", |screen| {
        !screen.contains("2 → 4") && screen.contains("VMs 0")
    });
    assert_eq!(host.virsh(&["-q", "list", "--all", "--name"]).trim(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_of_a_hyper_v_vm_are_changed_by_keys_and_hardware_waits_until_it_is_off() {
    let scenario = "[[host]]\nname = \"win1\"\nkind = \"hyperv\"\nlanguage = \"de\"\n\
                    [[host.vm]]\nname = \"app\"\nstate = \"running\"\nnotes = \"old\"\n";
    let win = EmulatedWindows::start(scenario).await;
    let deck = Deck::new(VMDECK);
    deck.add_server("win1", &win.sshd, &["--kind", "hyperv"]);
    let mut pty = open(&deck, (140, 40));
    pty.wait_for("the VM", |screen| {
        screen.contains("app") && screen.contains("running") && screen.contains("1 up")
    });
    pty.keys("E");
    pty.wait_text("Change app (running)");
    pty.keys("\t\t\t\u{15}payroll\t\r");
    pty.wait_text("-Notes");
    pty.keys("y");
    pty.wait_text("app has been changed (description)");
    let shown = deck.once(&["show", "app", "-o", "json"]).expect(0).json();
    assert_eq!(shown["description"], "payroll", "{shown:#}");
    let more = deck
        .once(&["set", "app", "--vcpus", "8", "--yes"])
        .expect(4);
    assert!(more.stderr.contains("only while a VM is off"), "{more:?}");
    let title = deck
        .once(&["set", "app", "--title", "x", "--yes"])
        .expect(4);
    assert!(title.stderr.contains("cannot keep a title"), "{title:?}");
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
    win.end().await;
}
