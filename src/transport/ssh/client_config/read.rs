//! Reads files of client configuration into entries, with their includes. Knows no host.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::ClientConfigError;
use crate::transport::ssh::pattern::Name;

/// Bytes of one file that are read.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Includes inside includes.
const MAX_DEPTH: usize = 16;

/// Files read in all.
const MAX_FILES: usize = 64;

/// Paths that one pattern may stand for on the way to its files.
const MAX_FOUND: usize = 1024;

/// Bytes of a host's name.
const MAX_NAME: usize = 255;

/// A line that means something.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Host(Vec<String>),
    MatchAll,
    MatchOther(String),
    Set { keyword: String, args: Vec<String> },
    Include(Vec<Entry>),
}

/// Adds the concrete names of `Host` lines that were not there before, in order.
pub(super) fn collect_aliases<'a>(
    entries: &'a [Entry],
    seen: &mut HashSet<&'a str>,
    names: &mut Vec<String>,
) {
    for entry in entries {
        match entry {
            Entry::Host(patterns) => {
                for name in patterns {
                    let concrete = !name.contains(['*', '?', '!']) && !name.starts_with('-');
                    // Longer than any name can be: nothing is called like that.
                    let concrete = concrete && name.len() <= MAX_NAME;
                    if concrete && seen.insert(name) {
                        names.push(name.clone());
                    }
                }
            }
            Entry::Include(included) => collect_aliases(included, seen, names),
            Entry::MatchAll | Entry::MatchOther(_) | Entry::Set { .. } => {}
        }
    }
}

/// Reads files, within bounds.
pub(super) struct Reader<'a> {
    pub(super) home: &'a Path,
    pub(super) files: usize,
}

impl Reader<'_> {
    /// Reads one file; `None` when it does not exist.
    pub(super) fn file(
        &mut self,
        path: &Path,
        base: &Path,
        depth: usize,
    ) -> Result<Option<Vec<Entry>>, ClientConfigError> {
        let unreadable = |reason: String| ClientConfigError::Unreadable {
            path: path.to_owned(),
            reason,
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error.to_string())),
        };
        self.files += 1;
        if depth > MAX_DEPTH || self.files > MAX_FILES {
            return Err(ClientConfigError::TooMany {
                path: path.to_owned(),
            });
        }
        let mut bytes = Vec::new();
        match file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes) {
            Ok(_) => {}
            // A pattern may find directories beside its files.
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => return Ok(None),
            Err(error) => return Err(unreadable(error.to_string())),
        }
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
            return Err(unreadable("it is larger than 4 MiB".to_owned()));
        }
        self.text(&String::from_utf8_lossy(&bytes), path, base, depth)
            .map(Some)
    }

    /// Reads the text of a file.
    pub(super) fn text(
        &mut self,
        text: &str,
        path: &Path,
        base: &Path,
        depth: usize,
    ) -> Result<Vec<Entry>, ClientConfigError> {
        let mut entries = Vec::new();
        for (index, line) in text.split('\n').enumerate() {
            let words = split_line(line).map_err(|reason| ClientConfigError::Line {
                path: path.to_owned(),
                line: index + 1,
                reason,
            })?;
            if let Some((keyword, args)) = words {
                entries.push(self.entry(keyword, args, base, depth)?);
            }
        }
        Ok(entries)
    }

    fn entry(
        &mut self,
        keyword: String,
        args: Vec<String>,
        base: &Path,
        depth: usize,
    ) -> Result<Entry, ClientConfigError> {
        Ok(match keyword.as_str() {
            "host" => Entry::Host(args),
            "match" if args.len() == 1 && args.first().is_some_and(|word| word == "all") => {
                Entry::MatchAll
            }
            "match" => Entry::MatchOther(args.join(" ")),
            "include" => {
                let mut included = Vec::new();
                for pattern in &args {
                    for path in self.find(pattern, base)? {
                        if let Some(entries) = self.file(&path, base, depth + 1)? {
                            // Each file starts from the state of the line that includes it.
                            included.push(Entry::Include(entries));
                        }
                    }
                }
                Entry::Include(included)
            }
            _ => Entry::Set { keyword, args },
        })
    }

    /// Finds the files of an `Include`, sorted.
    fn find(&self, pattern: &str, base: &Path) -> Result<Vec<PathBuf>, ClientConfigError> {
        let pattern = match pattern.strip_prefix("~/") {
            Some(rest) => self.home.join(rest),
            None => base.join(pattern),
        };
        let mut found = vec![PathBuf::new()];
        for part in pattern.components() {
            let text = part.as_os_str().to_string_lossy();
            let wild = text.contains(['*', '?']);
            found = found
                .into_iter()
                .flat_map(|dir| {
                    if wild {
                        children(&dir, &text)
                    } else {
                        vec![dir.join(part)]
                    }
                })
                .take(MAX_FOUND + 1)
                .collect();
            if found.len() > MAX_FOUND {
                return Err(ClientConfigError::TooMany { path: pattern });
            }
        }
        Ok(found)
    }
}

/// Entries of a directory that match; names with a leading dot only when the pattern has one.
fn children(dir: &Path, pattern: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            (pattern.starts_with('.') || !name.starts_with('.'))
                && Name::new(name.as_bytes()).matches(pattern.bytes())
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// Splits a line into its keyword, in lower case, and its words; `None` for blanks and comments.
pub(super) fn split_line(line: &str) -> Result<Option<(String, Vec<String>)>, &'static str> {
    let line = line.trim_matches([' ', '\t', '\r', '\u{c}']);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let end = line.find([' ', '\t', '=']).unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start_matches([' ', '\t']);
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    Ok(Some((keyword.to_ascii_lowercase(), split_words(rest)?)))
}

/// Splits words as OpenSSH does: both quotes, a few escapes, `#` at the start of a word ends the line.
fn split_words(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        match chars.peek() {
            None | Some('#') => return Ok(words),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(c) = chars.next() {
            match (c, quote) {
                ('\\', _) => {
                    let escaped = |next: &char| {
                        matches!(next, '\'' | '"' | '\\') || (quote.is_none() && *next == ' ')
                    };
                    word.push(chars.next_if(escaped).unwrap_or('\\'));
                }
                (' ' | '\t', None) => break,
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                (c, _) => word.push(c),
            }
        }
        if quote.is_some() {
            return Err("a quote is not closed");
        }
        words.push(word);
    }
}
