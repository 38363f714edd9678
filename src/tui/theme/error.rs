//! What can be wrong with a theme, said to the person who wrote it.

/// What is wrong with a theme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThemeError {
    /// The file is no theme.
    #[error("line {line} of the theme cannot be read: {message}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// Why, in the words of the TOML reader.
        message: String,
    },
    /// A role that does not exist.
    #[error(
        "{}the theme names the role `{name}`, which does not exist (did you mean `{nearest}`?)",
        at(*.line)
    )]
    UnknownRole {
        /// The line, from 1.
        line: Option<usize>,
        /// As written.
        name: String,
        /// The nearest one that does.
        nearest: String,
    },
    /// A colour that does not exist.
    #[error(
        "{}the theme's `{place}` has the colour `{colour}`{}; write `#rrggbb`, one of the sixteen names, or a name of the palette",
        at(*.line),
        meant(.nearest.as_deref())
    )]
    Colour {
        /// The line, from 1; what is inherited has none.
        line: Option<usize>,
        /// The role, or `palette.NAME`.
        place: String,
        /// As written.
        colour: String,
        /// The name of the palette that was probably meant.
        nearest: Option<String>,
    },
    /// The palette lacks a colour that every theme has.
    #[error("the theme's palette has no `{0}`; give it one, or inherit a theme that has")]
    NoPage(&'static str),
    /// No such theme of the program.
    #[error("there is no theme `{name}`{}", meant_or(.nearest.as_deref(), .known))]
    Name {
        /// As written.
        name: String,
        /// The nearest one that does exist.
        nearest: Option<String>,
        /// Every name there is.
        known: String,
    },
    /// The inherited theme inherits another one.
    #[error("the theme inherits `{name}`, which itself inherits `{grandparent}`; inherit that one")]
    Inherits {
        /// The inherited theme.
        name: String,
        /// What it inherits.
        grandparent: String,
    },
}

fn at(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!("line {line}: "))
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

fn meant_or(nearest: Option<&str>, known: &str) -> String {
    match nearest {
        Some(_) => meant(nearest),
        None => format!(" ({known})"),
    }
}
