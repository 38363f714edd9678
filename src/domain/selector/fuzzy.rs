//! Fuzzy matching: the letters in this order, anything between them. Decides, does not rank.

use super::text::folded;

/// Returns true when the characters of `lower` occur in `text` in this order.
pub(super) fn fits(lower: &str, text: &str) -> bool {
    let mut seen = folded(text);
    lower.chars().all(|wanted| seen.any(|c| c == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_in_order() {
        assert!(fits("wb1", "Web-01"));
        assert!(fits("", "x"));
        assert!(!fits("1w", "web-1"));
        assert!(!fits("ww", "web-1"));
    }
}
