//! The tree of a real VM's snapshots by keys: how it is drawn, what going back and deleting mean, a branch that is
//! deleted with everything based on it, and one of which the host deletes a part; and what policy says of their age.

use crate::VMDECK;
use crate::dashboard::{open_with, row};
use crate::expiry::{names, take};
use crate::eyes::{asked, dialog, figure, line_of, sentence};
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::pty::Pty;
use crate::support::write;
use vmdeck::domain::vm::VmId;

/// A wrapper that, as long as a file is there, deletes the last of a branch only and fails then.
const TORN: &str = r#"case " $* " in
*" --children "*)
    if [ -e "$XDG_DATA_HOME/torn" ]; then
        "$REAL" -q -c qemu:///session snapshot-delete "$(cat "$XDG_DATA_HOME/torn")" leaf >/dev/null
        echo "error: internal error: the image is in use" >&2; exit 1
    fi;;
esac
exec "$REAL" "$@""#;

/// Reads the slow facts often: what happens behind its back is waited for.
const EAGER: &str = "[poll]\nlibvirt_tick = \"500ms\"\nslow_facts = \"1s\"\n";

/// `base`, on it `middle` with `leaf`, and beside that `side`, which the VM goes on from.
fn branches(host: &LibvirtHost) -> VmId {
    let id = host.define_with_disk("web-1");
    let vm = id.as_str();
    let script = ["base", "middle", "leaf"].map(|name| format!("snapshot-create-as {vm} {name}"));
    let script = script.join(";");
    host.virsh(&[
        "-q",
        &format!("{script};snapshot-revert {vm} base;snapshot-create-as {vm} side"),
    ]);
    id
}

/// In which column of the screen a name begins, in the list of snapshots.
fn column(screen: &str, name: &str) -> Option<usize> {
    let (before, _) = row(screen, name).split_once(name)?;
    Some(before.chars().count())
}

/// Opens the tree of the VM, with the cursor on the first.
fn open_tree(pty: &mut Pty, count: usize) -> String {
    pty.keys("t");
    let screen = pty.wait_text(&format!("Snapshots of web-1 on kvm1: {count}"));
    pty.keys("g");
    screen
}

#[test]
fn a_tree_is_drawn_as_one_and_going_back_and_deleting_say_what_they_mean() {
    let host = LibvirtHost::start();
    let id = branches(&host);
    host.start_vm(&id);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open_with(&deck, EAGER, (160, 40));
    pty.wait_for("the running VM with its four", |screen| {
        figure(screen, "SNAP", "web-1") == "4" && row(screen, "web-1").contains("running")
    });
    let screen = open_tree(&mut pty, 4);
    let at = |name: &str| column(&screen, name).unwrap_or_else(|| panic!("{name}: {screen}"));
    let base = at("base");
    assert_eq!(
        [at("middle"), at("leaf"), at("side")],
        [base + 2, base + 4, base + 2],
        "{screen}"
    );
    assert!(row(&screen, "side").contains("side now"), "{screen}");

    pty.keys("R");
    let screen = asked(&pty, "Revert");
    let told = sentence(&screen, "Revert");
    for part in [
        "everything on its disks since then is lost, unless another snapshot holds it",
        "it is running: what is in its memory now is lost",
        "it is off afterwards",
        "--snapshotname base",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(host.state(&id), "running");
    pty.keys("web-1\r");
    pty.wait_for("it back at the first", |screen| {
        row(screen, "base").contains("base now") && !row(screen, "side").contains("now")
    });
    let current = host.virsh(&["-q", "snapshot-current", id.as_str(), "--name"]);
    assert_eq!(current.trim(), "base");
    assert_eq!(host.state(&id), "shut off");
    pty.wait_for_the_end_of_orders();

    // One in the middle goes by itself: what was based on it is based on its parent then.
    pty.keys("gjD");
    let screen = asked(&pty, "Delete");
    let told = sentence(&screen, "Delete");
    for part in [
        "there is no way back to that moment any more",
        "one snapshot is based on it and stays",
        "--snapshotname middle",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    pty.keys("y");
    pty.wait_for("three, one of them moved up", |screen| {
        screen.contains("Snapshots of web-1 on kvm1: 3") && column(screen, "leaf") == Some(base + 2)
    });
    assert_eq!(names(&host, &id), ["base", "leaf", "side"]);
    let parent = host.virsh(&["-q", "snapshot-parent", id.as_str(), "leaf"]);
    assert_eq!(parent.trim(), "base");
    pty.wait_for_the_end_of_orders();
    pty.keys("q");
    pty.wait_for("the table with three", |screen| {
        figure(screen, "SNAP", "web-1") == "3"
    });
    host.virsh(&["-q", "snapshot-create-as", id.as_str(), "theirs"]);
    pty.wait_for("somebody else's too", |screen| {
        figure(screen, "SNAP", "web-1") == "4"
    });
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
}

#[test]
fn a_branch_goes_with_everything_based_on_it_and_half_of_one_is_told_as_that() {
    let host = LibvirtHost::builder().script("virsh", TORN).start();
    let id = branches(&host);
    write(host.file("torn"), id.as_str());
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open_with(&deck, EAGER, (220, 40));
    pty.wait_for("the VM with its four", |screen| {
        figure(screen, "SNAP", "web-1") == "4"
    });
    open_tree(&mut pty, 4);
    pty.keys("jX");
    let screen = asked(&pty, "Delete");
    let told = sentence(&screen, "Delete");
    assert!(
        told.contains("what is based on it goes with it: leaf")
            && told.contains("--snapshotname middle --children"),
        "{told}"
    );
    pty.keys("y");
    let screen = pty.wait_text("1 of 2 snapshots deleted, 1 is still there");
    assert!(screen.contains("the image is in use"), "{screen}");
    assert_eq!(names(&host, &id), ["base", "middle", "side"]);
    pty.wait_for("what is there", |screen| {
        screen.contains("Snapshots of web-1 on kvm1: 3") && column(screen, "leaf").is_none()
    });

    // What was in its way is gone; the whole tree goes from its root.
    std::fs::remove_file(host.file("torn")).unwrap();
    pty.wait_for_the_end_of_orders();
    pty.keys("gX");
    let screen = asked(&pty, "Delete");
    assert!(sentence(&screen, "Delete").contains("--snapshotname base --children"));
    let told = sentence(&screen, "Delete");
    let below = told.split("goes with it: ").nth(1).unwrap_or_default();
    assert!(
        below.starts_with("middle, side") || below.starts_with("side, middle"),
        "{told}"
    );
    pty.keys("y");
    pty.wait_text("This VM has no snapshots");
    assert_eq!(names(&host, &id), [""; 0]);
    pty.wait_for_the_end_of_orders();
    pty.keys("q");
    pty.wait_for("the table with none", |screen| {
        figure(screen, "SNAP", "web-1") == "0"
    });
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    deck.run(&["audit", "verify"]).expect(0);
    let tail = deck.run(&["audit", "tail", "-n", "9"]).expect(0).stdout;
    assert!(tail.contains("the image is in use"), "{tail}");
}

/// Nobody deletes what is a week old or younger; of what is a month old the VM is named in full.
const RULES: &str = r#"
[[policy]]
name = "keep a week"
verbs = ["snapshot-delete"]
max_snapshot_age = "7d"
effect = "deny"
reason = "backups of the last week are kept"

[[policy]]
name = "old ones are asked for"
verbs = ["snapshot-delete"]
min_snapshot_age = "30d"
effect = "type-name"
"#;

#[test]
fn policy_on_the_age_of_snapshots_refuses_asks_and_leaves_out() {
    let host = LibvirtHost::start();
    let id = host.define_with_disk("web-1");
    for (name, days) in [("month", 40), ("fortnight", 14), ("today", 0)] {
        take(&host, &id, name, days);
    }
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open_with(&deck, &format!("{EAGER}{RULES}"), (160, 40));
    pty.wait_for("the VM with its three", |screen| {
        figure(screen, "SNAP", "web-1") == "3"
    });
    open_tree(&mut pty, 3);

    pty.keys("GD");
    pty.wait_text("backups of the last week are kept (policy rule `keep a week`)");
    assert_eq!(names(&host, &id).len(), 3);

    // Of two with one plan, the one that may not go is left out by its name, and why.
    pty.keys("gj V");
    pty.wait_text("2 marked");
    pty.keys("D");
    let screen = asked(&pty, "Delete");
    let plan = dialog(&screen, "Delete");
    let left_out = plan.split("Left out: 1").nth(1).unwrap_or_default();
    let line = line_of(left_out, "web-1");
    assert!(
        line.contains("today") && line.contains("backups of the last week"),
        "{plan}"
    );
    assert!(
        plan.contains("fortnight") && !plan.contains("--snapshotname today"),
        "{plan}"
    );
    pty.keys("y");
    pty.wait_for("one less", |screen| {
        screen.contains("Snapshots of web-1 on kvm1: 2")
    });
    assert_eq!(names(&host, &id), ["month", "today"]);
    pty.wait_for_the_end_of_orders();
    let panel = pty.wait_for("which of them, and where", |screen| {
        screen.contains("web-1 (snapshot fortnight)  kvm1")
    });
    assert!(panel.contains("web-1 (snapshot today)  "), "{panel}");
    pty.keys("q");
    pty.wait_for("the tree", |screen| !screen.contains("Left out"));

    pty.keys("ugD");
    let screen = asked(&pty, "Delete");
    assert!(screen.contains("Type the VM's name to go on"), "{screen}");
    assert!(
        sentence(&screen, "Delete").contains("old ones are asked for"),
        "{screen}"
    );
    pty.keys("web-1\r");
    pty.wait_text("Snapshots of web-1 on kvm1: 1");
    assert_eq!(names(&host, &id), ["today"]);
    pty.wait_for_the_end_of_orders();
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
}
