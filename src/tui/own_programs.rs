//! Runs programs of the operator's own for the dashboard, as tasks: nothing waits for them. What they fail
//! at is in the error log; commands are in the audit log, before they are run and after.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::effect::Local;
use super::event::Answer;
use super::notify::{self, NotifyOptions};
use super::own::{OwnJob, OwnNews, OwnRun};
use crate::clock::Clock;
use crate::config::{NotifyWay, OwnOutput};
use crate::domain::audit::AuditEntry;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::operation::Actor;
use crate::domain::policy::OwnVerb;
use crate::domain::text::RemoteText;
use crate::fleet::FleetHandle;
use crate::program::{self, ProgramError, Values};
use crate::task::Tasks;

/// How long a program that tells something may take: no longer than until the next one.
const TELLING: Duration = Duration::from_secs(10);

/// The longest time a command without one of its own has.
const LONGEST: Duration = Duration::from_secs(3600);

/// What is needed to run them.
#[derive(Debug)]
pub(super) struct OwnPrograms {
    handle: FleetHandle,
    tasks: Tasks,
    stop: CancellationToken,
    pub(super) clock: Clock,
    pub(super) options: NotifyOptions,
}

impl OwnPrograms {
    /// Makes one that tells by the terminal's bell.
    pub(super) fn new(handle: FleetHandle, tasks: Tasks) -> Self {
        Self {
            handle,
            stop: tasks.token().child_token(),
            tasks,
            clock: Clock::system(),
            options: NotifyOptions::default(),
        }
    }

    /// Tells something; returns what the owner of the terminal has to do for it.
    pub(super) fn notify(&self, text: &str) -> Option<Local> {
        match self.options.way {
            NotifyWay::Command => {
                self.run_notice(text);
                None
            }
            way => Some(Local::Tell(notify::sequence(way, text))),
        }
    }

    fn run_notice(&self, text: &str) {
        let values = Values::default().with("text", &notify::clean(text));
        let argv = program::fill(&self.options.command, &values);
        let (handle, stop) = (self.handle.clone(), self.tasks.token().clone());
        drop(self.tasks.spawn("notice", async move {
            let running = async {
                match argv {
                    Ok(argv) => program::run(&argv, TELLING).await.map(drop),
                    Err(error) => Err(error),
                }
            };
            let ended = tokio::select! {
                ended = running => ended,
                () = stop.cancelled() => return,
            };
            if let Err(error) = ended {
                complain(&handle, "tui.notify_command", &Failure::of(&error)).await;
            }
        }));
    }

    /// Ends the commands that run; those that wait for their turn are not begun.
    pub(super) fn stop(&mut self) {
        self.stop.cancel();
        self.stop = self.tasks.token().child_token();
    }

    /// Runs a command on everything it is about, one after another.
    pub(super) fn run(&self, run: OwnRun, actor: &Actor, answers: &mpsc::Sender<Answer>) {
        let desk = self.desk(actor);
        let answers = answers.clone();
        drop(self.tasks.spawn("own command", async move {
            let mut left = run.jobs.len();
            for job in &run.jobs {
                left -= 1;
                let news = desk.one(&run, job, left).await;
                // The screen has been left: nobody wants to know any more.
                drop(answers.send(Answer::Own(Box::new(news))).await);
            }
        }));
    }

    /// Runs one that has the terminal; returns how each ended.
    pub(super) async fn in_terminal(&self, run: OwnRun, actor: &Actor) -> Vec<OwnNews> {
        let desk = self.desk(actor);
        let mut all = Vec::new();
        let mut left = run.jobs.len();
        for job in &run.jobs {
            left -= 1;
            all.push(desk.one(&run, job, left).await);
        }
        all
    }

    fn desk(&self, actor: &Actor) -> Desk {
        Desk {
            handle: self.handle.clone(),
            clock: self.clock.clone(),
            actor: actor.clone(),
            stop: self.stop.clone(),
        }
    }
}

async fn complain(handle: &FleetHandle, what: &str, cause: &Failure) {
    let message = format!("{what}: {}", cause.message);
    let cause = Failure {
        message,
        ..cause.clone()
    };
    // The fleet has ended: there is no error log any more.
    drop(handle.complain(cause).await);
}

/// Runs commands, and records each.
#[derive(Debug)]
struct Desk {
    handle: FleetHandle,
    clock: Clock,
    actor: Actor,
    stop: CancellationToken,
}

impl Desk {
    async fn one(&self, run: &OwnRun, job: &OwnJob, left: usize) -> OwnNews {
        let (lines, result) = self.recorded(run, job).await;
        let title = run.command.description.clone();
        if let Err(cause) = &result {
            let what = match job.about.as_str() {
                "" => title.clone(),
                about => format!("{title} on {about}"),
            };
            complain(&self.handle, &what, cause).await;
        }
        OwnNews {
            ticket: run.ticket,
            title,
            about: job.about.clone(),
            left,
            lines: match run.command.output {
                OwnOutput::Popup => lines,
                OwnOutput::None | OwnOutput::Terminal => Vec::new(),
            },
            result,
        }
    }

    /// Runs one; what cannot be recorded is not run.
    async fn recorded(&self, run: &OwnRun, job: &OwnJob) -> (Vec<RemoteText>, Result<(), Failure>) {
        if self.stop.is_cancelled() {
            return (Vec::new(), Err(ended()));
        }
        let begun = self.entry(run, job, "pending", "");
        if let Err(cause) = self.handle.record_own(begun).await {
            return (Vec::new(), Err(cause));
        }
        let within = run.command.timeout;
        let running = async {
            if run.takes_terminal() {
                let ended = program::run_in_terminal(&job.argv, within).await;
                ended.map(|()| program::Ran { lines: Vec::new() })
            } else {
                program::run(&job.argv, within.unwrap_or(LONGEST)).await
            }
        };
        let ran = tokio::select! {
            ran = running => ran,
            () = self.stop.cancelled() => Ok(program::Ran { lines: Vec::new() }),
        };
        let (lines, result) = match ran {
            Ok(_) if self.stop.is_cancelled() => (Vec::new(), Err(ended())),
            Ok(ran) => (ran.lines, Ok(())),
            Err(error) => {
                let cause = Failure::of(&error);
                let lines = match error {
                    ProgramError::Failed { lines, .. } => lines,
                    _ => Vec::new(),
                };
                (lines, Err(cause))
            }
        };
        let over = match &result {
            Ok(()) => self.entry(run, job, "ok", ""),
            Err(cause) => self.entry(run, job, "failed", &cause.message),
        };
        if let Err(cause) = self.handle.record_own(over).await {
            complain(&self.handle, "audit log", &cause).await;
        }
        (lines, result)
    }

    /// The record: who ran which program with which arguments, about what. Never an environment.
    fn entry(&self, run: &OwnRun, job: &OwnJob, status: &str, why: &str) -> AuditEntry {
        let title = &run.command.description;
        let details = if why.is_empty() {
            title.clone()
        } else {
            format!("{title}: {why}")
        };
        AuditEntry {
            actor: Some(self.actor.clone()),
            host: job.host.clone(),
            vm: job.vm.as_ref().map(|(_, name)| name.clone()),
            vm_id: job.vm.as_ref().map(|(vm, _)| vm.vm.to_string()),
            plan: vec![program::shown(&job.argv)],
            rule: Some(job.rule.clone()),
            ..AuditEntry::note(OwnVerb::OwnCommand.id(), status, details, self.clock.now())
        }
    }
}

fn ended() -> Failure {
    Failure::new(ErrorKind::Refused, "ended by you")
}
