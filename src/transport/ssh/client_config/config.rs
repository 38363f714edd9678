//! The configuration as a whole: where it is, what can be asked, why it cannot be used.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::read::{Entry, Reader, collect_aliases};
use crate::domain::host::Jump;

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
    pub(super) files: Vec<Vec<Entry>>,
    pub(super) home: PathBuf,
    pub(super) local_user: String,
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

    /// Reads one text, as if it were the person's file.
    #[cfg(feature = "testing")]
    pub(crate) fn of_text(text: &str, home: &Path) -> Result<Self, ClientConfigError> {
        let mut reader = Reader { home, files: 0 };
        Ok(Self {
            files: vec![reader.text(text, &home.join(".ssh/config"), home, 0)?],
            home: home.to_owned(),
            local_user: "ann".to_owned(),
        })
    }

    /// Returns the concrete names that `Host` lines define, in order, without patterns.
    pub fn aliases(&self) -> Vec<String> {
        let (mut seen, mut names) = (HashSet::new(), Vec::new());
        for entries in &self.files {
            collect_aliases(entries, &mut seen, &mut names);
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::super::read::split_line;
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
            (".ssh/conf.d/dir.conf/x", "Host *\n Port 8\n"),
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
    fn tokens_of_tokens_do_not_grow_without_end() {
        let tokens = "%h".repeat(2000);
        let config = read(&format!(
            "HostName {tokens}\nIdentityFile {tokens}\nIdentityFile ~/ok\nUserKnownHostsFile {tokens}\n"
        ));
        let host = config.resolve("a-name-of-some-length");
        assert_eq!(host.hostname, "a-name-of-some-length");
        assert_eq!(host.identity_files.len(), 1);
        assert!(host.user_known_hosts.is_empty());
        assert_eq!(host.notes.len(), 3);
        assert!(host.notes.iter().all(|note| note.chars().count() == 400));
        assert!(host.notes[0].starts_with("HostName `%h%h"));
        assert!(
            host.notes[0].ends_with("it gets too long"),
            "{}",
            host.notes[0]
        );
    }

    #[test]
    fn no_more_keys_are_tried_than_openssh_would() {
        let lines: Vec<String> = (0..5000).map(|n| format!("IdentityFile k{n}\n")).collect();
        assert_eq!(read(&lines.concat()).resolve("a").identity_files.len(), 100);
    }

    #[test]
    fn a_name_that_no_host_can_have_is_no_alias() {
        let config = read(&format!("Host {} b\n", "a".repeat(256)));
        assert_eq!(config.aliases(), ["b"]);
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
