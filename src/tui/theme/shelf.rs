//! Where themes are found by name: those of the program, and whatever else whoever starts the dashboard
//! has on a shelf of their own.

use std::fmt::Debug;

use super::{ColourDepth, Theme, built_in};
use crate::domain::error_kind::{ErrorKind, Failure};

/// Themes beside those of the program. One of the same name goes before the program's.
pub trait ThemeShelf: Debug + Send + Sync {
    /// Returns their names.
    fn names(&self) -> Vec<String>;

    /// Returns the text of a theme; `None` = there is none of this name here.
    fn text(&self, name: &str) -> Result<Option<String>, Failure>;

    /// Returns what changes when the theme is written anew; `None` = there is none, or it cannot be seen.
    fn stamp(&self, name: &str) -> Option<u128>;
}

/// A shelf with nothing on it.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoShelf;

impl ThemeShelf for NoShelf {
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    fn text(&self, _name: &str) -> Result<Option<String>, Failure> {
        Ok(None)
    }

    fn stamp(&self, _name: &str) -> Option<u128> {
        None
    }
}

/// Returns the names of all themes: the program's, then the others by name.
pub fn names(shelf: &dyn ThemeShelf) -> Vec<String> {
    let mut own = shelf.names();
    own.retain(|name| !built_in::NAMES.contains(&name.as_str()));
    own.sort();
    let mut all: Vec<String> = built_in::NAMES
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    all.extend(own);
    all
}

/// Returns a theme by its name, ready for one terminal.
pub fn find(shelf: &dyn ThemeShelf, name: &str, depth: ColourDepth) -> Result<Theme, Failure> {
    let theme = match shelf.text(name)? {
        Some(text) => Theme::parse(&text, depth),
        None => Theme::built_in(name, depth),
    };
    theme.map_err(|error| {
        Failure::new(ErrorKind::Config, format!("theme {name}: {error}"))
            .with_hint("change `tui.theme` in the configuration")
    })
}
