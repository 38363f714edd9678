//! When the next frame is due. Whatever a person does, or is told, is drawn at once; figures that change by
//! themselves are drawn a few times a second, and less often where the terminal takes long to take a frame:
//! a line of 9600 baud carries little more than that. And when the newest state of the fleet is taken: of very many VMs
//! that is the dearest part of a frame. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// The shortest time between two frames of what a person does: nobody sees a delay of this, and a key that is held
/// down comes more slowly.
const KEY_FRAME: Duration = Duration::from_millis(4);

/// The shortest time between two frames of what has happened.
const NEWS_FRAME: Duration = Duration::from_millis(33);

/// The shortest time between two frames for which only figures have changed.
const CALM_FRAME: Duration = Duration::from_millis(500);

/// The longest one, however slow the terminal is.
const SLOWEST_FRAME: Duration = Duration::from_secs(3);

/// A terminal that is busy with a frame for so long has this many times as long without one.
const REST: u32 = 3;

/// Where taking the newest state took so long, keys and their frames have this many times as long without it.
const CATCH_UP_REST: u32 = 10;

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
    /// When the newest state was taken, and how long that took.
    caught_up: Option<(Instant, Duration)>,
    /// Whether something has happened since, that the state of then does not show.
    happened: bool,
}

impl Default for Pace {
    /// Nothing is drawn yet.
    fn default() -> Self {
        Self {
            drawn: None,
            took: Duration::ZERO,
            wait: Some(Wait::Key),
            caught_up: None,
            happened: false,
        }
    }
}

impl Pace {
    /// Something has changed.
    pub fn touch(&mut self, wait: Wait) {
        self.wait = Some(self.wait.map_or(wait, |before| before.min(wait)));
    }

    /// Something has happened that the state taken last does not show.
    pub const fn happened(&mut self) {
        self.happened = true;
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
        self.drawn = Some(now);
        self.took = took;
        self.wait = None;
    }

    /// Says whether the next frame shows the newest state of the fleet: for figures, and whenever something has
    /// happened; for a key as [`Self::key_catches_up`] says.
    pub fn frame_catches_up(&self, now: Instant) -> bool {
        self.wait == Some(Wait::Figures) || self.key_catches_up(now)
    }

    /// Says whether a key finds the newest state of the fleet, or what is on the screen: that is younger than a calm
    /// frame.
    pub fn key_catches_up(&self, now: Instant) -> bool {
        let rested = |(at, took): (Instant, Duration)| {
            let rest = (took * CATCH_UP_REST).min(CALM_FRAME);
            now >= at + rest
        };
        self.happened || self.caught_up.is_none_or(rested)
    }

    /// The newest state was taken, which took so long.
    pub const fn caught_up(&mut self, now: Instant, took: Duration) {
        self.caught_up = Some((now, took));
        self.happened = false;
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
    fn a_key_does_not_wait_for_the_state_of_a_large_fleet_again_and_again() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut pace = Pace::default();
        assert!(pace.key_catches_up(start));
        pace.caught_up(start, Duration::from_millis(20));
        pace.drew(start, Duration::ZERO);
        pace.touch(Wait::Key);
        assert!(!pace.key_catches_up(ms(199)) && !pace.frame_catches_up(ms(199)));
        assert!(pace.key_catches_up(ms(200)) && pace.frame_catches_up(ms(200)));
        pace.happened();
        assert!(pace.key_catches_up(ms(1)), "what has happened is shown");
        pace.caught_up(start, Duration::from_secs(2));
        assert!(pace.key_catches_up(start + CALM_FRAME), "at the latest");
        pace.drew(start, Duration::ZERO);
        pace.touch(Wait::Figures);
        assert!(!pace.key_catches_up(start) && pace.frame_catches_up(start));
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
