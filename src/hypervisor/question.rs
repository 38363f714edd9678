//! What a driver asks without changing anything, and how it looks at a host, as data: so that answers can
//! be recorded and a host be checked by code that knows no hypervisor.

use std::time::Duration;

use super::HypervisorError;
use crate::domain::capability::Capabilities;
use crate::domain::error_kind::{Classify, ErrorKind};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;

/// A question that changes nothing on the host.
#[derive(Debug, Clone)]
pub struct Question {
    /// Under which words its answer is filed: `dumpxml UUID`, `list.ps1 {"scope":"full"}`.
    pub name: String,
    /// What is run, by itself on a channel of its own.
    pub command: RemoteCommand,
    /// How long it may take.
    pub within: Duration,
    /// What its answer looks like.
    pub form: AnswerForm,
}

/// What an answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerForm {
    /// Text.
    Text,
    /// Text with lines that begin with this mark and end with a word of base64 that holds JSON.
    Frames {
        /// The mark.
        mark: &'static str,
    },
}

/// One thing about a host that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at, in one or two words.
    pub step: &'static str,
    /// Whether it is in order; `None` = it could not be found out.
    pub ok: Option<bool>,
    /// What was seen.
    pub seen: RemoteText,
    /// The one command or change that mends it, or makes it better.
    pub fix: Option<String>,
}

impl Check {
    /// Says that something is in order.
    pub fn fine(step: &'static str, seen: &str) -> Self {
        Self {
            step,
            ok: Some(true),
            seen: RemoteText::new(seen),
            fix: None,
        }
    }

    /// Says that something is wrong, and what mends it.
    pub fn wrong(step: &'static str, seen: &str, fix: impl Into<String>) -> Self {
        Self {
            ok: Some(false),
            fix: Some(fix.into()),
            ..Self::fine(step, seen)
        }
    }

    /// Says that something could be better.
    #[must_use]
    pub fn better_with(self, fix: impl Into<String>) -> Self {
        Self {
            fix: Some(fix.into()),
            ..self
        }
    }

    /// Says that something could not be found out.
    pub fn unknown(step: &'static str, seen: &str) -> Self {
        Self {
            ok: None,
            ..Self::fine(step, seen)
        }
    }
}

/// What a probe means, step by step, where a driver has no more to look at.
pub fn usual_checks(probed: Result<Capabilities, HypervisorError>) -> Vec<Check> {
    let able = match probed {
        Ok(able) => able,
        Err(error) => {
            let (seen, fix) = (error.to_string(), error.hint().map(|hint| hint.0));
            let wrong = |step| Check {
                fix: fix.clone(),
                ..Check::wrong(step, &seen, "")
            };
            return if error.kind() == ErrorKind::Permission {
                vec![Check::fine("tool", "found"), wrong("permission")]
            } else {
                vec![wrong("tool")]
            };
        }
    };
    let connection = able.connection.as_ref();
    vec![
        Check {
            seen: able.version.clone(),
            ..Check::fine("tool", "")
        },
        Check {
            seen: connection.cloned().unwrap_or(RemoteText::new("granted")),
            ..Check::fine("permission", "")
        },
    ]
}
