//! Killed at any moment, profile and audit log stay valid and nothing acknowledged is lost. The program
//! under test is this test binary itself, started again as a writer that says what was acknowledged.

#![cfg(test)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use vmdeck::audit::{AuditLog, AuditOptions, verify};
use vmdeck::clock::Clock;
use vmdeck::domain::audit::{AuditEntry, AuditPhase};
use vmdeck::domain::host::HostSpec;
use vmdeck::profile::Profile;

const DIR: &str = "VMDECK_CRASH_TEST_DIR";

const OPTIONS: AuditOptions = AuditOptions { rotate_bytes: 8192 };

/// Returns where to write when this process is a writer.
fn writer_dir() -> Option<std::path::PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "how the test tells its child where to write"
    )]
    std::env::var_os(DIR).map(Into::into)
}

/// Starts this binary again to run one of the writers below.
fn start(writer: &str, dir: &Path) -> Child {
    #[expect(
        clippy::disallowed_methods,
        reason = "a process that can be killed is what is tested"
    )]
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            writer,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets a writer run until it has said `count` acknowledgements, kills it, and returns all it said.
fn kill_after(mut child: Child, count: usize) -> BTreeSet<String> {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = BTreeSet::new();
    let mut killed = count == 0;
    if killed {
        child.kill().unwrap();
    }
    // The harness writes on the same stream, once in the middle of a line.
    while let Some(Ok(line)) = lines.next() {
        acknowledged.extend(line.split_once("ack ").map(|(_, name)| name.to_owned()));
        if acknowledged.len() >= count && !killed {
            killed = true;
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(killed, "the writer ended by itself after {acknowledged:?}");
    acknowledged
}

fn intent(operation: String) -> AuditEntry {
    AuditEntry {
        timestamp: "2026-01-01T00:00:00Z".into(),
        phase: AuditPhase::Intent,
        action: "start".into(),
        host: Some("kvm1".into()),
        vm: None,
        vm_id: None,
        store: None,
        store_id: None,
        actor: None,
        client_ip: None,
        plan: vec!["virsh start x".into()],
        rule: None,
        state_before: None,
        state_after: None,
        status: "pending".into(),
        details: "x".repeat(300),
        elapsed_ms: None,
        operation: Some(operation),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a writer that the kill tests start and kill"]
async fn audit_writer() {
    let Some(dir) = writer_dir() else { return };
    let (log, _) = AuditLog::open_with(&dir, Clock::system(), OPTIONS)
        .await
        .unwrap();
    let name = std::process::id();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let log = log.clone();
        writers.spawn(async move {
            for number in 0..100_000 {
                let operation = format!("{name}-{writer}-{number}");
                log.append(intent(operation.clone())).await.unwrap();
                println!("ack {operation}");
            }
        });
    }
    writers.join_all().await;
}

#[tokio::test]
#[ignore = "a writer that the kill tests start and kill"]
async fn profile_writer() {
    let Some(root) = writer_dir() else { return };
    let profile = Profile::open(&root, &"lab".parse().unwrap()).await.unwrap();
    let name = std::process::id();
    for number in 0..100_000 {
        let host = format!("h{name}-{number}");
        let spec = HostSpec::new(host.parse().unwrap(), "10.0.0.1".parse().unwrap());
        profile.upsert_host(spec).await.unwrap();
        println!("ack {host}");
    }
}

#[tokio::test]
#[ignore = "a writer that the kill tests start and kill"]
async fn profile_creator() {
    let Some(root) = writer_dir() else { return };
    let name = std::process::id();
    for number in 0..100_000 {
        let profile = format!("p{name}-{number}");
        drop(
            Profile::create(&root, &profile.parse().unwrap())
                .await
                .unwrap(),
        );
        println!("ack {profile}");
    }
}

/// Opens the log as the next start of the program does, and returns the operations in it.
async fn reopen(dir: &Path) -> BTreeSet<String> {
    let (log, _) = AuditLog::open_with(dir, Clock::system(), OPTIONS)
        .await
        .unwrap();
    let result = verify(dir, None, log.head().as_ref()).unwrap();
    assert_eq!(result.findings, []);
    let records = log.tail(usize::MAX).await.unwrap();
    let mut operations = BTreeSet::new();
    for record in &records {
        operations.extend(record.entry.operation.clone());
    }
    // All writers are dead, so every one of their intents is to be closed as unknown.
    assert_eq!(log.unfinished().await.unwrap().len(), operations.len());
    operations
}

#[tokio::test]
async fn a_killed_writer_loses_no_acknowledged_record() {
    kill_audit_writers(20).await;
}

#[tokio::test]
#[ignore = "the long campaign: tests/campaign durability"]
async fn two_hundred_killed_writers_lose_no_acknowledged_record() {
    kill_audit_writers(200).await;
}

/// Kills of writers of one log: after each all of it is read again, so a longer one is slow and shows
/// nothing more.
const KILLS_OF_ONE_LOG: usize = 40;

async fn kill_audit_writers(rounds: usize) {
    let root = tempfile::tempdir().unwrap();
    let (mut dir, mut acknowledged) = (root.path().join("audit"), BTreeSet::new());
    for round in 0..rounds {
        if round > 0 && round.is_multiple_of(KILLS_OF_ONE_LOG) {
            assert!(acknowledged.len() > 500);
            dir = root.path().join(format!("audit-{round}"));
            acknowledged.clear();
        }
        acknowledged.extend(kill_after(start("audit_writer", &dir), round % 60 * 3));
        let written = if dir.exists() {
            reopen(&dir).await
        } else {
            BTreeSet::new()
        };
        assert!(written.is_superset(&acknowledged), "round {round}");
    }
    assert!(acknowledged.len() > 500);
}

#[tokio::test]
async fn two_killed_writers_leave_one_chain() {
    kill_pairs(8).await;
}

#[tokio::test]
#[ignore = "the long campaign: tests/campaign durability"]
async fn a_hundred_killed_pairs_leave_one_chain() {
    kill_pairs(100).await;
}

async fn kill_pairs(rounds: usize) {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let mut acknowledged = BTreeSet::new();
    for round in 0..rounds {
        let (one, two) = (start("audit_writer", &dir), start("audit_writer", &dir));
        let other = std::thread::spawn(move || kill_after(two, 5 + round % 40));
        acknowledged.extend(kill_after(one, 20));
        acknowledged.extend(other.join().unwrap());
        let written = reopen(&dir).await;
        assert!(written.is_superset(&acknowledged), "round {round}");
    }
}

#[tokio::test]
async fn a_killed_program_leaves_a_valid_profile() {
    kill_profile_writers(10).await;
}

#[tokio::test]
#[ignore = "the long campaign: tests/campaign durability"]
async fn two_hundred_killed_programs_leave_a_valid_profile() {
    kill_profile_writers(200).await;
}

async fn kill_profile_writers(rounds: usize) {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().join("profiles");
    drop(
        Profile::create(&root, &"lab".parse().unwrap())
            .await
            .unwrap(),
    );
    let mut acknowledged = BTreeSet::new();
    for round in 0..rounds {
        acknowledged.extend(kill_after(start("profile_writer", &root), round % 40 * 5));
        let profile = Profile::open(&root, &"lab".parse().unwrap()).await.unwrap();
        profile.check().await.unwrap();
        let hosts = profile.hosts().await.unwrap();
        let written: BTreeSet<String> = hosts
            .into_iter()
            .map(|host| host.name.to_string())
            .collect();
        assert!(written.is_superset(&acknowledged), "round {round}");
    }
}

#[tokio::test]
async fn a_profile_that_was_being_created_is_there_as_a_whole_or_not_at_all() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().join("profiles");
    let mut acknowledged = BTreeSet::new();
    for round in 0..20 {
        acknowledged.extend(kill_after(start("profile_creator", &root), round % 4));
        let profiles = Profile::list(&root).unwrap();
        for name in &profiles {
            Profile::open(&root, name).await.unwrap();
        }
        let listed: BTreeSet<String> = profiles.iter().map(ToString::to_string).collect();
        assert!(listed.is_superset(&acknowledged), "round {round}");
    }
    drop(
        Profile::create(&root, &"last".parse().unwrap())
            .await
            .unwrap(),
    );
    let hidden = std::fs::read_dir(&root)
        .unwrap()
        .filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .starts_with(".new-")
        })
        .count();
    assert_eq!(hidden, 0, "drafts of the dead are swept");
}
