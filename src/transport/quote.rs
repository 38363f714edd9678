//! The only rendering of a [`RemoteCommand`] into a command line.
//!
//! A POSIX command line is a list of words for the login shell: `env NAME=VALUE ... timeout -k 2 N
//! program argument ...`, each word quoted on its own, so that what the program receives is what the
//! command holds, byte for byte (tested against real shells). Nothing else may build a command line.
//!
//! A Windows command line is read by whatever shell OpenSSH starts there, so it holds no character that
//! any of them would act on: the program, constant options, and the script as base64 of UTF-16LE. Anything
//! that would need a quote is refused. cmd.exe takes 8191 characters at most (Microsoft: "Command prompt
//! line string limitation"), what stands around the command included.
//!
//! Redacted forms for people are [`RemoteCommand::shown`]'s business.

use std::time::Duration;

use thiserror::Error;

use crate::domain::remote_command::{Dialect, RemoteCommand};

/// Seconds between the polite and the hard end of a command that outlived its life.
pub const KILL_GRACE: Duration = Duration::from_secs(2);

/// Why a command cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QuoteError {
    /// No command line can carry it.
    #[error("the command cannot be sent: {what} holds a NUL character")]
    Nul {
        /// Which word.
        what: &'static str,
    },
    /// The program's name would be read as something else.
    #[error("the command cannot be sent: `{program}` cannot be the name of a program")]
    Program {
        /// The name.
        program: String,
    },
    /// The variable's name would be read as something else.
    #[error("the command cannot be sent: `{name}` cannot be the name of a variable")]
    Variable {
        /// The name.
        name: String,
    },
    /// A script that nobody has put into the form in which it travels.
    #[error("the command cannot be sent: the script is not encoded")]
    NotEncoded,
    /// The encoded script is something else.
    #[error("the command cannot be sent: what should be base64 is not")]
    NotBase64,
    /// Longer than a Windows shell takes.
    #[error(
        "the command cannot be sent: it has {length} characters, and Windows takes {WINDOWS_LINE}"
    )]
    TooLong {
        /// Its length in characters.
        length: usize,
    },
}

/// Characters of a command line for Windows, with some room for what its server puts around it.
pub const WINDOWS_LINE: usize = 8000;

/// How PowerShell is started: no banner, no profile, no prompts, and no execution policy in the way of a
/// command that is no file.
const POWERSHELL_OPTIONS: &str =
    "-NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand";

/// Renders a command for the login shell of the host.
pub fn render(command: &RemoteCommand) -> Result<String, QuoteError> {
    match command.dialect {
        Dialect::Posix => render_posix(command),
        Dialect::PowerShell => render_powershell(command),
    }
}

fn render_powershell(command: &RemoteCommand) -> Result<String, QuoteError> {
    let program = &command.program;
    // A path of Windows without blanks, a variable of cmd.exe in it at most.
    let is_program = !program.is_empty()
        && !program.starts_with('-')
        && program
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._\\:%-".contains(c));
    if !is_program {
        return Err(QuoteError::Program {
            program: program.clone(),
        });
    }
    let encoded = command.encoded.as_ref().ok_or(QuoteError::NotEncoded)?;
    let is_base64 = !encoded.is_empty()
        && encoded
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c));
    if !is_base64 {
        return Err(QuoteError::NotBase64);
    }
    let line = format!("{program} {POWERSHELL_OPTIONS} {encoded}");
    if line.len() > WINDOWS_LINE {
        return Err(QuoteError::TooLong { length: line.len() });
    }
    Ok(line)
}

fn render_posix(command: &RemoteCommand) -> Result<String, QuoteError> {
    let program = &command.program;
    // `env` takes a word with `=` for a variable, and `env` and `timeout` take one with `-` for an option.
    if program.is_empty() || program.starts_with('-') || program.contains('=') {
        return Err(QuoteError::Program {
            program: program.clone(),
        });
    }
    let mut words = Vec::with_capacity(command.args.len() + command.env.len() + 6);
    if !command.env.is_empty() {
        words.push("env".to_owned());
    }
    for (name, value) in &command.env {
        if !is_variable(name) {
            return Err(QuoteError::Variable { name: name.clone() });
        }
        words.push(posix_word(&format!("{name}={value}"), "a variable")?);
    }
    if let Some(life) = command.life {
        words.push(format!(
            "timeout -k {} {}",
            KILL_GRACE.as_secs(),
            whole_seconds(life)
        ));
    }
    words.push(posix_word(program, "the program")?);
    for arg in &command.args {
        words.push(posix_word(&arg.value, "an argument")?);
    }
    Ok(words.join(" "))
}

/// Rounds up to whole seconds, at least one: `timeout 0` would mean no limit.
fn whole_seconds(life: Duration) -> u64 {
    let whole = life.as_secs() + u64::from(life.subsec_nanos() > 0);
    whole.max(1)
}

fn is_variable(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Quotes one word for a POSIX shell; words of plain characters stay as they are.
fn posix_word(word: &str, what: &'static str) -> Result<String, QuoteError> {
    if word.contains('\0') {
        return Err(QuoteError::Nul { what });
    }
    let plain = !word.is_empty()
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c));
    Ok(if plain {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::Stdio;

    use proptest::strategy::{Strategy as _, ValueTree as _};
    use proptest::test_runner::{Config as ProptestConfig, TestRunner};

    use super::*;

    fn virsh() -> RemoteCommand {
        RemoteCommand::posix("virsh")
    }

    #[test]
    fn a_command_is_words_with_environment_and_life_in_front() {
        let command = virsh()
            .args(["-q", "start", "a b"])
            .env("LC_ALL", "C")
            .life(Duration::from_millis(1500));
        assert_eq!(
            render(&command).unwrap(),
            "env LC_ALL=C timeout -k 2 2 virsh -q start 'a b'"
        );
    }

    #[test]
    fn no_life_is_rounded_down_to_no_limit() {
        let command = virsh().life(Duration::ZERO);
        assert_eq!(render(&command).unwrap(), "timeout -k 2 1 virsh");
        let lives = [(1, 0, 1), (5, 0, 5), (5, 1, 6), (59, 999_999_999, 60)];
        for (seconds, nanos, whole) in lives {
            assert_eq!(whole_seconds(Duration::new(seconds, nanos)), whole);
        }
    }

    #[test]
    fn what_would_mean_something_else_is_refused() {
        for program in ["", "-k", "A=b"] {
            assert!(matches!(
                render(&RemoteCommand::posix(program)),
                Err(QuoteError::Program { .. })
            ));
        }
        for name in ["", "1A", "A B", "A=", "PATH;x", "é"] {
            assert!(matches!(
                render(&virsh().env(name, "x")),
                Err(QuoteError::Variable { .. })
            ));
        }
        assert_eq!(
            render(&virsh().arg("a\0b")),
            Err(QuoteError::Nul {
                what: "an argument"
            })
        );
    }

    #[test]
    fn a_windows_command_line_holds_nothing_that_a_shell_acts_on() {
        let script = || RemoteCommand::powershell("$x = \"a\"", "{}");
        assert_eq!(
            render(&script().encoded_as("JAB4AA==")).unwrap(),
            "powershell.exe -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand JAB4AA=="
        );
        assert_eq!(render(&script()), Err(QuoteError::NotEncoded));
        for bad in ["", "JAB4 AA", "JAB4\"", "a&b", "%PATH%", "JAB4\n", "é"] {
            assert_eq!(
                render(&script().encoded_as(bad)),
                Err(QuoteError::NotBase64),
                "{bad:?}"
            );
        }
        let mut odd = script().encoded_as("JAB4AA==");
        for program in [
            "",
            "-x",
            "a b",
            "a\"b",
            "a&b",
            "C:\\Program Files\\x.exe",
            "x'",
        ] {
            program.clone_into(&mut odd.program);
            assert!(
                matches!(render(&odd), Err(QuoteError::Program { .. })),
                "{program}"
            );
        }
        let around = render(&script().encoded_as("A")).unwrap().len() - 1;
        let longest = script().encoded_as("A".repeat(WINDOWS_LINE - around));
        assert_eq!(render(&longest).unwrap().len(), 8000);
        let over = script().encoded_as("A".repeat(WINDOWS_LINE - around + 1));
        assert_eq!(render(&over), Err(QuoteError::TooLong { length: 8001 }));
        let long = script().encoded_as("A".repeat(WINDOWS_LINE));
        assert!(matches!(render(&long), Err(QuoteError::TooLong { .. })));
    }

    /// Shells to ask: those of the machine; `sh` is always there.
    fn shells() -> Vec<&'static str> {
        ["/bin/sh", "/bin/bash", "/bin/dash", "/bin/busybox"]
            .into_iter()
            .filter(|path| std::path::Path::new(path).exists())
            .collect()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the real shell is the judge of quoting"
    )]
    fn through_shell(shell: &str, script: &str) -> Vec<u8> {
        let mut command = std::process::Command::new(shell);
        if shell.ends_with("busybox") {
            command.arg("sh");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(script.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap().stdout
    }

    /// Renders many commands as one script, so that one process of each shell judges them all.
    fn judge(commands: &[Vec<String>]) {
        let mut script = String::new();
        let mut expected = Vec::new();
        for args in commands {
            let command = RemoteCommand::posix("printf")
                .arg("%s\\0")
                .args(args.clone())
                .env("LC_ALL", "C");
            script.push_str(&render(&command).unwrap());
            script.push('\n');
            for arg in args {
                expected.extend_from_slice(arg.as_bytes());
                expected.push(0);
            }
        }
        for shell in shells() {
            assert_eq!(
                String::from_utf8_lossy(&through_shell(shell, &script)),
                String::from_utf8_lossy(&expected),
                "{shell}"
            );
        }
    }

    #[test]
    fn hostile_words_arrive_as_they_are() {
        let words = [
            "",
            " ",
            "'",
            "''",
            "\\",
            "\"",
            "$(touch /tmp/x)",
            "`id`",
            "a;b",
            "a&b",
            "a|b",
            "a\nb",
            "\r",
            "\t",
            "~",
            "~root",
            "*",
            "?",
            "[a]",
            "{a,b}",
            "!x",
            "#x",
            "-n",
            "--",
            "%TEMP%",
            "$HOME",
            "\u{202e}",
            "\u{1b}[31m",
            "\u{2018}x\u{2019}",
            "é",
            "it's \"q\" \\ $x",
        ];
        judge(&[words.iter().map(|word| (*word).to_owned()).collect()]);
    }

    /// A case is a process of every shell there is, so there are fewer than of other properties, however
    /// many those are given.
    #[test]
    fn any_words_arrive_as_they_are() {
        let word = "[^\u{0}]{1,30}|['\"\\\\$`;&|<>(){} \n\t!*?~#=-]{1,12}";
        let words = proptest::collection::vec(word, 1..6);
        let commands = proptest::collection::vec(words, 1..12);
        let mut runner = TestRunner::new(ProptestConfig::default());
        for _ in 0..40 {
            judge(&commands.new_tree(&mut runner).unwrap().current());
        }
    }
}
