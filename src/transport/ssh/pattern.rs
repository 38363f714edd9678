//! Names held against patterns of `*` (any run of characters) and `?` (one): those of `known_hosts` and of
//! the client's configuration (PATTERNS in `ssh_config(5)`). Pure.
//!
//! Files may consist of nothing but patterns, so a pattern costs one step a symbol, whatever stands in it:
//! all places of the name that it may have come to are kept as bits and moved together.

/// Bits of a word.
const WORD: usize = 64;

/// Symbols there are.
const SYMBOLS: usize = 256;

/// A name, prepared: bit `i` stands for the place behind its first `i` characters.
#[derive(Debug)]
pub(super) struct Name {
    words: usize,
    /// For each symbol the places it may lead to.
    after: Vec<u64>,
    end: (usize, u64),
}

impl Name {
    /// Prepares a name.
    pub(super) fn new(name: &[u8]) -> Self {
        let words = name.len() / WORD + 1;
        let mut after = vec![0; words * SYMBOLS];
        for (place, symbol) in (1..).zip(name) {
            for symbol in [*symbol, b'?'] {
                let at = usize::from(symbol) * words + place / WORD;
                if let Some(word) = after.get_mut(at) {
                    *word |= bit(place);
                }
            }
        }
        Self {
            words,
            after,
            end: (name.len() / WORD, bit(name.len())),
        }
    }

    /// Whether a pattern matches all of it.
    pub(super) fn matches(&self, pattern: impl IntoIterator<Item = u8>) -> bool {
        self.follow(pattern, || {})
    }

    /// Follows a pattern, and tells each symbol that was looked at.
    fn follow(&self, pattern: impl IntoIterator<Item = u8>, mut looked: impl FnMut()) -> bool {
        let mut places = vec![0_u64; self.words];
        if let Some(first) = places.first_mut() {
            *first = 1;
        }
        for symbol in pattern {
            looked();
            let alive = if symbol == b'*' {
                spread(&mut places);
                true
            } else {
                self.advance(&mut places, symbol)
            };
            if !alive {
                return false;
            }
        }
        let (word, bit) = self.end;
        places.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Moves every place over one character; false when none is left.
    fn advance(&self, places: &mut [u64], symbol: u8) -> bool {
        let from = usize::from(symbol) * self.words;
        let after = self.after.get(from..).unwrap_or_default();
        let (mut carry, mut alive) = (0, 0);
        for (here, may) in places.iter_mut().zip(after) {
            let next = (*here << 1 | carry) & may;
            carry = *here >> (WORD - 1);
            *here = next;
            alive |= next;
        }
        alive != 0
    }
}

const fn bit(place: usize) -> u64 {
    1 << (place % WORD)
}

/// Adds every place behind the first. Bits behind the name's end lead nowhere and are never looked at.
fn spread(places: &mut [u64]) {
    let mut found = false;
    for here in places {
        if found {
            *here = u64::MAX;
        } else if *here != 0 {
            *here |= here.wrapping_neg();
            found = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the two symbols mean, tried out.
    fn by_trying(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                (0..=name.len()).any(|skipped| by_trying(rest, &name[skipped..]))
            }
            (Some((symbol, rest)), Some((first, others))) => {
                (*symbol == b'?' || symbol == first) && by_trying(rest, others)
            }
            _ => false,
        }
    }

    fn matches(pattern: &str, name: &str) -> bool {
        Name::new(name.as_bytes()).matches(pattern.bytes())
    }

    #[test]
    fn long_names_are_matched_over_every_word() {
        for length in [0, 1, 62, 63, 64, 65, 127, 128, 129, 1000] {
            let name = "a".repeat(length);
            assert!(matches(&name, &name), "{length}");
            assert!(matches("*", &name), "{length}");
            assert!(matches(&"?".repeat(length), &name), "{length}");
            assert!(matches(&format!("{name}*"), &name), "{length}");
            assert!(matches(&format!("*{name}"), &name), "{length}");
            assert!(!matches(&format!("*{name}b"), &name), "{length}");
            assert!(!matches(&"?".repeat(length + 1), &name), "{length}");
            assert!(
                !matches(&format!("{name}*?"), &name) && !matches(&format!("{name}?"), &name),
                "{length}"
            );
            if length > 0 {
                let shorter = "a".repeat(length - 1);
                assert!(!matches(&shorter, &name), "{length}");
                assert!(matches(&format!("*?{shorter}"), &name), "{length}");
            }
        }
    }

    #[test]
    fn no_pattern_takes_more_than_one_step_a_symbol() {
        let name = Name::new(&[b'a'; 253]);
        let hard = [
            "*a".repeat(500) + "b",
            "*a*?".repeat(250),
            "*".repeat(1000),
            "a".repeat(1000),
        ];
        for pattern in &hard {
            let mut steps = 0;
            name.follow(pattern.bytes(), || steps += 1);
            assert!(steps <= pattern.len(), "{steps} steps for {pattern}");
        }
        // And most are given up at their first symbol.
        let mut steps = 0;
        name.follow("kvm1.example.org".bytes(), || steps += 1);
        assert_eq!(steps, 1);
    }

    proptest! {
        #[test]
        fn it_is_what_trying_finds(pattern in "[ab?*]{0,10}", name in "[ab*]{0,10}") {
            prop_assert_eq!(
                matches(&pattern, &name),
                by_trying(pattern.as_bytes(), name.as_bytes())
            );
        }
    }
}
