//! What a list is asked: which rows, in which order, which members, how many, from where. Pure.

mod cursor;
#[cfg(feature = "testing")]
pub(crate) mod fuzz;
mod key;
mod list;
mod terms;

pub(in crate::serve) use self::key::Key;
pub(in crate::serve) use self::list::{Column, ListQuery, Part, Table, part};
pub(in crate::serve) use self::terms::Terms;

/// Reads a filter of VMs; the place of a mistake is named.
pub(in crate::serve) fn filter(
    text: Option<&str>,
) -> Result<crate::domain::selector::Filter, crate::domain::error_kind::Failure> {
    use crate::domain::error_kind::{ErrorKind, Failure};
    crate::domain::selector::Filter::parse(text.unwrap_or_default()).map_err(|error| {
        let message = format!("`filter`, at byte {}: {}", error.at, error.message);
        Failure::new(ErrorKind::Usage, message)
            .with_hint("the grammar is that of `vmdeck --once list --filter`")
    })
}
