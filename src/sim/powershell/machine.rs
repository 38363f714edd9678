//! What a script reaches beyond the language: the commands, objects and facts of a Windows host.
//! `sim::hyperv` implements [`Machine`]; tests have doubles. Binding, preferences and error rules
//! are the interpreter's: a machine only declares its commands and answers calls.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::call::Call;
use super::error::{Category, ErrorRecord};
use super::life::{Life, Processes};
use super::object::Object;
use super::spec::Spec;
use super::value::{Value, Version};

/// A Windows host as the language and the shells see it. One machine serves one process; what is
/// shared between processes sits behind it.
pub(in crate::sim) trait Machine: Send {
    /// Returns the host's facts.
    fn windows(&self) -> Arc<Windows>;

    /// Declares a command, named without its module and in any case. `None`: the host has no such
    /// command, and the interpreter says so as PowerShell does.
    fn spec(&self, name: &str) -> Option<&'static Spec>;

    /// Runs a command that was declared; arguments are bound and converted as the spec says.
    fn command(&mut self, call: &Call) -> Reply;

    /// Calls a method of an object that carries a type of the machine's. `None`: it has no such method.
    fn method(
        &mut self,
        on: &Object,
        name: &str,
        arguments: &[Value],
    ) -> Option<Result<Value, ErrorRecord>>;

    /// Reads a static property (`arguments` is `None`) or calls a static method of a type the
    /// language does not carry itself, such as `Security.Principal.WindowsIdentity`; the name is
    /// full and as .NET spells it where known. `None`: no such type or member.
    fn static_member(
        &mut self,
        type_name: &str,
        member: &str,
        arguments: Option<&[Value]>,
    ) -> Option<Result<Value, ErrorRecord>>;

    /// Makes an object of a type the language does not carry (`New-Object`, `[T]::new()`).
    fn construct(
        &mut self,
        _type_name: &str,
        _arguments: &[Value],
    ) -> Option<Result<Value, ErrorRecord>> {
        None
    }

    /// Returns the host's time.
    fn now(&self) -> Timestamp;

    /// Lets time pass; `false` when the process is ended meanwhile. A host whose time runs faster
    /// scales it here.
    fn sleep(&mut self, life: &Life, time: Duration) -> bool {
        life.wait(time)
    }

    /// Returns the host's process table.
    fn processes(&self) -> Processes;

    /// Returns a variable of the environment, its name in any case.
    fn environment(&self, _name: &str) -> Option<String> {
        None
    }

    /// Finds a program that is neither a shell nor one of Windows' own, by its name with or without
    /// `.exe`; returns its path.
    fn program(&self, _name: &str) -> Option<String> {
        None
    }

    /// Opens a session in a VM for an account: programs are started in it until it is left.
    fn enter_guest(
        &mut self,
        call: &Call,
        _vm: &Value,
        _account: (&str, &str),
    ) -> Result<(), Box<ErrorRecord>> {
        let class = "System.Management.Automation.ParameterBindingException";
        let message = "This host has no virtual machines.";
        let record = call.error(class, message, "NoVM", Category::NotEnabled);
        Err(Box::new(record))
    }

    /// Leaves that session.
    fn leave_guest(&mut self) {}

    /// Starts a program where the script is; the error is what Windows says.
    fn start_program(&mut self, _program: &str, _words: &str) -> Result<Started, String> {
        Err("The system cannot find the file specified".to_owned())
    }

    /// Says what is at a path; `None` when there is nothing.
    fn path(&self, _path: &str) -> Option<PathKind> {
        None
    }

    /// Reads a file, for `powershell.exe -File`.
    fn read_file(&self, _path: &str) -> Option<Vec<u8>> {
        None
    }
}

/// A program that was started: how it will end, and what it prints.
#[derive(Debug, Clone, Default)]
pub(in crate::sim) struct Started {
    pub(in crate::sim) id: i32,
    pub(in crate::sim) code: i32,
    pub(in crate::sim) out: Vec<u8>,
    pub(in crate::sim) err: Vec<u8>,
    /// How long it takes; `None` for ever.
    pub(in crate::sim) lasts: Option<Duration>,
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum PathKind {
    File,
    Folder,
}

/// What a command answers: results, and errors that came beside them.
#[derive(Debug, Clone, Default)]
pub(in crate::sim) struct Reply {
    pub(in crate::sim) output: Vec<Value>,
    /// In the order in which they arose. A record that is `terminating` ends the statement; for the
    /// rest the caller's error action decides.
    pub(in crate::sim) errors: Vec<ErrorRecord>,
    /// Texts for the warning stream.
    pub(in crate::sim) warnings: Vec<String>,
}

impl Reply {
    /// Answers nothing.
    pub(in crate::sim) fn nothing() -> Self {
        Self::default()
    }

    /// Answers results.
    pub(in crate::sim) fn values(output: Vec<Value>) -> Self {
        Self {
            output,
            ..Self::default()
        }
    }

    /// Answers one result.
    pub(in crate::sim) fn value(output: impl Into<Value>) -> Self {
        Self::values(vec![output.into()])
    }

    /// Fails.
    pub(in crate::sim) fn error(record: ErrorRecord) -> Self {
        Self {
            errors: vec![record],
            ..Self::default()
        }
    }

    /// Adds an error.
    #[must_use]
    pub(in crate::sim) fn and_error(mut self, record: ErrorRecord) -> Self {
        self.errors.push(record);
        self
    }

    /// Adds a warning.
    #[must_use]
    pub(in crate::sim) fn and_warning(mut self, text: impl Into<String>) -> Self {
        self.warnings.push(text.into());
        self
    }
}

impl From<Result<Vec<Value>, ErrorRecord>> for Reply {
    fn from(result: Result<Vec<Value>, ErrorRecord>) -> Self {
        match result {
            Ok(output) => Self::values(output),
            Err(record) => Self::error(record),
        }
    }
}

/// Languages whose texts the host's programs know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::sim) enum Language {
    #[default]
    English,
    German,
}

/// What a script may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::sim) enum LanguageMode {
    #[default]
    Full,
    /// As under an application-control policy: no methods, core types only.
    Constrained,
}

/// Which PowerShell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::sim) enum Edition {
    /// Windows PowerShell 5.1, `powershell.exe`.
    #[default]
    Desktop,
    /// PowerShell 7, `pwsh.exe`.
    Core,
}

/// One installed PowerShell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim) struct Installed {
    pub(in crate::sim) version: Version,
    /// From the process's start to the script's first statement.
    pub(in crate::sim) startup: Duration,
}

/// The shell that sshd starts for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::sim) enum DefaultShell {
    #[default]
    Cmd,
    PowerShell(Edition),
}

/// A Windows host's facts, as the shells and the language need them.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Windows {
    /// NetBIOS name, such as `HV01`.
    pub(in crate::sim) host_name: String,
    /// `domain\user` in lower case, as `whoami` says it.
    pub(in crate::sim) user: String,
    /// Such as 10.0.20348.0.
    pub(in crate::sim) os_version: Version,
    pub(in crate::sim) processors: u32,
    pub(in crate::sim) language: Language,
    /// Such as `de-DE`.
    pub(in crate::sim) culture: String,
    /// The console's output code page: 437, 850, 1252, 65001.
    pub(in crate::sim) code_page: u16,
    /// Seconds east of UTC.
    pub(in crate::sim) utc_offset: i32,
    pub(in crate::sim) language_mode: LanguageMode,
    pub(in crate::sim) default_shell: DefaultShell,
    /// What the user's profile prints when the default shell is a PowerShell; empty for nothing.
    pub(in crate::sim) banner: String,
    /// Windows PowerShell; `None` where it was removed or is not on the path.
    pub(in crate::sim) desktop: Option<Installed>,
    /// PowerShell 7.
    pub(in crate::sim) core: Option<Installed>,
    /// Whether the first output is preceded by a byte order mark once the encoding is UTF-8 with one.
    pub(in crate::sim) writes_bom: bool,
    /// Whether a read of standard input that starts on an empty pipe hangs in 5.1.
    pub(in crate::sim) input_wedges: bool,
}

impl Default for Windows {
    /// Windows Server 2022 in English, with both shells, without any delay.
    fn default() -> Self {
        Self {
            host_name: "HV01".to_owned(),
            user: r"hv01\administrator".to_owned(),
            os_version: Version([10, 0, 20348, 0]),
            processors: 8,
            language: Language::English,
            culture: "en-US".to_owned(),
            code_page: 437,
            utc_offset: 0,
            language_mode: LanguageMode::Full,
            default_shell: DefaultShell::Cmd,
            banner: String::new(),
            desktop: Some(Installed {
                version: Version([5, 1, 20348, 2849]),
                startup: Duration::ZERO,
            }),
            core: Some(Installed {
                version: Version([7, 4, 6, -1]),
                startup: Duration::ZERO,
            }),
            writes_bom: false,
            input_wedges: true,
        }
    }
}

impl Windows {
    /// Returns one of the installed ones.
    pub(in crate::sim) const fn installed(&self, edition: Edition) -> Option<&Installed> {
        match edition {
            Edition::Desktop => self.desktop.as_ref(),
            Edition::Core => self.core.as_ref(),
        }
    }
}
