//! The file layer: TOML text in, checked values with their places out. Bounded, and strict: what is not
//! known is an error, because a misspelt guard would guard nothing.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::error::{ConfigError, Place};
use super::keys::{KEYS, KeySpec, SECTIONS, Value};
use super::nearest::nearest;
use super::own::{self, Hook, OwnCommand};
use super::policy;
use crate::domain::policy::Rule;

/// Ceiling of a configuration file in bytes.
pub(super) const MAX_FILE: u64 = 1024 * 1024;

/// The keys of commands, each with where it was written.
type CommandKeys = BTreeMap<String, (Vec<String>, Place)>;

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct FileLayer {
    /// Keys of the table, each with its place.
    pub(super) values: Vec<(&'static KeySpec, Value, Place)>,
    /// `[tui.keys]`, where there is one.
    pub(super) keys: Option<(CommandKeys, Place)>,
    /// `[[policy]]`, where there is any.
    pub(super) policy: Option<(Vec<Rule>, Place)>,
    /// `[[command]]`, where there is any.
    pub(super) commands: Option<(Vec<OwnCommand>, Place)>,
    /// `[[hook]]`, where there is any.
    pub(super) hooks: Option<(Vec<Hook>, Place)>,
    /// What is wrong with those that are not held.
    pub(super) mistakes: Vec<ConfigError>,
}

/// Reads a file, at most [`MAX_FILE`] bytes of it.
pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    let failed = |source: io::Error| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    std::fs::File::open(path)
        .map_err(failed)?
        .take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > MAX_FILE {
        return Err(ConfigError::TooLarge {
            path: path.to_owned(),
            limit: MAX_FILE,
        });
    }
    Ok(text)
}

/// Reads the text of a file.
pub(super) fn parse(path: &Path, text: &str) -> Result<FileLayer, ConfigError> {
    let source = SourceText { path, text };
    let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        place: source.place(error.span().unwrap_or_default()),
        message: error.message().replace('\n', ", "),
    })?;
    let mut layer = FileLayer::default();
    for (name, value) in table.get_ref() {
        if name.get_ref() == "policy" {
            let place = source.place(name.span());
            layer.policy = Some((policy::read(&source, value)?, place));
            continue;
        }
        if name.get_ref() == "command" {
            let (commands, mistakes) = own::commands(&source, value);
            layer.commands = Some((commands, source.place(name.span())));
            layer.mistakes.extend(mistakes);
            continue;
        }
        if name.get_ref() == "hook" {
            let (hooks, mistakes) = own::hooks(&source, value);
            layer.hooks = Some((hooks, source.place(name.span())));
            layer.mistakes.extend(mistakes);
            continue;
        }
        let known = SECTIONS.iter().map(|(name, _)| *name);
        if !known.clone().any(|section| section == name.get_ref()) {
            return Err(source.unknown(
                "section",
                name,
                known.chain(["policy", "command", "hook"]),
            ));
        }
        let DeValue::Table(section) = value.get_ref() else {
            return Err(source.wrong(
                name.get_ref(),
                value,
                "expected a section: write `[section]` on a line of its own",
            ));
        };
        read_section(&source, name.get_ref(), section, &mut layer)?;
    }
    Ok(layer)
}

fn read_section(
    source: &SourceText<'_>,
    section: &str,
    table: &DeTable<'_>,
    layer: &mut FileLayer,
) -> Result<(), ConfigError> {
    for (name, value) in table {
        let below = format!("{section}.{}", name.get_ref());
        if let Some((below, _)) = SECTIONS.iter().find(|(known, _)| *known == below) {
            let DeValue::Table(table) = value.get_ref() else {
                let expected = format!("expected a section `[{below}]`");
                return Err(source.wrong(below, value, &expected));
            };
            read_section(source, below, table, layer)?;
            continue;
        }
        if section == "tui" && name.get_ref() == "keys" {
            layer.keys = Some((read_keys(source, value)?, source.place(name.span())));
            continue;
        }
        let in_section = KEYS.iter().filter(|spec| spec.section() == section);
        let Some(spec) = in_section
            .clone()
            .find(|spec| spec.name() == name.get_ref())
        else {
            let known = in_section.map(KeySpec::name);
            let keys = (section == "tui").then_some("keys");
            return Err(source.unknown("key", name, known.chain(keys)));
        };
        let place = source.place(value.span());
        let value = plain_value(value.get_ref())
            .ok_or_else(|| source.wrong(spec.path, value, &format!("expected {}", spec.range())))?;
        layer.values.push((spec, value, place));
    }
    Ok(())
}

fn plain_value(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::Boolean(flag) => Some(Value::Flag(*flag)),
        DeValue::String(text) => Some(Value::Text(text.to_string())),
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .map(Value::Number),
        DeValue::Array(_) => texts(value).map(Value::List),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

/// Reads a list of texts.
pub(super) fn texts(value: &DeValue<'_>) -> Option<Vec<String>> {
    let DeValue::Array(items) = value else {
        return None;
    };
    items
        .iter()
        .map(|item| item.get_ref().as_str().map(ToOwned::to_owned))
        .collect()
}

/// Reads `[tui.keys]`: a command id and the keys it shall have. The dashboard knows the commands.
fn read_keys(
    source: &SourceText<'_>,
    value: &Spanned<DeValue<'_>>,
) -> Result<CommandKeys, ConfigError> {
    let DeValue::Table(table) = value.get_ref() else {
        return Err(source.wrong("tui.keys", value, "expected a section `[tui.keys]`"));
    };
    let mut keys = BTreeMap::new();
    for (command, value) in table {
        let list = match value.get_ref() {
            DeValue::String(text) => Some(vec![text.to_string()]),
            other => texts(other),
        };
        let list = list.ok_or_else(|| {
            let name = format!("tui.keys.{}", command.get_ref());
            source.wrong(
                &name,
                value,
                "expected a key such as \"S\" or a list of keys",
            )
        })?;
        let place = source.place(command.span());
        keys.insert(command.get_ref().to_string(), (list, place));
    }
    Ok(keys)
}

/// A text and where it came from: turns spans into places.
pub(super) struct SourceText<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl SourceText<'_> {
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Place::File {
            path: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or("").chars().count() + 1,
        }
    }

    pub(super) fn unknown<'k>(
        &self,
        what: &'static str,
        name: &Spanned<DeString<'_>>,
        known: impl IntoIterator<Item = &'k str>,
    ) -> ConfigError {
        ConfigError::Unknown {
            place: self.place(name.span()),
            what,
            name: visible(name.get_ref()),
            nearest: nearest(name.get_ref(), known),
        }
    }

    pub(super) fn wrong(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        expected: &str,
    ) -> ConfigError {
        ConfigError::Value {
            place: self.place(value.span()),
            key: visible(key),
            found: describe(value.get_ref()),
            expected: expected.to_owned(),
        }
    }
}

fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", visible(text)),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "this list".to_owned(),
        DeValue::Table(_) => "a section".to_owned(),
    }
}

/// A word of the file as it may be shown in an error: short, and without what a terminal acts on.
pub(super) fn visible(text: &str) -> String {
    crate::domain::text::RemoteText::new(text).fit(60)
}
