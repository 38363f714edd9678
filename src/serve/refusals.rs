//! Lines about requests that nobody was known for: so many and no more. Somebody who guesses keys
//! thousands of times a second must not fill the disk, and must still be seen: what gets no line of its
//! own is counted, by address and status, and told in one line each once a while.
//!
//! Nothing here grows with what clients send: addresses beyond a number are told of together.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::limit::client;
use super::state::ServeState;
use super::tally::Tally;

/// Time over which lines are counted and after which the rest is told.
const WINDOW: Duration = Duration::from_secs(10);

/// Lines of one address in that time: enough for a person who mistypes.
const LINES_OF_ONE: u32 = 10;

/// Lines of all addresses together in that time.
const LINES_OF_ALL: u32 = 200;

/// Addresses, with what they were answered, that are counted one by one.
const MOST_COUNTED: usize = 400;

/// Whose requests, and how they were answered; `None` = those of everybody there was no room for.
type Kind = (Option<IpAddr>, u16);

/// Requests by status.
type Counts = BTreeMap<u16, u64>;

/// What was refused lately.
#[derive(Debug, Default)]
pub struct Refusals {
    window: Mutex<Option<Window>>,
}

#[derive(Debug)]
struct Window {
    ends: Instant,
    /// Lines that were written; no more addresses than all have lines.
    lines: HashMap<IpAddr, u32>,
    silent: Tally<Kind>,
    /// Whether somebody will come and tell of it.
    expected: bool,
}

/// What is to be done about one refused request.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// It gets a line.
    Line,
    /// It was counted.
    Counted,
    /// It was counted, and is the first that needs somebody to tell of it at that moment.
    First(Instant),
}

impl Window {
    fn until(ends: Instant) -> Self {
        Self {
            ends,
            lines: HashMap::new(),
            silent: Tally::new(MOST_COUNTED),
            expected: false,
        }
    }

    /// Takes a line of an address, if there is one left.
    fn line(&mut self, address: IpAddr) -> bool {
        if self.lines.values().sum::<u32>() >= LINES_OF_ALL {
            return false;
        }
        let of_one = self.lines.entry(address).or_default();
        let left = *of_one < LINES_OF_ONE;
        *of_one += u32::from(left);
        left
    }
}

impl Refusals {
    /// Says whether something else may be written about an address; it takes the place of a line.
    pub(super) fn may_say(&self, address: IpAddr) -> bool {
        self.with(Instant::now(), |window| window.line(client(address)))
    }

    fn refused(&self, address: IpAddr, status: u16, now: Instant) -> Told {
        let address = client(address);
        self.with(now, |window| {
            if window.line(address) {
                return Told::Line;
            }
            window.silent.count((Some(address), status), (None, status));
            if window.expected {
                return Told::Counted;
            }
            window.expected = true;
            Told::First(window.ends)
        })
    }

    fn with<T>(&self, now: Instant, work: impl FnOnce(&mut Window) -> T) -> T {
        let mut window = self.lock();
        // One that somebody waits for is told of first, be it a moment late.
        if window
            .as_ref()
            .is_some_and(|window| window.ends <= now && !window.expected)
        {
            *window = None;
        }
        work(window.get_or_insert_with(|| Window::until(now + WINDOW)))
    }

    /// Writes down what got no line of its own.
    fn tell(&self) {
        let Some(mut window) = self.lock().take() else {
            return;
        };
        let mut by_address: BTreeMap<Option<IpAddr>, Counts> = BTreeMap::new();
        for ((address, status), count) in window.silent.take() {
            by_address.entry(address).or_default().insert(status, count);
        }
        for (address, counts) in by_address {
            line(address, &counts);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Window>> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn line(address: Option<IpAddr>, counts: &Counts) {
    let requests: u64 = counts.values().sum();
    let statuses: Vec<String> = counts
        .iter()
        .map(|(status, count)| format!("{count} x {status}"))
        .collect();
    let statuses = statuses.join(", ");
    let address = address.map(|address| address.to_string());
    tracing::warn!(
        target: "vmdeck::request",
        requests,
        statuses,
        address = address.as_deref().unwrap_or("many others"),
        "requests without a line of their own"
    );
}

/// Says whether a refused request gets a line of its own. One that does not is counted and told of later.
pub(super) fn gets_line(state: &ServeState, address: IpAddr, status: u16) -> bool {
    let refusals = &state.refusals;
    match refusals.refused(address, status, Instant::now()) {
        Told::Line => true,
        Told::Counted => false,
        Told::First(at) => {
            let (refusals, stop) = (std::sync::Arc::clone(refusals), state.stop.clone());
            drop(state.tasks.spawn("refusals", async move {
                tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = stop.cancelled() => {}
                }
                refusals.tell();
            }));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4((0x0a00_0000 + number).into())
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_gets_a_few_lines_and_is_then_counted() {
        let refusals = Refusals::default();
        let now = Instant::now();
        let lines = (0..5000)
            .filter(|_| refusals.refused(address(1), 401, now) == Told::Line)
            .count();
        assert_eq!(lines, 10);
        // Another one is not silenced by that.
        assert_eq!(refusals.refused(address(2), 401, now), Told::Line);
        let silent = refusals.lock().take().unwrap().silent.take();
        assert_eq!(silent, BTreeMap::from([((Some(address(1)), 401), 4990)]));
    }

    #[tokio::test(start_paused = true)]
    async fn somebody_is_asked_once_to_tell_of_it_and_then_it_begins_anew() {
        let refusals = Refusals::default();
        let now = Instant::now();
        let later = |seconds| now + Duration::from_secs(seconds);
        let told: Vec<Told> = (0..30)
            .map(|_| refusals.refused(address(1), 429, now))
            .collect();
        let firsts = |told: &[Told]| {
            let first = |told: &&Told| matches!(told, Told::First(_));
            told.iter().filter(first).count()
        };
        assert_eq!(told[10], Told::First(now + WINDOW));
        assert_eq!(firsts(&told), 1);
        // Not yet told of: nothing is forgotten meanwhile.
        assert_eq!(refusals.refused(address(1), 429, later(11)), Told::Counted);
        refusals.tell();
        assert_eq!(refusals.refused(address(1), 429, later(12)), Told::Line);
        // Without anything to tell a new time begins by itself.
        for _ in 0..9 {
            assert_eq!(refusals.refused(address(1), 429, later(13)), Told::Line);
        }
        assert_eq!(refusals.refused(address(1), 429, later(23)), Told::Line);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_from_everywhere_is_bounded_in_lines_and_in_memory() {
        let refusals = Refusals::default();
        let now = Instant::now();
        let lines = (0..100_000)
            .filter(|number| refusals.refused(address(*number), 401, now) == Told::Line)
            .count();
        assert_eq!(lines, 200);
        let mut window = refusals.lock().take().unwrap();
        assert_eq!(window.lines.len(), 200);
        let silent = window.silent.take();
        assert_eq!(silent.len(), MOST_COUNTED + 1);
        assert_eq!(silent.values().sum::<u64>() + 200, 100_000);
    }

    #[tokio::test(start_paused = true)]
    async fn neighbours_in_one_network_are_one() {
        let refusals = Refusals::default();
        let now = Instant::now();
        let lines = (0..20_u16)
            .map(|number| std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number))
            .filter(|&neighbour| refusals.refused(neighbour.into(), 401, now) == Told::Line)
            .count();
        assert_eq!(lines, 10);
        let mut window = refusals.lock().take().unwrap();
        assert_eq!((window.lines.len(), window.silent.take().len()), (1, 1));
    }
}
