//! What a scripted host answers a command with.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::script::locked;
use crate::domain::remote_command::RemoteCommand;
use crate::transport::{ExitStatus, TransportError};

type Dynamic = Arc<dyn Fn(&RemoteCommand) -> Answer + Send + Sync>;

/// What a command is answered with.
#[derive(Clone)]
pub struct Answer {
    pub(super) delay: Duration,
    pub(super) body: Body,
}

/// The answer itself.
#[derive(Clone)]
pub(super) enum Body {
    Output {
        stdout: Vec<u8>,
        stderr: Vec<u8>,
        status: ExitStatus,
    },
    Fail(TransportError),
    Hang,
    InTurn(Arc<Mutex<VecDeque<Answer>>>),
    Made(Dynamic),
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("delay", &self.delay)
            .finish_non_exhaustive()
    }
}

impl Answer {
    const fn new(body: Body) -> Self {
        Self {
            delay: Duration::ZERO,
            body,
        }
    }

    /// Prints this and exits with 0.
    pub fn out(stdout: impl Into<Vec<u8>>) -> Self {
        Self::new(Body::Output {
            stdout: stdout.into(),
            stderr: Vec::new(),
            status: ExitStatus::Code(0),
        })
    }

    /// Prints nothing and exits with this code.
    pub const fn exit(code: u32) -> Self {
        Self::new(Body::Output {
            stdout: Vec::new(),
            stderr: Vec::new(),
            status: ExitStatus::Code(code),
        })
    }

    /// Fails in the transport.
    pub const fn fail(error: TransportError) -> Self {
        Self::new(Body::Fail(error))
    }

    /// Never answers; the caller's deadline ends it.
    pub const fn hang() -> Self {
        Self::new(Body::Hang)
    }

    /// Gives one answer after the other; the last one stays.
    pub fn in_turn(answers: impl IntoIterator<Item = Self>) -> Self {
        Self::new(Body::InTurn(Arc::new(Mutex::new(
            answers.into_iter().collect(),
        ))))
    }

    /// Makes the answer from the command.
    pub fn made(make: impl Fn(&RemoteCommand) -> Self + Send + Sync + 'static) -> Self {
        Self::new(Body::Made(Arc::new(make)))
    }

    /// Adds text on standard error.
    #[must_use]
    pub fn stderr(mut self, text: impl Into<Vec<u8>>) -> Self {
        if let Body::Output { stderr, .. } = &mut self.body {
            *stderr = text.into();
        }
        self
    }

    /// Changes how the command ends.
    #[must_use]
    pub fn status(mut self, ending: ExitStatus) -> Self {
        if let Body::Output { status, .. } = &mut self.body {
            *status = ending;
        }
        self
    }

    /// Lets it take this long.
    #[must_use]
    pub const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Chooses what is said now, following turns and makers.
    pub(super) fn resolve(self, command: &RemoteCommand) -> Self {
        let chosen = match &self.body {
            Body::InTurn(answers) => {
                let mut answers = locked(answers);
                if answers.len() > 1 {
                    answers.pop_front()
                } else {
                    answers.front().cloned()
                }
            }
            Body::Made(make) => Some(make(command)),
            Body::Output { .. } | Body::Fail(_) | Body::Hang => return self,
        };
        match chosen {
            Some(mut answer) => {
                answer.delay += self.delay;
                answer.resolve(command)
            }
            None => Self::hang(),
        }
    }
}
