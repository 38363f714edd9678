//! `[[command]]` and `[[hook]]`: programs of the operator's own. A mistake takes that one block out of
//! force and is told with its line; the others, and everything else, hold.

use std::time::Duration;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::error::{ConfigError, Place};
use super::file::{SourceText, texts, visible};
use super::keys::{is_argument, parse_duration, render_duration};
use super::values::{HookEvent, OwnOutput, OwnScope};
use crate::domain::selector::Filter;
use crate::program;

/// A program on a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnCommand {
    /// Where it stands, for mistakes that are found later.
    pub place: String,
    /// Its key; `None` = by name.
    pub key: Option<String>,
    /// What it is for, in a few words.
    pub description: String,
    /// Program and arguments, with placeholders.
    pub argv: Vec<String>,
    /// What it is about.
    pub scope: OwnScope,
    /// Whether it asks first.
    pub confirm: bool,
    /// Whether it disrupts: it asks, and read-only mode refuses it.
    pub danger: bool,
    /// What becomes of what it writes.
    pub output: OwnOutput,
    /// How long it may take; `None` = until a person leaves it.
    pub timeout: Option<Duration>,
}

/// A program that is run when something happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Where it stands, for what it fails at.
    pub place: String,
    /// What it waits for.
    pub event: HookEvent,
    /// Which VMs or hosts it is about; empty = all.
    pub filter: String,
    /// Program and arguments, with placeholders.
    pub argv: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
}

/// How long a command may take that says nothing about it.
const COMMAND_TIME: Duration = Duration::from_secs(60);

/// The same for a hook.
const HOOK_TIME: Duration = Duration::from_secs(10);

/// The longest that may be said.
const MOST_TIME: Duration = Duration::from_secs(3600);

/// Blocks of each kind that are read; more cannot be meant.
const MAX_BLOCKS: usize = 200;

/// Every key of a command with what it takes and means.
pub(super) const COMMAND_KEYS: &[(&str, &str, &str)] = &[
    (
        "key",
        "a key, like `ctrl-p`",
        "Its key; without one it is in the palette and the menus only.",
    ),
    ("description", "text", "What it is for; required."),
    (
        "argv",
        "list of texts",
        "The program and its arguments, with placeholders; required.",
    ),
    (
        "scope",
        "`vm`, `host`, `any`",
        "What it is about: the VMs that are meant (one after another), the host under the cursor in view `2`, or nothing. `vm` where it is left out.",
    ),
    (
        "confirm",
        "true or false",
        "Ask first, showing what would be run.",
    ),
    (
        "danger",
        "true or false",
        "It disrupts: ask first, and refuse it while read-only mode or the host's own is on.",
    ),
    (
        "output",
        "`none`, `popup`, `terminal`",
        "Drop what it writes (the default), show it, or give it the terminal until it ends.",
    ),
    (
        "timeout",
        "time, `1s` to `1h`",
        "How long it may take before it is ended; `60s` where it is left out, without end for `terminal`.",
    ),
];

/// Every key of a hook with what it takes and means.
pub(super) const HOOK_KEYS: &[(&str, &str, &str)] = &[
    (
        "event",
        "`operation-ended`, `host-lost`, `host-back`, `vm-state`, `vm-crashed`",
        "What it waits for; required.",
    ),
    (
        "filter",
        "filter expression",
        "Which VMs it is about; for an event of a host, what the expression says about hosts.",
    ),
    (
        "argv",
        "list of texts",
        "The program and its arguments, with placeholders; required.",
    ),
    (
        "timeout",
        "time, `1s` to `1h`",
        "How long it may take before it is ended; `10s` where it is left out.",
    ),
];

/// Placeholders of a command.
pub fn placeholders(scope: OwnScope) -> &'static [&'static str] {
    match scope {
        OwnScope::Vm => program::VM,
        OwnScope::Host => program::HOST,
        OwnScope::Any => &[],
    }
}

/// Placeholders of a hook.
pub fn hook_placeholders(event: HookEvent) -> Vec<&'static str> {
    let (first, about): (&[&str], &[&'static str]) = match event {
        HookEvent::OperationEnded => (&["verb", "outcome", "user"], program::VM),
        HookEvent::HostLost => (&["reason"], program::HOST),
        HookEvent::HostBack => (&[], program::HOST),
        HookEvent::VmState | HookEvent::VmCrashed => (&["before"], program::VM),
    };
    [&["event"], first, about].concat()
}

/// Blocks that hold, and what is wrong with the others.
pub(super) type Read<T> = (Vec<T>, Vec<ConfigError>);

/// Reads the commands in their order.
pub(super) fn commands(source: &SourceText<'_>, value: &Spanned<DeValue<'_>>) -> Read<OwnCommand> {
    blocks(source, value, "command", command)
}

/// Reads the hooks in their order.
pub(super) fn hooks(source: &SourceText<'_>, value: &Spanned<DeValue<'_>>) -> Read<Hook> {
    blocks(source, value, "hook", hook)
}

fn blocks<T>(
    source: &SourceText<'_>,
    value: &Spanned<DeValue<'_>>,
    name: &str,
    read: fn(&Block<'_, '_>) -> Result<T, ConfigError>,
) -> Read<T> {
    let wrong = |value, more: &str| {
        let expected =
            format!("expected blocks: write `[[{name}]]` on a line of its own before each{more}");
        source.wrong(name, value, &expected)
    };
    let DeValue::Array(items) = value.get_ref() else {
        return (Vec::new(), vec![wrong(value, "")]);
    };
    if items.len() > MAX_BLOCKS {
        let most = format!(", at most {MAX_BLOCKS}");
        return (Vec::new(), vec![wrong(value, &most)]);
    }
    let (mut held, mut mistakes) = (Vec::new(), Vec::new());
    for item in items {
        let DeValue::Table(table) = item.get_ref() else {
            mistakes.push(wrong(item, ""));
            continue;
        };
        match read(&Block {
            source,
            name,
            table,
            item,
        }) {
            Ok(block) => held.push(block),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    (held, mistakes)
}

/// One block of the file.
struct Block<'s, 'a> {
    source: &'s SourceText<'s>,
    name: &'s str,
    table: &'s DeTable<'a>,
    item: &'s Spanned<DeValue<'a>>,
}

impl<'a> Block<'_, 'a> {
    /// Refuses keys that do not exist.
    fn only(&self, known: &[(&str, &str, &str)]) -> Result<(), ConfigError> {
        for name in self.table.keys() {
            if !known
                .iter()
                .any(|(key, ..)| *key == name.get_ref().as_ref())
            {
                return Err(self
                    .source
                    .unknown("key", name, known.iter().map(|(key, ..)| *key)));
            }
        }
        Ok(())
    }

    fn find(&self, key: &str) -> Option<(&Spanned<DeString<'a>>, &Spanned<DeValue<'a>>)> {
        self.table.iter().find(|(name, _)| name.get_ref() == key)
    }

    /// The place of the block: its first key, because the span of a whole block is that of its header.
    fn place(&self) -> Place {
        let first = self
            .table
            .keys()
            .map(Spanned::span)
            .min_by_key(|span| span.start);
        self.source.place(first.unwrap_or_else(|| self.item.span()))
    }

    fn wrong(&self, key: &str, expected: &str) -> ConfigError {
        let path = format!("{}.{key}", self.name);
        match self.find(key) {
            Some((_, value)) => self.source.wrong(&path, value, expected),
            None => ConfigError::Value {
                place: self.place(),
                key: path,
                found: "left out".to_owned(),
                expected: expected.to_owned(),
            },
        }
    }

    fn text(&self, key: &str) -> Result<Option<String>, ConfigError> {
        let Some((_, value)) = self.find(key) else {
            return Ok(None);
        };
        let text = value.get_ref().as_str().map(visible);
        let text = text.filter(|text| !text.trim().is_empty());
        text.map(Some)
            .ok_or_else(|| self.wrong(key, "expected a text"))
    }

    fn flag(&self, key: &str) -> Result<bool, ConfigError> {
        match self.find(key).map(|(_, value)| value.get_ref()) {
            None => Ok(false),
            Some(DeValue::Boolean(flag)) => Ok(*flag),
            Some(_) => Err(self.wrong(key, "expected true or false")),
        }
    }

    fn word<T>(
        &self,
        key: &str,
        words: &[&str],
        read: fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some((_, value)) = self.find(key) else {
            return Ok(None);
        };
        let word = value.get_ref().as_str().and_then(read);
        let expected = || self.wrong(key, &format!("expected one of: {}", words.join(", ")));
        word.map(Some).ok_or_else(expected)
    }

    fn time(&self, key: &str) -> Result<Option<Duration>, ConfigError> {
        let Some((_, value)) = self.find(key) else {
            return Ok(None);
        };
        let range = Duration::from_secs(1)..=MOST_TIME;
        let time = value.get_ref().as_str().and_then(parse_duration);
        let expected = || {
            let most = render_duration(MOST_TIME);
            self.wrong(key, &format!("expected a time, \"1s\" to \"{most}\""))
        };
        time.filter(|time| range.contains(time))
            .map(Some)
            .ok_or_else(expected)
    }

    /// Reads an argument list and holds it against the placeholders there are.
    fn argv(&self, known: &[&'static str]) -> Result<Vec<String>, ConfigError> {
        let expected = "expected a list: the program and its arguments";
        let argv = self
            .find("argv")
            .and_then(|(_, value)| texts(value.get_ref()));
        let argv =
            argv.filter(|argv| argv.len() <= 64 && argv.iter().all(|text| is_argument(text)));
        let argv = argv.ok_or_else(|| self.wrong("argv", expected))?;
        program::check(&argv, known).map_err(|error| self.wrong("argv", &error.to_string()))?;
        Ok(argv)
    }
}

fn command(block: &Block<'_, '_>) -> Result<OwnCommand, ConfigError> {
    block.only(COMMAND_KEYS)?;
    let scope = block.word("scope", OwnScope::WORDS, OwnScope::from_word)?;
    let scope = scope.unwrap_or_default();
    let output = block.word("output", OwnOutput::WORDS, OwnOutput::from_word)?;
    let output = output.unwrap_or_default();
    let described = || block.wrong("description", "expected description = \"what it is for\"");
    let usual = (output != OwnOutput::Terminal).then_some(COMMAND_TIME);
    Ok(OwnCommand {
        place: block.place().to_string(),
        key: block.text("key")?,
        description: block.text("description")?.ok_or_else(described)?,
        argv: block.argv(placeholders(scope))?,
        scope,
        confirm: block.flag("confirm")?,
        danger: block.flag("danger")?,
        output,
        timeout: block.time("timeout")?.or(usual),
    })
}

fn hook(block: &Block<'_, '_>) -> Result<Hook, ConfigError> {
    block.only(HOOK_KEYS)?;
    let event = block.word("event", HookEvent::WORDS, HookEvent::from_word)?;
    let named = || {
        block.wrong(
            "event",
            &format!("expected one of: {}", HookEvent::WORDS.join(", ")),
        )
    };
    let event = event.ok_or_else(named)?;
    let written = block
        .find("filter")
        .map(|(_, value)| value.get_ref().as_str());
    let filter = match written {
        None => String::new(),
        Some(text) => {
            let text = text.ok_or_else(|| block.wrong("filter", "expected a text"))?;
            Filter::parse(text).map_err(|error| block.wrong("filter", &error.to_string()))?;
            text.to_owned()
        }
    };
    Ok(Hook {
        place: block.place().to_string(),
        event,
        filter,
        argv: block.argv(&hook_placeholders(event))?,
        timeout: block.time("timeout")?.unwrap_or(HOOK_TIME),
    })
}

/// Reads the commands of a text as if it were the file, with the messages of what is wrong: for tests.
#[cfg(feature = "testing")]
pub fn of_text(path: &std::path::Path, text: &str) -> (Vec<OwnCommand>, Vec<String>) {
    match super::Loaded::of_text(path, text) {
        Ok(loaded) => {
            let mistakes = loaded.mistakes.iter().map(ToString::to_string);
            (loaded.config.commands, mistakes.collect())
        }
        Err(error) => (Vec::new(), vec![error.to_string()]),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Loaded;
    use crate::domain::error_kind::Failure;

    fn read(text: &str) -> Loaded {
        Loaded::of_text(Path::new("config.toml"), text).unwrap()
    }

    #[test]
    fn a_command_and_a_hook_are_read_with_what_is_usual() {
        let loaded = read(
            "[[command]]\nkey = \"ctrl-p\"\ndescription = \"ping\"\nargv = [\"ping\", \"-c1\", \"{vm.ip}\"]\n\
             [[hook]]\nevent = \"vm-state\"\nfilter = \"tier:prod\"\nargv = [\"logger\", \"{vm.name}: {before} {vm.state}\"]\n",
        );
        assert_eq!(loaded.mistakes, []);
        let command = &loaded.config.commands[0];
        assert_eq!(command.place, "config.toml:2:1");
        assert_eq!(
            (command.scope, command.output),
            (OwnScope::Vm, OwnOutput::None)
        );
        assert_eq!(command.timeout, Some(Duration::from_secs(60)));
        let hook = &loaded.config.hooks[0];
        assert_eq!(hook.timeout, Duration::from_secs(10));
        let terminal =
            read("[[command]]\ndescription = \"x\"\nargv = [\"x\"]\noutput = \"terminal\"");
        assert_eq!(terminal.config.commands[0].timeout, None);
    }

    #[test]
    fn a_mistake_takes_its_block_out_of_force_and_names_its_line() {
        let good = "[[command]]\ndescription = \"fine\"\nargv = [\"true\"]\n";
        for (block, message, hint) in [
            (
                "[[command]]\nargv = [\"x\"]",
                "config.toml:5:1: `command.description` cannot be left out",
                "expected description",
            ),
            (
                "[[command]]\ndescription = \"x\"",
                "config.toml:5:1: `command.argv` cannot be left out",
                "expected a list",
            ),
            (
                "[[command]]\ndescription = \"x\"\nargv = [\"x\", \"{vm.nam}\"]",
                "config.toml:6:8: `command.argv` cannot be this list",
                "no placeholder here",
            ),
            (
                "[[command]]\ndescription = \"x\"\nscope = \"host\"\nargv = [\"x\", \"{vm.name}\"]",
                "config.toml:7:8",
                "no placeholder here",
            ),
            (
                "[[command]]\ndescription = \"x\"\nargv = \"rm -rf /\"",
                "config.toml:6:8: `command.argv` cannot be \"rm -rf /\"",
                "expected a list",
            ),
            (
                "[[command]]\ndescription = \"x\"\nargv = [\"x\"]\ntimeout = \"2h\"",
                "config.toml:7:11",
                "\"1s\" to \"1h\"",
            ),
            (
                "[[command]]\ndescription = \"x\"\nargv = [\"x\"]\nconfrim = true",
                "config.toml:7:1: there is no key `confrim`",
                "`confirm`",
            ),
            (
                "[[hook]]\nevent = \"vm-stat\"\nargv = [\"x\"]",
                "config.toml:5:9",
                "vm-state",
            ),
            (
                "[[hook]]\nevent = \"host-lost\"\nfilter = \"color:red\"\nargv = [\"x\"]",
                "config.toml:6:10",
                "is no field",
            ),
            (
                "[[hook]]\nevent = \"host-lost\"\nargv = [\"x\", \"{vm.name}\"]",
                "config.toml:6:8",
                "{reason}",
            ),
            ("hook = 3", "config.toml:", ""),
        ] {
            let text = if block.starts_with('[') {
                format!("{good}{block}")
            } else {
                format!("{block}\n{good}")
            };
            let loaded = read(&text);
            assert_eq!(loaded.config.commands.len(), 1, "{block}");
            assert!(loaded.config.hooks.is_empty(), "{block}");
            let [
                Failure {
                    message: told,
                    hint: said,
                    ..
                },
            ] = loaded.mistakes.as_slice()
            else {
                panic!("{block}: {:?}", loaded.mistakes);
            };
            assert!(told.starts_with(message), "{block}: {told}");
            let said = said.as_ref().map(ToString::to_string).unwrap_or_default();
            assert!(said.contains(hint), "{block}: {said}");
        }
    }

    #[test]
    fn every_event_has_placeholders_and_a_word() {
        for word in HookEvent::WORDS {
            let event = HookEvent::from_word(word).unwrap();
            let known = hook_placeholders(event);
            assert_eq!(known[0], "event");
            assert!(known.contains(&"host.name"), "{word}");
        }
    }
}
