//! How long a person waits: from a key to the frame, from a keystroke in the filter to the frame, for the
//! first frame; at 13 and at 10,000 VMs. Goal: 16 ms at 10,000.

use std::collections::BTreeMap;
use std::sync::Arc;

use divan::{Bencher, black_box};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use vmdeck::domain::inventory::FleetSnapshot;
use vmdeck::testing::fleet;
use vmdeck::tui::app::{App, Settings};
use vmdeck::tui::event::{Event, Input};
use vmdeck::tui::key::KeyPress;
use vmdeck::tui::keymap::Keymap;
use vmdeck::tui::terminal::Surface;
use vmdeck::tui::theme::{ColourDepth, Theme};
use vmdeck::tui::update::update;
use vmdeck::tui::view::{ViewState, view};

/// Columns and lines of a large terminal.
const SIZE: (u16, u16) = (200, 50);

fn main() {
    divan::main();
}

fn fleet_of(vms: usize) -> Arc<FleetSnapshot> {
    Arc::new(if vms < 100 {
        fleet::small()
    } else {
        fleet::grid(100, vms / 100)
    })
}

/// A dashboard that writes into memory.
struct Deck {
    app: App,
    theme: Theme,
    state: ViewState,
    surface: Surface<Vec<u8>>,
}

impl Deck {
    fn new(snapshot: Arc<FleetSnapshot>) -> Option<Self> {
        let settings = Settings {
            actor: fleet::actor(),
            keymap: Arc::new(Keymap::new(&BTreeMap::new()).ok()?),
            ascii: false,
            lift_for: std::time::Duration::from_secs(900),
            old_snapshot: std::time::Duration::from_secs(30 * 86_400),
            profiles: Arc::new([]),
            themes: vmdeck::tui::theme::shelf::names(&vmdeck::tui::theme::shelf::NoShelf).into(),
            theme: "dark".into(),
            recorded: false,
        };
        Some(Self {
            app: App::new(settings, snapshot, fleet::now(), SIZE),
            theme: Theme::built_in("dark", ColourDepth::Full).ok()?,
            state: ViewState::default(),
            surface: Surface::new(Vec::new(), SIZE),
        })
    }

    fn take(&mut self, input: Input) {
        let at = fleet::now();
        black_box(update(&mut self.app, Event { at, input }));
    }

    fn key(&mut self, key: &str) {
        if let Ok(press) = key.parse::<KeyPress>() {
            self.take(Input::Key(press.to_event()));
        }
    }

    fn draw(&mut self) {
        let (app, theme, state) = (&self.app, &self.theme, &mut self.state);
        let drawn = self.surface.draw(|buf| view(app, theme, state, buf));
        black_box(drawn.is_ok());
    }
}

#[divan::bench(args = [13, 10_000])]
fn key_to_frame(bencher: Bencher<'_, '_>, vms: usize) {
    let Some(mut deck) = Deck::new(fleet_of(vms)) else {
        return;
    };
    deck.draw();
    let mut down = true;
    bencher.bench_local(|| {
        deck.key(if down { "j" } else { "k" });
        down = !down;
        deck.draw();
    });
}

#[divan::bench(args = [13, 10_000])]
fn filter_keystroke_to_frame(bencher: Bencher<'_, '_>, vms: usize) {
    let Some(mut deck) = Deck::new(fleet_of(vms)) else {
        return;
    };
    deck.key("/");
    for key in ["w", "e", "b", "space", "c", "p", "u", ">"] {
        deck.key(key);
    }
    let mut typed = false;
    bencher.bench_local(|| {
        deck.key(if typed { "backspace" } else { "5" });
        typed = !typed;
        deck.draw();
    });
}

#[divan::bench(args = [13, 10_000])]
fn snapshot_to_frame(bencher: Bencher<'_, '_>, vms: usize) {
    let now = fleet_of(vms);
    let earlier = Arc::new(fleet::earlier(&now, 1));
    let Some(mut deck) = Deck::new(Arc::clone(&now)) else {
        return;
    };
    deck.key(">");
    let mut odd = false;
    bencher.bench_local(|| {
        let next = if odd { &now } else { &earlier };
        odd = !odd;
        deck.take(Input::Snapshot(Arc::clone(next)));
        deck.draw();
    });
}

#[divan::bench(args = [13, 10_000])]
fn first_frame(bencher: Bencher<'_, '_>, vms: usize) {
    let snapshot = fleet_of(vms);
    bencher.bench_local(|| {
        if let Some(mut deck) = Deck::new(Arc::clone(&snapshot)) {
            deck.draw();
        }
    });
}

#[divan::bench]
fn frame_without_changes(bencher: Bencher<'_, '_>) {
    let Some(deck) = Deck::new(fleet_of(10_000)) else {
        return;
    };
    let mut state = ViewState::default();
    let mut buf = Buffer::empty(Rect::new(0, 0, SIZE.0, SIZE.1));
    bencher.bench_local(|| {
        buf.reset();
        black_box(view(&deck.app, &deck.theme, &mut state, &mut buf));
    });
}
