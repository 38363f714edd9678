//! A SQLite database on a thread of its own: one connection, one thread, a bounded queue of closures. Nothing
//! else touches the connection, so no lock is ever held over an await.
//!
//! What is in a database, what its errors are called and what is copied before a step is its owner's
//! (`profile`, `accounts`).

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use crate::task::send_or_gone;

/// How long SQLite waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Bundled SQLite since which the write-ahead log is free of the reset corruption (sqlite.org, 3.51.3).
const OLDEST_SQLITE: i32 = 3_051_003;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle on the thread. Cloning is cheap. The thread ends when the last one is dropped; work that was
/// queued is done first.
#[derive(Debug, Clone)]
pub struct Database(mpsc::Sender<Job>);

/// The thread has ended: a job panicked, or the program is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

impl Database {
    /// Gives a connection to a thread of its own. `queue` = jobs that may wait; the next caller waits for
    /// a place.
    pub fn start(name: &'static str, queue: usize, connection: Connection) -> Result<Self, Closed> {
        let (sender, receiver) = mpsc::channel::<Job>(queue);
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || serve(name, connection, receiver))
            .map_err(|error| {
                tracing::error!(%error, name, "could not start the thread of a database");
                Closed
            })?;
        Ok(Self(sender))
    }

    /// Runs a closure on the thread.
    pub async fn run<T, E, F>(&self, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Closed> + Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let boxed: Job = Box::new(move |connection| send_or_gone(reply, job(connection)));
        if self.0.send(boxed).await.is_err() {
            return Err(Closed.into());
        }
        let answered = crate::task::answer_of(answer).await;
        answered.unwrap_or_else(|| Err(Closed.into()))
    }

    /// Runs a closure inside one write transaction: all of it happens, or nothing. `failed` says what
    /// it means that the transaction itself could not be begun or ended.
    pub async fn write<T, E, F>(
        &self,
        failed: impl Fn(rusqlite::Error) -> E + Send + 'static,
        job: F,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Closed> + Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        self.run(move |connection| {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(&failed)?;
            let value = job(&transaction)?;
            transaction.commit().map_err(&failed)?;
            Ok(value)
        })
        .await
    }
}

fn serve(name: &'static str, mut connection: Connection, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.blocking_recv() {
        job(&mut connection);
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, name, "a database did not close cleanly");
    }
}

/// What makes a file a database of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Marks the file (`PRAGMA application_id`).
    pub application_id: i64,
    /// Number n takes a database from version n to n + 1. Append only.
    pub steps: &'static [&'static str],
}

/// Why a file is not taken as a database; nothing in it was changed.
#[derive(Debug)]
pub enum Unsound {
    /// A newer program has written it.
    Newer {
        /// The version found.
        found: i64,
        /// The newest version known.
        known: i64,
    },
    /// It is another program's, or damaged.
    Broken(String),
    /// SQLite cannot read it.
    Sqlite {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        source: rusqlite::Error,
    },
}

/// Opens a file that exists and looks at it. A newer, foreign or damaged one is left exactly as it is.
///
/// Blocks: call it on the blocking pool.
pub fn open(file: &Path, schema: &Schema) -> Result<Connection, Unsound> {
    let failed = |doing| move |source| Unsound::Sqlite { doing, source };
    if rusqlite::version_number() < OLDEST_SQLITE {
        let what = format!("SQLite {} is too old to be trusted", rusqlite::version());
        return Err(Unsound::Broken(what));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    // SQLite refuses links anywhere on the way; only the file itself must not be one.
    let real = file
        .parent()
        .and_then(|dir| dir.canonicalize().ok())
        .zip(file.file_name())
        .map_or_else(|| file.to_owned(), |(dir, name)| dir.join(name));
    let connection =
        Connection::open_with_flags(real, flags).map_err(failed("opening the database"))?;
    connection
        .busy_timeout(BUSY_TIMEOUT)
        .map_err(failed("setting the busy timeout"))?;
    check_version(&connection, schema)?;
    let found = quick_check(&connection).map_err(failed("checking the database"))?;
    if found != "ok" {
        return Err(Unsound::Broken(found));
    }
    set_pragmas(&connection).map_err(failed("setting the database up"))?;
    Ok(connection)
}

/// Refuses a file that is foreign or of a newer version.
fn check_version(connection: &Connection, schema: &Schema) -> Result<(), Unsound> {
    let number = |sql: &str| -> Result<i64, Unsound> {
        let doing = "reading the version";
        let read = connection.query_row(sql, [], |row| row.get(0));
        read.map_err(|source| Unsound::Sqlite { doing, source })
    };
    let found = number("PRAGMA user_version")?;
    let known = i64::try_from(schema.steps.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(Unsound::Newer { found, known });
    }
    let mark = number("PRAGMA application_id")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    if mark == schema.application_id || (mark == 0 && found == 0 && tables == 0) {
        Ok(())
    } else {
        let what = "it is a database of another program".to_owned();
        Err(Unsound::Broken(what))
    }
}

/// Asks SQLite whether the file is sound; `ok` when it is.
pub fn quick_check(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
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

/// Returns the version of a database.
pub fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Takes the next step towards the newest version, in one transaction: killed at any moment, a database is
/// of the old version or the new. Returns false when there is none left to take. Two processes may be at
/// it at once.
pub fn step(
    connection: &mut Connection,
    application_id: i64,
    steps: &[&str],
) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster: this look is the one that nobody else can write after.
    let version = version(&transaction)?;
    let step = usize::try_from(version).ok().and_then(|at| steps.get(at));
    let Some(step) = step else { return Ok(false) };
    transaction.execute_batch(step)?;
    transaction.pragma_update(None, "application_id", application_id)?;
    transaction.pragma_update(None, "user_version", version + 1)?;
    transaction.commit()?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private_file;

    const SCHEMA: Schema = Schema {
        application_id: 7,
        steps: &["CREATE TABLE a (x INTEGER) STRICT;"],
    };

    impl From<Closed> for String {
        fn from(_: Closed) -> Self {
            "closed".to_owned()
        }
    }

    fn opened() -> (tempfile::TempDir, Connection) {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("a.db");
        drop(private_file::create_new(&file).unwrap());
        let connection = open(&file, &SCHEMA).unwrap();
        (root, connection)
    }

    #[test]
    fn the_connection_is_set_up_as_it_must_be() {
        let (_root, mut connection) = opened();
        assert!(step(&mut connection, SCHEMA.application_id, SCHEMA.steps).unwrap());
        assert!(!step(&mut connection, SCHEMA.application_id, SCHEMA.steps).unwrap());
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
            ("user_version", "1"),
            ("application_id", "7"),
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
        let (_root, connection) = opened();
        let database = Database::start("a", 4, connection).unwrap();
        let bad = database.run(|_| -> Result<(), String> { panic!("on purpose") });
        assert_eq!(bad.await, Err("closed".to_owned()));
        assert_eq!(database.run(|_| Ok(())).await, Err("closed".to_owned()));
    }

    #[tokio::test]
    async fn a_transaction_happens_as_a_whole_or_not_at_all() {
        let (_root, mut connection) = opened();
        assert!(step(&mut connection, SCHEMA.application_id, SCHEMA.steps).unwrap());
        let database = Database::start("a", 4, connection).unwrap();
        let failed = |error: rusqlite::Error| error.to_string();
        for fails in [true, false] {
            let written = database.write(failed, move |transaction| {
                transaction
                    .execute("INSERT INTO a VALUES (1)", [])
                    .map_err(failed)?;
                if fails { Err("no".to_owned()) } else { Ok(()) }
            });
            assert_eq!(written.await.is_err(), fails);
        }
        let count = database.run(move |connection| {
            let sql = "SELECT count(*) FROM a";
            connection
                .query_row(sql, [], |row| row.get::<_, i64>(0))
                .map_err(failed)
        });
        assert_eq!(count.await, Ok(1));
    }
}
