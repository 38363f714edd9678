//! A part of a list.

use serde::Serialize;
use utoipa::ToSchema;

/// A part of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::serve) struct Page<T: ToSchema> {
    /// The rows.
    pub(in crate::serve) items: Vec<T>,
    /// How many rows the whole list has.
    pub(in crate::serve) total: u64,
    /// Where the next part begins (`?cursor=`); null on the last one.
    pub(in crate::serve) next_cursor: Option<String>,
    /// Hosts that could have rows here and have never been read: what they have is missing.
    pub(in crate::serve) unread: Vec<String>,
}
