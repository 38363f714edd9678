//! Themes: named roles and the styles they are shown in. No other file of the screen names a colour.
//!
//! A theme is a TOML file (`themes/*.toml`, embedded; a person's own are beside the configuration). Every
//! role carries a colour for terminals with many of them, a fallback among the sixteen, and the attributes
//! that tell it apart without any.

pub mod built_in;
mod error;
mod file;
mod role;
pub mod shelf;

use ratatui::style::{Color, Style};

pub use self::error::ThemeError;
pub use self::role::Role;

use self::file::{INK, PAGE, StyleFile, ThemeFile};

/// How many colours the terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColourDepth {
    /// Any colour.
    #[default]
    Full,
    /// The 256 of xterm; a theme's colours become the nearest of them.
    Indexed,
    /// The sixteen of old.
    Sixteen,
    /// None (`NO_COLOR`): only bold, dim, underlined and reversed.
    None,
}

/// Beginnings of `TERM` of terminals that have every colour and do not say so in their name. Over SSH that name is all
/// that comes along. By what their own descriptions in ncurses' terminfo and their manuals promise.
const FULL: &[&str] = &[
    "xterm-kitty",
    "xterm-ghostty",
    "wezterm",
    "foot",
    "alacritty",
    "contour",
];

impl ColourDepth {
    /// Guesses from `COLORTERM` and `TERM`; what is not known has sixteen.
    pub fn guess(colorterm: Option<&str>, term: Option<&str>) -> Self {
        let (words, term) = (colorterm.unwrap_or_default(), term.unwrap_or_default());
        let says_so = ["truecolor", "24bit"]
            .iter()
            .any(|word| words.contains(word));
        if says_so || term.contains("direct") || FULL.iter().any(|name| term.starts_with(name)) {
            Self::Full
        } else if term.contains("256color") {
            Self::Indexed
        } else {
            Self::Sixteen
        }
    }
}

/// A colour that a VM chose for its own screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestColour {
    /// The terminal's own.
    Default,
    /// One of xterm's 256.
    Indexed(u8),
    /// Any.
    Rgb([u8; 3]),
}

/// A theme made ready for one terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    styles: Vec<Style>,
    depth: ColourDepth,
    page: Color,
    ink: Color,
}

impl Theme {
    /// Returns a theme of the program by its name.
    pub fn built_in(name: &str, depth: ColourDepth) -> Result<Self, ThemeError> {
        Self::parse(built_in::text(name)?, depth)
    }

    /// Reads a theme file; a role that neither it nor what it inherits names is shown as ordinary text.
    pub fn parse(text: &str, depth: ColourDepth) -> Result<Self, ThemeError> {
        Self::read(text, depth).map_err(|error| ThemeFile::placed(text, error))
    }

    fn read(text: &str, depth: ColourDepth) -> Result<Self, ThemeError> {
        let file = ThemeFile::read(text)?;
        let mut styles = Vec::with_capacity(Role::ALL.len());
        for role in Role::ALL {
            styles.push(match file.roles.get(role.word()) {
                Some(style) => resolve(&file, role.word(), style, depth)?,
                None => Style::new(),
            });
        }
        let of_palette = |name: &'static str| file.colour(name, name);
        Ok(Self {
            styles,
            depth,
            page: of_palette(PAGE)?,
            ink: of_palette(INK)?,
        })
    }

    /// Returns the style of a role.
    pub fn style(&self, role: Role) -> Style {
        self.styles.get(role as usize).copied().unwrap_or_default()
    }

    /// Says whether there are enough colours to show a picture in.
    pub const fn has_colours(&self) -> bool {
        matches!(self.depth, ColourDepth::Full | ColourDepth::Indexed)
    }

    /// Returns the style of something a VM shows: its colours as far as this terminal has them.
    pub fn guest(&self, fg: GuestColour, bg: GuestColour) -> Style {
        let shown = |colour| match (colour, self.depth) {
            (GuestColour::Default, _)
            | (_, ColourDepth::None)
            | (GuestColour::Rgb(_), ColourDepth::Sixteen) => None,
            (GuestColour::Indexed(n), ColourDepth::Sixteen) => {
                (n < 16).then_some(Color::Indexed(n))
            }
            (GuestColour::Indexed(n), _) => Some(Color::Indexed(n)),
            (GuestColour::Rgb([r, g, b]), depth) => Some(at_depth(Color::Rgb(r, g, b), depth)),
        };
        Style {
            fg: shown(fg),
            bg: shown(bg),
            ..Style::new()
        }
    }

    /// Returns the page colours of a picture of this theme: background, foreground.
    pub const fn page(&self) -> (Color, Color) {
        (self.page, self.ink)
    }
}

fn resolve(
    file: &ThemeFile,
    role: &str,
    written: &StyleFile,
    depth: ColourDepth,
) -> Result<Style, ThemeError> {
    let many = |written: &String| Ok(at_depth(file.colour(role, written)?, depth));
    let few = |written: &String| file.one_of_sixteen(role, written);
    let (fg, bg, attributes) = match depth {
        ColourDepth::Full | ColourDepth::Indexed => (
            written.fg.as_ref().map(many).transpose()?,
            written.bg.as_ref().map(many).transpose()?,
            &written.attributes,
        ),
        ColourDepth::Sixteen => (
            written.fg16.as_ref().map(few).transpose()?,
            written.bg16.as_ref().map(few).transpose()?,
            // Where the sixteen have no such background, what shows without colours shows here.
            if written.bg.is_some() && written.bg16.is_none() {
                &written.mono
            } else {
                &written.attributes
            },
        ),
        ColourDepth::None => (None, None, &written.mono),
    };
    let mut style = Style::new();
    style.fg = fg;
    style.bg = bg;
    for attribute in attributes {
        style = style.add_modifier(attribute.modifier());
    }
    Ok(style)
}

/// Returns the colour as a terminal of this depth can show it.
fn at_depth(colour: Color, depth: ColourDepth) -> Color {
    match (colour, depth) {
        (Color::Rgb(r, g, b), ColourDepth::Indexed) => Color::Indexed(nearest_indexed([r, g, b])),
        (other, _) => other,
    }
}

/// Returns the nearest of xterm's 256 colours: its 6x6x6 cube and its ramp of 24 greys.
fn nearest_indexed(rgb: [u8; 3]) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let far = |a: [u8; 3]| -> u32 {
        a.iter()
            .zip(rgb)
            .map(|(x, y)| u32::from(x.abs_diff(y)).pow(2))
            .sum()
    };
    let cube = (0u8..216).map(|n| {
        let level = |n: u8| LEVELS.get(usize::from(n % 6)).copied().unwrap_or(0);
        (16 + n, [level(n / 36), level(n / 6), level(n)])
    });
    let greys = (0u8..24).map(|n| (232 + n, [8 + n * 10; 3]));
    cube.chain(greys)
        .min_by_key(|(_, candidate)| far(*candidate))
        .map_or(7, |(index, _)| index)
}

#[cfg(test)]
mod tests;
