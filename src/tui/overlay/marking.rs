//! Marks VMs by a filter expression, among those in the table: what is not seen is not marked.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use super::{Overlay, frame};
use crate::domain::selector::{Filter, Row};
use crate::domain::vm::VmRef;
use crate::tui::app::App;
use crate::tui::effect::Effect;
use crate::tui::screen::vms;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::input::draw_input;
use crate::tui::widget::paint;

/// An expression being typed.
#[derive(Debug, Clone, Default)]
pub struct Marking {
    /// What is typed.
    pub input: Input,
}

impl Marking {
    /// Draws it, with how many would be marked.
    pub fn draw(&self, app: &App, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        let room = frame::draw(buf, area, theme, "Mark the VMs that fit", (64, 6));
        let line = |n| paint::line_of(room, n);
        let cursor = draw_input(buf, line(0), theme, "fits: ", &self.input);
        let shown = app.vms.rows.visible().len();
        let (said, role) = match self.found(app) {
            Ok(found) => (format!("{} of the {shown} shown", found.len()), Role::Dim),
            Err(mistake) => (mistake, Role::Warning),
        };
        paint::put_fitted(buf, line(1), &said, theme.style(role));
        let keys = [("enter", "mark them too"), ("esc", "never mind")];
        frame::keys(buf, line(3), theme, &keys);
        cursor
    }

    /// Returns the VMs in the table that fit, or what is wrong with the expression.
    fn found(&self, app: &App) -> Result<Vec<VmRef>, String> {
        let text = self.input.value();
        if text.trim().is_empty() {
            return Err("words, or what / takes: state:running cpu>80 !tag:db".to_owned());
        }
        let filter = Filter::parse(text).map_err(|error| error.message)?;
        let fits = app.vms.rows.visible().iter().filter(|row| {
            row.find(&app.snapshot).is_some_and(|(host, vm)| {
                let marked = row
                    .id(&app.snapshot)
                    .is_some_and(|id| app.vms.marks.contains(&id));
                filter.matches(&Row {
                    host,
                    vm,
                    now: app.now,
                    marked,
                    protected: false,
                })
            })
        });
        Ok(fits.filter_map(|row| row.id(&app.snapshot)).collect())
    }
}

/// Asks for the expression.
pub fn open(app: &mut App) -> Vec<Effect> {
    app.overlays.push(Overlay::Marking(Box::default()));
    Vec::new()
}

/// Marks what fits; an expression that cannot be read stays to be mended.
pub fn accept(app: &mut App) {
    let Some(Overlay::Marking(dialog)) = app.overlays.last() else {
        return;
    };
    let found = if dialog.input.value().trim().is_empty() {
        Ok(Vec::new())
    } else {
        dialog.found(app)
    };
    match found {
        Err(mistake) => app.say(Role::Warning, mistake),
        Ok(found) => {
            app.overlays.pop();
            app.say(Role::Dim, format!("{} marked", found.len()));
            vms::mark_these(app, found);
        }
    }
}
