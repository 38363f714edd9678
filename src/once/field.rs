//! Columns: what each is called, what it holds, how people see it. One table per kind of row; every
//! format, `--columns`, `--sort` and the documentation read it.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::cell::Cell;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::report::Complaint;

/// One column of rows of type `T`.
pub(super) struct Field<T: 'static> {
    /// Name in JSON, CSV and on the command line.
    pub(super) id: &'static str,
    /// Shorter names for the command line.
    pub(super) aliases: &'static [&'static str],
    /// Heading for people.
    pub(super) title: &'static str,
    /// What it holds, for the documentation.
    pub(super) about: &'static str,
    /// Whether people see it without asking.
    pub(super) usual: bool,
    /// Its value.
    pub(super) cell: fn(&T) -> Cell,
    /// Its value as people read it; `None` = the plain value.
    pub(super) shown: Option<fn(&T) -> Option<String>>,
}

impl<R> Field<R> {
    /// A field shown without being asked for, in words as in data.
    pub(super) const fn new(
        id: &'static str,
        title: &'static str,
        about: &'static str,
        cell: fn(&R) -> Cell,
    ) -> Self {
        Self {
            id,
            aliases: &[],
            title,
            about,
            usual: true,
            cell,
            shown: None,
        }
    }
}

impl<T> Field<T> {
    fn is_called(&self, name: &str) -> bool {
        self.id.eq_ignore_ascii_case(name)
            || self
                .aliases
                .iter()
                .any(|alias| alias.eq_ignore_ascii_case(name))
    }

    /// Returns what people see; `None` when it is not known.
    pub(super) fn for_people(&self, row: &T) -> Option<String> {
        match self.shown {
            Some(shown) => shown(row),
            None => Some((self.cell)(row).plain()).filter(|text| !text.is_empty()),
        }
    }
}

/// Finds the columns that were asked for.
pub(super) fn chosen<'f, T>(
    fields: &'f [Field<T>],
    names: &[String],
) -> Result<Vec<&'f Field<T>>, Complaint> {
    names.iter().map(|name| find(fields, name)).collect()
}

fn find<'f, T>(fields: &'f [Field<T>], name: &str) -> Result<&'f Field<T>, Complaint> {
    fields
        .iter()
        .find(|field| field.is_called(name.trim()))
        .ok_or_else(|| {
            let known: Vec<&str> = fields.iter().map(|field| field.id).collect();
            Failure::new(ErrorKind::Usage, format!("`{name}` is no column"))
                .with_hint(format!("columns are {}", known.join(", ")))
                .into()
        })
}

/// Orders rows by a column, `-column` descending; the order of equals is kept.
pub(super) fn sort<T>(rows: &mut [T], fields: &[Field<T>], by: &str) -> Result<(), Complaint> {
    let (name, descending) = match by.strip_prefix('-') {
        Some(name) => (name, true),
        None => (by, false),
    };
    let field = find(fields, name)?;
    rows.sort_by(|a, b| (field.cell)(a).order(&(field.cell)(b), descending));
    Ok(())
}

/// Returns id and meaning of every column.
pub(super) fn documented<T>(fields: &[Field<T>]) -> Vec<(&'static str, &'static str)> {
    fields.iter().map(|field| (field.id, field.about)).collect()
}

/// A row as a JSON object: its columns, in their order.
pub(super) struct Record<'a, T: 'static> {
    pub(super) row: &'a T,
    pub(super) fields: &'a [&'a Field<T>],
}

impl<T> Serialize for Record<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for field in self.fields {
            map.serialize_entry(field.id, &(field.cell)(self.row))?;
        }
        map.end()
    }
}
