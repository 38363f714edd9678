//! `RemoteText`: the only way bytes from a remote host become something a person sees.
//!
//! Everything a host says (VM names, error text, banners) is hostile until it has been through here.
//! The shown form holds no control, bidirectional or zero-width character; what was there stays
//! visible as a substitute, so that a trick is seen and not hidden. The raw form is kept beside it for
//! the two uses that need it: comparing a typed name, and lossless JSON (written by `crate::json`).
//! This module must not know any sink; sinks escape further for their own grammar.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Bytes of one remote text that are kept; the rest is cut and marked. Longer than any name a
/// hypervisor allows, short enough that ten thousand of them cannot hurt.
pub const MAX_TEXT_BYTES: usize = 8 * 1024;

/// Combining marks kept on one base character; more only serve to draw over the lines above.
const MAX_COMBINING_MARKS: usize = 3;

/// Text that came from a remote host, safe to show.
///
/// Cloning is cheap. `Display` and `Debug` print the shown form, never the raw one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RemoteText {
    raw: Arc<str>,
    /// `None` when the raw form is already safe, which is nearly always.
    shown: Option<Arc<str>>,
}

impl RemoteText {
    /// Takes text as it came; anything over [`MAX_TEXT_BYTES`] is cut at a character boundary.
    pub fn new(text: &str) -> Self {
        let kept = cut_at_boundary(text, MAX_TEXT_BYTES);
        let raw: Arc<str> = if kept.len() == text.len() {
            Arc::from(text)
        } else {
            Arc::from(format!("{kept}…"))
        };
        let shown = make_visible(&raw).map(Arc::from);
        Self { raw, shown }
    }

    /// Takes bytes as they came; what is not UTF-8 becomes U+FFFD.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let end = bytes.len().min(MAX_TEXT_BYTES * 2);
        Self::new(&String::from_utf8_lossy(bytes.get(..end).unwrap_or(bytes)))
    }

    /// Returns the form that may be shown to a person.
    pub fn shown(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.raw)
    }

    /// Returns the text exactly as the host sent it. Never print it: only compare it, or hand it to
    /// `crate::json`, which escapes what a terminal would act on.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// Returns true when the host sent nothing.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Returns the shown form in at most `columns` terminal columns, cut in the middle because the
    /// ends of names are where they differ.
    pub fn fit(&self, columns: usize) -> String {
        fit_middle(self.shown(), columns)
    }

    /// Returns only the first line of the text, for one-line messages.
    #[must_use]
    pub fn first_line(&self) -> Self {
        Self::new(
            self.raw
                .lines()
                .find(|line| !line.trim().is_empty())
                .unwrap_or("")
                .trim(),
        )
    }
}

impl fmt::Display for RemoteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.shown())
    }
}

impl fmt::Debug for RemoteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown())
    }
}

impl From<&str> for RemoteText {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for RemoteText {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl Serialize for RemoteText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.raw)
    }
}

impl<'de> Deserialize<'de> for RemoteText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(&String::deserialize(deserializer)?))
    }
}

/// Cuts `text` in the middle so that it takes at most `columns` terminal columns.
pub fn fit_middle(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    if columns <= 1 {
        return "…".repeat(columns);
    }
    let tail_room = (columns - 1) / 2;
    let head_room = columns - 1 - tail_room;
    let head = take_columns(text.chars(), head_room);
    let tail: String = take_columns(text.chars().rev(), tail_room)
        .chars()
        .rev()
        .collect();
    format!("{head}…{tail}")
}

/// Returns true for a character that acts on a terminal or on the order or presence of its
/// neighbours: C0, DEL, C1, bidirectional controls, zero-width and other invisible format characters.
pub fn is_hostile(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

fn take_columns(chars: impl Iterator<Item = char>, room: usize) -> String {
    let mut taken = String::new();
    let mut used = 0;
    for c in chars {
        let width = c.width().unwrap_or(0);
        if used + width > room {
            break;
        }
        used += width;
        taken.push(c);
    }
    taken
}

fn cut_at_boundary(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}

/// Returns the visible form, or `None` when the text is safe as it is.
fn make_visible(raw: &str) -> Option<String> {
    if raw.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return None;
    }
    let mut shown = String::with_capacity(raw.len() + 16);
    let mut marks = 0;
    for c in raw.chars() {
        if is_hostile(c) {
            marks = 0;
            push_substitute(&mut shown, c);
        } else if c.width() == Some(0) {
            marks += 1;
            if marks <= MAX_COMBINING_MARKS {
                shown.push(c);
            }
        } else {
            marks = 0;
            shown.push(c);
        }
    }
    (shown != raw).then_some(shown)
}

fn push_substitute(shown: &mut String, c: char) {
    let code = u32::from(c);
    match c {
        '\u{0}'..='\u{1f}' => shown.extend(char::from_u32(0x2400 + code)),
        '\u{7f}' => shown.push('␡'),
        '\u{80}'..='\u{9f}' => shown.extend(format!("\\x{code:02x}").chars()),
        '\u{202a}' => shown.push_str("⟦LRE⟧"),
        '\u{202b}' => shown.push_str("⟦RLE⟧"),
        '\u{202c}' => shown.push_str("⟦PDF⟧"),
        '\u{202d}' => shown.push_str("⟦LRO⟧"),
        '\u{202e}' => shown.push_str("⟦RLO⟧"),
        '\u{2066}' => shown.push_str("⟦LRI⟧"),
        '\u{2067}' => shown.push_str("⟦RLI⟧"),
        '\u{2068}' => shown.push_str("⟦FSI⟧"),
        '\u{2069}' => shown.push_str("⟦PDI⟧"),
        // Variation selectors and joiners change how a neighbour looks, not what it says.
        '\u{fe00}'..='\u{fe0f}' => {}
        _ => shown.extend(format!("⟦{code:04X}⟧").chars()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_text_is_kept_as_it_is() {
        let text = RemoteText::new("web-1 (старый) 日本");
        assert_eq!(text.shown(), "web-1 (старый) 日本");
        assert_eq!(text.raw(), text.shown());
    }

    #[test]
    fn escape_sequences_become_visible() {
        let text = RemoteText::new("a\u{1b}[31mred\u{9b}2J\u{7}");
        assert_eq!(text.shown(), "a␛[31mred\\x9b2J␇");
        assert_eq!(text.raw(), "a\u{1b}[31mred\u{9b}2J\u{7}");
    }

    #[test]
    fn bidi_and_zero_width_characters_are_named() {
        assert_eq!(
            RemoteText::new("a\u{202e}b\u{200b}c").shown(),
            "a⟦RLO⟧b⟦200B⟧c"
        );
    }

    #[test]
    fn every_character_that_acts_has_its_substitute() {
        let substitutes = [
            ('\u{0}', "␀"),
            ('\u{1f}', "␟"),
            ('\u{7f}', "␡"),
            ('\u{80}', "\\x80"),
            ('\u{9f}', "\\x9f"),
            ('\u{ad}', "⟦00AD⟧"),
            ('\u{202a}', "⟦LRE⟧"),
            ('\u{202b}', "⟦RLE⟧"),
            ('\u{202c}', "⟦PDF⟧"),
            ('\u{202d}', "⟦LRO⟧"),
            ('\u{202e}', "⟦RLO⟧"),
            ('\u{2066}', "⟦LRI⟧"),
            ('\u{2067}', "⟦RLI⟧"),
            ('\u{2068}', "⟦FSI⟧"),
            ('\u{2069}', "⟦PDI⟧"),
            ('\u{feff}', "⟦FEFF⟧"),
            ('\u{fe00}', ""),
            ('\u{fe0f}', ""),
            ('\u{e0001}', "⟦E0001⟧"),
        ];
        for (c, expected) in substitutes {
            let text = RemoteText::new(&format!("a{c}b"));
            assert_eq!(
                text.shown(),
                format!("a{expected}b"),
                "{:04X}",
                u32::from(c)
            );
            assert_eq!(format!("{text:?}"), format!("{:?}", text.shown()));
        }
    }

    #[test]
    fn what_is_kept_has_an_exact_length() {
        let whole = "a".repeat(8192);
        assert_eq!(RemoteText::new(&whole).raw(), whole);
        assert_eq!(RemoteText::from_bytes(whole.as_bytes()).raw(), whole);
        assert_eq!(
            RemoteText::new(&format!("{whole}a")).raw(),
            format!("{whole}…")
        );
    }

    #[test]
    fn the_first_line_is_the_first_that_says_something() {
        let first = |text: &str| RemoteText::new(text).first_line().raw().to_owned();
        assert_eq!(first("one\n\ntwo"), "one");
        assert_eq!(first("\n  \n two \nthree"), "two");
        assert_eq!(first(" \n"), "");
        assert!(RemoteText::new("").is_empty());
        assert!(!RemoteText::new(" ").is_empty());
    }

    #[test]
    fn json_keeps_what_came_and_shows_what_is_safe() {
        let text = RemoteText::from("a\u{1b}b".to_owned());
        let json = serde_json::to_string(&text).unwrap();
        let back: RemoteText = serde_json::from_str(&json).unwrap();
        assert_eq!((back.raw(), back.shown()), ("a\u{1b}b", "a␛b"));
        assert_eq!(format!("{text:>5}|{text:<5}"), "  a␛b|a␛b  ");
    }

    #[test]
    fn a_tower_of_marks_is_cut() {
        // What is not a mark begins a tower of its own.
        let marks = "\u{301}".repeat(3);
        assert_eq!(
            RemoteText::new(&format!("a{marks}b{marks}\u{7}{marks}")).shown(),
            format!("a{marks}b{marks}␇{marks}")
        );
        let tower = format!("a{}b", "\u{301}".repeat(40));
        assert_eq!(RemoteText::new(&tower).shown(), "a\u{301}\u{301}\u{301}b");
    }

    #[test]
    fn long_text_is_cut_in_the_middle_for_display() {
        assert_eq!(
            RemoteText::new("production-database-07").fit(11),
            "produ…se-07"
        );
        assert_eq!(
            RemoteText::new("production-database-07").fit(10),
            "produ…e-07"
        );
        assert_eq!(RemoteText::new("日本語日本語").fit(5), "日…語");
        assert_eq!(RemoteText::new("日本語日本語").fit(7), "日…語");
        assert_eq!(RemoteText::new("日本語日本語").fit(12), "日本語日本語");
        assert_eq!(RemoteText::new("abc").fit(2), "a…");
        assert_eq!(RemoteText::new("ab").fit(1), "…");
        assert_eq!(RemoteText::new("ab").fit(0), "");
    }

    #[test]
    fn a_character_that_does_not_fit_whole_is_left_out() {
        let cuts = [
            (0, ""),
            (1, "a"),
            (2, "a"),
            (3, "aé"),
            (5, "aé"),
            (6, "aé€"),
            (9, "aé€"),
        ];
        for (limit, kept) in cuts {
            assert_eq!(cut_at_boundary("aé€", limit), kept, "{limit}");
        }
    }

    #[test]
    fn a_flood_is_cut_at_a_character_boundary() {
        let flood = "é".repeat(MAX_TEXT_BYTES);
        let text = RemoteText::new(&flood);
        assert!(text.raw().len() <= MAX_TEXT_BYTES + '…'.len_utf8());
        assert!(text.raw().ends_with('…'));
    }

    #[test]
    fn invalid_bytes_are_replaced_not_dropped() {
        assert_eq!(RemoteText::from_bytes(b"a\xffb").shown(), "a\u{fffd}b");
    }

    proptest! {
        #[test]
        fn the_shown_form_never_holds_a_hostile_character(raw in "\\PC*|.{0,40}") {
            let text = RemoteText::new(&raw);
            prop_assert!(!text.shown().chars().any(is_hostile));
        }

        #[test]
        fn fitting_never_takes_more_columns_than_given(raw in ".{0,60}", columns in 0usize..40) {
            prop_assert!(RemoteText::new(&raw).fit(columns).width() <= columns);
        }
    }
}
