//! What is kept: the audit log, the log of the program, and the pages made for shells and manuals.

use std::io::Write;
use std::sync::{Arc, Mutex};

use vmdeck::audit::{AuditLog, verify};
use vmdeck::cli::{Shell, complete, manual};
use vmdeck::clock::Clock;
use vmdeck::domain::audit::AuditEntry;
use vmdeck::domain::text::RemoteText;
use vmdeck::report::Complaint;
use vmdeck::testing::{fleet, names};

use crate::harmless;

#[tokio::test]
async fn the_audit_log_holds_one_harmless_line_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("audit");
    let (log, _) = AuditLog::open(&dir, Clock::manual(fleet::now()))
        .await
        .unwrap();
    let sent = names::hostile();
    for name in &sent {
        let entry = AuditEntry {
            vm: Some(RemoteText::new(name)),
            plan: vec![name.clone()],
            details: name.clone(),
            ..AuditEntry::note("test", "ok", String::new(), fleet::now())
        };
        log.append(entry).await.unwrap();
    }
    let mut lines = 0;
    for file in std::fs::read_dir(&dir).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|end| end == "jsonl") {
            let text = std::fs::read_to_string(path).unwrap();
            harmless(&text, "the audit log");
            lines += text.lines().count();
        }
    }
    assert_eq!(lines, sent.len());
    assert!(verify(&dir, None, None).unwrap().is_sound());
    let tail = log.tail(sent.len()).await.unwrap();
    for (record, name) in tail.iter().zip(&sent) {
        let kept = record.entry.vm.as_ref().unwrap().raw();
        let expected = RemoteText::new(name);
        assert!(
            kept == expected.raw() || kept.len() < expected.raw().len(),
            "{kept:?}"
        );
    }
}

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_log_of_the_program_shows_names_and_never_acts() {
    for json in [false, true] {
        let page = Page::default();
        let out = page.clone();
        let common = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || out.clone());
        let write = || {
            for name in names::hostile() {
                let name = RemoteText::new(&name);
                tracing::info!(%name, vm = ?name, "read {name}");
            }
        };
        if json {
            tracing::subscriber::with_default(common.json().finish(), write);
        } else {
            tracing::subscriber::with_default(common.finish(), write);
        }
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        harmless(&text, "the log");
        assert_eq!(text.lines().count(), names::COUNT);
    }
}

#[test]
fn complaints_in_both_forms() {
    for name in names::hostile() {
        let failure = vmdeck::domain::error_kind::Failure::new(
            vmdeck::domain::error_kind::ErrorKind::Remote,
            format!("virsh said: {}", RemoteText::new(&name)),
        );
        let complaint = Complaint::of(&failure);
        harmless(&complaint.to_json(), "a complaint");
        harmless(&complaint.to_text(), "a complaint");
    }
}

#[test]
fn completions_and_manual_pages_are_plain_text() {
    for shell in [
        Shell::Bash,
        Shell::Elvish,
        Shell::Fish,
        Shell::PowerShell,
        Shell::Zsh,
    ] {
        let mut page = Vec::new();
        complete(shell, &mut page).unwrap();
        let text = String::from_utf8(page).unwrap().replace('\t', " ");
        harmless(&text, "completions");
    }
    let mut page = Vec::new();
    manual(&[], &mut page).unwrap().unwrap();
    harmless(&String::from_utf8(page).unwrap(), "the manual");
}
