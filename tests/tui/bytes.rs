//! What a dashboard of changing figures costs the line it is shown over: bytes, counted over a fixed series
//! of changes, with a terminal that takes 960 bytes a second (9600 baud).

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;
use vmdeck::domain::inventory::FleetSnapshot;
use vmdeck::domain::units::{Bytes, Percent};
use vmdeck::testing::fleet;
use vmdeck::tui::event::{Event, Input};
use vmdeck::tui::pace::{Pace, Wait};
use vmdeck::tui::terminal::Surface;
use vmdeck::tui::update::update;
use vmdeck::tui::view::view;

use crate::harness::Screen;

/// Bytes a second.
const LINE: u32 = 960;

/// Between two reads of a host.
const TICK: Duration = Duration::from_secs(3);

/// Chance, the same in every run.
struct Dice(u64);

impl Dice {
    fn upto(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// The host is read again: every figure of its running VMs moves.
fn read_again(state: &mut FleetSnapshot, host: usize, after: Duration, dice: &mut Dice) {
    let host = Arc::make_mut(&mut state.hosts[host]);
    host.observed_at = Some(fleet::now() + SignedDuration::try_from(after).unwrap());
    let inventory = host.inventory.as_mut().unwrap();
    for vm in &mut Arc::make_mut(inventory).vms {
        let figures = &mut Arc::make_mut(vm).stats;
        let moved = |value: f64, dice: &mut Dice| {
            let by = u32::try_from(dice.upto(9)).unwrap();
            (value + f64::from(by) - 4.0).clamp(0.0, 99.0)
        };
        figures.cpu = figures
            .cpu
            .map(|now| Percent::new(moved(now.value(), dice)));
        let more = dice.upto(1 << 26);
        figures.memory_used = figures.memory_used.map(|now| Bytes(now.0 + more));
        figures.net_rx = figures.net_rx.map(|_| Bytes(dice.upto(1 << 20)));
        figures.disk_read = figures.disk_read.map(|_| Bytes(dice.upto(1 << 20)));
        figures.uptime = figures.uptime.map(|now| now + TICK);
    }
    state.generation += 1;
}

/// Lets `hosts` x `each` VMs change for `lasting`; returns the bytes of every second.
async fn bytes_a_second((hosts, each): (usize, usize), lasting: Duration) -> Vec<usize> {
    let mut state = fleet::grid(hosts, each);
    let mut screen = Screen::new(state.clone(), (120, 40));
    // VMs that run, of many hosts: every row has figures that move.
    screen.keys("/ \"web\" enter").await;
    let mut surface = Surface::new(Vec::new(), (120, 40));
    let mut pace = Pace::default();
    let mut dice = Dice(7);
    let start = Instant::now();
    let mut seconds = vec![0; usize::try_from(lasting.as_secs()).unwrap()];
    let mut draw = |screen: &mut Screen, pace: &mut Pace, at: Duration| {
        let before = surface.output().len();
        let (app, theme, state) = (&screen.app, &screen.theme, &mut screen.state);
        surface.draw(|buf| view(app, theme, state, buf)).unwrap();
        let bytes = surface.output().len() - before;
        let took = Duration::from_secs(1) * u32::try_from(bytes).unwrap() / LINE;
        pace.drew(start + at, took);
        bytes
    };
    draw(&mut screen, &mut pace, Duration::ZERO);
    // As after a first frame that was taken at once: what follows is what is counted.
    pace.drew(start, Duration::ZERO);
    let apart = TICK / u32::try_from(hosts).unwrap();
    let mut host = 0;
    let mut at = Duration::ZERO;
    loop {
        at += apart;
        while let Some(due) = pace.due(start + at)
            && due <= start + at
        {
            let second = usize::try_from((due - start).as_secs()).unwrap();
            let bytes = draw(&mut screen, &mut pace, due - start);
            let last = seconds.len() - 1;
            seconds[second.min(last)] += bytes;
        }
        if at >= lasting {
            return seconds;
        }
        read_again(&mut state, host, at, &mut dice);
        host = (host + 1) % hosts;
        let input = Input::Snapshot(Arc::new(state.clone()));
        let now = fleet::now() + SignedDuration::try_from(at).unwrap();
        drop(update(&mut screen.app, Event { at: now, input }));
        pace.touch(Wait::Figures);
    }
}

#[tokio::test]
async fn changing_figures_fit_through_a_slow_line() {
    let seconds = bytes_a_second((40, 25), Duration::from_secs(30)).await;
    let all: usize = seconds.iter().sum();
    println!("bytes of every second: {seconds:?}");
    assert!(all > 0, "nothing was drawn");
    let rate = all / seconds.len();
    assert!(rate <= 2048, "{rate} bytes a second: {seconds:?}");
}

#[tokio::test]
async fn figures_that_do_not_change_cost_nothing() {
    let state = fleet::grid(10, 20);
    let mut screen = Screen::new(state.clone(), (120, 40));
    let mut surface = Surface::new(Vec::new(), (120, 40));
    let mut draw = |screen: &mut Screen| {
        let (app, theme, state) = (&screen.app, &screen.theme, &mut screen.state);
        surface.draw(|buf| view(app, theme, state, buf)).unwrap();
        surface.output().len()
    };
    let first = draw(&mut screen);
    for generation in 1..20 {
        let mut same = state.clone();
        same.generation += generation;
        let input = Input::Snapshot(Arc::new(same));
        let at = fleet::now();
        drop(update(&mut screen.app, Event { at, input }));
        assert_eq!(draw(&mut screen), first);
    }
}
