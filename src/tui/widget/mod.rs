//! Pieces of the screen that take data and know no state.

pub mod footer;
pub mod header;
pub mod input;
pub mod list;
pub mod masked;
pub mod paint;
