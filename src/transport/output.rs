//! What comes back from a remote command, with bounds on all of it.

use std::fmt;
use std::time::Duration;

/// How a remote command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitStatus {
    /// It returned this code (32 bits: Windows uses them all).
    Code(u32),
    /// A signal ended it; the name as the server sent it, without `SIG`.
    Signal(String),
    /// The channel closed without a word about it.
    Missing,
}

impl ExitStatus {
    /// Returns true for code 0.
    pub fn is_success(&self) -> bool {
        *self == Self::Code(0)
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit {code}"),
            Self::Signal(name) => write!(f, "killed by signal {name}"),
            Self::Missing => f.write_str("no exit status"),
        }
    }
}

/// Bounds of one command.
#[derive(Debug, Clone, Copy)]
pub struct ExecLimits {
    /// From opening the channel to its close.
    pub deadline: Duration,
    /// Bytes of standard output kept; more ends the command with `truncated`.
    pub stdout: usize,
    /// Bytes of standard error kept; more is drained and dropped.
    pub stderr: usize,
}

impl ExecLimits {
    /// Bounds for an ordinary question: 8 MiB and 256 KiB.
    pub const fn within(deadline: Duration) -> Self {
        Self {
            deadline,
            stdout: 8 * 1024 * 1024,
            stderr: 256 * 1024,
        }
    }
}

/// Everything a command said.
#[derive(Debug, Clone)]
pub struct CommandOutput {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Whether a cap cut either of them.
    pub truncated: bool,
    /// From opening the channel to its close.
    pub elapsed: Duration,
}

/// A piece of output of a process that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    /// From standard output.
    Stdout(Vec<u8>),
    /// From standard error.
    Stderr(Vec<u8>),
    /// It has ended; output may still follow.
    Exit(ExitStatus),
    /// Nothing more will come.
    Closed,
}
