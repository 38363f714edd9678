//! When the next frame is due. Whatever a person does, or is told, is drawn at once; figures that change by
//! themselves are drawn a few times a second, and less often where the terminal takes long to take a frame:
//! a line of 9600 baud carries little more than that. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// The shortest time between two frames.
const FRAME: Duration = Duration::from_millis(33);

/// The shortest time between two frames for which only figures have changed.
const CALM_FRAME: Duration = Duration::from_millis(500);

/// The longest one, however slow the terminal is.
const SLOWEST_FRAME: Duration = Duration::from_secs(3);

/// A terminal that is busy with a frame for so long has this many times as long without one.
const REST: u32 = 3;

/// Where drawing stands.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    drawn: Option<Instant>,
    /// How long the terminal took for the last frame.
    took: Duration,
    /// Something has changed.
    stale: bool,
    /// And somebody waits for it.
    urgent: bool,
}

impl Default for Pace {
    /// Nothing is drawn yet.
    fn default() -> Self {
        Self {
            drawn: None,
            took: Duration::ZERO,
            stale: true,
            urgent: true,
        }
    }
}

impl Pace {
    /// Something has changed; `urgent` when it is more than figures.
    pub const fn touch(&mut self, urgent: bool) {
        self.stale = true;
        self.urgent |= urgent;
    }

    /// Returns when a frame is due; `None` while nothing has changed.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        if !self.stale {
            return None;
        }
        let rest = if self.urgent {
            FRAME
        } else {
            (self.took * REST).clamp(CALM_FRAME, SLOWEST_FRAME)
        };
        Some(self.drawn.map_or(now, |drawn| drawn + rest))
    }

    /// A frame was drawn, and the terminal took so long for it.
    pub const fn drew(&mut self, now: Instant, took: Duration) {
        *self = Self {
            drawn: Some(now),
            took,
            stale: false,
            urgent: false,
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
        pace.touch(false);
        assert_eq!(pace.due(start), Some(start + CALM_FRAME));
        pace.touch(true);
        assert_eq!(pace.due(start), Some(start + FRAME));
        pace.touch(false);
        assert_eq!(pace.due(start), Some(start + FRAME));
    }

    #[test]
    fn a_slow_terminal_gets_fewer_frames_of_figures_and_no_fewer_of_keys() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.drew(start, Duration::from_millis(400));
        pace.touch(false);
        assert_eq!(pace.due(start), Some(start + Duration::from_millis(1200)));
        pace.drew(start, Duration::from_secs(60));
        pace.touch(false);
        assert_eq!(pace.due(start), Some(start + SLOWEST_FRAME));
        pace.touch(true);
        assert_eq!(pace.due(start), Some(start + FRAME));
    }
}
