//! Addresses from which too many wrong keys came, each until a time. A number of them is kept at most;
//! whoever comes beyond it takes the place of the one whose time ends first. Who counts as one address is
//! decided before (`limit::client`).

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// The addresses that are locked out.
#[derive(Debug)]
pub(super) struct LockedOut {
    most: usize,
    until: HashMap<IpAddr, Instant>,
    /// The same by their end, so that the first to end is found without looking at all.
    by_end: BTreeSet<(Instant, IpAddr)>,
}

impl LockedOut {
    /// Begins with none; at most `most` are kept, and at least one.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            until: HashMap::new(),
            by_end: BTreeSet::new(),
        }
    }

    /// Locks an address out until a time, in place of the time it had.
    pub(super) fn lock(&mut self, address: IpAddr, until: Instant) {
        if let Some(before) = self.until.insert(address, until) {
            self.by_end.remove(&(before, address));
        }
        self.by_end.insert((until, address));
        if self.until.len() > self.most {
            self.end_first();
        }
    }

    /// Returns for how much longer an address is locked out.
    pub(super) fn left(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let left = self.until.get(&address)?.checked_duration_since(now)?;
        (!left.is_zero()).then_some(left)
    }

    /// Forgets those whose time is over.
    pub(super) fn sweep(&mut self, now: Instant) {
        while self.by_end.first().is_some_and(|(until, _)| *until <= now) {
            self.end_first();
        }
    }

    fn end_first(&mut self) {
        if let Some((_, address)) = self.by_end.pop_first() {
            self.until.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + n).to_be_bytes())
    }

    #[test]
    fn where_there_is_no_room_only_the_first_to_end_goes() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let mut locked = LockedOut::new(3);
        for (n, seconds) in [(1, 30), (2, 10), (3, 20)] {
            locked.lock(address(n), after(seconds));
        }
        locked.lock(address(4), after(40));
        let kept = [1, 2, 3, 4].map(|n| locked.left(address(n), now).map(|left| left.as_secs()));
        assert_eq!(kept, [Some(30), None, Some(20), Some(40)]);
        // Again is no second place, and moves the end.
        locked.lock(address(3), after(50));
        locked.lock(address(5), after(60));
        let kept = [1, 3, 4, 5].map(|n| locked.left(address(n), now).is_some());
        assert_eq!(kept, [false, true, true, true]);
        assert_eq!((locked.until.len(), locked.by_end.len()), (3, 3));
    }

    #[test]
    fn whose_time_is_over_is_in_nobodys_way() {
        let now = Instant::now();
        let mut locked = LockedOut::new(10);
        locked.lock(address(1), now + Duration::from_secs(1));
        locked.lock(address(2), now + Duration::from_secs(5));
        let later = now + Duration::from_secs(1);
        assert_eq!(locked.left(address(1), later), None);
        locked.sweep(later);
        assert_eq!((locked.until.len(), locked.by_end.len()), (1, 1));
        assert_eq!(locked.left(address(2), later), Some(Duration::from_secs(4)));
    }
}
