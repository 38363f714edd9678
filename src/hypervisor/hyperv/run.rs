//! One process of the watch: how it is started, what it says, and every way in which it ends.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::envelope::{Nonce, seal};
use super::failure::{self, NoAnswer};
use super::frames::{Frame, FrameReader, Kind};
use super::leftover::{Fate, Leftover, mark};
use super::mirror::{Mirror, Moved, News};
use super::script::Task;
use super::stream::{BEAT, PERIOD, Watch};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;
use crate::hypervisor::HypervisorError;
use crate::transport::{Chunk, CommandOutput, ExecLimits, ExitStatus, RemoteProcess};

/// Bytes of complaints that are kept.
const MAX_STDERR: usize = 16 * 1024;

/// The script ends itself after this, because it cannot notice that nobody reads what it writes.
const LIFE: Duration = Duration::from_secs(600);

/// Silence after which it counts as dead.
const SILENCE: Duration = Duration::from_secs(15);

/// How long it may take to begin, and then to read the host for the first time: a process of a busy host
/// takes seconds to start.
const BEGIN_WITHIN: Duration = Duration::from_secs(30);

/// How long it may take to go away after its last word.
const GO_WITHIN: Duration = Duration::from_secs(5);

/// A sweep that takes longer is too much for a loop: such a host is better asked now and then.
const SLOW_SWEEP: Duration = Duration::from_secs(8);

/// One process on the host.
#[derive(Debug)]
pub(super) struct Run {
    process: Box<dyn RemoteProcess>,
    frames: FrameReader,
    stderr: Vec<u8>,
    status: ExitStatus,
    mark: String,
    pub(super) began: Instant,
    /// When it counts as dead.
    until: Instant,
    stage: Stage,
}

impl Run {
    /// Says why nothing of ours was ever printed.
    fn why_it_never_began(&self) -> String {
        let output = CommandOutput {
            status: self.status.clone(),
            stdout: Vec::new(),
            stderr: self.stderr.clone(),
            truncated: false,
            elapsed: self.began.elapsed(),
        };
        match failure::without_answer(&output, &self.frames.noise()) {
            NoAnswer::NotFound(said) => format!("PowerShell was not found: {}", said.fit(60)),
            NoAnswer::Constrained => "PowerShell is constrained on this host".to_owned(),
            NoAnswer::Error(error) => error.to_string(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing was said.
    Started,
    /// It said who it is.
    Known(u32),
    /// It tells of the host.
    Telling(u32),
    /// It said that it ends.
    Leaving(u32),
}

/// What `HELLO` says.
#[derive(Debug, Deserialize)]
struct Hello {
    process: u32,
    started: i64,
}

/// What `BYE` says.
#[derive(Debug, Deserialize)]
struct Bye {
    why: String,
}

/// What the script that ends leftovers says.
#[derive(Debug, Deserialize)]
struct Fates {
    data: Vec<Fate>,
}

/// What an `ERR` frame says that is looked at here.
#[derive(Debug, Deserialize)]
struct Failed {
    #[serde(default)]
    messages: Vec<String>,
}

/// How a watch ended.
#[derive(Debug)]
pub(super) enum End {
    /// Its time was up.
    Life,
    /// Anything else, in a few words.
    Failed(String),
}

fn failed<T>(why: impl Into<String>) -> Result<T, End> {
    Err(End::Failed(why.into()))
}

impl Watch {
    /// Ends what was left behind, then starts the script.
    pub(super) async fn start(&self, program: &str) -> Result<Run, String> {
        self.end_leftovers(program).await?;
        let arguments = json!({
            "scope": "fast",
            "periodMs": millis(PERIOD),
            "beatMs": millis(BEAT),
            "lifeMs": millis(LIFE),
        });
        let nonce = Nonce::fresh();
        let command = sealed(program, Task::Watch, &arguments, &nonce)?;
        let mark = command
            .encoded
            .as_deref()
            .and_then(|encoded| mark(encoded, nonce.as_str()))
            .unwrap_or_default();
        let now = Instant::now();
        let spawning = self.transport.spawn(&command);
        let Ok(process) = timeout_at(now + BEGIN_WITHIN, spawning).await else {
            return Err("it could not be started in time".to_owned());
        };
        Ok(Run {
            process: process.map_err(|error| error.to_string())?,
            frames: FrameReader::new(nonce.as_str()),
            stderr: Vec::new(),
            status: ExitStatus::Missing,
            mark,
            began: now,
            until: now + BEGIN_WITHIN,
            stage: Stage::Started,
        })
    }

    /// Ends what may still run on the host; an error when nobody knows whether it does.
    async fn end_leftovers(&self, program: &str) -> Result<(), String> {
        let left = self.leftovers.of(self.host);
        if left.is_empty() {
            return Ok(());
        }
        let nonce = Nonce::fresh();
        let arguments = json!({ "leftovers": left });
        let command = sealed(program, Task::Leftover, &arguments, &nonce)?;
        let said = self
            .transport
            .exec(&command, ExecLimits::within(BEGIN_WITHIN))
            .await;
        let said = said.map_err(|error| error.to_string())?;
        let frames = FrameReader::new(nonce.as_str()).feed(&said.stdout);
        let mut frames = frames.into_iter().flatten();
        let answer = frames.find(|frame| frame.kind == Kind::Done);
        let Some(Ok(Fates { data })) = answer.map(|frame| frame.read()) else {
            return Err("the host does not say whether an earlier watch still runs".to_owned());
        };
        for fate in data {
            tracing::info!(process = fate.process, what = fate.what, "an earlier watch");
            self.leftovers.ended(self.host, fate.process);
        }
        Ok(())
    }

    /// Waits for the next piece of output; returns what it has changed.
    pub(super) async fn listen(&self, run: &mut Run) -> Result<Moved, End> {
        let Ok(read) = timeout_at(run.until, run.process.read()).await else {
            return match run.stage {
                Stage::Started => failed("it did not begin"),
                Stage::Known(_) => failed("the host could not be read in time"),
                Stage::Telling(_) => failed("it fell silent"),
                Stage::Leaving(_) => Err(End::Life),
            };
        };
        match read {
            Err(error) => failed(error.to_string()),
            Ok(Chunk::Closed) => Err(self.closed(run)),
            // Warnings of the host, unless it never begins: then it says there why.
            Ok(Chunk::Stderr(bytes)) => {
                let room = MAX_STDERR.saturating_sub(run.stderr.len());
                run.stderr.extend(bytes.iter().take(room));
                Ok(Moved::Nothing)
            }
            Ok(Chunk::Exit(status)) => {
                run.status = status;
                Ok(Moved::Nothing)
            }
            Ok(Chunk::Stdout(bytes)) => {
                let frames = run.frames.feed(&bytes).map_err(|error| said(&error))?;
                let mut moved = Moved::Nothing;
                for frame in frames {
                    moved = moved.max(self.hear(run, &frame)?);
                }
                Ok(moved)
            }
        }
    }

    fn closed(&self, run: &Run) -> End {
        match run.stage {
            Stage::Leaving(process) => {
                self.leftovers.ended(self.host, process);
                End::Life
            }
            Stage::Known(process) | Stage::Telling(process) => {
                // Its output is closed, so it has ended; but an SSH server that closes a channel for
                // reasons of its own looks the same, so it stays remembered.
                tracing::debug!(process, "the watch's channel was closed");
                End::Failed("it ended without a word".to_owned())
            }
            Stage::Started => End::Failed(run.why_it_never_began()),
        }
    }

    fn hear(&self, run: &mut Run, frame: &Frame) -> Result<Moved, End> {
        let now = Instant::now();
        match (frame.kind, run.stage) {
            (Kind::Hello, Stage::Started) => {
                let hello: Hello = frame.read().map_err(|error| said(&error))?;
                let watch = Leftover {
                    process: hello.process,
                    started: hello.started,
                    mark: run.mark.clone(),
                };
                self.leftovers.began(self.host, watch, LIFE + BEGIN_WITHIN);
                run.stage = Stage::Known(hello.process);
                run.until = now + BEGIN_WITHIN;
                Ok(Moved::Nothing)
            }
            (Kind::Snapshot, Stage::Known(process)) => {
                run.stage = Stage::Telling(process);
                self.told(run, frame, Mirror::snap)
            }
            (Kind::Delta | Kind::Beat, Stage::Telling(_)) => self.told(run, frame, Mirror::merge),
            (Kind::Bye, Stage::Telling(process)) => {
                let bye: Bye = frame.read().map_err(|error| said(&error))?;
                if bye.why != "life" {
                    let why = RemoteText::new(&bye.why);
                    return failed(format!("it ended by itself: {}", why.fit(40)));
                }
                run.stage = Stage::Leaving(process);
                run.until = now + GO_WITHIN;
                Ok(Moved::Nothing)
            }
            (Kind::Done, Stage::Leaving(_)) => Ok(Moved::Nothing),
            (Kind::Language, _) => failed("PowerShell is constrained on this host"),
            (Kind::Failed, _) => {
                let failure: Failed = frame.read().map_err(|error| said(&error))?;
                let first = failure.messages.first().map_or("it failed", String::as_str);
                failed(RemoteText::new(first).first_line().shown())
            }
            _ => failed("it said something out of turn"),
        }
    }

    fn told(
        &self,
        run: &mut Run,
        frame: &Frame,
        take: fn(&mut Mirror, News, Instant) -> Result<Moved, &'static str>,
    ) -> Result<Moved, End> {
        let now = Instant::now();
        let news: News = frame.read().map_err(|error| said(&error))?;
        if news.took() > SLOW_SWEEP {
            return failed(format!("one sweep takes {} s here", news.took().as_secs()));
        }
        run.until = now + SILENCE;
        let moved = {
            let mut state = self.shared.state();
            state.standing = super::stream::Standing::Live;
            take(&mut state.mirror, news, now)
        };
        moved.map_err(|why| End::Failed(why.to_owned()))
    }
}

fn sealed(
    program: &str,
    task: Task,
    arguments: &Value,
    nonce: &Nonce,
) -> Result<RemoteCommand, String> {
    let arguments = arguments.to_string();
    let mut shown = RemoteCommand::powershell(task.name(), arguments.as_str());
    program.clone_into(&mut shown.program);
    seal(shown, task, &arguments, nonce).map_err(|error| error.to_string())
}

fn said(error: &HypervisorError) -> End {
    End::Failed(error.to_string())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
