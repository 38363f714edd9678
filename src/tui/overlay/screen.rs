//! A picture of a VM's screen, taken again and again while somebody looks, drawn with half blocks: two
//! pixels a cell, in the colours the terminal has.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use crate::domain::console::KeyStrokes;
use crate::domain::error_kind::Failure;
use crate::domain::picture::Picture;
use crate::domain::vm::VmRef;
use crate::tui::acting;
use crate::tui::app::App;
use crate::tui::command::Context;
use crate::tui::effect::Effect;
use crate::tui::overlay::Overlay;
use crate::tui::overlay::question::Question;
use crate::tui::pixels::Placed;
use crate::tui::theme::{GuestColour, Role, Theme};
use crate::tui::widget::footer::{self, Hint};
use crate::tui::widget::input::draw_input;
use crate::tui::widget::paint::{self, Piece};

/// Time from one picture to the next.
const PAUSE: SignedDuration = SignedDuration::from_secs(2);

/// The same after one that could not be taken.
const LONG_PAUSE: SignedDuration = SignedDuration::from_secs(5);

/// Lines of our own around the picture.
const OWN_LINES: u16 = 3;

/// From dark to light, where there are no colours to show a picture in.
const SHADES: [&str; 5] = [" ", "░", "▒", "▓", "█"];

/// A picture on the screen.
#[derive(Debug)]
pub struct Screen {
    /// Of which VM.
    pub vm: VmRef,
    name: String,
    host: String,
    /// Tells its answers from those for an earlier one.
    pub ticket: u64,
    picture: Option<Arc<Picture>>,
    /// The picture in the size it is drawn in.
    drawn: Option<Picture>,
    trouble: Option<Failure>,
    /// Since when a picture is on its way.
    asked: Option<Timestamp>,
    next: Timestamp,
    /// Text that is being typed for the VM.
    pub typing: Option<Input>,
}

/// Opens the picture of the VM that keys are about.
pub fn open(app: &mut App) -> Vec<Effect> {
    let Some(vm) = acting::subject(app) else {
        return Vec::new();
    };
    let Some((host, found)) = app.snapshot.vm(&vm) else {
        return Vec::new();
    };
    let (name, host) = (found.name.shown().to_owned(), host.spec.name.to_string());
    app.tickets += 1;
    let screen = Screen {
        vm,
        name,
        host,
        ticket: app.tickets,
        picture: None,
        drawn: None,
        trouble: None,
        asked: None,
        next: app.now,
        typing: None,
    };
    app.overlays.push(Overlay::Screen(Box::new(screen)));
    Vec::new()
}

/// Asks for the next picture when it is time.
pub fn look_again(app: &mut App) -> Vec<Effect> {
    let now = app.now;
    match app.overlays.last_mut() {
        Some(Overlay::Screen(screen)) if screen.asked.is_none() && screen.next <= now => {
            screen.asked = Some(now);
            vec![Effect::Screen(screen.ticket, screen.vm.clone())]
        }
        _ => Vec::new(),
    }
}

/// Asks for a picture now.
pub fn refresh(app: &mut App) -> Vec<Effect> {
    let now = app.now;
    if let Some(Overlay::Screen(screen)) = app.overlays.last_mut() {
        screen.next = now;
    }
    Vec::new()
}

/// A picture was taken, or not.
pub fn taken(app: &mut App, ticket: u64, result: Result<Arc<Picture>, Failure>) {
    let (now, size) = (app.now, app.size);
    let found = app.overlays.iter_mut().find_map(|overlay| match overlay {
        Overlay::Screen(screen) if screen.ticket == ticket => Some(screen),
        _ => None,
    });
    let Some(screen) = found else { return };
    let took = screen
        .asked
        .take()
        .map_or(SignedDuration::ZERO, |asked| now.duration_since(asked));
    // A host that is slow at it has at least twice as long for everything else.
    let pause = match result {
        Ok(_) => PAUSE.max(took.saturating_mul(2)),
        Err(_) => LONG_PAUSE,
    };
    screen.next = now.saturating_add(pause).unwrap_or(now);
    match result {
        Ok(picture) => {
            screen.trouble = None;
            screen.picture = Some(picture);
            screen.resize(size);
        }
        Err(cause) => {
            let is_news = screen.trouble.replace(cause).is_none();
            if is_news {
                // What was said before stands where this is told.
                app.toast = None;
            }
        }
    }
}

/// Our terminal has another size.
pub fn resized(app: &mut App) {
    let size = app.size;
    for overlay in &mut app.overlays {
        if let Overlay::Screen(screen) = overlay {
            screen.resize(size);
        }
    }
}

/// Begins to type text for the VM.
pub fn begin_typing(app: &mut App) -> Vec<Effect> {
    if let Some(Overlay::Screen(screen)) = app.overlays.last_mut() {
        screen.typing = Some(Input::default());
    }
    Vec::new()
}

/// Asks whether ctrl-alt-del is meant.
pub fn ctrl_alt_del(app: &mut App) -> Vec<Effect> {
    if let Some(Overlay::Screen(screen)) = app.overlays.last() {
        let question = Question::ctrl_alt_del(screen.vm.clone(), &screen.name);
        app.overlays.push(Overlay::Question(question));
    }
    Vec::new()
}

impl Screen {
    /// Returns where its keys are looked up.
    pub const fn contexts(&self) -> &'static [Context] {
        if self.typing.is_some() {
            &[Context::Prompt, Context::Base]
        } else {
            &[Context::Screen, Context::Base]
        }
    }

    /// Takes what was typed: all of it goes to the VM, then Enter.
    pub fn accept(&mut self) -> Option<Effect> {
        let typed = self.typing.take()?;
        let text = format!("{}\n", typed.value());
        Some(Effect::SendKeys(self.vm.clone(), KeyStrokes::Text(text)))
    }

    /// Returns when the next picture is due.
    pub fn wakes_in(&self, now: Timestamp) -> Option<Duration> {
        self.asked
            .is_none()
            .then(|| Duration::try_from(self.next - now).unwrap_or_default())
    }

    fn resize(&mut self, (width, height): (u16, u16)) {
        let lines = u32::from(height.saturating_sub(OWN_LINES)).max(1) * 2;
        self.drawn = self.picture.as_ref().map(|picture| {
            let (columns, lines) = picture.fit(u32::from(width), lines);
            picture.scaled(columns, lines)
        });
    }

    /// Draws it over everything; returns where the text cursor is.
    pub fn draw(
        &self,
        app: &App,
        hints: &[Hint],
        buf: &mut Buffer,
        theme: &Theme,
    ) -> Option<Position> {
        let area = buf.area;
        paint::clear(buf, area, theme.style(Role::Text));
        let bar = theme.style(Role::TitleLine);
        let title = paint::line_of(area, 0);
        paint::clear(buf, title, bar);
        let size = self.picture.as_ref().map_or_else(String::new, |picture| {
            format!("{} x {}", picture.width(), picture.height())
        });
        let name = format!(" screen of {} on {}  ", self.name, self.host);
        paint::put_line(
            buf,
            title,
            &[
                Piece::new(name, bar.patch(theme.style(Role::Strong))),
                Piece::new(size, bar.patch(theme.style(Role::Dim))),
            ],
        );
        if let Some(picture) = &self.drawn {
            draw_picture(picture, buf, body(area), theme);
        }
        let last = area.height.saturating_sub(1);
        let cursor = self.draw_state(
            app,
            buf,
            paint::line_of(area, last.saturating_sub(1)),
            theme,
        );
        footer::draw(buf, paint::line_of(area, last), theme, hints);
        cursor
    }

    /// Leaves room for the picture in place of the half blocks, and says where it belongs.
    pub fn place(&self, buf: &mut Buffer) -> Option<Placed> {
        let area = place_of(self.drawn.as_ref()?, body(buf.area));
        for position in area.positions() {
            if let Some(cell) = buf.cell_mut(position) {
                cell.reset();
            }
        }
        let picture = Arc::clone(self.picture.as_ref()?);
        (!area.is_empty()).then_some(Placed { area, picture })
    }

    fn draw_state(
        &self,
        app: &App,
        buf: &mut Buffer,
        line: Rect,
        theme: &Theme,
    ) -> Option<Position> {
        let room = Rect {
            x: line.x + 1,
            width: line.width.saturating_sub(1),
            ..line
        };
        if let Some(typing) = &self.typing {
            return draw_input(buf, room, theme, "type into the VM: ", typing);
        }
        let (text, role) = match (&app.toast, &self.trouble, &self.picture) {
            (Some(toast), ..) => (toast.text.clone(), toast.role),
            (None, Some(cause), _) => {
                let hint = cause
                    .hint
                    .as_ref()
                    .map_or_else(String::new, |hint| format!(" ({hint})"));
                (format!("{}{hint}", cause.message), Role::Danger)
            }
            (None, None, None) => ("taking a picture…".to_owned(), Role::Dim),
            (None, None, Some(_)) => (String::new(), Role::Dim),
        };
        paint::put_fitted(buf, room, &text, theme.style(role));
        None
    }
}

/// Draws a picture in the middle of an area, two of its lines to one of the terminal's.
fn draw_picture(picture: &Picture, buf: &mut Buffer, body: Rect, theme: &Theme) {
    let area = place_of(picture, body);
    for y in 0..area.height {
        for x in 0..area.width {
            let upper = picture.pixel(u32::from(x), u32::from(y) * 2);
            let lower = picture.pixel(u32::from(x), u32::from(y) * 2 + 1);
            let Some(cell) = buf.cell_mut((area.x + x, area.y + y)) else {
                continue;
            };
            if theme.has_colours() {
                cell.set_symbol("▀");
                cell.set_style(theme.guest(GuestColour::Rgb(upper), GuestColour::Rgb(lower)));
            } else {
                cell.set_symbol(shade(upper, lower));
            }
        }
    }
}

/// Where pictures are shown.
fn body(area: Rect) -> Rect {
    Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(OWN_LINES),
        ..area
    }
}

/// The cells of a picture in the size it is drawn in.
fn place_of(picture: &Picture, body: Rect) -> Rect {
    let small = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
    let (columns, lines) = (small(picture.width()), small(picture.height().div_ceil(2)));
    crate::tui::layout::centred(body, columns, lines)
}

/// How light two pixels are together.
fn shade(upper: [u8; 3], lower: [u8; 3]) -> &'static str {
    let light: usize = upper
        .iter()
        .chain(&lower)
        .map(|part| usize::from(*part))
        .sum();
    let most = 6 * usize::from(u8::MAX) + 1;
    SHADES.get(light * SHADES.len() / most).unwrap_or(&" ")
}
