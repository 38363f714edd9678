//! The real program as a script sees it: standard output, standard error, exit code.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod changing;
mod frozen;
mod keeping;
mod live;
mod usage;
mod windows;

use insta::Settings;

use crate::support::deck::{Deck, Run};

const VMDECK: &str = env!("CARGO_BIN_EXE_vmdeck");

/// Renders a run for a snapshot; what differs from run to run is replaced.
fn told(deck: &Deck, run: &Run) -> String {
    let home = deck.home().display().to_string();
    let text = format!(
        "exit {}\n-- stdout\n{}-- stderr\n{}",
        run.code, run.stdout, run.stderr
    );
    assert!(!text.contains('\u{1b}'), "an escape sequence in:\n{text}");
    text.replace(&home, "[HOME]")
}

/// Replaces times, ports, ids and keys.
fn settings() -> Settings {
    let mut settings = Settings::clone_current();
    settings.set_omit_expression(true);
    for (pattern, replacement) in [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[TIME]"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]"),
        (r"\[127\.0\.0\.1\]:\d+", "[127.0.0.1]:[PORT]"),
        (r"SHA256:[A-Za-z0-9+/]{43}", "[FINGERPRINT]"),
        (r"AAAA[A-Za-z0-9+/=]{20,}", "[KEY]"),
        (r"\b[0-9a-f]{12}-[0-9a-f]{4}-[0-9a-f]{12}\b", "[OPERATION]"),
        (r#""elapsed_ms": ?\d+"#, r#""elapsed_ms": "[MS]""#),
        (r", \d+\.\d s\)", ", [SECONDS] s)"),
    ] {
        settings.add_filter(pattern, replacement);
    }
    settings
}

/// Takes a snapshot of a run.
macro_rules! snapshot {
    ($deck:expr, $name:expr, $run:expr) => {{
        let run = $run;
        crate::settings().bind(|| insta::assert_snapshot!($name, crate::told($deck, &run)));
        run
    }};
}
pub(crate) use snapshot;
