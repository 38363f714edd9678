//! Values of the language, as .NET knows them: what a variable holds, what a property answers and
//! what travels through a pipeline. Containers are references, as in .NET: a clone is the same table.
//! Conversions live in `convert`, members in `members`; nothing here knows a command.

use std::fmt;
use std::sync::Arc;

use super::ast::ScriptBlock;
use super::error::ErrorRecord;
use super::native::Native;
use super::object::{Array, Hash, Object};
use super::time::{DateTime, TimeSpan};

/// A value.
#[derive(Clone, Default)]
pub(in crate::sim) enum Value {
    #[default]
    Null,
    /// No value at all, as a command without results leaves it: `$null` to operators, nothing to a
    /// pipeline (.NET: `AutomationNull`).
    Void,
    Bool(bool),
    Char(char),
    Byte(u8),
    UInt16(u16),
    Int(i32),
    UInt32(u32),
    Long(i64),
    UInt64(u64),
    Double(f64),
    Str(Arc<str>),
    Array(Array),
    /// `byte[]`; not changed once made.
    Bytes(Arc<[u8]>),
    Hash(Hash),
    Object(Arc<Object>),
    Enum(Arc<EnumValue>),
    DateTime(DateTime),
    TimeSpan(TimeSpan),
    Guid(u128),
    Version(Version),
    ScriptBlock(Arc<ScriptBlock>),
    /// A type, as `[int]` is one.
    Type(TypeName),
    /// What `catch` finds in `$_`.
    Error(Arc<ErrorRecord>),
    /// An object of a .NET class that the language carries itself: streams, encodings, stop-watches.
    Native(Arc<Native>),
}

/// A constant of an enumeration: a number with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim) struct EnumValue {
    /// Full type name, such as `Microsoft.HyperV.PowerShell.VMState`.
    pub(in crate::sim) type_name: Arc<str>,
    /// The constant's name; the number in digits where the enumeration has no name for it.
    pub(in crate::sim) name: Arc<str>,
    pub(in crate::sim) number: i64,
}

/// `System.Version`; parts that were not given are -1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sim) struct Version(pub(in crate::sim) [i32; 4]);

/// Full name of a .NET type, such as `System.Int32`.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::sim) struct TypeName(pub(in crate::sim) Arc<str>);

impl Value {
    /// Makes a string.
    pub(in crate::sim) fn str(text: impl AsRef<str>) -> Self {
        Self::Str(Arc::from(text.as_ref()))
    }

    /// Makes an `object[]`.
    pub(in crate::sim) fn array(items: impl IntoIterator<Item = Self>) -> Self {
        Self::Array(Array::new(items.into_iter().collect()))
    }

    /// Makes an array of one element type, given by its full name without `[]`.
    pub(in crate::sim) fn typed_array(
        element: &'static str,
        items: impl IntoIterator<Item = Self>,
    ) -> Self {
        Self::Array(Array::typed(element, items.into_iter().collect()))
    }

    /// Makes a constant of an enumeration.
    pub(in crate::sim) fn enumeration(type_name: &str, name: &str, number: i64) -> Self {
        Self::Enum(Arc::new(EnumValue {
            type_name: Arc::from(type_name),
            name: Arc::from(name),
            number,
        }))
    }

    /// Makes a GUID from its text; braces and case do not matter. `None` when it is none.
    pub(in crate::sim) fn guid(text: &str) -> Option<Self> {
        parse_guid(text).map(Self::Guid)
    }

    /// Makes what a pipeline of several results leaves in a variable: nothing is `$null`, one is itself.
    pub(in crate::sim) fn of_output(mut items: Vec<Self>) -> Self {
        match items.len() {
            0 => Self::Void,
            1 => items.pop().unwrap_or_default(),
            _ => Self::array(items),
        }
    }

    /// Whether it is `$null`.
    pub(in crate::sim) const fn is_null(&self) -> bool {
        matches!(self, Self::Null | Self::Void)
    }

    /// Returns `$null` for no value and everything else as it is.
    #[must_use]
    pub(in crate::sim) fn plain(self) -> Self {
        match self {
            Self::Void => Self::Null,
            other => other,
        }
    }

    /// Returns the elements of an array, and anything else as a list of one; `$null` is an empty list.
    pub(in crate::sim) fn items(&self) -> Vec<Self> {
        match self {
            Self::Null | Self::Void => Vec::new(),
            Self::Native(native) => native.items().unwrap_or_else(|| vec![self.clone()]),
            Self::Array(array) => array.items(),
            Self::Bytes(bytes) => bytes.iter().map(|byte| Self::Byte(*byte)).collect(),
            other => vec![other.clone()],
        }
    }

    /// Returns the text of a string (not of anything that could be made one).
    pub(in crate::sim) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the number of an integer, of a boolean or of an enumeration's constant; `None` for the rest.
    pub(in crate::sim) fn as_integer(&self) -> Option<i128> {
        Some(match self {
            Self::Bool(truth) => i128::from(*truth),
            Self::Char(c) => i128::from(u32::from(*c)),
            Self::Byte(number) => i128::from(*number),
            Self::UInt16(number) => i128::from(*number),
            Self::Int(number) => i128::from(*number),
            Self::UInt32(number) => i128::from(*number),
            Self::Long(number) => i128::from(*number),
            Self::UInt64(number) => i128::from(*number),
            Self::Enum(constant) => i128::from(constant.number),
            _ => return None,
        })
    }

    /// Returns the object.
    pub(in crate::sim) const fn as_object(&self) -> Option<&Arc<Object>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Returns the .NET type's full name, as `GetType().FullName` says it; `None` for `$null`.
    pub(in crate::sim) fn type_name(&self) -> Option<String> {
        Some(match self {
            Self::Null | Self::Void => return None,
            Self::Bool(_) => "System.Boolean".to_owned(),
            Self::Char(_) => "System.Char".to_owned(),
            Self::Byte(_) => "System.Byte".to_owned(),
            Self::UInt16(_) => "System.UInt16".to_owned(),
            Self::Int(_) => "System.Int32".to_owned(),
            Self::UInt32(_) => "System.UInt32".to_owned(),
            Self::Long(_) => "System.Int64".to_owned(),
            Self::UInt64(_) => "System.UInt64".to_owned(),
            Self::Double(_) => "System.Double".to_owned(),
            Self::Str(_) => "System.String".to_owned(),
            Self::Array(array) => format!("{}[]", array.element()),
            Self::Bytes(_) => "System.Byte[]".to_owned(),
            Self::Hash(hash) => hash.type_name().to_owned(),
            Self::Object(object) => object.type_name().to_owned(),
            Self::Enum(constant) => constant.type_name.as_ref().to_owned(),
            Self::DateTime(_) => "System.DateTime".to_owned(),
            Self::TimeSpan(_) => "System.TimeSpan".to_owned(),
            Self::Guid(_) => "System.Guid".to_owned(),
            Self::Version(_) => "System.Version".to_owned(),
            Self::ScriptBlock(_) => "System.Management.Automation.ScriptBlock".to_owned(),
            Self::Type(_) => "System.RuntimeType".to_owned(),
            Self::Error(_) => "System.Management.Automation.ErrorRecord".to_owned(),
            Self::Native(native) => native.type_name().to_owned(),
        })
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null | Self::Void => f.write_str("$null"),
            Self::Bool(truth) => write!(f, "${truth}"),
            Self::Str(text) => write!(f, "{text:?}"),
            Self::Guid(id) => f.write_str(&guid_text(*id)),
            Self::Array(array) => f.debug_list().entries(array.items()).finish(),
            Self::Enum(constant) => write!(f, "{}({})", constant.name, constant.number),
            Self::Double(number) => write!(f, "{number:?}"),
            Self::Object(object) => object.fmt(f),
            other => match other.as_integer() {
                Some(number) => write!(f, "{number}"),
                None => write!(f, "<{}>", other.type_name().unwrap_or_default()),
            },
        }
    }
}

impl fmt::Debug for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self
            .0
            .iter()
            .take_while(|part| **part >= 0)
            .map(i32::to_string)
            .collect();
        f.write_str(&parts.join("."))
    }
}

impl Version {
    /// Reads two to four numbers with dots between them.
    pub(in crate::sim) fn parse(text: &str) -> Option<Self> {
        let mut parts = [-1; 4];
        let mut count = 0;
        for word in text.trim().split('.') {
            let part = word.parse::<u32>().ok()?;
            *parts.get_mut(count)? = i32::try_from(part).ok()?;
            count += 1;
        }
        (count >= 2).then_some(Self(parts))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::str(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(Arc::from(text))
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Int(number)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Long(number)
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::UInt16(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::UInt32(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::UInt64(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Double(number)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(Arc::new(object))
    }
}

impl From<Arc<Object>> for Value {
    fn from(object: Arc<Object>) -> Self {
        Self::Object(object)
    }
}

impl From<Hash> for Value {
    fn from(hash: Hash) -> Self {
        Self::Hash(hash)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    /// `None` is `$null`.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Reads a GUID: 32 hex digits with or without dashes, with or without braces.
pub(in crate::sim) fn parse_guid(text: &str) -> Option<u128> {
    let text = text.trim();
    let bare = text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .unwrap_or(text);
    let digits: String = match bare.len() {
        32 => bare.to_owned(),
        36 => {
            let groups: Vec<&str> = bare.split('-').collect();
            if groups.iter().map(|group| group.len()).ne([8, 4, 4, 4, 12]) {
                return None;
            }
            groups.concat()
        }
        _ => return None,
    };
    digits
        .chars()
        .all(|c| c.is_ascii_hexdigit())
        .then(|| u128::from_str_radix(&digits, 16).ok())
        .flatten()
}

/// Writes a GUID as .NET does: lower case, with dashes.
pub(in crate::sim) fn guid_text(id: u128) -> String {
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        id >> 96,
        (id >> 80) & 0xffff,
        (id >> 64) & 0xffff,
        (id >> 48) & 0xffff,
        id & 0xffff_ffff_ffff
    )
}
