//! An order about several VMs by keys, on simulated hosts one of which fails half of what it is told.

use vmdeck::sim::SimState;

use crate::VMDECK;
use crate::dashboard::open_with;
use crate::support::deck::Deck;
use crate::support::simulated::SimFleet;

const SCENARIO: &str = r#"
seed = 3

[[host]]
name = "kvm1"
cpus = 8
memory_gib = 32
refusing = ["app-1", "app-3"]

[[host.vm]]
name = "app-{}"
count = 4

[[host]]
name = "kvm2"
cpus = 8
memory_gib = 32
hanging = ["suspend"]

[[host.vm]]
name = "job-{}"
count = 4
"#;

/// A profile with these hosts.
fn deck(fleet: &SimFleet) -> Deck {
    let deck = Deck::new(VMDECK);
    let login = deck.home().join("login");
    let pem = fleet.demo.login_key_pem.expose();
    vmdeck::private_file::write_atomic(&login, pem.as_bytes()).unwrap();
    for host in &fleet.demo.hosts {
        let key = format!(
            "{} {}",
            host.host_key.key.algorithm, host.host_key.key.base64
        );
        deck.run(&[
            "host",
            "add",
            host.spec.name.as_str(),
            "--address",
            &host.spec.endpoint.to_string(),
            "--user",
            host.spec.user.as_ref().unwrap().as_str(),
            "--key-file",
            login.to_str().unwrap(),
            "--uri",
            "qemu:///system",
            "--host-key",
            &key,
        ])
        .expect(0);
    }
    deck
}

fn switched_off(fleet: &SimFleet, host: &str) -> usize {
    let vms = fleet.control(host).vms();
    vms.iter()
        .filter(|vm| vm.state == SimState::Stopped)
        .count()
}

#[test]
fn an_order_about_many_is_followed_repeated_and_called_back() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let fleet = runtime.block_on(SimFleet::start(SCENARIO));
    let deck = deck(&fleet);
    let config = "[actions]\nbulk_per_host = 2\n";
    let mut pty = open_with(&deck, config, (140, 40));
    pty.wait_for("all of them running", |screen| {
        screen.contains("2 up") && screen.contains("VMs 8/8")
    });

    // Half of them fails; the other half is done, and nothing is hidden.
    pty.keys("+app\r");
    pty.wait_text("4 marked");
    pty.keys("F");
    pty.wait_text("Force off 4 VMs?");
    pty.keys("y");
    let shown = pty.wait_text("4 of 4 over: 2 done, 2 failed");
    assert!(shown.contains("cannot acquire"), "{shown}");
    pty.keys("R");
    let again = pty.wait_text("Force off 2 VMs?");
    assert!(
        again.contains("app-1") && again.contains("app-3"),
        "{again}"
    );
    assert!(!again.contains("Left out"), "{again}");
    let mut faults = fleet.control("kvm1").faults();
    faults.refusing.clear();
    fleet.control("kvm1").set_faults(faults);
    pty.keys("y");
    pty.wait_text("2 of 2 over: 2 done");
    pty.keys("qu");
    pty.wait_for("no marks", |screen| !screen.contains("marked"));

    // Two are sent and hang; the other two are called back before anything was sent.
    pty.keys("+job\r");
    pty.wait_text("4 marked");
    pty.keys("p");
    pty.wait_text("VMs?");
    pty.keys("y");
    pty.wait_text("0 of 4 over: 2 under way, 2 waiting");
    pty.keys("x");
    pty.wait_text("2 of 4 over: 2 under way, 2 not started");
    pty.keys("q5");
    pty.wait_for("the operations", |screen| {
        screen.contains("not started") && screen.contains("2 under way, 2 of 4 over")
    });
    pty.keys("qqy");
    assert_eq!(pty.wait_exit(), 0);
    let tail = deck.run(&["audit", "tail", "-n", "40"]).expect(0);
    assert!(
        tail.stdout.contains("cancelled before anything was sent"),
        "{}",
        tail.stdout
    );
    assert_eq!(switched_off(&fleet, "kvm1"), 4);
    runtime.block_on(fleet.end());
}
