//! The last quarter of an hour of one VM's figures: a ring of ninety slots of ten seconds. Pure, of a fixed
//! size, and honest about gaps: a slot in which nothing was known is unknown, never zero.
//!
//! A slot keeps the highest of its readings, so that no peak is lost. A figure takes two bytes: eleven
//! leading binary digits, wrong by less than a thousandth.

use std::time::Duration;

use jiff::Timestamp;

use super::units::{Bytes, Percent};
use super::vm::VmStats;

/// How long one slot is.
pub const SLOT: Duration = Duration::from_secs(10);

/// Slots kept of a VM: fifteen minutes.
pub const SLOTS: usize = 90;

/// The same as a difference of slot numbers.
const WINDOW: i64 = 90;

/// How far behind the newest slot a reading may be dated before the clock counts as set back.
const LATE: i64 = 2;

/// What is kept of a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Share of its own processors, in percent.
    Cpu,
    /// Memory in use, in bytes.
    Memory,
    /// Bytes read from disks a second.
    DiskRead,
    /// Bytes written to disks a second.
    DiskWrite,
    /// Bytes received a second.
    NetRx,
    /// Bytes sent a second.
    NetTx,
}

impl Metric {
    /// Every metric, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::Cpu,
        Self::Memory,
        Self::DiskRead,
        Self::DiskWrite,
        Self::NetRx,
        Self::NetTx,
    ];

    /// Returns its name on the screen.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Cpu => "processor",
            Self::Memory => "memory",
            Self::DiskRead => "disk read",
            Self::DiskWrite => "disk write",
            Self::NetRx => "net rx",
            Self::NetTx => "net tx",
        }
    }

    /// Returns the figure of one read: percent, bytes, or bytes a second.
    pub fn of(self, stats: &VmStats) -> Option<f64> {
        match self {
            Self::Cpu => stats.cpu.map(Percent::value),
            Self::Memory => stats.memory_used.map(Bytes::as_f64),
            Self::DiskRead => stats.disk_read.map(Bytes::as_f64),
            Self::DiskWrite => stats.disk_write.map(Bytes::as_f64),
            Self::NetRx => stats.net_rx.map(Bytes::as_f64),
            Self::NetTx => stats.net_tx.map(Bytes::as_f64),
        }
    }

    /// Returns a figure of it as it is shown, with its unit.
    pub fn shown(self, figure: f64) -> String {
        match self {
            Self::Cpu => format!("{figure:.0} %"),
            Self::Memory => whole(figure).to_string(),
            Self::DiskRead | Self::DiskWrite | Self::NetRx | Self::NetTx => {
                format!("{}/s", whole(figure))
            }
        }
    }

    /// What one unit of the code stands for: tenths of a percent, or bytes.
    const fn scale(self) -> f64 {
        match self {
            Self::Cpu => 10.0,
            Self::Memory | Self::DiskRead | Self::DiskWrite | Self::NetRx | Self::NetTx => 1.0,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float is cut to the range of the integer"
)]
fn whole(figure: f64) -> Bytes {
    Bytes(figure.max(0.0).round() as u64)
}

/// Leading digits that a code keeps, beside the first.
const DIGITS: u32 = 10;

/// Packs a figure: 0 = unknown, else one more than six digits of exponent and ten of mantissa. Larger
/// figures have larger codes.
fn pack(figure: f64) -> u16 {
    let Bytes(value) = whole(figure);
    let length = u64::BITS - value.leading_zeros();
    let code = match length.checked_sub(DIGITS + 1) {
        None | Some(0) => value,
        Some(shift) => {
            // Rounded; a carry out of the mantissa is the next exponent, which is what it should be.
            let rounded = (value >> (shift - 1)).saturating_add(1) >> 1;
            rounded + (u64::from(shift) << DIGITS)
        }
    };
    u16::try_from(code.saturating_add(1)).unwrap_or(u16::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "a code has eleven digits")]
fn unpack(code: u16) -> Option<f64> {
    let code = u64::from(code.checked_sub(1)?);
    if code < 1 << (DIGITS + 1) {
        return Some(code as f64);
    }
    let shift = (code >> DIGITS) - 1;
    let mantissa = code - (shift << DIGITS);
    Some(mantissa as f64 * 2f64.powi(i32::try_from(shift).unwrap_or(64)))
}

/// The figures of one VM. Takes 1080 bytes of its own, whatever it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmMetrics {
    slots: Box<[[u16; 6]; SLOTS]>,
    /// Number of the newest slot since 1970.
    newest: i64,
    last: Timestamp,
}

impl VmMetrics {
    /// Begins with a read; `None` when it has no figure.
    pub fn begin(stats: &VmStats, at: Timestamp) -> Option<Self> {
        let mut metrics = Self {
            slots: Box::new([[0; 6]; SLOTS]),
            newest: slot_of(at),
            last: at,
        };
        metrics.take(stats, at).then_some(metrics)
    }

    /// Takes the figures of a read that was asked for at `at`; returns whether there were any. A clock
    /// that was set back begins anew: nobody can tell how old what was kept is.
    pub fn take(&mut self, stats: &VmStats, at: Timestamp) -> bool {
        let codes = Metric::ALL.map(|metric| {
            metric
                .of(stats)
                .map_or(0, |figure| pack(figure * metric.scale()))
        });
        if codes == [0; 6] {
            return false;
        }
        let slot = slot_of(at);
        if slot < self.newest - LATE || slot - self.newest >= WINDOW {
            *self.slots = [[0; 6]; SLOTS];
            self.newest = slot;
        }
        while self.newest < slot {
            self.newest += 1;
            if let Some(gap) = self.slots.get_mut(place_of(self.newest)) {
                *gap = [0; 6];
            }
        }
        if let Some(kept) = self.slots.get_mut(place_of(slot)) {
            for (kept, code) in kept.iter_mut().zip(codes) {
                *kept = code.max(*kept);
            }
        }
        self.last = at;
        true
    }

    /// Returns when the last read was asked for that had a figure.
    pub const fn last(&self) -> Timestamp {
        self.last
    }

    /// Tells whether nothing of it would be seen any more.
    pub fn is_over(&self, now: Timestamp) -> bool {
        slot_of(now) - self.newest >= WINDOW
    }

    /// Returns one metric's slots up to `now`, oldest first; `None` where nothing was known.
    pub fn series(&self, metric: Metric, now: Timestamp) -> Vec<Option<f64>> {
        let end = slot_of(now);
        let column = Metric::ALL.iter().position(|known| *known == metric);
        (end - WINDOW + 1..=end)
            .map(|slot| {
                if slot > self.newest || slot <= self.newest - WINDOW {
                    return None;
                }
                let codes = self.slots.get(place_of(slot))?;
                let figure = unpack(*codes.get(column?)?)?;
                Some(figure / metric.scale())
            })
            .collect()
    }
}

fn slot_of(at: Timestamp) -> i64 {
    let length = i64::try_from(SLOT.as_secs()).unwrap_or(1);
    at.as_second().div_euclid(length)
}

fn place_of(slot: i64) -> usize {
    usize::try_from(slot.rem_euclid(WINDOW)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn load(percent: f64) -> VmStats {
        VmStats {
            cpu: Some(Percent::new(percent)),
            ..VmStats::default()
        }
    }

    fn known(metrics: &VmMetrics, now: Timestamp) -> Vec<(usize, f64)> {
        let series = metrics.series(Metric::Cpu, now);
        assert_eq!(series.len(), SLOTS);
        (0..)
            .zip(series)
            .filter_map(|(at, figure)| Some((at, figure?)))
            .collect()
    }

    #[test]
    fn a_slot_keeps_its_peak_and_a_pause_is_a_gap() {
        let mut metrics = VmMetrics::begin(&load(10.0), at(0)).unwrap();
        for (second, percent) in [(3, 80.0), (6, 20.0), (30, 0.0)] {
            assert!(metrics.take(&load(percent), at(second)));
        }
        let now = at(41);
        assert_eq!(known(&metrics, now), [(85, 80.0), (88, 0.0)]);
        assert!(
            metrics
                .series(Metric::NetRx, now)
                .iter()
                .all(Option::is_none)
        );
        assert_eq!(metrics.last(), at(30));
    }

    #[test]
    fn a_read_without_figures_leaves_no_trace() {
        assert_eq!(VmMetrics::begin(&VmStats::default(), at(0)), None);
        let mut metrics = VmMetrics::begin(&load(1.0), at(0)).unwrap();
        let before = metrics.clone();
        assert!(!metrics.take(&VmStats::default(), at(500)));
        assert_eq!(metrics, before);
    }

    #[test]
    fn what_is_older_than_a_quarter_of_an_hour_is_gone() {
        let mut metrics = VmMetrics::begin(&load(10.0), at(0)).unwrap();
        assert_eq!(known(&metrics, at(890)), [(0, 10.0)]);
        assert_eq!(known(&metrics, at(900)), []);
        assert!(!metrics.is_over(at(890)) && metrics.is_over(at(900)));
        metrics.take(&load(20.0), at(900));
        assert_eq!(known(&metrics, at(900)), [(89, 20.0)]);
        metrics.take(&load(30.0), at(9_000_000));
        assert_eq!(known(&metrics, at(9_000_000)), [(89, 30.0)]);
    }

    #[test]
    fn a_clock_set_back_begins_anew() {
        let mut metrics = VmMetrics::begin(&load(10.0), at(5000)).unwrap();
        metrics.take(&load(20.0), at(4990));
        assert_eq!(known(&metrics, at(5000)), [(88, 20.0), (89, 10.0)]);
        metrics.take(&load(30.0), at(1000));
        assert_eq!(known(&metrics, at(1000)), [(89, 30.0)]);
        assert_eq!(known(&metrics, at(5000)), []);
    }

    #[test]
    fn figures_are_shown_with_their_units() {
        assert_eq!(Metric::Cpu.shown(83.4), "83 %");
        assert_eq!(Metric::Memory.shown(1024.0 * 1024.0), "1.0 M");
        assert_eq!(Metric::NetTx.shown(0.0), "0 B/s");
    }

    #[test]
    fn a_ring_is_of_the_size_that_is_promised() {
        assert_eq!(size_of::<[[u16; 6]; SLOTS]>(), 1080);
        assert!(size_of::<VmMetrics>() <= 40);
    }

    proptest! {
        #[test]
        fn a_packed_figure_is_wrong_by_less_than_a_thousandth(value in any::<u64>(), shift in 0u32..64) {
            #[expect(clippy::cast_precision_loss, reason = "a test of ratios")]
            let figure = (value >> shift) as f64;
            let back = unpack(pack(figure)).unwrap();
            prop_assert!((back - figure).abs() <= figure / 1000.0, "{figure} {back}");
        }

        #[test]
        fn larger_figures_have_larger_codes(a in 0f64..1e19, b in 0f64..1e19) {
            prop_assert!(a > b || pack(a) <= pack(b));
        }

        #[test]
        fn any_order_of_reads_is_a_ring(times in proptest::collection::vec(-100_000i64..100_000, 1..40)) {
            let mut metrics = VmMetrics::begin(&load(1.0), at(0)).unwrap();
            for second in times {
                metrics.take(&load(2.0), at(second));
                let now = metrics.last() + SignedDuration::from_secs(20);
                prop_assert!(!known(&metrics, now).is_empty());
            }
        }
    }
}
