//! The contract of `Transport`, on the scripted host and on a real sshd alike.

use std::time::Duration;

use tokio::time::timeout;
use vmdeck::domain::remote_command::RemoteCommand;
use vmdeck::transport::{Chunk, ExecLimits, ExitStatus, TransportError};

use crate::rig::{PATIENCE, Rig, exec, shell};

/// Runs each case on both kinds of link.
macro_rules! contract {
    ($($case:ident),+ $(,)?) => {
        mod scripted {
            $(#[tokio::test] async fn $case() { super::$case(super::Rig::scripted().await).await; })+
        }
        mod sshd {
            $(#[tokio::test] async fn $case() { super::$case(super::Rig::sshd().await).await; })+
        }
    };
}

contract!(
    a_failing_command_is_an_answer,
    a_command_that_does_not_exist_is_an_answer,
    streams_stay_apart,
    input_is_written_and_then_closed,
    too_much_output_is_cut_and_said,
    too_many_complaints_are_cut_and_the_command_goes_on,
    a_hanging_command_ends_at_its_deadline,
    calls_run_side_by_side,
    a_kept_process_answers_and_ends,
    a_closed_link_says_so_and_fails_calls,
    a_command_for_another_shell_is_refused_before_it_is_sent,
);

async fn a_failing_command_is_an_answer(rig: Rig) {
    let output = exec(&*rig.transport, &shell("exit 3")).await.unwrap();
    assert_eq!(output.status, ExitStatus::Code(3));
    assert!(output.stdout.is_empty() && !output.truncated);
}

async fn a_command_that_does_not_exist_is_an_answer(rig: Rig) {
    let command = RemoteCommand::posix("vmdeck-no-such-program");
    let output = exec(&*rig.transport, &command).await.unwrap();
    assert_eq!(output.status, ExitStatus::Code(127));
    assert!(!output.stderr.is_empty());
}

async fn streams_stay_apart(rig: Rig) {
    let command = shell("echo out; echo err >&2");
    let output = exec(&*rig.transport, &command).await.unwrap();
    assert_eq!(
        (&*output.stdout, &*output.stderr),
        (&b"out\n"[..], &b"err\n"[..])
    );
}

async fn input_is_written_and_then_closed(rig: Rig) {
    // More than one window of the channel.
    let input: Vec<u8> = (0_u8..=250).cycle().take(3_000_000).collect();
    let command = RemoteCommand::posix("cat").stdin(input.clone());
    let output = exec(&*rig.transport, &command).await.unwrap();
    assert!(output.stdout == input, "{} bytes", output.stdout.len());
    let output = exec(&*rig.transport, &RemoteCommand::posix("cat"))
        .await
        .unwrap();
    assert!(
        output.stdout.is_empty(),
        "without input it is closed at once"
    );
}

async fn too_much_output_is_cut_and_said(rig: Rig) {
    let limits = ExecLimits {
        deadline: PATIENCE,
        stdout: 1000,
        stderr: 1000,
    };
    let command = shell("head -c 100000 /dev/zero; sleep 30");
    let output = rig.transport.exec(&command, limits).await.unwrap();
    assert!(output.truncated);
    assert_eq!(output.stdout, vec![0; 1000]);
    assert_eq!(output.status, ExitStatus::Missing);
}

async fn too_many_complaints_are_cut_and_the_command_goes_on(rig: Rig) {
    let limits = ExecLimits {
        deadline: PATIENCE,
        stdout: 1000,
        stderr: 10,
    };
    let command = shell("head -c 1000 /dev/zero >&2");
    let output = rig.transport.exec(&command, limits).await.unwrap();
    assert!(output.truncated);
    assert_eq!(output.stderr, vec![0; 10]);
    assert_eq!(output.status, ExitStatus::Code(0));
}

async fn a_hanging_command_ends_at_its_deadline(rig: Rig) {
    let limits = ExecLimits::within(Duration::from_millis(300));
    let command = shell("sleep 30").life(Duration::from_secs(1));
    let error = rig.transport.exec(&command, limits).await.unwrap_err();
    assert!(matches!(error, TransportError::Timeout { .. }), "{error}");
    let output = exec(&*rig.transport, &shell("true")).await.unwrap();
    assert!(output.status.is_success(), "the link goes on");
}

async fn calls_run_side_by_side(rig: Rig) {
    let (slow, quick) = (shell("sleep 1"), shell("true"));
    tokio::select! {
        biased;
        _ = exec(&*rig.transport, &slow) => panic!("the quick call waited for the slow one"),
        output = exec(&*rig.transport, &quick) => assert!(output.unwrap().status.is_success()),
    }
}

async fn a_kept_process_answers_and_ends(rig: Rig) {
    let mut process = rig
        .transport
        .spawn(&RemoteCommand::posix("cat"))
        .await
        .unwrap();
    for word in ["one\n", "two\n"] {
        process.write(word.as_bytes()).await.unwrap();
        let chunk = timeout(PATIENCE, process.read()).await.unwrap().unwrap();
        assert_eq!(chunk, Chunk::Stdout(word.as_bytes().to_vec()));
    }
    process.close().await;
    assert!(process.write(b"x").await.is_err());
    let rest = timeout(PATIENCE, process.read()).await.unwrap();
    assert_eq!(rest.unwrap(), Chunk::Closed);
}

async fn a_closed_link_says_so_and_fails_calls(rig: Rig) {
    let hanging = shell("sleep 30").life(Duration::from_secs(1));
    let (outstanding, ()) = tokio::join!(exec(&*rig.transport, &hanging), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        rig.transport.close().await;
    });
    assert!(matches!(outstanding, Err(TransportError::Lost { .. })));
    let reason = timeout(PATIENCE, rig.transport.closed()).await.unwrap();
    assert!(matches!(reason, TransportError::Lost { .. }), "{reason}");
    let later = exec(&*rig.transport, &shell("true")).await;
    assert!(matches!(later, Err(TransportError::Lost { .. })));
}

async fn a_command_for_another_shell_is_refused_before_it_is_sent(rig: Rig) {
    let mut command = shell("true");
    command.dialect = vmdeck::domain::remote_command::Dialect::PowerShell;
    // The scripted host speaks every language; the real one must not guess.
    match exec(&*rig.transport, &command).await {
        Ok(output) => assert!(output.status.is_success()),
        Err(error) => assert!(matches!(error, TransportError::Command(_)), "{error}"),
    }
}
