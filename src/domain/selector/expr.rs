//! A filter as a tree, and how it is printed so that it reads back as the same.

use std::fmt;

use regex::Regex;

use super::figure::Comparison;
use super::text::Needle;

/// A part of a filter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Every one matches.
    All(Vec<Self>),
    /// One matches.
    Any(Vec<Self>),
    Not(Box<Self>),
    Term(Term),
}

/// One thing a row is asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Term {
    Word(Needle),
    Fuzzy(Needle),
    Regex(Pattern),
    Field(Field, Vec<Needle>),
    Figure(Comparison),
    Flag(Flag),
}

/// A regular expression; two are the same when they are written the same.
#[derive(Debug, Clone)]
pub(super) struct Pattern(pub(super) Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// A field with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    State,
    Host,
    Hypervisor,
    Tag,
    Tier,
    Name,
    Id,
    Ip,
    Vm,
    Kind,
    Status,
    By,
}

/// What a filter is about: its grammar is the same, the words with a meaning are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// VMs.
    Vms,
    /// Lines of a log: no figures and no flags.
    Lines,
}

impl Dialect {
    pub(super) const fn fields(self) -> &'static [(&'static str, Field)] {
        match self {
            Self::Vms => &Field::NAMES,
            Self::Lines => &Field::LINE_NAMES,
        }
    }
}

impl Field {
    pub(super) const LINE_NAMES: [(&'static str, Self); 5] = [
        ("host", Self::Host),
        ("vm", Self::Vm),
        ("kind", Self::Kind),
        ("status", Self::Status),
        ("by", Self::By),
    ];
    pub(super) const NAMES: [(&'static str, Self); 8] = [
        ("state", Self::State),
        ("host", Self::Host),
        ("hv", Self::Hypervisor),
        ("tag", Self::Tag),
        ("tier", Self::Tier),
        ("name", Self::Name),
        ("id", Self::Id),
        ("ip", Self::Ip),
    ];

    pub(super) fn named(name: &str, dialect: Dialect) -> Option<Self> {
        let mut names = dialect.fields().iter();
        names
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, field)| *field)
    }

    fn name(self) -> &'static str {
        Self::NAMES
            .into_iter()
            .chain(Self::LINE_NAMES)
            .find(|(_, field)| *field == self)
            .map_or("", |(name, _)| name)
    }
}

/// Something a row is or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    Marked,
    Protected,
    Stale,
}

impl Flag {
    pub(super) const NAMES: [(&'static str, Self); 3] = [
        ("marked", Self::Marked),
        ("protected", Self::Protected),
        ("stale", Self::Stale),
    ];

    pub(super) fn named(word: &str) -> Option<Self> {
        Self::NAMES
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(word))
            .map(|(_, flag)| flag)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Marked => "marked",
            Self::Protected => "protected",
            Self::Stale => "stale",
        }
    }
}

impl Node {
    pub(super) fn needs_rates(&self) -> bool {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().any(Self::needs_rates),
            Self::Not(node) => node.needs_rates(),
            Self::Term(Term::Figure(comparison)) => comparison.is_rate(),
            Self::Term(_) => false,
        }
    }

    /// Prints it; `inside` asks for parentheses around what would otherwise come apart.
    pub(super) fn print(&self, f: &mut fmt::Formatter<'_>, inside: bool) -> fmt::Result {
        let (nodes, joint) = match self {
            Self::Term(term) => return write!(f, "{term}"),
            Self::Not(node) => {
                f.write_str("!")?;
                return node.print(f, true);
            }
            Self::All(nodes) => (nodes, " "),
            Self::Any(nodes) => (nodes, " | "),
        };
        if inside {
            f.write_str("(")?;
        }
        for (index, node) in nodes.iter().enumerate() {
            if index > 0 {
                f.write_str(joint)?;
            }
            // Alternatives bind tighter than the blank, so only lists inside them need help; inside
            // a list, parentheses are kept around alternatives because that is how people read them.
            node.print(f, true)?;
        }
        if inside {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => word.print(f, |text| Flag::named(text).is_some()),
            Self::Fuzzy(word) => {
                f.write_str("~")?;
                word.print(f, |_| false)
            }
            Self::Regex(pattern) => write!(f, "/{}/", pattern.0.as_str().replace('/', "\\/")),
            Self::Field(field, values) => {
                write!(f, "{}:", field.name())?;
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        f.write_str("|")?;
                    }
                    value.print(f, |_| false)?;
                }
                Ok(())
            }
            Self::Figure(comparison) => write!(f, "{comparison}"),
            Self::Flag(flag) => f.write_str(flag.name()),
        }
    }
}
