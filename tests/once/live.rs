//! Scripted commands on simulated hosts, over real SSH.

use std::io::{BufRead, BufReader};

use serde_json::Value;
use vmdeck::domain::host::KindChoice;
use vmdeck::sim::DemoHost;

use crate::support::deck::{Deck, Run};
use crate::support::simulated::SimFleet;
use crate::{VMDECK, snapshot};

const SCENARIO: &str = r#"
seed = 7

[[host]]
name = "kvm1"
tier = "prod"
tags = ["blue"]
cpus = 8
memory_gib = 32

[[host.vm]]
name = "web"
uuid = "11111111-1111-4111-8111-111111111111"
vcpus = 2
memory_mib = 2048
addresses = ["lease 10.0.0.5/24"]
autostart = true

[[host.vm]]
name = "=cmd|'calc'!A0"
uuid = "22222222-2222-4222-8222-222222222222"
state = "stopped"
vcpus = 1
memory_mib = 1024

[[host.vm]]
name = "deaf"
uuid = "33333333-3333-4333-8333-333333333333"
obeys_shutdown = false

[[host]]
name = "kvm2"
cpus = 8
memory_gib = 32

[[host.vm]]
name = "web"
uuid = "44444444-4444-4444-8444-444444444444"
state = "stopped"
vcpus = 2
memory_mib = 2048
"#;

/// A profile with simulated hosts.
pub(crate) struct Lab {
    pub(crate) deck: Deck,
    fleet: SimFleet,
    _runtime: tokio::runtime::Runtime,
}

impl Lab {
    /// Starts the hosts and adds them, their keys pinned.
    fn new() -> Self {
        Self::of(SCENARIO)
    }

    /// The same with the hosts of another scenario.
    pub(crate) fn of(scenario: &str) -> Self {
        let lab = Self::unknown_of(scenario);
        for host in &lab.fleet.demo.hosts {
            let key = format!(
                "{} {}",
                host.host_key.key.algorithm, host.host_key.key.base64
            );
            lab.add(host, &["--host-key", &key]).expect(0);
        }
        lab
    }

    /// Starts the hosts and adds none.
    fn unknown() -> Self {
        Self::unknown_of(SCENARIO)
    }

    fn unknown_of(scenario: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let fleet = runtime.block_on(SimFleet::start(scenario));
        let deck = Deck::new(VMDECK);
        let pem = fleet.demo.login_key_pem.expose();
        vmdeck::private_file::write_atomic(&deck.home().join("login"), pem.as_bytes()).unwrap();
        Self {
            deck,
            fleet,
            _runtime: runtime,
        }
    }

    /// What drives the host of that name.
    pub(crate) fn control(&self, name: &str) -> &vmdeck::sim::HostControl {
        self.fleet.control(name)
    }

    fn add(&self, host: &DemoHost, more: &[&str]) -> Run {
        let spec = &host.spec;
        let address = spec.endpoint.to_string();
        let key_file = self.deck.home().join("login").display().to_string();
        let user = spec.user.as_ref().unwrap().to_string();
        let mut args = vec!["host", "add", spec.name.as_str(), "--address", &address];
        args.extend([
            "--user",
            &user,
            "--key-file",
            &key_file,
            "--uri",
            "qemu:///system",
        ]);
        if let Some(tier) = &spec.tier {
            args.extend(["--tier", tier.as_str()]);
        }
        if spec.kind != KindChoice::Auto {
            args.extend(["--kind", spec.kind.word()]);
        }
        for tag in &spec.tags {
            args.extend(["--tag", tag.as_str()]);
        }
        args.extend(more);
        self.deck.run(&args)
    }

    /// Adds a host that nobody answers at.
    fn add_dead(&self) {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let args = [
            "host",
            "add",
            "dead",
            "--address",
            &address,
            "--user",
            "ops",
            "--agent",
        ];
        self.deck.run(&args).expect(0);
    }

    fn once(&self, words: &[&str]) -> Run {
        self.deck.once(words)
    }
}

#[test]
fn the_list_in_every_form() {
    let lab = Lab::new();
    // Figures that move are left out; the shape of all is looked at below.
    let columns = "name,host,state,vcpus,memory_assigned_bytes,addresses,autostart,tags,stale";
    for format in ["table", "json", "ndjson", "csv", "markdown"] {
        let run = lab.once(&[
            "list",
            "-o",
            format,
            "--columns",
            columns,
            "--sort",
            "-name",
        ]);
        snapshot!(&lab.deck, format!("list_{format}"), run).expect(0);
    }
    let rows = lab
        .once(&["list", "-o", "json", "--filter", "10.0.0.5"])
        .expect(0)
        .json();
    let keys: Vec<&String> = rows[0].as_object().unwrap().keys().collect();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(keys.len(), 16, "{keys:?}");
    assert_eq!(rows[0]["hypervisor"], "libvirt");
    assert_eq!(
        rows[0]["cpu_percent"],
        Value::Null,
        "one read cannot know a rate"
    );
    let rows = lab.once(&[
        "list",
        "-o",
        "json",
        "--sort",
        "cpu",
        "--filter",
        "host:kvm1 cpu>=0",
    ]);
    assert_eq!(
        rows.expect(0).json().as_array().unwrap().len(),
        2,
        "two reads can"
    );
}

#[test]
fn only_the_hosts_that_are_needed_are_connected() {
    let lab = Lab::new();
    lab.add_dead();
    lab.once(&["list", "--filter", "host:kvm*"]).expect(0);
    lab.once(&["show", "kvm1/web"]).expect(0);
    let hosts = lab.once(&["hosts", "-o", "json", "--columns", "name,state,vms,error"]);
    let hosts = hosts.expect(7).json();
    assert_eq!(hosts[0]["name"], "dead");
    assert_eq!(hosts[0]["vms"], Value::Null);
    assert!(
        hosts[0]["error"]
            .as_str()
            .unwrap()
            .contains("no connection")
    );
    assert_eq!(hosts[1]["state"], "up");
}

#[test]
fn a_dead_host_does_not_hold_back_the_others() {
    let lab = Lab::new();
    lab.add_dead();
    let run = snapshot!(
        &lab.deck,
        "partial",
        lab.once(&["list", "--columns", "name,host,state,stale"])
    );
    run.expect(7);
    snapshot!(
        &lab.deck,
        "none_answered",
        lab.once(&["list", "--filter", "host:dead"])
    )
    .expect(5);
    snapshot!(
        &lab.deck,
        "target_unreachable",
        lab.once(&["start", "dead/x", "-o", "json"])
    )
    .expect(5);
    snapshot!(
        &lab.deck,
        "target_maybe_there",
        lab.once(&["start", "nosuch"])
    )
    .expect(5);
}

#[test]
fn an_ambiguous_name_changes_nothing() {
    let lab = Lab::new();
    snapshot!(&lab.deck, "ambiguous", lab.once(&["start", "web"])).expect(3);
    snapshot!(
        &lab.deck,
        "ambiguous_json",
        lab.once(&["start", "web", "-o", "json"])
    )
    .expect(3);
    snapshot!(
        &lab.deck,
        "not_found_nearest",
        lab.once(&["start", "deaff"])
    )
    .expect(3);
    snapshot!(
        &lab.deck,
        "filter_matches_none",
        lab.once(&["start", "--filter", "tag:red"])
    )
    .expect(3);
    let kvm2 = lab
        .once(&["list", "-o", "json", "--filter", "host:kvm2"])
        .json();
    assert_eq!(kvm2[0]["state"], "stopped");
}

#[test]
fn verbs_plan_ask_run_and_report() {
    let lab = Lab::new();
    snapshot!(&lab.deck, "start", lab.once(&["start", "kvm2/web"])).expect(0);
    snapshot!(&lab.deck, "start_again", lab.once(&["start", "kvm2/web"])).expect(4);
    snapshot!(
        &lab.deck,
        "shutdown_asks",
        lab.once(&["shutdown", "kvm2/web"])
    )
    .expect(4);
    let id = "44444444-4444-4444-8444-444444444444";
    let run = lab.once(&["shutdown", id, "--yes", "-o", "json"]);
    snapshot!(&lab.deck, "shutdown_json", run).expect(0);
    let run = lab.once(&["force-off", "kvm1/web", "--dry-run"]);
    snapshot!(&lab.deck, "dry_run", run).expect(0);
    let run = lab.once(&["force-off", "--filter", "host:kvm1 state:running", "--yes"]);
    snapshot!(&lab.deck, "prod_wants_names", run).expect(4);
    snapshot!(
        &lab.deck,
        "pause",
        lab.once(&["pause", "kvm1/web", "--yes"])
    )
    .expect(0);
    let run = lab.once(&["resume", "kvm1/web", "kvm1/deaf", "--yes", "-o", "ndjson"]);
    snapshot!(&lab.deck, "bulk_mixed", run).expect(7);
    snapshot!(
        &lab.deck,
        "autostart",
        lab.once(&["autostart", "off", "kvm1/web"])
    )
    .expect(0);
    lab.once(&["force-off", "kvm1/web", "--yes"]).expect(0);
    snapshot!(
        &lab.deck,
        "read_only",
        lab.once(&["start", "kvm2/web", "--read-only"])
    )
    .expect(4);
    let tail = lab
        .deck
        .run(&["audit", "tail", "-n", "100", "--json"])
        .expect(0)
        .stdout;
    let records: Vec<Value> = tail
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        records
            .iter()
            .any(|record| record["action"] == "force-off" && record["phase"] == "outcome")
    );
    assert!(
        records
            .iter()
            .all(|record| record["actor"]["door"] != "tui")
    );
    snapshot!(
        &lab.deck,
        "audit_verify",
        lab.deck.run(&["audit", "verify"]).expect(0).without_count()
    );
}

#[test]
fn what_is_accepted_and_not_confirmed_is_six() {
    let lab = Lab::new();
    let words = ["shutdown", "kvm1/deaf", "--yes", "--timeout", "1s"];
    snapshot!(&lab.deck, "accepted", lab.once(&words)).expect(6);
    let run = lab
        .once(&["shutdown", "kvm1/deaf", "--yes", "--no-wait"])
        .expect(0);
    assert_eq!(run.stdout, "kvm1/deaf: shut down accepted\n");
}

#[test]
fn a_changed_record_is_found() {
    let lab = Lab::new();
    lab.once(&["start", "kvm2/web"]).expect(0);
    lab.deck.run(&["audit", "verify"]).expect(0);
    let folder = lab.deck.home().join("profiles/default/audit");
    let segment = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.extension()
                .is_some_and(|end| end == "jsonl" || end == "log")
        })
        .expect("a segment");
    let text = std::fs::read_to_string(&segment).unwrap();
    vmdeck::private_file::write_atomic(&segment, text.replace("kvm2", "kvm1").as_bytes()).unwrap();
    let run = lab.deck.run(&["audit", "verify"]).expect(1);
    assert!(run.stdout.contains("has been changed"), "{}", run.stdout);
}

#[test]
fn an_unknown_key_is_shown_and_pinned_only_when_it_is_the_one() {
    let lab = Lab::unknown();
    let host = lab.fleet.host("kvm2");
    lab.add(host, &[]).expect(0);
    snapshot!(&lab.deck, "unknown_key_listed", lab.once(&["list"])).expect(5);
    snapshot!(
        &lab.deck,
        "trust_asks",
        lab.deck.run(&["host", "trust", "kvm2"])
    )
    .expect(5);
    let wrong = ["host", "trust", "kvm2", "--fingerprint", "SHA256:wrong"];
    snapshot!(&lab.deck, "trust_wrong", lab.deck.run(&wrong)).expect(5);
    let right = &host.host_key.key.fingerprint;
    let run = lab
        .deck
        .run(&["host", "trust", "kvm2", "--fingerprint", right]);
    snapshot!(&lab.deck, "trust_right", run).expect(0);
    lab.once(&["list"]).expect(0);
    let found = lab
        .deck
        .run(&["host", "doctor", "kvm2", "--json"])
        .expect(0)
        .json();
    assert!(
        found
            .as_array()
            .unwrap()
            .iter()
            .all(|step| step["ok"] != false),
        "{found:#}"
    );
}

#[test]
fn a_host_is_recorded_with_stand_ins_and_never_over_something() {
    let lab = Lab::new();
    let out = lab.deck.home().join("recorded");
    let words = ["host", "record", "kvm1", "--out", out.to_str().unwrap()];
    let told = lab.deck.run(&words).expect(0);
    assert!(told.stdout.contains("replaced by stand-ins"), "{told:?}");
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    let manifest: Value = serde_json::from_str(&read("manifest.json")).unwrap();
    assert_eq!(manifest["hypervisor"], "libvirt");
    assert_eq!(manifest["unanswered"], serde_json::json!([]));
    assert_eq!(manifest["replaced"]["vms"], 3);
    assert!(read("origin").starts_with("A real host, recorded by"));
    let mut whole = String::new();
    for entry in std::fs::read_dir(&out).unwrap() {
        whole.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    for word in ["11111111-1111", "kvm1", "deaf", "calc", "10.0.0.5", "web"] {
        assert!(!whole.contains(word), "{word} is still there");
    }
    for word in [
        "dumpxml 00000000-0000-4000-8000-00000000000",
        "<name>vm-",
        "192.0.2.",
    ] {
        assert!(whole.contains(word), "{word} is not there");
    }
    let again = lab.deck.run(&words).expect(4);
    assert!(again.stderr.contains("nothing is overwritten"), "{again:?}");
    assert_eq!(
        serde_json::from_str::<Value>(&read("manifest.json")).unwrap(),
        manifest
    );
    lab.deck
        .run(&["host", "record", "nobody", "--out", "/nonexistent/x"])
        .expect(3);
}

/// A host says which version it is; the version stands in two files that are meant to be shown to others.
#[test]
fn the_version_of_a_recorded_host_is_text_like_any_other() {
    let hostile = SCENARIO.replacen(
        "memory_gib = 32",
        "memory_gib = 32\nlibvirt = \"9.0.0, built on kvm1\\u001b]0;gone\\u0007\\u202e\"",
        1,
    );
    let lab = Lab::of(&hostile);
    let out = lab.deck.home().join("recorded");
    lab.deck
        .run(&["host", "record", "kvm1", "--out", out.to_str().unwrap()])
        .expect(0);
    for name in ["manifest.json", "origin"] {
        let text = std::fs::read_to_string(out.join(name)).unwrap();
        assert!(text.contains("libvirt 9.0.0, built on "), "{name}: {text}");
        for raw in ["kvm1", "\u{1b}", "\\u001b", "\u{7}", "\u{202e}", "\\u202e"] {
            assert!(!text.contains(raw), "{raw:?} is in {name}: {text:?}");
        }
    }
}

#[test]
fn watching_ends_in_order() {
    let lab = Lab::new();
    let mut child = lab
        .deck
        .command(&["--once", "watch", "--filter", "host:kvm1"])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(first["event"], "init");
    assert_eq!(first["vms"].as_array().unwrap().len(), 3);
    lab.once(&["pause", "kvm1/web", "--yes"]).expect(0);
    let paused = lines.find_map(|line| {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        (event["event"] == "vm_state" && event["to"] == "paused").then_some(event)
    });
    assert_eq!(paused.expect("the change")["name"], "web");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let lab = Lab::new();
    let mut child = lab.deck.command(&["--once", "list"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn the_demo_needs_nothing_and_leaves_nothing() {
    let deck = Deck::new(VMDECK);
    let run = deck.run(&[
        "--demo",
        "--once",
        "list",
        "-o",
        "json",
        "--filter",
        "host:fra-kvm1",
    ]);
    let rows = run.expect(0).json();
    assert!(rows.as_array().unwrap().len() >= 5);
    assert!(!deck.home().join("profiles").exists());
}

impl Run {
    /// Takes out how many records there are.
    fn without_count(mut self) -> Self {
        self.stdout = self.stdout.replace(|c: char| c.is_ascii_digit(), "");
        self
    }
}
