//! One value of a table, before it is written in some format. Not known stays not known.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::domain::text::RemoteText;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// Not known.
    Unknown,
    Flag(bool),
    Count(u64),
    Figure(f64),
    Text(String),
    /// From a host: shown to people in its visible form, handed to programs as it is.
    Remote(RemoteText),
    List(Vec<String>),
    Time(Timestamp),
}

impl Cell {
    /// Wraps what may not be known.
    pub(super) fn of<T>(value: Option<T>, wrap: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Unknown, wrap)
    }

    pub(super) fn text<T: ToString + ?Sized>(value: &T) -> Self {
        Self::Text(value.to_string())
    }

    /// Returns it as plain text without control characters; empty when not known.
    pub(super) fn plain(&self) -> String {
        match self {
            Self::Unknown => String::new(),
            Self::Flag(value) => value.to_string(),
            Self::Count(value) => value.to_string(),
            Self::Figure(value) => value.to_string(),
            Self::Text(text) => RemoteText::new(text).shown().to_owned(),
            Self::Remote(text) => text.shown().to_owned(),
            Self::List(words) => RemoteText::new(&words.join(" ")).shown().to_owned(),
            Self::Time(at) => at.to_string(),
        }
    }

    /// Orders values of one column; what is not known comes last whichever way it is sorted.
    pub(super) fn order(&self, other: &Self, descending: bool) -> Ordering {
        let turned = |order: Ordering| if descending { order.reverse() } else { order };
        match (self, other) {
            (Self::Unknown, Self::Unknown) => Ordering::Equal,
            (Self::Unknown, _) => Ordering::Greater,
            (_, Self::Unknown) => Ordering::Less,
            (Self::Count(a), Self::Count(b)) => turned(a.cmp(b)),
            (Self::Flag(a), Self::Flag(b)) => turned(a.cmp(b)),
            (Self::Time(a), Self::Time(b)) => turned(a.cmp(b)),
            (Self::Figure(a), Self::Figure(b)) => turned(a.total_cmp(b)),
            _ => turned(
                self.plain()
                    .to_lowercase()
                    .cmp(&other.plain().to_lowercase()),
            ),
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unknown => serializer.serialize_none(),
            Self::Flag(value) => serializer.serialize_bool(*value),
            Self::Count(value) => serializer.serialize_u64(*value),
            Self::Figure(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Remote(text) => text.serialize(serializer),
            Self::List(words) => words.serialize(serializer),
            Self::Time(at) => at.serialize(serializer),
        }
    }
}
