//! Writing what is shown into a file: its name is asked for, a file that is there is never touched.

use std::path::PathBuf;
use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use super::state::Records;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::private_file;
use crate::tui::app::App;
use crate::tui::effect::Effect;
use crate::tui::logs::LogEffect;
use crate::tui::overlay::{Overlay, frame};
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::input::draw_input;
use crate::tui::widget::paint;

/// A name being typed.
#[derive(Debug)]
pub struct Export {
    /// What is typed.
    pub input: Input,
    records: Arc<Records>,
    shown: Vec<usize>,
    /// Why it was not written.
    complaint: Option<String>,
    /// Whether it is being written.
    writing: bool,
}

/// What is to be written where.
#[derive(Debug)]
pub struct ExportJob {
    path: PathBuf,
    records: Arc<Records>,
    shown: Vec<usize>,
}

fn count(shown: &[usize]) -> String {
    match shown.len() {
        1 => "1 row".to_owned(),
        rows => format!("{rows} rows"),
    }
}

impl ExportJob {
    /// Writes it; returns what to say about it. Waits for the disk.
    pub fn write(self) -> Result<String, Failure> {
        let plain = self.path.extension().is_some_and(|end| end == "txt");
        let mut text = String::new();
        for record in self.shown.iter().filter_map(|at| self.records.get(*at)) {
            let line = if plain { record.text() } else { record.json() };
            text.push_str(&line);
            text.push('\n');
        }
        let path = std::path::absolute(&self.path).unwrap_or(self.path);
        private_file::write_new(&path, text.as_bytes()).map_err(|error| {
            if error.io_kind() == Some(std::io::ErrorKind::AlreadyExists) {
                let message = format!("there is a file {} already", path.display());
                return Failure::new(ErrorKind::Usage, message).with_hint("name another one");
            }
            Failure::of(&error)
        })?;
        let rows = count(&self.shown);
        Ok(format!("wrote {rows} to {}", path.display()))
    }
}

impl Export {
    /// Asks for a name, beginning with a proposal.
    pub(super) fn new(name: String, (records, shown): (Arc<Records>, Vec<usize>)) -> Self {
        Self {
            input: Input::new(name),
            records,
            shown,
            complaint: None,
            writing: false,
        }
    }

    /// Says why it was not written.
    pub fn refuse(&mut self, cause: &Failure) {
        self.writing = false;
        self.complaint = Some(cause.message.clone());
    }

    /// Draws it.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        let title = format!("Write {} into a file", count(&self.shown));
        let room = frame::draw(buf, area, theme, &title, (76, 6));
        let line = |n| paint::line_of(room, n);
        let about = "JSON lines; text where the name ends in .txt";
        paint::put_fitted(buf, line(0), about, theme.style(Role::Dim));
        let cursor = draw_input(buf, line(1), theme, "file: ", &self.input);
        if self.writing {
            paint::put(buf, line(2), "writing…", theme.style(Role::Changing));
        } else if let Some(complaint) = &self.complaint {
            paint::put_fitted(buf, line(2), complaint, theme.style(Role::Danger));
        }
        let keys = [("enter", "write"), ("esc", "never mind")];
        frame::keys(buf, line(3), theme, &keys);
        cursor
    }
}

/// Writes into the file whose name was typed.
pub fn accept(app: &mut App) -> Vec<Effect> {
    let Some(Overlay::Export(dialog)) = app.overlays.last_mut() else {
        return Vec::new();
    };
    let name = dialog.input.value().trim();
    if dialog.writing {
        return Vec::new();
    }
    if name.is_empty() {
        dialog.complaint = Some("type a name".to_owned());
        return Vec::new();
    }
    let job = ExportJob {
        path: PathBuf::from(name),
        records: Arc::clone(&dialog.records),
        shown: dialog.shown.clone(),
    };
    dialog.complaint = None;
    dialog.writing = true;
    vec![Effect::Log(LogEffect::Export(Box::new(job)))]
}
