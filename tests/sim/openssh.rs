//! What the real OpenSSH client sees of a simulated host.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;
use vmdeck::sim::SimState;

use crate::support::simulated::SimFleet;
use crate::support::{command, wait_for, write};

const BOUND: Duration = Duration::from_secs(30);

const SCENARIO: &str = r#"
[[host]]
name = "a"
[[host.vm]]
name = "web"
title = "Front"
[[host.vm]]
name = "off"
state = "stopped"
[[host]]
name = "b"
[[host.vm]]
name = "other"
"#;

/// The `ssh` program with the fleet's key and its hosts' keys.
struct Ssh {
    dir: TempDir,
    fleet: SimFleet,
}

impl Ssh {
    async fn start() -> Self {
        let fleet = SimFleet::start(SCENARIO).await;
        let dir = tempfile::tempdir().expect("a directory");
        let key = dir.path().join("key");
        write(&key, fleet.demo.login_key_pem.expose());
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("mode");
        let known: Vec<String> = fleet
            .demo
            .hosts
            .iter()
            .map(|host| {
                let key = &host.host_key;
                format!("{} {} {}\n", key.label, key.key.algorithm, key.key.base64)
            })
            .collect();
        write(dir.path().join("known_hosts"), known.concat());
        Self { dir, fleet }
    }

    fn prepare(&self, host: &str, line: &str) -> Command {
        let spec = &self.fleet.host(host).spec;
        let file = |name: &str| self.dir.path().join(name).display().to_string();
        let mut ssh = command("ssh");
        ssh.args(["-F", "none", "-T", "-o", "BatchMode=yes"])
            .args([
                "-o",
                "StrictHostKeyChecking=yes",
                "-o",
                "IdentitiesOnly=yes",
            ])
            .args(["-o", &format!("UserKnownHostsFile={}", file("known_hosts"))])
            .args(["-i", &file("key")])
            .args(["-p", &spec.endpoint.port_or_default().to_string()])
            .arg(format!("demo@{}", spec.endpoint.address))
            .arg(line);
        ssh
    }

    fn run(&self, host: &str, line: &str) -> Output {
        self.prepare(host, line).output().expect("ssh")
    }

    /// Runs a command line with standard input.
    fn feed(&self, host: &str, line: &str, input: &str) -> Output {
        let mut child = self
            .prepare(host, line)
            .stdin(Stdio::piped())
            .spawn()
            .expect("ssh");
        let mut stdin = child.stdin.take().expect("standard input");
        stdin.write_all(input.as_bytes()).expect("input");
        drop(stdin);
        child.wait_with_output().expect("ssh")
    }
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// A child that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_shot_commands_end_with_their_exit_codes() {
    let ssh = Ssh::start().await;
    let list = "LC_ALL=C exec virsh -q -c qemu:///system list --all --name";
    assert_eq!(out(&ssh.run("a", list)), "web\noff\n");
    let timed = "env LC_ALL=C timeout -k 2 10 virsh -q -c qemu:///system domstate web --reason";
    assert_eq!(out(&ssh.run("a", timed)), "running (booted)\n");

    let unknown = ssh.run("a", "frobnicate --now");
    assert_eq!(unknown.status.code(), Some(127));
    assert_eq!(err(&unknown), "sh: 1: frobnicate: not found\n");

    let refused = ssh.run("a", "virsh -q start web");
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(err(&refused), "error: Domain is already active\n");

    let found = ssh.run("a", "command -v virsh && uname && sh -c 'echo \"a b\"'");
    assert_eq!(out(&found), "/usr/bin/virsh\nLinux\na b\n");
    let chained = ssh.run("a", "virsh -q domstate nope 2>/dev/null || echo no");
    assert_eq!(
        (out(&chained).as_str(), err(&chained).as_str()),
        ("no\n", "")
    );
    assert_eq!(ssh.run("a", "sleep 60 & exit").status.code(), Some(2));
    assert_eq!(ssh.run("a", "timeout 1 sleep 60").status.code(), Some(124));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_kept_virsh_answers_with_prompts_echoes_and_marks() {
    let ssh = Ssh::start().await;
    let input =
        "domstate web\necho @@1@@\necho --err @@1@@\ndomstate nope\necho @@2@@\necho --err @@2@@\n";
    let said = ssh.feed("a", "LC_ALL=C exec virsh -q -c qemu:///system", input);
    assert_eq!(
        out(&said),
        "virsh # domstate web\nrunning\nvirsh # echo @@1@@\n@@1@@virsh # echo --err @@1@@\nvirsh # domstate nope\nvirsh # echo @@2@@\n@@2@@virsh # echo --err @@2@@\nvirsh # \n"
    );
    assert_eq!(
        err(&said),
        "error: @@1@@\nerror: failed to get domain 'nope'\nerror: @@2@@\n"
    );
    assert_eq!(said.status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_arrive_when_something_happens() {
    let ssh = Ssh::start().await;
    let line = "LC_ALL=C exec virsh -q -c qemu:///system event --all --loop --timestamp";
    let mut listener = Running(ssh.prepare("a", line).spawn().expect("ssh"));
    let stdout = listener.0.stdout.take().expect("standard output");
    let (heard, lines) = mpsc::sync_channel(64);
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if heard.send(line).is_err() {
                break;
            }
        }
    });
    // Until it listens, changes are missed: they are made again until one is heard.
    let control = ssh.fleet.control("a");
    let mut first = None;
    for _ in 0..300 {
        control.set_state("web", SimState::Paused).expect("paused");
        control
            .set_state("web", SimState::Running)
            .expect("running");
        first = lines.recv_timeout(Duration::from_millis(100)).ok();
        if first.is_some() {
            break;
        }
    }
    let first = first.expect("an event");
    assert!(
        first.contains("+0000: event 'lifecycle' for domain 'web': "),
        "{first}"
    );
    let done = ssh.run("a", "virsh -q -c qemu:///system destroy web");
    assert_eq!(done.status.code(), Some(0));
    let ended = std::iter::from_fn(|| lines.recv_timeout(BOUND).ok())
        .any(|line| line.ends_with("'web': Stopped Destroyed"));
    assert!(ended, "the end of a VM is announced");
    drop(lines);
    drop(listener);
    reader.join().expect("the reader");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_host_that_dies_cuts_its_links_and_refuses_new_ones() {
    let ssh = Ssh::start().await;
    let mut open = Running(
        ssh.prepare("a", "cat")
            .stdin(Stdio::piped())
            .spawn()
            .expect("ssh"),
    );
    // It is through when it echoes.
    let mut input = open.0.stdin.take().expect("standard input");
    input.write_all(b"hello\n").expect("input");
    let mut echo = String::new();
    BufReader::new(open.0.stdout.as_mut().expect("standard output"))
        .read_line(&mut echo)
        .expect("an echo");
    assert_eq!(echo, "hello\n");

    let address = ssh.fleet.host("a").spec.endpoint.to_string();
    ssh.fleet.control("a").take_down().await;
    assert!(TcpStream::connect(&address).is_err());
    let ended = wait_for(BOUND, || open.0.try_wait().expect("a status").is_some());
    assert!(ended, "an open session ends with its host");
    assert_eq!(open.0.wait().expect("a status").code(), Some(255));
    assert_eq!(ssh.run("a", "true").status.code(), Some(255));
    assert_eq!(ssh.run("b", "true").status.code(), Some(0));

    ssh.fleet.control("a").bring_up().await;
    assert_eq!(ssh.run("a", "true").status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_key_is_refused_on_either_side() {
    let ssh = Ssh::start().await;
    ssh.fleet
        .control("a")
        .change_host_key()
        .expect("another key");
    let changed = ssh.run("a", "true");
    assert_eq!(changed.status.code(), Some(255));
    assert!(err(&changed).contains("HAS CHANGED"), "{}", err(&changed));

    let stranger = SimFleet::start(SCENARIO).await;
    write(
        ssh.dir.path().join("key"),
        stranger.demo.login_key_pem.expose(),
    );
    let refused = ssh.run("b", "true");
    assert_eq!(refused.status.code(), Some(255));
    assert!(
        err(&refused).contains("Permission denied (publickey)"),
        "{}",
        err(&refused)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_sessions_at_once_see_one_world() {
    let ssh = Ssh::start().await;
    std::thread::scope(|scope| {
        let other = scope.spawn(|| ssh.run("a", "virsh -q start off"));
        let own = ssh.run("a", "virsh -q start off");
        let codes = [own.status.code(), other.join().expect("ssh").status.code()];
        assert!(codes.contains(&Some(0)), "one of them starts it: {codes:?}");
    });
    assert_eq!(out(&ssh.run("a", "virsh -q domstate off")), "running\n");
    ssh.fleet.end().await;
}
