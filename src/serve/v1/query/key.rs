//! What rows are ordered by. Not known comes last whichever way it is sorted.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Characters of a text that take part in the order: a cursor holds a key, and has to stay short.
const LONGEST: usize = 48;

/// A value to order by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::serve) enum Key {
    /// Not known.
    #[serde(rename = "u")]
    Unknown,
    /// A flag, a count, or a moment in microseconds.
    #[serde(rename = "w")]
    Whole(i64),
    /// A figure.
    #[serde(rename = "f")]
    Figure(f64),
    /// Text, lower-case and cut.
    #[serde(rename = "t")]
    Text(String),
}

impl Key {
    /// Takes text.
    pub(in crate::serve) fn text(text: &str) -> Self {
        Self::Text(
            text.chars()
                .take(LONGEST)
                .flat_map(char::to_lowercase)
                .collect(),
        )
    }

    /// Takes a number; what is beyond all measure counts as the largest.
    pub(in crate::serve) fn whole(number: impl TryInto<i64>) -> Self {
        Self::Whole(number.try_into().unwrap_or(i64::MAX))
    }

    /// Takes a moment.
    pub(in crate::serve) fn time(at: Timestamp) -> Self {
        Self::Whole(at.as_microsecond())
    }

    /// Takes what may not be known.
    pub(in crate::serve) fn of<T>(value: Option<T>, wrap: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Unknown, wrap)
    }

    /// Orders two keys of one column.
    pub(in crate::serve) fn order(&self, other: &Self, descending: bool) -> Ordering {
        let turned = |order: Ordering| if descending { order.reverse() } else { order };
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => turned(a.cmp(b)),
            (Self::Figure(a), Self::Figure(b)) => turned(a.total_cmp(b)),
            (Self::Text(a), Self::Text(b)) => turned(a.cmp(b)),
            // Not known comes last. Other kinds meet only in a cursor that somebody else wrote.
            _ => self.rank().cmp(&other.rank()),
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Whole(_) => 0,
            Self::Figure(_) => 1,
            Self::Text(_) => 2,
            Self::Unknown => 3,
        }
    }
}
