//! The fuzz target of the audit log's reader: records, chain and MACs of lines that anybody may have
//! written. See `crate::testing::fuzz`.

use super::verify::Walk;
use super::{line, verify};
use crate::domain::audit::{AuditKey, AuditRecord};
use crate::testing::fuzz::invariant::{harmless, said};

/// A segment.
pub(crate) fn segment(data: &[u8]) {
    let key = AuditKey::new([7; 32]);
    for key in [None, Some(&key)] {
        let mut walk = Walk::new(key, None);
        let mut records = 0;
        for (number, bytes) in (1..).zip(data.split(|byte| *byte == b'\n')) {
            walk.line(number, bytes);
            if let Some(record) = line::parse(bytes) {
                records += 1;
                reads_back(&record);
            }
        }
        let result = walk.finish();
        assert_eq!(result.records, records);
        // Nobody here has the key, so no line of it is authentic.
        assert_eq!(result.authentic, 0);
        result
            .findings
            .iter()
            .for_each(|finding| said(&finding.to_string()));
        assert!(result.findings.len() <= verify::MAX_FINDINGS);
    }
}

/// A record that was read is written as one harmless line, which reads as the same record.
fn reads_back(record: &AuditRecord) {
    let Ok(text) = crate::json::to_line(record) else {
        return;
    };
    harmless(&text);
    assert_eq!(line::parse(text.as_bytes()).as_ref(), Some(record));
}
