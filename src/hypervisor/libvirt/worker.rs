//! The worker: questions to `virsh`, answered by a kept process (10 to 100 times cheaper than a
//! process a question) or, where that does not work, by one process each.
//!
//! ```text
//!            start, greet            ask             ended: once more in the same call
//!   nothing ------------> kept ------------> kept ------------------------> nothing
//!                  |        |  no answer in time: ended, the call fails     ^
//!                  |        +-----------------------------------------------+
//!                  |        +--- twice in a row ---> one process a question (for good)
//!                  +--- does not answer to marks --> one process a question (for good)
//! ```
//!
//! Only questions go through here, so asking again never changes a VM. A question that is given up
//! (dropped) takes its process with it: an answer that comes late can never be taken for the next one.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::command::{Line, QUESTION_LIFE, Virsh};
use super::kept::{Broken, Kept, Reply};
use super::verdict::{judge, said};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;
use crate::hypervisor::HypervisorError;
use crate::transport::{ExecLimits, ExitStatus, Transport, TransportError};

/// How long a kept process may take to answer to marks. libvirt may have to be started first: 4 s seen.
const GREETING: Duration = Duration::from_secs(8);

/// Bytes of one answer that are accepted: some 50,000 VMs.
pub(crate) const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Questions of one call that the command log shows.
const SHOWN: usize = 4;

/// Calls in a row without an answer before the kept process is given up.
const STRIKES: u32 = 2;

/// Asks one host's `virsh`. One call at a time; a call may hold many questions.
#[derive(Debug)]
pub(crate) struct Worker {
    transport: Arc<dyn Transport>,
    virsh: Virsh,
    state: Mutex<State>,
    /// Whether the host was changed after the last questions were sent.
    is_outdated: AtomicBool,
    /// Why there is one process a question, once it has come to that.
    fallback: Fallback,
}

/// What all workers of one host learn from each other: that `virsh` cannot be kept there, and why.
pub(crate) type Fallback = Arc<OnceLock<RemoteText>>;

#[derive(Debug, Default)]
struct State {
    kept: Option<Kept>,
    strikes: u32,
}

/// Whose fault silence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// `virsh` is expected to answer; silence counts against keeping it.
    Expects,
    /// Something inside a VM is asked and may hang; silence says nothing about `virsh`.
    MayHang,
}

/// Why no kept process could be had.
enum NoStart {
    /// It does not work that way; a process a question may.
    Unfit(RemoteText),
    /// It would not work either way.
    Failed(HypervisorError),
}

impl Worker {
    /// Makes a worker; nothing is started until it is asked.
    pub(crate) fn new(transport: Arc<dyn Transport>, virsh: Virsh, fallback: Fallback) -> Self {
        Self {
            transport,
            virsh,
            state: Mutex::new(State::default()),
            is_outdated: AtomicBool::new(false),
            fallback,
        }
    }

    /// Returns how `virsh` is called here.
    pub(crate) const fn virsh(&self) -> &Virsh {
        &self.virsh
    }

    /// Returns why there is one process a question, when it has come to that.
    pub(crate) fn fallback(&self) -> Option<&RemoteText> {
        self.fallback.get()
    }

    /// Asks several questions in one go. The failure of one is in its reply; an error means that
    /// there are no replies at all.
    pub(crate) async fn ask(
        &self,
        lines: &[Line],
        within: Duration,
        patience: Patience,
    ) -> Result<Vec<Reply>, HypervisorError> {
        self.ask_before(lines, &[], within, patience).await
    }

    /// Says that the host was changed: answers that are on their way are not of now.
    pub(crate) fn outdate(&self) {
        self.is_outdated.store(true, Ordering::Release);
    }

    /// The same, and sends along what will be asked next: a call that then asks for just that finds the
    /// answers on their way. Where another comes instead, they are thrown away.
    pub(crate) async fn ask_before(
        &self,
        lines: &[Line],
        next: &[Line],
        within: Duration,
        patience: Patience,
    ) -> Result<Vec<Reply>, HypervisorError> {
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        let mut state = self.state.lock().await;
        let mut again = true;
        loop {
            if self.fallback.get().is_some() {
                drop(state);
                return self.ask_one_by_one(lines).await;
            }
            // Taken out, so that a dropped call leaves no half-read process behind.
            let kept = match state.kept.take() {
                Some(kept) => Ok(kept),
                None => self.start(lines, next).await,
            };
            let mut kept = match kept {
                Ok(kept) => kept,
                Err(NoStart::Failed(error)) => return Err(error),
                Err(NoStart::Unfit(why)) => {
                    self.fall_back(why);
                    continue;
                }
            };
            if self.is_outdated.swap(false, Ordering::AcqRel) {
                kept.outdate();
            }
            let began = Instant::now();
            let answered = timeout(within, kept.ask(lines, next, MAX_ANSWER)).await;
            let status = status_of(lines, answered.as_ref().ok());
            let bytes = answered.as_ref().ok().and_then(|said| said.as_ref().ok());
            let bytes = bytes.map(|said| said.iter().map(|one| one.stdout.len() as u64).sum());
            self.transport
                .note_asked(&shown(lines), &status, began.elapsed(), bytes);
            match answered {
                Ok(Ok(replies)) => {
                    *state = State {
                        kept: Some(kept),
                        strikes: 0,
                    };
                    return Ok(replies);
                }
                Ok(Err(Broken::Link(error))) => return Err(error.into()),
                Ok(Err(Broken::Flood)) => {
                    kept.close().await;
                    return Err(flood());
                }
                Ok(Err(Broken::Ended { stderr, .. })) if again => {
                    tracing::debug!(said = %said(&stderr), "the kept virsh ended and is started again");
                    again = false;
                }
                Ok(Err(Broken::Ended { stderr, .. })) => self.fall_back(said(&stderr)),
                Ok(Err(Broken::Garbled(what))) => self.fall_back(RemoteText::new(what)),
                Err(_elapsed) => {
                    kept.close().await;
                    if patience == Patience::Expects {
                        state.strikes += 1;
                    }
                    if state.strikes >= STRIKES {
                        self.fall_back(RemoteText::new("it twice gave no answer in time"));
                    }
                    return Err(too_late(within));
                }
            }
        }
    }

    /// Lets the kept process go: its input ends, and it with it. Nobody waits for that, because the link
    /// that it runs over is closed next.
    pub(crate) async fn close(&self) {
        drop(self.state.lock().await.kept.take());
    }

    async fn start(&self, lines: &[Line], next: &[Line]) -> Result<Kept, NoStart> {
        let process = self
            .transport
            .spawn(&self.virsh.kept())
            .await
            .map_err(|error| NoStart::Failed(error.into()))?;
        let mut kept = Kept::new(process);
        let first: Vec<Line> = lines.iter().chain(next).cloned().collect();
        let greeting = async {
            kept.begin(&first).await?;
            kept.greet().await
        };
        match timeout(GREETING, greeting).await {
            Ok(Ok(())) => Ok(kept),
            Ok(Err(broken)) => {
                kept.close().await;
                Err(self.diagnose(broken))
            }
            Err(_elapsed) => {
                kept.close().await;
                Err(NoStart::Unfit(RemoteText::new("it gives no answer")))
            }
        }
    }

    /// Tells a `virsh` that cannot be kept from one that cannot work at all.
    fn diagnose(&self, broken: Broken) -> NoStart {
        match broken {
            Broken::Link(error) => NoStart::Failed(error.into()),
            Broken::Garbled(what) => NoStart::Unfit(RemoteText::new(what)),
            Broken::Flood => NoStart::Unfit(RemoteText::new("it prints without an end")),
            Broken::Ended { status, stderr } => {
                let speaks_as_virsh = stderr.starts_with(b"error: ")
                    || stderr.windows(8).any(|part| part == b"\nerror: ")
                    || stderr.starts_with(b"sudo: ");
                let never_ran = matches!(status, ExitStatus::Code(126 | 127));
                if never_ran || (speaks_as_virsh && !status.is_success()) {
                    return NoStart::Failed(judge(&self.virsh, &status, &stderr, GREETING));
                }
                let last_words = said(&stderr);
                NoStart::Unfit(if last_words.is_empty() {
                    RemoteText::new(&format!("it ended at once ({status})"))
                } else {
                    last_words
                })
            }
        }
    }

    fn fall_back(&self, why: RemoteText) {
        tracing::warn!(%why, "the kept virsh does not work here");
        // The first reason stays.
        drop(self.fallback.set(why));
    }

    /// Asks each question of a process of its own, for what a kept one cannot be trusted to read as it is
    /// meant.
    pub(crate) async fn ask_alone(&self, lines: &[Line]) -> Result<Vec<Reply>, HypervisorError> {
        self.ask_one_by_one(lines).await
    }

    async fn ask_one_by_one(&self, lines: &[Line]) -> Result<Vec<Reply>, HypervisorError> {
        let mut replies = Vec::with_capacity(lines.len());
        for line in lines {
            replies.push(self.ask_once(line).await?);
        }
        Ok(replies)
    }

    /// Asks one question of a process of its own, whose tables hold names as they are where the host has
    /// such a locale.
    pub(crate) async fn ask_in_utf8(&self, line: &Line) -> Result<Reply, HypervisorError> {
        self.ask_command(self.virsh.in_utf8(line)).await
    }

    async fn ask_once(&self, line: &Line) -> Result<Reply, HypervisorError> {
        self.ask_command(self.virsh.once(line, QUESTION_LIFE)).await
    }

    async fn ask_command(&self, command: RemoteCommand) -> Result<Reply, HypervisorError> {
        let limits = ExecLimits {
            stdout: MAX_ANSWER,
            ..ExecLimits::within(QUESTION_LIFE + Duration::from_secs(3))
        };
        let output = self.transport.exec(&command, limits).await?;
        if output.truncated {
            return Err(flood());
        }
        if output.status.is_success() {
            return Ok(Reply {
                stdout: output.stdout.into(),
                failure: None,
            });
        }
        let verdict = judge(&self.virsh, &output.status, &output.stderr, QUESTION_LIFE);
        // Only a refusal of this very question leaves the others to be asked.
        if let HypervisorError::Remote { said, .. } = verdict {
            return Ok(Reply {
                stdout: output.stdout.into(),
                failure: Some(said),
            });
        }
        Err(verdict)
    }
}

/// Returns questions as the command log shows them.
fn shown(lines: &[Line]) -> String {
    let first: Vec<&str> = lines.iter().take(SHOWN).map(Line::as_str).collect();
    let text = first.join("; ");
    match lines.len().saturating_sub(SHOWN) {
        0 => format!("virsh: {text}"),
        more => format!("virsh: {text}; and {more} more"),
    }
}

/// Returns how a call went, as the command log shows it; `None` = no answer in time.
fn status_of(lines: &[Line], answered: Option<&Result<Vec<Reply>, Broken>>) -> String {
    let word = match answered {
        None => "timed out",
        Some(Err(Broken::Link(_))) => "link lost",
        Some(Err(Broken::Ended { .. })) => "it ended",
        Some(Err(Broken::Garbled(_))) => "garbled",
        Some(Err(Broken::Flood)) => "too much",
        Some(Ok(replies)) => {
            let answers = lines.iter().zip(replies);
            let failed =
                answers.filter(|(line, reply)| reply.failure.is_some() && !line.may_fail());
            match failed.count() {
                0 => "ok",
                count => return format!("{count} failed"),
            }
        }
    };
    word.to_owned()
}

fn too_late(within: Duration) -> HypervisorError {
    HypervisorError::Transport(TransportError::Timeout {
        what: "virsh",
        after: within,
    })
}

fn flood() -> HypervisorError {
    HypervisorError::Unparsable {
        program: "virsh".to_owned(),
        what: format!("more than {} MiB", MAX_ANSWER / 1024 / 1024),
        said: RemoteText::new(""),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::host::{Endpoint, HostSpec};
    use crate::transport::Chunk;
    use crate::transport::scripted::{Answer, Script};

    /// What a made-up `virsh` says to one line.
    pub(in super::super) enum Says {
        Out(String),
        Error(String),
        Nothing,
        Ends(u32),
    }

    /// Lets a script keep a `virsh` that says this.
    pub(in super::super) fn keep(
        script: &Script,
        says: impl Fn(&str) -> Says + Clone + Send + 'static,
    ) {
        script.on_spawn("virsh -q", move |_command| {
            let says = says.clone();
            let mut input = String::new();
            let mut hangs = false;
            move |bytes: &[u8]| {
                input.push_str(std::str::from_utf8(bytes).unwrap());
                let mut chunks = Vec::new();
                while let Some((line, rest)) = input.split_once('\n') {
                    let (line, rest) = (line.to_owned(), rest.to_owned());
                    input = rest;
                    if !hangs {
                        chunks.extend(answer(&line, &says, &mut hangs));
                    }
                }
                chunks
            }
        });
    }

    fn answer(line: &str, says: &impl Fn(&str) -> Says, hangs: &mut bool) -> Vec<Chunk> {
        let out = |text: &str| Chunk::Stdout(format!("virsh # {line}\n{text}").into_bytes());
        let err = |text: &str| Chunk::Stderr(format!("error: {text}\n").into_bytes());
        if let Some(mark) = line.strip_prefix("echo --err ") {
            return vec![out(""), err(mark)];
        }
        if let Some(mark) = line.strip_prefix("echo ") {
            return vec![out(mark)];
        }
        match says(line) {
            Says::Out(text) => vec![out(&text)],
            Says::Error(text) => vec![out(""), err(&text)],
            Says::Nothing => {
                *hangs = true;
                Vec::new()
            }
            Says::Ends(code) => {
                *hangs = true;
                vec![Chunk::Exit(ExitStatus::Code(code)), Chunk::Closed]
            }
        }
    }

    pub(in super::super) fn spec() -> HostSpec {
        let mut spec = HostSpec::new("h".parse().unwrap(), Endpoint::new("h", 22));
        spec.uri = Some("qemu:///system".parse().unwrap());
        spec
    }

    fn worker(script: &Script) -> Worker {
        Worker::new(script.transport(), Virsh::of(&spec()), Fallback::default())
    }

    const WITHIN: Duration = Duration::from_secs(5);

    async fn ask(worker: &Worker, line: &'static str) -> Result<Reply, HypervisorError> {
        let replies = worker
            .ask(&[Line::new(line)], WITHIN, Patience::Expects)
            .await?;
        Ok(replies.into_iter().next().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn one_process_answers_every_question() {
        let script = Script::new();
        keep(&script, |line| match line {
            "uri" => Says::Out("qemu:///system\n".into()),
            _ => Says::Error("no such thing".into()),
        });
        let worker = worker(&script);
        for _ in 0..3 {
            let reply = ask(&worker, "uri").await.unwrap();
            assert_eq!(reply.stdout, b"qemu:///system\n");
            assert_eq!(reply.failure, None);
            let reply = ask(&worker, "nonsense").await.unwrap();
            assert_eq!(reply.failure, Some(RemoteText::new("no such thing")));
        }
        assert_eq!(script.count("virsh"), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn many_questions_keep_their_order() {
        let script = Script::new();
        keep(&script, |line| Says::Out(format!("{line}!\n")));
        let lines: Vec<Line> = (0..100)
            .map(|number| Line::new(if number % 2 == 0 { "uri" } else { "nodeinfo" }))
            .collect();
        let replies = worker(&script)
            .ask(&lines, WITHIN, Patience::Expects)
            .await
            .unwrap();
        for (line, reply) in lines.iter().zip(&replies) {
            assert_eq!(reply.stdout, format!("{}!\n", line.as_str()).as_bytes());
        }
        assert_eq!(replies.len(), 100);
    }

    #[test]
    fn a_question_that_may_find_nothing_is_not_told_as_failed() {
        let reply = |failure: Option<&str>| Reply {
            stdout: Vec::new().into(),
            failure: failure.map(RemoteText::new),
        };
        let lines = [
            Line::new("snapshot-list"),
            Line::new("snapshot-current").or_nothing(),
        ];
        for (list, current, told) in [
            (None, None, "ok"),
            (None, Some("there is none"), "ok"),
            (Some("no such VM"), Some("no such VM"), "1 failed"),
        ] {
            let replies = Ok(vec![reply(list), reply(current)]);
            assert_eq!(status_of(&lines, Some(&replies)), told);
        }
    }

    /// A script whose `virsh` repeats each question, and the questions that reached it.
    fn repeating() -> (Script, Arc<std::sync::Mutex<Vec<String>>>) {
        let script = Script::new();
        let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        keep(&script, move |line| {
            ear.lock().unwrap().push(line.to_owned());
            Says::Out(format!("{line}!\n"))
        });
        (script, heard)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_next_is_sent_along_and_not_again() {
        let (script, heard) = repeating();
        let worker = worker(&script);
        let [first, next, then] = ["uri", "nodeinfo", "version"].map(Line::new);
        for _ in 0..2 {
            heard.lock().unwrap().clear();
            let before = std::slice::from_ref(&first);
            let after = [next.clone(), then.clone()];
            let sent_along = after.split_at(1).0;
            let before = worker
                .ask_before(before, sent_along, WITHIN, Patience::Expects)
                .await
                .unwrap();
            assert_eq!(before[0].stdout, b"uri!\n");
            assert_eq!(*heard.lock().unwrap(), ["uri", "nodeinfo"]);
            let replies = worker.ask(&after, WITHIN, Patience::Expects).await.unwrap();
            let said: Vec<&[u8]> = replies.iter().map(|reply| &reply.stdout[..]).collect();
            assert_eq!(said, [&b"nodeinfo!\n"[..], b"version!\n"]);
            assert_eq!(*heard.lock().unwrap(), ["uri", "nodeinfo", "version"]);
        }
        assert_eq!(script.count("virsh"), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_was_sent_for_and_not_wanted_is_nobodys() {
        let (script, _) = repeating();
        let worker = worker(&script);
        let [first, next] = ["uri", "nodeinfo"].map(Line::new);
        let twice = [next.clone(), next];
        worker
            .ask_before(&[first], &twice, WITHIN, Patience::Expects)
            .await
            .unwrap();
        assert_eq!(ask(&worker, "version").await.unwrap().stdout, b"version!\n");
        assert_eq!(
            ask(&worker, "nodeinfo").await.unwrap().stdout,
            b"nodeinfo!\n"
        );
        assert_eq!(script.count("virsh"), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_fits_at_once_is_sent_along_as_far_as_it_fits() {
        let (script, heard) = repeating();
        let worker = worker(&script);
        let many: Vec<Line> = vec![Line::new("uri"); 40];
        let sent = worker.ask_before(&many, &many, WITHIN, Patience::Expects);
        assert_eq!(sent.await.unwrap().len(), 40);
        assert_eq!(heard.lock().unwrap().len(), 64);
        let rest = worker.ask(&many, WITHIN, Patience::Expects).await.unwrap();
        assert_eq!((rest.len(), heard.lock().unwrap().len()), (40, 80));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_twice_in_a_row_ends_the_keeping() {
        let script = Script::new();
        keep(&script, |_| Says::Nothing);
        script.on("uri", Answer::out("qemu:///system\n"));
        let worker = worker(&script);
        for _ in 0..2 {
            let error = ask(&worker, "uri").await.unwrap_err();
            assert!(matches!(
                error,
                HypervisorError::Transport(TransportError::Timeout { .. })
            ));
        }
        assert!(worker.fallback().is_some());
        assert_eq!(
            ask(&worker, "uri").await.unwrap().stdout,
            b"qemu:///system\n"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn silence_of_what_may_hang_is_not_counted() {
        let script = Script::new();
        keep(&script, |_| Says::Nothing);
        let worker = worker(&script);
        for _ in 0..5 {
            let lines = [Line::new("uri")];
            assert!(worker.ask(&lines, WITHIN, Patience::MayHang).await.is_err());
        }
        assert_eq!(worker.fallback(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_keeps_ending_is_given_up_within_the_call() {
        let script = Script::new();
        keep(&script, |_| Says::Ends(1));
        script.on("uri", Answer::out("qemu:///system\n"));
        let worker = worker(&script);
        assert_eq!(
            ask(&worker, "uri").await.unwrap().stdout,
            b"qemu:///system\n"
        );
        assert!(worker.fallback().is_some());
        // Two that were kept, and the one that answered.
        assert_eq!(script.count("virsh"), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_to_a_question_that_was_given_up_reaches_nobody() {
        let script = Script::new();
        keep(&script, |line| match line {
            "nodeinfo" => Says::Nothing,
            _ => Says::Out("answer\n".into()),
        });
        let worker = worker(&script);
        let lines = [Line::new("nodeinfo")];
        let given_up = worker.ask(&lines, WITHIN, Patience::Expects);
        assert!(timeout(Duration::from_millis(50), given_up).await.is_err());
        assert_eq!(ask(&worker, "uri").await.unwrap().stdout, b"answer\n");
        assert_eq!(script.count("virsh"), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_no_answer() {
        let script = Script::new();
        keep(&script, |_| Says::Out("x".repeat(MAX_ANSWER + 1)));
        let error = ask(&worker(&script), "uri").await.unwrap_err();
        assert!(matches!(error, HypervisorError::Unparsable { .. }));
    }

    #[tokio::test(start_paused = true)]
    async fn marks_of_another_do_not_end_an_answer() {
        let script = Script::new();
        keep(&script, |_| {
            Says::Out("id @@0000000000000000.2@@\n@@0123456789abcdef.2@@\n".into())
        });
        let reply = ask(&worker(&script), "uri").await.unwrap();
        let lines = crate::hypervisor::libvirt::parse::lines(&reply.stdout);
        assert_eq!(lines.filter(|line| !line.is_empty()).count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn no_connection_is_told_and_nothing_else_is_tried() {
        let script = Script::new();
        script.on_spawn("virsh -q", |_| {
            |_: &[u8]| {
                let why = b"error: failed to connect to the hypervisor\nerror: Failed to connect socket to '/x': Permission denied\n";
                vec![
                    Chunk::Stderr(why.to_vec()),
                    Chunk::Exit(ExitStatus::Code(1)),
                    Chunk::Closed,
                ]
            }
        });
        let error = ask(&worker(&script), "uri").await.unwrap_err();
        assert!(
            matches!(error, HypervisorError::Permission { .. }),
            "{error}"
        );
        assert_eq!(script.count("virsh"), 1);
    }
}
