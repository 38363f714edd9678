//! Room for answers, used again by whoever reads next.
//!
//! Hundreds of hosts answer each second with as much text as a large page has. Room that is asked of the allocator
//! for each answer and given back leaves holes between what is kept for long, and an answer that is a little longer
//! than the last one (its counters gain digits) fits in none of them: the program grew so, without anything being
//! kept. This module must not know what stands in an answer.

use std::fmt;
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

/// Bytes of an answer that is not worth it.
const SMALL: usize = 4 * 1024;

/// Bytes of the largest room that is kept for the next answer: one of some hundred VMs.
const LARGE: usize = 512 * 1024;

/// Rooms that are kept, as many as hosts that answer at the same moment.
const KEPT: usize = 32;

/// What is kept: never more than [`KEPT`] times [`LARGE`], and as much as was in use at the same time.
static ROOMS: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Bytes that were read; their room is used again when they are dropped.
#[derive(Clone, Default, Eq)]
pub(crate) struct Room(Vec<u8>);

impl Room {
    /// Copies bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut room = Self::default();
        room.extend(bytes);
        room
    }

    /// Adds bytes at the end.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.make_room(self.0.len() + bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Whatever the steps are in which an answer grows, its bytes are moved a few times only; room that is kept never
    /// becomes larger than what is kept.
    fn make_room(&mut self, needed: usize) {
        let had = self.0.capacity();
        if needed <= had || needed <= SMALL {
            return;
        }
        if needed > LARGE {
            if had <= LARGE {
                self.move_to(Vec::with_capacity(needed.max(2 * LARGE)));
            }
            return;
        }
        if had <= SMALL {
            self.move_to(take());
        }
        let has = self.0.capacity();
        if needed > has {
            let enough = needed.max(2 * has).min(LARGE);
            self.0.reserve_exact(enough - self.0.len());
        }
    }

    fn move_to(&mut self, mut room: Vec<u8>) {
        room.extend_from_slice(&self.0);
        *self = Self(room);
    }

    /// Removes bytes at the front.
    ///
    /// # Panics
    ///
    /// Where there are fewer.
    pub(crate) fn remove_front(&mut self, count: usize) {
        self.0.drain(..count);
    }

    /// Gives large room away that little stands in: between two answers nobody needs it.
    pub(crate) fn rest(&mut self) {
        if self.0.capacity() > SMALL && self.0.len() <= self.0.capacity() / 4 {
            *self = Self(self.0.clone());
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

fn take() -> Vec<u8> {
    let mut rooms = ROOMS.lock().unwrap_or_else(PoisonError::into_inner);
    rooms.pop().unwrap_or_default()
}

/// An answer may have had a password in it, and its room may not be needed again for long.
fn wiped(mut room: Vec<u8>) -> Vec<u8> {
    room.clear();
    room.resize(room.capacity(), 0);
    room
}

impl Drop for Room {
    fn drop(&mut self) {
        if !(SMALL + 1..=LARGE).contains(&self.0.capacity()) {
            return;
        }
        let mut room = wiped(std::mem::take(&mut self.0));
        room.clear();
        let mut rooms = ROOMS.lock().unwrap_or_else(PoisonError::into_inner);
        if rooms.len() < KEPT {
            rooms.push(room);
        }
    }
}

impl From<Vec<u8>> for Room {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Room {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for Room {
    fn eq(&self, other: &T) -> bool {
        self.0 == other.as_ref()
    }
}

impl AsRef<[u8]> for Room {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Tells how much there is: some answers have passwords in them.
impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Room({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_and_removed_is_what_is_there() {
        let mut room = Room::of(b"echo ");
        let mut expected = b"echo ".to_vec();
        for part in 0..40_u8 {
            let bytes = vec![part; 1000];
            room.extend(&bytes);
            expected.extend_from_slice(&bytes);
        }
        room.remove_front(4500);
        expected.drain(..4500);
        assert_eq!(room, expected);
        assert_eq!(room.clone(), expected);
    }

    #[test]
    fn large_room_is_used_again_and_holds_nothing_of_before() {
        let secret = vec![b's'; LARGE / 2];
        let large = Room::of(&secret);
        let place = large.as_ptr();
        drop(large);
        // Other tests take rooms as well: this one is among the next.
        let next: Vec<Room> = (0..=KEPT).map(|_| Room::of(&[b'n'; SMALL + 1])).collect();
        assert!(next.iter().any(|room| room.as_ptr() == place));
        assert!(
            next.iter()
                .all(|room| room.len() == SMALL + 1 && !room.contains(&b's'))
        );
    }

    #[test]
    fn room_that_little_stands_in_is_given_away_between_two_answers() {
        let mut room = Room::of(&vec![b'a'; 100_000]);
        room.remove_front(99_990);
        room.rest();
        assert_eq!(room, b"aaaaaaaaaa");
        assert!(room.capacity() <= SMALL);
        assert!(room.0.capacity() <= SMALL);
        let mut full = Room::of(&vec![b'a'; 100_000]);
        let place = full.as_ptr();
        full.rest();
        assert_eq!(full.as_ptr(), place, "moved for nothing");
        full.remove_front(80_000);
        full.rest();
        assert_eq!(full, vec![b'a'; 20_000]);
        assert!(full.capacity() < 40_000);
    }

    #[test]
    fn a_very_long_answer_is_moved_a_few_times_and_costs_the_others_no_room() {
        let part = vec![b'a'; 32 * 1024];
        let mut room = Room::of(&part);
        let first = room.as_ptr();
        let mut capacities = vec![room.capacity()];
        for _ in 0..320 {
            room.extend(&part);
            capacities.push(room.capacity());
        }
        assert_eq!(room.len(), 321 * part.len());
        capacities.dedup();
        assert!(capacities.len() < 16, "moved for each part: {capacities:?}");
        assert_ne!(room.as_ptr(), first);
        let kept: Vec<Room> = (0..=KEPT).map(|_| Room::of(&[b'n'; SMALL + 1])).collect();
        assert!(kept.iter().any(|room| room.capacity() == LARGE));
    }

    #[test]
    fn nothing_of_an_answer_stays_in_what_is_kept() {
        let mut room = Vec::with_capacity(1000);
        room.extend_from_slice(b"passwd='secret'");
        room.truncate(3);
        let room = wiped(room);
        assert_eq!(room.len(), room.capacity());
        assert!(room.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_is_told_of_it_is_its_length() {
        let told = format!("{:?}", Room::of(b"passwd='secret'"));
        assert_eq!(told, "Room(15 bytes)");
    }

    #[test]
    fn no_more_is_kept_than_is_said() {
        drop(
            (0..2 * KEPT)
                .map(|_| Room::of(&[0; SMALL + 1]))
                .collect::<Vec<_>>(),
        );
        drop(Room::of(&vec![0; LARGE + 1]));
        let rooms = ROOMS.lock().unwrap();
        assert!(rooms.len() <= KEPT);
        assert!(
            rooms
                .iter()
                .all(|room| room.capacity() <= LARGE && room.is_empty())
        );
    }
}
