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
use super::editor::Lending;
use super::effect::{Effect, Local, Runner};
use super::event::{Answer, Event, Input, Pointer};
use super::habits;
use super::keymap::Keymap;
use super::notify::{Notices, NotifyOptions};
use super::own::OwnCommands;
use super::pace::{Pace, Wait};
use super::pixels::PictureWay;
use super::pointer;
use super::recording::{Recording, RecordingEnd};
use super::signals::{Resizes, Signals};
use super::terminal::{Surface, TerminalGuard};
use super::theme::shelf::{self, NoShelf, ThemeShelf};
use super::theme::{ColourDepth, Theme};
use super::theme_watch;
use super::update::{self, update};
use super::view::{ViewState, make_ascii, view};
use crate::clock::Clock;
use crate::config::OwnCommand;
use crate::domain::console::ConsoleNews;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::event::FleetEvent;
use crate::domain::inventory::FleetSnapshot;
use crate::domain::operation::Actor;
use crate::fleet::FleetHandle;
use crate::fleet::request::HostSelection;
use crate::task::Tasks;

/// How long after a key what a console writes is taken for its echo.
const ECHO: Duration = Duration::from_millis(200);

/// The theme that holds where no other can be used.
const DEFAULT_THEME: &str = "dark";

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
    /// Name of the theme, unless another one was chosen in the dashboard.
    pub theme: String,
    /// Themes beside those of the program.
    pub shelf: Arc<dyn ThemeShelf>,
    /// How many colours there are.
    pub colours: ColourDepth,
    /// Only ASCII.
    pub ascii: bool,
    /// Take the mouse.
    pub mouse: bool,
    /// How pictures are shown.
    pub pictures: PictureWay,
    /// Begin with one line of header.
    pub compact: bool,
    /// Program for the graphics of VMs, with its arguments; empty = whichever is there.
    pub viewer: Vec<String>,
    /// Program that edits definitions, with its arguments.
    pub editor: Vec<String>,
    /// How a person is told who looks elsewhere.
    pub notify: NotifyOptions,
    /// Commands of the operator's own.
    pub own: Vec<OwnCommand>,
    /// Keys a person has changed: command id -> keys.
    pub keys: BTreeMap<String, Vec<String>>,
    /// Where that was written: command id -> place, for mistakes.
    pub key_places: BTreeMap<String, String>,
    /// How long `:rw` lifts the read-only of hosts unless it says so.
    pub lift_for: Duration,
    /// Age from which on a VM snapshot is old.
    pub old_snapshot: Duration,
    /// The profiles that can be switched to, this one included.
    pub profiles: Vec<String>,
    /// What is to be said first.
    pub notice: Option<Failure>,
    /// Who sits at the terminal.
    pub actor: Actor,
    /// The time.
    pub clock: Clock,
}

impl TuiOptions {
    /// The defaults, for a person.
    pub fn new(actor: Actor, clock: Clock) -> Self {
        Self {
            theme: DEFAULT_THEME.to_owned(),
            shelf: Arc::new(NoShelf),
            colours: ColourDepth::Full,
            ascii: false,
            mouse: false,
            pictures: PictureWay::Blocks,
            compact: false,
            viewer: Vec::new(),
            editor: vec!["vi".to_owned()],
            notify: NotifyOptions::default(),
            own: Vec::new(),
            keys: BTreeMap::new(),
            key_places: BTreeMap::new(),
            lift_for: Duration::from_secs(15 * 60),
            old_snapshot: Duration::from_secs(30 * 86_400),
            profiles: Vec::new(),
            notice: None,
            actor,
            clock,
        }
    }

    /// Reads the keys; a mistake is told with the place where it was written.
    pub fn keymap(&self) -> Result<Keymap, Failure> {
        Keymap::new(&self.keys).map_err(|error| {
            let mut changed = error.commands().into_iter().flatten();
            let place = changed.find_map(|command| self.key_places.get(command));
            let message = match place {
                Some(place) => format!("{place}: {error}"),
                None => error.to_string(),
            };
            Failure::new(ErrorKind::Config, message)
                .with_hint("change `tui.keys` in the configuration")
        })
    }

    /// Reads the theme.
    pub fn theme(&self) -> Result<Theme, Failure> {
        shelf::find(self.shelf.as_ref(), &self.theme, self.colours)
    }
}

/// Why the screen was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TuiExit {
    /// The person wanted to.
    Quit,
    /// The person wanted to go on with the profile of this name.
    Switch(String),
    /// A signal, or the rest of the program, ended it.
    Ended,
}

/// Why there is no screen.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// The terminal cannot be used.
    #[error("the terminal cannot be used")]
    Terminal(#[from] io::Error),
}

impl crate::domain::error_kind::Classify for TuiError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hint(&self) -> Option<crate::domain::error_kind::Hint> {
        Some(crate::domain::error_kind::Hint::new(
            "run it in a terminal, or use `vmdeck --once list` in a script",
        ))
    }
}

/// How long what was set up last may take to be kept once the screen has been left.
const KEEPING_ENDS: Duration = Duration::from_secs(3);

/// How long the end of a recording is waited for once the screen has been left.
const RECORDING_ENDS: Duration = Duration::from_secs(3);

/// Shows the dashboard until the person leaves or the program is told to end; what it draws goes into the
/// recording, if there is one.
pub async fn run(
    handle: FleetHandle,
    options: TuiOptions,
    recording: Option<Recording>,
    tasks: &Tasks,
) -> Result<TuiExit, TuiError> {
    let handle = handle.acting_as(options.actor.clone());
    let guard = TerminalGuard::enter(options.mouse)?;
    // Before the size is read: no change after it is missed.
    let resizes = Resizes::listen()?;
    let size = crossterm::terminal::size()?;
    let mut surface = Surface::new(io::stdout(), size);
    let recorded = recording.map(|recording| {
        let (recorder, end) = recording.split();
        surface.record(recorder, options.clock.now());
        tasks.spawn("recording", tell_end(handle.clone(), end))
    });
    let (answers, answered) = mpsc::channel(ANSWERS);
    let (consoles, from_consoles) = mpsc::channel(CONSOLE_QUEUE);
    let runner = Runner::new(
        handle.clone(),
        tasks.child(),
        options.actor.clone(),
        answers.clone(),
        consoles,
    )
    .with_viewer(options.viewer.clone())
    .with_editor(options.editor.clone())
    .notifying(options.notify.clone(), options.clock.clone());
    let (app, theme) = open(&handle, &options, size, recorded.is_some()).await?;
    let watched = watch::Sender::new(Arc::from(app.theme.as_deref().unwrap_or(&options.theme)));
    let shelf = (Arc::clone(&options.shelf), Arc::clone(&app.settings.themes));
    let watching = theme_watch::watch(shelf, watched.subscribe(), answers);
    drop(tasks.spawn("theme watch", watching));
    let remembering = runner.remembering.clone();
    let screen = Loop {
        app,
        theme,
        watched,
        state: ViewState {
            pictures: options.pictures,
            cell: cell_size(),
            ..ViewState::default()
        },
        surface,
        runner,
        clock: options.clock.clone(),
        options,
        pace: Pace::default(),
        pressed: None,
        leaving: None,
        lending: None,
        console_budget: CONSOLE_BUDGET,
        snapshots: handle.watch(),
        is_behind: false,
    };
    let sources = Sources {
        facts: handle.events(),
        answers: answered,
        consoles: from_consoles,
        keys: Some(EventStream::new()),
        resizes,
    };
    drop(handle.connect(HostSelection::All).await);
    let left = screen.turn(sources, &guard, tasks).await;
    drop(tokio::time::timeout(KEEPING_ENDS, remembering.finish(&handle)).await);
    if let Some(recorded) = recorded {
        // A disk that stands still is no reason to keep anybody.
        drop(tokio::time::timeout(RECORDING_ENDS, recorded).await);
    }
    left
}

/// Puts into the error log why a recording ended before the session did.
async fn tell_end(handle: FleetHandle, end: RecordingEnd) {
    if let Some(cause) = end.wait().await {
        drop(handle.note_error(cause).await);
    }
}

/// Makes the first state: as it was left, with what can be used of theme and keys. A mistake in them is
/// said on the screen, and the defaults hold: nobody is kept out of the fleet by a colour.
async fn open(
    handle: &FleetHandle,
    options: &TuiOptions,
    size: (u16, u16),
    recorded: bool,
) -> Result<(App, Theme), TuiError> {
    let mut mistakes = Vec::new();
    let keymap = options.keymap().or_else(|mut mistake| {
        mistake.message.push_str("; the default keys hold");
        mistakes.push(mistake);
        Keymap::new(&BTreeMap::new())
    });
    let settings = Settings {
        actor: options.actor.clone(),
        // The table's own keys are held to be sound by a test.
        keymap: Arc::new(keymap.unwrap_or_default()),
        ascii: options.ascii,
        themes: shelf::names(options.shelf.as_ref()).into(),
        theme: Arc::from(options.theme.as_str()),
        lift_for: options.lift_for,
        old_snapshot: options.old_snapshot,
        profiles: options.profiles.clone().into(),
        recorded,
    };
    let mut app = App::new(settings, handle.snapshot(), options.clock.now(), size);
    app.compact = options.compact;
    app.notices = Notices::new(options.notify.clone());
    let (own, unkeyed) = OwnCommands::new(&options.own, &app.settings.keymap);
    app.own = Arc::new(own);
    mistakes.extend(unkeyed);
    match handle.preferences().await {
        Ok(kept) => habits::restore(&mut app, &kept),
        Err(cause) => mistakes.push(cause),
    }
    let chosen = app.theme.as_deref().unwrap_or(&options.theme);
    let found = shelf::find(options.shelf.as_ref(), chosen, options.colours);
    let found = found.or_else(|cause| {
        mistakes.push(cause);
        shelf::find(&NoShelf, DEFAULT_THEME, options.colours)
    });
    let theme = found.map_err(|cause| TuiError::Terminal(io::Error::other(cause.message)))?;
    for mistake in &mistakes {
        // Told now, each in the place of the one before, and all of them found again in the error log.
        drop(handle.complain(mistake.clone()).await);
    }
    update::greet(&mut app);
    for mistake in mistakes.iter().chain(&options.notice) {
        app.fail(mistake);
    }
    Ok((app, theme))
}

/// Where events come from.
struct Sources {
    facts: broadcast::Receiver<FleetEvent>,
    answers: mpsc::Receiver<Answer>,
    consoles: mpsc::Receiver<(u64, ConsoleNews)>,
    /// `None` while a program has the terminal.
    keys: Option<EventStream>,
    resizes: Resizes,
}

/// The loop's own state.
struct Loop {
    app: App,
    theme: Theme,
    /// Name of the theme that is shown.
    watched: watch::Sender<Arc<str>>,
    options: TuiOptions,
    state: ViewState,
    surface: Surface<io::Stdout>,
    runner: Runner,
    clock: Clock,
    pace: Pace,
    /// When the last key came.
    pressed: Option<Instant>,
    leaving: Option<TuiExit>,
    /// A program that is about to have the terminal.
    lending: Option<Lending>,
    /// Bytes of a console that may still be taken before the next frame.
    console_budget: usize,
    snapshots: watch::Receiver<Arc<FleetSnapshot>>,
    /// Whether there is a newer snapshot than the one that was taken. A large fleet publishes a hundred a second,
    /// and a frame or a key needs the newest only.
    is_behind: bool,
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
            if let Some(exit) = self.leaving.take() {
                return Ok(exit);
            }
            let wake = self.draw_if_due(guard)?;
            let input = tokio::select! {
                biased;
                () = tasks.token().cancelled() => return Ok(TuiExit::Ended),
                () = signals.any() => return Ok(TuiExit::Ended),
                size = from.resizes.next() => {
                    let (width, height) = size?;
                    Some(Input::Resize(width, height))
                }
                key = next_key(&mut from.keys) => match key {
                    Some(event) => self.read_terminal(event?),
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
                changed = self.snapshots.changed() => match changed {
                    Ok(()) => {
                        self.is_behind = true;
                        self.pace.touch(Wait::Figures);
                        None
                    }
                    Err(_) => return Ok(TuiExit::Ended),
                },
                () = sleep_until(wake) => Some(Input::Tick),
            };
            self.take(input, guard)?;
            self.drain(&mut from, guard).await?;
            if let Some(run) = self.lending.take() {
                tokio::select! {
                    biased;
                    () = tasks.token().cancelled() => return Ok(TuiExit::Ended),
                    () = signals.any() => return Ok(TuiExit::Ended),
                    lent = Box::pin(self.lend(run, &mut from.keys, guard)) => lent?,
                }
            }
        }
    }

    /// Gives the terminal to a program until it ends. Keys are its own meanwhile: what
    /// reads them for us ends, and another one begins.
    async fn lend(
        &mut self,
        run: Lending,
        keys: &mut Option<EventStream>,
        guard: &TerminalGuard,
    ) -> io::Result<()> {
        // First one ends, then the next one begins: two of them would wait for each other.
        drop(keys.take());
        let (answers, size) = guard.lend(self.runner.in_terminal(run)).await?;
        *keys = Some(EventStream::new());
        self.app.size = size;
        self.surface.resize(size);
        for answer in answers {
            self.take(Some(Input::Answer(answer)), guard)?;
        }
        Ok(())
    }

    /// Takes everything else that is ready, so that one frame shows it all.
    async fn drain(&mut self, from: &mut Sources, guard: &TerminalGuard) -> io::Result<()> {
        while let Some(event) = ready_key(&mut from.keys).await {
            let input = self.read_terminal(event?);
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
        Ok(())
    }

    /// Takes the newest snapshot, unless it was taken.
    fn catch_up(&mut self, guard: &TerminalGuard) -> io::Result<()> {
        if !self.is_behind && !self.snapshots.has_changed().unwrap_or(false) {
            return Ok(());
        }
        self.is_behind = false;
        let newest = Arc::clone(&self.snapshots.borrow_and_update());
        let began = Instant::now();
        self.take(Some(Input::Snapshot(newest)), guard)?;
        self.pace.caught_up(began, began.elapsed());
        Ok(())
    }

    /// Takes a report of the terminal; `None` for those that mean nothing here.
    fn read_terminal(&self, event: TerminalEvent) -> Option<Input> {
        match event {
            TerminalEvent::Key(key) => Some(Input::Key(key)),
            TerminalEvent::Paste(text) => Some(Input::Paste(text)),
            TerminalEvent::Resize(width, height) if cfg!(not(unix)) => {
                Some(Input::Resize(width, height))
            }
            // Told by the signal itself.
            TerminalEvent::Resize(..) => None,
            TerminalEvent::FocusGained => Some(Input::Focus(true)),
            TerminalEvent::FocusLost => Some(Input::Focus(false)),
            TerminalEvent::Mouse(mouse) => match mouse.kind {
                MouseEventKind::Down(MouseButton::Left) => {
                    let hit = pointer::hit(&self.app, &self.state, (mouse.column, mouse.row));
                    hit.map(|hit| Input::Pointer(Pointer::Press(hit)))
                }
                MouseEventKind::ScrollUp => Some(Input::Pointer(Pointer::WheelUp)),
                MouseEventKind::ScrollDown => Some(Input::Pointer(Pointer::WheelDown)),
                _ => None,
            },
        }
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
        if matches!(input, Input::Key(_) | Input::Paste(_))
            && self.pace.key_catches_up(Instant::now())
        {
            self.catch_up(guard)?;
        }
        if let Input::Resize(width, height) = input {
            self.surface.resize((width, height));
            self.state.cell = cell_size();
        }
        if matches!(
            input,
            Input::Fact(_) | Input::FactsLost(_) | Input::Answer(_)
        ) {
            self.pace.happened();
        }
        let pace = self.pace_of(&input);
        self.pace.touch(pace);
        let at = self.clock.now();
        for effect in update(&mut self.app, Event { at, input }) {
            self.perform(effect, guard)?;
        }
        Ok(())
    }

    /// How soon something is to be seen: at once when it is an answer to a person.
    fn pace_of(&mut self, input: &Input) -> Wait {
        match input {
            Input::Key(_) | Input::Paste(_) => {
                self.pressed = Some(Instant::now());
                Wait::Key
            }
            Input::Pointer(_) | Input::Resize(..) | Input::Answer(_) => Wait::Key,
            Input::Console(..) if self.pressed.is_some_and(|at| at.elapsed() < ECHO) => Wait::Key,
            Input::Snapshot(_) | Input::Tick => Wait::Figures,
            Input::Fact(_) | Input::FactsLost(_) | Input::Focus(_) | Input::Console(..) => {
                Wait::News
            }
        }
    }

    fn perform(&mut self, effect: Effect, guard: &TerminalGuard) -> io::Result<()> {
        match self.runner.run(effect) {
            None => {}
            Some(Local::Switch(name)) => self.leaving = Some(TuiExit::Switch(name)),
            Some(Local::Quit) => self.leaving = Some(TuiExit::Quit),
            Some(Local::Redraw) => self.surface.invalidate(),
            Some(Local::Copy(text)) => self.copy(&text)?,
            Some(Local::Theme(name)) => self.wear(name),
            Some(Local::Tell(bytes)) => self.surface.tell(&bytes)?,
            Some(Local::Lend(run)) => self.lending = Some(run),
            Some(Local::Suspend) => {
                let size = guard.suspend()?;
                self.app.size = size;
                self.surface.resize(size);
                self.app.now = self.clock.now();
            }
        }
        Ok(())
    }

    /// Shows a theme; one that cannot be used is told and the last one stays.
    fn wear(&mut self, name: Option<String>) {
        let name = name.unwrap_or_else(|| self.options.theme.clone());
        match shelf::find(self.options.shelf.as_ref(), &name, self.options.colours) {
            Ok(theme) => {
                self.theme = theme;
                self.watched.send_replace(Arc::from(name));
            }
            Err(cause) => self.app.fail(&cause),
        }
    }

    fn copy(&mut self, text: &str) -> io::Result<()> {
        if !self.surface.copy(text)? {
            let warning = "too long for the clipboard (64 KiB)";
            self.app.say(super::theme::Role::Warning, warning);
        }
        Ok(())
    }

    /// Draws when something has changed and the last frame is old enough; returns when to wake up.
    fn draw_if_due(&mut self, guard: &TerminalGuard) -> io::Result<Option<Instant>> {
        let now = Instant::now();
        if let Some(due) = self.pace.due(now) {
            if now < due {
                return Ok(Some(due));
            }
            if self.pace.frame_catches_up(now) {
                self.catch_up(guard)?;
            }
            let began = Instant::now();
            self.draw()?;
            self.console_budget = CONSOLE_BUDGET;
            self.pace.drew(began, began.elapsed());
            if self.is_behind {
                self.pace.touch(Wait::Figures);
            }
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
        let (way, cell) = (state.pictures, state.cell);
        surface.draw_with_picture((way, cell), |buf| {
            let cursor = view(app, theme, state, buf);
            if app.settings.ascii {
                make_ascii(buf);
            }
            (cursor, state.picture.take())
        })
    }
}

/// Waits for the next key; `None` when the terminal has gone away.
async fn next_key(keys: &mut Option<EventStream>) -> Option<io::Result<TerminalEvent>> {
    match keys {
        Some(keys) => keys.next().await,
        None => None,
    }
}

/// Pixels of a cell, where the terminal says so.
fn cell_size() -> Option<(u16, u16)> {
    let window = crossterm::terminal::window_size().ok()?;
    let width = window.width.checked_div(window.columns)?;
    let height = window.height.checked_div(window.rows)?;
    (width > 0 && height > 0).then_some((width, height))
}

/// Returns the next key if there is one. Polls with the waker of this very task: the stream keeps the
/// waker of the first poll that found nothing, and any other one would leave later keys unnoticed.
async fn ready_key(keys: &mut Option<EventStream>) -> Option<io::Result<TerminalEvent>> {
    let keys = keys.as_mut()?;
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
