//! The profile's database: opened, checked, brought up to date, and then on a thread of its own.

use std::path::Path;

use rusqlite::{Connection, Transaction};

use super::error::ProfileError;
use super::migration::{self, SCHEMA};
use crate::database::{self, Database};

/// Jobs that may wait; the next caller waits for a place.
const QUEUE: usize = 64;

/// A handle on the database thread. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Store(Database);

impl Store {
    /// Opens a database that exists, checks it, brings it up to date and starts its thread.
    ///
    /// Blocks: call it on the blocking pool.
    pub fn open(file: &Path) -> Result<Self, ProfileError> {
        let connection = connect(file)?;
        Ok(Self(Database::start("profile", QUEUE, connection)?))
    }

    /// Runs a closure on the database thread.
    pub async fn run<T, F>(&self, job: F) -> Result<T, ProfileError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, ProfileError> + Send + 'static,
    {
        self.0.run(job).await
    }

    /// Runs a closure inside one write transaction: all of it happens, or nothing.
    pub async fn write<T, F>(&self, doing: &'static str, job: F) -> Result<T, ProfileError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, ProfileError> + Send + 'static,
    {
        let failed = move |error| ProfileError::of(doing, error);
        self.0.write(failed, job).await
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

fn connect(file: &Path) -> Result<Connection, ProfileError> {
    let opened = database::open(file, &SCHEMA);
    let mut connection = opened.map_err(|unsound| ProfileError::of_unsound(file, unsound))?;
    migration::migrate(&mut connection, file, SCHEMA.steps)?;
    Ok(connection)
}

/// Asks SQLite whether the file is sound.
pub(super) fn quick_check(connection: &Connection) -> Result<(), ProfileError> {
    let found = database::quick_check(connection)
        .map_err(|error| ProfileError::of("checking the database", error))?;
    if found == "ok" {
        Ok(())
    } else {
        Err(ProfileError::Unreadable { what: found })
    }
}
