//! The leaked passwords that are used most, as far as they would be long enough for a new passphrase.
//!
//! `leaked.txt` holds 4,000: the most frequent ones of 12 to 128 characters, in lower case, each once, in the order of
//! their bytes. Source: Mark Burnett's ten million passwords of 2015 as `Passwords/Common-Credentials/10-million-password-list-top-1000000.txt`
//! of `SecLists` (MIT licence, Daniel Miessler, <https://github.com/danielmiessler/SecLists>), which is sorted by
//! how often each was found. Slurs are left out. A list of the same form may take its place; the test looks at the form.

use zeroize::Zeroizing;

/// One password a line.
const LIST: &str = include_str!("leaked.txt");

/// How many there are, as bits of a guess.
pub(super) const BITS: f64 = 12.0;

/// Characters of the shortest one.
pub(super) const SHORTEST: usize = 12;

/// Characters of the longest one. The test compares.
pub(super) const LONGEST: usize = 26;

/// Says whether a passphrase is one of them, whatever its capitals and the blanks around it.
pub fn is_one(passphrase: &str) -> bool {
    holds(&Zeroizing::new(passphrase.trim().to_lowercase()))
}

/// Says whether a text, in lower case already, is one of them. Takes a time that depends on it only in so far as a
/// look into a sorted list does: nobody else is there to measure it.
pub(super) fn holds(lower: &str) -> bool {
    let (mut from, mut to) = (0, LIST.len());
    while from < to {
        let middle = from + (to - from) / 2;
        // The whole line around the middle: no line is empty, and the text is plain ASCII.
        let Some((before, after)) = LIST.split_at_checked(middle) else {
            return false;
        };
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let end = middle + after.find('\n').unwrap_or(after.len());
        match LIST.get(start..end).unwrap_or_default().cmp(lower) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => from = end + 1,
            std::cmp::Ordering::Greater => to = start,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_the_form_that_is_looked_into() {
        let words: Vec<&str> = LIST.lines().collect();
        assert_eq!(words.len(), 4000);
        assert!(LIST.ends_with('\n') && LIST.len() < 60_000);
        for pair in words.windows(2) {
            assert!(pair[0] < pair[1], "sorted, each once: {pair:?}");
        }
        for word in &words {
            assert!(word.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            assert!(
                !word.bytes().any(|byte| byte.is_ascii_uppercase()),
                "{word}"
            );
            assert_eq!(word.trim(), *word);
        }
        let lengths = || words.iter().map(|word| word.len());
        assert_eq!(lengths().min(), Some(SHORTEST));
        assert_eq!(lengths().max(), Some(LONGEST));
        assert!(words.len() <= 1 << 12);
    }

    #[test]
    fn each_of_the_list_is_found_and_nothing_else() {
        for word in LIST.lines() {
            assert!(holds(word), "{word}");
            for other in [
                format!("{word}~~"),
                word.split_at(word.len() - 1).0.to_owned() + "\u{7f}",
            ] {
                assert!(!holds(&other), "{other}");
            }
        }
        for other in ["", "\n", "a", "~~~~~~~~~~~~~~~", "日本語日本語日本語日本語"] {
            assert!(!holds(other), "{other}");
        }
    }
}
