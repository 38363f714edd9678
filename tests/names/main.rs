//! 1,200 names that mean harm, through every door but the dashboard's (`tests/tui/hostile.rs`): what is
//! written holds no character that a terminal acts on, and what is handed to a shell arrives as it was.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod engine;
mod notices;
mod once;
mod records;
mod rest;
mod shells;

use vmdeck::domain::text::is_hostile;

/// Asserts that nothing of an output acts on a terminal; line feeds are the output's own.
#[track_caller]
fn harmless(text: &str, what: &str) {
    let bad = text.chars().find(|c| is_hostile(*c) && *c != '\n');
    if let Some(bad) = bad {
        let line = text.lines().find(|line| line.contains(bad));
        panic!("{what} holds {bad:?}: {line:?}");
    }
}
