//! The database thread: one connection, one thread, a bounded queue of closures.
//!
//! Nothing else touches the connection, so no lock is ever held over an await. The thread ends when the
//! last [`Store`] is dropped; work that was queued is done first.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::error::ProfileError;
use super::migration;
use crate::task::send_or_gone;

/// Jobs that may wait; the next caller waits for a place.
const QUEUE: usize = 64;

/// How long SQLite waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Bundled SQLite since which the write-ahead log is free of the reset corruption.
const OLDEST_SQLITE: i32 = 3_051_003;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle on the database thread. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Store(mpsc::Sender<Job>);

impl Store {
    /// Opens a database that exists, checks it, brings it up to date and starts its thread.
    ///
    /// Blocks: call it on the blocking pool.
    pub fn open(file: &Path) -> Result<Self, ProfileError> {
        let connection = connect(file)?;
        let (sender, receiver) = mpsc::channel::<Job>(QUEUE);
        std::thread::Builder::new()
            .name("profile".to_owned())
            .spawn(move || serve(connection, receiver))
            .map_err(|error| {
                tracing::error!(%error, "could not start the database thread");
                ProfileError::Closed
            })?;
        Ok(Self(sender))
    }

    /// Runs a closure on the database thread.
    pub async fn run<T, F>(&self, job: F) -> Result<T, ProfileError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, ProfileError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let boxed: Job = Box::new(move |connection| send_or_gone(reply, job(connection)));
        if self.0.send(boxed).await.is_err() {
            return Err(ProfileError::Closed);
        }
        crate::task::answer_of(answer)
            .await
            .unwrap_or(Err(ProfileError::Closed))
    }

    /// Runs a closure inside one write transaction: all of it happens, or nothing.
    pub async fn write<T, F>(&self, doing: &'static str, job: F) -> Result<T, ProfileError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, ProfileError> + Send + 'static,
    {
        self.run(move |connection| {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(|error| ProfileError::of(doing, error))?;
            let value = job(&transaction)?;
            transaction
                .commit()
                .map_err(|error| ProfileError::of(doing, error))?;
            Ok(value)
        })
        .await
    }
}

/// Makes the schema in an empty file and gives the profile its identity.
///
/// Blocks: call it on the blocking pool.
pub(super) fn initialise(file: &Path, id: &str) -> Result<(), ProfileError> {
    let connection = connect(file)?;
    connection
        .execute("INSERT INTO meta (key, value) VALUES ('id', ?1)", [id])
        .map_err(|error| ProfileError::of("naming the profile", error))?;
    connection
        .close()
        .map_err(|(_, error)| ProfileError::of("closing the new profile", error))
}

fn serve(mut connection: Connection, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.blocking_recv() {
        job(&mut connection);
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "the profile's database did not close cleanly");
    }
}

fn connect(file: &Path) -> Result<Connection, ProfileError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(ProfileError::Unreadable {
            what: format!("SQLite {} is too old to be trusted", rusqlite::version()),
        });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let failed = |doing| move |error| ProfileError::of_file(file, doing, error);
    // SQLite refuses links anywhere on the way; only the file itself must not be one.
    let real = file
        .parent()
        .and_then(|dir| dir.canonicalize().ok())
        .zip(file.file_name())
        .map_or_else(|| file.to_owned(), |(dir, name)| dir.join(name));
    let mut connection =
        Connection::open_with_flags(real, flags).map_err(failed("opening the database"))?;
    connection
        .busy_timeout(BUSY_TIMEOUT)
        .map_err(failed("setting the busy timeout"))?;
    // Before anything is written: a newer, foreign or damaged file is left exactly as it is.
    migration::check_version(&connection, file)?;
    quick_check(&connection).map_err(|error| match error {
        ProfileError::Unreadable { what } => ProfileError::broken(file, what),
        ProfileError::Database { source, doing } => ProfileError::of_file(file, doing, source),
        other => other,
    })?;
    set_pragmas(&connection).map_err(failed("setting the database up"))?;
    migration::migrate(&mut connection, file, migration::STEPS)?;
    Ok(connection)
}

fn set_pragmas(connection: &Connection) -> rusqlite::Result<()> {
    // One acknowledged write in a power cut is worth more than the third of a millisecond FULL costs.
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // Answers with the new value.
    connection.pragma_update_and_check(None, "secure_delete", true, |row| row.get::<_, i64>(0))?;
    Ok(())
}

/// Asks SQLite whether the file is sound.
pub(super) fn quick_check(connection: &Connection) -> Result<(), ProfileError> {
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| ProfileError::of("checking the database", error))?;
    if found == "ok" {
        Ok(())
    } else {
        Err(ProfileError::Unreadable { what: found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private_file;

    #[test]
    fn the_connection_is_set_up_as_it_must_be() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("profile.db");
        drop(private_file::create_new(&file).unwrap());
        let connection = connect(&file).unwrap();
        let read = |pragma: &str| -> String {
            let sql = format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}");
            connection.query_row(&sql, [], |row| row.get(0)).unwrap()
        };
        for (pragma, value) in [
            ("journal_mode", "wal"),
            ("synchronous", "2"),
            ("foreign_keys", "1"),
            ("trusted_schema", "0"),
            ("secure_delete", "1"),
            ("user_version", "2"),
        ] {
            assert_eq!(read(pragma), value, "{pragma}");
        }
        let busy: i64 = connection
            .query_row("PRAGMA busy_timeout", [], |row| row.get(0))
            .unwrap();
        assert_eq!(busy, 5000);
    }

    #[tokio::test]
    async fn a_job_that_panics_ends_in_an_error_not_in_a_hang() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("profile.db");
        drop(private_file::create_new(&file).unwrap());
        let store = Store::open(&file).unwrap();
        let bad = store.run(|_| -> Result<(), ProfileError> { panic!("on purpose") });
        assert!(matches!(bad.await, Err(ProfileError::Closed)));
        assert!(matches!(
            store.run(|_| Ok(())).await,
            Err(ProfileError::Closed)
        ));
    }
}
