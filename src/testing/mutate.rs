//! Mutations of bytes: the same seed makes the same inputs, so whatever one of them shows can be shown
//! again. Knows no grammar but the words it is given.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

/// What text parsers stumble over, whatever their grammar.
#[rustfmt::skip]
const WORDS: &[&[u8]] = &[
    b"\0",
    b"\r",
    b"\r\n",
    b"\n",
    b"\n\n",
    b"\t",
    b"\x1b[2J",
    b"\x1b]0;x\x07",
    b"\xc2\x9b",
    b"\xe2\x80\xae",
    b"\xe2\x80\x8b",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xcc\x81\xcc\x81\xcc\x81\xcc\x81",
    b"-1",
    b"0",
    b"18446744073709551615",
    b"9223372036854775808",
    b"4294967296",
    b"99999999999999999999",
    b"1e999",
    b"NaN",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"\"\"",
    b"'",
    b"\"",
    b"\\",
    b"%s",
    b"%00",
    b"$(id)",
    b"`id`",
    b";",
    b"..",
    b"/",
    b"*",
    b"\n%%\n",
];

/// Makes inputs out of others.
#[derive(Debug)]
pub struct Mutator {
    rng: StdRng,
    longest: usize,
    words: Vec<Vec<u8>>,
}

impl Mutator {
    /// Makes one for inputs of at most `longest` bytes; `words` are those of the grammar.
    pub fn new(seed: u64, longest: usize, words: &[&str]) -> Self {
        let own = words.iter().map(|word| word.as_bytes().to_vec());
        Self {
            rng: StdRng::seed_from_u64(seed),
            longest,
            words: own.chain(WORDS.iter().map(|word| word.to_vec())).collect(),
        }
    }

    /// Takes one of the inputs and changes it in one to eight places.
    pub fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus.choose(&mut self.rng).cloned().unwrap_or_default();
        let times = 1 << self.rng.random_range(0..4_u32);
        for _ in 0..self.rng.random_range(1..=times) {
            self.change(&mut input, corpus);
        }
        input.truncate(self.longest);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.rng.random_range(0..=input.len());
        match self.rng.random_range(0..12_u32) {
            0 => self.flip(input),
            1 => self.set(input),
            2 => input.truncate(at),
            3 => drop(input.drain(self.range(input.len()))),
            4 | 5 => {
                let word = self.words.choose(&mut self.rng).cloned();
                insert(input, at, &word.unwrap_or_default());
            }
            6 => {
                let word = self.words.choose(&mut self.rng).cloned();
                let range = self.range(input.len());
                drop(input.splice(range, word.unwrap_or_default()));
            }
            7 => {
                let piece = input
                    .get(self.range(input.len()))
                    .unwrap_or_default()
                    .to_vec();
                insert(input, at, &piece);
            }
            8 => {
                let piece = input
                    .get(self.range(input.len()))
                    .unwrap_or_default()
                    .to_vec();
                let times = self.rng.random_range(2..64_usize);
                let room = self.longest / (piece.len() + 1);
                insert(input, at, &piece.repeat(times.min(room)));
            }
            9 => {
                let other = corpus.choose(&mut self.rng).cloned().unwrap_or_default();
                let piece = other.get(self.range(other.len())).unwrap_or_default();
                insert(input, at, piece);
            }
            10 => self.move_line(input),
            _ => self.number(input),
        }
    }

    fn flip(&mut self, input: &mut [u8]) {
        let bit = self.rng.random_range(0..8_u32);
        if let Some(byte) = self.one(input) {
            *byte ^= 1 << bit;
        }
    }

    fn set(&mut self, input: &mut [u8]) {
        let value = self.rng.random();
        if let Some(byte) = self.one(input) {
            *byte = value;
        }
    }

    fn one<'a>(&mut self, input: &'a mut [u8]) -> Option<&'a mut u8> {
        let at = self.rng.random_range(0..input.len().max(1));
        input.get_mut(at)
    }

    /// A stretch, more often a short one.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let from = self.rng.random_range(0..=length);
        let most = 1_usize << self.rng.random_range(0..12_u32);
        from..length.min(from + self.rng.random_range(0..=most))
    }

    /// Puts one line somewhere else, or takes it out.
    fn move_line(&mut self, input: &mut Vec<u8>) {
        let mut lines: Vec<Vec<u8>> = input.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        let line = lines.remove(self.rng.random_range(0..lines.len()));
        if self.rng.random_bool(0.8) {
            lines.insert(self.rng.random_range(0..=lines.len()), line);
        }
        *input = lines.join(&b'\n');
    }

    /// Replaces a run of digits by another number.
    fn number(&mut self, input: &mut Vec<u8>) {
        let starts: Vec<usize> = (0..input.len())
            .filter(|at| {
                let digit = |at: usize| input.get(at).is_some_and(u8::is_ascii_digit);
                digit(*at) && !at.checked_sub(1).is_some_and(digit)
            })
            .collect();
        let Some(from) = starts.choose(&mut self.rng).copied() else {
            return;
        };
        let rest = input.get(from..).unwrap_or_default();
        let length = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let value: u64 = match self.rng.random_range(0..4_u32) {
            0 => self.rng.random_range(0..300),
            1 => u64::MAX,
            2 => 1 << self.rng.random_range(0..64_u32),
            _ => self.rng.random(),
        };
        drop(input.splice(from..from + length, value.to_string().into_bytes()));
    }
}

fn insert(input: &mut Vec<u8>, at: usize, piece: &[u8]) {
    drop(input.splice(at..at, piece.iter().copied()));
}
