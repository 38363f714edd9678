//! Shells: what is handed over arrives as it was, and nothing of it is run. The judges are the shells of
//! this machine, its `virsh`, and the emulated PowerShell.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use vmdeck::domain::remote_command::RemoteCommand;
use vmdeck::testing::names;
use vmdeck::transport::quote::{QuoteError, render};

use crate::support::command;

/// Shells to ask: those of the machine; `sh` is always there.
const SHELLS: [&str; 4] = ["sh", "bash", "dash", "busybox"];

/// Names that one `virsh` is asked to repeat.
const AT_ONCE: usize = 25;

/// The names, with the file in them that must never come to be.
fn aimed_at(canary: &Path) -> Vec<String> {
    let canary = canary.display().to_string();
    names::hostile()
        .iter()
        .map(|name| name.replace("CANARY", &canary))
        .collect()
}

/// What a shell prints when it runs a script.
fn through(shell: &str, folder: &Path, script: &str) -> Vec<u8> {
    let mut prepared = command(shell);
    if shell == "busybox" {
        prepared.arg("sh");
    }
    let mut child = prepared
        .current_dir(folder)
        .env("TMPDIR", folder)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("could not run {shell}: {error}"));
    let mut input = child.stdin.take().unwrap();
    let script = script.to_owned();
    let writer = std::thread::spawn(move || input.write_all(script.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    output.stdout
}

fn is_there(shell: &str) -> bool {
    ["/bin", "/usr/bin"]
        .iter()
        .any(|folder| Path::new(folder).join(shell).exists())
}

fn no_canary(folder: &Path) {
    let left: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    assert!(left.is_empty(), "something was run: {left:?}");
}

#[test]
fn arguments_arrive_as_they_were_in_every_shell() {
    let folder = tempfile::tempdir().unwrap();
    let names = aimed_at(&folder.path().join("canary"));
    let (mut script, mut expected) = (String::new(), Vec::new());
    for name in &names {
        let printf = RemoteCommand::posix("printf")
            .arg("%s\\0")
            .arg(name.as_str());
        // As an argument, and as the value of a variable.
        let echo = RemoteCommand::posix("sh")
            .args(["-c", "printf '%s\\0' \"$NAME\""])
            .env("NAME", name.as_str());
        if name.contains('\0') {
            assert!(matches!(render(&printf), Err(QuoteError::Nul { .. })));
            assert!(matches!(render(&echo), Err(QuoteError::Nul { .. })));
            continue;
        }
        for command in [printf, echo] {
            script.push_str(&render(&command).unwrap());
            script.push('\n');
            expected.extend_from_slice(name.as_bytes());
            expected.push(0);
        }
    }
    let mut judges = 0;
    for shell in SHELLS.into_iter().filter(|shell| is_there(shell)) {
        judges += 1;
        let printed = through(shell, folder.path(), &script);
        assert!(printed == expected, "{shell} got something else");
        no_canary(folder.path());
    }
    assert!(judges >= 2, "no shells to ask");
}

#[test]
fn virsh_takes_a_name_for_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let names = aimed_at(&folder.path().join("canary"));
    // `virsh` ends an argument at a NUL as every program does, and reads no more than so much of a line.
    let names: Vec<String> = names
        .into_iter()
        .filter(|name| !name.contains('\0') && !name.is_empty() && name.len() < 4096)
        .collect();
    let mut script = String::new();
    for some in names.chunks(AT_ONCE) {
        let virsh = ["-q", "-c", "test:///default", "echo", "--"];
        let virsh = RemoteCommand::posix("virsh").args(virsh);
        script.push_str(&render(&virsh.args(some.iter().map(String::as_str))).unwrap());
        script.push_str("; printf '\\0'\n");
    }
    let printed = through("sh", folder.path(), &script);
    let mut told = printed.split(|byte| *byte == 0);
    for some in names.chunks(AT_ONCE) {
        let said = told.next().unwrap_or_default();
        let said = said.strip_suffix(b"\n").unwrap_or(said);
        assert_eq!(String::from_utf8_lossy(said), some.join(" "));
    }
    no_canary(folder.path());
}
