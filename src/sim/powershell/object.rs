//! The containers: objects with named properties, hash tables and arrays. All are references with
//! inner mutability, as in .NET; names and string keys are found whatever their case.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::value::{Value, guid_text};

/// The type of `[pscustomobject]@{}`.
pub(in crate::sim) const CUSTOM_OBJECT: &str = "System.Management.Automation.PSCustomObject";

/// The element type of arrays that are not typed.
const OBJECT: &str = "System.Object";

fn lock<T>(cell: &Mutex<T>) -> MutexGuard<'_, T> {
    cell.lock().unwrap_or_else(PoisonError::into_inner)
}

fn same_name(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Named values in their order; names are unique whatever their case.
#[derive(Debug, Clone, Default)]
pub(in crate::sim) struct Properties(Vec<(Arc<str>, Value)>);

impl Properties {
    /// Returns a value.
    pub(in crate::sim) fn get(&self, name: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(known, _)| same_name(known, name))
            .map(|(_, value)| value)
    }

    /// Sets a value, keeping the place and the spelling of a known name.
    pub(in crate::sim) fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| same_name(known, name)) {
            Some((_, slot)) => *slot = value,
            None => self.0.push((Arc::from(name), value)),
        }
    }

    /// Removes a value and says whether it was there.
    pub(in crate::sim) fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(known, _)| !same_name(known, name));
        self.0.len() != before
    }
}

/// An object with a .NET type, ordered properties and, where the machine gave one, an identity.
pub(in crate::sim) struct Object {
    /// Most derived first.
    types: Vec<Arc<str>>,
    properties: Mutex<Properties>,
    handle: Option<Arc<str>>,
    text: Option<Arc<str>>,
}

impl Object {
    /// Makes an object of a type without properties.
    pub(in crate::sim) fn new(type_name: &str) -> Self {
        Self {
            types: vec![Arc::from(type_name)],
            properties: Mutex::default(),
            handle: None,
            text: None,
        }
    }

    /// Makes what `[pscustomobject]@{}` makes.
    pub(in crate::sim) fn custom() -> Self {
        Self::new(CUSTOM_OBJECT)
    }

    /// Makes an instance of a CIM class, with the type names PowerShell gives such instances.
    pub(in crate::sim) fn cim(namespace: &str, class: &str) -> Self {
        let mut object = Self::new("Microsoft.Management.Infrastructure.CimInstance");
        let namespace = namespace.replace('\\', "/");
        object.types.insert(
            0,
            Arc::from(format!(
                "Microsoft.Management.Infrastructure.CimInstance#{namespace}/{class}"
            )),
        );
        object
    }

    /// Adds a type that it also is, less derived than those before.
    #[must_use]
    pub(in crate::sim) fn also(mut self, type_name: &str) -> Self {
        self.types.push(Arc::from(type_name));
        self
    }

    /// Adds a property.
    #[must_use]
    pub(in crate::sim) fn with(self, name: &str, value: impl Into<Value>) -> Self {
        self.set(name, value.into());
        self
    }

    /// Gives it the machine's own identity for it, such as a CIM path; opaque to the language.
    #[must_use]
    pub(in crate::sim) fn known_as(mut self, handle: impl Into<Arc<str>>) -> Self {
        self.handle = Some(handle.into());
        self
    }

    /// Sets what its `ToString()` answers; without it, the type's name (a custom object: `@{..}`).
    #[must_use]
    pub(in crate::sim) fn reads(mut self, text: impl Into<Arc<str>>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// Returns the name of its .NET class, as `GetType().FullName` says it.
    pub(in crate::sim) fn type_name(&self) -> &str {
        self.types
            .iter()
            .find(|name| !name.contains('#'))
            .map_or(OBJECT, AsRef::as_ref)
    }

    /// Returns all type names, most derived first (`PSObject.TypeNames`).
    pub(in crate::sim) fn types(&self) -> &[Arc<str>] {
        &self.types
    }

    /// Whether it is of a type, whatever the name's case.
    pub(in crate::sim) fn is(&self, type_name: &str) -> bool {
        self.types.iter().any(|known| same_name(known, type_name))
    }

    /// Whether it is a bag of properties without a class of its own.
    pub(in crate::sim) fn is_custom(&self) -> bool {
        self.is(CUSTOM_OBJECT)
    }

    /// Returns the machine's identity for it.
    pub(in crate::sim) fn handle(&self) -> Option<&str> {
        self.handle.as_deref()
    }

    /// Returns what `ToString()` was set to answer.
    pub(in crate::sim) fn text(&self) -> Option<&Arc<str>> {
        self.text.as_ref()
    }

    /// Returns a property's value; `None` when there is no such property.
    pub(in crate::sim) fn get(&self, name: &str) -> Option<Value> {
        lock(&self.properties).get(name).cloned()
    }

    /// Sets a property, adding it where it is not there.
    pub(in crate::sim) fn set(&self, name: &str, value: Value) {
        lock(&self.properties).set(name, value);
    }

    /// Removes a property and says whether it was there.
    pub(in crate::sim) fn remove(&self, name: &str) -> bool {
        lock(&self.properties).remove(name)
    }

    /// Returns names and values in their order.
    pub(in crate::sim) fn properties(&self) -> Vec<(Arc<str>, Value)> {
        lock(&self.properties).0.clone()
    }
}

impl Clone for Object {
    /// Copies it: a new object with the same properties, as `Select-Object *` makes one.
    fn clone(&self) -> Self {
        Self {
            types: self.types.clone(),
            properties: Mutex::new(lock(&self.properties).clone()),
            handle: self.handle.clone(),
            text: self.text.clone(),
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct(self.type_name());
        for (name, value) in self.properties() {
            let plain = match &value {
                // Deeper objects may know each other.
                Value::Object(inner) => Value::str(inner.type_name()),
                Value::Array(inner) => Value::str(format!("{} items", inner.len())),
                other => other.clone(),
            };
            shown.field(&name, &plain);
        }
        shown.finish()
    }
}

/// A hash table; a clone is the same table.
#[derive(Clone)]
pub(in crate::sim) struct Hash(Arc<Mutex<Entries>>, bool);

#[derive(Debug, Default)]
struct Entries {
    pairs: Vec<(Value, Value)>,
    places: HashMap<String, usize>,
}

impl Hash {
    /// Makes a `Hashtable`, whose entries come in no order a script could count on.
    pub(in crate::sim) fn new() -> Self {
        Self(Arc::default(), false)
    }

    /// Makes what `[ordered]@{}` makes.
    pub(in crate::sim) fn ordered() -> Self {
        Self(Arc::default(), true)
    }

    /// Adds an entry with a string key.
    #[must_use]
    pub(in crate::sim) fn with(self, key: &str, value: impl Into<Value>) -> Self {
        self.set(Value::str(key), value.into());
        self
    }

    /// Whether entries keep their order.
    pub(in crate::sim) const fn is_ordered(&self) -> bool {
        self.1
    }

    /// Whether both are the same table.
    pub(in crate::sim) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    const fn type_name_of(ordered: bool) -> &'static str {
        if ordered {
            "System.Collections.Specialized.OrderedDictionary"
        } else {
            "System.Collections.Hashtable"
        }
    }

    /// Returns the .NET class's full name.
    pub(in crate::sim) const fn type_name(&self) -> &'static str {
        Self::type_name_of(self.1)
    }

    /// Returns the value of a key.
    pub(in crate::sim) fn get(&self, key: &Value) -> Option<Value> {
        let entries = lock(&self.0);
        let place = *entries.places.get(&key_text(key))?;
        entries.pairs.get(place).map(|(_, value)| value.clone())
    }

    /// Returns the value of a string key.
    pub(in crate::sim) fn get_str(&self, key: &str) -> Option<Value> {
        self.get(&Value::str(key))
    }

    /// Sets the value of a key.
    pub(in crate::sim) fn set(&self, key: Value, value: Value) {
        let mut entries = lock(&self.0);
        let text = key_text(&key);
        if let Some(place) = entries.places.get(&text).copied() {
            if let Some((_, slot)) = entries.pairs.get_mut(place) {
                *slot = value;
            }
        } else {
            let place = entries.pairs.len();
            entries.places.insert(text, place);
            entries.pairs.push((key, value));
        }
    }

    /// Removes a key.
    pub(in crate::sim) fn remove(&self, key: &Value) {
        let mut entries = lock(&self.0);
        let Some(place) = entries.places.remove(&key_text(key)) else {
            return;
        };
        entries.pairs.remove(place);
        for known in entries.places.values_mut() {
            if *known > place {
                *known -= 1;
            }
        }
    }

    /// Removes everything.
    pub(in crate::sim) fn clear(&self) {
        *lock(&self.0) = Entries::default();
    }

    /// Returns the number of entries.
    pub(in crate::sim) fn len(&self) -> usize {
        lock(&self.0).pairs.len()
    }

    /// Returns keys and values, in order if the table has one, else in the order of their hashes.
    pub(in crate::sim) fn pairs(&self) -> Vec<(Value, Value)> {
        let mut pairs = lock(&self.0).pairs.clone();
        if !self.1 {
            pairs.sort_by_key(|(key, _)| scattered(&key_text(key)));
        }
        pairs
    }
}

impl Default for Hash {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({} entries)", self.len())
    }
}

/// Tells keys apart as .NET does: by type and value, strings without regard to case.
fn key_text(key: &Value) -> String {
    match key {
        Value::Str(text) => format!("s{}", text.to_lowercase()),
        Value::Char(c) => format!("c{c}"),
        Value::Guid(id) => format!("g{}", guid_text(*id)),
        Value::Double(number) => format!("d{number}"),
        other => format!(
            "{}:{}",
            other.type_name().unwrap_or_default(),
            other.as_integer().unwrap_or_default()
        ),
    }
}

/// FNV-1a, so that the order of a table is the same on every run and is not that of insertion.
fn scattered(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// An array; a clone is the same array.
#[derive(Clone)]
pub(in crate::sim) struct Array {
    items: Arc<Mutex<Vec<Value>>>,
    element: &'static str,
    wrapped: bool,
}

impl Array {
    /// Makes an `object[]`.
    pub(in crate::sim) fn new(items: Vec<Value>) -> Self {
        Self::typed(OBJECT, items)
    }

    /// Makes an array of one element type, by its full name.
    pub(in crate::sim) fn typed(element: &'static str, items: Vec<Value>) -> Self {
        Self {
            items: Arc::new(Mutex::new(items)),
            element,
            wrapped: false,
        }
    }

    /// Returns the same array as a cmdlet writes it: inside a `PSObject`, which 5.1's
    /// `ConvertTo-Json` shows unless `Remove-TypeData System.Array` was called.
    #[must_use]
    pub(in crate::sim) fn wrapped(mut self) -> Self {
        self.wrapped = true;
        self
    }

    /// Whether it sits inside a `PSObject`.
    pub(in crate::sim) const fn is_wrapped(&self) -> bool {
        self.wrapped
    }

    /// Returns the element type's full name.
    pub(in crate::sim) const fn element(&self) -> &'static str {
        self.element
    }

    /// Returns the elements.
    pub(in crate::sim) fn items(&self) -> Vec<Value> {
        lock(&self.items).clone()
    }

    /// Returns an element.
    pub(in crate::sim) fn get(&self, place: usize) -> Option<Value> {
        lock(&self.items).get(place).cloned()
    }

    /// Sets an element and says whether there is such a place.
    pub(in crate::sim) fn set(&self, place: usize, value: Value) -> bool {
        match lock(&self.items).get_mut(place) {
            Some(slot) => {
                *slot = value;
                true
            }
            None => false,
        }
    }

    /// Returns the number of elements.
    pub(in crate::sim) fn len(&self) -> usize {
        lock(&self.items).len()
    }

    /// Whether both are the same array.
    pub(in crate::sim) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.items, &other.items)
    }
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.items()).finish()
    }
}
