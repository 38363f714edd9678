//! Hosts of the SSH client's configuration to choose from. Those that are there already are shown and cannot be
//! chosen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Overlay, frame};
use crate::domain::error_kind::Failure;
use crate::domain::host::{HostName, HostSpec};
use crate::fleet::import::Importable;
use crate::tui::app::App;
use crate::tui::cursor::{Motion, scroll_to};
use crate::tui::effect::Effect;
use crate::tui::glyph;
use crate::tui::keeping::Keep;
use crate::tui::layout;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::paint::{self, Piece};

/// One row.
#[derive(Debug)]
struct Row {
    found: Importable,
    chosen: bool,
    /// Why it cannot be chosen.
    refusal: Option<&'static str>,
}

/// The list.
#[derive(Debug, Default)]
pub struct Import {
    /// The rows; `None` while they are being read.
    rows: Option<Result<Vec<Row>, Failure>>,
    index: usize,
    /// Whether the chosen ones are being added.
    adding: bool,
}

impl Import {
    fn rows(&self) -> &[Row] {
        match &self.rows {
            Some(Ok(rows)) => rows,
            _ => &[],
        }
    }

    fn chosen(&self) -> impl Iterator<Item = &HostSpec> {
        let chosen = self.rows().iter().filter(|row| row.chosen);
        chosen.filter_map(|row| row.found.spec.as_ref())
    }

    /// Moves the cursor.
    pub fn go(&mut self, motion: Motion, page: usize) {
        self.index = motion.apply(self.index, self.rows().len(), page);
    }

    /// Draws it.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) {
        let remark = match (self.adding, self.chosen().count()) {
            (true, _) => "adding…".to_owned(),
            (false, 0) => String::new(),
            (false, chosen) => format!("{chosen} chosen"),
        };
        frame::fill(
            buf,
            area,
            theme,
            "Hosts of the SSH client's configuration",
            &remark,
        );
        let room = layout::inner(area, 2, 1);
        let say = |buf: &mut Buffer, text: &str, role| {
            for (n, part) in (0u16..).zip(paint::wrap(text, room.width)) {
                paint::put(buf, paint::line_of(room, n), &part, theme.style(role));
            }
        };
        match &self.rows {
            None => return say(buf, "reading…", Role::Dim),
            Some(Err(cause)) => return say(buf, &cause.message, Role::Danger),
            Some(Ok(rows)) if rows.is_empty() => {
                return say(buf, "It names no hosts; patterns are left out.", Role::Dim);
            }
            Some(Ok(_)) => {}
        }
        let rows = self.rows();
        let top = scroll_to(0, self.index, usize::from(room.height), rows.len());
        for (n, (at, row)) in (0..room.height).zip(rows.iter().enumerate().skip(top)) {
            let line = paint::line_of(room, n);
            if at == self.index {
                buf.set_style(line.intersection(buf.area), theme.style(Role::Selection));
            }
            let (sign, role) = match (row.refusal, row.chosen) {
                (Some(_), _) => (glyph::DONE, Role::Stale),
                (None, true) => (glyph::MARK, Role::Strong),
                (None, false) => (" ", Role::Text),
            };
            let pieces = [
                Piece::new(format!("{sign} "), theme.style(Role::Mark)),
                Piece::new(paint::padded(&row.found.alias, 22), theme.style(role)),
                Piece::new(format!(" {}", row.found.leads_to), theme.style(Role::Text)),
                Piece::new(format!("  {}", row.found.how), theme.style(Role::Dim)),
                Piece::new(
                    row.refusal
                        .map(|why| format!("  {why}"))
                        .unwrap_or_default(),
                    theme.style(Role::Stale),
                ),
            ];
            paint::put_line(buf, line, &pieces);
        }
    }
}

/// Opens the list.
pub fn open(app: &mut App) -> Vec<Effect> {
    app.overlays.push(Overlay::Import(Box::default()));
    vec![Effect::Keep(Keep::ReadAliases)]
}

fn front(app: &mut App) -> Option<&mut Import> {
    app.overlays
        .iter_mut()
        .rev()
        .find_map(|overlay| match overlay {
            Overlay::Import(import) => Some(&mut **import),
            _ => None,
        })
}

/// Takes what the configuration has.
pub fn read(app: &mut App, found: Result<Vec<Importable>, Failure>) {
    let snapshot = std::sync::Arc::clone(&app.snapshot);
    let known = |found: &Importable| found.is_known(snapshot.hosts.iter().map(|host| &*host.spec));
    let row = |found: Importable| Row {
        refusal: match &found.spec {
            None => Some("its name cannot be used"),
            Some(_) if known(&found) => Some("is there already"),
            Some(_) => None,
        },
        found,
        chosen: false,
    };
    if let Some(import) = front(app) {
        import.rows = Some(found.map(|all| all.into_iter().map(row).collect()));
    }
}

/// Chooses the host under the cursor, or no longer.
pub fn toggle(app: &mut App) -> Vec<Effect> {
    let Some(import) = front(app) else {
        return Vec::new();
    };
    let index = import.index;
    let refusal = match &mut import.rows {
        Some(Ok(rows)) => rows.get_mut(index).and_then(|row| {
            row.chosen = !row.chosen && row.refusal.is_none();
            row.refusal
        }),
        _ => None,
    };
    match refusal {
        Some(why) => app.say(Role::Warning, why),
        None => import.go(Motion::Down, 1),
    }
    Vec::new()
}

/// Chooses all that are not there yet; all again chooses none.
pub fn toggle_all(app: &mut App) -> Vec<Effect> {
    if let Some(Import {
        rows: Some(Ok(rows)),
        ..
    }) = front(app)
    {
        let all = rows.iter().all(|row| row.chosen || row.refusal.is_some());
        for row in rows.iter_mut().filter(|row| row.refusal.is_none()) {
            row.chosen = !all;
        }
    }
    Vec::new()
}

/// Says whether something is chosen.
pub fn has_chosen(app: &App) -> Result<(), String> {
    match app.overlays.last() {
        Some(Overlay::Import(import)) if import.adding => Err("they are being added".to_owned()),
        Some(Overlay::Import(import)) if import.chosen().next().is_some() => Ok(()),
        _ => Err("nothing is chosen: space chooses, * all".to_owned()),
    }
}

/// Adds the chosen ones.
pub fn accept(app: &mut App) -> Vec<Effect> {
    let Some(import) = front(app) else {
        return Vec::new();
    };
    import.adding = true;
    let specs: Vec<HostSpec> = import.chosen().cloned().collect();
    vec![Effect::Keep(Keep::AddHosts(specs))]
}

/// Takes which were added, and why the next one was not.
pub fn added(app: &mut App, names: &[HostName], failed: Option<(HostName, Failure)>) {
    app.overlays
        .retain(|overlay| !matches!(overlay, Overlay::Import(_)));
    let count = match names.len() {
        1 => "1 host".to_owned(),
        count => format!("{count} hosts"),
    };
    match failed {
        None => app.say(
            Role::Success,
            format!("added {count}: K shows keys that are not known yet"),
        ),
        Some((name, mut cause)) => {
            cause.message = format!(
                "added {count}, then {name} was not taken: {}",
                cause.message
            );
            app.fail(&cause);
        }
    }
}
