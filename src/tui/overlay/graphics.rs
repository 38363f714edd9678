//! The address of a VM's display, for somebody who connects to it by hand.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::frame;
use crate::domain::error_kind::Failure;
use crate::tui::acting;
use crate::tui::app::App;
use crate::tui::effect::Effect;
use crate::tui::graphics::GraphicsNews;
use crate::tui::overlay::Overlay;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::paint;

/// Displays that are open at once: more windows than anybody looks at.
const MOST: usize = 16;

/// An open display without a viewer of ours.
#[derive(Debug)]
pub struct Address {
    ticket: u64,
    vm: String,
    why: String,
    url: String,
    exposed: Option<String>,
    connected: usize,
    trouble: Option<Failure>,
}

/// Brings the display of the VM that keys are about to this machine.
pub fn open(app: &mut App) -> Vec<Effect> {
    let Some(vm) = acting::subject(app) else {
        return Vec::new();
    };
    let Some((_, found)) = app.snapshot.vm(&vm) else {
        return Vec::new();
    };
    let name = found.name.shown().to_owned();
    if app.displays.len() >= MOST {
        let text = format!("{MOST} displays are open already: end one of their viewers first");
        app.say(Role::Warning, text);
        return Vec::new();
    }
    app.tickets += 1;
    let ticket = app.tickets;
    app.say(Role::Changing, format!("opening the display of {name}…"));
    app.displays.insert(ticket, name);
    vec![Effect::OpenGraphics(ticket, vm)]
}

/// Something has become of a display.
pub fn heard(app: &mut App, ticket: u64, news: GraphicsNews) -> Vec<Effect> {
    let Some(vm) = app.displays.get(&ticket).cloned() else {
        return Vec::new();
    };
    match news {
        GraphicsNews::Viewer {
            program,
            address,
            exposed,
        } => match exposed {
            None => app.say(Role::Success, format!("{program} shows {vm} ({address})")),
            Some(at) => app.say(
                Role::Warning,
                format!("{program} shows {vm}; {}", warning(&at)),
            ),
        },
        GraphicsNews::ByHand {
            why,
            address,
            exposed,
        } => {
            let copied = Effect::Copy(address.clone());
            app.overlays.push(Overlay::Graphics(Box::new(Address {
                ticket,
                vm,
                why,
                url: address,
                exposed,
                connected: 0,
                trouble: None,
            })));
            return vec![copied];
        }
        GraphicsNews::Connected(now, trouble) => match dialog(app, ticket) {
            Some(dialog) => {
                dialog.connected = now;
                dialog.trouble = trouble;
            }
            None => {
                if let Some(cause) = trouble {
                    app.fail(&cause);
                }
            }
        },
        GraphicsNews::Closed(cause) => {
            app.displays.remove(&ticket);
            app.overlays.retain(
                |overlay| !matches!(overlay, Overlay::Graphics(dialog) if dialog.ticket == ticket),
            );
            match cause {
                Some(cause) => app.fail(&cause),
                None => app.say(Role::Dim, format!("the display of {vm} is closed")),
            }
            return vec![Effect::CloseGraphics(ticket)];
        }
    }
    Vec::new()
}

fn warning(at: &str) -> String {
    format!("others can connect to it without SSH ({at})")
}

fn dialog(app: &mut App, wanted: u64) -> Option<&mut Address> {
    app.overlays.iter_mut().find_map(|overlay| match overlay {
        Overlay::Graphics(dialog) if dialog.ticket == wanted => Some(&mut **dialog),
        _ => None,
    })
}

/// Copies the address.
pub fn copy(app: &mut App) -> Vec<Effect> {
    match app.overlays.last() {
        Some(Overlay::Graphics(dialog)) => vec![Effect::Copy(dialog.url.clone())],
        _ => Vec::new(),
    }
}

/// Closes the display.
pub fn close(app: &mut App) -> Vec<Effect> {
    match app.overlays.pop() {
        Some(Overlay::Graphics(dialog)) => {
            app.displays.remove(&dialog.ticket);
            vec![Effect::CloseGraphics(dialog.ticket)]
        }
        Some(other) => {
            app.overlays.push(other);
            Vec::new()
        }
        None => Vec::new(),
    }
}

impl Address {
    /// Draws it.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) {
        let width = area.width.min(72);
        let fit = |text: &str| paint::wrap(text, width.saturating_sub(4));
        let mut lines: Vec<(String, Role)> = vec![(self.url.clone(), Role::Strong)];
        lines.push((String::new(), Role::Text));
        let mut add =
            |text: &str, role| lines.extend(fit(text).into_iter().map(|line| (line, role)));
        add(
            &format!(
                "{}; connect to this address with a viewer on this machine. It is there until this is closed.",
                self.why
            ),
            Role::Text,
        );
        if let Some(at) = &self.exposed {
            add(&format!("On the VM's host {}.", warning(at)), Role::Warning);
        }
        match (&self.trouble, self.connected) {
            (Some(cause), _) => add(&cause.to_string(), Role::Danger),
            (None, 0) => add("nobody is connected", Role::Dim),
            (None, 1) => add("1 connection", Role::Success),
            (None, now) => add(&format!("{now} connections"), Role::Success),
        }
        let height = u16::try_from(lines.len()).unwrap_or(8) + 4;
        let title = format!("Display of {}", self.vm);
        let room = frame::draw(buf, area, theme, &title, (width, height));
        for (n, (line, role)) in (0u16..).zip(&lines) {
            paint::put(buf, paint::line_of(room, n), line, theme.style(*role));
        }
        let last = paint::line_of(room, room.height.saturating_sub(1));
        frame::keys(buf, last, theme, &[("c", "copy"), ("esc", "close it")]);
    }
}
