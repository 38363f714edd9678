//! Asks for the words that the rows of a view must hold.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use super::{Overlay, frame};
use crate::tui::app::App;
use crate::tui::screen::stores;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::input::draw_input;
use crate::tui::widget::paint;

/// Words being typed.
#[derive(Debug, Clone)]
pub struct Narrow {
    /// What is typed.
    pub input: Input,
}

impl Narrow {
    /// Asks for words, beginning with those in force.
    pub fn new(words: &str) -> Self {
        Self {
            input: Input::new(words.to_owned()),
        }
    }

    /// Draws it.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        let room = frame::draw(buf, area, theme, "Show only", (60, 5));
        let line = |n| paint::line_of(room, n);
        let about = "rows with all these words: name, host, kind, state, who uses it";
        paint::put_fitted(buf, line(0), about, theme.style(Role::Dim));
        let cursor = draw_input(buf, line(1), theme, "/", &self.input);
        let keys = [("enter", "show"), ("esc", "never mind")];
        frame::keys(buf, line(2), theme, &keys);
        cursor
    }
}

/// Takes what was typed.
pub fn accept(app: &mut App) {
    if let Some(Overlay::Narrow(dialog)) = app.overlays.pop() {
        stores::set_filter(app, dialog.input.value());
    }
}
