//! From words to an [`Invocation`].

use std::ffi::OsString;

use clap::FromArgMatches;
use clap::error::ErrorKind as ClapKind;

use super::command::{Globals, Managing, command, read_root};
use super::dashboard::DashboardArgs;
use super::documents::Shell;
use super::host::HostCommand;
use super::import::ImportCommand;
use super::profile::{AuditCommand, ConfigCommand, CredentialCommand, ProfileCommand};
use super::script::{self, ScriptTask};
use super::serve::{ServeArgs, UserCommand};
use crate::domain::error_kind::{Classify, ErrorKind, Hint};

/// What the program was started for.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Options of every command.
    pub globals: Globals,
    /// The command.
    pub task: Task,
}

/// A command.
#[derive(Debug, Clone)]
pub enum Task {
    /// Open the dashboard.
    Dashboard(DashboardArgs),
    /// Serve over HTTP.
    Serve(Box<ServeArgs>),
    /// Run one scripted command.
    Once(Box<ScriptTask>),
    /// Keep profiles.
    Profile(ProfileCommand),
    /// Keep hosts.
    Host(Box<HostCommand>),
    /// Keep credentials.
    Credential(CredentialCommand),
    /// Read the record.
    Audit(AuditCommand),
    /// Take over from older programs.
    Import(ImportCommand),
    /// Keep users of the server.
    User(Box<UserCommand>),
    /// Look at the configuration.
    Config(ConfigCommand),
    /// Print completions.
    Completions(Shell),
    /// Print a manual page.
    Man(Vec<String>),
}

/// Why the words are no command, or what to print instead of running one (`--help`, `--version`).
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct UsageError {
    /// The whole text for a person, usage line included, without colours.
    pub text: String,
    /// The first line of it, without `error: `.
    pub message: String,
    /// Whether this is what was asked for, to be printed on standard output.
    pub asked_for: bool,
    /// Whether errors were asked for as JSON.
    pub json: bool,
}

impl Classify for UsageError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hint(&self) -> Option<Hint> {
        Some(Hint::new("`vmdeck --help` lists every command"))
    }
}

/// Reads the words the program was started with, its own name first.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Invocation, UsageError> {
    let words: Vec<OsString> = words.into_iter().collect();
    let json = wants_json(&words);
    read(&words).map_err(|error| describe(&error, json))
}

fn read(words: &[OsString]) -> Result<Invocation, clap::Error> {
    let mut definition = command();
    let matches = definition.try_get_matches_from_mut(words)?;
    let (globals, dashboard, serve) = read_root(&matches)?;
    if dashboard.record.is_some() && matches.subcommand_name().is_some() {
        return Err(definition.error(
            ClapKind::ArgumentConflict,
            "`--record` is about the dashboard and takes no command: leave one of the two out",
        ));
    }
    if serve.serve && matches.subcommand_name().is_some() {
        return Err(definition.error(
            ClapKind::ArgumentConflict,
            "`--serve` takes no command: leave one of the two out",
        ));
    }
    let script = matches
        .subcommand()
        .map_or(Ok(None), |(name, sub)| script::read(name, sub))?;
    let task = match (script, globals.once) {
        (Some(task), true) => Task::Once(Box::new(task)),
        (Some(_), false) => {
            let name = matches.subcommand_name().unwrap_or_default();
            let message =
                format!("`{name}` is a scripted command: write `vmdeck --once {name} ...`\n");
            return Err(definition.error(ClapKind::MissingRequiredArgument, message));
        }
        (None, once) => match managing(&matches)? {
            None if once => {
                return Err(definition.error(
                    ClapKind::MissingSubcommand,
                    "`--once` needs a command, like `vmdeck --once list`",
                ));
            }
            Some(_) if once => {
                return Err(definition.error(
                    ClapKind::ArgumentConflict,
                    "this command is not a scripted one: leave out `--once`",
                ));
            }
            None if serve.serve => Task::Serve(Box::new(serve)),
            None => Task::Dashboard(dashboard),
            Some(task) => task,
        },
    };
    Ok(Invocation { globals, task })
}

fn managing(matches: &clap::ArgMatches) -> Result<Option<Task>, clap::Error> {
    if matches.subcommand_name().is_none() {
        return Ok(None);
    }
    Ok(Some(match Managing::from_arg_matches(matches)? {
        Managing::Profile(command) => Task::Profile(command),
        Managing::Host(command) => Task::Host(Box::new(command)),
        Managing::Credential(command) => Task::Credential(command),
        Managing::Audit(command) => Task::Audit(command),
        Managing::Import(command) => Task::Import(command),
        Managing::User(command) => Task::User(Box::new(command)),
        Managing::Config(command) => Task::Config(command),
        Managing::Completions { shell } => Task::Completions(shell),
        Managing::Man { command } => Task::Man(command),
    }))
}

fn describe(error: &clap::Error, json: bool) -> UsageError {
    let text = error.render().to_string();
    let asked_for = matches!(
        error.kind(),
        ClapKind::DisplayHelp | ClapKind::DisplayVersion
    );
    let message = text
        .lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .trim_end()
        .to_owned();
    UsageError {
        text,
        message,
        asked_for,
        json,
    }
}

/// Returns true when errors are to be JSON, even where the words could not be read to their end.
fn wants_json(words: &[OsString]) -> bool {
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let asked = words
        .windows(2)
        .any(|pair| matches!(pair, ["-o" | "--output", "json" | "ndjson"]));
    asked
        || words.iter().any(|word| {
            matches!(
                *word,
                "-ojson"
                    | "-ondjson"
                    | "-o=json"
                    | "-o=ndjson"
                    | "--output=json"
                    | "--output=ndjson"
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::action::ActionKind;

    fn words(line: &str) -> Result<Invocation, UsageError> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn without_words_it_is_the_dashboard() {
        let invocation = words("vmdeck --read-only").unwrap();
        assert!(matches!(invocation.task, Task::Dashboard(args) if args.record.is_none()));
        assert!(invocation.globals.read_only);
    }

    #[test]
    fn a_recording_is_one_of_the_dashboard() {
        let invocation = words("vmdeck --demo --record a.cast").unwrap();
        let Task::Dashboard(args) = invocation.task else {
            panic!("not the dashboard");
        };
        assert_eq!(args.record, Some("a.cast".into()));
        for line in [
            "vmdeck --record a.cast --once list",
            "vmdeck --record a.cast --serve",
            "vmdeck --record a.cast host list",
        ] {
            assert!(!words(line).unwrap_err().asked_for, "{line}");
        }
    }

    #[test]
    fn global_options_stand_anywhere() {
        for line in [
            "vmdeck --profile lab --once list -o json",
            "vmdeck --once list -o json --profile lab",
            "vmdeck --once --profile lab list -o json",
        ] {
            let invocation = words(line).unwrap();
            assert_eq!(invocation.globals.profile.as_deref(), Some("lab"), "{line}");
            assert!(matches!(invocation.task, Task::Once(_)), "{line}");
        }
    }

    #[test]
    fn every_verb_of_the_catalogue_is_a_command() {
        for spec in ActionKind::plain() {
            let verb = match spec.kind {
                ActionKind::AutostartOn => "autostart on",
                ActionKind::AutostartOff => "autostart off",
                _ => spec.id,
            };
            let invocation = words(&format!("vmdeck --once {verb} web-1 kvm1/db --yes")).unwrap();
            let Task::Once(task) = invocation.task else {
                panic!("{verb} is no scripted command");
            };
            let ScriptTask::Act(act) = *task else {
                panic!("{verb} is no verb");
            };
            assert_eq!(act.kind, spec.kind);
            assert_eq!(act.targets, ["web-1", "kvm1/db"]);
            assert!(act.doing.yes);
        }
    }

    #[test]
    fn a_scripted_command_asks_for_its_flag() {
        let error = words("vmdeck list").unwrap_err();
        assert!(error.message.contains("vmdeck --once list"), "{error}");
        assert!(!error.asked_for);
        let error = words("vmdeck --once host list").unwrap_err();
        assert!(error.message.contains("leave out `--once`"), "{error}");
    }

    #[test]
    fn a_wrong_word_names_the_nearest() {
        let error = words("vmdeck --once shutdwn web-1").unwrap_err();
        assert!(error.text.contains("'shutdown'"), "{}", error.text);
        let error = words("vmdeck hots add").unwrap_err();
        assert!(error.text.contains("'host"), "{}", error.text);
        let error = words("vmdeck --once list --fliter x").unwrap_err();
        assert!(error.text.contains("--filter"), "{}", error.text);
    }

    #[test]
    fn help_and_version_are_no_errors() {
        for line in [
            "vmdeck --help",
            "vmdeck --version",
            "vmdeck --once list --help",
        ] {
            assert!(words(line).unwrap_err().asked_for, "{line}");
        }
    }

    #[test]
    fn json_is_noticed_before_the_words_are_read() {
        assert!(words("vmdeck --once nothing -o json").unwrap_err().json);
        assert!(!words("vmdeck --once nothing -o csv").unwrap_err().json);
    }
}
