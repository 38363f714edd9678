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
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() && needed > SMALL {
            let mut larger = Self(take());
            larger.0.reserve(needed);
            larger.0.extend_from_slice(&self.0);
            *self = larger;
        }
        self.0.extend_from_slice(bytes);
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
        if self.0.capacity() > SMALL && self.0.len() <= SMALL {
            *self = Self::of(&self.0);
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

impl Drop for Room {
    fn drop(&mut self) {
        if !(SMALL + 1..=LARGE).contains(&self.0.capacity()) {
            return;
        }
        let mut room = std::mem::take(&mut self.0);
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

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(&self.0), f)
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
        let mut full = Room::of(&vec![b'a'; 100_000]);
        full.rest();
        assert_eq!(full.len(), 100_000);
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
