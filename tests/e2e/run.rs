//! Programs run in real VMs, by QEMU's own guest agent: by `--once run` and in the dashboard.

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::support::deck::{Deck, Run};
use crate::support::lab::LibvirtHost;
use crate::support::wait_for;

use std::time::Duration;

/// Waits until the agent of a VM answers.
pub(crate) fn wait_for_agent(host: &LibvirtHost, vm: &str) {
    let ping = r#"{"execute":"guest-ping"}"#;
    let answers = wait_for(Duration::from_secs(60), || {
        let asked = host.try_virsh(&["-q", "qemu-agent-command", vm, ping]);
        asked.status.success()
    });
    assert!(answers, "the agent of {vm} does not answer");
}

/// Runs `--once run` with these words; it ends with this code.
#[track_caller]
fn run(deck: &Deck, code: i32, words: &[&str]) -> Run {
    let mut args = vec!["run"];
    args.extend(words);
    deck.once(&args).expect(code)
}

#[test]
fn a_program_in_a_real_vm_gets_its_arguments_as_they_are_and_its_end_is_told() {
    let host = LibvirtHost::start();
    host.start_vm(&host.define_with_agent("web-1", ""));
    host.start_vm(&host.define_with_agent("locked", "guest-exec"));
    host.start_vm(&host.define_deaf("deaf"));
    host.define_deaf("off");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    wait_for_agent(&host, "web-1");

    // Nothing is run that was not agreed to.
    let refused = run(&deck, 4, &["web-1", "--", "touch", "/oops"]);
    assert!(refused.stderr.contains("add --yes"), "{}", refused.stderr);
    let planned = run(&deck, 0, &["web-1", "--dry-run", "--", "touch", "/oops"]);
    assert!(planned.stdout.contains("guest-exec"), "{}", planned.stdout);

    what_it_prints(&deck);
    for (code, vm, says) in [
        (1, "web-1", "No such file or directory"),
        (4, "deaf", "org.qemu.guest_agent.0"),
        (1, "locked", "block-rpcs"),
        (4, "off", "off is stopped"),
    ] {
        let said = run(&deck, code, &[vm, "-y", "--", "/no/such"]).stderr;
        assert!(said.contains(says), "{vm}: {said}");
    }

    in_the_dashboard(&deck);
    deck.run(&["audit", "verify"]).expect(0);
    let audit = deck.run(&["audit", "export"]).expect(0).stdout;
    for said in [
        "\"exec\"",
        "two  three",
        "exit code 3",
        "exit code 0",
        "No such file",
    ] {
        assert!(audit.contains(said), "{said}: {audit}");
    }
    for printed in ["trouble\\n", "dHJvdWJsZQ", "one-two  three-"] {
        assert!(!audit.contains(printed), "output is not recorded: {audit}");
    }
    deck.run(&["host", "edit", "kvm1", "--read-only"]).expect(0);
    let refused = run(&deck, 4, &["web-1", "-y", "--", "true"]);
    assert!(refused.stderr.contains("read-only"), "{}", refused.stderr);
}

/// How programs end, and what of their output goes where.
fn what_it_prints(deck: &Deck) {
    let script = "printf '%s|' \"$@\"; printf '\\033[2J\\377'; echo trouble >&2; ls /oops; exit 3";
    let words = [
        "web-1",
        "--yes",
        "--",
        "/bin/sh",
        "-c",
        script,
        "sh",
        "a  b",
        "$HOME",
        "it's \"so\"",
        "",
    ];
    let ran = run(deck, 1, &words);
    assert!(
        ran.stdout.starts_with("a  b|$HOME|it's \"so\"||\x1b[2J"),
        "what goes into a pipe is what was printed: {:?}",
        ran.stdout
    );
    for said in ["trouble", "No such file", "kvm1/web-1", "exit code 3"] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
    let mut in_json = words.to_vec();
    in_json.splice(2..2, ["-o", "json"]);
    let told = run(deck, 1, &in_json).json();
    assert_eq!(told["outcome"], "failed");
    assert_eq!(told["run"]["exit_code"], 3);
    assert_eq!(told["run"]["stdout"], serde_json::Value::Null);
    assert!(told["run"]["stdout_base64"].is_string(), "{told}");
    let killed = run(
        deck,
        1,
        &["web-1", "-y", "-o", "json", "--", "sh", "-c", "kill -9 $$"],
    );
    assert_eq!(killed.json()["run"]["signal"], 9);
    let flood = [
        "web-1",
        "-y",
        "-o",
        "json",
        "--",
        "head",
        "-c",
        "1500000",
        "/dev/zero",
    ];
    let flood = run(deck, 0, &flood).json();
    assert_eq!(flood["run"]["stdout_truncated"], true);
    assert_eq!(flood["run"]["stdout"].as_str().unwrap().len(), 1024 * 1024);
    let late = run(
        deck,
        6,
        &["web-1", "-y", "--timeout", "300ms", "--", "sleep", "30"],
    );
    assert!(
        late.stderr.contains("still runs in the VM"),
        "{}",
        late.stderr
    );
}

/// The same by keys and eyes.
fn in_the_dashboard(deck: &Deck) {
    let mut pty = open(deck, (110, 34));
    pty.wait_for("the running VM", |screen| {
        screen.contains("1 up") && row(screen, "web-1").contains("running")
    });
    pty.keys("/name:web-1\r");
    pty.wait_text("1 of ");
    pty.keys("x");
    pty.wait_text("Run a program in web-1 on kvm1");
    pty.keys("printf '%s-' one 'two  three'");
    pty.wait_for("the words", |screen| {
        row(screen, "runs").contains("printf") && screen.contains("argument two  three")
    });
    pty.keys("\r");
    let dialog = pty.wait_text("guest-exec");
    assert!(dialog.contains("Run a program in web-1?"), "{dialog}");
    pty.keys("y");
    pty.wait_text("one-two  three-");
    pty.wait_text("exit code 0");
    pty.keys("\x1b");
    pty.wait_for("the table", |screen| screen.contains("NAME"));
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
}
