//! Objects of the .NET classes the language carries itself: encodings, streams, stop-watches, lists.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::value::Value;

/// An object of a .NET class.
#[derive(Debug)]
pub(in crate::sim) enum Native {
    Encoding(Encoding),
    /// `MemoryStream`: its bytes and how many were read.
    Memory(Mutex<Cursor>),
    /// `GzipStream`, inflated: what is still to be read.
    Inflated(Mutex<Cursor>),
    /// `StreamReader`: the text still to be read.
    Reader(Mutex<String>),
    StringBuilder(Mutex<String>),
    Stopwatch(Mutex<Stopwatch>),
    /// `ArrayList` and `List[object]`.
    List(Mutex<Vec<Value>>, &'static str),
    /// `[Console]::Out` and `::Error`.
    Writer {
        error: bool,
    },
    /// `$ExecutionContext` and its `SessionState`.
    ExecutionContext,
    SessionState,
    Regex(Box<regex::Regex>),
    /// `SecureString`.
    Secret(Mutex<String>),
    /// The stream of `[Console]::OpenStandardInput()`, and a reader of it.
    StandardInput,
    InputReader,
    /// `char[]` of characters that stand for bytes.
    Chars(Mutex<Vec<u8>>),
    /// `Process`.
    Program(Program),
    /// One of its outputs.
    Output {
        program: Arc<Native>,
        error: bool,
    },
    /// `Stream.Null`.
    Nowhere,
    Task(Task),
}

/// A program that a script started.
#[derive(Debug)]
pub(in crate::sim) struct Program {
    pub(in crate::sim) id: i32,
    pub(in crate::sim) code: i32,
    pub(in crate::sim) out: Vec<u8>,
    pub(in crate::sim) err: Vec<u8>,
    /// When it has done what it does; `None` for never.
    pub(in crate::sim) ends: Option<Timestamp>,
    /// Bytes of both outputs that were taken.
    pub(in crate::sim) taken: Mutex<(usize, usize)>,
}

/// Something that is waited for: a line of standard input, or an output of a program.
#[derive(Debug)]
pub(in crate::sim) struct Task {
    /// The program, and whether as much was read as was asked for; `None` for standard input.
    pub(in crate::sim) of: Option<(Arc<Native>, bool)>,
    pub(in crate::sim) done: AtomicBool,
    pub(in crate::sim) result: Mutex<Value>,
}

/// Bytes and a place in them.
#[derive(Debug, Default)]
pub(in crate::sim) struct Cursor {
    pub(in crate::sim) bytes: Vec<u8>,
    pub(in crate::sim) read: usize,
}

/// Time measured so far and since when it runs.
#[derive(Debug, Default)]
pub(in crate::sim) struct Stopwatch {
    /// In ticks.
    pub(in crate::sim) before: i64,
    pub(in crate::sim) since: Option<Timestamp>,
}

/// How text becomes bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Encoding {
    /// With or without a byte order mark before the first output.
    Utf8 {
        marked: bool,
    },
    Utf16,
    Ascii,
    /// A code page by its number.
    Page(u16),
}

/// Locks what an object holds.
pub(super) fn lock<T>(cell: &Mutex<T>) -> MutexGuard<'_, T> {
    cell.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Encoding {
    /// Returns the number of its code page.
    pub(super) const fn code_page(self) -> u16 {
        match self {
            Self::Utf8 { .. } => 65001,
            Self::Utf16 => 1200,
            Self::Ascii => 20127,
            Self::Page(page) => page,
        }
    }
}

impl Native {
    /// Returns the class's full name.
    pub(in crate::sim) const fn type_name(&self) -> &'static str {
        match self {
            Self::Encoding(Encoding::Utf8 { .. }) => "System.Text.UTF8Encoding",
            Self::Encoding(Encoding::Utf16) => "System.Text.UnicodeEncoding",
            Self::Encoding(Encoding::Ascii) => "System.Text.ASCIIEncoding",
            Self::Encoding(Encoding::Page(_)) => "System.Text.SBCSCodePageEncoding",
            Self::Memory(_) => "System.IO.MemoryStream",
            Self::Inflated(_) => "System.IO.Compression.GZipStream",
            Self::StringBuilder(_) => "System.Text.StringBuilder",
            Self::Stopwatch(_) => "System.Diagnostics.Stopwatch",
            Self::List(_, name) => name,
            Self::Writer { .. } => "System.IO.TextWriter+SyncTextWriter",
            Self::ExecutionContext => "System.Management.Automation.EngineIntrinsics",
            Self::SessionState => "System.Management.Automation.SessionState",
            Self::Regex(_) => "System.Text.RegularExpressions.Regex",
            Self::Secret(_) => "System.Security.SecureString",
            Self::StandardInput => "System.IO.__ConsoleStream",
            Self::Reader(_) | Self::InputReader | Self::Output { .. } => "System.IO.StreamReader",
            Self::Chars(_) => "System.Char[]",
            Self::Program(_) => "System.Diagnostics.Process",
            Self::Nowhere => "System.IO.Stream+NullStream",
            Self::Task(_) => "System.Threading.Tasks.Task",
        }
    }

    /// Returns the elements of a list.
    pub(in crate::sim) fn items(&self) -> Option<Vec<Value>> {
        match self {
            Self::List(items, _) => Some(lock(items).clone()),
            _ => None,
        }
    }

    /// Returns its text.
    pub(super) fn text(&self) -> String {
        match self {
            Self::StringBuilder(text) => lock(text).clone(),
            Self::Regex(regex) => regex.as_str().to_owned(),
            other => other.type_name().to_owned(),
        }
    }
}
