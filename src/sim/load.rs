//! Loads: how busy a VM is at any moment, as a smooth curve made from a seed.
//!
//! A curve is a mean with two waves on it, so its area has a closed form: counters are computed when
//! somebody asks for them and cost nothing while nobody does. No state, no clock.

use std::f64::consts::TAU;

/// A load between 0 and 1 over time in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Curve {
    mean: f64,
    slow: Wave,
    quick: Wave,
}

#[derive(Debug, Clone, Copy)]
struct Wave {
    height: f64,
    period: f64,
    phase: f64,
}

impl Wave {
    fn at(self, t: f64) -> f64 {
        self.height * (TAU * t / self.period + self.phase).sin()
    }

    fn area_to(self, t: f64) -> f64 {
        -self.height * self.period / TAU * (TAU * t / self.period + self.phase).cos()
    }
}

impl Curve {
    /// Makes the curve of a seed around a mean; never leaves 0..1.
    pub(super) fn new(seed: u64, mean: f64) -> Self {
        let mean = mean.clamp(0.0, 1.0);
        let room = mean.min(1.0 - mean);
        Self {
            mean,
            slow: Wave {
                height: room * 0.55,
                period: 50.0 + 190.0 * fraction(seed, 1),
                phase: TAU * fraction(seed, 2),
            },
            quick: Wave {
                height: room * 0.35,
                period: 9.0 + 22.0 * fraction(seed, 3),
                phase: TAU * fraction(seed, 4),
            },
        }
    }

    /// Returns the load at a moment.
    pub(super) fn level(self, t: f64) -> f64 {
        (self.mean + self.slow.at(t) + self.quick.at(t)).clamp(0.0, 1.0)
    }

    /// Returns the load added up between two moments, in load-seconds; never negative.
    pub(super) fn area(self, from: f64, to: f64) -> f64 {
        let to_here = |t: f64| self.mean * t + self.slow.area_to(t) + self.quick.area_to(t);
        (to_here(to) - to_here(from)).max(0.0)
    }
}

/// Mixes a seed and a number into another seed (splitmix64).
pub(super) const fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Mixes text into a seed.
pub(super) fn mix_text(seed: u64, text: &str) -> u64 {
    text.bytes()
        .fold(mix(seed, 0x5eed), |seed, byte| mix(seed, u64::from(byte)))
}

/// Returns a number in 0..1 that depends on the seed and on which one is asked for.
pub(super) fn fraction(seed: u64, which: u64) -> f64 {
    let upper = u32::try_from(mix(seed, which) >> 32).unwrap_or_default();
    f64::from(upper) / f64::from(u32::MAX)
}

/// Turns a figure into a counter; what is not finite or below zero is 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate, which is what a counter wants"
)]
pub(super) const fn counter(value: f64) -> u64 {
    value as u64
}

/// Turns a counter into a figure; exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "loads need no more than 2^53")]
pub(super) const fn figure(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_curve_stays_within_its_bounds(seed: u64, mean in 0.0f64..1.0, t in -1e7f64..1e7) {
            let level = Curve::new(seed, mean).level(t);
            prop_assert!((0.0..=1.0).contains(&level));
        }

        #[test]
        fn area_only_grows(seed: u64, mean in 0.0f64..1.0, from in -1e6f64..1e6, a in 0.0f64..1e3, b in 0.0f64..1e3) {
            let curve = Curve::new(seed, mean);
            prop_assert!(curve.area(from, from + a + b) + 1e-6 >= curve.area(from, from + a));
        }
    }

    #[test]
    fn the_area_over_a_long_time_is_the_mean() {
        let curve = Curve::new(42, 0.3);
        let mean = curve.area(0.0, 100_000.0) / 100_000.0;
        assert!((mean - 0.3).abs() < 0.01, "{mean}");
    }

    #[test]
    fn a_seed_gives_the_same_curve_again() {
        let level = |seed| Curve::new(seed, 0.5).level(12.0);
        assert!((level(1) - level(1)).abs() < f64::EPSILON);
        assert!((level(1) - level(2)).abs() > 1e-9);
    }
}
