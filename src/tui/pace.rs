//! When the next frame is due. Whatever a person does, or is told, is drawn at once; figures that change by
//! themselves are drawn a few times a second, and less often where the terminal takes long to take a frame:
//! a line of 9600 baud carries little more than that. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// The shortest time between two frames of what a person does: nobody sees a delay of this, and a key that is held
/// down comes more slowly.
const KEY_FRAME: Duration = Duration::from_millis(8);

/// The shortest time between two frames of what has happened.
const NEWS_FRAME: Duration = Duration::from_millis(33);

/// The shortest time between two frames for which only figures have changed.
const CALM_FRAME: Duration = Duration::from_millis(500);

/// The longest one, however slow the terminal is.
const SLOWEST_FRAME: Duration = Duration::from_secs(3);

/// A terminal that is busy with a frame for so long has this many times as long without one.
const REST: u32 = 3;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// What a person did, or an answer to it.
    Key,
    /// Something that has happened.
    News,
    /// Figures that change by themselves.
    Figures,
}

/// Where drawing stands.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    drawn: Option<Instant>,
    /// How long the terminal took for the last frame.
    took: Duration,
    /// The most urgent thing that has changed; `None` while the next frame would be the same.
    wait: Option<Wait>,
}

impl Default for Pace {
    /// Nothing is drawn yet.
    fn default() -> Self {
        Self {
            drawn: None,
            took: Duration::ZERO,
            wait: Some(Wait::Key),
        }
    }
}

impl Pace {
    /// Something has changed.
    pub fn touch(&mut self, wait: Wait) {
        self.wait = Some(self.wait.map_or(wait, |before| before.min(wait)));
    }

    /// Returns when a frame is due; `None` while nothing has changed.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let rest = match self.wait? {
            Wait::Key => KEY_FRAME,
            Wait::News => NEWS_FRAME,
            Wait::Figures => (self.took * REST).clamp(CALM_FRAME, SLOWEST_FRAME),
        };
        Some(self.drawn.map_or(now, |drawn| drawn + rest))
    }

    /// A frame was drawn, and the terminal took so long for it.
    pub const fn drew(&mut self, now: Instant, took: Duration) {
        *self = Self {
            drawn: Some(now),
            took,
            wait: None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_drawn_within_a_frame_and_figures_can_wait() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.due(start), Some(start));
        pace.drew(start, Duration::ZERO);
        assert_eq!(pace.due(start), None);
        pace.touch(Wait::Figures);
        assert_eq!(pace.due(start), Some(start + CALM_FRAME));
        pace.touch(Wait::News);
        assert_eq!(pace.due(start), Some(start + NEWS_FRAME));
        pace.touch(Wait::Key);
        assert_eq!(pace.due(start), Some(start + KEY_FRAME));
        pace.touch(Wait::Figures);
        assert_eq!(pace.due(start), Some(start + KEY_FRAME));
    }

    #[test]
    fn a_slow_terminal_gets_fewer_frames_of_figures_and_no_fewer_of_keys() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.drew(start, Duration::from_millis(400));
        pace.touch(Wait::Figures);
        assert_eq!(pace.due(start), Some(start + Duration::from_millis(1200)));
        pace.drew(start, Duration::from_secs(60));
        pace.touch(Wait::Figures);
        assert_eq!(pace.due(start), Some(start + SLOWEST_FRAME));
        pace.touch(Wait::Key);
        assert_eq!(pace.due(start), Some(start + KEY_FRAME));
    }
}
