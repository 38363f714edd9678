//! What a real sshd does to sessions, and that none of it hurts: slots, leftovers, floods, lost links.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use vmdeck::domain::remote_command::RemoteCommand;
use vmdeck::transport::ssh::{SshConnector, SshOptions};
use vmdeck::transport::{Chunk, Connector, ExecLimits, ExitStatus, TransportError};

use crate::rig::{PATIENCE, connected, exec, hop, key_file, shell, stdout, target, target_of};
use crate::support::sshd::Sshd;

/// Waits without blocking the runtime; returns whether it came true.
async fn comes_true(bound: Duration, mut fact: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + bound;
    while Instant::now() < end {
        if fact() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    fact()
}

fn alive(pid: &str) -> bool {
    Path::new(&format!("/proc/{}", pid.trim())).exists()
}

#[tokio::test]
async fn ten_megabytes_arrive_whole() {
    let sshd = Sshd::start();
    let link = connected(&sshd).await;
    let limits = ExecLimits {
        deadline: PATIENCE,
        stdout: 16 * 1024 * 1024,
        stderr: 1024,
    };
    let command = shell("head -c 10485760 /dev/zero | tr '\\0' x");
    let output = link.exec(&command, limits).await.unwrap();
    assert_eq!(output.stdout.len(), 10_485_760);
    assert!(output.stdout.iter().all(|byte| *byte == b'x'));
    assert!(!output.truncated && output.status.is_success());
}

#[tokio::test]
async fn a_signal_is_told_by_name() {
    let sshd = Sshd::start();
    let link = connected(&sshd).await;
    let output = exec(&*link, &RemoteCommand::posix("kill").args(["-9", "0"]))
        .await
        .unwrap();
    // The login shell kills its own group: sshd reports the signal.
    assert_eq!(output.status, ExitStatus::Signal("KILL".to_owned()));
}

#[tokio::test]
async fn output_of_a_child_that_outlives_the_command_is_kept() {
    let sshd = Sshd::start();
    let link = connected(&sshd).await;
    let text = stdout(&*link, &shell("(sleep 0.3; echo late) & echo early")).await;
    assert_eq!(text, "early\nlate\n");
}

#[tokio::test]
async fn a_process_that_ends_by_itself_says_how() {
    let sshd = Sshd::start();
    let link = connected(&sshd).await;
    let mut process = link
        .spawn(&shell("echo hi; echo no >&2; exit 4"))
        .await
        .unwrap();
    let mut chunks = Vec::new();
    loop {
        let chunk = timeout(PATIENCE, process.read()).await.unwrap().unwrap();
        if chunk == Chunk::Closed {
            break;
        }
        chunks.push(chunk);
    }
    assert!(chunks.contains(&Chunk::Stdout(b"hi\n".to_vec())));
    assert!(chunks.contains(&Chunk::Stderr(b"no\n".to_vec())));
    assert!(chunks.contains(&Chunk::Exit(ExitStatus::Code(4))));
}

#[tokio::test]
async fn three_hundred_commands_leave_no_session_behind() {
    let sshd = Sshd::builder().max_sessions(10).start();
    let link = connected(&sshd).await;
    for _ in 0..300 {
        assert!(
            exec(&*link, &RemoteCommand::posix("true"))
                .await
                .unwrap()
                .status
                .is_success()
        );
    }
    // Dropped half-way, in every phase there is.
    for step in 0..60 {
        let command = RemoteCommand::posix("true");
        let call = exec(&*link, &command);
        drop(timeout(Duration::from_micros(100 * step), call).await);
    }
    for _ in 0..20 {
        assert!(
            exec(&*link, &RemoteCommand::posix("true"))
                .await
                .unwrap()
                .status
                .is_success()
        );
    }
}

#[tokio::test]
async fn a_dropped_call_closes_its_channel() {
    let sshd = Sshd::builder().max_sessions(10).start();
    let link = connected(&sshd).await;
    let file = sshd.dir().join("pid");
    // It ends when its output is closed: a proof that the channel was.
    let script = format!(
        "echo $$ > {}; while echo x; do sleep 0.1; done",
        file.display()
    );
    let command = shell(&script);
    drop(timeout(Duration::from_millis(500), exec(&*link, &command)).await);
    let pid = std::fs::read_to_string(&file).unwrap();
    assert!(comes_true(PATIENCE, || !alive(&pid)).await, "{pid}");
}

#[tokio::test]
async fn a_hung_command_is_gone_from_the_host_when_its_life_is_over() {
    let sshd = Sshd::start();
    let link = connected(&sshd).await;
    let file = sshd.dir().join("pid");
    // It does not even listen to the polite signal.
    let script = format!(
        "trap '' TERM; echo $$ > {}; sleep 60 & wait; sleep 60",
        file.display()
    );
    let command = shell(&script).life(Duration::from_secs(1));
    let limits = ExecLimits::within(Duration::from_millis(700));
    let started = Instant::now();
    let error = link.exec(&command, limits).await.unwrap_err();
    assert!(matches!(error, TransportError::Timeout { .. }), "{error}");
    let pid = std::fs::read_to_string(&file).unwrap();
    assert!(comes_true(PATIENCE, || !alive(&pid)).await);
    assert!(
        started.elapsed() >= Duration::from_secs(1),
        "not before its life was over"
    );
    assert!(
        exec(&*link, &shell("true"))
            .await
            .unwrap()
            .status
            .is_success()
    );
}

#[tokio::test]
async fn commands_that_never_end_make_the_link_replace_itself() {
    // Without a life of their own, and deaf to the signal that giving them up sends.
    let sshd = Sshd::builder()
        .max_sessions(10)
        .line("ForceCommand trap '' TERM HUP; sleep 20")
        .start();
    let link = connected(&sshd).await;
    let limits = ExecLimits::within(Duration::from_millis(200));
    for _ in 0..3 {
        assert!(link.exec(&shell("true"), limits).await.is_err());
    }
    let reason = timeout(PATIENCE, link.closed()).await.unwrap();
    assert!(
        reason.to_string().contains("did not end in their time"),
        "{reason}"
    );
    // The next link starts with all sessions free.
    let link = connected(&sshd).await;
    assert!(link.spawn(&shell("true")).await.is_ok());
}

#[tokio::test]
async fn hung_commands_with_a_life_give_their_sessions_back() {
    let sshd = Sshd::builder().max_sessions(10).start();
    let link = connected(&sshd).await;
    for _ in 0..5 {
        let hung = shell("sleep 60").life(Duration::from_secs(1));
        let limits = ExecLimits::within(Duration::from_millis(100));
        let (one, other) = tokio::join!(link.exec(&hung, limits), link.exec(&hung, limits));
        assert!(one.is_err() && other.is_err());
        // Their end, seen by the host itself.
        let gone = || {
            sshd.session_pids().iter().all(|pid| {
                let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                !words.starts_with(b"sleep")
            })
        };
        assert!(comes_true(PATIENCE, gone).await);
        assert!(
            exec(&*link, &shell("true"))
                .await
                .unwrap()
                .status
                .is_success()
        );
    }
}

#[tokio::test]
async fn more_callers_than_slots_wait_for_each_other() {
    let sshd = Sshd::builder().max_sessions(6).start();
    let link = connected(&sshd).await;
    let calls = (0..40).map(|number| {
        let link = Arc::clone(&link);
        async move {
            let command = shell(&format!("sleep 0.05; echo {number}"));
            assert_eq!(stdout(&*link, &command).await, format!("{number}\n"));
        }
    });
    futures_util::future::join_all(calls).await;
}

#[tokio::test]
async fn a_server_with_fewer_sessions_is_a_clear_error_and_recovers() {
    let sshd = Sshd::builder().max_sessions(1).start();
    let link = connected(&sshd).await;
    let mut process = link.spawn(&RemoteCommand::posix("cat")).await.unwrap();
    let error = exec(&*link, &shell("true")).await.unwrap_err();
    assert!(matches!(error, TransportError::Channel { .. }), "{error}");
    assert!(error.to_string().contains("MaxSessions"), "{error}");
    process.close().await;
    let output = exec(&*link, &shell("true")).await.unwrap();
    assert!(output.status.is_success());
}

#[tokio::test]
async fn a_process_that_nobody_reads_stops_nobody_else() {
    let sshd = Sshd::start();
    let link = connected(&sshd).await;
    let flood = RemoteCommand::posix("head").args(["-c", "200000000", "/dev/zero"]);
    let mut process = link.spawn(&flood).await.unwrap();
    for _ in 0..20 {
        let output = timeout(PATIENCE, exec(&*link, &shell("true")))
            .await
            .unwrap();
        assert!(output.unwrap().status.is_success());
    }
    // What was kept is bounded, and then the owner is told.
    let mut bytes = 0;
    let error = loop {
        match timeout(PATIENCE, process.read()).await.unwrap() {
            Ok(Chunk::Stdout(chunk)) => bytes += chunk.len(),
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, TransportError::Protocol { .. }), "{error}");
    assert!(bytes < 20_000_000, "{bytes}");
}

#[tokio::test]
async fn input_that_nobody_reads_stops_nobody_else() {
    let sshd = Sshd::start();
    let link = connected(&sshd).await;
    let mut process = link
        .spawn(&RemoteCommand::posix("sleep").arg("30"))
        .await
        .unwrap();
    let input = vec![0; 8_000_000];
    let filling = process.write(&input);
    assert!(timeout(Duration::from_millis(300), filling).await.is_err());
    let output = timeout(PATIENCE, exec(&*link, &shell("true")))
        .await
        .unwrap();
    assert!(output.unwrap().status.is_success());
}

#[tokio::test]
async fn a_killed_session_resolves_closed_and_fails_calls() {
    let sshd = Sshd::start();
    let link = connected(&sshd).await;
    let mut process = link.spawn(&RemoteCommand::posix("cat")).await.unwrap();
    let call = shell("sleep 30").life(Duration::from_secs(5));
    let (outstanding, ()) = tokio::join!(exec(&*link, &call), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        sshd.kill_sessions();
    });
    assert!(
        matches!(outstanding, Err(TransportError::Lost { .. })),
        "{outstanding:?}"
    );
    assert!(timeout(PATIENCE, link.closed()).await.is_ok());
    assert!(timeout(PATIENCE, process.read()).await.unwrap().is_err());
    assert!(
        timeout(PATIENCE, process.write(b"x"))
            .await
            .unwrap()
            .is_err()
    );
}

#[tokio::test]
async fn a_link_that_nobody_holds_goes_away() {
    let sshd = Sshd::start();
    let link = connected(&sshd).await;
    assert!(!sshd.session_pids().is_empty());
    drop(link);
    assert!(comes_true(PATIENCE, || sshd.session_pids().is_empty()).await);
}

#[tokio::test]
async fn a_host_that_freezes_is_noticed() {
    let sshd = Sshd::start();
    let connector = SshConnector::new(SshOptions {
        keepalive: Duration::from_millis(200),
        ..SshOptions::default()
    });
    let link = connector.connect(&target(&sshd)).await.unwrap().transport;
    let mut process = link.spawn(&RemoteCommand::posix("cat")).await.unwrap();
    sshd.freeze_sessions();
    let reason = timeout(PATIENCE, link.closed()).await.unwrap();
    assert!(reason.to_string().contains("keepalive"), "{reason}");
    assert!(timeout(PATIENCE, process.read()).await.unwrap().is_err());
    // Closing does not wait for a peer that will never answer.
    timeout(PATIENCE, link.close()).await.unwrap();
}

#[tokio::test]
async fn a_storm_of_logins_through_one_jump_host_locks_nobody_out() {
    // The server drops whoever comes while ten others have not logged in yet.
    let jump = Sshd::builder().line("MaxStartups 10").start();
    let host = Sshd::start();
    let hops = [&jump, &host]
        .map(|sshd| hop(sshd, vec![key_file(&sshd.client_key)]))
        .to_vec();
    let target = target_of(hops, &[&jump, &host]);
    let connector = SshConnector::new(SshOptions {
        connect_timeout: PATIENCE,
        max_handshakes: 100,
        ..SshOptions::default()
    });
    let logins = (0..30).map(|_| connector.connect(&target));
    for login in futures_util::future::join_all(logins).await {
        login.unwrap();
    }
}

#[tokio::test]
async fn w7_a_flood_of_complaints_is_bounded() {
    let sshd = Sshd::start();
    let link = connected(&sshd).await;
    let command = shell("head -c 100000000 /dev/zero >&2; echo done");
    let output = exec(&*link, &command).await.unwrap();
    assert!(output.truncated && output.status.is_success());
    assert_eq!(output.stdout, b"done\n");
    assert_eq!(output.stderr.len(), ExecLimits::within(PATIENCE).stderr);
}
