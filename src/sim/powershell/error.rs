//! Error records: an exception chain with the identity PowerShell gives an error. Builders for the
//! errors of the language itself; a machine's own errors are made with [`ErrorRecord::new`].

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::value::Value;

/// The kind of an error (`System.Management.Automation.ErrorCategory`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Category {
    NotSpecified,
    OpenError,
    CloseError,
    DeviceError,
    DeadlockDetected,
    InvalidArgument,
    InvalidData,
    InvalidOperation,
    InvalidResult,
    InvalidType,
    MetadataError,
    NotImplemented,
    NotInstalled,
    ObjectNotFound,
    OperationStopped,
    OperationTimeout,
    SyntaxError,
    ParserError,
    PermissionDenied,
    ResourceBusy,
    ResourceExists,
    ResourceUnavailable,
    ReadError,
    WriteError,
    FromStdErr,
    SecurityError,
    ProtocolError,
    ConnectionError,
    AuthenticationError,
    LimitsExceeded,
    QuotaExceeded,
    NotEnabled,
}

impl Category {
    /// Every category, in the order of its number.
    pub(in crate::sim) const ALL: [Self; 32] = [
        Self::NotSpecified,
        Self::OpenError,
        Self::CloseError,
        Self::DeviceError,
        Self::DeadlockDetected,
        Self::InvalidArgument,
        Self::InvalidData,
        Self::InvalidOperation,
        Self::InvalidResult,
        Self::InvalidType,
        Self::MetadataError,
        Self::NotImplemented,
        Self::NotInstalled,
        Self::ObjectNotFound,
        Self::OperationStopped,
        Self::OperationTimeout,
        Self::SyntaxError,
        Self::ParserError,
        Self::PermissionDenied,
        Self::ResourceBusy,
        Self::ResourceExists,
        Self::ResourceUnavailable,
        Self::ReadError,
        Self::WriteError,
        Self::FromStdErr,
        Self::SecurityError,
        Self::ProtocolError,
        Self::ConnectionError,
        Self::AuthenticationError,
        Self::LimitsExceeded,
        Self::QuotaExceeded,
        Self::NotEnabled,
    ];

    /// Returns it as the value a script sees.
    pub(in crate::sim) fn value(self) -> Value {
        let number = Self::ALL.iter().position(|known| *known == self);
        Value::enumeration(
            "System.Management.Automation.ErrorCategory",
            &self.to_string(),
            number.and_then(|n| i64::try_from(n).ok()).unwrap_or(0),
        )
    }

    /// Finds a category by its name, whatever the case.
    pub(in crate::sim) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|known| known.to_string().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One exception of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim) struct Exception {
    /// Full type name.
    pub(in crate::sim) type_name: String,
    pub(in crate::sim) message: String,
    pub(in crate::sim) hresult: i32,
}

/// `COR_E_SYSTEM`-like default of exceptions that set no code of their own (.NET: `COR_E_EXCEPTION`).
const COR_E_EXCEPTION: i32 = 0x8013_1500_u32.cast_signed();
/// `COR_E_SYSTEM`, the code of `SystemException` and of PowerShell's own exceptions.
const COR_E_SYSTEM: i32 = 0x8013_1501_u32.cast_signed();

/// The type of errors of running scripts.
pub(in crate::sim) const RUNTIME_EXCEPTION: &str = "System.Management.Automation.RuntimeException";

impl Exception {
    /// Makes an exception with the code its family has.
    pub(in crate::sim) fn new(type_name: &str, message: impl Into<String>) -> Self {
        Self {
            type_name: type_name.to_owned(),
            message: message.into(),
            hresult: if type_name.starts_with("System.Management.Automation.") {
                COR_E_SYSTEM
            } else {
                COR_E_EXCEPTION
            },
        }
    }

    /// Sets the code.
    #[must_use]
    pub(in crate::sim) const fn with_hresult(mut self, hresult: i32) -> Self {
        self.hresult = hresult;
        self
    }
}

/// Where in a script an error arose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim) struct Position {
    /// Line, from 1.
    pub(in crate::sim) line: usize,
    /// Column, from 1.
    pub(in crate::sim) column: usize,
    /// The whole line.
    pub(in crate::sim) text: String,
    /// Characters the blamed expression spans.
    pub(in crate::sim) span: usize,
}

/// An error as a script and a person see it. Small to hand on: what it says is in a box.
#[derive(Debug, Clone)]
pub(in crate::sim) struct ErrorRecord(Box<Record>);

/// What an error record says.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Record {
    /// The exception and those inside it, outermost first; never empty.
    pub(in crate::sim) exceptions: Vec<Exception>,
    /// `FullyQualifiedErrorId`, with the class behind the comma where it has one.
    pub(in crate::sim) fqid: String,
    pub(in crate::sim) category: Category,
    /// The command blamed (`CategoryInfo.Activity`); the interpreter fills in the running one.
    pub(in crate::sim) activity: String,
    /// `CategoryInfo.Reason` where it is not the exception's short type name.
    pub(in crate::sim) reason: Option<String>,
    /// `TargetObject`.
    pub(in crate::sim) target: Value,
    /// Whether it ends the statement whatever `$ErrorActionPreference` says.
    pub(in crate::sim) terminating: bool,
    /// Filled in by the interpreter.
    pub(in crate::sim) position: Option<Position>,
    /// What was thrown, when that was no exception (`TargetObject` of `throw`).
    pub(in crate::sim) details: Option<String>,
}

impl ErrorRecord {
    /// Makes a non-terminating error with one exception.
    pub(in crate::sim) fn new(
        type_name: &str,
        message: impl Into<String>,
        fqid: impl Into<String>,
        category: Category,
    ) -> Self {
        Self(Box::new(Record {
            exceptions: vec![Exception::new(type_name, message)],
            fqid: fqid.into(),
            category,
            activity: String::new(),
            reason: None,
            target: Value::Null,
            terminating: false,
            position: None,
            details: None,
        }))
    }

    /// Makes a terminating error of the language itself.
    pub(in crate::sim) fn runtime(
        message: impl Into<String>,
        fqid: &str,
        category: Category,
    ) -> Self {
        Self::new(RUNTIME_EXCEPTION, message, fqid, category).terminating()
    }

    /// Makes what `throw` makes of a text.
    pub(in crate::sim) fn thrown(message: &str, target: Value) -> Self {
        let mut record = Self::runtime(message, message, Category::OperationStopped);
        record.target = target;
        record
    }

    /// Makes what a .NET method's exception becomes: the exception inside a `MethodInvocationException`.
    pub(in crate::sim) fn in_method(method: &str, count: usize, inner: Exception) -> Self {
        let short = short_type(&inner.type_name).to_owned();
        let message = format!(
            "Exception calling \"{method}\" with \"{count}\" argument(s): \"{}\"",
            inner.message
        );
        let mut record = Self::new(
            "System.Management.Automation.MethodInvocationException",
            message,
            short,
            Category::NotSpecified,
        )
        .terminating();
        record.exceptions.push(inner);
        record
    }

    /// Adds an exception inside those there are.
    #[must_use]
    pub(in crate::sim) fn caused_by(mut self, inner: Exception) -> Self {
        self.exceptions.push(inner);
        self
    }

    /// Sets the code of the outermost exception.
    #[must_use]
    pub(in crate::sim) fn with_hresult(mut self, hresult: u32) -> Self {
        if let Some(outer) = self.exceptions.first_mut() {
            outer.hresult = hresult.cast_signed();
        }
        self
    }

    /// Sets `TargetObject`.
    #[must_use]
    pub(in crate::sim) fn with_target(mut self, target: impl Into<Value>) -> Self {
        self.target = target.into();
        self
    }

    /// Sets `CategoryInfo.Activity`.
    #[must_use]
    pub(in crate::sim) fn in_command(mut self, activity: &str) -> Self {
        activity.clone_into(&mut self.activity);
        self
    }

    /// Sets `CategoryInfo.Reason`.
    #[must_use]
    pub(in crate::sim) fn because(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    /// Makes it end the statement whatever the preference says.
    #[must_use]
    pub(in crate::sim) fn terminating(mut self) -> Self {
        self.terminating = true;
        self
    }

    /// Returns the outermost message.
    pub(in crate::sim) fn message(&self) -> &str {
        self.exceptions
            .first()
            .map_or("", |exception| &exception.message)
    }

    /// Returns the outermost exception's full type name.
    pub(in crate::sim) fn exception_type(&self) -> &str {
        self.exceptions
            .first()
            .map_or("System.Exception", |exception| &exception.type_name)
    }

    /// Returns `CategoryInfo.Reason`.
    pub(in crate::sim) fn reason(&self) -> &str {
        self.reason
            .as_deref()
            .unwrap_or_else(|| short_type(self.exception_type()))
    }
}

impl Deref for ErrorRecord {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.0
    }
}

impl DerefMut for ErrorRecord {
    fn deref_mut(&mut self) -> &mut Record {
        &mut self.0
    }
}

/// Returns a type's name without its namespace.
pub(in crate::sim) fn short_type(full: &str) -> &str {
    full.rsplit('.').next().unwrap_or(full)
}
