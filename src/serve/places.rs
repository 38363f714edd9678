//! Places among what is under way at the same time, counted by whom or what it is for. A place is given
//! back when it is dropped.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Counts<K> = Arc<Mutex<HashMap<K, u32>>>;

/// So many places for each key.
#[derive(Debug)]
pub struct Places<K> {
    taken: Counts<K>,
    most: u32,
}

/// A place.
#[derive(Debug)]
pub struct Place<K: Hash + Eq> {
    key: K,
    taken: Counts<K>,
}

fn lock<K>(counts: &Counts<K>) -> MutexGuard<'_, HashMap<K, u32>> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Hash + Eq + Clone> Places<K> {
    /// Begins with all of them free.
    pub fn new(most: u32) -> Self {
        Self {
            taken: Counts::default(),
            most,
        }
    }

    /// Takes one; `None` when there is none left for that key.
    pub fn take(&self, key: K) -> Option<Place<K>> {
        let mut taken = lock(&self.taken);
        let count = taken.entry(key.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(taken);
        Some(Place {
            key,
            taken: Arc::clone(&self.taken),
        })
    }
}

impl<K: Hash + Eq> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        if let Some(count) = taken.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_counted_by_key_and_given_back() {
        let places = Places::new(2);
        let one = places.take("a").unwrap();
        let _two = places.take("a").unwrap();
        assert!(places.take("a").is_none());
        let other = places.take("b").unwrap();
        drop((one, other));
        let _three = places.take("a").unwrap();
        assert!(places.take("a").is_none());
        assert_eq!(
            lock(&places.taken).len(),
            1,
            "nothing is kept of the others"
        );
    }
}
