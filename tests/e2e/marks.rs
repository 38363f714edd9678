//! What is acted on is what is marked, and the plan is the whole of it: every VM, and every one that is left out with
//! the reason.

use std::collections::BTreeSet;

use crate::VMDECK;
use crate::dashboard::{open, open_with, row};
use crate::eyes::{asked, dialog, line_of};
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;

#[test]
fn one_is_marked_and_only_that_one_is_acted_on_and_a_plan_tells_of_every_vm() {
    let host = LibvirtHost::start();
    let ids = ["app-1", "app-2", "app-3", "app-4"].map(|name| host.define_deaf(name));
    let states = || ids.each_ref().map(|id| host.state(id));
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open_with(&deck, "[poll]\nlibvirt_tick = \"500ms\"\n", (140, 60));
    pty.wait_for("all of them", |screen| {
        screen.contains("1 up") && row(screen, "app-4").contains("stopped")
    });

    // The cursor goes on from the mark, and is not what is meant.
    pty.keys("gj ");
    pty.wait_for("one mark", |screen| screen.contains("1 marked"));
    pty.keys("G");
    pty.keys("s");
    pty.wait_for("it running", |screen| {
        row(screen, "app-2").contains("running")
    });
    pty.wait_for_the_end_of_orders();
    assert_eq!(states(), ["shut off", "running", "shut off", "shut off"]);
    let tail = deck.run(&["audit", "tail", "-n", "40"]).expect(0).stdout;
    assert!(tail.contains("app-2") && !tail.contains("app-4"), "{tail}");

    host.start_vm(&ids[2]);
    host.virsh(&["-q", "suspend", ids[2].as_str()]);
    host.start_vm(&ids[3]);
    pty.wait_for("their states", |screen| {
        row(screen, "app-3").contains("paused") && row(screen, "app-4").contains("running")
    });
    pty.keys("u*");
    pty.wait_text("4 marked");
    pty.keys("p");
    let screen = asked(&pty, "Pause 2 VMs?");
    let plan = dialog(&screen, "Pause 2 VMs?");
    let (acted, left_out) = plan.split_once("Left out: 2").unwrap_or((&plan, ""));
    for vm in ["app-2", "app-4"] {
        assert!(line_of(acted, vm).contains("running"), "{vm}: {plan}");
        assert_eq!(
            line_of(left_out, vm),
            vm,
            "only above what is sent to it: {plan}"
        );
    }
    for (vm, why) in [("app-1", "stopped"), ("app-3", "paused")] {
        assert!(line_of(left_out, vm).contains(why), "{vm}: {plan}");
        assert_eq!(line_of(acted, vm), "", "{vm}: {plan}");
    }
    for id in [&ids[1], &ids[3]] {
        assert!(plan.contains(id.as_str()), "{plan}");
    }
    pty.keys("y");
    pty.wait_text("2 of 2 over: 2 done");
    assert_eq!(states(), ["shut off", "paused", "paused", "paused"]);
    pty.keys("q");
    pty.wait_for_the_end_of_orders();
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
}

#[test]
fn a_plan_that_does_not_fit_the_screen_lists_every_vm_all_the_same() {
    let host = LibvirtHost::start();
    host.define_many("job", 30);
    host.start_vm(&host.define_deaf("web-1"));
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open(&deck, (140, 24));
    pty.wait_text("31 VMs");
    pty.keys("*");
    pty.wait_text("31 marked");
    pty.keys("s");
    asked(&pty, "Start 30 VMs?");
    let mut seen = BTreeSet::new();
    let mut reasons = BTreeSet::new();
    for _ in 0..120 {
        let screen = pty.wait_text("Start 30 VMs?");
        let plan = dialog(&screen, "Start 30 VMs?");
        for line in plan.lines().filter(|line| line.contains("kvm1")) {
            seen.extend(line.split_whitespace().next().map(str::to_owned));
        }
        reasons.extend(Some(line_of(&plan, "web-1").to_owned()).filter(|line| !line.is_empty()));
        let Some(more) = plan.lines().find(|line| line.contains("more line")) else {
            break;
        };
        let more = more.to_owned();
        pty.keys("\x1b[B");
        pty.wait_for("the next line", |screen| {
            !dialog(screen, "Start 30 VMs?").contains(&more)
        });
    }
    let all: BTreeSet<String> = (0..30).map(|n| format!("job-{n:03}")).collect();
    assert_eq!(seen, all);
    assert!(
        reasons.iter().any(|reason| reason.contains("running")),
        "{reasons:?}"
    );
    pty.keys("\r");
    pty.wait_for("the dialog gone", |screen| {
        !screen.contains("Start 30 VMs?")
    });
    let running = host.virsh(&["-q", "list", "--name", "--state-running"]);
    assert_eq!(running.trim(), "web-1", "Enter is the safe choice");
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
}
