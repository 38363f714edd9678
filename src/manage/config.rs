//! `vmdeck config`: what is in force, where it comes from, and where things are.

use super::columns;
use super::desk::{Desk, Told};
use crate::cli::ConfigCommand;
use crate::config::{Loaded, Paths};
use crate::domain::error_kind::ExitCode;

/// Runs one of the commands; a configuration that cannot be read was reported before this.
pub fn run(desk: &mut Desk<'_>, command: &ConfigCommand, loaded: &Loaded, paths: &Paths) -> Told {
    match command {
        ConfigCommand::Show { origin } => show(desk, loaded, *origin),
        ConfigCommand::Check => {
            let place = match &loaded.file {
                Some(file) => file.display().to_string(),
                None => "no configuration file; the defaults".to_owned(),
            };
            for warning in &loaded.warnings {
                desk.note(&format!("warning: {warning}"));
            }
            desk.say(&format!("in order: {place}"));
        }
        ConfigCommand::Path => {
            let rows = [
                ("configuration", &paths.config_file),
                ("profiles", &desk.root.clone()),
                ("themes", &paths.themes()),
                ("log", &paths.log_file()),
                ("cache", &paths.cache),
            ];
            for (word, path) in rows {
                desk.say(&format!("{word:<14} {}", path.display()));
            }
        }
    }
    Ok(ExitCode::Done)
}

fn show(desk: &mut Desk<'_>, loaded: &Loaded, origin: bool) {
    let rows: Vec<Vec<String>> = loaded
        .show()
        .into_iter()
        .map(|row| {
            let mut cells = vec![row.key, format!("= {}", row.value)];
            if origin {
                cells.push(format!("# {}", row.origin));
            }
            cells
        })
        .collect();
    desk.write(&columns::align(&rows));
}
