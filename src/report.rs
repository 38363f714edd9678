//! How a failure is told: to a person as two lines, to a script as one JSON object. Knows no layer:
//! whatever implements `Classify` can be told.

use serde::Serialize;

use crate::domain::error_kind::{Classify, ErrorKind, ExitCode, Failure};
use crate::domain::text::RemoteText;

/// A failure with what a reader needs to act on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// What failed, why, and what to do next.
    pub failure: Failure,
    /// The host it is about.
    pub host: Option<String>,
    /// What an ambiguous name could have meant.
    pub candidates: Vec<String>,
}

impl Complaint {
    /// Tells of an error.
    pub fn of(error: &(impl Classify + ?Sized)) -> Self {
        Failure::of(error).into()
    }

    /// Names the host it is about; the hint then names it, too.
    #[must_use]
    pub fn on<T: ToString + ?Sized>(mut self, host: &T) -> Self {
        let host = host.to_string();
        // A VM is written `host/name`; the commands of hints take the host.
        let name = host.split('/').next().unwrap_or(&host);
        self.failure.hint = self.failure.hint.map(|hint| hint.naming(name));
        self.host = Some(host);
        self
    }

    /// Adds what an ambiguous name could have meant.
    #[must_use]
    pub fn between(mut self, candidates: Vec<String>) -> Self {
        self.candidates = candidates;
        self
    }

    /// Returns the exit code it leads to.
    pub fn exit_code(&self) -> ExitCode {
        self.failure.kind.spec().exit
    }

    /// Renders it for a person, ending with a line feed.
    pub fn to_text(&self) -> String {
        let mut text = match &self.host {
            Some(host) => format!("error: {host}: {}\n", self.failure.message),
            None => format!("error: {}\n", self.failure.message),
        };
        for candidate in &self.candidates {
            text.push_str("  ");
            text.push_str(candidate);
            text.push('\n');
        }
        if let Some(hint) = &self.failure.hint {
            text.push_str("hint: ");
            text.push_str(&hint.0);
            text.push('\n');
        }
        // It may quote what a person wrote, and a person may have pasted what a host wrote.
        visible(&text)
    }

    /// Renders it for a script, as one line.
    pub fn to_json(&self) -> String {
        let document = Document {
            error: ErrorBody {
                host: self.host.as_deref(),
                candidates: &self.candidates,
                ..ErrorBody::of(&self.failure)
            },
        };
        let mut line = crate::json::to_line(&document).unwrap_or_default();
        line.push('\n');
        line
    }
}

/// Renders lines so that a terminal acts on nothing in them.
pub fn visible(text: &str) -> String {
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| RemoteText::new(line).shown().to_owned())
        .collect();
    lines.join("\n")
}

impl From<Failure> for Complaint {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            host: None,
            candidates: Vec::new(),
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    error: ErrorBody<'a>,
}

/// The documented JSON form of a failure.
#[derive(Debug, Clone, Serialize)]
pub struct ErrorBody<'a> {
    kind: ErrorKind,
    message: &'a str,
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    candidates: &'a [String],
}

impl<'a> ErrorBody<'a> {
    /// Renders a failure.
    pub fn of(failure: &'a Failure) -> Self {
        Self {
            kind: failure.kind,
            message: &failure.message,
            hint: failure.hint.as_ref().map(|hint| hint.0.as_str()),
            host: None,
            candidates: &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint() -> Complaint {
        Complaint::from(
            Failure::new(ErrorKind::Ambiguous, "`web` fits 2 VMs").with_hint("say host/name"),
        )
        .between(vec!["kvm1/web".into(), "kvm2/web".into()])
    }

    #[test]
    fn people_get_lines() {
        assert_eq!(
            complaint().to_text(),
            "error: `web` fits 2 VMs\n  kvm1/web\n  kvm2/web\nhint: say host/name\n"
        );
    }

    #[test]
    fn what_was_pasted_is_never_raw() {
        let failure = Failure::new(ErrorKind::NotFound, "no VM `a\u{9b}31m\u{1b}[2Jb`");
        let text = Complaint::from(failure.with_hint("say\u{7}")).to_text();
        assert_eq!(text.lines().count(), 2);
        assert!(
            !text.chars().any(|c| c != '\n' && c.is_control()),
            "{text:?}"
        );
    }

    #[test]
    fn scripts_get_one_object() {
        assert_eq!(
            complaint().on("kvm1").to_json(),
            concat!(
                r#"{"error":{"kind":"ambiguous","message":"`web` fits 2 VMs","hint":"say host/name","#,
                r#""host":"kvm1","candidates":["kvm1/web","kvm2/web"]}}"#,
                "\n"
            )
        );
        let plain = Complaint::from(Failure::new(ErrorKind::Timeout, "late\u{9b}"));
        assert_eq!(
            plain.to_json(),
            "{\"error\":{\"kind\":\"timeout\",\"message\":\"late\\u009b\",\"hint\":null}}\n"
        );
    }
}
