//! One profile with hosts of both kinds: two real libvirt hosts and two emulated Hyper-V hosts, each
//! behind a real sshd. One table, one set of verbs and keys, one audit log.

use std::path::Path;

use serde_json::Value;
use vmdeck::domain::vm::VmId;

use crate::VMDECK;
use crate::support::deck::{Deck, Run};
use crate::support::lab::LibvirtHost;
use crate::support::pty::Pty;
use crate::support::windows::EmulatedWindows;

const GERMAN: &str = r#"
[[host]]
name = "win1"
kind = "hyperv"
windows = "2019"
language = "de"
[[host.vm]]
name = "web-3"
state = "running"
cpu = 0.9
vcpus = 8
[[host.vm]]
name = "web-4"
state = "off"
[[host.vm]]
name = "idle"
state = "running"
cpu = 0.0
"#;

const ENGLISH: &str = r#"
[[host]]
name = "win2"
kind = "hyperv"
windows = "11"
shell = "powershell"
[[host.vm]]
name = "db's [1]*"
state = "paused"
[[host.vm]]
name = "web-4"
state = "saved"
"#;

/// Four hosts and the program that knows them.
struct Mixed {
    kvm: [LibvirtHost; 2],
    vms: [VmId; 2],
    win: [EmulatedWindows; 2],
    deck: Deck,
}

impl Mixed {
    async fn start() -> Self {
        let kvm = [LibvirtHost::start(), LibvirtHost::start()];
        let vms = [kvm[0].define_deaf("web-1"), kvm[1].define_deaf("web-2")];
        kvm[0].start_vm(&vms[0]);
        let win = [
            EmulatedWindows::start(GERMAN).await,
            EmulatedWindows::start(ENGLISH).await,
        ];
        let deck = Deck::new(VMDECK);
        for (name, host) in ["kvm1", "kvm2"].into_iter().zip(&kvm) {
            deck.add(name, host, &["--tag", "mixed"]);
        }
        for (name, host) in ["win1", "win2"].into_iter().zip(&win) {
            deck.add_server(name, &host.sshd, &["--tag", "mixed", "--kind", "auto"]);
        }
        Self {
            kvm,
            vms,
            win,
            deck,
        }
    }

    fn rows(&self, words: &[&str]) -> Vec<Value> {
        let mut args = vec!["list", "-o", "json"];
        args.extend(words);
        let listed = self.deck.once(&args).expect(0).json();
        listed.as_array().unwrap().clone()
    }

    async fn end(self) {
        for host in self.win {
            host.end().await;
        }
    }
}

fn named(rows: &[Value]) -> Vec<String> {
    let name = |row: &Value| {
        let text = |member: &str| row[member].as_str().unwrap_or_default().to_owned();
        format!("{}/{}", text("host"), text("name"))
    };
    rows.iter().map(name).collect()
}

fn results(run: &Run) -> Vec<Value> {
    let lines = run.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_kinds_are_one_table_sorted_and_filtered_together() {
    let mixed = Mixed::start().await;
    let rows = mixed.rows(&["--sort", "name"]);
    let expected = [
        "win2/db's [1]*",
        "win1/idle",
        "kvm1/web-1",
        "kvm2/web-2",
        "win1/web-3",
        "win1/web-4",
        "win2/web-4",
    ];
    assert_eq!(named(&rows), expected);
    let states: Vec<&str> = rows
        .iter()
        .map(|row| row["state"].as_str().unwrap())
        .collect();
    let expected = [
        "paused", "running", "running", "stopped", "running", "stopped", "saved",
    ];
    assert_eq!(states, expected);
    let busy = mixed.rows(&["--filter", "hv:hyperv state:running cpu>50"]);
    assert_eq!(named(&busy), ["win1/web-3"]);
    assert!(busy[0]["cpu_percent"].as_f64().unwrap() <= 100.0);
    let both = mixed.rows(&["--filter", "state:running name:web-*", "--sort", "name"]);
    assert_eq!(named(&both), ["kvm1/web-1", "win1/web-3"]);
    mixed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_verb_acts_on_both_and_the_audit_names_what_was_run() {
    let mixed = Mixed::start().await;
    let words = [
        "start",
        "kvm2/web-2",
        "win1/web-4",
        "win2/web-4",
        "--yes",
        "-o",
        "ndjson",
    ];
    let run = mixed.deck.once(&words).expect(0);
    let done = results(&run);
    assert_eq!(done.len(), 3, "{run:?}");
    for result in &done {
        assert_eq!(result["outcome"], "confirmed", "{result:#}");
        assert_eq!(result["state_after"], "running");
    }
    assert_eq!(mixed.kvm[1].state(&mixed.vms[1]), "running");
    for host in &mixed.win {
        let vm = host.control().vm("web-4").unwrap();
        assert_eq!(vm.standing.state, vmdeck::sim::hyperv::WinState::Running);
    }
    // A name that PowerShell would expand, and take apart, means the one VM that has it.
    let words = ["resume", "win2/db's [1]*", "--yes", "-o", "json"];
    let resumed = mixed.deck.once(&words).expect(0).json();
    assert_eq!(resumed["outcome"], "confirmed", "{resumed:#}");

    let log = mixed
        .deck
        .run(&["audit", "tail", "-n", "50", "-o", "json"])
        .expect(0);
    let id = mixed.win[0]
        .control()
        .vm("web-4")
        .unwrap()
        .id
        .to_lowercase();
    assert!(log.stdout.contains("virsh"), "{}", log.stdout);
    assert!(
        log.stdout.contains("Set-State $vm 2 $running"),
        "{}",
        log.stdout
    );
    assert!(log.stdout.contains(&id), "{}", log.stdout);
    mixed.deck.run(&["audit", "verify"]).expect(0);
    mixed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_a_host_keep_its_language_and_hold_nothing_else_back() {
    let mixed = Mixed::start().await;
    let provocation = vmdeck::sim::hyperv::Provocation {
        on: "RequestStateChange".to_owned(),
        error: vmdeck::sim::hyperv::Situation::OutOfMemory,
        times: None,
        at_once: false,
    };
    mixed.win[0].control().provoke(provocation);
    let words = ["start", "win1/web-4", "kvm2/web-2", "--yes", "-o", "ndjson"];
    let run = mixed.deck.once(&words);
    let done = results(&run);
    let of = |host: &str| done.iter().find(|it| it["host"] == host).unwrap();
    assert_eq!(of("kvm2")["outcome"], "confirmed", "{run:?}");
    assert_eq!(of("win1")["outcome"], "failed", "{run:?}");
    let said = of("win1")["error"]["message"].as_str().unwrap();
    assert!(said.contains("Arbeitsspeicher"), "{said}");
    mixed.end().await;
}

/// The line of the screen that a VM of a host is on.
fn row<'a>(screen: &'a str, vm: &str, host: &str) -> &'a str {
    let mut lines = screen.lines();
    lines
        .find(|line| line.contains(vm) && line.contains(host))
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_act_on_both_kinds() {
    let mixed = Mixed::start().await;
    let environment = mixed.deck.environment();
    let environment: Vec<(&str, &str)> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let mut pty = Pty::start(Path::new(VMDECK), &[], &environment, (160, 40));
    pty.wait_for("all hosts", |screen| screen.contains("4 up"));
    pty.wait_for("both kinds", |screen| {
        row(screen, "web-1", "kvm1").contains("running")
            && row(screen, "web-4", "win1").contains("stopped")
    });
    pty.keys("/web-4 host:win1\r");
    pty.wait_for("one row", |screen| screen.contains("1 of 7"));
    pty.keys("s");
    pty.wait_for("it running", |screen| {
        row(screen, "web-4", "win1").contains("running")
    });
    pty.keys("F");
    let dialog = pty.wait_text("Set-State");
    assert!(dialog.contains("powershell.exe"), "{dialog}");
    pty.keys("y");
    pty.wait_for("it stopped", |screen| {
        row(screen, "web-4", "win1").contains("stopped")
    });
    pty.keys("\u{1b}");
    pty.keys("/web-2\r");
    pty.wait_for("the other kind", |screen| screen.contains("1 of 7"));
    pty.keys("s");
    pty.wait_for("it running", |screen| {
        row(screen, "web-2", "kvm2").contains("running")
    });
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    mixed.deck.run(&["audit", "verify"]).expect(0);
    mixed.end().await;
}
