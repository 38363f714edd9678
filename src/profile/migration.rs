//! Schema versions: numbered steps on `PRAGMA user_version`, each in one IMMEDIATE transaction, with a
//! copy of the database made first. Killed at any moment, a database is of the old version or the new.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::error::ProfileError;
use crate::database::{self, Schema};
use crate::private_file;

/// Marks a SQLite file as one of ours ("vmdk" in ASCII), with the steps that it has taken.
pub(super) const SCHEMA: Schema = Schema {
    application_id: 0x766d_646b,
    steps: &[
        include_str!("sql/0001_init.sql"),
        include_str!("sql/0002_preference.sql"),
    ],
};

/// Brings a database up to date.
pub(super) fn migrate(
    connection: &mut Connection,
    file: &Path,
    steps: &[&str],
) -> Result<(), ProfileError> {
    let failed = |error| ProfileError::of_file(file, "bringing the database up to date", error);
    let target = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    // A database that is only just being made holds nothing that a copy could save.
    let is_new = database::version(connection).map_err(failed)? == 0;
    loop {
        let version = database::version(connection).map_err(failed)?;
        if version >= target {
            return Ok(());
        }
        if version > 0 && !is_new {
            back_up(connection, file, version)?;
        }
        let taken = database::step(connection, SCHEMA.application_id, steps);
        if !taken.map_err(failed)? {
            return Ok(());
        }
    }
}

/// Copies the database beside itself as `profile.db.v<version>.backup`, 0600, before a step changes it.
fn back_up(connection: &Connection, file: &Path, version: i64) -> Result<(), ProfileError> {
    let failed = |error| ProfileError::of_file(file, "making a backup of the database", error);
    let backup = backup_path(file, version);
    let part = backup.with_extension("backup-part");
    if part.exists() {
        std::fs::remove_file(&part).map_err(|source| private_file::PrivateFileError::Io {
            doing: "remove",
            path: part.clone(),
            source,
        })?;
    }
    // VACUUM INTO takes an empty file, and so keeps the mode that was given at creation.
    drop(private_file::create_new(&part)?);
    // Like the database itself: SQLite follows no link on the way to the copy.
    let real = part.canonicalize().unwrap_or_else(|_| part.clone());
    connection
        .execute("VACUUM INTO ?1", [real.display().to_string()])
        .map_err(failed)?;
    let synced = std::fs::File::open(&part)
        .and_then(|copy| copy.sync_all())
        .and_then(|()| std::fs::rename(&part, &backup));
    synced.map_err(|source| private_file::PrivateFileError::Io {
        doing: "write",
        path: backup.clone(),
        source,
    })?;
    private_file::sync_dir(file.parent().unwrap_or(Path::new(".")))?;
    Ok(())
}

fn backup_path(file: &Path, version: i64) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".v{version}.backup"));
    file.with_file_name(name)
}

/// Returns the backup of the newest version that lies beside a database.
pub(super) fn newest_backup(file: &Path) -> Option<PathBuf> {
    (1..=SCHEMA.steps.len().max(1))
        .rev()
        .filter_map(|version| i64::try_from(version).ok())
        .map(|version| backup_path(file, version))
        .find(|path| path.is_file())
}

#[cfg(test)]
#[path = "migration_kill_tests.rs"]
mod kill_tests;

#[cfg(test)]
mod tests {
    use rusqlite::TransactionBehavior;

    use super::*;

    const ONE: &str = "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1);";
    const TWO: &str = "ALTER TABLE a ADD COLUMN y INTEGER; UPDATE a SET y = 2;";
    const BROKEN: &str = "ALTER TABLE a ADD COLUMN y INTEGER; UPDATE a SET y = 2; SELECT nonsense;";

    fn database() -> (tempfile::TempDir, PathBuf, Connection) {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("profile.db");
        drop(private_file::create_new(&file).unwrap());
        let connection = Connection::open(&file).unwrap();
        (root, file, connection)
    }

    fn columns(connection: &Connection) -> i64 {
        connection
            .query_row("SELECT count(*) FROM pragma_table_info('a')", [], |row| {
                row.get(0)
            })
            .unwrap()
    }

    #[test]
    fn steps_are_taken_once_and_in_order() {
        let (_root, file, mut connection) = database();
        migrate(&mut connection, &file, &[ONE, TWO]).unwrap();
        migrate(&mut connection, &file, &[ONE, TWO]).unwrap();
        assert_eq!(database::version(&connection).unwrap(), 2);
        assert_eq!(columns(&connection), 2);
    }

    #[test]
    fn a_step_that_fails_in_its_middle_leaves_the_old_version() {
        let (_root, file, mut connection) = database();
        migrate(&mut connection, &file, &[ONE]).unwrap();
        let error = migrate(&mut connection, &file, &[ONE, BROKEN]).unwrap_err();
        assert!(matches!(error, ProfileError::Database { .. }), "{error}");
        assert_eq!(database::version(&connection).unwrap(), 1);
        assert_eq!(columns(&connection), 1);
        migrate(&mut connection, &file, &[ONE, TWO]).unwrap();
        assert_eq!(columns(&connection), 2);
    }

    #[test]
    fn a_backup_of_the_old_version_lies_beside_the_new() {
        use std::os::unix::fs::MetadataExt;
        let (_root, file, mut connection) = database();
        migrate(&mut connection, &file, &[ONE]).unwrap();
        assert!(
            newest_backup(&file).is_none(),
            "nothing to back up before version 1"
        );
        migrate(&mut connection, &file, &[ONE, TWO]).unwrap();
        let backup = backup_path(&file, 1);
        assert_eq!(std::fs::metadata(&backup).unwrap().mode() & 0o777, 0o600);
        let old = Connection::open(&backup).unwrap();
        assert_eq!(database::version(&old).unwrap(), 1);
        assert_eq!(columns(&old), 1);
    }

    #[test]
    fn a_new_database_leaves_no_backup_of_its_first_steps() {
        let (_root, file, mut connection) = database();
        migrate(&mut connection, &file, &[ONE, TWO]).unwrap();
        assert!(newest_backup(&file).is_none());
    }

    #[test]
    fn a_link_on_the_way_does_not_keep_a_database_from_being_brought_up_to_date() {
        let (root, _, connection) = database();
        drop(connection);
        let link = root.path().join("link");
        std::os::unix::fs::symlink(root.path(), &link).unwrap();
        let file = link.join("profile.db");
        let real = root.path().canonicalize().unwrap().join("profile.db");
        // As the store opens it.
        let flags =
            rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection = Connection::open_with_flags(real, flags).unwrap();
        migrate(&mut connection, &file, &[ONE]).unwrap();
        migrate(&mut connection, &file, &[ONE, TWO]).unwrap();
        assert_eq!(columns(&connection), 2);
        assert!(newest_backup(&file).is_some());
    }

    #[test]
    fn a_step_that_is_interrupted_before_its_commit_never_happened() {
        let (_root, file, mut connection) = database();
        migrate(&mut connection, &file, &[ONE]).unwrap();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .unwrap();
        transaction.execute_batch(TWO).unwrap();
        transaction.pragma_update(None, "user_version", 2).unwrap();
        // What a second process finds at this moment is what it would find after a kill.
        let other = Connection::open(&file).unwrap();
        assert_eq!(database::version(&other).unwrap(), 1);
        assert_eq!(columns(&other), 1);
        drop(transaction);
        assert_eq!(database::version(&connection).unwrap(), 1);
    }
}
