//! Errors inside of other documents; those that answer a request are problem documents.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::error_kind::Failure;

/// Why something failed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::serve) struct ErrorInfo {
    /// Stable word: `unreachable`, `refused`, `remote` ...
    pub(in crate::serve) kind: String,
    /// What failed and why, in one line.
    pub(in crate::serve) message: String,
    /// What to do next.
    pub(in crate::serve) hint: Option<String>,
}

impl From<&Failure> for ErrorInfo {
    fn from(failure: &Failure) -> Self {
        Self {
            kind: failure.kind.word().to_owned(),
            message: failure.message.clone(),
            hint: failure.hint.as_ref().map(|hint| hint.0.clone()),
        }
    }
}
