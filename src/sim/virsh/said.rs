//! What one `virsh` command says, and the little machine that every command is written with.

use std::fmt::{Arguments, Write};

/// Appends to text, which cannot fail.
pub(super) fn put(text: &mut String, arguments: Arguments<'_>) {
    text.write_fmt(arguments).unwrap_or_default();
}

/// Appends a formatted line to text.
macro_rules! put_line {
    ($text:expr, $($arguments:tt)*) => {{
        $crate::sim::virsh::said::put($text, format_args!($($arguments)*));
        $text.push('\n');
    }};
}
pub(super) use put_line;

/// The answer of one command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) out: String,
    /// Without the `error: ` before each line.
    pub(super) errors: Vec<String>,
}

impl Said {
    /// An answer on standard output.
    pub(super) const fn out(out: String) -> Self {
        Self {
            out,
            errors: Vec::new(),
        }
    }

    /// One line.
    pub(super) fn line(line: impl std::fmt::Display) -> Self {
        Self::out(format!("{line}\n"))
    }

    /// Nothing at all.
    pub(super) fn nothing() -> Self {
        Self::default()
    }

    /// A failure.
    pub(super) fn error(error: impl Into<String>) -> Self {
        Self {
            out: String::new(),
            errors: vec![error.into()],
        }
    }

    /// A failure with its reason.
    pub(super) fn errors(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            out: String::new(),
            errors: vec![what.into(), why.into()],
        }
    }

    pub(super) fn failed(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Returns standard error as it is printed.
    pub(super) fn stderr(&self) -> String {
        let mut text = String::new();
        for error in &self.errors {
            put_line!(&mut text, "error: {error}");
        }
        text
    }
}
