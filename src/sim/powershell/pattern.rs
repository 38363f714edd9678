//! Patterns: wildcards, .NET regular expressions and their replacements.

use regex::{Captures, Regex};

use super::error::{Category, ErrorRecord};

/// Makes the regular expression of a wildcard pattern; a pattern that is none matches nothing.
pub(super) fn wildcard(pattern: &str, case: bool) -> Option<Regex> {
    let mut expression = String::from(if case { "(?s)^" } else { "(?si)^" });
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            '`' => {
                let escaped = chars.next().unwrap_or('`');
                expression.push_str(&regex::escape(&escaped.to_string()));
            }
            '[' => {
                let rest = chars.as_str();
                let (set, _) = rest.split_once(']')?;
                expression.push('[');
                for c in set.chars() {
                    if matches!(c, '\\' | '^' | '[' | '&' | '~') {
                        expression.push('\\');
                    }
                    expression.push(c);
                }
                expression.push(']');
                chars = rest.get(set.len() + 1..)?.chars();
            }
            c => expression.push_str(&regex::escape(&c.to_string())),
        }
    }
    expression.push('$');
    Regex::new(&expression).ok()
}

/// Whether a wildcard pattern matches a text.
pub(super) fn like(text: &str, pattern: &str, case: bool) -> bool {
    wildcard(pattern, case).is_some_and(|regex| regex.is_match(text))
}

/// Escapes what means something in a wildcard pattern (`WildcardPattern.Escape`).
pub(super) fn escape_wildcard(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '`') {
            escaped.push('`');
        }
        escaped.push(c);
    }
    escaped
}

/// Makes a regular expression.
pub(super) fn regex(pattern: &str, case: bool) -> Result<Regex, ErrorRecord> {
    // .NET names groups `(?<name>`; this dialect does as well.
    let flags = if case { "" } else { "(?i)" };
    Regex::new(&format!("{flags}{pattern}")).map_err(|error| {
        let why = error.to_string();
        let reason = why.lines().last().unwrap_or_default().trim();
        let message = format!("parsing \"{pattern}\" - {reason}");
        let mut record =
            ErrorRecord::runtime(message, "RegexParseError", Category::InvalidOperation);
        if let Some(exception) = record.exceptions.first_mut() {
            "System.ArgumentException".clone_into(&mut exception.type_name);
        }
        record
    })
}

/// Replaces every match; `$1`, `${name}`, `$&` and `$$` mean in the replacement what they do in .NET.
pub(super) fn replace(text: &str, regex: &Regex, replacement: &str) -> String {
    regex
        .replace_all(text, |found: &Captures<'_>| expand(found, replacement))
        .into_owned()
}

fn expand(found: &Captures<'_>, replacement: &str) -> String {
    let mut written = String::new();
    let mut rest = replacement;
    while let Some((before, after)) = rest.split_once('$') {
        written.push_str(before);
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        if let Some(tail) = after.strip_prefix('$') {
            written.push('$');
            rest = tail;
        } else if let Some(tail) = after.strip_prefix('&') {
            written.push_str(found.get(0).map_or("", |all| all.as_str()));
            rest = tail;
        } else if let Some((name, tail)) = after
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'))
        {
            match group(found, name) {
                Some(group) => written.push_str(group),
                None => written.extend([format!("${{{name}}}")]),
            }
            rest = tail;
        } else if let Some(group) = group(found, &digits) {
            written.push_str(group);
            rest = after.strip_prefix(digits.as_str()).unwrap_or(after);
        } else {
            written.push('$');
            rest = after;
        }
    }
    written.push_str(rest);
    written
}

fn group<'t>(found: &Captures<'t>, name: &str) -> Option<&'t str> {
    match name.parse::<usize>() {
        Ok(number) if number < found.len() => {
            Some(found.get(number).map_or("", |group| group.as_str()))
        }
        Ok(_) => None,
        Err(_) => found.name(name).map(|group| group.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match() {
        for (text, pattern, matches) in [
            ("Hyper-V", "hyper*", true),
            ("abc", "a?c", true),
            ("abc", "a[a-b]c", true),
            ("a*c", "a`*c", true),
            ("abc", "a`*c", false),
            ("a\nb", "a*b", true),
            ("x[", "x[", false),
        ] {
            assert_eq!(like(text, pattern, false), matches, "{text} {pattern}");
        }
        assert!(like("a[1]*", &escape_wildcard("a[1]*"), true));
    }

    #[test]
    fn replacements_expand() {
        let regex = regex("(a)(?<n>b)", false).unwrap();
        assert_eq!(replace("xABy", &regex, "<$2${n}$1$$$&$9>"), "x<BBA$AB$9>y");
    }
}
