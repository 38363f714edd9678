//! The error log: what failed lately on hosts, in the background and in operations. A failure that
//! lasts is one line. Everything that counts errors counts what this log has taken, nothing else.

use std::collections::VecDeque;

use super::request::ErrorRecord;

/// Failures remembered.
pub const ERRORS_KEPT: usize = 200;

/// The last failures, oldest first.
#[derive(Debug, Default)]
pub struct ErrorLog {
    kept: VecDeque<ErrorRecord>,
    taken: u64,
}

impl ErrorLog {
    /// Remembers a failure; the oldest is forgotten when there are too many. Returns false for one
    /// that repeats the newest of the same host: a host that stays down is one line, not hundreds.
    pub fn push(&mut self, record: ErrorRecord) -> bool {
        let mut of_host = self.kept.iter_mut().rev();
        let newest = of_host.find(|kept| kept.host == record.host);
        if let Some(kept) = newest.filter(|kept| kept.cause == record.cause) {
            kept.times = kept.times.saturating_add(1);
            kept.last = record.last;
            return false;
        }
        self.add(record);
        true
    }

    /// Remembers a failure that is news even when it reads like the one before it: two operations that
    /// fail are two failures.
    pub fn add(&mut self, record: ErrorRecord) {
        if self.kept.len() == ERRORS_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(record);
        self.taken = self.taken.saturating_add(1);
    }

    /// Returns how many failures were remembered since the start, forgotten ones included.
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// Returns all of them, oldest first.
    pub fn records(&self) -> Vec<ErrorRecord> {
        self.kept.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::error_kind::{ErrorKind, Failure};
    use crate::fleet::test_fleet::now;

    fn record(host: &str, message: &str) -> ErrorRecord {
        let cause = Failure::new(ErrorKind::Unreachable, message);
        ErrorRecord::new(now(), Some(host.parse().unwrap()), cause)
    }

    #[test]
    fn a_failure_that_lasts_is_one_line() {
        let mut log = ErrorLog::default();
        assert!(log.push(record("kvm1", "down")));
        assert!(log.push(record("kvm2", "down")));
        let later = now() + jiff::SignedDuration::from_secs(9);
        assert!(!log.push(ErrorRecord {
            last: later,
            ..record("kvm1", "down")
        }));
        let kept = &log.records()[0];
        assert_eq!((kept.times, kept.at, kept.last), (2, now(), later));
        assert!(log.push(record("kvm1", "refused")));
        assert!(log.push(record("kvm1", "down")));
        assert_eq!(log.records().len(), 4);
        assert_eq!(log.taken(), 4);
        log.add(record("kvm1", "down"));
        assert_eq!(log.taken(), 5);
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut log = ErrorLog::default();
        for n in 0..ERRORS_KEPT + 3 {
            assert!(log.push(record("kvm1", &n.to_string())));
        }
        assert_eq!(log.records().len(), ERRORS_KEPT);
        assert_eq!(log.records()[0].cause.message, "3");
        assert_eq!(log.taken(), ERRORS_KEPT as u64 + 3);
    }
}
