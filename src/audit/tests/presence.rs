//! The files that name the operations of processes that are still there.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::{entry, intent};
use crate::audit::live::{self, OwnOperations, Presence};
use crate::domain::audit::{AuditEntry, AuditPhase};
use crate::private_file;

fn outcome(operation: &str) -> AuditEntry {
    entry(AuditPhase::Outcome, operation)
}

fn set(names: &[&str]) -> HashSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Returns the names of the files there are of processes.
fn files(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("live-")).collect()
}

#[test]
fn an_operation_is_named_from_its_intent_to_its_outcome() {
    let root = tempfile::tempdir().unwrap();
    let own = OwnOperations::default();
    let mut presence = Presence::announce(root.path(), Arc::clone(&own)).unwrap();
    assert_eq!(files(root.path()).len(), 1);
    let named = || live::operations(root.path()).unwrap();
    let ours = || own.lock().unwrap().clone();
    assert_eq!(named(), set(&[]));
    let begun = [
        intent("a"),
        intent("b\nc"),
        outcome("x"),
        entry(AuditPhase::Note, "n"),
    ];
    presence.begin(&begun).unwrap();
    assert_eq!(named(), set(&["a", "b c"]));
    presence.end(&begun[..2], true);
    assert_eq!(ours(), set(&["a", "b\nc"]));
    // A second intent of the same operation is not named twice.
    presence.begin(&[intent("a")]).unwrap();
    let file = root.path().join(&files(root.path())[0]);
    assert_eq!(std::fs::read(&file).unwrap(), b"a\nb c\n");
    // An outcome that was not written is none, nor is a note.
    presence.end(&[outcome("a"), entry(AuditPhase::Note, "a")], false);
    presence.end(&[entry(AuditPhase::Note, "a")], true);
    assert_eq!(ours(), set(&["a", "b\nc"]));
    presence.end(&[outcome("a")], true);
    assert_eq!(ours(), set(&["b\nc"]));
    assert_eq!(named(), set(&["a", "b c"]), "kept until nothing is left");
    // An intent that was not written is not begun.
    presence.end(&[intent("b\nc")], false);
    assert_eq!(ours(), set(&[]));
    assert_eq!(std::fs::read(&file).unwrap(), b"");
    // The next is written from the start again.
    presence.begin(&[intent("d")]).unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"d\n");
    drop(presence);
    assert_eq!(files(root.path()), Vec::<String>::new());
}

#[test]
fn what_a_dead_process_left_is_swept_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let put = |name: &str| {
        let path = root.path().join(name);
        private_file::write_atomic(&path, b"lost\n").unwrap();
        path
    };
    let (dead, other) = (put("live-dead.lock"), put("alive.lock"));
    let living = Presence::announce(root.path(), OwnOperations::default()).unwrap();
    assert!(!dead.exists());
    assert!(other.exists());
    put("live-dead.lock");
    assert_eq!(live::operations(root.path()).unwrap(), set(&[]));
    assert!(!dead.exists());
    assert!(other.exists());
    assert_eq!(files(root.path()).len(), 1);
    drop(living);
}

#[test]
fn many_names_are_all_read() {
    let root = tempfile::tempdir().unwrap();
    let mut presence = Presence::announce(root.path(), OwnOperations::default()).unwrap();
    // Three megabytes.
    let names: Vec<String> = (0..30)
        .map(|n| format!("{n}-{}", "x".repeat(100_000)))
        .collect();
    let begun: Vec<AuditEntry> = names.iter().map(|name| intent(name)).collect();
    presence.begin(&begun).unwrap();
    let found = live::operations(root.path()).unwrap();
    assert_eq!(found, names.into_iter().collect::<HashSet<String>>());
}
