//! The syntax tree.

use std::fmt;
use std::sync::Arc;

/// A block of statements with its parameters, as a script, a function or `{ }` has it.
pub(in crate::sim) struct ScriptBlock {
    /// The text between the braces.
    pub(in crate::sim) text: Arc<str>,
}

impl fmt::Debug for ScriptBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.text)
    }
}
