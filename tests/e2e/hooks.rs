//! Hooks of the operator's on events of real hosts and VMs: each is run with what is documented, one that hangs holds
//! nothing up, and the same news reach the terminal.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::VMDECK;
use crate::dashboard::row;
use crate::own::runs;
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::pty::Pty;
use crate::support::{wait_for, write};

/// How long a hook may take to be run: a lost host is noticed and found again within this.
const SOON: Duration = Duration::from_secs(60);

/// What must not reach a program of the operator's.
const SECRETS: [&str; 2] = ["API_KEY", "HMAC_SECRET"];

/// A program that writes its arguments, each ended by a zero byte, and its environment into files named after the
/// first of them.
fn recorder(deck: &Deck) -> String {
    let path = deck.home().join("record a hook");
    write(
        &path,
        "#!/bin/sh\nenv > \"$HOME/$1.env\"\nprintf '%s\\0' \"$@\" > \"$HOME/$1.new\"\nmv \"$HOME/$1.new\" \"$HOME/$1\"\n",
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// One of each event, before three of them one that hangs: four are run at once.
fn configuration(record: &str) -> String {
    let host = "\"{host.name}\", \"{host.address}:{host.port}\", \"{host.user}\"";
    let vm = "\"{vm.name}\", \"{vm.id}\"";
    let mut parts = vec!["[tui]\nnotify_by = \"osc777\"\n".to_owned()];
    for (event, arguments) in [
        (
            "operation-ended",
            format!("{vm}, \"{{verb}}\", \"{{outcome}}\", \"{{user}}\""),
        ),
        (
            "vm-crashed",
            format!("{vm}, \"{{before}}\", \"{{vm.state}}\", \"{{host.name}}\""),
        ),
        ("host-lost", format!("{host}, \"{{reason}}\"")),
        ("host-back", host.to_owned()),
    ] {
        if event != "host-back" {
            let hangs = "echo $$ >> \"$HOME/hanging\"; exec sleep 600";
            parts.push(format!(
                "[[hook]]\nevent = \"{event}\"\ntimeout = \"5m\"\nargv = [\"sh\", \"-c\", {hangs:?}]\n"
            ));
        }
        parts.push(format!(
            "[[hook]]\nevent = \"{event}\"\nargv = [{record:?}, \"{{event}}\", {arguments}, \"$(id); `id`\"]\n"
        ));
    }
    parts.concat()
}

fn open(deck: &Deck) -> Pty {
    let config = deck.configure(&configuration(&recorder(deck)));
    let (config, home) = (
        config.display().to_string(),
        deck.home().display().to_string(),
    );
    let mut environment = vec![("VMDECK_HOME", home.as_str()), ("HOME", &home)];
    environment.extend(SECRETS.map(|name| (name, "canary")));
    Pty::start(
        Path::new(VMDECK),
        &["--config", &config],
        &environment,
        (140, 40),
    )
}

/// The arguments behind the event's name that its hook was run with; the last one has been through no shell.
fn told(deck: &Deck, event: &str) -> Vec<String> {
    let file = deck.home().join(event);
    assert!(wait_for(SOON, || file.exists()), "no {event}");
    let text = fs::read_to_string(&file).unwrap();
    let mut arguments: Vec<String> = text.split_terminator('\0').map(str::to_owned).collect();
    assert_eq!(arguments.remove(0), event);
    assert_eq!(arguments.pop().unwrap(), "$(id); `id`");
    let around = fs::read_to_string(deck.home().join(format!("{event}.env"))).unwrap();
    assert!(!around.contains("canary"), "{event}: {around}");
    arguments
}

/// Ends the process of the only VM that runs, as a host without memory does.
fn kill_the_vm(host: &LibvirtHost) {
    let is_qemu = |pid: &i32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("qemu"))
    };
    let qemu: Vec<i32> = host.pids().into_iter().filter(is_qemu).collect();
    let [pid] = qemu.as_slice() else {
        panic!("{qemu:?}");
    };
    kill_process(Pid::from_raw(*pid).unwrap(), Signal::KILL).unwrap();
}

/// Who has done it, as the record says.
fn doer(deck: &Deck) -> String {
    let audit = deck.run(&["audit", "export"]).expect(0).stdout;
    let records = audit
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let started = records
        .filter(|record: &Value| record["action"] == "start")
        .find_map(|record| Some(record["actor"]["user"].as_str()?.to_owned()));
    started.unwrap_or_else(|| panic!("nobody has started it: {audit}"))
}

#[test]
fn every_event_runs_its_hook_whatever_another_one_does() {
    let mut host = LibvirtHost::start();
    let id = host.define_deaf("web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open(&deck);
    pty.wait_for("the stopped VM", |screen| {
        screen.contains("1 up") && row(screen, "web-1").contains("stopped")
    });

    pty.keys("s");
    let ended = told(&deck, "operation-ended");
    assert_eq!(
        ended,
        ["web-1", id.as_str(), "start", "confirmed", &doer(&deck)]
    );

    kill_the_vm(&host);
    pty.wait_bytes(b"\x1b]777;notify;vmdeck;web-1 on kvm1 is crashed\x07");
    pty.wait_for("that it crashed", |screen| {
        row(screen, "web-1").contains("✕ crashed")
    });
    let reason = host.virsh(&["-q", "domstate", "--reason", id.as_str()]);
    assert_eq!(reason.trim(), "shut off (crashed)");
    let crashed = told(&deck, "vm-crashed");
    assert_eq!(
        crashed,
        ["web-1", id.as_str(), "running", "crashed", "kvm1"]
    );

    let address = format!("127.0.0.1:{}", host.sshd.port());
    let known = ["kvm1", &address, host.sshd.user()].map(str::to_owned);
    host.sshd.stop();
    let mut lost = told(&deck, "host-lost");
    let reason = lost.pop().unwrap();
    assert_eq!(lost, known);
    assert!(!reason.is_empty());
    assert!(!deck.home().join("host-back").exists());
    host.sshd.restart();
    assert_eq!(told(&deck, "host-back"), known);

    // Three of them hang by now; keys do what they do all the same.
    let hanging = fs::read_to_string(deck.home().join("hanging")).unwrap();
    assert_eq!(hanging.lines().filter(|pid| runs(pid)).count(), 3);
    pty.wait_for("the host", |screen| screen.contains("1 up"));
    pty.keys("s");
    pty.wait_for("it running", |screen| {
        row(screen, "web-1").contains("running")
    });
    assert_eq!(host.state(&id), "running", "what crashed can be started");
    pty.wait_for_the_end_of_orders();
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    let ended = wait_for(SOON, || !hanging.lines().any(runs));
    assert!(ended, "a hook outlives the program");
}
