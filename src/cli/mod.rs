//! The command line: words in, an [`Invocation`] out. The only place that knows clap.
//!
//! One definition serves parsing, help, suggestions, completions and the manual page. The verbs after
//! `--once` come from the verb catalogue. Nothing here reads a file, the environment or the clock.
//!
//! `--once` commands are ordinary subcommands that ask for the flag: so `vmdeck list` can say what was
//! meant, and completion works behind `--once`.

mod command;
mod dashboard;
mod define;
mod documents;
mod host;
mod import;
mod parse;
mod profile;
mod script;
mod serve;
mod set;
mod snapshot;
mod store;

pub use self::command::{Globals, command};
pub use self::dashboard::DashboardArgs;
pub use self::define::DefineArgs;
pub use self::documents::{Shell, complete, manual};
pub use self::host::{
    HostAdd, HostCommand, HostDeployKey, HostEdit, HostImport, HostTrust, LoginArgs,
};
pub use self::import::ImportCommand;
pub use self::parse::{Invocation, Task, UsageError, parse};
pub use self::profile::{
    AuditAcceptCut, AuditCommand, AuditTail, ConfigCommand, CredentialAdd, CredentialCommand,
    CredentialRotate, ProfileCommand,
};
pub use self::script::{
    Act, DoArgs, HostsArgs, ListArgs, OutputFormat, ScriptTask, ShowArgs, WatchArgs,
};
pub use self::serve::{ServeArgs, UserAdd, UserCommand};
pub use self::set::SetAct;
pub use self::snapshot::{Draft, SnapshotAct, SnapshotTask, SnapshotVerb};
pub use self::store::{
    NetworkListArgs, StorageListArgs, StoreActArgs, StoreListArgs, StoreShowArgs, StoreTask,
};
