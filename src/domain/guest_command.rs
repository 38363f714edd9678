//! A program to be run inside a VM: its words, the plan of one run, and how it ended. No shell stands between
//! a word that was written and the argument that the program receives.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::action::Ask;
use super::guest_account::GuestAccount;
use super::host::HostName;
use super::operation::{Actor, Consent, OperationId, Outcome};
use super::remote_command::RemoteCommand;
use super::text::RemoteText;
use super::vm::{PowerState, VmRef};

/// How long a program is waited for where nobody says.
pub const RUN_WITHIN: Duration = Duration::from_secs(60);

/// Verbs of what is done inside a VM, beside the catalogue of what is done to it. Being at a console or in a
/// shell asks for nothing by itself; a rule can ask, or forbid it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuestVerb {
    /// Run a program.
    Exec,
    /// Be at its serial console.
    Console,
    /// Log in to it.
    Shell,
}

impl GuestVerb {
    /// Every verb.
    pub const ALL: [Self; 3] = [Self::Exec, Self::Console, Self::Shell];

    /// Returns the stable id: policy and audit word.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Console => "console",
            Self::Shell => "shell",
        }
    }

    /// Returns what must be agreed to: for one VM, for one on a host of tier `prod`, for several.
    pub const fn asks(self) -> (Ask, Ask, Ask) {
        match self {
            Self::Exec => (Ask::Confirm, Ask::TypeName, Ask::Confirm),
            Self::Console | Self::Shell => (Ask::Nothing, Ask::Nothing, Ask::Nothing),
        }
    }
}

/// Words that make no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum GuestCommandError {
    /// There is none.
    #[error("type a program and its arguments")]
    Empty,
    /// A quote has no end.
    #[error("the quote {0} has no end")]
    OpenQuote(char),
    /// A zero byte, which ends an argument everywhere.
    #[error("an argument holds a zero byte")]
    Zero,
    /// More than is sent.
    #[error("a command has {most} characters at the most", most = GuestCommand::MOST)]
    TooLong,
}

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestCommand {
    program: String,
    args: Vec<String>,
}

impl GuestCommand {
    /// Bytes of all words together: they travel in one argument of a command line.
    pub const MOST: usize = 4096;

    /// Takes words as they are: the program first.
    pub fn new(words: Vec<String>) -> Result<Self, GuestCommandError> {
        if words.iter().any(|word| word.contains('\0')) {
            return Err(GuestCommandError::Zero);
        }
        if words.iter().map(String::len).sum::<usize>() > Self::MOST {
            return Err(GuestCommandError::TooLong);
        }
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.is_empty());
        Ok(Self {
            program: program.ok_or(GuestCommandError::Empty)?,
            args: words.collect(),
        })
    }

    /// Splits a line into words at blanks. Quotes keep blanks in a word; inside double quotes, `\"` and `\\`
    /// are a quote and a backslash. Everything else stands for itself: nothing is expanded.
    pub fn split(line: &str) -> Result<Self, GuestCommandError> {
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                ' ' | '\t' => words.extend(word.take()),
                '\'' | '"' => {
                    let part = word.get_or_insert_default();
                    loop {
                        let next = chars.next().ok_or(GuestCommandError::OpenQuote(c))?;
                        let escaped = (c == '"' && next == '\\')
                            .then(|| chars.next_if(|c| "\"\\".contains(*c)));
                        match (next, escaped.flatten()) {
                            (_, Some(meant)) => part.push(meant),
                            (end, None) if end == c => break,
                            (other, None) => part.push(other),
                        }
                    }
                }
                other => word.get_or_insert_default().push(other),
            }
        }
        words.extend(word);
        Self::new(words)
    }

    /// Returns the program.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Returns its arguments.
    pub fn args(&self) -> &[String] {
        &self.args
    }

    /// Returns all words, as they are shown: one that holds blanks or quotes is quoted.
    pub fn shown(&self) -> String {
        let command = RemoteCommand::posix(self.program.clone()).args(self.args.clone());
        RemoteText::new(&command.shown_line()).shown().to_owned()
    }
}

/// Exactly what will be run in a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestPlan {
    /// The VM.
    pub vm: VmRef,
    /// Its name when the plan was made: a label.
    pub vm_name: RemoteText,
    /// Its host's name.
    pub host_name: HostName,
    /// What is run in it.
    pub words: GuestCommand,
    /// The account of the VM that it is run for; `None` where the host runs it for none.
    pub account: Option<GuestAccount>,
    /// What is sent to the host for that.
    pub command: RemoteCommand,
    /// The state the VM was in.
    pub state: PowerState,
}

/// A plan with what has to be agreed to.
#[derive(Debug, Clone)]
pub struct GuestProposal {
    /// Exactly what would be run.
    pub plan: GuestPlan,
    /// What must be agreed to.
    pub asks: Ask,
    /// The policy rule that says so.
    pub rule: String,
}

/// A plan handed in to be run.
#[derive(Debug, Clone)]
pub struct GuestSubmission {
    /// Exactly what was shown.
    pub plan: GuestPlan,
    /// Who wants it.
    pub actor: Actor,
    /// How far it was agreed to.
    pub consent: Consent,
    /// In how many VMs it is run together.
    pub count: usize,
    /// How long its end is waited for.
    pub within: Duration,
}

/// How a program in a VM ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestEnd {
    /// It returned this code.
    Code(i64),
    /// A signal ended it; on Windows, an exception.
    Signal(i64),
}

/// What a program printed, as far as it was kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuestOutput {
    /// The bytes: whatever the guest likes.
    pub bytes: Vec<u8>,
    /// Whether there was more.
    pub truncated: bool,
}

impl GuestOutput {
    /// Bytes that are kept of one output.
    pub const MOST: usize = 1024 * 1024;

    /// Keeps as much as is kept; `truncated` tells that there was more already.
    pub fn new(mut bytes: Vec<u8>, truncated: bool) -> Self {
        let truncated = truncated || bytes.len() > Self::MOST;
        bytes.truncate(Self::MOST);
        Self { bytes, truncated }
    }

    /// Returns its lines as they may be shown.
    pub fn lines(&self) -> Vec<RemoteText> {
        let text = String::from_utf8_lossy(&self.bytes);
        text.lines().map(RemoteText::new).collect()
    }
}

/// A program that ran in a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestRun {
    /// How it ended.
    pub end: GuestEnd,
    /// What it printed.
    pub stdout: GuestOutput,
    /// What it printed about trouble.
    pub stderr: GuestOutput,
}

/// One run of a plan, once it is over.
#[derive(Debug, Clone)]
pub struct GuestResult {
    /// Identity, as in the audit log.
    pub id: OperationId,
    /// How it ended: confirmed is a program that ended with 0.
    pub outcome: Outcome,
    /// What the program did; `None` where it did not end, as far as is known.
    pub run: Option<GuestRun>,
    /// From the intent to the end.
    pub elapsed: Duration,
    /// When it ended.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(line: &str) -> Vec<String> {
        let command = GuestCommand::split(line).unwrap();
        let mut words = vec![command.program];
        words.extend(command.args);
        words
    }

    #[test]
    fn a_line_is_split_by_quotes_and_nothing_is_expanded() {
        for (line, expected) in [
            ("uname -a", vec!["uname", "-a"]),
            ("  a   b  ", vec!["a", "b"]),
            ("echo 'a b' \"c d\"", vec!["echo", "a b", "c d"]),
            ("echo a'b 'c \"\"", vec!["echo", "ab c", ""]),
            (
                r#"echo "it's \"so\" \\ \n""#,
                vec!["echo", r#"it's "so" \ \n"#],
            ),
            (r"C:\a\b.exe 'C:\c d'", vec![r"C:\a\b.exe", r"C:\c d"]),
            (
                "rm -rf $HOME/* ; ls | cat",
                vec!["rm", "-rf", "$HOME/*", ";", "ls", "|", "cat"],
            ),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
        for (line, why) in [
            ("", GuestCommandError::Empty),
            ("   ", GuestCommandError::Empty),
            ("'' x", GuestCommandError::Empty),
            ("echo 'x", GuestCommandError::OpenQuote('\'')),
            ("echo \"x\\\"", GuestCommandError::OpenQuote('"')),
            ("a\0b", GuestCommandError::Zero),
        ] {
            assert_eq!(GuestCommand::split(line), Err(why), "{line:?}");
        }
        let long = "x".repeat(GuestCommand::MOST + 1);
        assert_eq!(GuestCommand::split(&long), Err(GuestCommandError::TooLong));
    }

    #[test]
    fn what_is_shown_acts_on_no_terminal() {
        let command = GuestCommand::new(vec!["echo".into(), "\u{1b}[2J a".into()]).unwrap();
        assert_eq!(command.shown(), "echo '␛[2J a'");
    }

    #[test]
    fn more_output_than_is_kept_says_so() {
        let kept = GuestOutput::new(vec![b'x'; GuestOutput::MOST + 1], false);
        assert!(kept.truncated && kept.bytes.len() == GuestOutput::MOST);
        assert!(!GuestOutput::new(vec![b'x'; GuestOutput::MOST], false).truncated);
        assert!(GuestOutput::new(Vec::new(), true).truncated);
    }

    proptest! {
        #[test]
        fn every_list_of_words_can_be_written_as_a_line(
            program in "[ -~é]{1,12}",
            arguments in prop::collection::vec("[ -~é]{0,12}", 0..5),
        ) {
            let all = [vec![program], arguments].concat();
            let line: Vec<String> = all
                .iter()
                .map(|word| format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"")))
                .collect();
            prop_assert_eq!(words(&line.join(" ")), all);
        }
    }
}
