//! The filter of lists that are not of VMs: terms that must all fit. A term is a word that occurs in
//! some member, or `member:value|value` with `*` for any run of characters; `!` turns one round.

use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::policy::glob;

/// Bytes that a filter may have.
const MAX_BYTES: usize = 1024;

#[derive(Debug, Clone)]
enum Test {
    Word(String),
    Member(&'static str, Vec<String>),
}

/// A filter, ready to be asked.
#[derive(Debug, Clone, Default)]
pub(in crate::serve) struct Terms(Vec<(bool, Test)>);

impl Terms {
    /// Reads a filter over these members.
    pub(in crate::serve) fn parse(
        text: Option<&str>,
        members: &'static [&'static str],
    ) -> Result<Self, Failure> {
        let refuse = |message: String| {
            let hint = format!("members are {}", members.join(", "));
            Err(Failure::new(ErrorKind::Usage, format!("`filter`: {message}")).with_hint(hint))
        };
        let text = text.unwrap_or_default();
        if text.len() > MAX_BYTES {
            return refuse(format!("it has at most {MAX_BYTES} bytes"));
        }
        let mut terms = Vec::new();
        for term in text.split_whitespace() {
            let (wanted, term) = match term.strip_prefix('!') {
                Some(rest) => (false, rest),
                None => (true, term),
            };
            if term.is_empty() {
                return refuse("a term is missing after `!`".to_owned());
            }
            let parsed = match term.split_once(':') {
                Some((name, values)) => {
                    let Some(member) = members.iter().find(|member| **member == name) else {
                        return refuse("a term names a member that does not exist".to_owned());
                    };
                    Test::Member(member, values.split('|').map(str::to_lowercase).collect())
                }
                None => Test::Word(term.to_lowercase()),
            };
            terms.push((wanted, parsed));
        }
        Ok(Self(terms))
    }

    /// Returns true when every term fits; `member` lends a member's text.
    pub(in crate::serve) fn fit(
        &self,
        members: &'static [&'static str],
        member: impl Fn(&str) -> String,
    ) -> bool {
        self.0.iter().all(|(wanted, test)| {
            let found = match test {
                Test::Word(word) => members
                    .iter()
                    .any(|name| member(name).to_lowercase().contains(word)),
                Test::Member(name, patterns) => {
                    let text = member(name).to_lowercase();
                    patterns.iter().any(|pattern| glob(pattern, &text))
                }
            };
            found == *wanted
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBERS: &[&str] = &["host", "action"];

    #[test]
    fn terms_fit_or_do_not() {
        let row = |name: &str| match name {
            "host" => "KVM1".to_owned(),
            _ => "force-off".to_owned(),
        };
        for (text, expected) in [
            ("", true),
            ("kvm", true),
            ("force kvm1", true),
            ("start", false),
            ("!start", true),
            ("host:kvm*", true),
            ("host:kvm", false),
            ("action:start|force-*", true),
            ("!action:force-off", false),
        ] {
            let terms = Terms::parse(Some(text), MEMBERS).unwrap();
            assert_eq!(terms.fit(MEMBERS, row), expected, "{text}");
        }
        for bad in ["!", "user:ann", ":", &"x".repeat(1025)] {
            assert!(Terms::parse(Some(bad), MEMBERS).is_err(), "{bad}");
        }
    }
}
