//! The kinds of failure, and the one table that says what each means at every door.
//!
//! No other place matches on a kind to choose an exit code, an HTTP status, a word for the audit log
//! or whether a session may try again: they all read [`ErrorKind::spec`].

use serde::{Deserialize, Serialize};

/// What went wrong, coarse enough that a script can decide on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The command line or a request is malformed.
    Usage,
    /// A configuration file or value is wrong.
    Config,
    /// The profile is locked and the secret that is needed cannot be opened.
    Locked,
    /// No such VM, host, profile, credential or operation.
    NotFound,
    /// The name fits more than one thing.
    Ambiguous,
    /// Policy, read-only mode or the VM's state forbids it.
    Refused,
    /// The thing changed since it was looked at.
    Conflict,
    /// Something else is under way; try again.
    Busy,
    /// The host cannot be reached.
    Unreachable,
    /// The host refused our credentials.
    Auth,
    /// The host's key is unknown, changed or revoked.
    HostKey,
    /// The account on the host may not do this.
    Permission,
    /// It took longer than its deadline.
    Timeout,
    /// The remote side reported a failure in its own words.
    Remote,
    /// The remote side said something we do not understand.
    Protocol,
    /// It was refused because the audit log cannot be written: what leaves no record is not done.
    NotRecorded,
    /// The profile's database or the audit log cannot be read or written.
    Store,
    /// A bug of ours.
    Internal,
}

/// One row of the table: what a kind means at each door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindSpec {
    /// The kind this row is about.
    pub kind: ErrorKind,
    /// Stable word for JSON, the audit log and problem documents.
    pub word: &'static str,
    /// Exit code of the process (`product` documentation, "Exit codes").
    pub exit: ExitCode,
    /// HTTP status of `--serve`.
    pub http: u16,
    /// Whether a session may try again by itself.
    pub session_retries: bool,
}

/// Exit codes of the program: scripts depend on them, so they never change meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitCode {
    /// Everything that was asked for was done.
    Done = 0,
    /// It was tried and failed.
    Failed = 1,
    /// The command line or the configuration is wrong; nothing was tried.
    Usage = 2,
    /// No such thing, or more than one.
    NotFound = 3,
    /// Refused by policy, state, a missing `--yes`, or an audit log that cannot be written.
    Refused = 4,
    /// A host is unreachable, refused the login, or its key is not trusted.
    Unreachable = 5,
    /// Timed out, or the outcome is unknown.
    Unknown = 6,
    /// Some of it was done.
    Partial = 7,
}

impl ExitCode {
    /// Every code with its meaning, in the order of the documentation.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Done, "done"),
        (Self::Failed, "failed"),
        (Self::Usage, "usage or configuration"),
        (Self::NotFound, "not found, or ambiguous"),
        (
            Self::Refused,
            "refused by policy, state, a missing `--yes`, or an audit log that cannot be written",
        ),
        (Self::Unreachable, "unreachable, login or host key"),
        (Self::Unknown, "timed out or outcome unknown"),
        (Self::Partial, "partly done"),
    ];

    /// Returns the number the process exits with.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

const fn row(
    kind: ErrorKind,
    word: &'static str,
    exit: ExitCode,
    http: u16,
    session_retries: bool,
) -> KindSpec {
    KindSpec {
        kind,
        word,
        exit,
        http,
        session_retries,
    }
}

impl ErrorKind {
    /// Every kind with what it means at each door.
    pub const TABLE: [KindSpec; 18] = [
        row(Self::Usage, "usage", ExitCode::Usage, 400, false),
        row(Self::Config, "config", ExitCode::Usage, 500, false),
        row(Self::Locked, "locked", ExitCode::Refused, 503, false),
        row(Self::NotFound, "not_found", ExitCode::NotFound, 404, false),
        row(Self::Ambiguous, "ambiguous", ExitCode::NotFound, 409, false),
        row(Self::Refused, "refused", ExitCode::Refused, 403, false),
        row(Self::Conflict, "conflict", ExitCode::Refused, 409, false),
        row(Self::Busy, "busy", ExitCode::Refused, 409, true),
        row(
            Self::Unreachable,
            "unreachable",
            ExitCode::Unreachable,
            502,
            true,
        ),
        row(Self::Auth, "auth", ExitCode::Unreachable, 502, false),
        row(Self::HostKey, "host_key", ExitCode::Unreachable, 502, false),
        row(Self::Permission, "permission", ExitCode::Failed, 502, false),
        row(Self::Timeout, "timeout", ExitCode::Unknown, 504, true),
        row(Self::Remote, "remote", ExitCode::Failed, 500, true),
        row(Self::Protocol, "protocol", ExitCode::Failed, 502, true),
        row(
            Self::NotRecorded,
            "not_recorded",
            ExitCode::Refused,
            503,
            false,
        ),
        row(Self::Store, "store", ExitCode::Failed, 503, false),
        row(Self::Internal, "internal", ExitCode::Failed, 500, true),
    ];

    /// Returns this kind's row.
    pub fn spec(self) -> KindSpec {
        Self::TABLE
            .into_iter()
            .find(|row| row.kind == self)
            .unwrap_or(row(self, "internal", ExitCode::Failed, 500, false))
    }

    /// Returns the stable word.
    pub fn word(self) -> &'static str {
        self.spec().word
    }
}

/// What to do next, in one sentence that a person can act on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hint(pub String);

impl Hint {
    /// Takes a sentence.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Names the host in the commands of ours that speak of `NAME`, ready to be pasted.
    #[must_use]
    pub fn naming(self, host: &str) -> Self {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let name = if !host.is_empty() && host.chars().all(plain) {
            host.to_owned()
        } else {
            format!("'{}'", host.replace('\'', r"'\''"))
        };
        let mut text = self.0;
        for command in ["doctor", "edit", "rm", "show", "trust"] {
            text = text.replace(
                &format!("vmdeck host {command} NAME"),
                &format!("vmdeck host {command} {name}"),
            );
        }
        Self(text)
    }
}

impl std::fmt::Display for Hint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Implemented by every error of a layer, so that a door can render it without knowing the layer.
pub trait Classify: std::error::Error {
    /// Returns the kind.
    fn kind(&self) -> ErrorKind;

    /// Returns what to do next; always present for `Auth`, `HostKey`, `Config` and `Locked`.
    fn hint(&self) -> Option<Hint> {
        None
    }
}

/// A failure as it is published: kind, full text and what to do next. This is how errors travel
/// through snapshots, audit records and JSON, where the error value itself cannot go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind.
    pub kind: ErrorKind,
    /// What failed, on which host, why, in one line. Remote parts have been through `RemoteText`.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
}

impl Failure {
    /// Makes a failure from its parts.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    /// Turns the reason why nothing can be recorded into the refusal of what was to be recorded.
    #[must_use]
    pub fn refusing_unrecorded(self, what: &str) -> Self {
        Self {
            kind: ErrorKind::NotRecorded,
            message: format!("{what} cannot be recorded: {}", self.message),
            hint: self.hint,
        }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(Hint::new(hint));
        self
    }

    /// Renders an error and its sources as one line: `could not x: y: z`.
    pub fn of(error: &(impl Classify + ?Sized)) -> Self {
        Self {
            kind: error.kind(),
            message: chain(error),
            hint: error.hint(),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl Classify for Failure {
    fn kind(&self) -> ErrorKind {
        self.kind
    }

    fn hint(&self) -> Option<Hint> {
        self.hint.clone()
    }
}

/// Joins an error's text with those of its sources; layers never repeat a source's text themselves.
pub fn chain<E: std::error::Error + ?Sized>(error: &E) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_exactly_one_row_and_its_own_word() {
        for spec in ErrorKind::TABLE {
            let same = |other: &&KindSpec| other.kind == spec.kind || other.word == spec.word;
            assert_eq!(
                ErrorKind::TABLE.iter().filter(same).count(),
                1,
                "{}",
                spec.word
            );
            assert_eq!(spec.kind.spec(), spec);
        }
    }

    #[test]
    fn words_are_those_of_the_serialised_form() {
        for spec in ErrorKind::TABLE {
            assert_eq!(serde_json::to_value(spec.kind).unwrap(), spec.word);
        }
    }

    #[test]
    fn logins_and_host_keys_are_never_retried_by_themselves() {
        for kind in [
            ErrorKind::Auth,
            ErrorKind::HostKey,
            ErrorKind::Locked,
            ErrorKind::Permission,
        ] {
            assert!(!kind.spec().session_retries, "{kind:?}");
        }
    }

    #[test]
    fn a_hint_names_the_host_it_is_about_and_nothing_else() {
        let hint = Hint::new("run `vmdeck host edit NAME --user USER` or `vmdeck host trust NAME`");
        assert_eq!(
            hint.clone().naming("kvm1").0,
            "run `vmdeck host edit kvm1 --user USER` or `vmdeck host trust kvm1`"
        );
        assert_eq!(
            hint.naming("it's; x").0,
            r"run `vmdeck host edit 'it'\''s; x' --user USER` or `vmdeck host trust 'it'\''s; x'`"
        );
        let other = Hint::new("`vmdeck credential add NAME --generate ed25519`");
        assert_eq!(other.clone().naming("kvm1"), other);
    }

    #[test]
    fn exit_codes_count_up_from_zero() {
        for (index, (code, _)) in ExitCode::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(code.code()), index);
        }
    }
}
