//! How a console comes and goes: opened, cut, opened again. Pure.
//!
//! ```text
//! Opening -> Live -> Waiting (VM off | host gone | cut) -> Opening ...
//!    \         \---> Over (somebody else has it, there is none, not allowed)
//!     \-> Waiting | Over
//! ```
//!
//! It never fights: what somebody else took is asked for again without force, once the pause is over, and
//! who is refused then stays out until a person decides.

use jiff::{SignedDuration, Timestamp};

use crate::domain::console::{ConsoleEnd, ConsoleEndKind};
use crate::domain::error_kind::{ErrorKind, Failure};

/// Longest pause between two tries.
const LONGEST_PAUSE: i64 = 30;

/// Where a console stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// It was asked for.
    Opening,
    /// Bytes flow.
    Live,
    /// It is opened again by itself, once this is no longer in the way.
    Waiting {
        /// What is in the way.
        end: ConsoleEnd,
        /// Not before this moment.
        not_before: Timestamp,
    },
    /// A person has to decide.
    Over(ConsoleEnd),
}

/// A console's stage, and how often it was tried in vain.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Where it stands.
    pub stage: Stage,
    tries: u32,
}

/// What is known of the VM and its host now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The host answers.
    pub host_up: bool,
    /// The VM is on, running or paused.
    pub vm_on: bool,
}

impl Progress {
    /// A console that was just asked for.
    pub const fn opening() -> Self {
        Self {
            stage: Stage::Opening,
            tries: 0,
        }
    }

    /// A console of a VM that is off: it opens when the VM comes on.
    pub fn waiting_for_vm(now: Timestamp) -> Self {
        Self {
            stage: Stage::Waiting {
                end: ConsoleEnd {
                    why: ConsoleEndKind::VmOff,
                    cause: Failure::new(ErrorKind::Conflict, "the VM is off"),
                },
                not_before: now,
            },
            tries: 0,
        }
    }

    /// It is open. What it wrote and how it ended may have been told before that.
    pub fn opened(&mut self) {
        if self.stage == Stage::Opening {
            self.stage = Stage::Live;
        }
    }

    /// The VM wrote something: whatever was wrong is over.
    pub fn heard(&mut self) {
        self.opened();
        self.tries = 0;
    }

    /// It came to its end, or could not be opened.
    pub fn ended(&mut self, end: ConsoleEnd, now: Timestamp) {
        self.stage = match end.why {
            ConsoleEndKind::InUse | ConsoleEndKind::Impossible => Stage::Over(end),
            ConsoleEndKind::VmOff | ConsoleEndKind::Cut | ConsoleEndKind::LinkLost => {
                let seconds = (1i64 << self.tries.min(5)).min(LONGEST_PAUSE);
                self.tries = self.tries.saturating_add(1);
                let pause = SignedDuration::from_secs(seconds);
                Stage::Waiting {
                    end,
                    not_before: now.saturating_add(pause).unwrap_or(now),
                }
            }
        };
    }

    /// It could not even be asked for.
    pub fn refused(&mut self, cause: Failure, now: Timestamp) {
        let why = match cause.kind {
            ErrorKind::Unreachable | ErrorKind::Timeout | ErrorKind::Busy => {
                ConsoleEndKind::LinkLost
            }
            _ => ConsoleEndKind::Impossible,
        };
        self.ended(ConsoleEnd { why, cause }, now);
    }

    /// Returns true when it is to be opened now, and notes that it is.
    pub fn is_due(&mut self, look: Look, now: Timestamp) -> bool {
        let due = match &self.stage {
            Stage::Waiting { not_before, .. } => look.host_up && look.vm_on && now >= *not_before,
            Stage::Opening | Stage::Live | Stage::Over(_) => false,
        };
        if due {
            self.stage = Stage::Opening;
        }
        due
    }

    /// Returns when time alone may change something; `None` where it cannot.
    pub fn wakes_in(&self, now: Timestamp) -> Option<std::time::Duration> {
        match &self.stage {
            Stage::Waiting { not_before, .. } if *not_before > now => {
                std::time::Duration::try_from(*not_before - now).ok()
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: Look = Look {
        host_up: true,
        vm_on: true,
    };

    fn end(why: ConsoleEndKind) -> ConsoleEnd {
        ConsoleEnd {
            why,
            cause: Failure::new(ErrorKind::Conflict, "x"),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn it_comes_back_when_the_vm_does() {
        let mut console = Progress::opening();
        console.opened();
        console.heard();
        assert_eq!(console.stage, Stage::Live);
        console.ended(end(ConsoleEndKind::VmOff), at(0));
        console.opened();
        assert!(matches!(console.stage, Stage::Waiting { .. }), "late news");
        // The fleet may not have read yet that the VM is off.
        assert!(!console.is_due(UP, at(0)));
        let off = Look { vm_on: false, ..UP };
        assert!(!console.is_due(off, at(10)));
        assert!(console.is_due(UP, at(60)));
        assert_eq!(console.stage, Stage::Opening);
        assert!(!console.is_due(UP, at(61)), "asked for once");
    }

    #[test]
    fn pauses_grow_until_the_vm_is_heard_again() {
        let mut console = Progress::opening();
        let mut now = 0;
        let mut pauses = Vec::new();
        for _ in 0..7 {
            console.ended(end(ConsoleEndKind::LinkLost), at(now));
            let wait = console.wakes_in(at(now)).unwrap().as_secs();
            pauses.push(wait);
            now += i64::try_from(wait).unwrap();
            assert!(console.is_due(UP, at(now)));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        console.opened();
        console.heard();
        console.ended(end(ConsoleEndKind::Cut), at(now));
        assert_eq!(console.wakes_in(at(now)).unwrap().as_secs(), 1);
    }

    #[test]
    fn a_person_decides_about_what_somebody_else_has() {
        for why in [ConsoleEndKind::InUse, ConsoleEndKind::Impossible] {
            let mut console = Progress::opening();
            console.ended(end(why), at(0));
            assert!(!console.is_due(UP, at(1000)));
            assert_eq!(console.wakes_in(at(0)), None);
        }
    }

    #[test]
    fn a_host_that_is_gone_is_waited_for() {
        let mut console = Progress::opening();
        let lost = Failure::new(ErrorKind::Unreachable, "gone");
        console.refused(lost, at(0));
        let down = Look {
            host_up: false,
            ..UP
        };
        assert!(!console.is_due(down, at(100)));
        assert!(console.is_due(UP, at(100)));
        console.refused(Failure::new(ErrorKind::Permission, "no"), at(0));
        assert!(matches!(console.stage, Stage::Over(_)));
    }
}
