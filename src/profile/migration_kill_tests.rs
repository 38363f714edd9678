//! Killed at any point of any step, a database is of the old version or of the new, whole, and the next
//! start finishes what was begun. The killed program is this test binary, started again.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::migrate;
use crate::private_file;

/// Where the program that is to be killed finds its database.
const FILE: &str = "VMDECK_MIGRATION_TEST_FILE";
/// The version that it migrates to.
const TO: &str = "VMDECK_MIGRATION_TEST_TO";

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
    let (Some(file), Ok(to)) = (std::env::var_os(FILE), std::env::var(TO)) else {
        return;
    };
    let file = PathBuf::from(file);
    let steps = &STEPS[..to.parse().unwrap()];
    let mut connection = open(&file);
    println!("now");
    migrate(&mut connection, &file, steps).unwrap();
    println!("done");
    // Waits to be killed.
    std::io::stdin().lines().for_each(drop);
}

/// Starts the step from a version to the next; with a delay it is killed after that. Returns how long it
/// took, or nothing when the kill came in time.
fn run_step(file: &Path, from: usize, killed_after: Option<Duration>) -> Option<Duration> {
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
        .env(TO, (from + 1).to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let started = lines.any(|line| line.unwrap().ends_with("now"));
    assert!(started, "the program to kill did not start");
    let since = Instant::now();
    if let Some(delay) = killed_after {
        let (_hold, held) = std::sync::mpsc::sync_channel::<()>(1);
        assert!(held.recv_timeout(delay).is_err());
        child.kill().unwrap();
    }
    let finished = lines.map_while(Result::ok).any(|line| line == "done");
    let took = since.elapsed();
    child.kill().unwrap();
    child.wait().unwrap();
    finished.then_some(took)
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

/// Kills each step in the middle of it, at so many points; a kill that came too late is none.
fn kill_in_every_step(points: u32) {
    for from in 0..STEPS.len() {
        let mut window = window_of(from);
        let (mut old, mut new, mut late) = (0, 0, 0);
        while old + new < points {
            let root = tempfile::tempdir().unwrap();
            let file = of_version(root.path(), from);
            let delay = window * (old + new) / points;
            let finished = run_step(&file, from, Some(delay)).is_some();
            let version = usize::try_from(sound_version(&file)).unwrap();
            match version.checked_sub(from) {
                Some(1) if finished => {
                    late += 1;
                    window = window * 4 / 5;
                }
                Some(0) if !finished => old += 1,
                Some(1) => new += 1,
                _ => panic!(
                    "killed in step {from} after {delay:?}: version {version}, done: {finished}"
                ),
            }
            // The next start finishes it.
            migrate(&mut open(&file), &file, &STEPS).unwrap();
            assert_eq!(sound_version(&file), 3);
        }
        println!(
            "durability: step {from}, killed {points} times in the first {window:?} of it: {old} times of the old \
             version, {new} times of the new ({late} more came too late)"
        );
    }
}

/// How long a step takes that is not killed.
fn window_of(from: usize) -> Duration {
    let root = tempfile::tempdir().unwrap();
    let file = of_version(root.path(), from);
    let took = run_step(&file, from, None);
    assert_eq!(usize::try_from(sound_version(&file)).unwrap(), from + 1);
    took.unwrap()
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
