//! Counts by what they are about, in a bounded number of kinds: beyond it the rest is counted together. What
//! clients send makes the figures grow, and nothing else.

use std::collections::BTreeMap;

/// Counts.
#[derive(Debug)]
pub(super) struct Tally<K> {
    counts: BTreeMap<K, u64>,
    most: usize,
}

impl<K: Ord> Tally<K> {
    /// Begins with nothing; so many kinds are counted apart.
    pub(super) const fn new(most: usize) -> Self {
        Self {
            counts: BTreeMap::new(),
            most,
        }
    }

    /// Counts one of a kind; where there is no room for another kind, as one of `others`.
    pub(super) fn count(&mut self, kind: K, others: K) {
        let apart = self.counts.len() < self.most || self.counts.contains_key(&kind);
        let kind = if apart { kind } else { others };
        let count = self.counts.entry(kind).or_default();
        *count = count.saturating_add(1);
    }

    /// Takes everything out.
    pub(super) fn take(&mut self) -> BTreeMap<K, u64> {
        std::mem::take(&mut self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_so_many_kinds_the_rest_is_counted_together() {
        let mut tally = Tally::new(3);
        for number in 0..1000_u32 {
            tally.count(Some(number % 100), None);
        }
        let counts = tally.take();
        assert_eq!(counts.len(), 4);
        assert_eq!(counts[&Some(0)], 10);
        assert_eq!(counts[&None], 970);
        assert!(tally.take().is_empty());
    }
}
