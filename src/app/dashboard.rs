//! The dashboard: theme, colours and keys from the configuration, then the screen until it is left.

use std::fs::File;
use std::io::{Read, Write};

use super::{Surroundings, compose};
use crate::config::{ColorChoice, Origin};
use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::domain::operation::Door;
use crate::report::Complaint;
use crate::tui::keymap::Keymap;
use crate::tui::run::{ThemeChoice, TuiError};
use crate::tui::theme::ColourDepth;
use crate::tui::{self, TuiOptions};

/// Bytes of a theme file that are read.
const MAX_THEME: u64 = 64 * 1024;

pub(super) async fn run(around: &Surroundings, err: &mut dyn Write) -> Result<ExitCode, Complaint> {
    let options = options(around)?;
    // The dashboard asks for the passphrase itself, when it is needed.
    let fleet = compose::open(around, err, false, |_| false).await?;
    let shown = tui::run(fleet.handle.clone(), options, &fleet.front).await;
    fleet.end(Some(err)).await;
    shown
        .map(|_| ExitCode::Done)
        .map_err(|error| Complaint::of(&error))
}

/// Checks what only the screen can: whether the theme is one, whether commands and keys exist.
pub(super) fn check(around: &Surroundings) -> Result<(), Complaint> {
    let options = options(around)?;
    let theme = options.theme().map(drop).map_err(TuiError::from);
    let keys = Keymap::new(&options.keys).map(drop).map_err(TuiError::from);
    for (key, checked) in [("tui.theme", theme), ("tui.keys", keys)] {
        if let Err(error) = checked {
            let mut failure = Failure::of(&error);
            if let Some(Origin::Set(place)) = around.loaded.origins.get(key) {
                failure.message = format!("{place}: {}", failure.message);
            }
            return Err(failure.into());
        }
    }
    Ok(())
}

fn options(around: &Surroundings) -> Result<TuiOptions, Complaint> {
    let config = &around.loaded.config.tui;
    let mut options = TuiOptions::new(around.actor(Door::Tui), around.clock.clone());
    options.theme = theme(around, &config.theme)?;
    options.colours = colours(around, config.color);
    options.ascii = config.ascii;
    options.mouse = config.mouse;
    options.compact = config.compact;
    options.keys.clone_from(&config.keys);
    Ok(options)
}

/// A person's own theme goes before one of the program's of the same name.
fn theme(around: &Surroundings, name: &str) -> Result<ThemeChoice, Complaint> {
    let plain = name
        .chars()
        .all(|c| c.is_alphanumeric() || "-_".contains(c));
    let path = around.paths.themes().join(format!("{name}.toml"));
    if !plain || !path.is_file() {
        return Ok(ThemeChoice::BuiltIn(name.to_owned()));
    }
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| file.take(MAX_THEME).read_to_string(&mut text));
    read.map_err(|error| {
        let message = format!("could not read the theme {}: {error}", path.display());
        Failure::new(ErrorKind::Config, message)
            .with_hint("change `tui.theme` in the configuration")
    })?;
    Ok(ThemeChoice::Text(text))
}

fn colours(around: &Surroundings, choice: ColorChoice) -> ColourDepth {
    let environment = &around.environment;
    let plain = environment.term().is_none_or(|term| term == "dumb");
    let depth = match (environment.colorterm(), environment.term()) {
        (Some(words), _) if words.contains("truecolor") || words.contains("24bit") => {
            ColourDepth::Full
        }
        (_, Some(term)) if term.contains("direct") => ColourDepth::Full,
        (_, Some(term)) if term.contains("256color") => ColourDepth::Indexed,
        _ => ColourDepth::Sixteen,
    };
    match choice {
        ColorChoice::Never => ColourDepth::None,
        ColorChoice::Auto if environment.no_color() || plain => ColourDepth::None,
        ColorChoice::Auto | ColorChoice::Always => depth,
    }
}
