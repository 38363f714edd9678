//! Tests of the log as a whole, by what is done to it: faults of the disk, crashes, other processes,
//! edits.

mod crash;
mod disk;
mod ends;
mod findings;
mod page;
mod presence;
mod reading;
mod sharing;
mod tamper;

use std::collections::BTreeSet;
use std::path::Path;

use super::log::AuditLog;
use super::verify::{Verification, verify};
use super::{chain, line, read};
use crate::clock::Clock;
use crate::domain::audit::{AuditEntry, AuditPhase};

fn clock() -> Clock {
    Clock::manual("2026-01-01T00:00:00Z".parse().unwrap())
}

fn entry(phase: AuditPhase, operation: &str) -> AuditEntry {
    AuditEntry {
        timestamp: "2026-01-01T00:00:00Z".into(),
        phase,
        action: "start".into(),
        host: Some("kvm1".into()),
        vm: None,
        vm_id: None,
        store: None,
        store_id: None,
        actor: None,
        client_ip: None,
        plan: vec!["virsh start x".into()],
        rule: None,
        state_before: None,
        state_after: None,
        status: "pending".into(),
        details: String::new(),
        elapsed_ms: None,
        operation: Some(operation.into()),
    }
}

fn intent(operation: &str) -> AuditEntry {
    entry(AuditPhase::Intent, operation)
}

async fn open(dir: &Path) -> AuditLog {
    AuditLog::open(dir, clock()).await.unwrap().0
}

fn sound(dir: &Path) -> Verification {
    let result = verify(dir, None, None).unwrap();
    assert_eq!(result.findings, [], "{result:?}");
    result
}

fn operations(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for number in chain::segments(dir).unwrap() {
        read::each_line(&chain::segment_path(dir, number), |_, line| {
            found.extend(line::parse(line).unwrap().entry.operation);
        })
        .unwrap();
    }
    found
}
