//! One order about several VMs of an emulated Hyper-V host by keys: marked by an expression, what is left out and why,
//! called back before it begins, failed in part, and repeated for those that failed.

use std::time::Duration;

use vmdeck::sim::hyperv::WinState;

use crate::VMDECK;
use crate::dashboard::{open_with, row};
use crate::support::deck::Deck;
use crate::support::pty::Pty;
use crate::support::windows::EmulatedWindows;

const HOST: &str = r#"
[[host]]
name = "hv1"
kind = "hyperv"
[[host.vm]]
name = "app-{}"
count = 3
state = "off"
[[host.vm]]
name = "app-up"
[[host.vm]]
name = "app-sick"
state = "off-critical"
[[host.vm]]
name = "db-1"
state = "off"
"#;

/// The dashboard on such a host, which is asked for one change at a time.
async fn ground(deck: &Deck) -> (EmulatedWindows, Pty) {
    let host = EmulatedWindows::start(HOST).await;
    deck.add_server("hv1", &host.sshd, &["--kind", "hyperv"]);
    let pty = open_with(deck, "[actions]\nbulk_per_host = 1\n", (150, 44));
    pty.wait_for("all of them", |screen| {
        screen.contains("1 up") && row(screen, "app-up").contains("running")
    });
    (host, pty)
}

fn state(host: &EmulatedWindows, vm: &str) -> WinState {
    host.control().vm(vm).unwrap().standing.state
}

/// Which of the three are in a state.
fn those(host: &EmulatedWindows, wanted: WinState) -> Vec<&'static str> {
    let all = ["app-1", "app-2", "app-3"].into_iter();
    all.filter(|vm| state(host, vm) == wanted).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_about_several_is_called_back_fails_in_part_and_is_repeated() {
    let deck = Deck::new(VMDECK);
    let (host, mut pty) = ground(&deck).await;
    let control = host.control();

    // What runs already is left out, and the plan says which and why.
    pty.keys("+app !sick\r");
    pty.wait_text("4 marked");
    pty.keys("s");
    pty.wait_for("the plan", |screen| {
        screen.contains("Start 3 VMs?")
            && screen.contains("Left out: 1")
            && screen.contains("app-up is running; `start` needs it")
            && screen.contains("Set-State $vm 2 $running")
    });
    // The first will never be up; the two behind it have not begun.
    control.set_pace(|pace| pace.start = Duration::from_secs(3600));
    pty.keys("y");
    pty.wait_text("0 of 3 over: 1 under way, 2 waiting");
    pty.wait_for("a job on the host", |_| control.running_jobs() == 1);
    pty.keys("x");
    pty.wait_text("1 under way, 1 skipped, 2 not started");
    let [first] = *those(&host, WinState::Starting) else {
        panic!("one of them is starting");
    };
    control.set_pace(|pace| pace.start = Duration::from_millis(60));
    control.set_state(first, "off").unwrap();
    let over = pty.wait_text("3 of 3 over: 1 failed, 1 skipped, 2 not started");
    assert!(row(&over, first).contains("failed"), "{over}");
    assert_eq!(those(&host, WinState::Off).len(), 3);

    // Exactly the one that failed is tried again, then what was called back. The host has said no before it was read
    // again, and what is starting is not started.
    pty.keys("\x1b");
    pty.wait_for("it off again", |screen| {
        row(screen, first).contains("stopped")
    });
    pty.keys("5");
    pty.wait_text("b shows each of them");
    pty.keys("b");
    pty.wait_text("3 of 3 over: 1 failed, 1 skipped, 2 not started");
    pty.keys("R");
    pty.wait_for("the plan of one", |screen| {
        screen.contains("Set-State $vm 2 $running") && screen.contains(first)
    });
    pty.keys("y");
    pty.wait_for("it running", |screen| {
        row(screen, first).contains("running") && !screen.contains("under way")
    });
    assert_eq!(those(&host, WinState::Running), [first]);
    pty.keys("u+state:stopped app\r");
    pty.wait_for("those that are off", |screen| screen.contains("2 marked"));
    pty.keys("s");
    pty.wait_text("Start 2 VMs?");
    pty.keys("y");
    pty.wait_text("2 of 2 over: 2 done");
    assert_eq!(those(&host, WinState::Running).len(), 3);
    pty.keys("q");
    pty.wait_for_the_end_of_orders();
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    assert_eq!(state(&host, "db-1"), WinState::Off, "it was not meant");
    deck.run(&["audit", "verify"]).expect(0);
    let log = deck.run(&["audit", "export"]).expect(0).stdout;
    assert!(log.contains("cancelled before anything was sent"), "{log}");
    host.end().await;
}
