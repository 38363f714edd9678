//! When a signature that holds may be used: its age, and what it was used for before. Pure: the time is
//! passed in.
//!
//! **The old signature** covers neither method nor path, and clients sign with the resolution of a
//! second: three starts in one second carry one signature, honestly. So a repeat is no offence; it is
//! the same request (same target), which gets the first answer again and acts once, or another target,
//! of which one signature may have sixteen. A signature belongs to the address it was first seen from.
//!
//! **The second signature** covers everything and carries a nonce: a nonce is taken once.
//!
//! **Time.** Every accepted signature is remembered until the newest time this process has ever seen is
//! past its window, and what is older than the newest one forgotten is refused: a clock that is set back
//! opens nothing. A signature from before the process began is refused as well, for of those nothing is
//! remembered.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::signature::Signature;

/// Targets that one old signature may have: a bot acts on a handful of VMs in a second.
pub const MAX_TARGETS: usize = 16;

/// Old signatures of actions that are remembered: 160 a second for a minute.
const MAX_ACTIONS: usize = 10_000;

/// Old signatures of reads of which the address is remembered.
const MAX_READS: usize = 10_000;

/// Nonces that are remembered: 800 a second for two minutes, some 12 MB.
const MAX_NONCES: usize = 100_000;

/// How long signatures are good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// Of requests that act.
    pub action: Duration,
    /// Of requests that only read.
    pub read: Duration,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            action: Duration::from_secs(60),
            read: Duration::from_secs(300),
        }
    }
}

/// Why a signature that holds is refused all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its time is past.
    #[error("the timestamp is too old")]
    Late,
    /// Its time is yet to come.
    #[error("the timestamp is in the future")]
    Early,
    /// It was made before this process began, which remembers nothing of that time.
    #[error("the timestamp is from before the server started")]
    BeforeStart,
    /// It was seen from another address.
    #[error("the signature was made by another client")]
    OtherAddress,
    /// It has been used for too many different requests.
    #[error("the signature was used for too many requests")]
    TooManyTargets,
    /// The nonce has been used.
    #[error("the nonce was used before")]
    Reused,
    /// More signatures than can be remembered.
    #[error("too many signed requests at once")]
    Full,
}

/// What an accepted signature of an action is to lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use<T> {
    /// Do it, and leave the answer in this slot.
    First(T),
    /// It was asked before: the answer is, or will be, in this slot.
    Again(T),
}

/// What was accepted, each until its window is over.
#[derive(Debug)]
struct Memory<K, V> {
    entries: HashMap<K, (Timestamp, V)>,
    order: BTreeSet<(Timestamp, K)>,
    /// The newest time ever passed in.
    newest: Timestamp,
    /// When this process began to remember.
    began: Timestamp,
    /// The newest timestamp that was forgotten.
    forgotten: Option<Timestamp>,
    /// How long an entry is kept past its timestamp.
    keep: Duration,
    most: usize,
}

impl<K: Hash + Eq + Ord + Clone, V> Memory<K, V> {
    fn new(began: Timestamp, keep: Duration, most: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeSet::new(),
            newest: began,
            began,
            forgotten: None,
            keep,
            most,
        }
    }

    /// Takes note of the time and forgets what can never be accepted again.
    fn pass(&mut self, now: Timestamp) {
        self.newest = self.newest.max(now);
        while let Some((timestamp, _)) = self.order.first() {
            if after(*timestamp, self.keep) >= self.newest {
                break;
            }
            if let Some((timestamp, key)) = self.order.pop_first() {
                self.entries.remove(&key);
                self.forgotten = self.forgotten.max(Some(timestamp));
            }
        }
    }

    fn in_time(
        &self,
        timestamp: Timestamp,
        window: Duration,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if timestamp < self.began {
            return Err(Refusal::BeforeStart);
        }
        if after(timestamp, window) < now || self.forgotten.is_some_and(|gone| timestamp <= gone) {
            return Err(Refusal::Late);
        }
        if timestamp > after(now, window) {
            return Err(Refusal::Early);
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= self.most
    }

    fn keep(&mut self, key: K, timestamp: Timestamp, value: V) {
        self.order.insert((timestamp, key.clone()));
        self.entries.insert(key, (timestamp, value));
    }
}

fn after(timestamp: Timestamp, by: Duration) -> Timestamp {
    timestamp.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[derive(Debug)]
struct Action<T> {
    address: IpAddr,
    targets: HashMap<String, T>,
}

/// The memory of old signatures. `T` is where an answer is left; clones of it are the same place.
#[derive(Debug)]
pub struct OldSignatures<T> {
    windows: Windows,
    actions: Memory<Signature, Action<T>>,
    reads: Memory<Signature, IpAddr>,
}

impl<T: Clone + Default> OldSignatures<T> {
    /// Starts with nothing remembered.
    pub fn new(windows: Windows, began: Timestamp) -> Self {
        let keep = windows.action.max(windows.read);
        Self {
            windows,
            actions: Memory::new(began, keep, MAX_ACTIONS),
            reads: Memory::new(began, keep, MAX_READS),
        }
    }

    /// Judges a signature that holds, on a request that only reads. Reads may be repeated at will, but
    /// from one address only.
    pub fn read(
        &mut self,
        signature: Signature,
        timestamp: Timestamp,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.pass(now);
        // Half-second clocks and whole-second timestamps: a read of the very second of the start is
        // taken, for a read may be repeated anyway.
        let whole = after(timestamp, Duration::from_secs(1));
        if whole <= self.reads.began {
            return Err(Refusal::BeforeStart);
        }
        self.reads
            .in_time(timestamp.max(self.reads.began), self.windows.read, now)?;
        self.belongs_to(&signature, address)?;
        let known = self.reads.entries.contains_key(&signature);
        if !known && !self.reads.is_full() {
            self.reads.keep(signature, timestamp, address);
        }
        Ok(())
    }

    /// Judges a signature that holds, on a request that acts on `target` (method and decoded path).
    pub fn act(
        &mut self,
        signature: Signature,
        timestamp: Timestamp,
        from: (IpAddr, &str),
        now: Timestamp,
    ) -> Result<Use<T>, Refusal> {
        let (address, target) = from;
        self.pass(now);
        self.actions.in_time(timestamp, self.windows.action, now)?;
        self.belongs_to(&signature, address)?;
        if let Some((_, action)) = self.actions.entries.get_mut(&signature) {
            if let Some(slot) = action.targets.get(target) {
                return Ok(Use::Again(slot.clone()));
            }
            if action.targets.len() >= MAX_TARGETS {
                return Err(Refusal::TooManyTargets);
            }
            let slot = T::default();
            action.targets.insert(target.to_owned(), slot.clone());
            return Ok(Use::First(slot));
        }
        // What cannot be remembered must not be done: it could be done again.
        if self.actions.is_full() {
            return Err(Refusal::Full);
        }
        let slot = T::default();
        let targets = HashMap::from([(target.to_owned(), slot.clone())]);
        self.actions
            .keep(signature, timestamp, Action { address, targets });
        Ok(Use::First(slot))
    }

    fn pass(&mut self, now: Timestamp) {
        self.actions.pass(now);
        self.reads.pass(now);
    }

    fn belongs_to(&self, signature: &Signature, address: IpAddr) -> Result<(), Refusal> {
        let acted = self
            .actions
            .entries
            .get(signature)
            .map(|(_, action)| action.address);
        let read = self
            .reads
            .entries
            .get(signature)
            .map(|(_, address)| *address);
        match acted.or(read) {
            Some(first) if first != address => Err(Refusal::OtherAddress),
            Some(_) | None => Ok(()),
        }
    }
}

/// The memory of nonces: each with the key it belongs to.
#[derive(Debug)]
pub struct Nonces {
    window: Duration,
    taken: Memory<(String, String), ()>,
}

impl Nonces {
    /// Starts with nothing remembered.
    pub fn new(window: Duration, began: Timestamp) -> Self {
        Self {
            window,
            taken: Memory::new(began, window, MAX_NONCES),
        }
    }

    /// Takes a nonce, once.
    pub fn take(
        &mut self,
        key_id: &str,
        nonce: &str,
        timestamp: Timestamp,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.taken.pass(now);
        self.taken.in_time(timestamp, self.window, now)?;
        let key = (key_id.to_owned(), nonce.to_owned());
        if self.taken.entries.contains_key(&key) {
            return Err(Refusal::Reused);
        }
        if self.taken.is_full() {
            return Err(Refusal::Full);
        }
        self.taken.keep(key, timestamp, ());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_735_732_800 + seconds).unwrap()
    }

    fn memory() -> OldSignatures<Arc<()>> {
        OldSignatures::new(Windows::default(), at(0))
    }

    const fn sig(n: u8) -> Signature {
        [n; 32]
    }

    fn first(judged: &Result<Use<Arc<()>>, Refusal>) -> bool {
        matches!(judged, Ok(Use::First(_)))
    }

    #[test]
    fn three_starts_in_one_second_are_three_actions() {
        let mut memory = memory();
        for target in ["start a", "start b", "start c"] {
            assert!(first(&memory.act(sig(1), at(10), (HOME, target), at(10))));
        }
    }

    #[test]
    fn a_repeat_is_the_same_request_and_leads_to_the_same_place() {
        let mut memory = memory();
        let Ok(Use::First(slot)) = memory.act(sig(1), at(10), (HOME, "start a"), at(10)) else {
            panic!("it is the first");
        };
        let Ok(Use::Again(again)) = memory.act(sig(1), at(10), (HOME, "start a"), at(69)) else {
            panic!("it is a repeat");
        };
        assert!(Arc::ptr_eq(&slot, &again));
    }

    #[test]
    fn a_signature_stays_with_the_address_it_came_from() {
        let mut memory = memory();
        assert!(first(&memory.act(
            sig(1),
            at(10),
            (HOME, "start a"),
            at(10)
        )));
        let moved = memory.act(sig(1), at(10), (ELSEWHERE, "start a"), at(11));
        assert_eq!(moved, Err(Refusal::OtherAddress));
        let read = memory.read(sig(1), at(10), ELSEWHERE, at(11));
        assert_eq!(read, Err(Refusal::OtherAddress));
        assert_eq!(memory.read(sig(2), at(10), HOME, at(11)), Ok(()));
        let acted = memory.act(sig(2), at(10), (ELSEWHERE, "start a"), at(11));
        assert_eq!(acted, Err(Refusal::OtherAddress));
    }

    #[test]
    fn sixteen_targets_and_no_more() {
        let mut memory = memory();
        for n in 0..MAX_TARGETS {
            assert!(first(&memory.act(
                sig(1),
                at(10),
                (HOME, &format!("start {n}")),
                at(10)
            )));
        }
        let more = memory.act(sig(1), at(10), (HOME, "start x"), at(10));
        assert_eq!(more, Err(Refusal::TooManyTargets));
        assert!(matches!(
            memory.act(sig(1), at(10), (HOME, "start 3"), at(10)),
            Ok(Use::Again(_))
        ));
        // Reading fifty states in a second is what a bot does.
        for _ in 0..50 {
            assert_eq!(memory.read(sig(2), at(10), HOME, at(10)), Ok(()));
        }
    }

    #[test]
    fn windows_have_two_ends() {
        for (signed, now, action, read) in [
            (100, 160, Ok(()), Ok(())),
            (100, 161, Err(Refusal::Late), Ok(())),
            (100, 400, Err(Refusal::Late), Ok(())),
            (100, 401, Err(Refusal::Late), Err(Refusal::Late)),
            (160, 100, Ok(()), Ok(())),
            (161, 100, Err(Refusal::Early), Ok(())),
            (401, 100, Err(Refusal::Early), Err(Refusal::Early)),
            (-1, 10, Err(Refusal::BeforeStart), Err(Refusal::BeforeStart)),
        ] {
            let acted = memory()
                .act(sig(1), at(signed), (HOME, "x"), at(now))
                .map(|_| ());
            assert_eq!(acted, action, "action {signed} at {now}");
            assert_eq!(
                memory().read(sig(1), at(signed), HOME, at(now)),
                read,
                "read {signed} at {now}"
            );
        }
    }

    #[test]
    fn the_second_in_which_the_server_starts_can_be_read_in_but_not_acted_in() {
        let began = at(0) + Duration::from_millis(700);
        let mut memory: OldSignatures<Arc<()>> = OldSignatures::new(Windows::default(), began);
        assert_eq!(memory.read(sig(1), at(0), HOME, began), Ok(()));
        assert_eq!(
            memory.read(sig(1), at(-1), HOME, began),
            Err(Refusal::BeforeStart)
        );
        let acted = memory.act(sig(2), at(0), (HOME, "x"), began);
        assert_eq!(acted, Err(Refusal::BeforeStart));
    }

    #[test]
    fn a_clock_that_is_set_back_opens_nothing() {
        let mut memory = memory();
        assert!(first(&memory.act(
            sig(1),
            at(100),
            (HOME, "start a"),
            at(100)
        )));
        // Much later it is forgotten ...
        assert!(first(&memory.act(
            sig(2),
            at(1_000),
            (HOME, "start a"),
            at(1_000)
        )));
        // ... and then the clock goes back to when it was good.
        let replayed = memory.act(sig(1), at(100), (HOME, "start a"), at(100));
        assert_eq!(replayed, Err(Refusal::Late));
        // An honest client that follows the clock back is served.
        assert!(first(&memory.act(
            sig(3),
            at(400),
            (HOME, "start a"),
            at(400)
        )));
    }

    #[test]
    fn a_clock_that_was_ahead_for_a_while_locks_nobody_out() {
        let mut memory = memory();
        assert!(first(&memory.act(sig(1), at(10), (HOME, "a"), at(10))));
        assert_eq!(
            memory.act(sig(2), at(20), (HOME, "a"), at(3_620)),
            Err(Refusal::Late)
        );
        assert!(first(&memory.act(sig(3), at(30), (HOME, "a"), at(30))));
        assert_eq!(
            memory.act(sig(1), at(10), (HOME, "a"), at(30)),
            Err(Refusal::Late)
        );
    }

    #[test]
    fn what_cannot_be_remembered_is_not_done() {
        let mut memory = memory();
        for n in 0..u32::try_from(MAX_ACTIONS).unwrap() {
            let mut signature = [0; 32];
            signature[..4].copy_from_slice(&n.to_be_bytes());
            assert!(first(&memory.act(signature, at(10), (HOME, "a"), at(10))));
        }
        assert_eq!(
            memory.act(sig(255), at(10), (HOME, "a"), at(10)),
            Err(Refusal::Full)
        );
        assert!(
            first(&memory.act(sig(255), at(400), (HOME, "a"), at(400))),
            "after a while there is room"
        );
    }

    #[test]
    fn a_nonce_is_taken_once_whatever_the_time_of_its_request() {
        let mut nonces = Nonces::new(Duration::from_secs(60), at(0));
        assert_eq!(nonces.take("bot", "n", at(10), at(10)), Ok(()));
        assert_eq!(
            nonces.take("bot", "n", at(10), at(10)),
            Err(Refusal::Reused)
        );
        assert_eq!(
            nonces.take("bot", "n", at(12), at(12)),
            Err(Refusal::Reused)
        );
        assert_eq!(nonces.take("other", "n", at(10), at(10)), Ok(()));
        let restarted =
            Nonces::new(Duration::from_secs(60), at(11)).take("bot", "n", at(10), at(12));
        assert_eq!(restarted, Err(Refusal::BeforeStart));
    }

    proptest! {
        /// However the clock moves, no captured request is ever taken twice.
        #[test]
        fn no_request_is_ever_taken_twice(steps in proptest::collection::vec((-600i64..600, 0u8..30, -90i64..90), 1..200)) {
            let mut nonces = Nonces::new(Duration::from_secs(60), at(0));
            let mut now = 1_000;
            let mut taken = std::collections::HashSet::new();
            let mut stamps: HashMap<u8, i64> = HashMap::new();
            for (step, n, skew) in steps {
                now = (now + step).max(0);
                let stamp = *stamps.entry(n).or_insert(now + skew);
                if stamp >= 0 && nonces.take("k", &format!("{n}"), at(stamp), at(now)).is_ok() {
                    prop_assert!(taken.insert(n), "{} was taken twice", n);
                }
            }
        }
    }
}
