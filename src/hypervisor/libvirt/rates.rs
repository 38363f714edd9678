//! Rates: what counters of two reads say about the time between them.
//!
//! A counter that went down means that the VM was restarted in between: there is no rate for that
//! tick. Two reads that follow each other too closely (a forced read after an announcement) tell
//! noise, so the earlier rates are kept until enough time has passed.

use std::time::Duration;

use tokio::time::Instant;

use super::parse::Counters;
use crate::domain::units::{Bytes, Percent};

/// Reads closer together than this give no new rates.
const MIN_SPAN: Duration = Duration::from_millis(400);

/// What two reads say together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Rates {
    pub(crate) cpu: Option<Percent>,
    pub(crate) disk_read: Option<Bytes>,
    pub(crate) disk_write: Option<Bytes>,
    pub(crate) net_rx: Option<Bytes>,
    pub(crate) net_tx: Option<Bytes>,
}

/// The read that the next one is compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    at: Instant,
    base: Counters,
    last: Counters,
    rates: Rates,
}

impl Sample {
    /// Starts with a first read, which tells no rate.
    pub(crate) fn first(at: Instant, counters: Counters) -> Self {
        Self {
            at,
            base: counters,
            last: counters,
            rates: Rates::default(),
        }
    }

    /// Takes in the next read.
    pub(crate) fn next(&self, at: Instant, counters: Counters) -> Self {
        if self.restarted(&counters) {
            return Self::first(at, counters);
        }
        let span = at.saturating_duration_since(self.at);
        if span < MIN_SPAN {
            return Self {
                last: counters,
                ..*self
            };
        }
        Self {
            at,
            base: counters,
            last: counters,
            rates: rates(&self.base, &counters, span),
        }
    }

    /// Tells whether the VM was restarted since the last read.
    pub(crate) fn restarted(&self, counters: &Counters) -> bool {
        let fell = |before: Option<u64>, now: Option<u64>| match (before, now) {
            (Some(before), Some(now)) => now < before,
            _ => false,
        };
        let last = &self.last;
        fell(last.cpu_time, counters.cpu_time)
            || fell(last.net_rx, counters.net_rx)
            || fell(last.net_tx, counters.net_tx)
            || fell(last.disk_read, counters.disk_read)
            || fell(last.disk_write, counters.disk_write)
    }

    /// Returns the rates as of the last read.
    pub(crate) const fn rates(&self) -> Rates {
        self.rates
    }
}

fn rates(before: &Counters, now: &Counters, span: Duration) -> Rates {
    let flow = |before: Option<u64>, now: Option<u64>| {
        let moved = now?.checked_sub(before?)?;
        Some(Bytes(per_second(moved, span)))
    };
    Rates {
        cpu: cpu_share(before, now, span),
        disk_read: flow(before.disk_read, now.disk_read),
        disk_write: flow(before.disk_write, now.disk_write),
        net_rx: flow(before.net_rx, now.net_rx),
        net_tx: flow(before.net_tx, now.net_tx),
    }
}

fn per_second(moved: u64, span: Duration) -> u64 {
    let nanos = span.as_nanos().max(1);
    let rate = u128::from(moved).saturating_mul(1_000_000_000) / nanos;
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// Share of the VM's own processors: time used over time there was, on all of them.
fn cpu_share(before: &Counters, now: &Counters, span: Duration) -> Option<Percent> {
    let used = now.cpu_time?.checked_sub(before.cpu_time?)?;
    let processors = now.vcpus.filter(|count| *count > 0)?;
    let there_was = span.as_secs_f64() * f64::from(processors);
    let share = Duration::from_nanos(used).as_secs_f64() / there_was * 100.0;
    // The hypervisor's own threads count too, so a busy VM reads a little above its processors.
    Some(Percent::new(share.min(100.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cpu_ms: u64, net_rx: u64) -> Counters {
        Counters {
            cpu_time: Some(cpu_ms * 1_000_000),
            vcpus: Some(2),
            net_rx: Some(net_rx),
            ..Counters::default()
        }
    }

    #[test]
    fn the_first_read_tells_nothing() {
        let sample = Sample::first(Instant::now(), read(5, 5));
        assert_eq!(sample.rates(), Rates::default());
    }

    #[test]
    fn two_reads_tell_a_rate() {
        let start = Instant::now();
        let sample = Sample::first(start, read(1000, 100));
        let sample = sample.next(start + Duration::from_secs(2), read(3000, 2100));
        assert_eq!(sample.rates().cpu, Some(Percent::new(50.0)));
        assert_eq!(sample.rates().net_rx, Some(Bytes(1000)));
        assert_eq!(sample.rates().net_tx, None);
    }

    #[test]
    fn a_counter_that_went_down_means_a_restart() {
        let start = Instant::now();
        let sample = Sample::first(start, read(1000, 100));
        let restarted = read(10, 100);
        assert!(sample.restarted(&restarted));
        let sample = sample.next(start + Duration::from_secs(2), restarted);
        assert_eq!(sample.rates(), Rates::default());
        let sample = sample.next(start + Duration::from_secs(3), read(1010, 100));
        assert_eq!(sample.rates().cpu, Some(Percent::new(50.0)));
    }

    #[test]
    fn reads_in_quick_succession_keep_the_earlier_rates() {
        let start = Instant::now();
        let sample = Sample::first(start, read(0, 0));
        let sample = sample.next(start + Duration::from_secs(1), read(1000, 0));
        let kept = sample.next(start + Duration::from_millis(1010), read(1900, 0));
        assert_eq!(kept.rates(), sample.rates());
        // And what happened meanwhile is not lost.
        let later = kept.next(start + Duration::from_secs(2), read(2000, 0));
        assert_eq!(later.rates().cpu, Some(Percent::new(50.0)));
    }

    #[test]
    fn a_figure_that_was_missing_gives_no_rate() {
        let start = Instant::now();
        let sample = Sample::first(start, Counters::default());
        let sample = sample.next(start + Duration::from_secs(2), read(3000, 2100));
        assert_eq!(sample.rates(), Rates::default());
    }
}
