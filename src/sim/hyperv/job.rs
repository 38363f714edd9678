//! Jobs of the management service: what a change that takes time tells while it lasts and for a while
//! afterwards (Microsoft: `Msvm_ConcreteJob`). Functions of time.

use super::cell::Cell;
use super::messages::Failure;

/// `JobState` values.
pub(in crate::sim) const STARTING: u16 = 3;
pub(in crate::sim) const RUNNING: u16 = 4;
pub(in crate::sim) const COMPLETED: u16 = 7;
pub(in crate::sim) const TERMINATED: u16 = 8;
pub(in crate::sim) const EXCEPTION: u16 = 10;
pub(in crate::sim) const WITH_WARNINGS: u16 = 32768;

/// How a job ends.
#[derive(Debug, Clone)]
pub(in crate::sim) enum Outcome {
    Completed,
    CompletedWithWarnings,
    Terminated,
    /// With the error's number and what cmdlets say about it.
    Failed(u16, Box<Failure>),
}

/// A job.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Job {
    pub(in crate::sim) id: String,
    /// The VM it works on.
    pub(in crate::sim) vm: String,
    /// `JobType` (Microsoft: `Msvm_ConcreteJob`) and a caption.
    pub(in crate::sim) kind: u16,
    pub(in crate::sim) caption: &'static str,
    /// Seconds since the fleet's start.
    pub(in crate::sim) began: f64,
    /// Seconds.
    pub(in crate::sim) lasts: f64,
    pub(in crate::sim) outcome: Outcome,
}

impl Job {
    pub(in crate::sim) fn ends(&self) -> f64 {
        self.began + self.lasts
    }

    pub(in crate::sim) fn is_over(&self, t: f64) -> bool {
        t >= self.ends()
    }

    /// `JobState` at a moment.
    pub(in crate::sim) fn state(&self, t: f64) -> u16 {
        if self.is_over(t) {
            return match self.outcome {
                Outcome::Completed => COMPLETED,
                Outcome::CompletedWithWarnings => WITH_WARNINGS,
                Outcome::Terminated => TERMINATED,
                Outcome::Failed(..) => EXCEPTION,
            };
        }
        if t - self.began < self.lasts * 0.15 {
            STARTING
        } else {
            RUNNING
        }
    }

    /// `PercentComplete` at a moment; a job that failed stays where it was.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 100"
    )]
    pub(in crate::sim) fn percent(&self, t: f64) -> u16 {
        match (self.is_over(t), &self.outcome) {
            (true, Outcome::Failed(..) | Outcome::Terminated) => 60,
            (true, _) => 100,
            (false, _) => (((t - self.began) / self.lasts).clamp(0.0, 0.99) * 100.0) as u16,
        }
    }

    /// `ErrorCode` at a moment.
    pub(in crate::sim) fn error_code(&self, t: f64) -> u16 {
        match &self.outcome {
            Outcome::Failed(code, _) if self.is_over(t) => *code,
            _ => 0,
        }
    }

    /// `ErrorDescription` at a moment: every sentence of the failure, once. What lies below it says the
    /// same again, and is an exception's alone.
    pub(in crate::sim) fn error_text(&self, t: f64) -> Cell {
        let text = self.failure(t).and_then(|failure| failure.messages.first());
        Cell::maybe_text(text.map(String::as_str))
    }

    /// Why it failed, once it has.
    pub(in crate::sim) fn failure(&self, t: f64) -> Option<&Failure> {
        match &self.outcome {
            Outcome::Failed(_, failure) if self.is_over(t) => Some(failure),
            _ => None,
        }
    }
}
