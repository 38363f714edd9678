//! The loop: one select over shutdown, keys, snapshots, events, answers and a timer; everything that is
//! ready is taken before a frame is drawn; a frame is drawn only when something has changed.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crossterm::event::{Event as TerminalEvent, EventStream, MouseButton, MouseEventKind};
use futures_util::StreamExt;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;

use super::app::{App, Settings};
use super::effect::{Effect, Local, Runner};
use super::event::{Answer, Event, Input, Pointer};
use super::keymap::{Keymap, KeymapError};
use super::terminal::{Surface, TerminalGuard};
use super::theme::{ColourDepth, Theme, ThemeError};
use super::update::{self, update};
use super::view::{ViewState, make_ascii, view};
use crate::clock::Clock;
use crate::domain::console::ConsoleNews;
use crate::domain::event::FleetEvent;
use crate::domain::inventory::FleetSnapshot;
use crate::domain::operation::Actor;
use crate::fleet::FleetHandle;
use crate::fleet::request::HostSelection;
use crate::task::Tasks;

/// The shortest time between two frames.
const FRAME: Duration = Duration::from_millis(33);

/// Answers that may wait for the loop.
const ANSWERS: usize = 256;

/// Pieces of a console's output that may wait for the loop.
const CONSOLE_QUEUE: usize = 2;

/// Bytes of a console that are taken between two frames: nobody reads more, and a flood must leave room
/// for keys.
const CONSOLE_BUDGET: usize = 256 * 1024;

/// What the screen is to be like.
#[derive(Debug, Clone)]
pub struct TuiOptions {
    /// Name of a theme of the program, or the text of a theme file.
    pub theme: ThemeChoice,
    /// How many colours there are.
    pub colours: ColourDepth,
    /// Only ASCII.
    pub ascii: bool,
    /// Take the mouse.
    pub mouse: bool,
    /// Begin with one line of header.
    pub compact: bool,
    /// Keys a person has changed: command id -> keys.
    pub keys: BTreeMap<String, Vec<String>>,
    /// Who sits at the terminal.
    pub actor: Actor,
    /// The time.
    pub clock: Clock,
}

/// Where a theme comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ThemeChoice {
    /// One of the program's own.
    BuiltIn(String),
    /// The text of a theme file.
    Text(String),
}

impl TuiOptions {
    /// The defaults, for a person.
    pub fn new(actor: Actor, clock: Clock) -> Self {
        Self {
            theme: ThemeChoice::BuiltIn("dark".to_owned()),
            colours: ColourDepth::Full,
            ascii: false,
            mouse: false,
            compact: false,
            keys: BTreeMap::new(),
            actor,
            clock,
        }
    }

    /// Reads the theme.
    pub fn theme(&self) -> Result<Theme, ThemeError> {
        match &self.theme {
            ThemeChoice::BuiltIn(name) => Theme::built_in(name, self.colours),
            ThemeChoice::Text(text) => Theme::parse(text, self.colours),
        }
    }
}

/// Why the screen was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TuiExit {
    /// The person wanted to.
    Quit,
    /// A signal, or the rest of the program, ended it.
    Ended,
}

/// Why there is no screen.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// The terminal cannot be used.
    #[error("the terminal cannot be used")]
    Terminal(#[from] io::Error),
    /// The theme cannot be used.
    #[error(transparent)]
    Theme(#[from] ThemeError),
    /// The keys of the configuration cannot be used.
    #[error(transparent)]
    Keys(#[from] KeymapError),
}

impl crate::domain::error_kind::Classify for TuiError {
    fn kind(&self) -> crate::domain::error_kind::ErrorKind {
        use crate::domain::error_kind::ErrorKind;
        match self {
            Self::Terminal(_) => ErrorKind::Usage,
            Self::Theme(_) | Self::Keys(_) => ErrorKind::Config,
        }
    }

    fn hint(&self) -> Option<crate::domain::error_kind::Hint> {
        use crate::domain::error_kind::Hint;
        Some(Hint::new(match self {
            Self::Terminal(_) => "run it in a terminal, or use `vmdeck --once list` in a script",
            Self::Theme(_) => "change `tui.theme` in the configuration",
            Self::Keys(_) => "change `tui.keys` in the configuration",
        }))
    }
}

/// Shows the dashboard until the person leaves or the program is told to end.
pub async fn run(
    handle: FleetHandle,
    options: TuiOptions,
    tasks: &Tasks,
) -> Result<TuiExit, TuiError> {
    let theme = options.theme()?;
    let keymap = Arc::new(Keymap::new(&options.keys)?);
    let guard = TerminalGuard::enter(options.mouse)?;
    let size = crossterm::terminal::size()?;
    let surface = Surface::new(io::stdout(), size);
    let settings = Settings {
        actor: options.actor.clone(),
        keymap,
        ascii: options.ascii,
    };
    let (answers, answered) = mpsc::channel(ANSWERS);
    let (consoles, from_consoles) = mpsc::channel(CONSOLE_QUEUE);
    let runner = Runner::new(
        handle.clone(),
        tasks.child(),
        options.actor.clone(),
        answers,
        consoles,
    );
    let mut app = App::new(settings, handle.snapshot(), options.clock.now(), size);
    app.compact = options.compact;
    update::greet(&mut app);
    let screen = Loop {
        app,
        theme,
        state: ViewState::default(),
        surface,
        runner,
        clock: options.clock,
        drawn: None,
        dirty: true,
        leaving: None,
        console_budget: CONSOLE_BUDGET,
    };
    let sources = Sources {
        snapshots: handle.watch(),
        facts: handle.events(),
        answers: answered,
        consoles: from_consoles,
        keys: EventStream::new(),
    };
    drop(handle.connect(HostSelection::All).await);
    screen.turn(sources, &guard, tasks).await
}

/// Where events come from.
struct Sources {
    snapshots: watch::Receiver<Arc<FleetSnapshot>>,
    facts: broadcast::Receiver<FleetEvent>,
    answers: mpsc::Receiver<Answer>,
    consoles: mpsc::Receiver<(u64, ConsoleNews)>,
    keys: EventStream,
}

/// The loop's own state.
struct Loop {
    app: App,
    theme: Theme,
    state: ViewState,
    surface: Surface<io::Stdout>,
    runner: Runner,
    clock: Clock,
    drawn: Option<Instant>,
    dirty: bool,
    leaving: Option<TuiExit>,
    /// Bytes of a console that may still be taken before the next frame.
    console_budget: usize,
}

impl Loop {
    async fn turn(
        mut self,
        mut from: Sources,
        guard: &TerminalGuard,
        tasks: &Tasks,
    ) -> Result<TuiExit, TuiError> {
        let mut signals = Signals::listen()?;
        loop {
            if let Some(exit) = self.leaving {
                return Ok(exit);
            }
            let wake = self.draw_if_due()?;
            let input = tokio::select! {
                biased;
                () = tasks.token().cancelled() => return Ok(TuiExit::Ended),
                () = signals.any() => return Ok(TuiExit::Ended),
                key = from.keys.next() => match key {
                    Some(event) => read_terminal(event?),
                    // The terminal has gone away.
                    None => return Ok(TuiExit::Ended),
                },
                Some(answer) = from.answers.recv() => Some(Input::Answer(answer)),
                Some(piece) = from.consoles.recv(), if self.console_budget > 0 => {
                    Some(self.budgeted(piece))
                }
                fact = from.facts.recv() => match fact {
                    Ok(fact) => Some(Input::Fact(Box::new(fact))),
                    Err(RecvError::Lagged(count)) => Some(Input::FactsLost(count)),
                    Err(RecvError::Closed) => return Ok(TuiExit::Ended),
                },
                changed = from.snapshots.changed() => match changed {
                    Ok(()) => Some(Input::Snapshot(Arc::clone(&from.snapshots.borrow_and_update()))),
                    Err(_) => return Ok(TuiExit::Ended),
                },
                () = sleep_until(wake) => Some(Input::Tick),
            };
            self.take(input, guard)?;
            self.drain(&mut from, guard).await?;
        }
    }

    /// Takes everything else that is ready, so that one frame shows it all.
    async fn drain(&mut self, from: &mut Sources, guard: &TerminalGuard) -> io::Result<()> {
        while let Some(event) = ready_key(&mut from.keys).await {
            let input = read_terminal(event?);
            self.take(input, guard)?;
        }
        while self.console_budget > 0
            && let Ok(piece) = from.consoles.try_recv()
        {
            let input = self.budgeted(piece);
            self.take(Some(input), guard)?;
        }
        while let Ok(answer) = from.answers.try_recv() {
            self.take(Some(Input::Answer(answer)), guard)?;
        }
        loop {
            let input = match from.facts.try_recv() {
                Ok(fact) => Input::Fact(Box::new(fact)),
                Err(TryRecvError::Lagged(count)) => Input::FactsLost(count),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            };
            self.take(Some(input), guard)?;
        }
        if from.snapshots.has_changed().unwrap_or(false) {
            let snapshot = Arc::clone(&from.snapshots.borrow_and_update());
            self.take(Some(Input::Snapshot(snapshot)), guard)?;
        }
        Ok(())
    }

    /// Counts what a console wrote against what one frame may hold.
    fn budgeted(&mut self, (ticket, news): (u64, ConsoleNews)) -> Input {
        if let ConsoleNews::Output(bytes) = &news {
            self.console_budget = self.console_budget.saturating_sub(bytes.len());
        }
        Input::Console(ticket, news)
    }

    fn take(&mut self, input: Option<Input>, guard: &TerminalGuard) -> io::Result<()> {
        let Some(input) = input else {
            return Ok(());
        };
        if let Input::Resize(width, height) = input {
            self.surface.resize((width, height));
        }
        self.dirty = true;
        let at = self.clock.now();
        let input = self.aim(input);
        for effect in update(&mut self.app, Event { at, input }) {
            self.perform(effect, guard)?;
        }
        Ok(())
    }

    /// A click on a row of the VM table puts the cursor there.
    fn aim(&mut self, input: Input) -> Input {
        if let Input::Pointer(Pointer::Press(_, line)) = input
            && self.app.overlays.is_empty()
            && self.app.screen == super::app::Screen::Vms
        {
            let (width, height) = self.app.size;
            let area = ratatui::layout::Rect::new(0, 0, width, height);
            let body = super::layout::areas(area, self.app.compact).map(|parts| parts.body);
            if let Some(row) = body.and_then(|body| line.checked_sub(body.y + 1)) {
                let state = Arc::clone(&self.app.snapshot);
                let index = self.state.vms_top + usize::from(row);
                self.app.vms.go_to(&state, index);
            }
        }
        input
    }

    fn perform(&mut self, effect: Effect, guard: &TerminalGuard) -> io::Result<()> {
        match self.runner.run(effect) {
            None => {}
            Some(Local::Quit) => self.leaving = Some(TuiExit::Quit),
            Some(Local::Redraw) => self.surface.invalidate(),
            Some(Local::Copy(text)) => self.copy(&text)?,
            Some(Local::Suspend) => {
                let size = guard.suspend()?;
                self.app.size = size;
                self.surface.resize(size);
                self.app.now = self.clock.now();
            }
        }
        Ok(())
    }

    fn copy(&mut self, text: &str) -> io::Result<()> {
        if !self.surface.copy(text)? {
            let warning = "too long for the clipboard (64 KiB)";
            self.app.say(super::theme::Role::Warning, warning);
        }
        Ok(())
    }

    /// Draws when something has changed and the last frame is old enough; returns when to wake up.
    fn draw_if_due(&mut self) -> io::Result<Option<Instant>> {
        let now = Instant::now();
        if self.dirty {
            let due = self.drawn.map_or(now, |drawn| drawn + FRAME);
            if now < due {
                return Ok(Some(due));
            }
            self.draw()?;
            self.console_budget = CONSOLE_BUDGET;
            self.drawn = Some(now);
            self.dirty = false;
        }
        Ok(self.app.next_tick().map(|wait| now + wait))
    }

    fn draw(&mut self) -> io::Result<()> {
        let Self {
            app,
            theme,
            state,
            surface,
            ..
        } = self;
        surface.draw(|buf| {
            let cursor = view(app, theme, state, buf);
            if app.settings.ascii {
                make_ascii(buf);
            }
            cursor
        })
    }
}

/// Returns the next key if there is one. Polls with the waker of this very task: the stream keeps the
/// waker of the first poll that found nothing, and any other one would leave later keys unnoticed.
async fn ready_key(keys: &mut EventStream) -> Option<io::Result<TerminalEvent>> {
    std::future::poll_fn(|context| {
        Poll::Ready(match keys.poll_next_unpin(context) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        })
    })
    .await
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn read_terminal(event: TerminalEvent) -> Option<Input> {
    match event {
        TerminalEvent::Key(key) => Some(Input::Key(key)),
        TerminalEvent::Paste(text) => Some(Input::Paste(text)),
        TerminalEvent::Resize(width, height) => Some(Input::Resize(width, height)),
        TerminalEvent::FocusGained => Some(Input::Focus(true)),
        TerminalEvent::FocusLost => Some(Input::Focus(false)),
        TerminalEvent::Mouse(mouse) => match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => {
                Some(Input::Pointer(Pointer::Press(mouse.column, mouse.row)))
            }
            MouseEventKind::ScrollUp => Some(Input::Pointer(Pointer::WheelUp)),
            MouseEventKind::ScrollDown => Some(Input::Pointer(Pointer::WheelDown)),
            _ => None,
        },
    }
}

/// The signals that end the program in order, with the terminal given back.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn any(&mut self) {
        drop(tokio::signal::ctrl_c().await);
    }
}
