//! `~/.ssh/config`: what the person has already told their SSH client about a host.
//!
//! Read once with everything it includes, then asked without touching the disk. The rules are OpenSSH's
//! (`readconf.c`) for the keywords used here, and are tested against `ssh -G`: the first value wins,
//! except that `IdentityFile` adds up; `Host` takes patterns with `*`, `?` and `!`; an `Include` inside a
//! block belongs to it. What is not understood is not guessed: `Match` other than `all`, `ProxyCommand`
//! and unknown tokens are left out and reported as notes. The environment is not read here: the home
//! directory and the account's name are given.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::known_hosts::matches_pattern;
use crate::domain::host::Jump;

/// Bytes of one file that are read.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Includes inside includes.
const MAX_DEPTH: usize = 16;

/// Files read in all.
const MAX_FILES: usize = 64;

/// Why the configuration cannot be used. Never partial: what stands later may matter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClientConfigError {
    /// A file cannot be read.
    #[error("the SSH configuration {path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A line is broken.
    #[error("the SSH configuration {path}, line {line}: {reason}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// It includes without end.
    #[error("the SSH configuration includes more than 64 files, or 16 deep, at {path}")]
    TooMany {
        /// Where the bound was met.
        path: PathBuf,
    },
}

/// Where the configuration is, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientPaths {
    /// The person's file, usually `~/.ssh/config`; need not exist.
    pub user: Option<PathBuf>,
    /// The machine's file, usually `/etc/ssh/ssh_config`; need not exist.
    pub system: Option<PathBuf>,
    /// The person's home directory.
    pub home: PathBuf,
    /// The person's account name here.
    pub local_user: String,
}

/// The configuration with everything it includes.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    files: Vec<Vec<Entry>>,
    home: PathBuf,
    local_user: String,
}

/// What the configuration says about one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedHost {
    /// The name that was asked for.
    pub alias: String,
    /// Where to dial.
    pub hostname: String,
    /// The port, when it says one.
    pub port: Option<u16>,
    /// The account, when it says one.
    pub user: Option<String>,
    /// Private keys named for the host, in order; empty leaves them to the caller's defaults.
    pub identity_files: Vec<PathBuf>,
    /// Use only those keys, even if the agent has more.
    pub identities_only: bool,
    /// Stops on the way as written, in dialling order; each may be an alias of its own.
    pub proxy_jump: Vec<Jump>,
    /// The person's files of known host keys.
    pub user_known_hosts: Vec<PathBuf>,
    /// The machine's files of known host keys.
    pub global_known_hosts: Vec<PathBuf>,
    /// Name its key is filed under, when not its address.
    pub host_key_alias: Option<String>,
    /// What was left out, one sentence each.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone)]
enum Entry {
    Host(Vec<String>),
    MatchAll,
    MatchOther(String),
    Set { keyword: String, args: Vec<String> },
    Include(Vec<Entry>),
}

impl ClientConfig {
    /// Reads the files and what they include. Blocks: call it from a blocking context.
    pub fn read(paths: &ClientPaths) -> Result<Self, ClientConfigError> {
        let mut reader = Reader {
            home: &paths.home,
            files: 0,
        };
        let ssh_dir = paths.home.join(".ssh");
        let mut files = Vec::new();
        let sources = [
            (&paths.user, ssh_dir.as_path()),
            (&paths.system, Path::new("/etc/ssh")),
        ];
        for (path, base) in sources {
            if let Some(path) = path
                && let Some(entries) = reader.file(path, base, 0)?
            {
                files.push(entries);
            }
        }
        Ok(Self {
            files,
            home: paths.home.clone(),
            local_user: paths.local_user.clone(),
        })
    }

    /// Returns the concrete names that `Host` lines define, in order, without patterns.
    pub fn aliases(&self) -> Vec<String> {
        let mut names = Vec::new();
        for entries in &self.files {
            collect_aliases(entries, &mut names);
        }
        names
    }

    /// Returns what OpenSSH would do about a host.
    pub fn resolve(&self, alias: &str) -> ResolvedHost {
        let mut values = Values::default();
        for entries in &self.files {
            let mut active = true;
            values.apply(entries, alias, &mut active, false);
        }
        self.expand(alias, values)
    }

    fn expand(&self, alias: &str, values: Values) -> ResolvedHost {
        let mut notes = values.notes;
        let hostname = match &values.hostname {
            None => alias.to_owned(),
            Some(text) => {
                let tokens = [('h', alias), ('n', alias)];
                expand_tokens(text, &tokens).unwrap_or_else(|token| {
                    notes.push(format!(
                        "HostName `{text}`: the token {token} is not supported"
                    ));
                    alias.to_owned()
                })
            }
        };
        // As OpenSSH has it: names are compared and filed in lower case.
        let hostname = hostname.to_ascii_lowercase();
        let host_key_alias = values.host_key_alias.map(|name| name.to_ascii_lowercase());
        let port = values.port.as_ref().and_then(|text| {
            let port = text.parse::<u16>().ok().filter(|port| *port > 0);
            if port.is_none() {
                notes.push(format!("Port `{text}` is no port"));
            }
            port
        });
        let user = values.user.clone();
        let home = self.home.to_string_lossy().into_owned();
        let port_text = port.unwrap_or(22).to_string();
        let tokens = [
            ('h', hostname.as_str()),
            ('n', alias),
            ('p', port_text.as_str()),
            ('r', user.as_deref().unwrap_or(&self.local_user)),
            ('u', self.local_user.as_str()),
            ('d', home.as_str()),
            ('k', host_key_alias.as_deref().unwrap_or(alias)),
        ];
        let mut path = |keyword: &str, text: &String| -> Option<PathBuf> {
            if text == "none" {
                return None;
            }
            match expand_path(text, &tokens, &self.home) {
                Ok(path) => Some(path),
                Err(what) => {
                    notes.push(format!("{keyword} `{text}`: {what} is not supported"));
                    None
                }
            }
        };
        let mut paths = |keyword: &str, texts: &Option<Vec<String>>, default: [&str; 2]| {
            let default = || default.map(str::to_owned).to_vec();
            let texts = texts.clone().unwrap_or_else(default);
            texts
                .iter()
                .filter_map(|text| path(keyword, text))
                .collect::<Vec<PathBuf>>()
        };
        let user_known_hosts = paths(
            "UserKnownHostsFile",
            &values.user_known_hosts,
            ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"],
        );
        let global_known_hosts = paths(
            "GlobalKnownHostsFile",
            &values.global_known_hosts,
            ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"],
        );
        let identity_files = values
            .identity_files
            .iter()
            .filter_map(|text| path("IdentityFile", text))
            .collect();
        let proxy_jump = parse_jumps(values.proxy_jump.as_deref(), &mut notes);
        ResolvedHost {
            alias: alias.to_owned(),
            hostname,
            port,
            user,
            identity_files,
            identities_only: values.identities_only.as_deref().is_some_and(is_yes),
            proxy_jump,
            user_known_hosts,
            global_known_hosts,
            host_key_alias,
            notes,
        }
    }
}

fn is_yes(text: &str) -> bool {
    text.eq_ignore_ascii_case("yes") || text.eq_ignore_ascii_case("true")
}

fn parse_jumps(text: Option<&str>, notes: &mut Vec<String>) -> Vec<Jump> {
    let Some(text) = text.filter(|text| !text.eq_ignore_ascii_case("none")) else {
        return Vec::new();
    };
    let mut jumps = Vec::new();
    for part in text.split(',') {
        let part = part.strip_prefix("ssh://").unwrap_or(part);
        match part.trim_end_matches('/').parse::<Jump>() {
            Ok(jump) => jumps.push(jump),
            Err(error) => {
                // Half a chain would lead somewhere else.
                notes.push(format!("ProxyJump `{text}` is left out: {error}"));
                return Vec::new();
            }
        }
    }
    jumps
}

/// Replaces `%x` tokens; the error is the token that is not known.
fn expand_tokens(text: &str, tokens: &[(char, &str)]) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            expanded.push(c);
            continue;
        }
        match chars.next() {
            Some('%') => expanded.push('%'),
            Some(token) => match tokens.iter().find(|(name, _)| *name == token) {
                Some((_, value)) => expanded.push_str(value),
                None => return Err(format!("%{token}")),
            },
            None => return Err("%".to_owned()),
        }
    }
    Ok(expanded)
}

/// Expands tokens and a leading `~/` in a path; relative paths are the working directory's, as OpenSSH
/// has it.
fn expand_path(text: &str, tokens: &[(char, &str)], home: &Path) -> Result<PathBuf, String> {
    if text.contains("${") {
        return Err("a variable of the environment".to_owned());
    }
    let (tilde, rest) = match text.strip_prefix("~/") {
        Some(rest) => (true, rest),
        None if text == "~" => (true, ""),
        None if text.starts_with('~') => return Err("another account's home".to_owned()),
        None => (false, text),
    };
    let expanded = expand_tokens(rest, tokens)?;
    Ok(if tilde {
        home.join(expanded)
    } else {
        PathBuf::from(expanded)
    })
}

/// Values as written; the first one stays.
#[derive(Debug, Default)]
struct Values {
    hostname: Option<String>,
    port: Option<String>,
    user: Option<String>,
    identity_files: Vec<String>,
    identities_only: Option<String>,
    proxy_jump: Option<String>,
    user_known_hosts: Option<Vec<String>>,
    global_known_hosts: Option<Vec<String>>,
    host_key_alias: Option<String>,
    notes: Vec<String>,
}

impl Values {
    /// Goes through a file; `never` is set inside an include of a block that does not apply.
    fn apply(&mut self, entries: &[Entry], alias: &str, active: &mut bool, never: bool) {
        for entry in entries {
            match entry {
                Entry::Host(patterns) => *active = !never && matches_host(patterns, alias),
                Entry::MatchAll => *active = !never,
                Entry::MatchOther(line) => {
                    *active = false;
                    if !never {
                        self.notes.push(format!(
                            "`Match {line}` is left out: only `Match all` is supported"
                        ));
                    }
                }
                Entry::Set { keyword, args } => {
                    if *active {
                        self.set(keyword, args);
                    }
                }
                Entry::Include(included) => {
                    let mut inside = *active;
                    self.apply(included, alias, &mut inside, never || !*active);
                }
            }
        }
    }

    fn set(&mut self, keyword: &str, args: &[String]) {
        let Some(first) = args.first() else { return };
        let slot = match keyword {
            "hostname" => &mut self.hostname,
            "port" => &mut self.port,
            "user" => &mut self.user,
            "identitiesonly" => &mut self.identities_only,
            "hostkeyalias" => &mut self.host_key_alias,
            "proxyjump" => &mut self.proxy_jump,
            "proxycommand" => {
                // Whichever of the two stands first is in force.
                if self.proxy_jump.is_none() {
                    if !first.eq_ignore_ascii_case("none") {
                        self.notes.push(
                            "ProxyCommand is left out: use ProxyJump, which needs no local command"
                                .to_owned(),
                        );
                    }
                    self.proxy_jump = Some("none".to_owned());
                }
                return;
            }
            "identityfile" => {
                if !self.identity_files.contains(first) {
                    self.identity_files.push(first.clone());
                }
                return;
            }
            "userknownhostsfile" => {
                self.user_known_hosts.get_or_insert_with(|| args.to_vec());
                return;
            }
            "globalknownhostsfile" => {
                self.global_known_hosts.get_or_insert_with(|| args.to_vec());
                return;
            }
            _ => return,
        };
        slot.get_or_insert_with(|| first.clone());
    }
}

fn matches_host(patterns: &[String], alias: &str) -> bool {
    let mut matched = false;
    for pattern in patterns {
        if let Some(pattern) = pattern.strip_prefix('!') {
            if matches_pattern(pattern.as_bytes(), alias.as_bytes()) {
                return false;
            }
        } else if matches_pattern(pattern.as_bytes(), alias.as_bytes()) {
            matched = true;
        }
    }
    matched
}

fn collect_aliases(entries: &[Entry], names: &mut Vec<String>) {
    for entry in entries {
        match entry {
            Entry::Host(patterns) => {
                for name in patterns {
                    let concrete = !name.contains(['*', '?', '!']) && !name.starts_with('-');
                    if concrete && !names.contains(name) {
                        names.push(name.clone());
                    }
                }
            }
            Entry::Include(included) => collect_aliases(included, names),
            Entry::MatchAll | Entry::MatchOther(_) | Entry::Set { .. } => {}
        }
    }
}

struct Reader<'a> {
    home: &'a Path,
    files: usize,
}

impl Reader<'_> {
    /// Reads one file; `None` when it does not exist.
    fn file(
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
        file.take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| unreadable(error.to_string()))?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
            return Err(unreadable("it is larger than 4 MiB".to_owned()));
        }
        let text = String::from_utf8_lossy(&bytes);
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
        Ok(Some(entries))
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
                    for path in self.find(pattern, base) {
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
    fn find(&self, pattern: &str, base: &Path) -> Vec<PathBuf> {
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
                .collect();
        }
        found
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
                && matches_pattern(pattern.as_bytes(), name.as_bytes())
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// Splits a line into its keyword, in lower case, and its words; `None` for blanks and comments.
fn split_line(line: &str) -> Result<Option<(String, Vec<String>)>, &'static str> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn config(files: &[(&str, &str)]) -> (tempfile::TempDir, ClientPaths) {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            #[expect(clippy::disallowed_methods, reason = "test files hold nothing private")]
            std::fs::write(path, content).unwrap();
        }
        let paths = ClientPaths {
            user: Some(dir.path().join(".ssh/config")),
            system: None,
            home: dir.path().to_owned(),
            local_user: "ann".to_owned(),
        };
        (dir, paths)
    }

    fn read(content: &str) -> ClientConfig {
        let (_dir, paths) = config(&[(".ssh/config", content)]);
        ClientConfig::read(&paths).unwrap()
    }

    #[test]
    fn the_first_value_wins_and_keys_add_up() {
        let config = read(
            "Host kvm*\n  Port 2201\n  IdentityFile ~/.ssh/a\nHost kvm1\n  Port=2202\n  User ops\n\
             IdentityFile \"%d/b %r\"\nHost *\n HostName %h.lan\n",
        );
        let host = config.resolve("kvm1");
        assert_eq!(host.port, Some(2201));
        assert_eq!(host.user.as_deref(), Some("ops"));
        assert_eq!(host.hostname, "kvm1.lan");
        let home = &config.home;
        assert_eq!(
            host.identity_files,
            [home.join(".ssh/a"), home.join("b ops")]
        );
        assert_eq!(host.user_known_hosts[0], home.join(".ssh/known_hosts"));
        assert_eq!(config.aliases(), ["kvm1"]);
    }

    #[test]
    fn includes_belong_to_their_block_and_are_relative_to_the_ssh_directory() {
        let (_dir, paths) = config(&[
            (
                ".ssh/config",
                "Include conf.d/*.conf\nHost web\n Include only-web\nHost *\n User last\n",
            ),
            (".ssh/conf.d/b.conf", "Host *\n Port 2\n"),
            (".ssh/conf.d/a.conf", "Host db\n Port 1\n"),
            (".ssh/conf.d/.hidden.conf", "Host *\n Port 9\n"),
            (".ssh/only-web", "User web\nHost db\n User wrong\n"),
        ]);
        let config = ClientConfig::read(&paths).unwrap();
        assert_eq!(config.resolve("db").port, Some(1));
        assert_eq!(config.resolve("web").port, Some(2));
        assert_eq!(config.resolve("web").user.as_deref(), Some("web"));
        assert_eq!(config.resolve("db").user.as_deref(), Some("last"));
        assert_eq!(config.aliases(), ["db", "web"]);
    }

    #[test]
    fn includes_without_end_are_an_error() {
        let (_dir, paths) = config(&[(".ssh/config", "Include config\n")]);
        assert!(matches!(
            ClientConfig::read(&paths),
            Err(ClientConfigError::TooMany { .. })
        ));
    }

    #[test]
    fn what_is_not_supported_is_said() {
        let config = read(
            "Match exec \"true\"\n User evil\nMatch all\n User good\n\
             IdentityFile %C\nIdentityFile ${HOME}/x\nProxyCommand nc %h\nProxyJump gate\nPort x\n",
        );
        let host = config.resolve("kvm1");
        assert_eq!(host.user.as_deref(), Some("good"));
        assert!(host.identity_files.is_empty());
        assert!(host.proxy_jump.is_empty());
        assert_eq!(host.notes.len(), 5, "{:?}", host.notes);
    }

    #[test]
    fn a_broken_line_is_an_error_with_its_place() {
        let (_dir, paths) = config(&[(".ssh/config", "Host a\n User \"x\n")]);
        let error = ClientConfig::read(&paths).unwrap_err();
        assert!(matches!(error, ClientConfigError::Line { line: 2, .. }));
    }

    #[test]
    fn a_missing_file_says_nothing() {
        let (_dir, paths) = config(&[]);
        let config = ClientConfig::read(&paths).unwrap();
        assert_eq!(config.resolve("kvm1").hostname, "kvm1");
        assert!(config.aliases().is_empty());
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_the_reader_fail_badly(line in ".{0,80}") {
            drop(split_line(&line));
        }
    }
}
