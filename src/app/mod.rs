//! The composition: configuration -> profile -> vault -> audit -> fleet -> one front end.
//!
//! The only place that knows every layer. It converts configuration into each layer's own options, opens
//! things in order, hands a front end its [`FleetHandle`](crate::fleet::FleetHandle), and ends everything
//! in the opposite order. Nothing here decides anything a layer could decide.

mod compose;
mod dashboard;
mod demo;
mod first_key;
mod fleets;
mod harden;
mod keep;
mod logins;
mod scripted;
mod serve;
mod signals;

pub use self::fleets::{FleetParts, ServedFleets};
pub use self::harden::harden;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use crate::cli::{self, Globals, Invocation, Task};
use crate::clock::Clock;
use crate::config::{self, Environment, Loaded, Paths, Sources};
use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::domain::operation::{Actor, Door};
use crate::logging::{self, Destination};
use crate::manage::passphrase::PassphraseSource;
use crate::profile::ProfileName;
use crate::report::Complaint;

/// What every way through the program needs: the surroundings, read once.
struct Surroundings {
    globals: Globals,
    environment: Environment,
    paths: Paths,
    loaded: Loaded,
    clock: Clock,
    /// Whether a person is there to be asked.
    interactive: bool,
    /// Whether hosts are looked at once and left, so that what comes later is of no interest.
    one_look: bool,
    /// Whether the profile in use is another one than the program was started with.
    switched: bool,
}

/// Runs what the words ask for; everything it has to say has been written when it returns.
pub async fn run(
    words: impl IntoIterator<Item = std::ffi::OsString>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> ExitCode {
    let invocation = match cli::parse(words) {
        Ok(invocation) => invocation,
        Err(error) => return usage(&error, out, err),
    };
    let json = wants_json(&invocation.task);
    match Box::pin(dispatch(invocation, out, err)).await {
        Ok(code) => code,
        Err(complaint) => {
            let text = if json {
                complaint.to_json()
            } else {
                complaint.to_text()
            };
            // Nobody is left to tell when this fails.
            drop(err.write_all(text.as_bytes()));
            complaint.exit_code()
        }
    }
}

fn usage(error: &cli::UsageError, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    if error.asked_for {
        drop(out.write_all(error.text.as_bytes()));
        return ExitCode::Done;
    }
    let text = if error.json {
        Complaint::of(error).to_json()
    } else {
        crate::report::visible(&error.text)
    };
    drop(err.write_all(text.as_bytes()));
    ExitCode::Usage
}

fn wants_json(task: &Task) -> bool {
    match task {
        Task::Once(task) => scripted::asks_for_json(task),
        _ => false,
    }
}

async fn dispatch(
    invocation: Invocation,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Complaint> {
    let Invocation { globals, task } = invocation;
    match task {
        Task::Completions(shell) => {
            drop(cli::complete(shell, out));
            Ok(ExitCode::Done)
        }
        Task::Man(path) => match cli::manual(&path, out) {
            Ok(None) => {
                let message = format!("there is no command `{}`", path.join(" "));
                let failure = Failure::new(ErrorKind::NotFound, message);
                Err(failure
                    .with_hint("`vmdeck --help` lists every command")
                    .into())
            }
            Ok(Some(())) | Err(_) => Ok(ExitCode::Done),
        },
        Task::Dashboard(args) => {
            let around = Surroundings::read(globals)?;
            around.log(true)?;
            dashboard::run(around, &args, err).await
        }
        Task::Once(task) => {
            let mut around = Surroundings::read(globals)?;
            around.one_look = scripted::is_one_look(&task);
            around.log(false)?;
            if !scripted::asks_for_json(&task) {
                around.warn(err);
            }
            scripted::run(&around, &task, out, err).await
        }
        Task::Serve(args) => {
            let around = Surroundings::read(globals)?;
            around.log_requests()?;
            around.warn(err);
            Box::pin(serve::run(&around, &args, err)).await
        }
        task => {
            let around = Surroundings::read(globals)?;
            around.log(false)?;
            // The check says it itself.
            if matches!(task, Task::Config(cli::ConfigCommand::Check)) {
                dashboard::check(&around)?;
            } else {
                around.warn(err);
            }
            keep::run(&around, &task, out, err).await
        }
    }
}

impl Surroundings {
    fn read(globals: Globals) -> Result<Self, Complaint> {
        let environment = Environment::read();
        let mut paths = Paths::resolve(&environment).map_err(|error| Complaint::of(&error))?;
        let loaded = config::load(&Sources {
            file: globals.config.as_deref(),
            paths: &paths,
            environment: &environment,
            arguments: &[],
        })
        .map_err(|error| Complaint::of(&error))?;
        if let Some(file) = &globals.config {
            paths.config_file.clone_from(file);
        }
        Ok(Self {
            globals,
            environment,
            paths,
            loaded,
            clock: Clock::system(),
            interactive: std::io::stdin().is_terminal() && std::io::stderr().is_terminal(),
            one_look: false,
            switched: false,
        })
    }

    /// Says what in the surroundings has no effect. Where one object is promised on standard error,
    /// nothing else may stand there; the dashboard shows it in its error log.
    fn warn(&self, err: &mut dyn Write) {
        for warning in &self.loaded.warnings {
            // Nobody is left to tell when this fails.
            drop(writeln!(err, "warning: {warning}"));
        }
        for mistake in &self.loaded.mistakes {
            drop(writeln!(err, "warning: {}", mistake.message));
        }
    }

    /// Begins the log. Scripts get one only when they ask for it.
    fn log(&self, screen: bool) -> Result<(), Complaint> {
        let config = &self.loaded.config.log;
        let file = self
            .globals
            .log_file
            .clone()
            .or_else(|| config.file.clone());
        let destination = match file {
            Some(file) => Destination::File(file),
            None if screen => Destination::File(self.paths.log_file()),
            None if self.globals.verbose => Destination::StandardError,
            None => Destination::Nowhere,
        };
        let level = if self.globals.verbose {
            config::LogLevel::Debug
        } else {
            config.level
        };
        logging::start(&destination, level).map_err(Complaint::from)
    }

    /// Begins the log of the server: one JSON object a line, on standard error unless a file is named.
    fn log_requests(&self) -> Result<(), Complaint> {
        let config = &self.loaded.config.log;
        let file = self
            .globals
            .log_file
            .clone()
            .or_else(|| config.file.clone());
        let destination = file.map_or(Destination::StandardError, Destination::File);
        let level = if self.globals.verbose {
            config::LogLevel::Debug
        } else {
            config.level
        };
        logging::start_json(&destination, level).map_err(Complaint::from)?;
        logging::tell_panics_by_place();
        Ok(())
    }

    /// Returns the profile in use, and whether somebody named it.
    fn profile(&self) -> Result<(ProfileName, bool), Complaint> {
        let named = self
            .globals
            .profile
            .clone()
            .or_else(|| self.environment.profile());
        let is_named = named.is_some();
        let name = crate::manage::profile::name(named.as_deref().unwrap_or("default"))?;
        Ok((name, is_named))
    }

    /// Returns where the passphrase comes from.
    fn passphrase(&self) -> Option<PassphraseSource> {
        if self.switched {
            return self.interactive.then_some(PassphraseSource::Prompt);
        }
        let file = || {
            self.environment
                .passphrase_file()
                .map(PassphraseSource::File)
        };
        self.globals
            .passphrase_fd
            .map(PassphraseSource::Fd)
            .or_else(file)
            .or_else(|| self.interactive.then_some(PassphraseSource::Prompt))
    }

    /// Returns who acts, through which door.
    fn actor(&self, door: Door) -> Actor {
        Actor {
            door,
            user: self
                .environment
                .user()
                .unwrap_or_else(|| "unknown".to_owned()),
            key: None,
            client_ip: None,
        }
    }

    fn profiles(&self) -> PathBuf {
        self.paths.profiles()
    }
}
