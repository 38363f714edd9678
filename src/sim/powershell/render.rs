//! What a person would see: values without a format of their own, and errors in the shape of each
//! edition (5.1: `NormalView`, 7: `ConciseView`).

use super::error::{ErrorRecord, short_type};
use super::machine::Edition;
use super::text::{self, Locale};
use super::value::Value;

/// Longest target shown between parentheses.
const TARGET: usize = 40;

/// Returns the lines a value takes on the console, each with its end.
pub(super) fn output(value: &Value, locale: Locale) -> String {
    let mut pairs: Vec<(String, Value)> = Vec::new();
    match value {
        Value::Hash(hash) => {
            for (key, item) in hash.pairs() {
                pairs.push((text::of(&key, locale), item));
            }
        }
        Value::Object(object) if object.text().is_none() => {
            for (name, item) in object.properties() {
                pairs.push((name.as_ref().to_owned(), item));
            }
        }
        Value::Error(record) => return format!("{}\r\n", error(record, locale.edition)),
        Value::Array(array) => {
            return array
                .items()
                .iter()
                .map(|item| output(item, locale))
                .collect();
        }
        other => {
            let text = text::to_string(other, locale);
            return format!("{}\r\n", text.replace("\r\n", "\n").replace('\n', "\r\n"));
        }
    }
    let width = pairs
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    let mut lines = String::from("\r\n");
    for (name, item) in &pairs {
        let shown = match item {
            Value::Array(array) => {
                format!("{{{}}}", text::joined(&array.items(), ", ", locale))
            }
            other => text::of(other, locale),
        };
        lines.extend([format!("{name:width$} : {shown}\r\n")]);
    }
    lines.push_str("\r\n");
    lines
}

/// Returns `CategoryInfo` as a line shows it.
pub(super) fn category(record: &ErrorRecord) -> String {
    let mut target = text::of(&record.target, Locale::default());
    if target.chars().count() > TARGET {
        let head: String = target.chars().take(TARGET / 2 - 2).collect();
        let tail: Vec<char> = target.chars().collect();
        let tail: String = tail.iter().rev().take(TARGET / 2 - 1).rev().collect();
        target = format!("{head}...{tail}");
    }
    let type_name = record
        .target
        .type_name()
        .map(|name| short_type(&name).to_owned())
        .unwrap_or_default();
    format!(
        "{}: ({target}:{type_name}) [{}], {}",
        record.category,
        record.activity,
        record.reason()
    )
}

/// Returns where an error arose, as `PositionMessage` says it.
pub(super) fn position(record: &ErrorRecord) -> String {
    let Some(at) = &record.position else {
        return String::new();
    };
    let marks = "~".repeat(at.span);
    format!(
        "At line:{} char:{}\r\n+ {}\r\n+ {}{marks}",
        at.line,
        at.column,
        at.text,
        " ".repeat(at.column.saturating_sub(1))
    )
}

/// Returns an error's lines, without an end of the last one.
pub(super) fn error(record: &ErrorRecord, edition: Edition) -> String {
    let named = if record.activity.is_empty() {
        String::new()
    } else {
        format!("{} : ", record.activity)
    };
    if edition == Edition::Core {
        let named = if record.activity.is_empty() {
            match &record.position {
                Some(_) => format!("{}: ", short_reason(record)),
                None => String::new(),
            }
        } else {
            format!("{}: ", record.activity)
        };
        return format!("{named}{}", record.message());
    }
    let place = match position(record) {
        text if text.is_empty() => String::new(),
        text => format!("{text}\r\n"),
    };
    format!(
        "{named}{}\r\n{place}    + CategoryInfo          : {}\r\n    + FullyQualifiedErrorId : {}\r\n ",
        record.message(),
        category(record),
        record.fqid
    )
}

fn short_reason(record: &ErrorRecord) -> String {
    record
        .reason()
        .strip_suffix("Exception")
        .map_or_else(|| record.reason().to_owned(), str::to_owned)
}

/// Wraps text at a width, in the middle of a word where the width says so, as the hidden console of
/// an exec channel does.
pub(super) fn wrapped(text: &str, width: usize) -> String {
    let mut lines = Vec::new();
    for line in text.replace("\r\n", "\n").split('\n') {
        let chars: Vec<char> = line.chars().collect();
        if chars.is_empty() {
            lines.push(String::new());
        }
        for part in chars.chunks(width) {
            lines.push(part.iter().collect());
        }
    }
    lines.join("\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::powershell::error::Category;

    #[test]
    fn an_error_reads_as_in_5_1() {
        let record = ErrorRecord::new(
            "Microsoft.HyperV.PowerShell.VirtualizationException",
            "No.",
            "InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVM",
            Category::InvalidArgument,
        )
        .with_target("x")
        .in_command("Get-VM");
        assert_eq!(
            error(&record, Edition::Desktop),
            "Get-VM : No.\r\n    + CategoryInfo          : InvalidArgument: (x:String) [Get-VM], \
             VirtualizationException\r\n    + FullyQualifiedErrorId : \
             InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVM\r\n "
        );
        assert_eq!(error(&record, Edition::Core), "Get-VM: No.");
    }

    #[test]
    fn lines_wrap_within_words() {
        assert_eq!(wrapped("abcdef\r\ngh", 4), "abcd\r\nef\r\ngh");
    }
}
