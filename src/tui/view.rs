//! From state to frame. Draws and changes nothing but where lists are scrolled to.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::app::{App, Screen};
use super::command::{Context, commands};
use super::console;
use super::glyph;
use super::layout::{self, Areas};
use super::overlay::{Overlay, progress};
use super::pixels::{PictureWay, Placed};
use super::screen::{hosts, operations, profile, snapshots, stores, vms};
use super::theme::{Role, Theme};
use super::widget::footer::{self, Hint};
use super::widget::input::draw_filter;
use super::widget::{header, paint};
use crate::domain::text::fit_middle;

/// What drawing remembers from frame to frame: the first row of each list.
#[derive(Debug, Default)]
pub struct ViewState {
    /// Of the VM table.
    pub vms_top: usize,
    /// Of the hosts.
    pub hosts_top: usize,
    /// Of the VM snapshots.
    pub snapshots_top: usize,
    /// Of storage, and of networks.
    pub stores_tops: [usize; 2],
    /// Of the operations.
    pub operations_top: usize,
    /// Of the credentials.
    pub profile_top: usize,
    /// How this terminal shows pictures.
    pub pictures: PictureWay,
    /// Pixels of a cell, where the terminal says so.
    pub cell: Option<(u16, u16)>,
    /// The picture that belongs over the frame that was drawn last.
    pub picture: Option<Placed>,
}

/// Draws a frame; returns where the text cursor is, if there is one.
pub fn view(app: &App, theme: &Theme, state: &mut ViewState, buf: &mut Buffer) -> Option<Position> {
    let area = buf.area;
    state.picture = None;
    let Some(areas) = layout::areas(area, app.compact) else {
        too_small(buf, area, theme);
        return None;
    };
    let news = header::News {
        unseen: app.unseen_errors(),
        last: app.last_error.as_deref(),
        bulk: app.bulk_progress(),
    };
    header::draw(&app.snapshot, (app.now, news), buf, areas.header, theme);
    draw_screen(app, theme, state, buf, areas.body);
    let mut cursor = draw_status(app, theme, buf, areas.status);
    if let Some(Overlay::Console(console)) = app.overlays.last() {
        return console::draw::draw(console, app, &hints(app), buf, theme);
    }
    footer::draw(buf, areas.footer, theme, &hints(app));
    for overlay in &app.overlays {
        cursor = draw_overlay(app, theme, buf, (overlay, &areas));
    }
    // What lies over a picture is drawn with cells, and the picture then as well.
    if let Some(Overlay::Screen(screen)) = app.overlays.last()
        && state.shows_pixels()
    {
        state.picture = screen.place(buf);
    }
    cursor
}

impl ViewState {
    /// Tells whether pictures can be more than cells here.
    const fn shows_pixels(&self) -> bool {
        match self.pictures {
            PictureWay::Blocks => false,
            PictureWay::Kitty => true,
            PictureWay::Sixel => self.cell.is_some(),
        }
    }
}

/// Replaces our signs by their stand-ins where only ASCII can be shown.
pub fn make_ascii(buf: &mut Buffer) {
    for cell in &mut buf.content {
        if let Some(sign) = glyph::to_ascii(cell.symbol()) {
            cell.set_symbol(sign);
        }
    }
}

fn too_small(buf: &mut Buffer, area: Rect, theme: &Theme) {
    let (width, height) = layout::MINIMUM;
    let lines = [
        "vmdeck: too small".to_owned(),
        format!("{}x{}, needs {width}x{height}", area.width, area.height),
    ];
    for (n, line) in (0u16..).zip(&lines) {
        paint::put(
            buf,
            paint::line_of(area, n),
            line,
            theme.style(Role::Warning),
        );
    }
}

fn draw_screen(app: &App, theme: &Theme, state: &mut ViewState, buf: &mut Buffer, body: Rect) {
    match app.screen {
        Screen::Vms => vms::draw(app, buf, body, theme, &mut state.vms_top),
        Screen::Hosts => hosts::draw(app, buf, body, theme, &mut state.hosts_top),
        Screen::Snapshots => snapshots::draw(app, buf, body, theme, &mut state.snapshots_top),
        Screen::Stores => stores::draw(app, buf, body, theme, &mut state.stores_tops),
        Screen::Operations => {
            operations::draw(app, buf, body, theme, &mut state.operations_top);
        }
        Screen::Profile => profile::draw(app, buf, body, theme, &mut state.profile_top),
    }
}

fn draw_status(app: &App, theme: &Theme, buf: &mut Buffer, line: Rect) -> Option<Position> {
    if app.screen == Screen::Vms {
        return vms::status(app, buf, line, theme);
    }
    if app.screen == Screen::Operations
        && (app.operations.filter.editing
            || (app.toast.is_none() && app.operations.filter.is_active()))
    {
        let filter = &app.operations.filter;
        let line = Rect {
            x: line.x + 1,
            width: line.width.saturating_sub(1),
            ..line
        };
        return draw_filter(buf, line, theme, filter).filter(|_| filter.editing);
    }
    let title = match app.screen {
        Screen::Snapshots => snapshots::title(app),
        Screen::Stores => stores::title(app),
        Screen::Profile => profile::title(app),
        // News must not hide that there is more than what is shown.
        Screen::Operations if app.operations.filter.is_active() => {
            let filter = fit_middle(app.operations.filter.text(), 40);
            format!("/{filter}  {}", app.screen.title())
        }
        other => other.title().to_owned(),
    };
    let title = format!("{title} ");
    paint::put_right(buf, line, &title, theme.style(Role::Dim));
    let left = Rect {
        x: line.x + 1,
        width: line.width.saturating_sub(paint::width(&title) + 3),
        ..line
    };
    if let Some(toast) = &app.toast {
        paint::put_fitted(buf, left, &toast.text, theme.style(toast.role));
    } else if app.screen == Screen::Operations
        && let Some(bulk) = progress::current(app)
    {
        let text = format!(
            "last order about several VMs: {} (b shows each of them)",
            bulk.summary()
        );
        paint::put_fitted(buf, left, &text, theme.style(bulk.role()));
    } else if app.screen == Screen::Hosts
        && let Some((text, role)) = hosts::selected(app).and_then(|host| hosts::trouble(app, host))
    {
        paint::put_fitted(buf, left, &text, theme.style(role));
    }
    None
}

fn draw_overlay(
    app: &App,
    theme: &Theme,
    buf: &mut Buffer,
    (overlay, areas): (&Overlay, &Areas),
) -> Option<Position> {
    // Dialogs leave the status line and the footer alone: news and keys stay readable.
    let area = Rect {
        height: areas.header.height + areas.body.height,
        ..buf.area
    };
    match overlay {
        Overlay::Confirm(dialog) => return dialog.draw(buf, area, theme),
        Overlay::Agree(dialog) => return dialog.draw(buf, area, theme),
        Overlay::GuestForm(form) => return form.draw(buf, area, theme),
        Overlay::ShellForm(form) => return form.draw(buf, area, theme),
        Overlay::Narrow(dialog) => return dialog.draw(buf, area, theme),
        Overlay::Question(question) => question.draw(buf, area, theme),
        Overlay::Waiting(ticket) => {
            let what = if app.defining == Some(*ticket) {
                "handing the definition in…"
            } else {
                "asking for the plan…"
            };
            let line = Rect {
                x: areas.status.x + 1,
                width: areas.status.width.saturating_sub(1),
                ..areas.status
            };
            paint::clear(buf, line, theme.style(Role::Text));
            paint::put(buf, line, what, theme.style(Role::Changing));
        }
        Overlay::Menu(menu) => menu.draw(buf, area, theme),
        Overlay::Chooser(chooser) => chooser.draw(&app.vms.columns, buf, area, theme),
        Overlay::Naming(dialog) => return dialog.draw(buf, area, theme),
        Overlay::Marking(dialog) => return dialog.draw(app, buf, area, theme),
        Overlay::Progress(panel) => panel.draw(app, buf, areas.body, theme),
        // It covers everything, and lies on top of everything.
        Overlay::Console(_) => {}
        Overlay::Graphics(dialog) => dialog.draw(buf, area, theme),
        Overlay::Screen(screen) => return screen.draw(app, &hints(app), buf, theme),
        Overlay::Help(help) => return help.draw(app, buf, areas.body, theme),
        Overlay::Palette(palette) => return palette.draw(buf, areas.body, theme),
        Overlay::Details(details) => return details.draw(app, buf, areas.body, theme),
        Overlay::Doctor(findings) => findings.draw(app.now, buf, areas.body, theme),
        Overlay::Import(import) => import.draw(buf, areas.body, theme),
        Overlay::Rotation(rotation) => rotation.draw(buf, areas.body, theme),
        Overlay::Document(page) => page.draw(buf, areas.body, theme),
        Overlay::Log(list) => return list.draw(buf, areas.body, theme),
        Overlay::Export(dialog) => return dialog.draw(buf, area, theme),
        Overlay::Passphrase(dialog) => return dialog.draw(buf, area, theme),
        Overlay::HostKey(dialog) => return dialog.draw(buf, area, theme),
        Overlay::CredentialForm(form) => return form.draw(buf, area, theme),
        Overlay::HostForm(form) => return form.draw(buf, area, theme),
        Overlay::SnapshotForm(form) => return form.draw(buf, area, theme),
        Overlay::EditForm(form) => return form.draw(buf, area, theme),
    }
    None
}

/// Returns the keys that make sense now, in the order of the command table.
pub fn hints(app: &App) -> Vec<Hint> {
    // These say in their own last line what Enter means just now.
    if matches!(
        app.overlays.last(),
        Some(
            Overlay::Confirm(_)
                | Overlay::Agree(_)
                | Overlay::GuestForm(_)
                | Overlay::ShellForm(_)
                | Overlay::Narrow(_)
                | Overlay::HostKey(_)
                | Overlay::Passphrase(_)
                | Overlay::CredentialForm(_)
                | Overlay::HostForm(_)
                | Overlay::SnapshotForm(_)
                | Overlay::EditForm(_)
                | Overlay::Chooser(_)
                | Overlay::Naming(_)
                | Overlay::Export(_)
                | Overlay::Marking(_)
        )
    ) {
        return Vec::new();
    }
    let contexts = app.contexts();
    let mut hints: Vec<Hint> = Vec::new();
    for context in contexts {
        if *context == Context::Base {
            continue;
        }
        let mine = commands()
            .iter()
            .filter(|command| command.contexts.contains(context));
        for command in mine {
            let Some(label) = &command.footer else {
                continue;
            };
            let shown_already = command.id == app.screen.command();
            if shown_already || command.enabled(app).is_err() {
                continue;
            }
            if let Some(key) = app.settings.keymap.sign_of(command, app.settings.ascii) {
                let label = label_of(app, &command.id).unwrap_or_else(|| label.clone());
                let id = command.id.as_str();
                hints.push(Hint { key, label, id });
            }
        }
    }
    hints
}

/// Some keys say what they mean for the VM under the cursor.
fn label_of(app: &App, id: &str) -> Option<String> {
    use crate::domain::action::ActionKind;
    let kind = match id {
        "act.start" => ActionKind::Start,
        "act.pause" => ActionKind::Pause,
        _ => return None,
    };
    Some(super::acting::meaning(app, kind).spec().verb.to_owned())
}
