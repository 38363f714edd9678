//! Checkpoints of emulated Hyper-V VMs by keys: the view of the whole fleet with marks and one order about what is old,
//! of which the host refuses a part; the tree of one VM, what its form asks, and what reverting and deleting mean.

use std::time::Duration;

use vmdeck::sim::hyperv::{Provocation, Situation, WinState};

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::support::deck::Deck;
use crate::support::pty::Pty;
use crate::support::wait_for;
use crate::support::windows::EmulatedWindows;

/// How long anything here may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

const OLD: &str = r#"
[[host]]
name = "hv1"
kind = "hyperv"
[[host.vm]]
name = "web-1"
[[host.vm.checkpoints]]
name = "first"
age_h = 960
[[host.vm.checkpoints]]
name = "second"
parent = "first"
age_h = 840
[[host.vm.checkpoints]]
name = "fresh"
parent = "second"
age_h = 1
[[host.vm]]
name = "db-1"
state = "off"
[[host.vm.checkpoints]]
name = "clean"
age_h = 2161
"#;

const BRANCHED: &str = r#"
[[host]]
name = "hv1"
kind = "hyperv"
[[host.vm]]
name = "web-1"
current = "left"
[[host.vm.checkpoints]]
name = "base"
age_h = 50
[[host.vm.checkpoints]]
name = "left"
parent = "base"
age_h = 40
with_memory = true
[[host.vm.checkpoints]]
name = "right"
parent = "base"
age_h = 30
"#;

/// The dashboard on the host of a scenario, whose one running VM is seen.
async fn ground(deck: &Deck, scenario: &str) -> (EmulatedWindows, Pty) {
    let host = EmulatedWindows::start(scenario).await;
    deck.add_server("hv1", &host.sshd, &["--kind", "hyperv"]);
    let pty = open(deck, (140, 40));
    pty.wait_for("the running VM", |screen| {
        screen.contains("1 up") && row(screen, "web-1").contains("running")
    });
    (host, pty)
}

/// The checkpoints of a VM, as its host has them.
fn names(host: &EmulatedWindows, vm: &str) -> Vec<String> {
    host.control().vm(vm).unwrap().checkpoints
}

/// Waits until the host has exactly these.
fn are(host: &EmulatedWindows, vm: &str, wanted: &[&str]) {
    let is_so = wait_for(PATIENCE, || names(host, vm) == wanted);
    assert!(is_so, "{:?} instead of {wanted:?}", names(host, vm));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_checkpoints_are_marked_and_deleted_with_one_order_that_fails_half_way() {
    let deck = Deck::new(VMDECK);
    let (host, mut pty) = ground(&deck, OLD).await;
    pty.keys("3");
    let shown = pty.wait_for("all four, the oldest first", |screen| {
        let found: Vec<_> = ["clean", "first", "second", "fresh"]
            .iter()
            .filter_map(|name| screen.find(name))
            .collect();
        found.len() == 4 && found.is_sorted()
    });
    let line = |name: &str| row(&shown, name);
    assert!(
        line("clean").contains("90d") && line("clean").contains("db-1"),
        "{shown}"
    );
    let second: Vec<&str> = line("second").split_whitespace().collect();
    assert!(
        second.windows(2).any(|pair| pair == ["35d", "1"]),
        "its age and its depth: {shown}"
    );

    pty.keys("*");
    pty.wait_text("4 marked");
    pty.keys("uo");
    pty.wait_text("3 marked that are older than 30d");
    pty.keys("D");
    pty.wait_for("the plan and what it sends", |screen| {
        screen.contains("Delete 3 snapshots?") && screen.contains("Remove-VMSnapshot")
    });
    pty.keys("\r");
    pty.wait_for("the dialog gone", |screen| !screen.contains("Delete 3"));
    assert_eq!(
        names(&host, "web-1"),
        ["first", "second", "fresh"],
        "Enter is the safe choice"
    );
    host.control().provoke(Provocation {
        on: "Remove-VMSnapshot".to_owned(),
        error: Situation::GeneralFailure,
        times: Some(1),
        at_once: false,
    });
    pty.keys("D");
    pty.wait_text("Delete 3 snapshots?");
    pty.keys("y");
    pty.wait_for("the end, in the host's words", |screen| {
        screen.contains("3 of 3 over: 2 done, 1 failed")
            && screen.contains("Modifying the properties of")
    });
    let left = [names(&host, "web-1"), names(&host, "db-1")].concat();
    assert!(left.len() == 2 && left.contains(&"fresh".to_owned()));
    let stuck = left.iter().find(|name| *name != "fresh").unwrap();

    // Nothing is in its way any more: exactly the one that failed is tried again.
    pty.keys("R");
    let again = pty.wait_for("a plan about it", |screen| {
        screen.contains("Remove-VMSnapshot") && screen.contains(stuck.as_str())
    });
    for gone in ["clean", "first", "second"] {
        let is_told = again.contains(gone);
        assert_eq!(is_told, gone == stuck, "{again}");
    }
    pty.keys("y");
    are(&host, "web-1", &["fresh"]);
    are(&host, "db-1", &[]);
    pty.wait_for_the_end_of_orders();
    pty.keys("3");
    pty.wait_for("what is left", |screen| {
        screen.contains("VM snapshots: 1") && screen.contains("fresh")
    });
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
    deck.run(&["audit", "verify"]).expect(0);
    host.end().await;
}

/// Goes back to the first checkpoint, once its plan has been agreed to.
fn back_to_the_first(host: &EmulatedWindows, pty: &mut Pty) {
    pty.keys("gR");
    let plan = pty.wait_for("the plan", |screen| {
        screen.contains("Restore-VMSnapshot") && screen.contains("base")
    });
    for means in [
        "everything on its disks since then is lost",
        "what is in its memory now is lost",
        "it is off afterwards",
    ] {
        assert!(plan.contains(means), "{means}: {plan}");
    }
    assert_eq!(
        host.control().vm("web-1").unwrap().current.as_deref(),
        Some("named")
    );
    pty.keys("web-1\r");
    pty.wait_for("the place where it stands", |screen| {
        row(screen, "base").contains("now") && !screen.contains("Restore-VMSnapshot")
    });
    let now = host.control().vm("web-1").unwrap();
    assert_eq!(now.current.as_deref(), Some("base"));
    assert_eq!(now.standing.state, WinState::Off);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_grows_by_its_form_and_what_goes_back_or_away_is_told_before() {
    let deck = Deck::new(VMDECK);
    let (host, mut pty) = ground(&deck, BRANCHED).await;
    pty.keys("t");
    pty.wait_for("the tree", |screen| {
        let [base, left, right] = ["base", "left", "right"].map(|name| {
            let (before, _) = row(screen, name).split_once(name)?;
            Some(before.chars().count())
        });
        screen.contains("Snapshots of web-1 on hv1: 3")
            && base.is_some_and(|base| left == Some(base + 2))
            && left == right
            && row(screen, "left now").contains("disks and memory")
    });

    // A checkpoint has a name here and nothing else that could be chosen.
    pty.keys("N");
    let form = pty.wait_text("Take a snapshot of web-1");
    for absent in ["Description", "Disk-only", "Quiesce"] {
        assert!(!form.contains(absent), "{form}");
    }
    pty.keys("\u{15}named\t\r");
    pty.wait_text("Checkpoint-VM");
    pty.keys("y");
    pty.wait_for("it in the tree", |screen| {
        screen.contains("Snapshots of web-1 on hv1: 4") && screen.contains("named now")
    });
    are(&host, "web-1", &["base", "left", "right", "named"]);
    pty.wait_for_the_end_of_orders();

    back_to_the_first(&host, &mut pty);
    pty.wait_for_the_end_of_orders();
    pty.keys("gD");
    pty.wait_text("the snapshots based on it stay");
    pty.keys("\r");
    pty.wait_for("the dialog gone", |screen| {
        !screen.contains("Remove-VMSnapshot")
    });
    host.control().provoke(Provocation {
        on: "Remove-VMSnapshot".to_owned(),
        error: Situation::Denied,
        times: Some(1),
        at_once: false,
    });
    for says in [
        "authorization policy for the computer",
        "This VM has no snapshots",
    ] {
        pty.keys("X");
        let plan = pty.wait_for("the plan", |screen| {
            screen.contains("what is based on it goes with it")
                && screen.contains("Remove-VMSnapshot")
        });
        let means = row(&plan, "what is based on it");
        assert!(means.contains("right"), "{plan}");
        pty.keys("y");
        pty.wait_text(says);
        pty.wait_for_the_end_of_orders();
    }
    assert_eq!(names(&host, "web-1"), [""; 0]);
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
    host.end().await;
}
