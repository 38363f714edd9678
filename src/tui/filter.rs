//! The filter prompt: the text being typed, the last sound expression, and where a mistake is.
//!
//! A bad expression never hides rows: the last one that could be read stays in force.

use std::str::FromStr;

use tui_input::Input;

use crate::domain::selector::{Filter, FilterError, Row};

/// A filter as typed, and as applied.
#[derive(Debug, Clone, Default)]
pub struct FilterLine<F = Filter> {
    /// What is in the prompt.
    pub input: Input,
    /// Whether the prompt is open.
    pub editing: bool,
    /// What was there when the prompt was opened, for going back.
    before: String,
    applied: Option<F>,
    /// The mistake in what is typed now.
    pub mistake: Option<Mistake>,
}

/// Where an expression is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Byte position in the expression.
    pub at: usize,
    /// Why.
    pub message: String,
}

impl<F: FromStr<Err = FilterError>> FilterLine<F> {
    /// Opens the prompt.
    pub fn open(&mut self) {
        self.editing = true;
        self.input.value().clone_into(&mut self.before);
    }

    /// Closes it and keeps what is in force.
    pub fn accept(&mut self) {
        self.editing = false;
    }

    /// Closes it and goes back to what was there before.
    pub fn cancel(&mut self) {
        let before = std::mem::take(&mut self.before);
        self.set(&before);
        self.editing = false;
    }

    /// Replaces the expression.
    pub fn set(&mut self, text: &str) {
        self.input = Input::new(text.to_owned());
        self.read();
    }

    /// Reads the expression again after it was edited; returns whether rows may have changed.
    pub fn read(&mut self) -> bool {
        let text = self.input.value();
        if text.trim().is_empty() {
            self.mistake = None;
            return self.applied.take().is_some();
        }
        match text.parse::<F>() {
            Ok(filter) => {
                self.applied = Some(filter);
                self.mistake = None;
                true
            }
            Err(error) => {
                self.mistake = Some(Mistake {
                    at: error.at,
                    message: error.message,
                });
                false
            }
        }
    }

    /// Returns whether anything is filtered away.
    pub const fn is_active(&self) -> bool {
        self.applied.is_some()
    }

    /// Returns the text of the prompt.
    pub fn text(&self) -> &str {
        self.input.value()
    }

    /// Returns what is in force; `None` = nothing is filtered away.
    pub const fn applied(&self) -> Option<&F> {
        self.applied.as_ref()
    }
}

impl FilterLine {
    /// Returns whether a VM stays.
    pub fn keeps(&self, row: &Row<'_>) -> bool {
        self.applied
            .as_ref()
            .is_none_or(|filter| filter.matches(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_back_restores_what_was_there() {
        let mut line = FilterLine::<Filter>::default();
        line.set("web");
        line.open();
        line.set("web state:stopped");
        line.cancel();
        assert_eq!(line.text(), "web");
        assert!(line.is_active() && !line.editing);
    }

    #[test]
    fn a_mistake_keeps_the_last_sound_expression() {
        let mut line = FilterLine::<Filter>::default();
        line.set("web");
        line.input = Input::new("web (".to_owned());
        assert!(!line.read());
        assert!(line.is_active());
        assert!(line.mistake.is_some());
        line.set("");
        assert!(!line.is_active());
        assert_eq!(line.mistake, None);
    }
}
