//! Which key runs which command in which context: the defaults of the command table, and what a person
//! has changed in the configuration.

use std::collections::{BTreeMap, HashMap};

use crossterm::event::KeyEvent;

use super::command::{Command, Context, commands};
use super::key::{KeyError, KeyPress};
use crate::domain::text::RemoteText;

/// What is wrong with the keys of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    /// A command that does not exist.
    #[error("there is no command `{name}` (did you mean `{nearest}`?)")]
    UnknownCommand {
        /// As written.
        name: String,
        /// The nearest one that does.
        nearest: String,
    },
    /// A key that does not exist.
    #[error("the keys of `{command}` cannot be read: {source}")]
    Key {
        /// Whose.
        command: String,
        /// Why.
        source: KeyError,
    },
    /// A key that is taken.
    #[error("`{key}` is bound to both `{first}` and `{second}`")]
    Conflict {
        /// The key.
        key: String,
        /// One command.
        first: String,
        /// The other.
        second: String,
    },
}

impl KeymapError {
    /// Returns the commands that it is about, the one that was met last first.
    pub fn commands(&self) -> [Option<&str>; 2] {
        match self {
            Self::UnknownCommand { name, .. } => [Some(name), None],
            Self::Key { command, .. } => [Some(command), None],
            Self::Conflict { first, second, .. } => [Some(second), Some(first)],
        }
    }
}

/// Which key runs which command.
#[derive(Debug, Clone, Default)]
pub struct Keymap {
    bindings: HashMap<(Context, KeyPress), usize>,
    keys: HashMap<String, Vec<KeyPress>>,
}

impl Keymap {
    /// Reads the keys: those of the table, replaced by those of the configuration (command id -> keys).
    pub fn new(overrides: &BTreeMap<String, Vec<String>>) -> Result<Self, KeymapError> {
        for name in overrides.keys() {
            if !commands().iter().any(|command| command.id == *name) {
                return Err(KeymapError::UnknownCommand {
                    nearest: nearest(name),
                    name: RemoteText::new(name).fit(60),
                });
            }
        }
        let mut map = Self::default();
        for (at, command) in commands().iter().enumerate() {
            let written = overrides.get(&command.id).unwrap_or(&command.keys);
            map.bind(at, command, written)?;
        }
        Ok(map)
    }

    fn bind(
        &mut self,
        at: usize,
        command: &Command,
        written: &[String],
    ) -> Result<(), KeymapError> {
        let mut keys = Vec::with_capacity(written.len());
        for text in written {
            let key: KeyPress = text.parse().map_err(|source| KeymapError::Key {
                command: command.id.clone(),
                source,
            })?;
            for context in command.contexts {
                let earlier = self.bindings.insert((*context, key), at);
                if let Some(earlier) = earlier.filter(|earlier| *earlier != at) {
                    let name = |at: usize| commands().get(at).map_or("", |command| &command.id);
                    return Err(KeymapError::Conflict {
                        key: text.clone(),
                        first: name(earlier).to_owned(),
                        second: command.id.clone(),
                    });
                }
            }
            keys.push(key);
        }
        self.keys.insert(command.id.clone(), keys);
        Ok(())
    }

    /// Finds the command of a key; the first context that knows it wins.
    pub fn find(&self, contexts: &[Context], event: &KeyEvent) -> Option<&'static Command> {
        self.bound(contexts, KeyPress::from_event(event)?)
    }

    /// Returns the command that has a key in one of these contexts.
    pub fn bound(&self, contexts: &[Context], key: KeyPress) -> Option<&'static Command> {
        contexts
            .iter()
            .find_map(|context| self.bindings.get(&(*context, key)))
            .and_then(|at| commands().get(*at))
    }

    /// Returns the keys of a command, for the help and the palette.
    pub fn keys_of(&self, command: &Command) -> String {
        let keys: Vec<String> = self
            .keys
            .get(&command.id)
            .into_iter()
            .flatten()
            .map(KeyPress::to_string)
            .collect();
        keys.join(" ")
    }

    /// Returns the first key of a command, for the footer.
    pub fn sign_of(&self, command: &Command, ascii: bool) -> Option<String> {
        let key = self.keys.get(&command.id)?.first()?;
        Some(if ascii { key.to_string() } else { key.sign() })
    }
}

fn nearest(name: &str) -> String {
    commands()
        .iter()
        .map(|command| &command.id)
        .min_by_key(|id| strsim::levenshtein(id, &RemoteText::new(name).fit(60)))
        .cloned()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(id: &str, keys: &[&str]) -> Result<Keymap, KeymapError> {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        Keymap::new(&BTreeMap::from([(id.to_owned(), keys)]))
    }

    fn found(map: &Keymap, contexts: &[Context], key: &str) -> Option<&'static str> {
        let press: KeyPress = key.parse().unwrap();
        map.find(contexts, &press.to_event())
            .map(|command| command.id.as_str())
    }

    #[test]
    fn the_table_has_no_conflicts() {
        Keymap::new(&BTreeMap::new()).unwrap();
    }

    #[test]
    fn the_first_context_wins() {
        let map = Keymap::new(&BTreeMap::new()).unwrap();
        let table = [Context::Vms, Context::List, Context::Global, Context::Base];
        assert_eq!(found(&map, &table, "S"), Some("act.shutdown"));
        assert_eq!(found(&map, &table, "j"), Some("list.down"));
        assert_eq!(found(&map, &table, "ctrl-l"), Some("app.redraw"));
        assert_eq!(found(&map, &[Context::Prompt, Context::Base], "S"), None);
        assert_eq!(found(&map, &[Context::Dialog], "y"), Some("dialog.accept"));
        assert_eq!(
            found(&map, &[Context::Dialog], "enter"),
            Some("dialog.cancel")
        );
    }

    #[test]
    fn a_person_may_change_keys() {
        let map = with("act.force-off", &["X"]).unwrap();
        assert_eq!(found(&map, &[Context::Vms], "X"), Some("act.force-off"));
        assert_eq!(found(&map, &[Context::Vms], "F"), None);
    }

    #[test]
    fn mistakes_are_named() {
        let error = with("act.force-off", &["S"]).unwrap_err().to_string();
        assert!(
            error.contains("act.force-off") && error.contains("act.shutdown"),
            "{error}"
        );
        let error = with("act.forceoff", &["X"]).unwrap_err().to_string();
        assert!(error.contains("act.force-off"), "{error}");
        assert!(matches!(
            with("vms.wide", &["hyper-x"]),
            Err(KeymapError::Key { .. })
        ));
    }
}
