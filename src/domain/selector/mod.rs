//! The filter grammar: one string that means the same in the terminal's `/`, in `--filter` and in
//! `?filter=`.
//!
//! ```text
//! filter  = alternatives*                 all of them must match
//! alternatives = term ( "|" term )*       one is enough; binds tighter than the blank
//! term    = "!" term | "(" filter ")" | word | "~" word | "/" regex "/" | field ":" value ( "|" value )*
//!         | figure ( "<" | "<=" | ">" | ">=" | "=" | "!=" ) amount | "marked" | "protected" | "stale"
//! ```
//!
//! A figure that is not known matches no comparison, in neither direction and not under `!` either:
//! a filter may choose what is switched off, so "not known" must never be read as "small".
//!
//! Pure. It must not know any door. `regex` is the one outside crate here; its patterns are bounded
//! in size and nesting when they are read.

mod cursor;
mod expr;
mod figure;
mod fuzzy;
mod matching;
mod parse;
mod text;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use self::expr::Node;
pub use self::matching::Row;

/// Bytes a filter may have.
pub const MAX_FILTER_BYTES: usize = 1024;

/// A filter, ready to be asked about rows. The empty filter matches everything.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    root: Option<Node>,
}

/// Why a text is no filter, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct FilterError {
    /// Byte offset of the mistake in the text; always on a character boundary, at most its length.
    pub at: usize,
    /// What is wrong with it, and often what to write instead.
    pub message: String,
}

impl Filter {
    /// Reads a filter.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        parse::parse(text).map(|root| Self { root })
    }

    /// Returns true when everything matches.
    pub const fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// Returns true when the row is one of those asked for.
    pub fn matches(&self, row: &Row<'_>) -> bool {
        self.root
            .as_ref()
            .is_none_or(|node| matching::decide(node, row) == Some(true))
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Filter {
    /// Prints a filter that reads back as the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root
            .as_ref()
            .map_or(Ok(()), |node| node.print(f, false))
    }
}

/// The grammar in rows of example and meaning, for help and documentation.
pub const SYNTAX: [(&str, &str); 15] = [
    (
        "web kvm1",
        "both words occur in name, host, address, tag or state",
    ),
    ("web*", "one of these begins with `web`"),
    (
        "~wb1",
        "the letters occur in this order in the name or host",
    ),
    (
        "/^web-\\d+$/",
        "regular expression over the same fields as words",
    ),
    (
        "\"two words\"",
        "literally, with blanks and special characters",
    ),
    ("!stopped", "not"),
    ("web|db", "one of them; binds tighter than the blank"),
    ("(web running)|prod", "parentheses group"),
    ("state:running|paused", "the state is one of these"),
    (
        "host:kvm* name: hv: tag: tier: id: ip:",
        "the whole field, `*` for any run of characters; `id:` takes the beginning",
    ),
    ("cpu>80 vcpu>=4", "processors: percent in use, number"),
    (
        "mem>90% mem>4G disk>100G",
        "memory and disk: share or size in use (K, M, G, T: binary)",
    ),
    (
        "up<1h age>30s snapage>30d",
        "time since start, since last read, since the last VM snapshot",
    ),
    ("snap>3", "number of VM snapshots"),
    (
        "marked protected stale",
        "marks of the dashboard; rows too old to act on",
    ),
];

#[cfg(test)]
mod tests;
