//! The keys, from the command table, searchable.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use super::document::{Line, draw_lines};
use super::frame;
use crate::domain::selector;
use crate::tui::app::App;
use crate::tui::command::{Context, commands};
use crate::tui::cursor::Motion;
use crate::tui::keymap::Keymap;
use crate::tui::own::OwnCommands;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::input::draw_input;
use crate::tui::widget::paint;

/// The help.
#[derive(Debug, Default)]
pub struct Help {
    /// What is looked for.
    pub input: Input,
    /// First line that is seen.
    pub scroll: usize,
}

impl Help {
    /// Returns the lines that contain what is looked for.
    pub fn lines(&self, (keymap, own): (&Keymap, &OwnCommands)) -> Vec<Line> {
        let wanted = self.input.value().to_lowercase();
        let keeps = |text: &str| wanted.is_empty() || text.to_lowercase().contains(&wanted);
        let mut lines: Vec<Line> = Vec::new();
        for context in Context::ALL {
            let rows: Vec<Line> = commands()
                .iter()
                .filter(|command| command.contexts.first() == Some(context))
                .filter_map(|command| {
                    let keys = keymap.keys_of(command);
                    let line = format!("{keys} {} {}", command.title, command.id);
                    (!keys.is_empty() && keeps(&line)).then(|| {
                        vec![
                            (format!("  {keys:<22}"), Role::Key),
                            (command.title.clone(), Role::Text),
                        ]
                    })
                })
                .collect();
            section(&mut lines, context.title(), rows);
        }
        let rows = own
            .here(&[])
            .filter(|(_, key, title)| keeps(&format!("{key} {title} command")))
            .map(|(_, key, title)| {
                let key = if key.is_empty() { "by name" } else { &key };
                vec![
                    (format!("  {key:<22}"), Role::Key),
                    (title.to_owned(), Role::Text),
                ]
            });
        section(&mut lines, "Commands of your own", rows.collect());
        let syntax: Vec<Line> = selector::SYNTAX
            .iter()
            .filter(|(form, meaning)| keeps(&format!("{form} {meaning}")))
            .map(|(form, meaning)| {
                vec![
                    (format!("  {form:<34}"), Role::Key),
                    ((*meaning).to_owned(), Role::Text),
                ]
            })
            .collect();
        section(&mut lines, "The filter", syntax);
        lines
    }

    /// Scrolls.
    pub fn go(&mut self, keys: (&Keymap, &OwnCommands), motion: Motion, page: usize) {
        let len = self.lines(keys).len();
        self.scroll = super::document::scroll(self.scroll, len, motion, page);
    }

    /// Draws it; returns where the text cursor is.
    pub fn draw(&self, app: &App, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        frame::fill(buf, area, theme, "Keys", "type to search  esc close");
        let room = crate::tui::layout::inner(area, 2, 1);
        let at = draw_input(buf, paint::line_of(room, 0), theme, "/ ", &self.input);
        let below = Rect {
            y: room.y.saturating_add(2),
            height: room.height.saturating_sub(2),
            ..room
        };
        let lines = self.lines((&app.settings.keymap, &app.own));
        draw_lines(buf, below, theme, Some(&lines), self.scroll);
        at
    }
}

fn section(lines: &mut Vec<Line>, title: &str, rows: Vec<Line>) {
    if rows.is_empty() {
        return;
    }
    if !lines.is_empty() {
        lines.push(Vec::new());
    }
    lines.push(vec![(title.to_owned(), Role::OverlayTitle)]);
    lines.extend(rows);
}
