//! The layers: default < file < environment < arguments, with the source of each value kept.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::error::{ConfigError, Place};
use super::file::{self, FileLayer, visible};
use super::keys::{KEYS, KeySpec, Value};
use super::nearest::nearest;
use super::paths::Paths;
use super::values::{ColorChoice, Config};
use crate::domain::error_kind::Failure;

/// Where to look.
#[derive(Debug, Clone)]
pub struct Sources<'a> {
    /// The file that an argument names; it must exist.
    pub file: Option<&'a Path>,
    /// Where things are.
    pub paths: &'a Paths,
    /// What the environment says.
    pub environment: &'a Environment,
    /// What arguments say: key (`once.timeout`), value as text, the argument as it is written.
    pub arguments: &'a [ArgumentValue],
}

/// One value from the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentValue {
    /// The key (`once.timeout`).
    pub key: String,
    /// The value as it was typed.
    pub value: String,
    /// The argument that set it (`--timeout`).
    pub argument: String,
}

/// The configuration with what is worth telling about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// Where each key's value came from; keys that are not in here have their default.
    pub origins: BTreeMap<String, Origin>,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// What is odd but no error: variables that set nothing.
    pub warnings: Vec<String>,
    /// What is wrong with commands and hooks that are therefore not in force.
    pub mistakes: Vec<Failure>,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// Somewhere else.
    Set(Place),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Set(place) => place.fmt(f),
        }
    }
}

/// One row of `config show --origin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownValue {
    /// `section.key`.
    pub key: String,
    /// As it would be written in the file.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

impl Loaded {
    /// Reads one text, as if it were the file.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn of_text(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut loaded = Self::default_of(Some(path));
        loaded.apply_file(file::parse(path, text)?)?;
        Ok(loaded)
    }

    fn default_of(file: Option<&Path>) -> Self {
        Self {
            config: Config::default(),
            origins: BTreeMap::new(),
            file: file.map(Path::to_owned),
            warnings: Vec::new(),
            mistakes: Vec::new(),
        }
    }

    /// Returns every value with its source, in the order of the documentation.
    pub fn show(&self) -> Vec<ShownValue> {
        let origin = |key: &str| self.origins.get(key).cloned().unwrap_or(Origin::Default);
        let mut rows: Vec<ShownValue> = KEYS
            .iter()
            .map(|spec| ShownValue {
                key: spec.path.to_owned(),
                value: spec.render(&self.config),
                origin: origin(spec.path),
            })
            .collect();
        let keys = self.config.tui.keys.iter().map(|(command, keys)| {
            let key = format!("tui.keys.{command}");
            let origin = origin(&key);
            ShownValue {
                key,
                value: format!("{keys:?}"),
                origin,
            }
        });
        let rules = self.config.policy.iter().map(|rule| ShownValue {
            key: "policy".to_owned(),
            value: super::keys::quote(&rule.name),
            origin: origin("policy"),
        });
        let commands = self.config.commands.iter().map(|command| ShownValue {
            key: "command".to_owned(),
            value: super::keys::quote(&command.description),
            origin: origin("command"),
        });
        let hooks = self.config.hooks.iter().map(|hook| ShownValue {
            key: "hook".to_owned(),
            value: super::keys::quote(hook.event.word()),
            origin: origin("hook"),
        });
        rows.extend(keys.chain(rules).chain(commands).chain(hooks));
        rows
    }
}

/// Reads all layers. A file that nobody named may be missing.
pub fn load(sources: &Sources<'_>) -> Result<Loaded, ConfigError> {
    let named = sources.file.is_some() || sources.environment.config().is_some();
    let path = sources.file.unwrap_or(&sources.paths.config_file);
    let text = match file::read(path) {
        Ok(text) => Some(text),
        Err(ConfigError::Read { source, .. })
            if !named && source.kind() == std::io::ErrorKind::NotFound =>
        {
            None
        }
        Err(error) => return Err(error),
    };
    let mut loaded = Loaded::default_of(text.is_some().then_some(path));
    if let Some(text) = &text {
        loaded.apply_file(file::parse(path, text)?)?;
    }
    loaded.apply_environment(sources.environment)?;
    for argument in sources.arguments {
        let place = Place::Argument(argument.argument.clone());
        let Some(spec) = find(&argument.key) else {
            return Err(ConfigError::Unknown {
                place,
                what: "key",
                name: visible(&argument.key),
                nearest: nearest(&argument.key, KEYS.iter().map(|spec| spec.path)),
            });
        };
        loaded.set(spec, &spec.value_of_text(&argument.value), place)?;
    }
    loaded.finish(sources.environment);
    Ok(loaded)
}

fn find(path: &str) -> Option<&'static KeySpec> {
    KEYS.iter().find(|spec| spec.path == path)
}

impl Loaded {
    fn apply_file(&mut self, layer: FileLayer) -> Result<(), ConfigError> {
        for (spec, value, place) in layer.values {
            self.set(spec, &value, place)?;
        }
        if let Some((keys, place)) = layer.keys {
            self.origins
                .insert("tui.keys".to_owned(), Origin::Set(place));
            for (command, (keys, place)) in keys {
                self.origins
                    .insert(format!("tui.keys.{command}"), Origin::Set(place));
                self.config.tui.keys.insert(command, keys);
            }
        }
        if let Some((policy, place)) = layer.policy {
            self.config.policy = policy;
            self.origins.insert("policy".to_owned(), Origin::Set(place));
        }
        if let Some((commands, place)) = layer.commands {
            self.config.commands = commands;
            self.origins
                .insert("command".to_owned(), Origin::Set(place));
        }
        if let Some((hooks, place)) = layer.hooks {
            self.config.hooks = hooks;
            self.origins.insert("hook".to_owned(), Origin::Set(place));
        }
        self.mistakes.extend(layer.mistakes.iter().map(Failure::of));
        Ok(())
    }

    fn apply_environment(&mut self, environment: &Environment) -> Result<(), ConfigError> {
        for (name, value) in environment.settings() {
            let place = Place::Variable(name.to_owned());
            let Some(spec) = KEYS.iter().find(|spec| spec.variable() == name) else {
                let known: Vec<String> = KEYS.iter().map(KeySpec::variable).collect();
                let meant = nearest(name, known.iter().map(String::as_str))
                    .map_or(String::new(), |known| format!("; did you mean {known}?"));
                self.warnings
                    .push(format!("variable {} sets nothing{meant}", visible(name)));
                continue;
            };
            let text = value.to_string_lossy();
            self.set(spec, &spec.value_of_text(&text), place)?;
        }
        Ok(())
    }

    fn set(&mut self, spec: &KeySpec, value: &Value, place: Place) -> Result<(), ConfigError> {
        if let Err(expected) = spec.set(&mut self.config, value) {
            let found = match value {
                Value::Flag(flag) => flag.to_string(),
                Value::Number(number) => number.to_string(),
                Value::Text(text) => format!("\"{}\"", visible(text)),
                Value::List(_) => "this list".to_owned(),
            };
            return Err(ConfigError::Value {
                place,
                key: spec.path.to_owned(),
                found,
                expected,
            });
        }
        self.origins
            .insert(spec.path.to_owned(), Origin::Set(place));
        Ok(())
    }

    /// Settles what depends on the environment as a whole: `NO_COLOR`, and `~` in paths.
    fn finish(&mut self, environment: &Environment) {
        if environment.no_color() && self.config.tui.color == ColorChoice::Auto {
            self.config.tui.color = ColorChoice::Never;
            let place = Place::Variable("NO_COLOR".to_owned());
            self.origins
                .insert("tui.color".to_owned(), Origin::Set(place));
        }
        let home = environment.home();
        let resolve = |path: &mut PathBuf| {
            if let (Ok(rest), Some(home)) = (path.strip_prefix("~"), &home) {
                *path = home.join(rest);
            }
        };
        let ssh = &mut self.config.ssh;
        ssh.known_hosts
            .iter_mut()
            .chain(&mut ssh.client_config)
            .chain(&mut self.config.log.file)
            .chain(&mut self.config.serve.tls_certificate)
            .chain(&mut self.config.serve.tls_key)
            .chain(&mut self.config.serve.tls_ocsp)
            .chain(&mut self.config.serve.bot.api_key_file)
            .chain(&mut self.config.serve.bot.hmac_secret_file)
            .for_each(resolve);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::OutputChoice;
    use crate::domain::action::ActionKind;
    use crate::domain::error_kind::Classify;
    use crate::domain::operation::Door;
    use crate::domain::policy::Effect;
    use crate::private_file;

    struct Layers {
        root: tempfile::TempDir,
        environment: Environment,
        arguments: Vec<ArgumentValue>,
    }

    impl Layers {
        fn new(file: &str) -> Self {
            let root = tempfile::tempdir().unwrap();
            private_file::write_atomic(&root.path().join("config.toml"), file.as_bytes()).unwrap();
            Self {
                root,
                environment: Environment::of([("HOME", "/home/ann")]),
                arguments: Vec::new(),
            }
        }

        fn load(&self) -> Result<Loaded, ConfigError> {
            load(&Sources {
                file: None,
                paths: &Paths::under(self.root.path()),
                environment: &self.environment,
                arguments: &self.arguments,
            })
        }

        fn error(&self) -> (String, String) {
            let error = self.load().unwrap_err();
            let text = error.to_string();
            let shown = text.replace(&self.root.path().display().to_string(), "DIR");
            (shown, error.hint().unwrap().0)
        }
    }

    #[test]
    fn without_a_file_everything_has_its_default() {
        let root = tempfile::tempdir().unwrap();
        let loaded = load(&Sources {
            file: None,
            paths: &Paths::under(root.path()),
            environment: &Environment::default(),
            arguments: &[],
        })
        .unwrap();
        assert_eq!(loaded.config, Config::default());
        assert_eq!(loaded.file, None);
        assert!(
            loaded
                .show()
                .iter()
                .all(|row| row.origin == Origin::Default)
        );
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let layers = Layers::new("");
        let missing = layers.root.path().join("other.toml");
        let error = load(&Sources {
            file: Some(&missing),
            paths: &Paths::under(layers.root.path()),
            environment: &layers.environment,
            arguments: &[],
        });
        assert!(matches!(error, Err(ConfigError::Read { .. })));
    }

    #[test]
    fn later_layers_win_and_each_value_knows_its_source() {
        let mut layers = Layers::new(
            "[poll]\nlibvirt_tick = \"1s\"\nhyperv_tick = \"9s\"\n[once]\ntimeout = \"5s\"\n",
        );
        layers.environment = Environment::of([
            ("HOME", "/home/ann"),
            ("VMDECK_POLL_HYPERV_TICK", "8s"),
            ("VMDECK_ONCE_TIMEOUT", "6s"),
            ("VMDECK_SSH_AGENT", "off"),
        ]);
        layers.arguments = vec![ArgumentValue {
            key: "once.timeout".into(),
            value: "7s".into(),
            argument: "--timeout".into(),
        }];
        let loaded = layers.load().unwrap();
        assert_eq!(loaded.config.poll.libvirt_tick, Duration::from_secs(1));
        assert_eq!(loaded.config.poll.hyperv_tick, Duration::from_secs(8));
        assert_eq!(loaded.config.once.timeout, Duration::from_secs(7));
        assert!(!loaded.config.ssh.agent);
        let origin = |key: &str| {
            let rows = loaded.show();
            let row = rows.iter().find(|row| row.key == key).unwrap().clone();
            let text = row.origin.to_string();
            text.replace(&layers.root.path().display().to_string(), "DIR")
        };
        assert_eq!(origin("poll.libvirt_tick"), "DIR/config.toml:2:16");
        assert_eq!(
            origin("poll.hyperv_tick"),
            "variable VMDECK_POLL_HYPERV_TICK"
        );
        assert_eq!(origin("once.timeout"), "argument --timeout");
        assert_eq!(origin("poll.deadline"), "default");
    }

    #[test]
    fn mistakes_say_where_what_and_what_was_meant() {
        let cases = [
            (
                "[pol]\n",
                "DIR/config.toml:1:2: there is no section `pol`",
                "did you mean `poll`?",
            ),
            (
                "[poll]\n\nlibvirt_tik = \"1s\"",
                "DIR/config.toml:3:1: there is no key `libvirt_tik`",
                "did you mean `libvirt_tick`?",
            ),
            (
                "[poll]\nlibvirt_tick = 3",
                "DIR/config.toml:2:16: `poll.libvirt_tick` cannot be 3",
                "expected time, \"200ms\" to \"10m\"",
            ),
            (
                "[tui]\ncolor = \"sometimes\"",
                "DIR/config.toml:2:9: `tui.color` cannot be \"sometimes\"",
                "expected \"auto\", \"always\", \"never\"",
            ),
            (
                "poll = 3",
                "DIR/config.toml:1:8: `poll` cannot be 3",
                "expected a section: write `[section]` on a line of its own",
            ),
            (
                "[[policy]]\neffect = \"deny\"\nverbs = [\"forceoff\"]",
                "DIR/config.toml:3:9: there is no action `forceoff`",
                "did you mean `force-off`?",
            ),
            (
                "[[policy]]\nefect = \"deny\"",
                "DIR/config.toml:2:1: there is no key `efect`",
                "did you mean `effect`?",
            ),
            (
                "[[policy]]\nname = \"x\"",
                "DIR/config.toml:2:1: `policy.effect` cannot be left out",
                "expected effect = \"allow\", \"confirm\", \"type-name\" or \"deny\" in every rule",
            ),
            (
                "[tui]\ntheme = \"\\u001b[31m\"",
                "DIR/config.toml:2:9: `tui.theme` cannot be \"␛[31m\"",
                "expected text",
            ),
        ];
        for (file, message, hint) in cases {
            assert_eq!(
                Layers::new(file).error(),
                (message.to_owned(), hint.to_owned()),
                "{file}"
            );
        }
        let (message, _) = Layers::new("[poll\n").error();
        assert!(message.starts_with("DIR/config.toml:1:"), "{message}");
    }

    #[test]
    fn a_wrong_variable_is_an_error_and_an_unknown_one_a_warning() {
        let mut layers = Layers::new("");
        layers.environment = Environment::of([("VMDECK_ONCE_TIMEOUT", "soon")]);
        let (message, _) = layers.error();
        assert_eq!(
            message,
            "variable VMDECK_ONCE_TIMEOUT: `once.timeout` cannot be \"soon\""
        );
        layers.environment = Environment::of([("VMDECK_ONCE_TIMEOT", "3s")]);
        assert_eq!(
            layers.load().unwrap().warnings,
            ["variable VMDECK_ONCE_TIMEOT sets nothing; did you mean VMDECK_ONCE_TIMEOUT?"]
        );
    }

    #[test]
    fn rules_are_read_as_the_policy_knows_them() {
        let layers = Layers::new(
            "[[policy]]\nname = \"db\"\ntiers = [\"prod\"]\ntags = [\"db*\"]\nverbs = [\"force-off\"]\n\
             doors = [\"once\"]\nmin_count = 2\neffect = \"deny\"\nreason = \"no\"\n[[policy]]\neffect = \"allow\"\n",
        );
        let rules = layers.load().unwrap().config.policy;
        assert_eq!(rules.len(), 2);
        assert_eq!(rules[0].name, "db");
        assert_eq!(rules[0].verbs, [ActionKind::ForceOff.into()]);
        assert_eq!(rules[0].doors, [Door::Once]);
        assert_eq!(
            (rules[0].min_count, rules[0].effect.clone()),
            (2, Some(Effect::Deny))
        );
        assert_eq!(rules[1].name, "rule 2");
    }

    #[test]
    fn keys_of_commands_are_kept_for_the_dashboard_to_check() {
        let layers = Layers::new("[tui.keys]\n\"vm.start\" = \"s\"\n\"vm.reset\" = []\n");
        let keys = layers.load().unwrap().config.tui.keys;
        assert_eq!(keys["vm.start"], ["s"]);
        assert!(keys["vm.reset"].is_empty());
    }

    #[test]
    fn no_color_beats_auto_and_nothing_else() {
        let mut layers = Layers::new("");
        layers.environment = Environment::of([("NO_COLOR", "1")]);
        assert_eq!(layers.load().unwrap().config.tui.color, ColorChoice::Never);
        let mut layers = Layers::new("[tui]\ncolor = \"always\"\n[once]\noutput = \"json\"");
        layers.environment = Environment::of([("NO_COLOR", "1")]);
        let config = layers.load().unwrap().config;
        assert_eq!(config.tui.color, ColorChoice::Always);
        assert_eq!(config.once.output, OutputChoice::Json);
    }

    #[test]
    fn the_home_directory_is_filled_in() {
        let config = Layers::new("").load().unwrap().config;
        assert_eq!(
            config.ssh.known_hosts[0],
            Path::new("/home/ann/.ssh/known_hosts")
        );
        assert_eq!(
            config.ssh.known_hosts[1],
            Path::new("/etc/ssh/ssh_known_hosts")
        );
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let layers = Layers::new(&"#".repeat(1024 * 1024 + 1));
        assert!(matches!(layers.load(), Err(ConfigError::TooLarge { .. })));
    }

    #[test]
    fn no_text_makes_the_reader_panic() {
        let example = crate::config::reference::example();
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let cut = (0..example.len(), 0..example.len(), "\\PC{0,6}");
        runner
            .run(&cut, |(from, to, put)| {
                let (from, to) = (from.min(to), from.max(to));
                let mut text = example.clone();
                if text.is_char_boundary(from) && text.is_char_boundary(to) {
                    text.replace_range(from..to, &put);
                }
                if let Ok(layer) = file::parse(Path::new("x"), &text) {
                    proptest::prop_assert!(layer.values.len() <= KEYS.len());
                }
                Ok(())
            })
            .unwrap();
    }
}
