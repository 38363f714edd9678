//! The database of the older portal, read and never written: its users with the slow hashes of their
//! keys, and their agents with private keys in clear.
//!
//! Layout (SQLite): `users (id, name, email, api_key_prefix, api_key_hash, api_key_salt, created_at)`,
//! hash and salt in base64; `agents (id, user_id, name, hostname, port, username, private_key,
//! private_key_passphrase, allow_unknown_hosts, known_hosts_path, created_at)`.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use jiff::Timestamp;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};

use super::error::AccountsError;
use super::user::ImportedKey;
use crate::domain::secret::SecretText;
use crate::domain::text::RemoteText;

/// Rows of a table that are read; a portal had some dozens.
const MOST_ROWS: usize = 100_000;

/// Bytes of one text that are taken.
const MOST_TEXT: usize = 64 * 1024;

/// Characters that a prefix of a key may have; the portal kept 8.
const LONGEST_PREFIX: usize = 16;

/// Bytes of all rows of a table together.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// A user as the old portal kept them.
#[derive(Debug, Clone)]
pub struct OldUser {
    /// Identity.
    pub id: i64,
    /// Name.
    pub name: String,
    /// Email address.
    pub email: Option<String>,
    /// What is known of the key.
    pub key: ImportedKey,
    /// When they were added; `None` when that cannot be read.
    pub created_at: Option<Timestamp>,
}

/// An agent as the old portal kept it.
#[derive(Debug, Clone)]
pub struct OldAgent {
    /// Identity.
    pub id: i64,
    /// Whose it is.
    pub user_id: i64,
    /// Name.
    pub name: String,
    /// Where it listens.
    pub hostname: String,
    /// Its port.
    pub port: u16,
    /// The account.
    pub username: String,
    /// The key that was kept in clear.
    pub private_key: SecretText,
    /// Its passphrase.
    pub passphrase: Option<SecretText>,
    /// Whether unknown host keys were taken.
    pub allow_unknown_hosts: bool,
    /// A path on the old server.
    pub known_hosts_path: Option<String>,
    /// When it was added; `None` when that cannot be read.
    pub created_at: Option<Timestamp>,
}

/// Everything that was kept, and what could not be read.
#[derive(Debug, Clone, Default)]
pub struct OldPortal {
    /// Users, ordered by id.
    pub users: Vec<OldUser>,
    /// Agents, ordered by id.
    pub agents: Vec<OldAgent>,
    /// Rows that are left out, each with the reason.
    pub unreadable: Vec<String>,
}

impl OldPortal {
    /// Reads a database. The file is opened for reading only and stays as it is, byte for byte.
    pub fn read(file: &Path) -> Result<Self, AccountsError> {
        let broken = |found: String| AccountsError::Broken {
            file: file.to_owned(),
            found,
        };
        if !file.is_file() {
            return Err(broken("there is no such file".to_owned()));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // What SQLite says may hold words of the file.
        let said = |error: rusqlite::Error| broken(RemoteText::new(&error.to_string()).fit(200));
        let connection = Connection::open_with_flags(file, flags).map_err(said)?;
        // Somebody else's file: no text of it may grow beyond what is taken, whatever makes it.
        let longest = i32::try_from(16 * MOST_TEXT).unwrap_or(i32::MAX);
        connection
            .set_limit(Limit::SQLITE_LIMIT_LENGTH, longest)
            .map_err(said)?;
        connection
            .pragma_update(None, "trusted_schema", false)
            .map_err(said)?;
        for name in ["users", "agents"] {
            if !is_plain_table(&connection, name).map_err(said)? {
                return Err(broken(format!("`{name}` is no table of the old portal")));
            }
        }
        let mut found = Self::default();
        let users = "SELECT id, name, email, api_key_prefix, api_key_hash, api_key_salt, created_at \
                     FROM users ORDER BY id";
        rows(
            &connection,
            users,
            "user",
            |row| {
                found.users.push(user(row)?);
                Ok(())
            },
            &mut found.unreadable,
        )
        .map_err(said)?;
        let agents = "SELECT id, user_id, name, hostname, port, username, private_key, \
                      private_key_passphrase, allow_unknown_hosts, known_hosts_path, created_at \
                      FROM agents ORDER BY id";
        rows(
            &connection,
            agents,
            "agent",
            |row| {
                found.agents.push(agent(row)?);
                Ok(())
            },
            &mut found.unreadable,
        )
        .map_err(said)?;
        Ok(found)
    }
}

/// Tells a table that holds what it shows from one that computes it (a view, a virtual table, columns
/// that are generated): computing has no end that could be known beforehand.
fn is_plain_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM pragma_table_list \
               WHERE name = ?1 AND schema = 'main' AND type = 'table'";
    let tables: i64 = connection.query_row(sql, [name], |row| row.get(0))?;
    let sql = "SELECT count(*) FROM pragma_table_xinfo(?1) WHERE hidden <> 0";
    let computed: i64 = connection.query_row(sql, [name], |row| row.get(0))?;
    Ok(tables == 1 && computed == 0)
}

/// Takes each row; one that cannot be read is named and left out.
fn rows(
    connection: &Connection,
    sql: &str,
    what: &str,
    mut take: impl FnMut(&Row<'_>) -> Result<(), String>,
    unreadable: &mut Vec<String>,
) -> rusqlite::Result<()> {
    let mut query = connection.prepare(sql)?;
    let mut rows = query.query([])?;
    let mut count = 0;
    let mut taken = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        if count > MOST_ROWS {
            unreadable.push(format!("more than {MOST_ROWS} {what}s"));
            break;
        }
        taken += length(row)?;
        if taken > MOST_BYTES {
            unreadable.push(format!("more than {} MiB of {what}s", MOST_BYTES >> 20));
            break;
        }
        if let Err(why) = take(row) {
            let id: Option<i64> = row.get(0).ok();
            let id = id.map_or_else(|| "without a number".to_owned(), |id| id.to_string());
            unreadable.push(format!("{what} {id}: {why}"));
        }
    }
    Ok(())
}

/// Bytes of a row; rows of a small file may all show the same large text.
fn length(row: &Row<'_>) -> rusqlite::Result<usize> {
    let columns = 0..row.as_ref().column_count();
    columns.map(|at| Ok(bytes_of(row.get_ref(at)?))).sum()
}

const fn bytes_of(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 8,
    }
}

/// What the portal showed of a key: the first characters of base64 as URLs have it.
fn prefix(row: &Row<'_>, at: usize) -> Result<String, String> {
    let name = "api_key_prefix";
    let text = text(row, at, name)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if text.len() > LONGEST_PREFIX || !text.chars().all(fits) {
        return Err(format!("`{name}` is no beginning of a key"));
    }
    Ok(text)
}

fn text(row: &Row<'_>, at: usize, name: &str) -> Result<String, String> {
    optional(row, at, name)?.ok_or_else(|| format!("`{name}` is empty"))
}

fn optional(row: &Row<'_>, at: usize, name: &str) -> Result<Option<String>, String> {
    let text: Option<String> = row
        .get(at)
        .map_err(|_other| format!("`{name}` is no text"))?;
    match text {
        Some(text) if text.len() > MOST_TEXT => Err(format!("`{name}` is too long")),
        other => Ok(other.filter(|text| !text.is_empty())),
    }
}

fn number(row: &Row<'_>, at: usize, name: &str) -> Result<i64, String> {
    row.get(at)
        .map_err(|_other| format!("`{name}` is no number"))
}

fn user(row: &Row<'_>) -> Result<OldUser, String> {
    let packed = |at, name: &str, length: usize| {
        let text = text(row, at, name)?;
        let bytes = STANDARD
            .decode(text.trim())
            .or_else(|_| URL_SAFE.decode(text.trim()));
        bytes
            .ok()
            .filter(|bytes| bytes.len() == length)
            .ok_or_else(|| format!("`{name}` is not base64 of {length} bytes"))
    };
    Ok(OldUser {
        id: number(row, 0, "id")?,
        name: text(row, 1, "name")?,
        email: optional(row, 2, "email")?,
        key: ImportedKey {
            prefix: prefix(row, 3)?,
            hash: packed(4, "api_key_hash", 32)?,
            salt: packed(5, "api_key_salt", 16)?,
        },
        created_at: optional(row, 6, "created_at")?.as_deref().and_then(moment),
    })
}

fn agent(row: &Row<'_>) -> Result<OldAgent, String> {
    let port = number(row, 4, "port")?;
    Ok(OldAgent {
        id: number(row, 0, "id")?,
        user_id: number(row, 1, "user_id")?,
        name: text(row, 2, "name")?,
        hostname: text(row, 3, "hostname")?,
        port: u16::try_from(port)
            .ok()
            .filter(|port| *port > 0)
            .ok_or("`port` is no port")?,
        username: text(row, 5, "username")?,
        private_key: SecretText::new(text(row, 6, "private_key")?),
        passphrase: optional(row, 7, "private_key_passphrase")?.map(SecretText::new),
        allow_unknown_hosts: number(row, 8, "allow_unknown_hosts")? != 0,
        known_hosts_path: optional(row, 9, "known_hosts_path")?,
        created_at: optional(row, 10, "created_at")?.as_deref().and_then(moment),
    })
}

/// Reads the forms in which Python writes a moment; one without a zone is in UTC.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim().replacen(' ', "T", 1);
    text.parse()
        .ok()
        .or_else(|| format!("{text}Z").parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(sql: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.sqlite3");
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        (folder, path)
    }

    const SCHEMA: &str = "\
        CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT, api_key_prefix TEXT, \
            api_key_hash TEXT, api_key_salt TEXT, created_at TEXT);
        CREATE TABLE agents (id INTEGER PRIMARY KEY, user_id INTEGER, name TEXT, hostname TEXT, port INTEGER, \
            username TEXT, private_key TEXT, private_key_passphrase TEXT, allow_unknown_hosts INTEGER, \
            known_hosts_path TEXT, created_at TEXT);";

    #[test]
    fn what_can_be_read_is_read_and_the_rest_is_named() {
        let hash = STANDARD.encode([7; 32]);
        let salt = STANDARD.encode([9; 16]);
        let (_folder, path) = file(&format!(
            "{SCHEMA}
            INSERT INTO users VALUES (3, 'Ann', NULL, 'abcdefgh', '{hash}', '{salt}', '2024-05-01 12:00:00.5');
            INSERT INTO users VALUES (4, 'Bob', 'b@x', 'abcdefgh', 'short', '{salt}', '2024-05-01T12:00:00+00:00');
            INSERT INTO agents VALUES (7, 3, 'kvm1', 'kvm1.lan', 22, 'root', 'canary-key', '', 1, NULL, '?');
            INSERT INTO agents VALUES (8, 3, 'kvm2', 'kvm2.lan', 99999, 'root', 'canary-key', NULL, 0, NULL, NULL);"
        ));
        let before = std::fs::read(&path).unwrap();
        let found = OldPortal::read(&path).unwrap();
        assert_eq!(found.users.len(), 1);
        assert_eq!(found.users[0].key.hash, [7; 32]);
        assert_eq!(
            found.users[0].created_at,
            "2024-05-01T12:00:00.5Z".parse().ok()
        );
        assert_eq!(found.agents.len(), 1);
        assert!(found.agents[0].passphrase.is_none() && found.agents[0].allow_unknown_hosts);
        assert_eq!(
            found.unreadable,
            [
                "user 4: `api_key_hash` is not base64 of 32 bytes",
                "agent 8: `port` is no port"
            ]
        );
        assert!(!format!("{found:?}").contains("canary"));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_prefix_that_is_none_goes_nowhere() {
        let packed = |byte, length| STANDARD.encode(vec![byte; length]);
        let (hash, salt) = (packed(7, 32), packed(9, 16));
        for prefix in ["\u{1b}]0;x\u{7}", "\u{202e}abc", "abcdefghijklmnopq", "a b"] {
            let (_folder, path) = file(&format!(
                "{SCHEMA} INSERT INTO users VALUES (3, 'Ann', NULL, '{prefix}', '{hash}', '{salt}', NULL);"
            ));
            let found = OldPortal::read(&path).unwrap();
            assert!(found.users.is_empty());
            assert_eq!(
                found.unreadable,
                ["user 3: `api_key_prefix` is no beginning of a key"]
            );
        }
    }

    #[test]
    fn rows_that_all_hold_a_large_text_are_not_all_taken() {
        let (_folder, path) = file(&format!(
            "{SCHEMA} WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) \
             INSERT INTO agents SELECT i, 3, 'a', 'b', 22, 'c', printf('%.65000c', 'x'), NULL, 0, NULL, NULL FROM n;"
        ));
        let found = OldPortal::read(&path).unwrap();
        assert_eq!(found.unreadable, ["more than 64 MiB of agents"]);
        let kept: usize = found
            .agents
            .iter()
            .map(|agent| agent.private_key.expose().len())
            .sum();
        assert!(kept > MOST_BYTES / 2 && kept <= MOST_BYTES, "{kept}");
    }

    #[test]
    fn other_files_are_no_portal() {
        let (_folder, empty) = file("CREATE TABLE x (y)");
        let text = tempfile::NamedTempFile::new().unwrap();
        rustix::io::write(&text, &b"no database".repeat(1000)).unwrap();
        for path in [empty.as_path(), text.path(), Path::new("/nonexistent/file")] {
            let error = OldPortal::read(path).unwrap_err();
            assert!(matches!(error, AccountsError::Broken { .. }), "{error}");
        }
    }

    #[test]
    fn tables_that_compute_what_they_show_are_not_read() {
        let agents = SCHEMA.split_once("CREATE TABLE agents").unwrap().1;
        let agents = format!("CREATE TABLE agents{agents}");
        let endless = "CREATE VIEW users AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
            SELECT i AS id, 'a' AS name, NULL AS email, 'b' AS api_key_prefix, 'c' AS api_key_hash, \
            'd' AS api_key_salt, 'e' AS created_at FROM n WHERE i < 0;";
        let large = "CREATE TABLE users (id INTEGER, name TEXT AS (hex(zeroblob(1000))), email TEXT, \
            api_key_prefix TEXT, api_key_hash TEXT, api_key_salt TEXT, created_at TEXT); \
            INSERT INTO users (id) VALUES (1);";
        for users in [endless, large] {
            let (_folder, path) = file(&format!("{users} {agents}"));
            let error = OldPortal::read(&path).unwrap_err();
            assert!(error.to_string().contains("`users` is no table"), "{error}");
        }
    }

    #[test]
    fn words_of_a_damaged_file_do_no_harm() {
        let (_folder, path) = file(SCHEMA);
        let mut bytes = std::fs::read(&path).unwrap();
        let word = b"CREATE TABLE users";
        let at = bytes.windows(word.len()).position(|part| part == word);
        bytes[at.unwrap() + 7] = 0x1b;
        crate::private_file::write_atomic(&path, &bytes).unwrap();
        let said = OldPortal::read(&path).unwrap_err().to_string();
        assert!(!said.contains('\u{1b}'), "{said:?}");
    }

    #[test]
    fn moments_of_python() {
        for text in [
            "2024-05-01T12:00:00Z",
            "2024-05-01 12:00:00",
            "2024-05-01T12:00:00.000000+00:00",
        ] {
            assert_eq!(moment(text), "2024-05-01T12:00:00Z".parse().ok(), "{text}");
        }
        assert_eq!(moment("yesterday"), None);
    }
}
