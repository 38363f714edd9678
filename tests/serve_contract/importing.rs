//! Moving over from the older portal, with a database made by Python as the old one was.

use std::path::Path;

use serde_json::json;
use vmdeck::accounts::{Accounts, NewKey, NewUser};
use vmdeck::clock::Clock;
use vmdeck::domain::secret::SecretText;

use crate::support::deck::{Deck, Run};
use crate::support::{command, run, write};

const VMDECK: &str = env!("CARGO_BIN_EXE_vmdeck");

/// Keys as the old portal made them: `secrets.token_urlsafe(32)`.
const ANN: &str = "AnnsOldKey-0123456789_abcdefghijklmnopqrstu";
const BOB: &str = "BobsOldKey-0123456789_abcdefghijklmnopqrstu";

/// Makes the old database with Python's own sqlite3 and hashlib.
const OLD_PORTAL: &str = r#"
import base64, hashlib, os, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.executescript("""
CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, email TEXT UNIQUE,
  api_key_prefix TEXT NOT NULL, api_key_hash TEXT NOT NULL, api_key_salt TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE agents (id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL REFERENCES users(id), name TEXT NOT NULL,
  hostname TEXT NOT NULL, port INTEGER NOT NULL, username TEXT NOT NULL, private_key TEXT NOT NULL, private_key_passphrase TEXT,
  allow_unknown_hosts INTEGER NOT NULL DEFAULT 0, known_hosts_path TEXT, created_at TEXT NOT NULL);
""")
def user(id, name, email, key):
    salt = os.urandom(16)
    digest = hashlib.pbkdf2_hmac("sha256", key.encode(), salt, 600_000, 32)
    b64 = lambda raw: base64.b64encode(raw).decode()
    db.execute("INSERT INTO users VALUES (?,?,?,?,?,?,?)",
               (id, name, email, key[:8], b64(digest), b64(salt), "2024-05-01T12:00:00.250000+00:00"))
key = "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary-of-the-old-database-long-enough-to-be-one\n-----END OPENSSH PRIVATE KEY-----\n"
user(1, "Ann", "ann@example.org", sys.argv[2])
user(5, "Bob", None, sys.argv[3])
agent = lambda *row: db.execute("INSERT INTO agents VALUES (?,?,?,?,?,?,?,?,?,?,?)", row + ("2024-06-01 08:00:00",))
agent(3, 1, "kvm1", "kvm1.invalid", 2222, "root", key, "canary-passphrase", 1, "/home/ann/known_hosts")
agent(4, 1, "kvm1", "kvm1b.invalid", 22, "root", key, None, 0, None)
agent(9, 5, "rack/3", "kvm9.invalid", 22, "ops", key, None, 0, None)
agent(10, 77, "orphan", "x.invalid", 22, "ops", key, None, 0, None)
agent(11, 5, "bad", "x.invalid", 22, "not a name", key, None, 0, None)
db.commit()
"#;

fn old_database(deck: &Deck) -> std::path::PathBuf {
    let file = deck.home().join("management.sqlite3");
    let path = file.display().to_string();
    run(command("python3").args(["-c", OLD_PORTAL, &path, ANN, BOB]));
    file
}

fn import(deck: &Deck, args: &[&str]) -> Run {
    let passphrase = deck.home().join("passphrase");
    write(&passphrase, "server passphrase\n");
    run(command("chmod").args(["600", &passphrase.display().to_string()]));
    let mut prepared = deck.command(&[&["import", "portal"], args].concat());
    Run::of(prepared.env("VMDECK_PASSPHRASE_FILE", passphrase))
}

async fn accounts(deck: &Deck) -> Accounts {
    Accounts::open(&deck.home().join("server"), Clock::system())
        .await
        .unwrap()
}

fn holds(folder: &Path, canary: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, canary);
        }
        path.file_name().unwrap() != "management.sqlite3"
            && std::fs::read(&path)
                .unwrap()
                .windows(canary.len())
                .any(|window| window == canary)
    })
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one move, looked at from all sides")]
async fn users_keys_and_agents_move_over_under_their_ids() {
    let deck = Deck::new(VMDECK);
    let file = old_database(&deck);
    let before = std::fs::read(&file).unwrap();
    // The server has run before: its administrator has a number that an old user had.
    let own = accounts(&deck).await;
    let (admin, admin_key) = own.bootstrap("default").await.unwrap().unwrap();
    assert_eq!(admin.id, 1);
    drop(own);

    let path = file.display().to_string();
    let tried = import(&deck, &[&path, "--dry-run"]).expect(0);
    assert!(
        tried.stdout.contains("could  agent 9 (rack/3)"),
        "{}",
        tried.stdout
    );
    let told = import(&deck, &[&path]).expect(7);
    assert!(
        told.stdout.contains("took   user 1 (Ann)"),
        "{}",
        told.stdout
    );
    assert!(
        told.stdout
            .contains("skip   agent 10: its user is not there"),
        "{}",
        told.stdout
    );
    assert!(told.stdout.contains("skip   agent 11:"), "{}", told.stdout);
    assert!(
        told.stderr
            .contains("took over 2 users and 3 agents; 2 rows were left out"),
        "{}",
        told.stderr
    );
    assert_eq!(
        std::fs::read(&file).unwrap(),
        before,
        "the old file is only read"
    );
    assert!(!holds(deck.home(), b"canary"), "private keys are sealed");
    for text in [&told.stdout, &told.stderr] {
        assert!(!text.contains("canary"));
    }

    let again = import(&deck, &[&path]).expect(7);
    assert!(
        again.stdout.contains("known  user 1 (Ann)")
            && again.stdout.contains("known  agent 3 (kvm1)"),
        "{}",
        again.stdout
    );
    assert!(
        again.stderr.contains("took over 0 users and 0 agents"),
        "{}",
        again.stderr
    );

    let accounts = accounts(&deck).await;
    let key = |text: &str| SecretText::from(text.to_owned());
    for _ in 0..2 {
        let ann = accounts
            .authenticate(&key(ANN))
            .await
            .expect("the old key works, slowly, then fast");
        assert_eq!(
            (ann.user.id, ann.user.name.as_str(), ann.key.prefix.as_str()),
            (1, "Ann", "AnnsOldK")
        );
    }
    assert_eq!(accounts.authenticate(&key(BOB)).await.unwrap().user.id, 5);
    let wrong = ANN.replace("stu", "stv");
    assert!(accounts.authenticate(&key(&wrong)).await.is_err());
    let moved = accounts
        .authenticate(&admin_key.token)
        .await
        .expect("the administrator is still there");
    assert!(moved.user.admin && ![1, 5].contains(&moved.user.id));
    let new = NewUser {
        name: "Eve".into(),
        email: None,
        profile: None,
        admin: false,
    };
    let (eve, _) = accounts.add_user(new, NewKey::default()).await.unwrap();
    assert_eq!(eve.id, 6, "no number is given twice");

    let agents = accounts.agents(1).await.unwrap();
    assert_eq!(
        agents.iter().map(|agent| agent.id).collect::<Vec<_>>(),
        [3, 4]
    );
    assert_eq!(
        agents[0].known_hosts_path.as_deref(),
        Some("/home/ann/known_hosts")
    );
    assert_eq!(
        agents[0].created_at,
        "2024-06-01T08:00:00Z".parse().unwrap()
    );
    let hosts = Run::of(&mut deck.command(&["host", "list", "--json", "--profile", "user-1"]))
        .expect(0)
        .json();
    let names: Vec<_> = hosts
        .as_array()
        .unwrap()
        .iter()
        .map(|host| host["name"].clone())
        .collect();
    assert_eq!(names, [json!("kvm1"), json!("kvm1 (4)")]);
    let hosts = Run::of(&mut deck.command(&["host", "list", "--json", "--profile", "user-5"]))
        .expect(0)
        .json();
    assert_eq!(hosts[0]["name"], "rack-3");
}

#[test]
fn what_is_no_portal_is_refused() {
    let deck = Deck::new(VMDECK);
    let text = deck.home().join("text");
    write(
        &text,
        "this is no database, however long it goes on about it".repeat(50),
    );
    for file in [
        text.display().to_string(),
        deck.home().join("nothing").display().to_string(),
    ] {
        let told = import(&deck, &[&file]).expect(2);
        assert!(told.stderr.contains("could not read"), "{}", told.stderr);
    }
    let told = import(&deck, &[]).expect(2);
    assert!(
        told.stderr.contains("data/management.sqlite3"),
        "{}",
        told.stderr
    );
}
