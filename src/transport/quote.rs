//! The only rendering of a [`RemoteCommand`] into a command line.
//!
//! A POSIX command line is a list of words for the login shell: `env NAME=VALUE ... timeout -k 2 N
//! program argument ...`, each word quoted on its own, so that what the program receives is what the
//! command holds, byte for byte (tested against real shells). Nothing else may build a command line.
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
    /// Nobody has written the rendering for this language yet.
    #[error("the command cannot be sent: commands for {0:?} hosts are not supported yet")]
    Unsupported(Dialect),
}

/// Renders a command for the login shell of the host.
pub fn render(command: &RemoteCommand) -> Result<String, QuoteError> {
    match command.dialect {
        Dialect::Posix => render_posix(command),
        Dialect::PowerShell => Err(QuoteError::Unsupported(Dialect::PowerShell)),
    }
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

    use proptest::prelude::*;

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
    fn the_language_of_windows_hosts_is_a_clear_error() {
        let mut command = virsh();
        command.dialect = Dialect::PowerShell;
        assert_eq!(
            render(&command),
            Err(QuoteError::Unsupported(Dialect::PowerShell))
        );
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn any_words_arrive_as_they_are(
            commands in proptest::collection::vec(
                proptest::collection::vec("[^\u{0}]{1,30}|['\"\\\\$`;&|<>(){} \n\t!*?~#=-]{1,12}", 1..6),
                1..12,
            )
        ) {
            judge(&commands);
        }
    }
}
