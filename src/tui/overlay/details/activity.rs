//! What was done to a VM: audit records as lines.

use crate::domain::audit::{AuditEntry, AuditPhase, AuditRecord};
use crate::tui::overlay::document::Line;
use crate::tui::theme::Role;

/// Returns how its end is shown.
pub fn audit_role(entry: &AuditEntry) -> Role {
    match (entry.phase, entry.status.as_str()) {
        (AuditPhase::Intent, _) => Role::Dim,
        (_, "ok" | "confirmed") => Role::Success,
        (_, "accepted" | "unknown") => Role::Warning,
        (AuditPhase::Note, _) => Role::Text,
        _ => Role::Danger,
    }
}

/// An audit record: what, by whom, how it ended.
pub fn audit_lines(record: &AuditRecord) -> Vec<Line> {
    let entry = &record.entry;
    let role = audit_role(entry);
    let actor = entry.actor.as_ref().map_or_else(String::new, |actor| {
        format!("{}@{}", actor.user, actor.door.word())
    });
    let clean = |text: &str| {
        crate::domain::text::RemoteText::new(text)
            .shown()
            .to_owned()
    };
    let time = entry.timestamp.replace('T', " ");
    let time: String = time.chars().take(19).collect();
    let vm = entry.subject().map_or("", |name| name.shown());
    let host = entry.host.as_deref().unwrap_or("");
    let took = entry
        .elapsed_ms
        .map_or_else(String::new, |ms| format!("  {ms} ms"));
    let mut lines = vec![vec![
        (format!("{time}  "), Role::Dim),
        (format!("{:<10} ", clean(&entry.status)), role),
        (format!("{:<13} ", clean(&entry.action)), Role::Strong),
        (
            format!("{:<26} ", clean(&format!("{host}/{vm}"))),
            Role::Text,
        ),
        (clean(&actor), Role::Dim),
        (took, Role::Dim),
    ]];
    if !entry.details.is_empty() {
        lines.push(vec![(
            format!("{:21}{}", "", clean(&entry.details)),
            Role::Dim,
        )]);
    }
    lines
}
