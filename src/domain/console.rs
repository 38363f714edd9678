//! A VM's console, or a shell in it, in words that every layer knows: how large the terminal is, what goes in, what
//! comes out, how it ends.

use super::error_kind::Failure;
use super::guest_login::GuestLogin;
use super::host_key::HostKeyQuestion;

/// Columns and lines of a terminal, neither of them zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    columns: u16,
    lines: u16,
}

impl TerminalSize {
    /// Most columns or lines that are asked for: more than any screen has, little enough to be drawn.
    pub const MOST: u16 = 1000;

    /// Takes a size; what is too small or too large becomes the nearest that is neither.
    pub fn new(columns: u16, lines: u16) -> Self {
        Self {
            columns: columns.clamp(1, Self::MOST),
            lines: lines.clamp(1, Self::MOST),
        }
    }

    /// Returns the columns.
    pub const fn columns(self) -> u16 {
        self.columns
    }

    /// Returns the lines.
    pub const fn lines(self) -> u16 {
        self.lines
    }
}

/// What goes into a console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsoleInput {
    /// Bytes for the VM, as a terminal sends them.
    Bytes(Vec<u8>),
    /// The terminal has another size.
    Size(TerminalSize),
}

/// What is opened of a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsoleKind {
    /// Its serial console.
    Serial {
        /// End the session of whoever has it.
        take_over: bool,
    },
    /// A shell in it, over SSH through its host.
    Shell(GuestLogin),
}

/// What comes out of a console.
#[derive(Debug, Clone, PartialEq)]
pub enum ConsoleNews {
    /// Bytes that the VM wrote. They may hold anything, and go to no terminal but an emulated one.
    Output(Vec<u8>),
    /// The VM's SSH server shows a key that a person has to decide on; the end follows.
    AskKey(Box<HostKeyQuestion>),
    /// It is over; nothing comes after.
    Ended(ConsoleEnd),
}

/// How a console came to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsoleEnd {
    /// What kind of end.
    pub why: ConsoleEndKind,
    /// In words, with what to do next.
    pub cause: Failure,
}

/// The ends that a person answers differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleEndKind {
    /// The VM is off: there is nobody at the other end until it runs again.
    VmOff,
    /// Somebody else has it, and was there first.
    InUse,
    /// It was cut: somebody else took it, or the line broke at the hypervisor.
    Cut,
    /// The connection to the host is gone.
    LinkLost,
    /// It cannot be had: not defined, not allowed, not supported.
    Impossible,
    /// The shell ended.
    Left,
}

/// Keys for a VM's keyboard.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyStrokes {
    /// What it takes to write a text.
    Text(String),
    /// Control, alt and delete together.
    CtrlAltDel,
}

impl KeyStrokes {
    /// Most characters that are typed at once: what a person types into one line.
    pub const MOST: usize = 256;

    /// Says which they are for the record, which is read by others: not what is typed, which may be a
    /// password, nor how long it is.
    pub const fn recorded(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::CtrlAltDel => "ctrl-alt-del",
        }
    }

    /// Says how many they are to whoever has typed them.
    pub fn in_words(&self) -> String {
        match self {
            Self::Text(text) if text == "\n" => "Enter".to_owned(),
            Self::Text(text) => format!("{} keys", text.chars().count()),
            Self::CtrlAltDel => "ctrl-alt-del".to_owned(),
        }
    }
}

impl std::fmt::Debug for KeyStrokes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyStrokes({})", self.recorded())
    }
}
