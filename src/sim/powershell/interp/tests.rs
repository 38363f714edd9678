//! Semantics of the language, as tables.
