//! The file: opened, brought up to date, and then on a thread of its own; beside it the key of the digests.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use rusqlite::{Connection, Transaction};
use tokio::sync::Semaphore;

use super::error::AccountsError;
use super::pepper::Peppers;
use crate::clock::Clock;
use crate::database::{self, Database, Schema};
use crate::private_file;

/// The database inside the server's directory.
const DATABASE: &str = "server.db";

/// Jobs that may wait; the next caller waits for a place.
const QUEUE: usize = 256;

/// Marks a SQLite file as one of ours ("vmds" in ASCII), with the steps that it has taken.
const SCHEMA: Schema = Schema {
    application_id: 0x766d_6473,
    steps: &[
        include_str!("sql/0001_init.sql"),
        include_str!("sql/0002_pepper.sql"),
    ],
};

/// The server's accounts. Cloning is cheap; clones share the database thread.
#[derive(Debug, Clone)]
pub struct Accounts {
    database: Database,
    pub(super) shared: Arc<Shared>,
}

/// What clones share; it changes only where the key of the digests is replaced.
#[derive(Debug)]
pub(super) struct Shared {
    dir: PathBuf,
    pub(super) peppers: RwLock<Arc<Peppers>>,
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
        let job = move |connection: &mut Connection| {
            job(connection).map_err(|error| AccountsError::of(doing, error))
        };
        self.database.run(job).await
    }

    /// Runs a closure inside one write transaction: all of it happens, or nothing.
    pub(super) async fn write<T, F>(&self, doing: &'static str, job: F) -> Result<T, AccountsError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, AccountsError> + Send + 'static,
    {
        let failed = move |error| AccountsError::of(doing, error);
        self.database.write(failed, job).await
    }
}

fn open(dir: PathBuf, clock: Clock) -> Result<Accounts, AccountsError> {
    private_file::ensure_dir(&dir)?;
    if !Peppers::exist(&dir) && !Accounts::exist(&dir) {
        Peppers::make(&dir)?;
    }
    let peppers = RwLock::new(Arc::new(Peppers::read(&dir)?));
    let connection = connect(&dir.join(DATABASE))?;
    Ok(Accounts {
        database: Database::start("accounts", QUEUE, connection)?,
        shared: Arc::new(Shared {
            dir,
            peppers,
            clock,
            run: format!("{:016x}", rand::random::<u64>()),
            slow_checks: Semaphore::new(2),
        }),
    })
}

fn connect(file: &Path) -> Result<Connection, AccountsError> {
    if !file.exists() {
        drop(private_file::create_new(file)?);
    }
    drop(private_file::open_read(file)?);
    let opened = database::open(file, &SCHEMA);
    let mut connection = opened.map_err(|unsound| AccountsError::of_unsound(file, unsound))?;
    let failed = |error| AccountsError::of("bringing the database up to date", error);
    while database::step(&mut connection, SCHEMA.application_id, SCHEMA.steps).map_err(failed)? {}
    Ok(connection)
}
