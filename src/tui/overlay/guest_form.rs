//! One line: a program to run in a VM. What is typed is shown as the list of words it is, while it is typed.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use super::{Overlay, frame};
use crate::domain::guest_command::{GuestCommand, GuestCommandError};
use crate::domain::vm::{PowerState, VmRef};
use crate::tui::acting;
use crate::tui::app::App;
use crate::tui::effect::Effect;
use crate::tui::guest;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::input::draw_input;
use crate::tui::widget::paint::{self, Piece};

/// Words that are seen; those after them are counted.
const SEEN: u16 = 6;

/// A program being typed.
#[derive(Debug)]
pub struct GuestForm {
    vm: VmRef,
    title: String,
    /// What is typed.
    pub input: Input,
}

/// Says whether a program could be run in the VM that keys are about.
pub fn can_open(app: &App) -> Result<(), String> {
    let vm = acting::subject(app).ok_or("no VM is selected")?;
    match app.snapshot.vm(&vm) {
        Some((_, found)) if found.state != PowerState::Running => Err(format!(
            "{} is {}: nothing runs in it",
            found.name, found.state
        )),
        _ => Ok(()),
    }
}

/// Asks what is to be run.
pub fn open(app: &mut App) -> Vec<Effect> {
    if let Some(vm) = acting::subject(app)
        && let Some((host, found)) = app.snapshot.vm(&vm)
    {
        let title = format!("Run a program in {} on {}", found.name, host.spec.name);
        let input = Input::default();
        let form = GuestForm { vm, title, input };
        app.overlays.push(Overlay::GuestForm(Box::new(form)));
    }
    Vec::new()
}

/// Has what was typed planned.
pub fn accept(app: &mut App) -> Vec<Effect> {
    let Some(Overlay::GuestForm(form)) = app.overlays.last() else {
        return Vec::new();
    };
    match GuestCommand::split(form.input.value()) {
        Ok(words) => {
            let vm = form.vm.clone();
            app.overlays.pop();
            guest::plan(app, vm, words)
        }
        Err(why) => {
            app.say(Role::Warning, why.to_string());
            Vec::new()
        }
    }
}

impl GuestForm {
    /// Draws it; returns where the text cursor is.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        let size = (area.width.min(84), SEEN + 6);
        let room = frame::draw(buf, area, theme, &self.title, size);
        let line = |n| paint::line_of(room, n);
        let cursor = draw_input(buf, line(0), theme, "> ", &self.input);
        let say = |buf: &mut Buffer, n, text: &str| {
            paint::put_fitted(buf, line(n), text, theme.style(Role::Dim));
        };
        match GuestCommand::split(self.input.value()) {
            Ok(words) => {
                let facts = guest::words(&words);
                for (n, (label, text, role)) in (0..SEEN).zip(&facts) {
                    let pieces = [
                        Piece::new(format!("{label:<9}"), theme.style(Role::Dim)),
                        Piece::new(text.as_str(), theme.style(*role)),
                    ];
                    paint::put_line(buf, line(2 + n), &pieces);
                }
                let more = facts.len().saturating_sub(usize::from(SEEN));
                if more > 0 {
                    say(buf, 2 + SEEN - 1, &format!("and {} words more", more + 1));
                }
            }
            Err(GuestCommandError::Empty) => {
                say(
                    buf,
                    2,
                    "A program and its arguments; quotes keep blanks together.",
                );
                say(
                    buf,
                    3,
                    "No shell reads it: for one, run it: /bin/sh -c '...'",
                );
            }
            Err(why) => {
                paint::put_fitted(buf, line(2), &why.to_string(), theme.style(Role::Warning));
            }
        }
        let keys = [("enter", "see what is sent"), ("esc", "never mind")];
        frame::keys(buf, line(3 + SEEN), theme, &keys);
        cursor
    }
}
