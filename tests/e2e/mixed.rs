//! One profile with hosts of both kinds: two real libvirt hosts and two emulated Hyper-V hosts, each
//! behind a real sshd. One table, one set of verbs and keys, one audit log.

use std::path::Path;

use serde_json::Value;
use vmdeck::domain::vm::VmId;
use vmdeck::sim::hyperv::{Provocation, Situation, WinState};

use crate::VMDECK;
use crate::script::audit_lines;
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

    /// The id of a VM of an emulated host, as the program writes it.
    fn guid(&self, host: usize, vm: &str) -> String {
        let vm = self.win[host].control().vm(vm).expect("the VM");
        vm.id.to_lowercase()
    }

    /// State of a VM of an emulated host in the emulator's own words.
    fn win_state(&self, host: usize, vm: &str) -> WinState {
        let vm = self.win[host].control().vm(vm).expect("the VM");
        vm.standing.state
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

/// What is shown, and written down, for a start on a Hyper-V host.
fn start_command(id: &str) -> String {
    format!(
        "powershell.exe {{ $vm = Find-Machine $ask.id; Assert-State $vm ($off + $saved); \
         Set-State $vm 2 $running }} '{{\"id\":\"{id}\",\"limit\":80}}'"
    )
}

/// The lines of the audit log about one VM.
fn audit_of<'a>(log: &'a [Value], id: &str) -> Vec<&'a Value> {
    log.iter().filter(|line| line["vm_id"] == id).collect()
}

/// The result of each VM that a verb was about.
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
    let column = |member: &str| -> Vec<&str> {
        let values = rows.iter().map(|row| row[member].as_str());
        values.map(Option::unwrap_or_default).collect()
    };
    let expected = [
        "paused", "running", "running", "stopped", "running", "stopped", "saved",
    ];
    assert_eq!(column("state"), expected);
    let expected = [
        "hyperv", "hyperv", "libvirt", "libvirt", "hyperv", "hyperv", "hyperv",
    ];
    assert_eq!(column("hypervisor"), expected);
    for row in &rows {
        assert_eq!(row["tags"], serde_json::json!(["mixed"]));
        assert_eq!(row["stale"], false);
    }

    let descending = mixed.rows(&["--sort", "-vcpus"]);
    assert_eq!(named(&descending)[0], "win1/web-3");
    assert_eq!(descending[0]["vcpus"], 8);
    assert_eq!(descending.len(), 7);
    let last = named(&descending)[5..].to_vec();
    assert!(last.iter().all(|row| row.starts_with("kvm")), "{last:?}");

    let busy = mixed.rows(&["--filter", "hv:hyperv state:running cpu>50"]);
    assert_eq!(named(&busy), ["win1/web-3"]);
    let cpu = busy[0]["cpu_percent"].as_f64().unwrap();
    assert!(cpu > 50.0 && cpu <= 100.0, "{cpu}");
    let both = mixed.rows(&["--filter", "state:running name:web-*", "--sort", "name"]);
    assert_eq!(named(&both), ["kvm1/web-1", "win1/web-3"]);
    mixed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_windows_host_that_is_gone_holds_nothing_back() {
    let mut mixed = Mixed::start().await;
    mixed.win[0].sshd.stop();
    let listed = mixed.deck.once(&["list", "-o", "json", "--sort", "name"]);
    let listed = listed.expect(7);
    let rows = listed.json();
    let fresh = rows.as_array().unwrap().iter();
    let fresh: Vec<Value> = fresh.filter(|row| row["stale"] == false).cloned().collect();
    let expected = ["win2/db's [1]*", "kvm1/web-1", "kvm2/web-2", "win2/web-4"];
    assert_eq!(named(&fresh), expected);
    assert!(listed.stderr.contains("win1"), "{listed:?}");
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
    let mut dry = words.to_vec();
    dry.push("--dry-run");
    let dry = mixed.deck.once(&dry).expect(0);
    let kvm = mixed.vms[1].to_string();
    let expected = [
        (
            kvm.clone(),
            format!("virsh -q -c qemu:///session start {kvm}"),
        ),
        (
            mixed.guid(0, "web-4"),
            start_command(&mixed.guid(0, "web-4")),
        ),
        (
            mixed.guid(1, "web-4"),
            start_command(&mixed.guid(1, "web-4")),
        ),
    ];
    for planned in results(&dry) {
        let known = expected.iter().find(|(id, _)| planned["id"] == id.as_str());
        let (_, command) = known.unwrap_or_else(|| panic!("{planned:#}"));
        assert_eq!(planned["commands"], serde_json::json!([command]));
    }
    assert_eq!(results(&dry).len(), 3, "{dry:?}");
    assert_eq!(mixed.kvm[1].state(&mixed.vms[1]), "shut off");
    assert_eq!(mixed.win_state(0, "web-4"), WinState::Off);

    let run = mixed.deck.once(&words).expect(0);
    let done = results(&run);
    assert_eq!(done.len(), 3, "{run:?}");
    for result in &done {
        assert_eq!(result["outcome"], "confirmed", "{result:#}");
        assert_eq!(result["state_after"], "running");
    }
    assert_eq!(mixed.kvm[1].state(&mixed.vms[1]), "running");
    for host in [0, 1] {
        assert_eq!(mixed.win_state(host, "web-4"), WinState::Running);
    }

    let log = audit_lines(&mixed.deck);
    for (id, command) in &expected {
        let lines = audit_of(&log, id);
        let phases: Vec<&Value> = lines.iter().map(|line| &line["phase"]).collect();
        assert_eq!(phases, ["intent", "outcome"], "{lines:#?}");
        for line in &lines {
            assert_eq!(line["action"], "start");
            assert_eq!(line["plan"], serde_json::json!([command]));
        }
        assert_eq!(lines[1]["status"], "ok");
        assert_eq!(lines[1]["state_after"], "running");
    }
    mixed.deck.run(&["audit", "verify"]).expect(0);
    mixed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_changes_vms_of_both_kinds() {
    let mixed = Mixed::start().await;
    for (verb, kvm, win) in [
        ("pause", "paused", WinState::Paused),
        ("resume", "running", WinState::Running),
        ("save", "shut off", WinState::Saved),
        ("start", "running", WinState::Running),
        ("force-off", "shut off", WinState::Off),
    ] {
        let words = [verb, "kvm1/web-1", "win1/web-3", "--yes", "-o", "ndjson"];
        let run = mixed.deck.once(&words).expect(0);
        let done = results(&run);
        assert_eq!(done.len(), 2, "{run:?}");
        for result in &done {
            assert_eq!(result["outcome"], "confirmed", "{verb}: {result:#}");
        }
        assert_eq!(mixed.kvm[0].state(&mixed.vms[0]), kvm, "{verb}");
        assert_eq!(mixed.win_state(0, "web-3"), win, "{verb}");
    }
    // A name that PowerShell would expand, and take apart, means the one VM that has it.
    let words = ["resume", "win2/db's [1]*", "--yes", "-o", "json"];
    let resumed = mixed.deck.once(&words).expect(0).json();
    assert_eq!(resumed["outcome"], "confirmed", "{resumed:#}");
    assert_eq!(mixed.win_state(1, "db's [1]*"), WinState::Running);
    mixed.deck.run(&["audit", "verify"]).expect(0);
    mixed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_a_host_keep_its_language_and_hold_nothing_else_back() {
    let mixed = Mixed::start().await;
    mixed.win[0].control().provoke(Provocation {
        on: "RequestStateChange".to_owned(),
        error: Situation::OutOfMemory,
        times: None,
        at_once: false,
    });
    let words = ["start", "win1/web-4", "kvm2/web-2", "--yes", "-o", "ndjson"];
    let run = mixed.deck.once(&words).expect(7);
    let done = results(&run);
    let of = |host: &str| done.iter().find(|it| it["host"] == host).unwrap();
    assert_eq!(of("kvm2")["outcome"], "confirmed", "{run:?}");
    assert_eq!(of("win1")["outcome"], "failed", "{run:?}");
    let error = &of("win1")["error"];
    assert_eq!(error["kind"], "remote");
    let own_words = "Im System ist nicht genügend Arbeitsspeicher vorhanden";
    let said = error["message"].as_str().unwrap();
    assert!(said.contains(own_words), "{said}");
    assert_eq!(said.matches("(0x8007000E)").count(), 1, "{said}");
    assert!(error["hint"].as_str().unwrap().contains("memory"));
    assert_eq!(mixed.win_state(0, "web-4"), WinState::Off);

    let log = audit_lines(&mixed.deck);
    let lines = audit_of(&log, &mixed.guid(0, "web-4"));
    let refused = lines.iter().find(|line| line["phase"] == "outcome");
    let refused = refused.expect("an outcome");
    assert_eq!(refused["status"], "failed", "{refused:#}");
    assert!(refused.to_string().contains(own_words), "{refused:#}");
    mixed.deck.run(&["audit", "verify"]).expect(0);
    mixed.end().await;
}

/// The line of the screen that a VM of a host is on.
fn row<'a>(screen: &'a str, vm: &str, host: &str) -> &'a str {
    let mut lines = screen.lines();
    lines
        .find(|line| line.contains(vm) && line.contains(host))
        .unwrap_or_default()
}

/// Filters the table down to one row. The filter before must be gone.
fn leave_one(pty: &mut Pty, filter: &str) {
    pty.keys(&format!("/{filter}\r"));
    pty.wait_for("one row", |screen| screen.contains("1 of 7"));
}

/// Takes the filter away. Nothing may be typed behind Escape before that is seen: a terminal sends a key
/// with Alt in the same bytes.
fn leave_all(pty: &mut Pty) {
    pty.keys("\u{1b}");
    pty.wait_for("all rows", |screen| {
        screen.contains("7 VMs") && !screen.contains(" of 7")
    });
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
            && row(screen, "web-4", "win2").contains("saved")
    });
    leave_one(&mut pty, "hv:hyperv state:running cpu>50");
    pty.wait_for("the busy VM alone", |screen| {
        screen.contains("/hv:hyperv state:running cpu>50")
            && screen.contains("1 of 7")
            && row(screen, "web-3", "win1").contains("running")
    });
    leave_all(&mut pty);

    leave_one(&mut pty, "web-4 host:win1");
    pty.keys("s");
    pty.wait_for("it running", |screen| {
        row(screen, "web-4", "win1").contains("running")
    });
    assert_eq!(mixed.win_state(0, "web-4"), WinState::Running);
    pty.keys("F");
    let dialog = pty.wait_text("Set-State");
    let id = mixed.guid(0, "web-4");
    assert!(
        dialog.contains("powershell.exe") && dialog.contains(&id),
        "the dialog shows the command:\n{dialog}"
    );
    pty.keys("y");
    pty.wait_for("it stopped", |screen| {
        row(screen, "web-4", "win1").contains("stopped")
    });
    assert_eq!(mixed.win_state(0, "web-4"), WinState::Off);
    leave_all(&mut pty);

    leave_one(&mut pty, "web-2");
    pty.keys("s");
    pty.wait_for("it running", |screen| {
        row(screen, "web-2", "kvm2").contains("running")
    });
    assert_eq!(mixed.kvm[1].state(&mixed.vms[1]), "running");
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);

    let log = audit_lines(&mixed.deck);
    let of_win: Vec<String> = audit_of(&log, &id)
        .iter()
        .map(|line| format!("{} {}", line["action"], line["phase"]))
        .collect();
    let expected = [
        r#""start" "intent""#,
        r#""start" "outcome""#,
        r#""force-off" "intent""#,
        r#""force-off" "outcome""#,
    ];
    assert_eq!(of_win, expected, "{log:#?}");
    assert_eq!(audit_of(&log, mixed.vms[1].as_str()).len(), 2, "{log:#?}");
    mixed.deck.run(&["audit", "verify"]).expect(0);
    mixed.end().await;
}
