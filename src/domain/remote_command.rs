//! `RemoteCommand`: what is to be run on a host, as data. Never a string: rendering is the
//! transport's business and depends on the shell at the other end.

use std::fmt;
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
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Arg {
    /// The argument as the program is to receive it.
    pub value: String,
    /// Replaced by `<redacted>` wherever a person or a file gets to see it.
    pub sensitive: bool,
}

impl fmt::Debug for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sensitive {
            f.write_str("<redacted>")
        } else {
            fmt::Debug::fmt(&self.value, f)
        }
    }
}

/// A program with arguments, and perhaps bytes for its standard input.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// What PowerShell is given as its encoded command: base64 of UTF-16LE. It is made when the command is
    /// performed and never shown; what is shown is the script it was made of. `None` everywhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoded: Option<String>,
}

/// Without what is sent to it: a definition or a password may be that.
impl fmt::Debug for RemoteCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            program,
            args,
            env,
            stdin,
            dialect,
            life,
            encoded: _,
        } = self;
        f.debug_struct("RemoteCommand")
            .field("program", program)
            .field("args", args)
            .field("env", env)
            .field("stdin_bytes", &stdin.as_ref().map(Vec::len))
            .field("dialect", dialect)
            .field("life", life)
            .finish_non_exhaustive()
    }
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
            encoded: None,
        }
    }

    /// Starts a command for Windows PowerShell: a script, as it is to be read, and its arguments as
    /// JSON. Whoever performs it has to encode it ([`Self::encoded_as`]) first.
    pub fn powershell(script: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self {
            program: "powershell.exe".to_owned(),
            dialect: Dialect::PowerShell,
            ..Self::posix("")
        }
        .arg(script)
        .arg(arguments)
    }

    /// Gives it the form in which it travels.
    #[must_use]
    pub fn encoded_as(mut self, base64: impl Into<String>) -> Self {
        self.encoded = Some(base64.into());
        self
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
    /// quotes are quoted so that the borders of words stay visible. The statements of a PowerShell
    /// script stand in braces.
    pub fn shown_line(&self) -> String {
        let words: Vec<String> = match self.dialect {
            Dialect::Posix => self.shown().into_iter().map(posix_word).collect(),
            Dialect::PowerShell => self.shown().into_iter().map(powershell_word).collect(),
        };
        words.join(" ")
    }
}

fn is_plain(word: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "@%+=:,./-_".contains(c);
    !word.is_empty() && word.chars().all(plain)
}

fn posix_word(word: String) -> String {
    if is_plain(&word) {
        word
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn powershell_word(word: String) -> String {
    if is_plain(&word) {
        return word;
    }
    let mut lines = word.lines().map(str::trim).filter(|line| !line.is_empty());
    match (lines.next(), lines.next()) {
        (Some(first), Some(second)) => {
            let statements: Vec<&str> = [first, second].into_iter().chain(lines).collect();
            format!("{{ {} }}", statements.join("; "))
        }
        _ => format!("'{}'", word.replace('\'', "''")),
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
        let command = command.stdin("passwd='hunter2'");
        let debug = format!("{command:?}");
        assert!(!debug.contains("hunter2"), "{debug}");
        assert!(debug.contains("\"start\", <redacted>") && debug.contains("stdin_bytes: Some(16)"));
    }

    #[test]
    fn borders_of_words_stay_visible() {
        let command = RemoteCommand::posix("echo").arg("a b").arg("it's").arg("");
        assert_eq!(command.shown_line(), r"echo 'a b' 'it'\''s' ''");
    }

    #[test]
    fn a_script_is_shown_as_it_is_read_and_never_as_it_travels() {
        let command = RemoteCommand::powershell("$vm = 1\nStop $vm\n", "{\"id\":\"it's\"}")
            .encoded_as("QUJD");
        assert_eq!(
            command.shown_line(),
            "powershell.exe { $vm = 1; Stop $vm } '{\"id\":\"it''s\"}'"
        );
        assert_eq!(command.shown().len(), 3);
    }

    #[test]
    fn plans_written_before_there_was_an_encoded_form_stay_readable() {
        let mut old = serde_json::to_value(RemoteCommand::posix("virsh")).unwrap();
        assert!(old.as_object_mut().unwrap().remove("encoded").is_none());
        let read: RemoteCommand = serde_json::from_value(old).unwrap();
        assert_eq!(read, RemoteCommand::posix("virsh"));
    }
}
