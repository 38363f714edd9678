//! Text as a filter compares it: without regard to case, and without allocating per row.

/// Text to look for. Keeps what was typed (for printing) and its lower-case form (for comparing).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needle {
    typed: String,
    lower: String,
    /// Whether `*` stands for any run of characters.
    glob: bool,
}

impl Needle {
    /// Takes text in which `*` is a wildcard.
    pub(super) fn pattern(typed: &str) -> Self {
        Self {
            glob: typed.contains('*'),
            ..Self::literal(typed)
        }
    }

    /// Takes text as it is.
    pub(super) fn literal(typed: &str) -> Self {
        Self {
            typed: typed.to_owned(),
            lower: typed.to_lowercase(),
            glob: false,
        }
    }

    pub(super) fn lower(&self) -> &str {
        &self.lower
    }

    /// Returns true when `text` holds this, or, with a wildcard, is this from end to end.
    pub(super) fn is_in(&self, text: &str) -> bool {
        if self.glob {
            glob(&self.lower, text)
        } else {
            contains(text, &self.lower)
        }
    }

    /// Returns true when `text` is this from end to end.
    pub(super) fn is(&self, text: &str) -> bool {
        if self.glob {
            glob(&self.lower, text)
        } else {
            folded(text).eq(self.lower.chars())
        }
    }

    /// Returns true when `text` begins with this, or, with a wildcard, is this.
    pub(super) fn begins(&self, text: &str) -> bool {
        if self.glob {
            glob(&self.lower, text)
        } else {
            starts(folded(text), &self.lower)
        }
    }

    /// Writes it so that it reads back as the same; `reserved` names words that need quotes.
    pub(super) fn print(
        &self,
        f: &mut std::fmt::Formatter<'_>,
        reserved: impl Fn(&str) -> bool,
    ) -> std::fmt::Result {
        let plain = |c: char| c.is_alphanumeric() || "-_.".contains(c) || (self.glob && c == '*');
        if self.typed.chars().all(plain) && !reserved(&self.lower) && !self.typed.is_empty() {
            return f.write_str(&self.typed);
        }
        if self.glob {
            // A wildcard cannot stand in quotes; what else it may hold reads back without them.
            return f.write_str(&self.typed);
        }
        write!(
            f,
            "\"{}\"",
            self.typed.replace('\\', "\\\\").replace('"', "\\\"")
        )
    }
}

/// The characters of `text`, lower-case.
pub(super) fn folded(text: &str) -> impl Iterator<Item = char> + Clone + '_ {
    text.chars().flat_map(char::to_lowercase)
}

fn starts(mut text: impl Iterator<Item = char>, lower: &str) -> bool {
    lower.chars().all(|wanted| text.next() == Some(wanted))
}

/// Looks for `lower` in `text` without regard to case.
fn contains(text: &str, lower: &str) -> bool {
    if lower.is_empty() {
        return true;
    }
    if text.is_ascii() && lower.is_ascii() {
        return text
            .as_bytes()
            .windows(lower.len())
            .any(|window| window.eq_ignore_ascii_case(lower.as_bytes()));
    }
    let mut from = folded(text);
    loop {
        if starts(from.clone(), lower) {
            return true;
        }
        if from.next().is_none() {
            return false;
        }
    }
}

/// Compares `text` with a lower-case pattern in which `*` stands for any run of characters. Goes
/// back to the last `*` only, so its time is bounded by the product of the lengths.
fn glob(pattern: &str, text: &str) -> bool {
    let mut wanted = pattern.chars();
    let mut seen = folded(text);
    let mut retry = None;
    loop {
        let mut after = wanted.clone();
        match after.next() {
            Some('*') => {
                retry = Some((after.clone(), seen.clone()));
                wanted = after;
                continue;
            }
            Some(c) => {
                let mut next = seen.clone();
                if next.next() == Some(c) {
                    (wanted, seen) = (after, next);
                    continue;
                }
            }
            None if seen.clone().next().is_none() => return true,
            None => {}
        }
        let Some((pattern_after, mut from)) = retry.take() else {
            return false;
        };
        if from.next().is_none() {
            return false;
        }
        wanted = pattern_after.clone();
        seen = from.clone();
        retry = Some((pattern_after, from));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_never_matters() {
        assert!(Needle::pattern("WEB").is_in("my-web-1"));
        assert!(Needle::pattern("straße").is_in("Große STRAßE"));
        assert!(Needle::pattern("Ж").is_in("жук"));
        assert!(!Needle::pattern("web").is("web-1"));
        assert!(Needle::pattern("6C09").begins("6c09bb55"));
    }

    proptest! {
        #[test]
        fn wildcards_agree_with_the_policy_s(pattern in "[ab*]{0,8}", text in "[ab]{0,12}") {
            prop_assert_eq!(glob(&pattern, &text), crate::domain::policy::glob(&pattern, &text));
        }

        #[test]
        fn containing_agrees_with_lower_case_copies(needle in "[aBж]{0,3}", text in "[AbЖ]{0,9}") {
            let plain = text.to_lowercase().contains(&needle.to_lowercase());
            prop_assert_eq!(contains(&text, &needle.to_lowercase()), plain);
        }
    }
}
