//! How a console comes and goes: opened, cut, opened again. Pure.
//!
//! ```text
//! Opening -> Live -> Waiting (VM off | host gone | cut) -> Opening ...
//!    \         \---> Over (somebody else has it, there is none, not allowed)
//!     \-> Waiting | Over
//! ```
//!
//! What a console says about itself and what the fleet has read of the VM are two witnesses, and neither
//! is taken alone: a VM that is being destroyed is still called running for a while, and to ask for its
//! console then is to ask for a terminal that is no longer its own; and a console has been seen to stay
//! open although its VM was off.
//!
//! It never fights: what somebody else took is asked for again without force, once the pause is over, and
//! who is refused then stays out until a person decides.

use jiff::{SignedDuration, Timestamp};

use crate::domain::console::{ConsoleEnd, ConsoleEndKind};
use crate::domain::error_kind::{ErrorKind, Failure};

/// Longest pause between two tries.
const LONGEST_PAUSE: i64 = 30;

/// How long a VM whose console said "off" must be called running before that is believed: longer than
/// a host takes to destroy one, and than the fleet takes to read it.
const UNSEEN_OFF: SignedDuration = SignedDuration::from_secs(10);

/// How long a console may stay open after its VM was read to be off: it ends by itself, with the VM's last
/// words, and this is for when it does not.
const LAST_WORDS: SignedDuration = SignedDuration::from_secs(2);

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
    /// Since when the VM is known to be off, from reads since the console reached its stage.
    off_since: Option<Timestamp>,
}

/// What is to be done about a console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Ask for it.
    Open,
    /// Close it: it has outlived its VM.
    Close,
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
            off_since: None,
        }
    }

    /// A console of a VM that is off: it opens when the VM comes on.
    pub fn waiting_for_vm(now: Timestamp) -> Self {
        Self {
            stage: Stage::Waiting {
                end: vm_off(),
                not_before: now,
            },
            tries: 0,
            off_since: Some(now),
        }
    }

    /// It is open. What it wrote and how it ended may have been told before that.
    pub fn opened(&mut self) {
        if self.stage == Stage::Opening {
            self.stage = Stage::Live;
            self.off_since = None;
        }
    }

    /// The VM wrote something: whatever was wrong is over.
    pub fn heard(&mut self) {
        self.opened();
        self.tries = 0;
    }

    /// It came to its end, or could not be opened.
    pub fn ended(&mut self, end: ConsoleEnd, now: Timestamp) {
        self.off_since = None;
        self.stage = match end.why {
            ConsoleEndKind::InUse | ConsoleEndKind::Impossible | ConsoleEndKind::Left => {
                Stage::Over(end)
            }
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

    /// Asks for it now, whatever was in the way.
    pub fn open(&mut self) {
        self.stage = Stage::Opening;
        self.off_since = None;
    }

    /// Takes what is known of the VM and its host now; returns what is to be done, and notes that it is.
    pub fn step(&mut self, look: Look, now: Timestamp) -> Option<Step> {
        if !look.vm_on {
            self.off_since.get_or_insert(now);
        }
        match &self.stage {
            Stage::Waiting { .. } if look.host_up && look.vm_on && now >= self.opens_at()? => {
                self.open();
                Some(Step::Open)
            }
            Stage::Live if !look.vm_on && now >= self.closes_at()? => {
                self.stage = Stage::Waiting {
                    end: vm_off(),
                    not_before: now,
                };
                Some(Step::Close)
            }
            Stage::Waiting { .. } | Stage::Live | Stage::Opening | Stage::Over(_) => None,
        }
    }

    /// Returns from when on it may be opened again, if all else is well.
    fn opens_at(&self) -> Option<Timestamp> {
        let Stage::Waiting { end, not_before } = &self.stage else {
            return None;
        };
        let doubted = end.why == ConsoleEndKind::VmOff && self.off_since.is_none();
        let pause = if doubted {
            UNSEEN_OFF
        } else {
            SignedDuration::ZERO
        };
        Some(not_before.saturating_add(pause).unwrap_or(*not_before))
    }

    /// Returns when it is closed if its VM stays off.
    fn closes_at(&self) -> Option<Timestamp> {
        let since = self.off_since?;
        (self.stage == Stage::Live).then(|| since.saturating_add(LAST_WORDS).unwrap_or(since))
    }

    /// Returns when time alone may change something; `None` where it cannot.
    pub fn wakes_in(&self, now: Timestamp) -> Option<std::time::Duration> {
        let at = self.opens_at().or_else(|| self.closes_at())?;
        (at > now).then(|| std::time::Duration::try_from(at - now).ok())?
    }
}

fn vm_off() -> ConsoleEnd {
    ConsoleEnd {
        why: ConsoleEndKind::VmOff,
        cause: Failure::new(ErrorKind::Conflict, "the VM is off"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: Look = Look {
        host_up: true,
        vm_on: true,
    };

    const OFF: Look = Look {
        host_up: true,
        vm_on: false,
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
        // The fleet may not have read yet that the VM is off, nor the host have done with it.
        assert_eq!(console.step(UP, at(0)), None);
        assert_eq!(console.step(UP, at(9)), None);
        assert_eq!(console.step(OFF, at(10)), None);
        assert_eq!(
            console.step(UP, at(11)),
            Some(Step::Open),
            "off, and on again"
        );
        assert_eq!(console.stage, Stage::Opening);
        assert_eq!(console.step(UP, at(12)), None, "asked for once");
    }

    #[test]
    fn a_vm_that_was_never_read_to_be_off_is_believed_after_a_while() {
        let mut console = Progress::opening();
        console.heard();
        console.ended(end(ConsoleEndKind::VmOff), at(0));
        assert_eq!(console.wakes_in(at(0)).unwrap().as_secs(), 11);
        assert_eq!(console.step(UP, at(10)), None);
        assert_eq!(console.step(UP, at(11)), Some(Step::Open));
    }

    #[test]
    fn a_console_that_outlives_its_vm_is_closed() {
        let mut console = Progress::opening();
        assert_eq!(console.step(OFF, at(0)), None, "it is being opened");
        console.heard();
        assert_eq!(console.step(OFF, at(5)), None, "its last words");
        assert_eq!(console.wakes_in(at(5)).unwrap().as_secs(), 2);
        assert_eq!(console.step(OFF, at(7)), Some(Step::Close));
        assert!(
            matches!(&console.stage, Stage::Waiting { end, .. } if end.why == ConsoleEndKind::VmOff)
        );
        assert_eq!(console.step(OFF, at(8)), None, "closed once");
        assert_eq!(console.step(UP, at(9)), Some(Step::Open));
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
            assert_eq!(console.step(UP, at(now)), Some(Step::Open));
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
            assert_eq!(console.step(UP, at(1000)), None);
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
        assert_eq!(console.step(down, at(100)), None);
        assert_eq!(console.step(UP, at(100)), Some(Step::Open));
        console.refused(Failure::new(ErrorKind::Permission, "no"), at(0));
        assert!(matches!(console.stage, Stage::Over(_)));
    }
}
