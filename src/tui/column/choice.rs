//! Which of the columns in the middle are shown, and in which order. A person's choice is the normal set;
//! the wide set is that and all the others.

use super::{COLUMNS, Column, ColumnId, Place};

/// The columns a person wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    chosen: Vec<ColumnId>,
    /// With all the others.
    pub wide: bool,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            chosen: movable()
                .filter(|column| !column.wide)
                .map(|column| column.id)
                .collect(),
            wide: false,
        }
    }
}

/// The columns that can be chosen and moved.
fn movable() -> impl Iterator<Item = &'static Column> {
    COLUMNS
        .iter()
        .filter(|column| column.place == Place::Middle)
}

impl Columns {
    /// Returns the chosen columns in their order, then all the others in that of the table.
    pub fn all(&self) -> Vec<(&'static Column, bool)> {
        let chosen = self.chosen.iter().filter_map(|id| id.column());
        let others = movable().filter(|column| !self.chosen.contains(&column.id));
        chosen
            .map(|column| (column, true))
            .chain(others.map(|column| (column, false)))
            .collect()
    }

    /// Returns the columns between those that are always there.
    pub fn shown(&self) -> Vec<&'static Column> {
        self.all()
            .into_iter()
            .filter(|(_, chosen)| *chosen || self.wide)
            .map(|(column, _)| column)
            .collect()
    }

    /// Returns whether a column can be seen at all.
    pub fn shows(&self, column: &Column) -> bool {
        column.place != Place::Middle || self.wide || self.chosen.contains(&column.id)
    }

    /// Chooses a column, or gives it up.
    pub fn toggle(&mut self, id: ColumnId) {
        match self.chosen.iter().position(|chosen| *chosen == id) {
            Some(at) => drop(self.chosen.remove(at)),
            None => self.chosen.push(id),
        }
    }

    /// Moves a chosen column one place to the left or to the right; returns whether it moved.
    pub fn shift(&mut self, id: ColumnId, right: bool) -> bool {
        let Some(at) = self.chosen.iter().position(|chosen| *chosen == id) else {
            return false;
        };
        let other = if right {
            at.checked_add(1).filter(|to| *to < self.chosen.len())
        } else {
            at.checked_sub(1)
        };
        other.is_some_and(|to| {
            self.chosen.swap(at, to);
            true
        })
    }

    /// Goes back to the columns of a new profile.
    pub fn reset(&mut self) {
        self.chosen = Self::default().chosen;
    }

    /// Returns the choice as words, to be kept.
    pub fn words(&self) -> String {
        let words: Vec<&str> = self.chosen.iter().map(|id| id.word()).collect();
        words.join(" ")
    }

    /// Reads a choice that was kept; a column that does not exist any more is left out.
    pub fn choose(&mut self, words: &str) {
        self.chosen.clear();
        for word in words.split_whitespace() {
            let found = movable().find(|column| column.id.word() == word);
            if let Some(column) = found.filter(|column| !self.chosen.contains(&column.id)) {
                self.chosen.push(column.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(columns: &Columns) -> Vec<&'static str> {
        columns.shown().iter().map(|column| column.title).collect()
    }

    #[test]
    fn a_choice_can_be_kept_and_found_again() {
        let mut columns = Columns::default();
        columns.toggle(ColumnId::Uptime);
        columns.toggle(ColumnId::Os);
        assert!(columns.shift(ColumnId::Os, false));
        let mut again = Columns::default();
        again.choose(&columns.words());
        assert_eq!(again, columns);
        assert_eq!(titles(&columns), ["HV", "CPU%", "MEM", "IP", "OS", "SNAP"]);
    }

    #[test]
    fn nothing_chosen_is_a_choice_too() {
        let mut columns = Columns::default();
        columns.choose("");
        assert_eq!(titles(&columns), [""; 0]);
        columns.wide = true;
        assert_eq!(titles(&columns).len(), movable().count());
    }

    #[test]
    fn words_of_another_version_do_no_harm() {
        let mut columns = Columns::default();
        columns.choose("cpu name nonsense cpu memory");
        assert_eq!(titles(&columns), ["CPU%", "MEM"]);
    }

    #[test]
    fn a_column_stops_at_the_ends() {
        let mut columns = Columns::default();
        columns.choose("cpu memory");
        assert!(!columns.shift(ColumnId::Cpu, false));
        assert!(!columns.shift(ColumnId::Memory, true));
        assert!(!columns.shift(ColumnId::Os, true), "it is not chosen");
    }

    #[test]
    fn every_column_has_a_word_of_its_own() {
        for column in COLUMNS {
            let twins = COLUMNS
                .iter()
                .filter(|other| other.id.word() == column.id.word());
            assert_eq!(twins.count(), 1, "{}", column.title);
            assert_eq!(ColumnId::of_word(column.id.word()), Some(column.id));
        }
    }
}
