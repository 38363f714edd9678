//! The error log: the last failures that belong to no operation, each once while it lasts.

use std::collections::VecDeque;

use super::request::ErrorRecord;

/// Failures remembered.
pub const ERRORS_KEPT: usize = 200;

/// The last failures, oldest first.
#[derive(Debug, Default)]
pub struct ErrorLog(VecDeque<ErrorRecord>);

impl ErrorLog {
    /// Remembers a failure; the oldest is forgotten when there are too many. Returns false for one
    /// that repeats the newest of the same host: a host that stays down is one line, not hundreds.
    pub fn push(&mut self, record: ErrorRecord) -> bool {
        let newest = self.0.iter().rev().find(|kept| kept.host == record.host);
        if newest.is_some_and(|kept| kept.cause == record.cause) {
            return false;
        }
        if self.0.len() == ERRORS_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(record);
        true
    }

    /// Returns all of them, oldest first.
    pub fn records(&self) -> Vec<ErrorRecord> {
        self.0.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::error_kind::{ErrorKind, Failure};
    use crate::fleet::test_fleet::now;

    fn record(host: &str, message: &str) -> ErrorRecord {
        ErrorRecord {
            at: now(),
            host: Some(host.parse().unwrap()),
            cause: Failure::new(ErrorKind::Unreachable, message),
        }
    }

    #[test]
    fn a_failure_that_lasts_is_one_line() {
        let mut log = ErrorLog::default();
        assert!(log.push(record("kvm1", "down")));
        assert!(log.push(record("kvm2", "down")));
        assert!(!log.push(record("kvm1", "down")));
        assert!(log.push(record("kvm1", "refused")));
        assert!(log.push(record("kvm1", "down")));
        assert_eq!(log.records().len(), 4);
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut log = ErrorLog::default();
        for n in 0..ERRORS_KEPT + 3 {
            assert!(log.push(record("kvm1", &n.to_string())));
        }
        assert_eq!(log.records().len(), ERRORS_KEPT);
        assert_eq!(log.records()[0].cause.message, "3");
    }
}
