//! The command log: what was sent to a host lately, as a person may see it, and how it ended.
//!
//! [`RecordingTransport`] wraps the link, so that no driver can forget to record a command. What is
//! asked over a kept process only its driver knows; it says so through [`Transport::note_asked`]. A
//! question that repeats is one record with a count, and one that was answered and that nothing repeats is
//! forgotten after a while, so that hours of reading do not push out what a person wants to find.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::limits::{ANSWERED_KEPT, COMMAND_LOG};
use crate::clock::Clock;
use crate::domain::console::TerminalSize;
use crate::domain::event::CommandRecord;
use crate::domain::graphics::DisplayPlace;
use crate::domain::host::HostName;
use crate::domain::remote_command::RemoteCommand;
use crate::transport::{
    CommandOutput, ExecLimits, ExitStatus, RemoteProcess, RemoteTerminal, Transport, TransportError,
};

tokio::task_local! {
    /// Set while the commands of an action run: what is sent then changes a VM.
    pub(super) static CHANGES: bool;
}

/// How a command ended that was answered whole.
const OK: &str = "ok";

/// Records that room is made for at once.
const MORE: usize = 16;

/// The last commands of one host. Cloning is cheap; clones share the records.
#[derive(Debug, Clone, Default)]
pub struct CommandLog(Arc<Mutex<VecDeque<CommandRecord>>>);

impl CommandLog {
    /// Returns the records, oldest first.
    pub fn records(&self) -> Vec<CommandRecord> {
        let records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        records.iter().cloned().collect()
    }

    fn push(&self, mut record: CommandRecord) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |kept: &CommandRecord| {
            !kept.changes && kept.command == record.command && kept.status == record.status
        };
        if !record.changes
            && let Some(at) = records.iter().rposition(is_same)
            && let Some(before) = records.remove(at)
        {
            record.times = before.times.saturating_add(1);
        }
        records.retain(|kept| !is_forgotten(kept, record.at));
        if records.len() == COMMAND_LOG {
            records.pop_front();
        }
        // Many hosts have one, and most of them stay short: room for twice as many would never be used.
        if records.len() == records.capacity() {
            records.reserve_exact(MORE);
        }
        records.push_back(record);
    }
}

/// Whether a record is of an answered question that nothing has repeated for long.
fn is_forgotten(kept: &CommandRecord, now: Timestamp) -> bool {
    let answered = !kept.changes && kept.status == OK;
    answered && now.duration_since(kept.at) > ANSWERED_KEPT
}

/// A link that writes down what is sent over it.
#[derive(Debug)]
pub struct RecordingTransport {
    inner: Arc<dyn Transport>,
    host: HostName,
    clock: Clock,
    log: CommandLog,
}

impl RecordingTransport {
    /// Wraps a link.
    pub fn new(inner: Arc<dyn Transport>, host: HostName, clock: Clock, log: CommandLog) -> Self {
        Self {
            inner,
            host,
            clock,
            log,
        }
    }

    fn entry<'a>(&'a self, command: &RemoteCommand) -> Entry<'a> {
        Entry {
            transport: self,
            // What stands when nobody comes to write the end: the caller stopped waiting.
            record: Some(self.record(command.shown_line(), "abandoned")),
            started: Instant::now(),
        }
    }

    fn record(&self, command: String, status: &'static str) -> CommandRecord {
        CommandRecord {
            at: self.clock.now(),
            host: self.host.clone(),
            command: command.into_boxed_str(),
            status: Cow::Borrowed(status),
            elapsed_ms: 0,
            bytes: None,
            changes: CHANGES.try_with(|changes| *changes).unwrap_or(false),
            times: 1,
        }
    }
}

/// A command under way; written down when it ends, and also when its caller stops waiting for it.
struct Entry<'a> {
    transport: &'a RecordingTransport,
    record: Option<CommandRecord>,
    started: Instant,
}

impl Entry<'_> {
    fn ended(mut self, status: Cow<'static, str>, bytes: Option<u64>) {
        if let Some(record) = &mut self.record {
            record.status = status;
            record.bytes = bytes;
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.elapsed_ms = millis(self.started.elapsed());
            self.transport.log.push(record);
        }
    }
}

fn millis(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

fn status_of(result: &Result<CommandOutput, TransportError>) -> Cow<'static, str> {
    match result {
        Ok(output) => match &output.status {
            ExitStatus::Code(0) if output.truncated => "ok, cut".into(),
            ExitStatus::Code(0) => OK.into(),
            other @ (ExitStatus::Code(_) | ExitStatus::Signal(_) | ExitStatus::Missing) => {
                other.to_string().into()
            }
        },
        Err(error) => word_of(error).into(),
    }
}

const fn word_of(error: &TransportError) -> &'static str {
    match error {
        TransportError::Timeout { .. } => "timed out",
        TransportError::Lost { .. } => "link lost",
        TransportError::Channel { .. } => "no channel",
        TransportError::Resolve { .. }
        | TransportError::Dial { .. }
        | TransportError::Handshake { .. }
        | TransportError::HostKey(_)
        | TransportError::KnownHosts { .. }
        | TransportError::Command(_)
        | TransportError::Auth { .. }
        | TransportError::Credential { .. }
        | TransportError::Protocol { .. } => "failed",
    }
}

#[async_trait]
impl Transport for RecordingTransport {
    async fn exec(
        &self,
        command: &RemoteCommand,
        limits: ExecLimits,
    ) -> Result<CommandOutput, TransportError> {
        let entry = self.entry(command);
        let result = self.inner.exec(command, limits).await;
        let answer = result.as_ref().ok();
        let bytes = answer.map(|output| (output.stdout.len() + output.stderr.len()) as u64);
        entry.ended(status_of(&result), bytes);
        result
    }

    async fn spawn(
        &self,
        command: &RemoteCommand,
    ) -> Result<Box<dyn RemoteProcess>, TransportError> {
        let entry = self.entry(command);
        let result = self.inner.spawn(command).await;
        let status = match &result {
            Ok(_) => "kept running",
            Err(error) => word_of(error),
        };
        entry.ended(status.into(), None);
        result
    }

    async fn open_terminal(
        &self,
        command: &RemoteCommand,
        size: TerminalSize,
    ) -> Result<RemoteTerminal, TransportError> {
        let entry = self.entry(command);
        let result = self.inner.open_terminal(command, size).await;
        let status = match &result {
            Ok(_) => "kept running",
            Err(error) => word_of(error),
        };
        entry.ended(status.into(), None);
        result
    }

    async fn forward(&self, to: &DisplayPlace, local: TcpStream) -> Result<(), TransportError> {
        self.inner.forward(to, local).await
    }

    fn note_asked(&self, question: &str, status: &str, took: Duration, bytes: Option<u64>) {
        self.log.push(CommandRecord {
            elapsed_ms: millis(took),
            bytes,
            status: match status {
                OK => Cow::Borrowed(OK),
                other => Cow::Owned(other.to_owned()),
            },
            ..self.record(question.to_owned(), "")
        });
    }

    async fn closed(&self) -> TransportError {
        self.inner.closed().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[derive(Debug)]
    struct Answers(Result<u32, ()>);

    #[async_trait]
    impl Transport for Answers {
        async fn exec(
            &self,
            _command: &RemoteCommand,
            _limits: ExecLimits,
        ) -> Result<CommandOutput, TransportError> {
            tokio::time::sleep(Duration::from_millis(40)).await;
            match self.0 {
                Ok(code) => Ok(CommandOutput {
                    status: ExitStatus::Code(code),
                    stdout: b"running".to_vec(),
                    stderr: b"!".to_vec(),
                    truncated: false,
                    elapsed: Duration::from_millis(40),
                }),
                Err(()) => Err(TransportError::Lost {
                    reason: "gone".into(),
                }),
            }
        }

        async fn spawn(
            &self,
            _command: &RemoteCommand,
        ) -> Result<Box<dyn RemoteProcess>, TransportError> {
            Err(TransportError::Channel {
                reason: "full".into(),
            })
        }

        async fn closed(&self) -> TransportError {
            std::future::pending().await
        }

        async fn close(&self) {}
    }

    fn recording(answer: Result<u32, ()>) -> (RecordingTransport, CommandLog) {
        let log = CommandLog::default();
        let transport = RecordingTransport::new(
            Arc::new(Answers(answer)),
            "kvm1".parse().unwrap(),
            Clock::system(),
            log.clone(),
        );
        (transport, log)
    }

    fn limits() -> ExecLimits {
        ExecLimits::within(Duration::from_secs(1))
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_is_written_down_with_its_end() {
        for (answer, status) in [(Ok(0), "ok"), (Ok(3), "exit 3"), (Err(()), "link lost")] {
            let (transport, log) = recording(answer);
            let command = RemoteCommand::posix("virsh")
                .arg("list")
                .secret_arg("s3cret");
            let result = transport.exec(&command, limits()).await;
            assert_eq!(result.is_ok(), answer.is_ok());
            let records = log.records();
            assert_eq!(records.len(), 1);
            assert_eq!(&*records[0].command, "virsh list '<redacted>'");
            assert_eq!(records[0].status, status);
            assert_eq!(records[0].elapsed_ms, 40);
            assert!(!records[0].changes);
            assert_eq!(records[0].bytes, answer.is_ok().then_some(8));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_action_is_marked_and_an_abandoned_command_still_shows() {
        let (transport, log) = recording(Ok(0));
        let command = RemoteCommand::posix("virsh").arg("start");
        let acting = CHANGES.scope(true, transport.exec(&command, limits()));
        assert!(
            tokio::time::timeout(Duration::from_millis(10), acting)
                .await
                .is_err()
        );
        let records = log.records();
        assert_eq!(records[0].status, "abandoned");
        assert!(records[0].changes);
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_repeats_is_one_record_and_an_action_never_is() {
        let (transport, log) = recording(Ok(0));
        let command = RemoteCommand::posix("virsh").arg("start");
        for took in [9, 8] {
            transport.note_asked(
                "virsh: domstats",
                "ok",
                Duration::from_millis(took),
                Some(7),
            );
            let acting = CHANGES.scope(true, transport.exec(&command, limits()));
            assert!(acting.await.is_ok());
        }
        transport.note_asked(
            "virsh: domstats",
            "timed out",
            Duration::from_secs(10),
            None,
        );
        let told: Vec<_> = log
            .records()
            .into_iter()
            .map(|record| {
                (
                    String::from(record.command),
                    record.status.into_owned(),
                    record.elapsed_ms,
                    record.times,
                )
            })
            .collect();
        let record = |command: &str, status: &str, took, times| {
            (command.to_owned(), status.to_owned(), took, times)
        };
        assert_eq!(
            told,
            [
                record("virsh start", "ok", 40, 1),
                record("virsh: domstats", "ok", 8, 2),
                record("virsh start", "ok", 40, 1),
                record("virsh: domstats", "timed out", 10_000, 1),
            ]
        );
    }

    #[test]
    fn an_answered_question_that_nothing_repeats_is_forgotten() {
        let log = CommandLog::default();
        let begun: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let told = |minutes: i64, command: &str, status: &'static str, changes| {
            log.push(CommandRecord {
                at: begun + SignedDuration::from_mins(minutes),
                host: "kvm1".parse().unwrap(),
                command: command.into(),
                status: status.into(),
                elapsed_ms: 1,
                bytes: None,
                changes,
                times: 1,
            });
        };
        told(0, "read web-1", OK, false);
        told(0, "read web-2", OK, false);
        told(0, "read web-3", "exit 1", false);
        told(0, "start web-1", OK, true);
        told(0, "watch", "kept running", false);
        told(10, "read web-2", OK, false);
        told(15, "read web-4", OK, false);
        assert_eq!(log.records().len(), 6);
        told(16, "read web-5", OK, false);
        let left: Vec<_> = log.records().into_iter().map(|one| one.command).collect();
        let left: Vec<&str> = left.iter().map(|command| &**command).collect();
        assert_eq!(
            left,
            [
                "read web-3",
                "start web-1",
                "watch",
                "read web-2",
                "read web-4",
                "read web-5"
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_log_forgets_the_oldest() {
        let (transport, log) = recording(Ok(0));
        for n in 0..COMMAND_LOG + 2 {
            let command = RemoteCommand::posix("echo").arg(n.to_string());
            assert!(transport.exec(&command, limits()).await.is_ok());
        }
        let records = log.records();
        assert_eq!(records.len(), COMMAND_LOG);
        assert_eq!(&*records[0].command, "echo 2");
    }
}
