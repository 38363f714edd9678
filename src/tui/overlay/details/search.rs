//! The search in the lines of a tab: what is looked for, which lines have it, and where in a line it is.
//! Capitals and small letters are the same.

use std::ops::Range;

use tui_input::Input;

use crate::tui::overlay::document::Line;

/// A search.
#[derive(Debug, Default)]
pub struct Search {
    /// What is typed.
    pub input: Input,
    /// Whether it is being typed.
    pub editing: bool,
    /// What was looked for before it was typed anew, and the line that was meant.
    before: (String, Option<usize>),
    /// The first line that was seen then.
    top: usize,
    /// The line from which on it is looked for.
    origin: usize,
    /// The lines that have it.
    found: Vec<usize>,
    /// Which of them is meant.
    at: usize,
}

impl Search {
    /// Begins to type, from the first line that is seen.
    pub fn open(&mut self, top: usize) {
        self.before = (self.input.value().to_owned(), self.line());
        self.input = Input::default();
        self.top = top;
        self.origin = top;
        self.editing = true;
    }

    /// Goes back to what was looked for before, to be followed by [`Self::look`]; returns the first line that
    /// was seen then.
    pub fn cancel(&mut self) -> usize {
        self.editing = false;
        let (wanted, line) = std::mem::take(&mut self.before);
        self.input = Input::new(wanted);
        self.origin = line.unwrap_or(self.top);
        self.top
    }

    /// Returns what is looked for; nothing while that is empty.
    pub fn wanted(&self) -> Option<&str> {
        Some(self.input.value()).filter(|text| !text.is_empty())
    }

    /// Looks through the lines; what is meant is the first that has it from the origin on, or else the first.
    pub fn look(&mut self, lines: &[Line]) {
        self.found.clear();
        if let Some(wanted) = self.wanted().map(fold) {
            let has = |line: &Line| {
                line.iter()
                    .any(|(text, _)| !places(text, &wanted).is_empty())
            };
            let numbers = lines.iter().enumerate().filter(|(_, line)| has(line));
            self.found = numbers.map(|(at, _)| at).collect();
        }
        let first = self.found.iter().position(|line| *line >= self.origin);
        self.at = first.unwrap_or(0);
    }

    /// Goes to the next of the lines that have it, or to the one before; around the ends.
    pub fn step(&mut self, forth: bool) {
        let count = self.found.len();
        let by = if forth { 1 } else { count.saturating_sub(1) };
        self.at = (self.at + by).checked_rem(count).unwrap_or(0);
        self.origin = self.line().unwrap_or(self.origin);
    }

    /// Returns the line that is meant.
    pub fn line(&self) -> Option<usize> {
        self.found.get(self.at).copied()
    }

    /// Returns which of how many lines is meant: `2 of 7`.
    pub fn standing(&self) -> Option<String> {
        self.wanted()?;
        Some(match self.found.len() {
            0 => "not found".to_owned(),
            count => format!("{} of {count}", self.at + 1),
        })
    }

    /// Returns where in a text it is, in bytes.
    pub fn places(&self, text: &str) -> Vec<Range<usize>> {
        self.wanted()
            .map(|wanted| places(text, &fold(wanted)))
            .unwrap_or_default()
    }
}

fn fold(text: &str) -> Vec<char> {
    text.chars().map(small).collect()
}

/// One letter for one letter, so that places stay where they are.
fn small(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

fn places(text: &str, wanted: &[char]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if wanted.is_empty() {
        return found;
    }
    let letters: Vec<(usize, char)> = text.char_indices().map(|(at, c)| (at, small(c))).collect();
    let mut at = 0;
    while let Some(window) = letters.get(at..at + wanted.len()) {
        let start = window.first().map(|(start, _)| *start);
        let hit = window.iter().map(|(_, c)| c).eq(wanted);
        at += if hit { wanted.len() } else { 1 };
        if let (true, Some(start)) = (hit, start) {
            let end = letters.get(at).map_or(text.len(), |(end, _)| *end);
            found.push(start..end);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tui::theme::Role;

    fn search(wanted: &str, origin: usize, lines: &[&str]) -> Search {
        let mut search = Search::default();
        search.open(origin);
        search.input = Input::new(wanted.to_owned());
        let lines: Vec<Line> = lines
            .iter()
            .map(|text| vec![((*text).to_owned(), Role::Text)])
            .collect();
        search.look(&lines);
        search
    }

    #[test]
    fn the_first_hit_is_the_next_one_seen_and_the_ends_are_joined() {
        let lines = ["Disk", "nic", "DISK disk", "disk"];
        let mut search = search("disk", 1, &lines);
        assert_eq!(
            (search.line(), search.standing().unwrap()),
            (Some(2), "2 of 3".to_owned())
        );
        search.step(true);
        search.step(true);
        assert_eq!(search.line(), Some(0));
        search.step(false);
        assert_eq!(search.line(), Some(3));
        assert_eq!(search.places("DISK disk"), [0..4, 5..9]);
    }

    #[test]
    fn what_is_not_there_is_said_and_goes_nowhere() {
        let mut none = search("x", 0, &["abc"]);
        none.step(true);
        assert_eq!(
            (none.line(), none.standing().unwrap()),
            (None, "not found".to_owned())
        );
        assert_eq!(search("", 0, &["abc"]).standing(), None);
    }

    #[test]
    fn never_mind_brings_back_what_was_looked_for() {
        let mut search = search("b", 0, &["abc"]);
        search.open(7);
        search.input = Input::new("other".to_owned());
        assert_eq!(search.cancel(), 7);
        assert_eq!(search.wanted(), Some("b"));
    }

    proptest! {
        #[test]
        fn places_are_pieces_of_the_text(text in "\\PC{0,40}", wanted in "\\PC{0,3}") {
            for place in places(&text, &fold(&wanted)) {
                let hit = text.get(place).unwrap();
                prop_assert_eq!(fold(hit), fold(&wanted));
            }
        }
    }
}
