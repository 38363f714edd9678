//! Lists and tables: their properties and methods.

use std::sync::Arc;

use super::int;
use crate::sim::powershell::compare;
use crate::sim::powershell::error::Exception;
use crate::sim::powershell::native::{Native, lock};
use crate::sim::powershell::object::{Hash, Object};
use crate::sim::powershell::text::{self, Locale};
use crate::sim::powershell::value::Value;

/// What a method of a collection answers; `None` when it has no such method.
pub(super) type Answer = Option<Result<Value, Exception>>;

pub(super) fn list_property(list: &Value, name: &str) -> Option<Value> {
    match name {
        "count" | "length" => Some(int(match list {
            Value::Bytes(bytes) => bytes.len(),
            Value::Array(array) => array.len(),
            _ => 0,
        })),
        "longlength" => i64::try_from(list.items().len()).ok().map(Value::Long),
        "rank" => Some(Value::Int(1)),
        "isfixedsize" => Some(Value::Bool(true)),
        "isreadonly" => Some(Value::Bool(false)),
        _ => None,
    }
}

pub(super) fn hash_property(hash: &Hash, name: &str) -> Option<Value> {
    match name {
        "count" => Some(int(hash.len())),
        "keys" => Some(Value::array(hash.pairs().into_iter().map(|(key, _)| key))),
        "values" => Some(Value::array(
            hash.pairs().into_iter().map(|(_, value)| value),
        )),
        "isreadonly" | "isfixedsize" => Some(Value::Bool(false)),
        _ => None,
    }
}

pub(super) fn hash_method(hash: &Hash, name: &str, arguments: &[Value]) -> Answer {
    Some(Ok(match (name, arguments) {
        ("containskey" | "contains", [key]) => Value::Bool(hash.get(key).is_some()),
        ("containsvalue", [value]) => Value::Bool(
            hash.pairs()
                .iter()
                .any(|(_, known)| compare::equal(known, value, true, Locale::default())),
        ),
        ("add", [key, value]) => {
            if hash.get(key).is_some() {
                let shown = text::of(key, Locale::default());
                return Some(Err(Exception::new(
                    "System.ArgumentException",
                    format!(
                        "Item has already been added. Key in dictionary: '{shown}'  Key being \
                         added: '{shown}'"
                    ),
                )));
            }
            hash.set(key.clone(), value.clone());
            Value::Void
        }
        ("remove", [key]) => {
            hash.remove(key);
            Value::Void
        }
        ("clear", []) => {
            hash.clear();
            Value::Void
        }
        ("get_item" | "item", [key]) => hash.get(key).unwrap_or_default(),
        ("set_item", [key, value]) => {
            hash.set(key.clone(), value.clone());
            Value::Void
        }
        ("clone", []) => {
            let copy = if hash.is_ordered() {
                Hash::ordered()
            } else {
                Hash::new()
            };
            for (key, value) in hash.pairs() {
                copy.set(key, value);
            }
            Value::Hash(copy)
        }
        ("getenumerator", []) => Value::array(hash.pairs().into_iter().map(|(key, value)| {
            Object::new("System.Collections.DictionaryEntry")
                .with("Key", key.clone())
                .with("Value", value)
                .with("Name", key)
                .into()
        })),
        _ => return None,
    }))
}

pub(super) fn list_method(list: &Value, name: &str, arguments: &[Value]) -> Answer {
    let locale = Locale::default();
    Some(Ok(match (name, arguments) {
        ("contains", [value]) => Value::Bool(
            list.items()
                .iter()
                .any(|known| compare::equal(known, value, true, locale)),
        ),
        ("indexof", [value]) => position(&list.items(), value),
        ("getlength" | "getupperbound", [_]) => {
            let count = list.items().len();
            int(if name == "getlength" {
                count
            } else {
                count.saturating_sub(1)
            })
        }
        ("getenumerator" | "clone", []) => Value::array(list.items()),
        ("getvalue", [place]) => place
            .as_integer()
            .and_then(|place| usize::try_from(place).ok())
            .and_then(|place| list.items().get(place).cloned())
            .unwrap_or_default(),
        ("add" | "remove" | "clear" | "insert" | "removeat", _) => {
            return Some(Err(Exception::new(
                "System.NotSupportedException",
                "Collection was of a fixed size.",
            )));
        }
        _ => return None,
    }))
}

fn position(items: &[Value], value: &Value) -> Value {
    let found = items
        .iter()
        .position(|known| compare::equal(known, value, true, Locale::default()));
    found.map_or(Value::Int(-1), int)
}

/// Methods of lists that grow.
pub(super) fn growing_method(native: &Arc<Native>, name: &str, arguments: &[Value]) -> Answer {
    let Native::List(items, class) = native.as_ref() else {
        return None;
    };
    Some(Ok(match (name, arguments) {
        ("add", [value]) => {
            let mut items = lock(items);
            items.push(value.clone());
            // ArrayList answers the place, the generic list nothing.
            if class.ends_with("ArrayList") {
                int(items.len().saturating_sub(1))
            } else {
                Value::Void
            }
        }
        ("addrange", [values]) => {
            let values = values.items();
            lock(items).extend(values);
            Value::Void
        }
        ("clear", []) => {
            lock(items).clear();
            Value::Void
        }
        ("contains", [value]) => Value::Bool(
            lock(items)
                .iter()
                .any(|known| compare::equal(known, value, true, Locale::default())),
        ),
        ("indexof", [value]) => position(&lock(items), value),
        ("remove", [value]) => {
            let mut items = lock(items);
            let found = items
                .iter()
                .position(|known| compare::equal(known, value, true, Locale::default()));
            if let Some(place) = found {
                items.remove(place);
            }
            if class.ends_with("ArrayList") {
                Value::Void
            } else {
                Value::Bool(found.is_some())
            }
        }
        ("removeat", [place]) => {
            let mut items = lock(items);
            match place.as_integer().and_then(|n| usize::try_from(n).ok()) {
                Some(place) if place < items.len() => {
                    items.remove(place);
                    Value::Void
                }
                _ => {
                    return Some(Err(Exception::new(
                        "System.ArgumentOutOfRangeException",
                        "Index was out of range. Must be non-negative and less than the size of \
                         the collection.\r\nParameter name: index",
                    )));
                }
            }
        }
        ("toarray" | "getenumerator", []) => Value::array(lock(items).clone()),
        _ => return None,
    }))
}
