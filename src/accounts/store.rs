//! The file and its thread: one connection, one thread, a bounded queue of closures.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::error::AccountsError;
use super::token::Pepper;
use crate::clock::Clock;
use crate::private_file;
use crate::task::send_or_gone;

/// The database inside the server's directory.
const DATABASE: &str = "server.db";

/// The key of the digests, kept apart from them.
const PEPPER: &str = "pepper";

/// Jobs that may wait; the next caller waits for a place.
const QUEUE: usize = 256;

/// How long SQLite waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Marks a SQLite file as one of ours ("vmds" in ASCII).
const APPLICATION_ID: i64 = 0x766d_6473;

/// The steps; number n takes a database from version n to n + 1. Append only.
const STEPS: &[&str] = &[include_str!("sql/0001_init.sql")];

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The server's accounts. Cloning is cheap; clones share the database thread.
#[derive(Debug, Clone)]
pub struct Accounts {
    jobs: mpsc::Sender<Job>,
    pub(super) shared: Arc<Shared>,
}

/// What does not change while the file is open.
#[derive(Debug)]
pub(super) struct Shared {
    dir: PathBuf,
    pub(super) pepper: Pepper,
    pub(super) clock: Clock,
    /// Names this run of the program in records that a crash may leave half done.
    pub(super) run: String,
    /// Slow checks of keys taken over from an older program, at the same time.
    pub(super) slow_checks: Semaphore,
}

impl Accounts {
    /// Opens the accounts in a directory; makes both where there are none.
    pub async fn open(dir: &Path, clock: Clock) -> Result<Self, AccountsError> {
        let dir = dir.to_owned();
        tokio::task::spawn_blocking(move || open(dir, clock))
            .await
            .unwrap_or(Err(AccountsError::Closed))
    }

    /// Says whether there are any accounts in a directory yet.
    pub fn exist(dir: &Path) -> bool {
        dir.join(DATABASE).exists()
    }

    /// Returns the directory.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// Returns a number that changes when another connection has written to the database.
    pub async fn data_version(&self) -> Result<i64, AccountsError> {
        self.run("looking for changes", |connection| {
            connection.query_row("PRAGMA data_version", [], |row| row.get(0))
        })
        .await
    }

    /// Runs queries on the database thread.
    pub(super) async fn run<T, F>(&self, doing: &'static str, job: F) -> Result<T, AccountsError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.send(move |connection| {
            job(connection).map_err(|error| AccountsError::of(doing, error))
        })
        .await
    }

    /// Runs a closure inside one write transaction: all of it happens, or nothing.
    pub(super) async fn write<T, F>(&self, doing: &'static str, job: F) -> Result<T, AccountsError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, AccountsError> + Send + 'static,
    {
        self.send(move |connection| {
            let failed = |error| AccountsError::of(doing, error);
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(failed)?;
            let value = job(&transaction)?;
            transaction.commit().map_err(failed)?;
            Ok(value)
        })
        .await
    }

    async fn send<T, F>(&self, job: F) -> Result<T, AccountsError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, AccountsError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let boxed: Job = Box::new(move |connection| send_or_gone(reply, job(connection)));
        if self.jobs.send(boxed).await.is_err() {
            return Err(AccountsError::Closed);
        }
        crate::task::answer_of(answer)
            .await
            .unwrap_or(Err(AccountsError::Closed))
    }
}

fn open(dir: PathBuf, clock: Clock) -> Result<Accounts, AccountsError> {
    private_file::ensure_dir(&dir)?;
    let pepper = pepper(&dir)?;
    let connection = connect(&dir.join(DATABASE))?;
    let (sender, receiver) = mpsc::channel::<Job>(QUEUE);
    std::thread::Builder::new()
        .name("accounts".to_owned())
        .spawn(move || serve(connection, receiver))
        .map_err(|error| {
            tracing::error!(%error, "could not start the thread of the accounts");
            AccountsError::Closed
        })?;
    Ok(Accounts {
        jobs: sender,
        shared: Arc::new(Shared {
            dir,
            pepper,
            clock,
            run: format!("{:016x}", rand::random::<u64>()),
            slow_checks: Semaphore::new(2),
        }),
    })
}

/// Reads the key of the digests; the first time, makes one.
fn pepper(dir: &Path) -> Result<Pepper, AccountsError> {
    let path = dir.join(PEPPER);
    if !path.exists() && !dir.join(DATABASE).exists() {
        private_file::write_atomic(&path, &rand::random::<[u8; Pepper::LENGTH]>())?;
        private_file::sync_dir(dir)?;
    }
    let bytes = private_file::read_secret(&path, 64)?;
    Pepper::new(&bytes).ok_or_else(|| AccountsError::Broken {
        file: path,
        found: format!("it has {} bytes instead of {}", bytes.len(), Pepper::LENGTH),
    })
}

fn serve(mut connection: Connection, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.blocking_recv() {
        job(&mut connection);
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "the database of accounts did not close cleanly");
    }
}

fn connect(file: &Path) -> Result<Connection, AccountsError> {
    if !file.exists() {
        drop(private_file::create_new(file)?);
    }
    drop(private_file::open_read(file)?);
    let failed = |doing| move |error| AccountsError::of(doing, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
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
    check(&connection, file)?;
    set_pragmas(&connection).map_err(failed("setting the database up"))?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// Refuses a file that is foreign, damaged or of a newer version, without changing it.
fn check(connection: &Connection, file: &Path) -> Result<(), AccountsError> {
    let broken = |found: String| AccountsError::Broken {
        file: file.to_owned(),
        found,
    };
    let number = |sql: &str| -> Result<i64, AccountsError> {
        connection
            .query_row(sql, [], |row| row.get(0))
            .map_err(|error| broken(error.to_string()))
    };
    let found = number("PRAGMA user_version")?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(AccountsError::Newer {
            file: file.to_owned(),
            found,
            known,
        });
    }
    let mark = number("PRAGMA application_id")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    if mark != APPLICATION_ID && (mark != 0 || found != 0 || tables != 0) {
        return Err(broken("it is a database of another program".to_owned()));
    }
    let said: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| broken(error.to_string()))?;
    if said == "ok" {
        Ok(())
    } else {
        Err(broken(said))
    }
}

fn set_pragmas(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update_and_check(None, "secure_delete", true, |row| row.get::<_, i64>(0))?;
    Ok(())
}

/// Brings the database up to date, each step in one transaction. Two processes may be at it at once.
fn migrate(connection: &mut Connection) -> Result<(), AccountsError> {
    let failed = |error| AccountsError::of("bringing the database up to date", error);
    loop {
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let version: i64 = transaction
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(failed)?;
        let step = usize::try_from(version).ok().and_then(|at| STEPS.get(at));
        let Some(step) = step else { return Ok(()) };
        transaction.execute_batch(step).map_err(failed)?;
        transaction
            .pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(failed)?;
        transaction
            .pragma_update(None, "user_version", version + 1)
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
}
