//! Announcements: `virsh event --all --loop --timestamp` on a channel of its own.
//!
//! A line is a reason to read now, never the truth. Several lines that are there already count as one
//! announcement, so a storm is one read; only restarts are passed on each by its VM's name, because
//! nothing else tells of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::command::{EVENTS_LIFE, Virsh};
use super::verdict::judge;
use crate::domain::text::RemoteText;
use crate::hypervisor::{Hints, HypervisorError, PollHint};
use crate::transport::{Chunk, ExitStatus, RemoteProcess, Transport};

/// Bytes of an unfinished line, and of complaints, that are kept.
pub(super) const MAX_KEPT: usize = 64 * 1024;

/// A running `virsh event`.
#[derive(Debug)]
pub(crate) struct Announcements {
    transport: Arc<dyn Transport>,
    process: Box<dyn RemoteProcess>,
    began: Instant,
    virsh: Virsh,
    /// Told that names have to be read again.
    list_is_old: Arc<AtomicBool>,
    line: Vec<u8>,
    /// Read and not yet passed on.
    ready: VecDeque<PollHint>,
    stderr: Vec<u8>,
    status: ExitStatus,
}

impl Announcements {
    /// Starts to listen.
    pub(crate) async fn open(
        transport: Arc<dyn Transport>,
        virsh: Virsh,
        list_is_old: Arc<AtomicBool>,
    ) -> Result<Self, HypervisorError> {
        let process = transport.spawn(&virsh.events()).await?;
        Ok(Self {
            transport,
            process,
            began: Instant::now(),
            virsh,
            list_is_old,
            line: Vec::new(),
            ready: VecDeque::new(),
            stderr: Vec::new(),
            status: ExitStatus::Missing,
        })
    }

    /// Goes on listening when time was up; an error when it ended for another reason. What happened in
    /// between was not heard, so that is a reason to read as well.
    async fn go_on(&mut self) -> Result<(), HypervisorError> {
        // It exits with 1 when there was nothing to announce.
        let by_itself = matches!(self.status, ExitStatus::Code(0 | 1));
        if !by_itself || self.began.elapsed() < EVENTS_LIFE / 2 {
            return Err(judge(
                &self.virsh,
                &self.status,
                &self.stderr,
                Duration::ZERO,
            ));
        }
        self.process = self.transport.spawn(&self.virsh.events()).await?;
        self.began = Instant::now();
        self.line.clear();
        self.stderr.clear();
        self.status = ExitStatus::Missing;
        self.list_is_old.store(true, Ordering::Release);
        Ok(())
    }
}

#[async_trait]
impl Hints for Announcements {
    async fn next(&mut self) -> Result<PollHint, HypervisorError> {
        loop {
            if let Some(hint) = self.ready.pop_front() {
                if hint == PollHint::ListChanged {
                    self.list_is_old.store(true, Ordering::Release);
                }
                return Ok(hint);
            }
            match self.process.read().await? {
                Chunk::Stdout(bytes) => self.ready.extend(take_lines(&mut self.line, &bytes)),
                Chunk::Stderr(bytes) => {
                    let room = MAX_KEPT.saturating_sub(self.stderr.len());
                    self.stderr.extend(bytes.iter().take(room));
                }
                Chunk::Exit(status) => self.status = status,
                Chunk::Closed => {
                    self.go_on().await?;
                    return Ok(PollHint::Changed);
                }
            }
        }
    }
}

/// Takes in output; returns what its complete lines announce: restarts, and of the rest the weightiest.
pub(super) fn take_lines(unfinished: &mut Vec<u8>, bytes: &[u8]) -> Vec<PollHint> {
    let (mut hints, mut changed, mut list_changed) = (Vec::new(), false, false);
    for part in bytes.split_inclusive(|byte| *byte == b'\n') {
        let room = MAX_KEPT.saturating_sub(unfinished.len());
        unfinished.extend(part.iter().take(room));
        if !part.ends_with(b"\n") {
            break;
        }
        match announced(unfinished) {
            Some(PollHint::ListChanged) => list_changed = true,
            Some(PollHint::Changed) => changed = true,
            Some(restarted @ PollHint::Restarted { .. }) => hints.push(restarted),
            None => {}
        }
        unfinished.clear();
    }
    if list_changed {
        hints.push(PollHint::ListChanged);
    } else if changed && hints.is_empty() {
        hints.push(PollHint::Changed);
    }
    hints
}

/// What one line announces: `TIME: event 'lifecycle' for domain 'NAME': Defined Added`.
fn announced(line: &[u8]) -> Option<PollHint> {
    let line = String::from_utf8_lossy(line);
    let (_, event) = line.split_once("event '")?;
    // `event 'reboot' for domain 'NAME'`: nothing follows the name.
    if let Some(rest) = event.strip_prefix("reboot' for domain '")
        && let Some(name) = rest.trim_end_matches(['\r', '\n']).strip_suffix('\'')
    {
        return Some(PollHint::Restarted {
            vm: RemoteText::new(name),
        });
    }
    // The name may hold anything, so the outcome is looked for at the end of the line.
    let outcome = event.rsplit_once("': ").map_or("", |(_, outcome)| outcome);
    let of_the_list = event.starts_with("lifecycle'")
        && (outcome.starts_with("Defined") || outcome.starts_with("Undefined"));
    Some(if of_the_list {
        PollHint::ListChanged
    } else {
        PollHint::Changed
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTED: &str =
        "2026-11-22 05:03:58.532+0000: event 'lifecycle' for domain ''': Started Booted\n";
    const DEFINED: &str =
        "2026-11-22 05:03:58.532+0000: event 'lifecycle' for domain 'a': b': Defined Added\n";

    fn hints(output: &[&str]) -> Vec<Vec<PollHint>> {
        let mut unfinished = Vec::new();
        output
            .iter()
            .map(|bytes| take_lines(&mut unfinished, bytes.as_bytes()))
            .collect()
    }

    fn restarted(name: &str) -> PollHint {
        PollHint::Restarted {
            vm: RemoteText::new(name),
        }
    }

    const REBOOT: &str = "2026-11-22 05:03:58.709+0000: event 'reboot' for domain 'it's' deaf'\n";

    #[test]
    fn lines_announce_changes_new_vms_and_restarts() {
        assert_eq!(hints(&[STARTED]), [[PollHint::Changed]]);
        assert_eq!(hints(&[DEFINED]), [[PollHint::ListChanged]]);
        assert_eq!(hints(&[REBOOT]), [[restarted("it's' deaf")]]);
    }

    #[test]
    fn a_storm_is_one_announcement_and_no_restart_is_lost() {
        let storm = format!("{STARTED}{DEFINED}{STARTED}");
        assert_eq!(hints(&[&storm]), [[PollHint::ListChanged]]);
        let storm = format!("{REBOOT}{STARTED}{REBOOT}");
        let twice = [restarted("it's' deaf"), restarted("it's' deaf")];
        assert_eq!(hints(&[&storm]), [twice]);
    }

    #[test]
    fn lines_may_come_in_pieces() {
        let (head, tail) = STARTED.split_at(30);
        assert_eq!(hints(&[head, tail]), [vec![], vec![PollHint::Changed]]);
    }

    #[test]
    fn what_is_no_event_announces_nothing() {
        let lines = ["error: what\n", "\n", "event loop interrupted\n"];
        assert!(hints(&lines).iter().all(Vec::is_empty));
    }

    #[test]
    fn a_line_without_an_end_does_not_grow() {
        let mut unfinished = Vec::new();
        for _ in 0..10 {
            assert!(take_lines(&mut unfinished, &vec![b'x'; 64 * 1024]).is_empty());
        }
        assert!(unfinished.len() <= MAX_KEPT);
    }

    use super::super::worker::tests::spec;
    use crate::transport::scripted::Script;

    /// A script whose `virsh event` can be made to say things.
    fn listening() -> Script {
        let script = Script::new();
        script.on_spawn("event --all", |_| |_: &[u8]| Vec::new());
        script
    }

    async fn open(script: &Script) -> Announcements {
        let virsh = Virsh::of(&spec());
        Announcements::open(script.transport(), virsh, Arc::default())
            .await
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn when_time_is_up_it_goes_on_listening() {
        let script = listening();
        let mut hints = open(&script).await;
        tokio::time::advance(EVENTS_LIFE).await;
        script.say("event", &Chunk::Exit(ExitStatus::Code(1)));
        script.say("event", &Chunk::Closed);
        assert_eq!(hints.next().await.unwrap(), PollHint::Changed);
        assert!(hints.list_is_old.load(Ordering::Acquire));
        assert_eq!(script.count("event --all"), 2);
        script.say("event", &Chunk::Stdout(STARTED.into()));
        assert_eq!(hints.next().await.unwrap(), PollHint::Changed);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_ends_at_once_is_not_started_for_ever() {
        let script = listening();
        let mut hints = open(&script).await;
        script.say("event", &Chunk::Stderr(b"error: not supported\n".to_vec()));
        script.say("event", &Chunk::Exit(ExitStatus::Code(1)));
        script.say("event", &Chunk::Closed);
        let error = hints.next().await.unwrap_err();
        assert_eq!(error.to_string(), "virsh said: not supported");
        assert_eq!(script.count("event --all"), 1);
    }
}
