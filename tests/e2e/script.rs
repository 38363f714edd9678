//! `--once` on real VMs: what it prints, what it changes, how it ends.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::VMDECK;
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::{command, run, wait_for};

/// The object of the one VM that a verb was about.
fn only(value: &Value) -> &Value {
    assert!(value.is_object(), "one VM, one object: {value:#}");
    value
}

#[test]
fn the_list_is_what_the_host_has_in_the_documented_shape() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web 1; it's");
    host.start_vm(&id);
    let off = host.define_deaf("db");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &["--tag", "blue", "--tier", "dev"]);

    let listed = deck
        .once(&["list", "-o", "json", "--sort", "name"])
        .expect(0)
        .json();
    let rows = listed.as_array().unwrap();
    assert_eq!(rows.len(), 2, "{listed:#}");
    let row = rows
        .iter()
        .find(|row| row["id"] == id.as_str())
        .expect("the running one");
    assert_eq!(row["name"], "web 1; it's");
    assert_eq!(row["host"], "kvm1");
    assert_eq!(row["hypervisor"], "libvirt");
    assert_eq!(row["state"], "running");
    assert_eq!(row["vcpus"], 1);
    assert_eq!(row["tags"], serde_json::json!(["blue"]));
    assert_eq!(row["stale"], false);
    assert!(row["memory_assigned_bytes"].as_u64().unwrap() >= 16 << 20);
    let stopped = rows
        .iter()
        .find(|row| row["id"] == off.as_str())
        .expect("the stopped one");
    assert_eq!(stopped["state"], "stopped");
    assert_eq!(stopped["uptime_seconds"], Value::Null);
    for row in rows {
        for member in [
            "name",
            "id",
            "host",
            "hypervisor",
            "state",
            "cpu_percent",
            "vcpus",
            "memory_used_bytes",
            "memory_assigned_bytes",
            "addresses",
            "uptime_seconds",
            "snapshots",
            "autostart",
            "tags",
            "observed_at",
            "stale",
        ] {
            assert!(row.get(member).is_some(), "{member} is missing in {row:#}");
        }
    }
}

#[test]
fn every_verb_changes_the_real_vm() {
    let host = LibvirtHost::start();
    let id = host.define_obedient("guest");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let act = |verb: &[&str]| {
        let mut words = verb.to_vec();
        words.extend(["guest", "--yes", "-o", "json"]);
        let done = deck.once(&words).expect(0).json();
        let result = only(&done).clone();
        assert_eq!(result["id"], id.as_str());
        assert_eq!(result["host"], "kvm1");
        result
    };

    let started = act(&["start"]);
    assert_eq!(started["outcome"], "confirmed", "{started:#}");
    assert_eq!(started["state_before"], "stopped");
    assert_eq!(started["state_after"], "running");
    assert_eq!(host.state(&id), "running");
    host.wait_ready(&id);

    for (verb, after) in [
        ("pause", "paused"),
        ("resume", "running"),
        ("save", "shut off"),
        ("start", "running"),
        ("force-off", "shut off"),
        ("start", "running"),
    ] {
        let result = act(&[verb]);
        assert_eq!(result["outcome"], "confirmed", "{result:#}");
        assert_eq!(host.state(&id), after, "{verb}");
    }

    act(&["autostart", "on"]);
    assert!(
        host.virsh(&["dominfo", id.as_str()])
            .contains("Autostart:      enable")
    );
    act(&["autostart", "off"]);
    assert!(
        host.virsh(&["dominfo", id.as_str()])
            .contains("Autostart:      disable")
    );
}

#[test]
fn a_guest_that_obeys_its_power_button_is_seen_to_stop() {
    let host = LibvirtHost::start();
    let id = host.define_obedient("guest");
    host.start_vm(&id);
    host.wait_ready(&id);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let done = deck
        .once(&["shutdown", "guest", "--yes", "-o", "json"])
        .expect(0)
        .json();
    assert_eq!(only(&done)["outcome"], "confirmed");
    assert_eq!(host.state(&id), "shut off");
}

#[test]
fn a_guest_that_is_deaf_to_it_ends_as_accepted_with_the_reason() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("deaf");
    host.start_vm(&id);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let words = ["shutdown", "deaf", "--yes", "--timeout", "3s", "-o", "json"];
    let done = deck.once(&words).expect(6).json();
    let result = only(&done);
    assert_eq!(result["outcome"], "accepted");
    assert_eq!(result["state_after"], "running");
    assert!(
        result["error"].to_string().contains('3'),
        "the reason names the time it was given: {result:#}"
    );
    assert_eq!(host.state(&id), "running");
}

#[test]
fn a_reset_and_a_reboot_reach_the_hypervisor() {
    let host = LibvirtHost::start();
    let id = host.define_obedient("guest");
    host.start_vm(&id);
    host.wait_ready(&id);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    for verb in ["reset", "reboot"] {
        let run = deck.once(&[verb, "guest", "--yes", "--timeout", "20s", "-o", "json"]);
        assert!([0, 6].contains(&run.code), "{verb}: {run:?}");
        let outcome = only(&run.json())["outcome"].clone();
        let fits =
            (run.code == 0 && outcome == "confirmed") || (run.code == 6 && outcome == "accepted");
        assert!(fits, "{verb}: {run:?}");
        assert_eq!(host.state(&id), "running");
    }
}

#[test]
fn refusals_change_nothing_and_say_why() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web");
    host.start_vm(&id);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let cases: [(&[&str], i32); 5] = [
        (&["force-off", "web"], 4),
        (&["start", "web", "--yes"], 4),
        (&["resume", "web", "--yes"], 4),
        (&["start", "nobody", "--yes"], 3),
        (&["--read-only", "force-off", "web", "--yes"], 4),
    ];
    for (words, code) in cases {
        let run = deck.once(words).expect(code);
        assert!(!run.stderr.trim().is_empty(), "{words:?} said nothing");
        assert_eq!(host.state(&id), "running", "{words:?}");
    }
    let dry = deck
        .once(&["force-off", "web", "--yes", "--dry-run"])
        .expect(0);
    assert!(
        dry.stdout.contains("destroy") && dry.stdout.contains(id.as_str()),
        "{dry:?}"
    );
    assert_eq!(host.state(&id), "running");
}

#[test]
fn two_hosts_stand_in_one_table_and_a_dead_one_holds_nothing_back() {
    let first = LibvirtHost::start();
    let mut second = LibvirtHost::start();
    first.define_deaf("twin");
    second.define_deaf("twin");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &first, &[]);
    deck.add("kvm2", &second, &[]);

    let listed = deck.once(&["list", "-o", "json"]).expect(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 2);

    let ambiguous = deck
        .once(&["start", "twin", "--yes", "-o", "json"])
        .expect(3);
    assert!(ambiguous.stderr.contains("kvm1/twin") && ambiguous.stderr.contains("kvm2/twin"));
    deck.once(&["start", "kvm1/twin", "--yes"]).expect(0);

    second.sshd.stop();
    let partial = deck.once(&["list", "-o", "json"]).expect(7);
    let fresh: Vec<Value> = partial
        .json()
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["stale"] == false)
        .cloned()
        .collect();
    assert_eq!(fresh.len(), 1);
    assert_eq!(fresh[0]["host"], "kvm1");
    assert!(partial.stderr.contains("kvm2"), "{partial:?}");
}

#[test]
fn what_was_done_is_in_the_audit_log_and_the_log_verifies() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    deck.once(&["start", "web", "--yes"]).expect(0);
    let tail = deck.run(&["audit", "tail", "-n", "10", "-o", "json"]);
    let tail = if tail.code == 0 {
        tail
    } else {
        deck.run(&["audit", "tail", "-n", "10"]).expect(0)
    };
    assert!(
        tail.stdout.contains("start") && tail.stdout.contains("web"),
        "{tail:?}"
    );
    deck.run(&["audit", "verify"]).expect(0);

    let log = audit_lines(&deck);
    let of_start: Vec<&Value> = log
        .iter()
        .filter(|line| line["action"] == "start")
        .collect();
    assert_eq!(of_start.len(), 2, "{log:#?}");
    assert_eq!(of_start[0]["phase"], "intent");
    assert_eq!(of_start[1]["phase"], "outcome");
    assert_eq!(of_start[1]["vm"], "web");
    assert_eq!(of_start[1]["vm_id"], id.as_str());
    assert_eq!(of_start[1]["actor"]["door"], "once");
    assert_eq!(of_start[0]["operation"], of_start[1]["operation"]);
}

#[test]
fn killed_in_the_middle_of_an_action_the_profile_and_the_log_stay_sound() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("deaf");
    host.start_vm(&id);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut running = deck
        .command(&["--once", "shutdown", "deaf", "--yes", "--timeout", "60s"])
        .spawn()
        .expect("it starts");
    let begun = wait_for(Duration::from_secs(20), || {
        audit_lines(&deck)
            .iter()
            .any(|line| line["phase"] == "intent")
    });
    running.kill().expect("kill");
    running.wait().expect("ended");
    assert!(begun, "no intent was written");

    deck.run(&["audit", "verify"]).expect(0);
    deck.once(&["list"]).expect(0);
    let log = audit_lines(&deck);
    let closed = log
        .iter()
        .find(|line| line["phase"] == "outcome" && line["action"] == "shutdown")
        .unwrap_or_else(|| panic!("the intent is still open: {log:#?}"));
    assert_eq!(closed["status"], "unknown");
    deck.run(&["audit", "verify"]).expect(0);
}

/// Every line of the profile's audit log.
pub(crate) fn audit_lines(deck: &Deck) -> Vec<Value> {
    let mut files = Vec::new();
    find(deck.home(), &mut files);
    files.sort();
    files
        .iter()
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect::<Vec<Value>>()
        })
        .collect()
}

fn find(folder: &std::path::Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find(&path, files);
        } else if path.to_string_lossy().contains("/audit/")
            && path
                .extension()
                .is_some_and(|end| end == "jsonl" || end == "log")
        {
            files.push(path);
        }
    }
}

/// Returns the middle one.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[test]
#[ignore = "prints a ratio, asserts nothing about time"]
fn what_a_list_costs() {
    let host = LibvirtHost::start();
    for name in ["one", "two", "three"] {
        let id = host.define_deaf(name);
        host.start_vm(&id);
    }
    host.define_many("off", 7);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let known = host.sshd.known_hosts_file();
    let ssh = || {
        let mut ssh = command("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o"])
            .arg(format!("UserKnownHostsFile={}", known.display()))
            .arg("-i")
            .arg(&host.sshd.client_key.path)
            .args(["-p", &host.sshd.port().to_string(), "-l"])
            .args([host.sshd.user(), "127.0.0.1"])
            .args(["virsh -c qemu:///session list --all"]);
        run(&mut ssh)
    };
    let processes = || host.sshd.logged("Starting session:");
    let (mut ours, mut theirs, mut started) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..15 {
        let start = Instant::now();
        ssh();
        theirs.push(start.elapsed());
        let before = processes();
        let start = Instant::now();
        let listed = deck.once(&["list"]).expect(0);
        ours.push(start.elapsed());
        assert_eq!(listed.stdout.lines().count(), 11, "{}", listed.stdout);
        started.push(processes() - before);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "a list {ours:?} with {started:?} remote commands, `ssh HOST virsh list --all` {theirs:?} (ratio {:.2})",
        ours.as_secs_f64() / theirs.as_secs_f64(),
    );
}
