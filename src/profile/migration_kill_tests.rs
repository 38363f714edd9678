//! Killed at any point of any step, a database is of the old version or of the new, whole, and the next
//! start finishes what was begun. The killed program is this test binary, started again.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rusqlite::Connection;

use super::migrate;
use crate::private_file;

/// Where the program that is to be killed finds its database.
const FILE: &str = "VMDECK_MIGRATION_TEST_FILE";

/// Steps that take a while: each changes every row.
const STEPS: [&str; 3] = [
    "CREATE TABLE a (x INTEGER, filler TEXT) STRICT;
     WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 4000)
     INSERT INTO a SELECT x, hex(randomblob(40)) FROM n;",
    "ALTER TABLE a ADD COLUMN y INTEGER; UPDATE a SET y = x * 2;",
    "CREATE TABLE b (x INTEGER, z INTEGER) STRICT; INSERT INTO b SELECT x, y + 1 FROM a;
     CREATE INDEX by_z ON b (z); UPDATE a SET filler = 'new';",
];

fn open(file: &Path) -> Connection {
    let connection = Connection::open(file).unwrap();
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))
        .unwrap();
    connection
        .pragma_update(None, "synchronous", "FULL")
        .unwrap();
    connection
}

/// Makes a database of a version.
fn of_version(root: &Path, version: usize) -> PathBuf {
    let file = root.join("profile.db");
    drop(private_file::create_new(&file).unwrap());
    migrate(&mut open(&file), &file, &STEPS[..version]).unwrap();
    file
}

#[test]
#[ignore = "the program that the test below starts and kills"]
fn migrates_until_it_is_killed() {
    #[expect(clippy::disallowed_methods, reason = "how the test tells its child")]
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let file = PathBuf::from(file);
    let mut connection = open(&file);
    println!("now");
    migrate(&mut connection, &file, &STEPS).unwrap();
    println!("done");
    // Waits to be killed.
    std::io::stdin().lines().for_each(drop);
}

/// Starts the migration, kills it after `delay`; tells whether it had finished.
fn kill_after(file: &Path, delay: Duration) -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "a process that can be killed is what is tested"
    )]
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let name = format!("{}::migrates_until_it_is_killed", module_path!());
    let name = name.split_once("::").unwrap().1.to_owned();
    let mut child = command
        .args([
            "--exact",
            &name,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(FILE, file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let started = lines.any(|line| line.unwrap().ends_with("now"));
    assert!(started, "the program to kill did not start");
    let (_hold, held) = std::sync::mpsc::sync_channel::<()>(1);
    assert!(held.recv_timeout(delay).is_err());
    child.kill().unwrap();
    let finished = lines.map_while(Result::ok).any(|line| line == "done");
    child.wait().unwrap();
    finished
}

/// The version, after everything in the database has been compared with it.
fn sound_version(file: &Path) -> i64 {
    let connection = open(file);
    let ask = |question: &str| -> i64 {
        connection
            .query_row(question, [], |row| row.get(0))
            .unwrap()
    };
    let verdict: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
    let version = crate::database::version(&connection).unwrap();
    let tables = ask("SELECT count(*) FROM sqlite_schema WHERE type = 'table'");
    let columns = ask("SELECT count(*) FROM pragma_table_info('a')");
    let expected = [(0, 0), (1, 2), (1, 3), (2, 3)];
    assert_eq!(
        (tables, columns),
        expected[usize::try_from(version).unwrap()]
    );
    if version >= 1 {
        assert_eq!(ask("SELECT count(*) FROM a"), 4000);
    }
    if version >= 2 {
        assert_eq!(ask("SELECT count(*) FROM a WHERE y = x * 2"), 4000);
    }
    if version >= 3 {
        assert_eq!(ask("SELECT count(*) FROM b WHERE z = x * 2 + 1"), 4000);
        assert_eq!(ask("SELECT count(*) FROM a WHERE filler = 'new'"), 4000);
    }
    version
}

/// Kills at so many points in each step.
fn kill_in_every_step(points: u32) {
    let mut killed_in = [0; 3];
    for from in 0..STEPS.len() {
        for point in 0..points {
            let root = tempfile::tempdir().unwrap();
            let file = of_version(root.path(), from);
            let delay = Duration::from_millis(40) * point / points;
            let finished = kill_after(&file, delay);
            let version = sound_version(&file);
            let at = usize::try_from(version).unwrap();
            assert!(at >= from, "step {from}, point {point}: a step was undone");
            assert!(!finished || at == STEPS.len(), "what was done is done");
            if let Some(count) = killed_in.get_mut(at) {
                *count += 1;
            }
            // The next start finishes it.
            migrate(&mut open(&file), &file, &STEPS).unwrap();
            assert_eq!(sound_version(&file), 3);
        }
    }
    println!("durability: kills by the step they fell into: {killed_in:?}");
    assert!(killed_in.iter().sum::<u32>() > 0, "no kill came in time");
}

#[test]
fn killed_in_any_step_a_database_is_of_the_old_version_or_the_new() {
    kill_in_every_step(5);
}

#[test]
#[ignore = "twenty points in each step: tests/campaign durability"]
fn killed_at_twenty_points_of_each_step() {
    kill_in_every_step(20);
}
