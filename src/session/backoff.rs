//! How long to wait before the next attempt: exponential with full jitter, from 1 s to 60 s, so that
//! a hundred hosts behind one dead switch do not come back in the same second.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The shortest wait.
pub const FLOOR: Duration = Duration::from_secs(1);

/// The longest wait.
pub const CEILING: Duration = Duration::from_secs(60);

/// A source of waits. Seeded, so that a test sees the same ones every time.
#[derive(Debug)]
pub struct Backoff(StdRng);

impl Backoff {
    /// Makes a source.
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// Returns how long to wait after `attempt` failed attempts.
    pub fn wait(&mut self, attempt: u32) -> Duration {
        let most = widest(attempt).as_secs_f64();
        Duration::from_secs_f64(self.0.random_range(FLOOR.as_secs_f64()..=most))
    }
}

/// Returns the longest wait after `attempt` failed attempts: 2 s, 4 s, 8 s, ... 60 s.
pub fn widest(attempt: u32) -> Duration {
    let seconds = 2_u64.saturating_pow(attempt.saturating_add(1).min(16));
    Duration::from_secs(seconds).min(CEILING)
}

/// Returns where in its tick a host reads first, from 0.3 to 1: fixed by its id, so that hosts which
/// came up together do not read together for ever.
pub fn phase(id: i64) -> f64 {
    // SplitMix64: neighbouring ids end far apart.
    let mut mixed = id.cast_unsigned().wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let share = f64::from(u32::try_from(mixed >> 32).unwrap_or(0)) / f64::from(u32::MAX);
    0.3 + 0.7 * share
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_stay_there() {
        let widths: Vec<u64> = (0..8).map(|attempt| widest(attempt).as_secs()).collect();
        assert_eq!(widths, [2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(widest(u32::MAX), CEILING);
    }

    #[test]
    fn the_same_seed_waits_the_same() {
        let waits = |seed| {
            let mut backoff = Backoff::new(seed);
            (0..5).map(|n| backoff.wait(n)).collect::<Vec<_>>()
        };
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }

    #[test]
    fn phases_of_neighbours_are_spread() {
        let phases: Vec<f64> = (1..=100).map(phase).collect();
        for tenth in 0..7 {
            let from = 0.3 + 0.1 * f64::from(tenth);
            let here = phases.iter().filter(|p| (from..from + 0.1).contains(*p));
            assert!(here.count() >= 5, "nobody reads around {from}");
        }
    }

    /// The first numbers of `SplitMix64` for the seeds 0 and 1, as its authors' `splitmix64.c` gives them.
    #[test]
    fn the_phase_is_the_upper_half_of_splitmix64() {
        for (id, first) in [(0, 0xe220_a839_7b1d_cdaf_u64), (1, 0x910a_2dec_8902_5cc1)] {
            let upper = u32::try_from(first >> 32).unwrap();
            let expected = 0.3 + 0.7 * (f64::from(upper) / f64::from(u32::MAX));
            assert!((phase(id) - expected).abs() < 1e-12, "{id}: {}", phase(id));
        }
    }

    proptest! {
        #[test]
        fn every_wait_is_within_its_bounds(seed: u64, attempt in 0u32..1000) {
            let wait = Backoff::new(seed).wait(attempt);
            prop_assert!((FLOOR..=widest(attempt)).contains(&wait));
        }
    }
}
