//! `[[policy]]`: rules of the file, checked word by word. A rule that says nothing it means is an error.

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::error::ConfigError;
use super::file::{SourceText, texts, visible};
use super::nearest::nearest;
use crate::domain::operation::Door;
use crate::domain::policy::{Effect, Rule, Verb};
use crate::domain::selector::long_time;

/// Every key of a rule with what it means.
pub(super) const RULE_KEYS: &[(&str, &str, &str)] = &[
    (
        "name",
        "text",
        "Shown when the rule decides, and written to the audit log.",
    ),
    (
        "tiers",
        "list of patterns",
        "Tiers it is about; a host without a tier is never meant.",
    ),
    ("hosts", "list of patterns", "Hosts it is about."),
    (
        "tags",
        "list of patterns",
        "Tags it is about; one of them on the host is enough.",
    ),
    (
        "verbs",
        "list of actions",
        "Actions it is about, by the ids that the audit log has: `start`, `force-off`, `autostart-on`, `snapshot-create`, `edit` for settings and definitions, `exec` for programs in VMs, `pool-stop`; also `console`, `shell` and `own-command` (`docs/own.md`).",
    ),
    (
        "doors",
        "list of `tui`, `once`, `serve`",
        "Doors it is about.",
    ),
    ("users", "list of patterns", "Users it is about."),
    (
        "min_count",
        "number",
        "Only when at least so many VMs are acted on together.",
    ),
    (
        "min_snapshot_age",
        "time, like `30d`",
        "Only about VM snapshots that are at least so old; one of unknown age is not meant.",
    ),
    (
        "max_snapshot_age",
        "time, like `7d`",
        "Only about VM snapshots that are younger; one of unknown age is not meant.",
    ),
    (
        "effect",
        "`allow`, `confirm`, `type-name`, `deny`",
        "What it does; required.",
    ),
    ("reason", "text", "Why, shown to the person."),
];

/// The words of `effect`.
const EFFECTS: [(&str, Effect); 4] = [
    ("allow", Effect::Allow),
    ("confirm", Effect::Confirm),
    ("type-name", Effect::TypeName),
    ("deny", Effect::Deny),
];

const DOORS: [Door; 3] = [Door::Tui, Door::Once, Door::Serve];

/// Rules that are read; more cannot be meant.
const MAX_RULES: usize = 1000;

/// Reads the rules in their order.
pub(super) fn read(
    source: &SourceText<'_>,
    value: &Spanned<DeValue<'_>>,
) -> Result<Vec<Rule>, ConfigError> {
    let expected = "expected rules: write `[[policy]]` on a line of its own before each";
    let DeValue::Array(items) = value.get_ref() else {
        return Err(source.wrong("policy", value, expected));
    };
    if items.len() > MAX_RULES {
        let most = format!("expected at most {MAX_RULES} rules");
        return Err(source.wrong("policy", value, &most));
    }
    let mut rules = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let DeValue::Table(table) = item.get_ref() else {
            return Err(source.wrong("policy", item, expected));
        };
        let mut rule = Rule {
            name: format!("rule {}", index + 1),
            ..Rule::default()
        };
        for (key, value) in table {
            read_key(source, &mut rule, key, value)?;
        }
        check(source, &rule, table, item)?;
        rules.push(rule);
    }
    Ok(rules)
}

fn check(
    source: &SourceText<'_>,
    rule: &Rule,
    table: &DeTable<'_>,
    item: &Spanned<DeValue<'_>>,
) -> Result<(), ConfigError> {
    if rule.effect.is_some() {
        return Ok(());
    }
    // The span of a whole `[[policy]]` block is that of its header.
    let span = table
        .iter()
        .next()
        .map_or_else(|| item.span(), |(key, _)| key.span());
    Err(ConfigError::Value {
        place: source.place(span),
        key: "policy.effect".to_owned(),
        found: "left out".to_owned(),
        expected:
            "expected effect = \"allow\", \"confirm\", \"type-name\" or \"deny\" in every rule"
                .to_owned(),
    })
}

fn read_key(
    source: &SourceText<'_>,
    rule: &mut Rule,
    key: &Spanned<DeString<'_>>,
    value: &Spanned<DeValue<'_>>,
) -> Result<(), ConfigError> {
    let name = key.get_ref().as_ref();
    let path = format!("policy.{name}");
    let list = || {
        texts(value.get_ref()).ok_or_else(|| source.wrong(&path, value, "expected a list of texts"))
    };
    let text = || {
        let text = value.get_ref().as_str().map(visible);
        text.filter(|text| !text.is_empty())
            .ok_or_else(|| source.wrong(&path, value, "expected a text"))
    };
    match name {
        "name" => rule.name = text()?,
        "reason" => rule.reason = text()?,
        "tiers" => rule.tiers = list()?,
        "hosts" => rule.hosts = list()?,
        "tags" => rule.tags = list()?,
        "users" => rule.users = list()?,
        "verbs" => {
            rule.verbs = words(source, value, "action", &list()?, |word| word.parse().ok())?;
        }
        "doors" => {
            rule.doors = words(source, value, "door", &list()?, |word| {
                DOORS.into_iter().find(|door| door.word() == word)
            })?;
        }
        "min_count" => {
            let count = match value.get_ref() {
                DeValue::Integer(number) => {
                    usize::from_str_radix(number.as_str(), number.radix()).ok()
                }
                _ => None,
            };
            let unfit = || source.wrong(&path, value, "expected a number of VMs");
            rule.min_count = count.ok_or_else(unfit)?;
        }
        "min_snapshot_age" | "max_snapshot_age" => {
            let age = long_time(&text()?).map_err(|_why| {
                source.wrong(&path, value, "expected a time, like \"12h\" or \"30d\"")
            })?;
            if name == "min_snapshot_age" {
                rule.min_snapshot_age = Some(age);
            } else {
                rule.max_snapshot_age = Some(age);
            }
        }
        "effect" => {
            let word = value.get_ref().as_str().unwrap_or_default();
            let effect = EFFECTS.iter().find(|(name, _)| *name == word);
            let (_, effect) = effect.ok_or_else(|| {
                source.wrong(
                    &path,
                    value,
                    "expected \"allow\", \"confirm\", \"type-name\" or \"deny\"",
                )
            })?;
            rule.effect = Some(effect.clone());
        }
        _ => return Err(source.unknown("key", key, RULE_KEYS.iter().map(|(key, ..)| *key))),
    }
    Ok(())
}

fn words<T>(
    source: &SourceText<'_>,
    value: &Spanned<DeValue<'_>>,
    what: &'static str,
    list: &[String],
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, ConfigError> {
    let known: Vec<&str> = match what {
        "door" => DOORS.iter().map(|door| door.word()).collect(),
        _ => Verb::ids().collect(),
    };
    list.iter()
        .map(|word| {
            read(word).ok_or_else(|| ConfigError::Unknown {
                place: source.place(value.span()),
                what,
                name: visible(word),
                nearest: nearest(word, known.iter().copied()),
            })
        })
        .collect()
}
