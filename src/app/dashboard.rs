//! The dashboard: theme, colours and keys from the configuration, then the screen until it is left.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::{Surroundings, compose};
use crate::cli::DashboardArgs;
use crate::config::{ColorChoice, Origin, PictureChoice};
use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::domain::operation::Door;
use crate::hooks;
use crate::profile::Profile;
use crate::program;
use crate::report::Complaint;
use crate::tui::keymap::Keymap;
use crate::tui::notify::NotifyOptions;
use crate::tui::own::OwnCommands;
use crate::tui::pixels::{PictureWay, TerminalTraits};
use crate::tui::recording::Recording;
use crate::tui::theme::ColourDepth;
use crate::tui::theme::shelf::ThemeShelf;
use crate::tui::{self, TuiExit, TuiOptions};

/// Theme files that are listed.
const MAX_THEMES: usize = 200;

/// Bytes of a theme file that are read.
const MAX_THEME: u64 = 64 * 1024;

/// Shows one profile after the other, until the person leaves. One that cannot be opened is told in the one
/// before it.
pub(super) async fn run(
    mut around: Surroundings,
    args: &DashboardArgs,
    err: &mut dyn Write,
) -> Result<ExitCode, Complaint> {
    let limit = around.loaded.config.tui.record_limit;
    let mut recording = args
        .record
        .as_deref()
        .map(|path| Recording::create(path, limit))
        .transpose()?;
    let fate = recording.as_ref().map(Recording::fate);
    let mut notice = None;
    let mut before = None;
    let shown = loop {
        let mut options = options(&around);
        options.notice = notice.take();
        if args.record.is_some() {
            // A recording is of one profile.
            options.profiles.clear();
        }
        // The dashboard asks for the passphrase itself, when it is needed.
        let fleet = match (
            compose::open(&around, err, false, |_| false).await,
            before.take(),
        ) {
            (Ok(fleet), _) => fleet,
            (Err(complaint), None) => return Err(complaint),
            (Err(complaint), Some(profile)) => {
                notice = Some(complaint.failure);
                around.globals.profile = profile;
                continue;
            }
        };
        hooks::start(&around.loaded.config.hooks, &fleet.handle, &fleet.front);
        let (handle, recorded) = (fleet.handle.clone(), recording.take());
        let shown = tui::run(handle, options, recorded, &fleet.front).await;
        fleet.end(Some(err)).await;
        match shown {
            Ok(TuiExit::Switch(name)) => {
                before = Some(around.globals.profile.replace(name));
                // What was given on the way in was for the first one.
                around.switched = true;
            }
            Ok(TuiExit::Quit | TuiExit::Ended) => break Ok(ExitCode::Done),
            Err(error) => break Err(Complaint::of(&error)),
        }
    };
    if let Some(path) = &args.record
        && shown.is_err()
        && std::fs::metadata(path).is_ok_and(|meta| meta.len() == 0)
    {
        // There was no screen: nothing is left behind.
        drop(std::fs::remove_file(path));
    }
    if let Some(cause) = fate.as_ref().and_then(|fate| fate.get()) {
        let text = crate::report::visible(&cause.message);
        // Nobody is left to tell when this fails.
        drop(writeln!(err, "vmdeck: {text}"));
    }
    shown
}

/// Checks what only the screen can: whether the theme is one, whether commands and keys exist.
pub(super) fn check(around: &Surroundings) -> Result<(), Complaint> {
    let options = options(around);
    let theme = options.theme().map(drop);
    // It names its own place.
    options.keymap().map(drop)?;
    let notice = program::check(&options.notify.command, &["text"]);
    let notice = notice.map_err(|error| Failure::of(&error));
    for (key, checked) in [("tui.theme", theme), ("tui.notify_command", notice)] {
        if let Err(mut failure) = checked {
            if let Some(Origin::Set(place)) = around.loaded.origins.get(key) {
                failure.message = format!("{place}: {}", failure.message);
            }
            return Err(failure.into());
        }
    }
    let keymap = Keymap::new(&options.keys).unwrap_or_default();
    let (_, unkeyed) = OwnCommands::new(&options.own, &keymap);
    match around.loaded.mistakes.iter().chain(&unkeyed).next() {
        Some(mistake) => Err(mistake.clone().into()),
        None => Ok(()),
    }
}

/// Returns what definitions are edited with: the configured program, else the environment's, as words.
fn editor(configured: &[String], environment: Option<String>) -> Vec<String> {
    if !configured.is_empty() {
        return configured.to_vec();
    }
    let words = environment.unwrap_or_default();
    let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    if words.is_empty() {
        vec!["vi".to_owned()]
    } else {
        words
    }
}

fn options(around: &Surroundings) -> TuiOptions {
    let config = &around.loaded.config.tui;
    let mut options = TuiOptions::new(around.actor(Door::Tui), around.clock.clone());
    options.theme.clone_from(&config.theme);
    options.shelf = Arc::new(OwnThemes {
        directory: around.paths.themes(),
    });
    options.colours = colours(around, config.color);
    options.ascii = config.ascii;
    options.mouse = config.mouse;
    options.compact = config.compact;
    options.pictures = pictures(around, config.pictures);
    options.viewer.clone_from(&config.viewer);
    options.editor = editor(&config.editor, around.environment.editor());
    options.keys.clone_from(&config.keys);
    let places = config.keys.keys().filter_map(|command| {
        let origin = around.loaded.origins.get(&format!("tui.keys.{command}"));
        match origin {
            Some(Origin::Set(place)) => Some((command.clone(), place.to_string())),
            _ => None,
        }
    });
    options.key_places = places.collect();
    options.own.clone_from(&around.loaded.config.commands);
    options.notify = NotifyOptions {
        topics: config.notify.clone(),
        way: config.notify_by,
        command: config.notify_command.clone(),
    };
    options.lift_for = around.loaded.config.actions.lift_for;
    options.old_snapshot = around.loaded.config.actions.old_snapshot;
    if !around.globals.demo {
        // Profiles that cannot be listed cannot be switched to either.
        let all = Profile::list(&around.profiles()).unwrap_or_default();
        options.profiles = all.iter().map(ToString::to_string).collect();
    }
    options
}

/// A person's own themes: the files `NAME.toml` in the directory of themes.
#[derive(Debug)]
struct OwnThemes {
    directory: PathBuf,
}

impl OwnThemes {
    fn path(&self, name: &str) -> Option<PathBuf> {
        is_plain(name).then(|| self.directory.join(format!("{name}.toml")))
    }
}

/// A name that cannot lead out of the directory.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || "-_".contains(c))
}

impl ThemeShelf for OwnThemes {
    fn names(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.directory) else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| {
                let file = entry.file_name().into_string().ok()?;
                let name = file.strip_suffix(".toml")?;
                is_plain(name).then(|| name.to_owned())
            })
            .take(MAX_THEMES)
            .collect()
    }

    fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        let Some(path) = self.path(name).filter(|path| path.is_file()) else {
            return Ok(None);
        };
        let mut text = String::new();
        let read =
            File::open(&path).and_then(|file| file.take(MAX_THEME).read_to_string(&mut text));
        read.map_err(|error| {
            let message = format!("could not read the theme {}: {error}", path.display());
            Failure::new(ErrorKind::Config, message)
                .with_hint("change `tui.theme` in the configuration")
        })?;
        Ok(Some(text))
    }

    fn stamp(&self, name: &str) -> Option<u128> {
        let written = std::fs::metadata(self.path(name)?).ok()?.modified().ok()?;
        let since = written.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(since.as_nanos())
    }
}

fn pictures(around: &Surroundings, choice: PictureChoice) -> PictureWay {
    match choice {
        PictureChoice::Auto => PictureWay::guess(&TerminalTraits {
            term: around.environment.term(),
            program: around.environment.term_program(),
            multiplexed: around.environment.multiplexed(),
        }),
        PictureChoice::Blocks => PictureWay::Blocks,
        PictureChoice::Kitty => PictureWay::Kitty,
        PictureChoice::Sixel => PictureWay::Sixel,
    }
}

fn colours(around: &Surroundings, choice: ColorChoice) -> ColourDepth {
    let environment = &around.environment;
    let plain = environment.term().is_none_or(|term| term == "dumb");
    let (colorterm, term) = (environment.colorterm(), environment.term());
    let depth = ColourDepth::guess(colorterm.as_deref(), term.as_deref());
    match choice {
        ColorChoice::Never => ColourDepth::None,
        ColorChoice::Auto if environment.no_color() || plain => ColourDepth::None,
        ColorChoice::Auto | ColorChoice::Always => depth,
    }
}
