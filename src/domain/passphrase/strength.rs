//! An estimate of how long a passphrase would hold against somebody who has the file that it seals.
//!
//! It is taken apart into what a guesser would try first: leaked passwords, rows of keys and of the alphabet,
//! repetitions, words, years and digits; each is worth as many bits as a guess at it costs, and what is left over as
//! much as its kind of character. It errs to the low side: it knows no dictionary, so letters in a row count as words
//! whatever they spell. It informs and decides nothing.

use std::fmt;

use zeroize::Zeroizing;

use super::leaked;

/// Guesses a second that are assumed: 10,000, what the estimator zxcvbn takes for slow hashes on many
/// machines (Wheeler, USENIX Security 2016).
const GUESSES_A_SECOND: f64 = 10_000.0;

/// Neighbours that make a row: on the rows and columns of a keyboard. Alphabet and digits are found by their codes.
const ROWS: [&str; 8] = [
    "1234567890",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "yxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
];

/// Shortest row that counts as one.
const SHORTEST_ROW: usize = 3;

/// A word, as bits: one of 4,096.
const WORD: f64 = 12.0;

/// Letters of a word that is longer than most.
const LONG_WORD: usize = 7;

/// A letter beyond those, as bits: several words without a space between are about as much a letter.
const FURTHER_LETTER: f64 = 1.75;

/// A letter on its own, a digit, a sign, a character of a script without capitals.
const LETTER: f64 = 4.7;
const DIGIT: f64 = 3.3;
const SIGN: f64 = 5.0;
const OTHER: f64 = 8.0;

/// A year, as bits: one of a century and a half.
const YEAR: f64 = 7.0;

/// What was there before comes again.
const AGAIN: f64 = 1.0;

/// How strong a passphrase is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strength {
    bits: f64,
}

impl Strength {
    /// Highest step of [`Strength::step`].
    pub const STEPS: u8 = 5;

    /// Looks at a passphrase. What is copied of it meanwhile is wiped.
    pub fn of(passphrase: &str) -> Self {
        let typed: Zeroizing<Vec<char>> = Zeroizing::new(passphrase.chars().collect());
        let lower = Zeroizing::new(passphrase.to_lowercase());
        let folded: Zeroizing<Vec<char>> = Zeroizing::new(lower.chars().collect());
        let mut bits = 0.0;
        let mut at = 0;
        while at < folded.len() {
            let (length, worth) = piece(&folded, at);
            bits += worth;
            at += length.max(1);
        }
        Self {
            bits: bits + capitals(&typed),
        }
    }

    /// Returns a step from 1 (guessed within hours) to [`Strength::STEPS`].
    pub fn step(self) -> u8 {
        match self.bits {
            ..28.0 => 1,
            28.0..40.0 => 2,
            40.0..52.0 => 3,
            52.0..66.0 => 4,
            _ => 5,
        }
    }

    /// Returns the word for the step.
    pub fn word(self) -> &'static str {
        match self.step() {
            1 => "very weak",
            2 => "weak",
            3 => "fair",
            4 => "good",
            _ => "strong",
        }
    }

    /// Says how long it would be guessed at, half of the possible ones tried.
    fn time(self) -> String {
        const UNITS: [(f64, &str); 4] = [
            (86_400.0 * 365.25, "year"),
            (86_400.0, "day"),
            (3600.0, "hour"),
            (60.0, "minute"),
        ];
        let seconds = (self.bits - 1.0).exp2() / GUESSES_A_SECOND;
        for (unit, name) in UNITS {
            let count = (seconds / unit).round();
            if count > 999.0 {
                return "over a thousand years".to_owned();
            }
            if count >= 1.0 {
                let s = if count > 1.0 { "s" } else { "" };
                return format!("about {count} {name}{s}");
            }
        }
        "seconds".to_owned()
    }
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (step, steps) = (self.step(), Self::STEPS);
        write!(
            f,
            "strength {step} of {steps}: {}, guessed in {}",
            self.word(),
            self.time()
        )
    }
}

/// Returns the length of what begins at a place, and what a guess at it costs in bits.
fn piece(text: &[char], at: usize) -> (usize, f64) {
    let rest = text.get(at..).unwrap_or_default();
    let before = text.get(..at).unwrap_or_default();
    let found = [
        listed(rest).map(|length| (length, leaked::BITS)),
        repeated(before, rest).map(|length| (length, AGAIN + bits_of(at))),
        in_a_row(rest).map(|length| (length, LETTER + bits_of(length))),
        year(rest).map(|length| (length, YEAR)),
    ];
    let longest = found
        .into_iter()
        .flatten()
        .max_by_key(|(length, _)| *length);
    longest.unwrap_or_else(|| alone(text, at))
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn bits_of(count: usize) -> f64 {
    number(count.max(1)).log2()
}

/// The longest leaked password that it begins with.
fn listed(rest: &[char]) -> Option<usize> {
    let most = rest.len().min(leaked::LONGEST);
    let longest: Zeroizing<String> = Zeroizing::new(rest.iter().take(most).collect());
    (leaked::SHORTEST..=most)
        .rev()
        .find(|length| longest.get(..*length).is_some_and(leaked::holds))
}

/// How much of it was there before: three characters or more, or one that follows itself.
fn repeated(before: &[char], rest: &[char]) -> Option<usize> {
    let mut longest = 0;
    for start in 0..before.len() {
        // What is repeated may run over into the repetition, as in "abcabcabc".
        let earlier = before.iter().skip(start).chain(rest);
        let same = earlier.zip(rest).take_while(|(a, b)| a == b).count();
        longest = longest.max(same);
    }
    let itself = before.last().is_some_and(|last| rest.first() == Some(last));
    (longest >= SHORTEST_ROW || (itself && longest > 0)).then_some(longest)
}

/// How many characters follow each other in the alphabet, in digits or on a keyboard, forwards or backwards.
fn in_a_row(rest: &[char]) -> Option<usize> {
    let neighbours = |a: char, b: char, step: i64| {
        a.is_alphanumeric()
            && b.is_alphanumeric()
            && i64::from(u32::from(b)) - i64::from(u32::from(a)) == step
    };
    let by_code = |step: i64| {
        let pairs = rest.iter().zip(rest.iter().skip(1));
        1 + pairs
            .take_while(|(a, b)| neighbours(**a, **b, step))
            .count()
    };
    let on_keys = |row: &str| {
        let forwards: Vec<char> = row.chars().collect();
        let backwards: Vec<char> = row.chars().rev().collect();
        [forwards, backwards]
            .iter()
            .filter_map(|row| {
                let start = row.iter().position(|key| Some(key) == rest.first())?;
                let keys = row.iter().skip(start);
                Some(keys.zip(rest).take_while(|(a, b)| a == b).count())
            })
            .max()
            .unwrap_or(0)
    };
    let rows = ROWS.into_iter().map(on_keys);
    let longest = rows.chain([by_code(1), by_code(-1)]).max().unwrap_or(0);
    (longest >= SHORTEST_ROW).then_some(longest)
}

/// Four digits that are a year of the last century or this one.
fn year(rest: &[char]) -> Option<usize> {
    let digits = rest.iter().take_while(|c| c.is_ascii_digit()).count();
    let century = matches!(rest, ['1', '9', ..] | ['2', '0', ..]);
    (digits == 4 && century).then_some(4)
}

/// What is none of these: a word, or one character.
fn alone(text: &[char], at: usize) -> (usize, f64) {
    let (before, rest) = text.split_at_checked(at).unwrap_or_default();
    let Some(first) = rest.first() else {
        return (1, 0.0);
    };
    if has_capital(*first) {
        let letters = rest.iter().take_while(|c| has_capital(**c)).count();
        // A row, a leaked password or a repetition ends the word.
        let ends = (1..letters).find(|within| {
            let (before, rest) = text.split_at_checked(at + within).unwrap_or_default();
            let patterns = [in_a_row(rest), repeated(before, rest), listed(rest)];
            patterns
                .into_iter()
                .flatten()
                .any(|length| length > SHORTEST_ROW)
        });
        let length = ends.unwrap_or(letters);
        let further = number(length.saturating_sub(LONG_WORD)) * FURTHER_LETTER;
        return (
            length,
            (number(length.min(LONG_WORD)) * LETTER).min(WORD) + further,
        );
    }
    let worth = match first {
        // The same sign between all words is one choice.
        sign if before.contains(sign) && !sign.is_alphanumeric() => AGAIN,
        digit if digit.is_ascii_digit() => DIGIT,
        letter if letter.is_alphanumeric() => OTHER,
        _ => SIGN,
    };
    (1, worth)
}

/// Says whether it is a letter of a script with capitals (it is in lower case here).
fn has_capital(c: char) -> bool {
    c.is_alphabetic() && (c.is_lowercase() || c.is_uppercase())
}

/// What capitals add: one choice where they stand in front or everywhere, one for each otherwise.
fn capitals(typed: &[char]) -> f64 {
    let capital = typed.iter().filter(|c| c.is_uppercase()).count();
    let small = typed.iter().filter(|c| c.is_lowercase()).count();
    let in_front = typed
        .split(|c| !c.is_alphabetic())
        .all(|word| !word.iter().skip(1).any(|c| c.is_uppercase()));
    match (capital, small) {
        (0, _) => 0.0,
        (_, 0) => 1.0,
        _ if in_front => 1.0,
        _ => 1.0 + number(capital.min(small)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(text: &str) -> u8 {
        Strength::of(text).step()
    }

    #[test]
    fn what_guessers_try_first_is_very_weak() {
        for text in [
            "",
            "Password1234",
            "1qaz2wsx3edc",
            "aaaaaaaaaaaaaaaaaaaa",
            "abcabcabcabcabcabc",
            "abcdefghijklmnopqrstuvwxyz",
            "0987654321098765",
            "qwertyuiopasdfghjkl",
            "december2019",
            "QWERTYQWERTY2024",
            "passwordpasswordpassword",
        ] {
            assert_eq!(step(text), 1, "{text}: {}", Strength::of(text));
        }
    }

    #[test]
    fn words_in_a_row_and_what_a_manager_makes_are_strong() {
        for (text, least) in [
            ("correct horse battery staple", 3),
            ("correcthorsebatterystaple", 3),
            ("gravel onion seventh balcony tram mosaic", 5),
            ("xK9f-Q2mL-p7Zr-T4vd", 5),
            ("Blå himmel, 7 ankor & en gädda", 4),
            ("春の海終日のたりのたりかな", 5),
        ] {
            assert!(step(text) >= least, "{text}: {}", Strength::of(text));
        }
    }

    #[test]
    fn more_of_it_is_never_weaker_by_much_and_repeating_it_adds_little() {
        let one = Strength::of("gravel onion").bits;
        assert!(Strength::of("gravel onion seventh").bits > one + 10.0);
        assert!(Strength::of("gravel oniongravel onion").bits < one + 8.0);
        assert!(Strength::of("Gravel Onion").bits > one);
        assert!(Strength::of("gRavEl oniOn").bits > Strength::of("Gravel Onion").bits);
    }

    #[test]
    fn it_is_said_in_words() {
        assert_eq!(
            Strength { bits: 35.0 }.to_string(),
            "strength 2 of 5: weak, guessed in about 20 days"
        );
        for (bits, time) in [
            (0.0, "seconds"),
            (20.0, "about 1 minute"),
            (27.0, "about 2 hours"),
            (40.0, "about 2 years"),
            (130.0, "over a thousand years"),
            (f64::MAX, "over a thousand years"),
        ] {
            assert_eq!(Strength { bits }.time(), time, "{bits}");
        }
        let steps = [0.0, 30.0, 45.0, 60.0, 70.0].map(|bits| Strength { bits }.word());
        assert_eq!(steps, ["very weak", "weak", "fair", "good", "strong"]);
    }
}
