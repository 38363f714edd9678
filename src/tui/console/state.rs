//! A console as the screen knows it: whose it is, where it stands, what the VM has written.

use super::encode;
use super::stage::{Look, Progress, Stage};
use super::terminal::Terminal;
use crate::domain::console::{ConsoleInput, ConsoleKind, ConsoleNews, TerminalSize};
use crate::domain::guest_login::GuestLogin;
use crate::domain::vm::{PowerState, VmRef};
use crate::tui::app::App;
use crate::tui::command::Context;
use crate::tui::cursor::Motion;
use crate::tui::effect::Effect;

/// Lines of our own around the emulated screen: its title, its state, the keys.
pub const OWN_LINES: u16 = 3;

/// A console on the screen.
#[derive(Debug)]
pub struct Console {
    /// Whose.
    pub vm: VmRef,
    /// Name of the VM.
    pub name: String,
    /// Name of its host.
    pub host: String,
    /// Tells this opening from those before it.
    pub ticket: u64,
    /// Where it stands.
    pub progress: Progress,
    /// The emulated terminal.
    pub terminal: Terminal,
    /// Whether keys reach the VM.
    pub may_type: bool,
    /// Whether the VM has written anything since it was opened.
    pub heard: bool,
    /// How somebody logs in, where it is a shell and no serial console.
    pub login: Option<GuestLogin>,
}

/// Returns the room for the emulated screen on a terminal of this size.
pub fn room((width, height): (u16, u16)) -> TerminalSize {
    TerminalSize::new(width, height.saturating_sub(OWN_LINES))
}

impl Console {
    /// Makes the console of a VM; it opens at once where the VM is on.
    pub fn new(app: &App, vm: VmRef) -> Option<Self> {
        let (host, found) = app.snapshot.vm(&vm)?;
        let progress = if is_on(&found.state) {
            Progress::opening()
        } else {
            Progress::waiting_for_vm(app.now)
        };
        Some(Self {
            name: found.name.shown().to_owned(),
            host: host.spec.name.to_string(),
            ticket: 0,
            progress,
            terminal: Terminal::new(room(app.size)),
            may_type: app.snapshot.may_type_on(vm.host, app.now),
            heard: false,
            login: None,
            vm,
        })
    }

    /// Makes it a shell.
    #[must_use]
    pub fn with_login(mut self, login: GuestLogin) -> Self {
        self.login = Some(login);
        self
    }

    /// Returns what it is called.
    pub fn title(&self) -> String {
        match &self.login {
            None => format!("console of {} on {}", self.name, self.host),
            Some(login) => format!("shell in {} on {} as {}", self.name, self.host, login.user),
        }
    }

    /// Returns where its keys are looked up.
    pub const fn contexts(&self) -> &'static [Context] {
        match self.progress.stage {
            Stage::Live => &[Context::Console],
            Stage::Opening | Stage::Waiting { .. } | Stage::Over(_) => {
                &[Context::ConsoleAway, Context::Console]
            }
        }
    }

    /// Asks for it.
    pub fn ask(&mut self, ticket: u64, app_size: (u16, u16), take_over: bool) -> Effect {
        self.ticket = ticket;
        self.heard = false;
        self.progress.open();
        Effect::OpenConsole {
            ticket,
            vm: self.vm.clone(),
            size: Terminal::size_for(room(app_size)),
            kind: match &self.login {
                None => ConsoleKind::Serial { take_over },
                Some(login) => ConsoleKind::Shell(login.clone()),
            },
        }
    }

    /// Takes what came out of it.
    pub fn take(&mut self, news: ConsoleNews, now: jiff::Timestamp) -> Option<Effect> {
        match news {
            ConsoleNews::Output(bytes) => {
                self.heard = true;
                self.progress.heard();
                let answer = self.terminal.take(&bytes);
                self.send(answer)
            }
            // Whoever looks at the screen is asked, not the console.
            ConsoleNews::AskKey(_) => None,
            ConsoleNews::Ended(end) => {
                self.progress.ended(end, now);
                None
            }
        }
    }

    /// Takes text that was pasted.
    pub fn paste(&mut self, text: &str) -> Option<Effect> {
        self.terminal.scroll_to(0);
        let bytes = encode::paste(text, self.terminal.modes());
        self.send(bytes)
    }

    /// Takes a key that is no command of ours.
    pub fn press(&mut self, key: &crossterm::event::KeyEvent) -> Option<Effect> {
        let bytes = encode::key(key, self.terminal.modes());
        if !bytes.is_empty() {
            self.terminal.scroll_to(0);
        }
        self.send(bytes)
    }

    fn send(&self, bytes: Vec<u8>) -> Option<Effect> {
        let open = self.progress.stage == Stage::Live && self.may_type && !bytes.is_empty();
        open.then(|| Effect::Console(self.ticket, ConsoleInput::Bytes(bytes)))
    }

    /// Takes another size of our terminal.
    pub fn resize(&mut self, app_size: (u16, u16)) -> Option<Effect> {
        let room = room(app_size);
        self.terminal.resize(room);
        let size = Terminal::size_for(room);
        (self.progress.stage == Stage::Live)
            .then_some(Effect::Console(self.ticket, ConsoleInput::Size(size)))
    }

    /// Scrolls.
    pub fn go(&mut self, motion: Motion, page: usize) {
        let now = self.terminal.scrolled();
        let page = page.max(1);
        let wanted = match motion {
            Motion::Up => now.saturating_add(1),
            Motion::Down => now.saturating_sub(1),
            Motion::PageUp => now.saturating_add(page),
            Motion::PageDown => now.saturating_sub(page),
            Motion::HalfUp => now.saturating_add(page / 2),
            Motion::HalfDown => now.saturating_sub(page / 2),
            Motion::Top => usize::MAX,
            Motion::Bottom => 0,
        };
        self.terminal.scroll_to(wanted);
    }
}

/// Says whether a console has anybody at its other end.
pub fn is_on(state: &PowerState) -> bool {
    match state {
        PowerState::Stopped | PowerState::Saved | PowerState::Crashed => false,
        PowerState::Running
        | PowerState::Paused
        | PowerState::Starting
        | PowerState::Stopping
        | PowerState::Unknown(_) => true,
    }
}

/// Returns what is known of a VM and its host.
pub fn look(app: &App, vm: &VmRef) -> Look {
    let found = app.snapshot.vm(vm);
    Look {
        host_up: found.is_some_and(|(host, _)| host.health.is_up()),
        vm_on: found.is_some_and(|(_, vm)| is_on(&vm.state)),
    }
}
