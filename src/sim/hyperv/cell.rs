//! Typed values of WMI properties and of cmdlet objects, before an evaluator turns them into its own.
//! Pure data; the types are those that a script can tell apart.

use jiff::Timestamp;

/// A value with its type.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sim) enum Cell {
    Null,
    Bool(bool),
    U16(u16),
    U32(u32),
    U64(u64),
    I32(i32),
    I64(i64),
    Text(String),
    /// A `System.Guid`.
    Guid(String),
    /// A point in time.
    Time(Timestamp),
    /// A `TimeSpan` in milliseconds.
    Span(i64),
    List(Vec<Self>),
    /// Numbers of eight bits.
    Bytes(std::sync::Arc<[u8]>),
    /// A value of a .NET enumeration.
    Named(Named),
    /// Another object.
    Thing(Box<Thing>),
}

/// A value of a .NET enumeration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim) struct Named {
    /// The enumeration's full name.
    pub(in crate::sim) of: &'static str,
    pub(in crate::sim) number: i64,
    /// Empty for a number that the enumeration does not name.
    pub(in crate::sim) name: String,
}

/// An object: its types, most special first, its properties in order, and what identifies it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sim) struct Thing {
    pub(in crate::sim) types: Vec<String>,
    pub(in crate::sim) props: Vec<(&'static str, Cell)>,
    /// What `ToString` prints; `None` prints the first type.
    pub(in crate::sim) shown: Option<String>,
    pub(in crate::sim) key: Option<Key>,
}

/// What identifies an object to the host, so that it can be given back in another call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim) enum Key {
    /// An instance of a WMI class.
    Instance {
        class: &'static str,
        /// What tells it from others of its class.
        id: String,
    },
    /// A VM of the cmdlets.
    Vm(String),
    /// A checkpoint of the cmdlets: VM, checkpoint.
    Checkpoint(String, String),
}

impl Cell {
    pub(in crate::sim) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Text, or nothing.
    pub(in crate::sim) fn maybe_text(text: Option<&str>) -> Self {
        text.map_or(Self::Null, Self::text)
    }

    pub(in crate::sim) fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    pub(in crate::sim) fn numbers(numbers: impl IntoIterator<Item = u16>) -> Self {
        Self::List(numbers.into_iter().map(Self::U16).collect())
    }

    pub(in crate::sim) fn named(of: &'static str, number: i64, name: impl Into<String>) -> Self {
        Self::Named(Named {
            of,
            number,
            name: name.into(),
        })
    }

    /// Its number, where it is one.
    pub(in crate::sim) const fn number(&self) -> Option<i128> {
        Some(match self {
            Self::Bool(value) => *value as i128,
            Self::U16(value) => *value as i128,
            Self::U32(value) => *value as i128,
            Self::U64(value) => *value as i128,
            Self::I32(value) => *value as i128,
            Self::I64(value) => *value as i128,
            Self::Named(named) => named.number as i128,
            _ => return None,
        })
    }

    /// Its text, where it is text.
    pub(in crate::sim) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Guid(text) => Some(text),
            _ => None,
        }
    }
}

impl Thing {
    /// Returns a property; their names know no case.
    pub(in crate::sim) fn get(&self, name: &str) -> Option<&Cell> {
        self.props
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, cell)| cell)
    }
}
