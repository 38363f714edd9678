//! Theme files: TOML with a palette of named colours and a style for each role. A theme that inherits
//! another one only names what it has of its own; most of them are a palette and nothing else.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier};
use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use super::built_in;
use super::error::ThemeError;
use super::role::Role;
use crate::domain::text::RemoteText;

/// What a theme file may hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ThemeFile {
    /// The theme of the program whose palette and roles hold where this file says nothing.
    pub(super) inherits: Option<String>,
    /// Colours by name. `page` and `ink` are those of a picture of the theme.
    #[serde(default)]
    pub(super) palette: BTreeMap<String, String>,
    /// Styles by role.
    #[serde(default)]
    pub(super) roles: BTreeMap<String, StyleFile>,
}

/// How a role looks, as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StyleFile {
    pub(super) fg: Option<String>,
    pub(super) bg: Option<String>,
    pub(super) fg16: Option<String>,
    pub(super) bg16: Option<String>,
    pub(super) attributes: Vec<Attribute>,
    pub(super) mono: Vec<Attribute>,
}

/// How text stands out without a colour.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Attribute {
    Bold,
    Dim,
    Italic,
    Underlined,
    Reversed,
}

impl Attribute {
    pub(super) const fn modifier(self) -> Modifier {
        match self {
            Self::Bold => Modifier::BOLD,
            Self::Dim => Modifier::DIM,
            Self::Italic => Modifier::ITALIC,
            Self::Underlined => Modifier::UNDERLINED,
            Self::Reversed => Modifier::REVERSED,
        }
    }
}

/// The names of a picture's own colours: every palette has them.
pub(super) const PAGE: &str = "page";
pub(super) const INK: &str = "ink";

impl ThemeFile {
    /// Reads a file and everything it inherits.
    pub(super) fn read(text: &str) -> Result<Self, ThemeError> {
        let mut file = Self::parse(text)?;
        if let Some(parent) = file.inherits.take() {
            let inherited = Self::parse(built_in::text(&parent)?)?;
            // One step: the themes that may be inherited inherit none themselves.
            if let Some(grandparent) = inherited.inherits {
                return Err(ThemeError::Inherits {
                    name: visible(&parent),
                    grandparent: visible(&grandparent),
                });
            }
            file.add(inherited);
        }
        file.check()?;
        Ok(file)
    }

    /// Adds the line to what is wrong with a text.
    pub(super) fn placed(text: &str, error: ThemeError) -> ThemeError {
        let mut error = error;
        match &mut error {
            ThemeError::UnknownRole { line, name, .. } => *line = line_of(text, "roles", name),
            ThemeError::Colour { line, place, .. } => {
                *line = match place.strip_prefix("palette.") {
                    Some(name) => line_of(text, "palette", name),
                    None => line_of(text, "roles", place),
                };
            }
            ThemeError::Syntax { .. }
            | ThemeError::NoPage(_)
            | ThemeError::Name { .. }
            | ThemeError::Inherits { .. } => {}
        }
        error
    }

    fn parse(text: &str) -> Result<Self, ThemeError> {
        toml::from_str(text).map_err(|error| ThemeError::Syntax {
            line: error
                .span()
                .and_then(|span| line_at(text, span.start))
                .unwrap_or(1),
            message: visible(error.message()),
        })
    }

    fn add(&mut self, inherited: Self) {
        for (name, colour) in inherited.palette {
            self.palette.entry(name).or_insert(colour);
        }
        for (role, style) in inherited.roles {
            self.roles.entry(role).or_insert(style);
        }
    }

    fn check(&self) -> Result<(), ThemeError> {
        for name in self.roles.keys() {
            if Role::of_word(name).is_none() {
                return Err(ThemeError::UnknownRole {
                    line: None,
                    name: visible(name),
                    nearest: nearest(name, Role::ALL.iter().map(|role| role.word()))
                        .unwrap_or("text")
                        .to_owned(),
                });
            }
        }
        for name in [PAGE, INK] {
            if !self.palette.contains_key(name) {
                return Err(ThemeError::NoPage(name));
            }
        }
        for (name, colour) in &self.palette {
            if colour.parse::<Color>().is_err() {
                return Err(self.unknown_colour(&format!("palette.{name}"), colour));
            }
        }
        Ok(())
    }

    /// Returns the colour of a role: a name of the palette, or a colour itself.
    pub(super) fn colour(&self, role: &str, written: &str) -> Result<Color, ThemeError> {
        let colour = self.palette.get(written).map_or(written, String::as_str);
        self.one_of_sixteen(role, colour)
    }

    /// Returns a colour for terminals with sixteen: there `red` is theirs, not the palette's.
    pub(super) fn one_of_sixteen(&self, role: &str, written: &str) -> Result<Color, ThemeError> {
        written
            .parse()
            .ok()
            .ok_or_else(|| self.unknown_colour(role, written))
    }

    fn unknown_colour(&self, place: &str, written: &str) -> ThemeError {
        ThemeError::Colour {
            line: None,
            place: visible(place),
            colour: visible(written),
            nearest: nearest(written, self.palette.keys().map(String::as_str)).map(str::to_owned),
        }
    }
}

/// Returns the line, from 1, on which a table of a text names something.
fn line_of(text: &str, table: &str, name: &str) -> Option<usize> {
    let file = DeTable::parse(text).ok()?;
    let (_, inner) = file
        .get_ref()
        .iter()
        .find(|(key, _)| key.get_ref() == table)?;
    let DeValue::Table(inner) = inner.get_ref() else {
        return None;
    };
    let (key, _) = inner.iter().find(|(key, _)| key.get_ref() == name)?;
    line_at(text, key.span().start)
}

fn line_at(text: &str, byte: usize) -> Option<usize> {
    Some(text.get(..byte)?.matches('\n').count() + 1)
}

/// A word of the file as it may be shown: short, and without what a terminal acts on.
pub(super) fn visible(text: &str) -> String {
    RemoteText::new(text).fit(60)
}

/// Returns the candidate that was probably meant, if one is near enough.
pub(super) fn nearest<'a>(
    written: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let written = &visible(written);
    candidates
        .map(|known| (strsim::damerau_levenshtein(known, written), known))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, known)| known)
}
