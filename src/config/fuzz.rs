//! The fuzz target of the configuration file. See `crate::testing::fuzz`.

use std::path::Path;

use super::Loaded;
use crate::testing::fuzz::invariant::{said, told};

/// A configuration file: what is taken from it can be shown, and what is wrong is told with its place.
pub(crate) fn file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Loaded::of_text(Path::new("config.toml"), text) {
        Ok(loaded) => {
            for row in loaded.show() {
                assert!(!row.key.is_empty());
                said(&row.origin.to_string());
            }
        }
        Err(error) => told(&error),
    }
}
