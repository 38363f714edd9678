//! Themes: named roles and the styles they are shown in. No other file of the screen names a colour.
//!
//! A theme is a TOML file (`themes/*.toml`, embedded). Every role carries a colour for terminals with
//! many of them, a fallback among the sixteen, and the attributes that tell it apart without any.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

use crate::domain::text::RemoteText;
use crate::domain::vm::PowerState;

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

macro_rules! roles {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// What a piece of the screen means; a theme says how that looks.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Role {
            $($(#[$doc])* $name,)*
        }

        impl Role {
            /// Every role.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the name in theme files.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

roles! {
    /// Ordinary text.
    Text = "text";
    /// Text that matters less.
    Dim = "dim";
    /// Text that matters more.
    Strong = "strong";
    /// The one accent.
    Accent = "accent";
    /// The program's name.
    Brand = "brand";
    /// Column titles.
    Title = "title";
    /// The line they stand on.
    TitleLine = "title.line";
    /// The column that is sorted by.
    Sorted = "sorted";
    /// The row under the cursor.
    Selection = "selection";
    /// The bar beside it.
    Cursor = "cursor";
    /// The sign of a marked row.
    Mark = "mark";
    /// A running VM.
    Running = "vm.running";
    /// A stopped VM.
    Stopped = "vm.stopped";
    /// A paused VM.
    Paused = "vm.paused";
    /// A saved VM.
    Saved = "vm.saved";
    /// A VM on its way to another state.
    Changing = "vm.changing";
    /// A crashed VM.
    Crashed = "vm.crashed";
    /// A VM in a state we have no word for.
    Unknown = "vm.unknown";
    /// Anything that is older than it should be.
    Stale = "stale";
    /// A host that answers.
    HostUp = "host.up";
    /// A host that answers late.
    HostSlow = "host.slow";
    /// A host that does not answer.
    HostDown = "host.down";
    /// A host that needs a decision.
    HostNeeds = "host.needs";
    /// A host that is switched off or being dialled.
    HostIdle = "host.idle";
    /// Tier `prod`.
    TierProd = "tier.prod";
    /// Tier `stage`.
    TierStage = "tier.stage";
    /// Tier `dev`.
    TierDev = "tier.dev";
    /// Any other tier.
    TierOther = "tier.other";
    /// A low share.
    Low = "load.low";
    /// A middling share.
    Middle = "load.middle";
    /// A high share.
    High = "load.high";
    /// Good news.
    Success = "success";
    /// Something to look at.
    Warning = "warning";
    /// Something wrong, or about to hurt.
    Danger = "danger";
    /// Frames.
    Border = "border";
    /// Background of what lies over the screen.
    Overlay = "overlay";
    /// Title of what lies over the screen.
    OverlayTitle = "overlay.title";
    /// A key in the footer or a menu.
    Key = "key";
    /// What it does.
    KeyLabel = "key.label";
    /// Text being typed.
    Input = "input";
    /// Where typed text is wrong.
    Mistake = "input.mistake";
    /// Characters that matched.
    Match = "match";
}

impl Role {
    /// Returns the role of a power state.
    pub const fn of_state(state: &PowerState) -> Self {
        match state {
            PowerState::Running => Self::Running,
            PowerState::Paused => Self::Paused,
            PowerState::Stopped => Self::Stopped,
            PowerState::Saved => Self::Saved,
            PowerState::Starting | PowerState::Stopping => Self::Changing,
            PowerState::Crashed => Self::Crashed,
            PowerState::Unknown(_) => Self::Unknown,
        }
    }

    /// Returns the role of a tier.
    pub fn of_tier(tier: Option<&str>) -> Self {
        match tier {
            None => Self::Text,
            Some("prod") => Self::TierProd,
            Some("stage") => Self::TierStage,
            Some("dev") => Self::TierDev,
            Some(_) => Self::TierOther,
        }
    }
}

/// What is wrong with a theme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThemeError {
    /// The file is no theme.
    #[error("the theme cannot be read: {0}")]
    Syntax(String),
    /// A role that does not exist.
    #[error("the theme names the role `{name}`, which does not exist (did you mean `{nearest}`?)")]
    UnknownRole {
        /// As written.
        name: String,
        /// The nearest one that does.
        nearest: &'static str,
    },
    /// A colour that does not exist.
    #[error(
        "the theme's role `{role}` has the colour `{colour}`; write `#rrggbb` or one of the sixteen names"
    )]
    Colour {
        /// The role.
        role: String,
        /// As written.
        colour: String,
    },
    /// No such built-in theme.
    #[error("there is no theme `{name}`{}", meant(*.nearest))]
    Name {
        /// As written.
        name: String,
        /// The nearest one that does exist.
        nearest: Option<&'static str>,
    },
}

fn meant(nearest: Option<&'static str>) -> String {
    match nearest {
        Some(name) => format!(" (did you mean `{name}`?)"),
        None => format!(" ({})", BUILT_IN.map(|(name, _)| name).join(", ")),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThemeFile {
    picture: PictureFile,
    roles: BTreeMap<String, StyleFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PictureFile {
    background: String,
    foreground: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct StyleFile {
    fg: Option<String>,
    bg: Option<String>,
    fg16: Option<String>,
    bg16: Option<String>,
    attributes: Vec<Attribute>,
    mono: Vec<Attribute>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Attribute {
    Bold,
    Dim,
    Italic,
    Underlined,
    Reversed,
}

impl Attribute {
    const fn modifier(self) -> Modifier {
        match self {
            Self::Bold => Modifier::BOLD,
            Self::Dim => Modifier::DIM,
            Self::Italic => Modifier::ITALIC,
            Self::Underlined => Modifier::UNDERLINED,
            Self::Reversed => Modifier::REVERSED,
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
#[derive(Debug, Clone)]
pub struct Theme {
    styles: Vec<Style>,
    depth: ColourDepth,
    background: Color,
    foreground: Color,
}

const DARK: &str = include_str!("../../themes/dark.toml");
const LIGHT: &str = include_str!("../../themes/light.toml");

/// The themes of the program, by name.
const BUILT_IN: [(&str, &str); 2] = [("dark", DARK), ("light", LIGHT)];

impl Theme {
    /// Names of the themes in the program.
    pub const NAMES: [&'static str; 2] = ["dark", "light"];

    /// Returns a theme of the program by its name.
    pub fn built_in(name: &str, depth: ColourDepth) -> Result<Self, ThemeError> {
        match BUILT_IN.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Self::parse(text, depth),
            None => Err(ThemeError::Name {
                name: name.to_owned(),
                nearest: BUILT_IN
                    .iter()
                    .map(|(known, _)| (strsim::damerau_levenshtein(known, name), *known))
                    .filter(|(distance, _)| *distance <= 2)
                    .min()
                    .map(|(_, known)| known),
            }),
        }
    }

    /// Reads a theme file; a role it leaves out is shown as ordinary text.
    pub fn parse(text: &str, depth: ColourDepth) -> Result<Self, ThemeError> {
        let file: ThemeFile =
            toml::from_str(text).map_err(|error| ThemeError::Syntax(visible(error.message())))?;
        let mut styles = vec![Style::new(); Role::ALL.len()];
        for (name, style) in &file.roles {
            let Some(at) = Role::ALL.iter().position(|role| role.word() == name) else {
                return Err(ThemeError::UnknownRole {
                    nearest: nearest_role(name),
                    name: visible(name),
                });
            };
            if let Some(slot) = styles.get_mut(at) {
                *slot = style.resolve(name, depth)?;
            }
        }
        Ok(Self {
            styles,
            depth,
            background: colour("picture", &file.picture.background)?,
            foreground: colour("picture", &file.picture.foreground)?,
        })
    }

    /// Returns the style of a role.
    pub fn style(&self, role: Role) -> Style {
        self.styles.get(role as usize).copied().unwrap_or_default()
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
        (self.background, self.foreground)
    }
}

impl StyleFile {
    fn resolve(&self, role: &str, depth: ColourDepth) -> Result<Style, ThemeError> {
        let mut style = Style::new();
        let (fg, bg, attributes) = match depth {
            ColourDepth::Full | ColourDepth::Indexed => {
                (self.fg.as_ref(), self.bg.as_ref(), &self.attributes)
            }
            ColourDepth::Sixteen => (
                self.fg16.as_ref(),
                self.bg16.as_ref(),
                if self.bg.is_some() && self.bg16.is_none() {
                    &self.mono
                } else {
                    &self.attributes
                },
            ),
            ColourDepth::None => (None, None, &self.mono),
        };
        if let Some(fg) = fg {
            style = style.fg(at_depth(colour(role, fg)?, depth));
        }
        if let Some(bg) = bg {
            style = style.bg(at_depth(colour(role, bg)?, depth));
        }
        for attribute in attributes {
            style = style.add_modifier(attribute.modifier());
        }
        Ok(style)
    }
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

fn nearest_role(name: &str) -> &'static str {
    Role::ALL
        .iter()
        .map(|role| role.word())
        .min_by_key(|word| strsim::levenshtein(word, &visible(name)))
        .unwrap_or("text")
}

/// A word of the file as it may be shown: short, and without what a terminal acts on.
fn visible(text: &str) -> String {
    RemoteText::new(text).fit(60)
}

fn colour(role: &str, text: &str) -> Result<Color, ThemeError> {
    text.parse().ok().ok_or_else(|| ThemeError::Colour {
        role: visible(role),
        colour: visible(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_themes_of_the_program_style_every_role() {
        for (name, text) in BUILT_IN {
            let file: ThemeFile = toml::from_str(text).unwrap();
            for role in Role::ALL {
                assert!(
                    file.roles.contains_key(role.word()),
                    "{name}: {}",
                    role.word()
                );
            }
            for depth in [ColourDepth::Full, ColourDepth::Sixteen, ColourDepth::None] {
                Theme::built_in(name, depth).unwrap();
            }
        }
    }

    #[test]
    fn two_hundred_and_fifty_six_colours_are_the_nearest_ones() {
        assert_eq!(nearest_indexed([255, 0, 0]), 196);
        assert_eq!(nearest_indexed([0, 0, 0]), 16);
        assert_eq!(nearest_indexed([38, 38, 38]), 235);
        assert_eq!(nearest_indexed([0x5f, 0xaf, 0xff]), 75);
        let theme = Theme::built_in("dark", ColourDepth::Indexed).unwrap();
        let fg = theme.style(Role::Running).fg;
        assert!(matches!(fg, Some(Color::Indexed(_))), "{fg:?}");
    }

    #[test]
    fn without_colours_the_selection_is_still_seen() {
        for name in Theme::NAMES {
            let theme = Theme::built_in(name, ColourDepth::None).unwrap();
            for role in Role::ALL {
                let style = theme.style(*role);
                assert_eq!((style.fg, style.bg), (None, None), "{}", role.word());
            }
            let selection = theme.style(Role::Selection);
            assert!(selection.add_modifier.contains(Modifier::REVERSED));
        }
    }

    #[test]
    fn mistakes_are_named_with_what_was_meant() {
        let text = "[picture]\nbackground = \"black\"\nforeground = \"white\"\n[roles]\n\"vm.runing\" = { fg = \"red\" }";
        let error = Theme::parse(text, ColourDepth::Full).unwrap_err();
        assert!(error.to_string().contains("vm.running"), "{error}");
        let text = text.replace("runing", "running").replace("red", "reddish");
        let error = Theme::parse(&text, ColourDepth::Full).unwrap_err();
        assert!(error.to_string().contains("reddish"), "{error}");
    }
}
