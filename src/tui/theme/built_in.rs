//! The themes that come with the program: one row each. Order is the order of the picker.

use super::error::ThemeError;
use super::file::{nearest, visible};

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        /// Names of the themes in the program.
        pub const NAMES: &[&str] = &[$($name),*];
        const TEXTS: &[&str] = &[$(include_str!(concat!("../../../themes/", $name, ".toml"))),*];
    };
}

built_in![
    "dark",
    "light",
    "high-contrast",
    "red-green-safe",
    "blue-yellow-safe",
    "dracula",
    "gruvbox",
    "nord",
    "solarized",
];

/// Returns the text of a theme of the program.
pub(super) fn text(name: &str) -> Result<&'static str, ThemeError> {
    let at = NAMES.iter().position(|known| *known == name);
    at.and_then(|at| TEXTS.get(at).copied())
        .ok_or_else(|| ThemeError::Name {
            name: visible(name),
            nearest: nearest(name, NAMES.iter().copied()).map(str::to_owned),
            known: NAMES.join(", "),
        })
}
