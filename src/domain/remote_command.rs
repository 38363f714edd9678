//! `RemoteCommand`: what is to be run on a host, as data. Never a string: rendering is the
//! transport's business and depends on the shell at the other end.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The language in which a host reads a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// A POSIX shell.
    Posix,
    /// Windows PowerShell behind whatever shell OpenSSH starts there.
    PowerShell,
}

/// One argument.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Arg {
    /// The argument as the program is to receive it.
    pub value: String,
    /// Replaced by `<redacted>` wherever a person or a file gets to see it.
    pub sensitive: bool,
}

/// A program with arguments, and perhaps bytes for its standard input.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RemoteCommand {
    /// Program name or path.
    pub program: String,
    /// Arguments.
    pub args: Vec<Arg>,
    /// Environment set for the program.
    pub env: Vec<(String, String)>,
    /// Bytes for standard input; it is closed after them.
    pub stdin: Option<Vec<u8>>,
    /// The language of the command line.
    pub dialect: Dialect,
    /// How long the program may live on the host. The host enforces it (`timeout -k 2 N`), because
    /// closing a channel does not end what runs in it. `None` for processes meant to stay.
    pub life: Option<Duration>,
}

impl RemoteCommand {
    /// Starts a command for a POSIX host.
    pub fn posix(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            stdin: None,
            dialect: Dialect::Posix,
            life: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, value: impl Into<String>) -> Self {
        self.args.push(Arg {
            value: value.into(),
            sensitive: false,
        });
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, values: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(values.into_iter().map(|value| Arg {
            value: value.into(),
            sensitive: false,
        }));
        self
    }

    /// Adds an argument that nobody may read back.
    #[must_use]
    pub fn secret_arg(mut self, value: impl Into<String>) -> Self {
        self.args.push(Arg {
            value: value.into(),
            sensitive: true,
        });
        self
    }

    /// Sets an environment variable for the program.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Gives it standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Bounds its life on the host.
    #[must_use]
    pub fn life(mut self, life: Duration) -> Self {
        self.life = Some(life);
        self
    }

    /// Returns the argument vector as a person may see it: program first, secrets redacted.
    pub fn shown(&self) -> Vec<String> {
        std::iter::once(self.program.clone())
            .chain(self.args.iter().map(|arg| {
                if arg.sensitive {
                    "<redacted>".to_owned()
                } else {
                    arg.value.clone()
                }
            }))
            .collect()
    }

    /// Returns the argument vector joined for one line of a dialog or log; words with blanks or
    /// quotes are quoted so that the borders of words stay visible.
    pub fn shown_line(&self) -> String {
        let plain = |word: &String| {
            !word.is_empty()
                && word
                    .chars()
                    .all(|c| c.is_alphanumeric() || "@%+=:,./-_".contains(c))
        };
        let words: Vec<String> = self
            .shown()
            .into_iter()
            .map(|word| {
                if plain(&word) {
                    word
                } else {
                    format!("'{}'", word.replace('\'', "'\\''"))
                }
            })
            .collect();
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let command = RemoteCommand::posix("virsh")
            .arg("start")
            .secret_arg("hunter2");
        assert_eq!(command.shown_line(), "virsh start '<redacted>'");
    }

    #[test]
    fn borders_of_words_stay_visible() {
        let command = RemoteCommand::posix("echo").arg("a b").arg("it's").arg("");
        assert_eq!(command.shown_line(), r"echo 'a b' 'it'\''s' ''");
    }
}
