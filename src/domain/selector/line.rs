//! The same grammar over the lines of a log: words, `!not`, `/regex/`, and the few fields a line has.

use std::str::FromStr;

use super::FilterError;
use super::expr::{Dialect, Field, Node, Term};
use super::fuzzy;
use super::matching::evaluate;
use super::parse;

/// A line of a log as a filter sees it. What it does not have is empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct LineRow<'a> {
    /// The host it is about.
    pub host: &'a str,
    /// The VM, pool or network it is about.
    pub vm: &'a str,
    /// What sort of thing happened.
    pub kind: &'a str,
    /// How it ended.
    pub status: &'a str,
    /// Who did it, and through which door.
    pub by: [&'a str; 2],
    /// Everything else that can be read in it.
    pub texts: &'a [&'a str],
}

/// A filter of lines. The empty filter matches every line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LineFilter {
    root: Option<Node>,
}

impl FromStr for LineFilter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse::parse(text, Dialect::Lines).map(|root| Self { root })
    }
}

impl LineFilter {
    /// Returns true when the line is one of those asked for.
    pub fn matches(&self, line: &LineRow<'_>) -> bool {
        let Some(node) = &self.root else { return true };
        evaluate(node, &|term| ask(term, line)) == Some(true)
    }
}

fn ask(term: &Term, line: &LineRow<'_>) -> Option<bool> {
    let anywhere = |fits: &dyn Fn(&str) -> bool| {
        let named = [line.host, line.vm, line.kind, line.status];
        let all = named.iter().chain(&line.by).chain(line.texts);
        all.into_iter().any(|text| fits(text))
    };
    Some(match term {
        Term::Word(word) => anywhere(&|text| word.is_in(text)),
        Term::Regex(pattern) => anywhere(&|text| pattern.0.is_match(text)),
        Term::Fuzzy(word) => anywhere(&|text| fuzzy::fits(word.lower(), text)),
        Term::Field(field, values) => {
            let any = |text: &str| values.iter().any(|value| value.is(text));
            match field {
                Field::Host => any(line.host),
                Field::Vm => any(line.vm),
                Field::Kind => any(line.kind),
                Field::Status => any(line.status),
                Field::By => line.by.iter().any(|text| any(text)),
                Field::State
                | Field::Hypervisor
                | Field::Tag
                | Field::Tier
                | Field::Name
                | Field::Id
                | Field::Ip => return None,
            }
        }
        Term::Figure(_) | Term::Flag(_) => return None,
    })
}

/// The grammar in rows of example and meaning.
pub const LINE_SYNTAX: [(&str, &str); 5] = [
    ("timed out", "both words occur in the line"),
    ("!pool", "not"),
    ("/exit [1-9]/", "regular expression"),
    ("start|stop", "one of them; binds tighter than the blank"),
    (
        "host:kvm* vm: kind: status: by:",
        "the whole field, `*` for any run of characters; `by:` is a user or a door",
    ),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(filter: &str) -> bool {
        let line = LineRow {
            host: "kvm1",
            vm: "web-1",
            kind: "force-off",
            status: "failed",
            by: ["ann", "tui"],
            texts: &["virsh destroy 6c09", "it is not running > now"],
        };
        filter.parse::<LineFilter>().unwrap().matches(&line)
    }

    #[test]
    fn what_matches_and_what_does_not() {
        for (filter, expected) in [
            ("", true),
            ("WEB destroy", true),
            ("web start", false),
            ("!start", true),
            ("start|destroy kvm1", true),
            ("/not\\s+running/", true),
            ("/^destroy/", false),
            ("~wb1", true),
            ("host:kvm*", true),
            ("host:kvm", false),
            ("vm:web-1 kind:force-off status:failed|ok", true),
            ("!host:kvm1", false),
            ("by:ann by:tui", true),
            ("by:serve", false),
            // What is a figure or a flag of VMs is a word here.
            ("cpu>80", false),
            ("marked", false),
            ("\"running > now\"", true),
        ] {
            assert_eq!(matches(filter), expected, "{filter}");
        }
    }

    #[test]
    fn fields_of_vms_are_none_here_and_the_mistake_is_pointed_at() {
        for (filter, at) in [
            ("a tag:x", 2),
            ("cpu:80", 0),
            ("state:running", 0),
            ("(", 0),
        ] {
            let error = filter.parse::<LineFilter>().unwrap_err();
            assert_eq!(error.at, at, "{filter}: {error}");
        }
        let error = "tag:x".parse::<LineFilter>().unwrap_err();
        assert!(
            error.message.contains("host, vm, kind, status, by"),
            "{error}"
        );
    }

    #[test]
    fn every_row_of_the_help_reads() {
        for (example, _) in LINE_SYNTAX {
            let words = example.split(' ').filter(|word| !word.ends_with(':'));
            let text = words.collect::<Vec<_>>().join(" ");
            assert!(text.parse::<LineFilter>().is_ok(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC{0,60}|[a-z!|()~/:<>=\"'\\\\ *0-9%]{0,60}") {
            match text.parse::<LineFilter>() {
                Ok(filter) => drop(filter.matches(&LineRow::default())),
                Err(error) => prop_assert!(text.is_char_boundary(error.at), "{:?}", error),
            }
        }
    }
}
