//! Asks for the name under which a filter is kept.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use super::{Overlay, frame};
use crate::tui::app::App;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::input::draw_input;
use crate::tui::widget::paint;

/// The longest name of a filter, in characters.
const MAX_NAME: usize = 40;

/// A name being typed.
#[derive(Debug, Clone, Default)]
pub struct Naming {
    /// What is typed.
    pub input: Input,
    /// The filter that is to be kept.
    pub filter: String,
    /// Why it was not taken.
    complaint: Option<&'static str>,
}

impl Naming {
    /// Asks for the name of a filter.
    pub fn new(filter: &str) -> Self {
        Self {
            filter: filter.to_owned(),
            ..Self::default()
        }
    }

    /// Draws it.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        let room = frame::draw(buf, area, theme, "Keep this filter", (60, 6));
        let line = |n| paint::line_of(room, n);
        paint::put_fitted(buf, line(0), &self.filter, theme.style(Role::Dim));
        let cursor = draw_input(buf, line(1), theme, "name: ", &self.input);
        if let Some(complaint) = self.complaint {
            paint::put_fitted(buf, line(2), complaint, theme.style(Role::Warning));
        }
        frame::keys(
            buf,
            line(3),
            theme,
            &[("enter", "keep"), ("esc", "never mind")],
        );
        cursor
    }
}

/// Keeps the filter under the name that was typed; one of that name is replaced.
pub fn accept(app: &mut App) {
    let Some(Overlay::Naming(dialog)) = app.overlays.last_mut() else {
        return;
    };
    let name = dialog.input.value().trim().to_owned();
    dialog.complaint = match name.chars().count() {
        0 => Some("type a name"),
        n if n > MAX_NAME => Some("that is too long: 40 characters at the most"),
        _ => None,
    };
    if dialog.complaint.is_some() {
        return;
    }
    let filter = std::mem::take(&mut dialog.filter);
    app.overlays.pop();
    app.say(Role::Success, format!("kept as {name}: f shows it again"));
    app.vms.kept.insert(name, filter);
}
