//! The real program: how it starts, who gets in, what it writes, how it ends.

#![allow(unreachable_pub, reason = "shared by the modules of this binary")]

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use vmdeck::accounts::Accounts;
use vmdeck::clock::Clock;
use vmdeck::domain::secret::SecretText;
use vmdeck::vault::Vault;

use crate::VMDECK;
use crate::serving::Answer;
use crate::support::deck::Run;
use crate::support::keys::{KeyKind, KeyPair};
use crate::support::{command, write};

const PATIENCE: Duration = Duration::from_secs(30);

/// A home, and commands in it.
pub struct Home(pub TempDir);

impl Home {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = command(VMDECK);
        command
            .args(words)
            .env_clear()
            .env("HOME", self.0.path())
            .env("VMDECK_HOME", self.0.path())
            .env("PATH", "/usr/bin:/bin");
        command
    }

    pub fn run(&self, words: &[&str]) -> Run {
        Run::of(&mut self.command(words))
    }

    pub fn serve(&self, words: &[&str]) -> Server {
        let mut all = vec!["--serve", "--listen", "127.0.0.1:0"];
        all.extend(words);
        Server::start(self.command(&all))
    }
}

/// A running server.
pub struct Server {
    pub child: Child,
    lines: Receiver<String>,
    pub seen: Vec<String>,
    pub address: SocketAddr,
}

impl Server {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = sync_channel(10_000);
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut server = Self {
            child,
            lines,
            seen: Vec::new(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let told = server.line(|line| line.contains(" on http"));
        let base = told.split("://").nth(1).unwrap();
        server.address = base.trim().parse().unwrap();
        server
    }

    /// Waits for a line of what it says.
    #[track_caller]
    pub fn line(&mut self, fits: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("it said only:\n{}", self.seen.join("\n"));
            };
            self.seen.push(line.clone());
            if fits(&line) {
                return line;
            }
        }
    }

    /// The key that is shown at the first start.
    pub fn key(&mut self) -> String {
        let line = self.line(|line| line.contains("vmd_a_"));
        line.split_whitespace()
            .find(|word| word.starts_with("vmd_a_"))
            .unwrap()
            .to_owned()
    }

    pub fn get(&self, path: &str, key: Option<&str>) -> Answer {
        get(self.address, path, key).expect("an answer")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = command("kill").args([&format!("-{name}"), &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Ends it and returns its exit code, how long that took, and everything it said.
    pub fn end(mut self) -> (Option<i32>, Duration, String) {
        self.end_now()
    }

    /// The same for one that is held.
    pub fn end_now(&mut self) -> (Option<i32>, Duration, String) {
        let began = Instant::now();
        self.signal("TERM");
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "it does not end");
            std::thread::park_timeout(Duration::from_millis(10));
        };
        let took = began.elapsed();
        assert_eq!(status.signal(), None);
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(5)) {
            self.seen.push(line);
        }
        let mut out = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_string(&mut out).unwrap();
        }
        (
            status.code(),
            took,
            format!("{}\n{out}", self.seen.join("\n")),
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One request over a connection of its own.
pub fn get(address: SocketAddr, path: &str, key: Option<&str>) -> std::io::Result<Answer> {
    send(address, "GET", path, key, "")
}

pub fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    key: Option<&str>,
    body: &str,
) -> std::io::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(crate::serving::http(address, method, path, key, body))
}

/// Everything in a directory and below as one text, for looking for secrets.
pub fn everything(dir: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&everything(&path));
        } else {
            text.push_str(&String::from_utf8_lossy(&std::fs::read(path).unwrap()));
        }
    }
    text
}

#[test]
fn the_first_key_is_shown_once_and_stands_nowhere() {
    let home = Home::new();
    let mut server = home.serve(&[]);
    let key = server.key();
    server.get("/nothing", Some(&key)).expect(404);
    let (code, took, said) = server.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert_eq!(said.matches(&key).count(), 1, "{said}");
    assert!(!everything(home.0.path()).contains(&key));

    let (code, _, said) = home.serve(&[]).end();
    assert_eq!(code, Some(0));
    assert!(!said.contains("vmd_"), "{said}");
}

#[test]
fn the_first_key_goes_into_a_file_where_one_is_named() {
    let home = Home::new();
    let file = home.0.path().join("first-key");
    let named = ["--first-key-file", file.to_str().unwrap()];
    // Whatever is there is somebody's: nothing is begun, and no key is lost.
    vmdeck::private_file::write_atomic(&file, b"precious").unwrap();
    let mut words = vec!["--serve", "--listen", "127.0.0.1:0"];
    words.extend(named);
    let refused = home.run(&words).expect(2);
    assert!(
        refused.stderr.contains("never written over"),
        "{}",
        refused.stderr
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    std::fs::remove_file(&file).unwrap();

    let mut server = home.serve(&named);
    server.line(|line| line.contains("is in") && line.contains("first-key"));
    let key = std::fs::read_to_string(&file).unwrap();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    server.get("/nothing", Some(key.trim())).expect(404);
    let (code, _, said) = server.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("vmd_"), "{said}");

    // Later starts have no use for it.
    std::fs::remove_file(&file).unwrap();
    let (code, _, said) = home.serve(&named).end();
    assert_eq!(code, Some(0), "{said}");
    assert!(!file.exists());
}

#[test]
fn a_server_that_cannot_listen_has_made_no_key_that_nobody_is_told() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = home.run(&["--serve", "--listen", &address]);
    assert_ne!(refused.code, 0, "{}", refused.stderr);
    assert!(refused.stderr.contains(&address), "{}", refused.stderr);
    drop(taken);
    // The next start is the first one still.
    let mut server = home.serve(&[]);
    let key = server.key();
    server.get("/v1/hosts", Some(&key)).expect(200);
}

#[test]
fn the_key_of_the_digests_is_replaced_under_a_server_that_runs() {
    let home = Home::new();
    let mut server = home.serve(&[]);
    let admin = server.key();
    let issued = home.run(&["user", "add", "ann"]).expect(0).stdout;
    let idle = home.run(&["user", "add", "idle"]).expect(0).stdout;
    let refused = home.run(&["user", "rekey"]).expect(4);
    assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    home.run(&["user", "rekey", "--yes"]).expect(0);
    let late = home.run(&["user", "add", "late"]).expect(0).stdout;
    // The server notices by itself; from then on whoever comes passes over.
    let until = Instant::now() + PATIENCE;
    let refused = loop {
        for key in [admin.trim(), issued.trim()] {
            server.get("/v1/hosts", Some(key)).expect(200);
        }
        let refused = home.run(&["user", "rekey", "--finish"]).expect(4);
        let waits = |user: &str| refused.stderr.contains(user);
        if !waits("of user ann") && !waits("of user admin") {
            break refused.stderr;
        }
        assert!(Instant::now() < until, "{}", refused.stderr);
    };
    assert!(refused.contains("of user idle"), "{refused}");
    home.run(&["user", "rekey", "--finish", "--yes"]).expect(0);
    home.run(&["user", "rekey", "--finish", "--yes"]).expect(4);
    for (key, code) in [(&admin, 200), (&issued, 200), (&late, 200), (&idle, 401)] {
        server.get("/v1/hosts", Some(key.trim())).expect(code);
    }
    let (code, _, said) = server.end();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn every_request_is_one_json_line_without_what_clients_chose() {
    let home = Home::new();
    let mut server = home.serve(&[]);
    let key = server.key();
    server
        .get("/canary-path?canary=query", Some(&key))
        .expect(404);
    let line = server.line(|line| line.contains("vmdeck::request"));
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["method"], "GET");
    assert_eq!(line["status"], 404);
    assert_eq!(line["address"], "127.0.0.1");
    assert!(line["ms"].as_f64().unwrap() >= 0.0);
    let (_, _, said) = server.end();
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn it_does_not_listen_where_keys_could_be_read() {
    let home = Home::new();
    let refused = home.run(&["--serve", "--listen", "0.0.0.0:0"]).expect(4);
    assert!(
        refused.stderr.contains("in the clear"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("--insecure-plaintext"),
        "{}",
        refused.stderr
    );
    assert!(!refused.stderr.contains("vmd_"), "{}", refused.stderr);
    let server =
        Server::start(home.command(&["--serve", "--listen", "0.0.0.0:0", "--insecure-plaintext"]));
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn the_older_portals_variables_say_where_to_listen() {
    let home = Home::new();
    let mut prepared = home.command(&["--serve"]);
    prepared
        .env("MANAGEMENT_HOST", "127.0.0.1")
        .env("MANAGEMENT_PORT", "0");
    let server = Server::start(prepared);
    assert!(server.address.ip().is_loopback());
    assert_ne!(server.address.port(), 8000);
    server.end();
    let mut wrong = home.command(&["--serve"]);
    wrong.env("MANAGEMENT_PORT", "many");
    let refused = Run::of(&mut wrong).expect(2);
    assert!(
        refused.stderr.contains("MANAGEMENT_PORT"),
        "{}",
        refused.stderr
    );
}

#[test]
fn users_are_kept_from_the_command_line_while_it_runs() {
    let home = Home::new();
    let mut server = home.serve(&[]);
    let admin = server.key();
    let added = home
        .run(&["user", "add", "ann", "--email", "ann@example.org"])
        .expect(0);
    let key = added.stdout.trim().to_owned();
    assert!(key.starts_with("vmd_k_"), "{}", added.stdout);
    let listed = home.run(&["user", "list", "--json"]).expect(0).json();
    let ann = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|user| user["name"] == "ann")
        .unwrap();
    assert_eq!(ann["email"], "ann@example.org");
    assert_eq!(ann["keys"][0]["live"], true);
    assert_eq!(ann["keys"][0]["scopes"]["read_only"], false);
    assert!(!listed.to_string().contains(&key));
    let rotated = home.run(&["user", "rotate", "ann"]).expect(0).stdout;
    assert_ne!(rotated.trim(), key);
    let narrow = home.run(&[
        "user",
        "add",
        "ci",
        "--in",
        "default",
        "--host",
        "kvm*",
        "--verb",
        "start",
        "--expires",
        "90d",
    ]);
    narrow.expect(0);
    let text = home.run(&["user", "list"]).expect(0).stdout;
    assert!(text.contains("start on kvm*"), "{text}");
    let nowhere = home.run(&["user", "add", "x", "--in", "other"]).expect(4);
    assert!(
        nowhere.stderr.contains("vmdeck profile grant other"),
        "{}",
        nowhere.stderr
    );
    home.run(&["user", "rm", "ann"]).expect(4);
    home.run(&["user", "rm", "ann", "--yes"]).expect(0);
    let profile = ann["profile"].as_str().unwrap();
    let recorded = |profile: &str| {
        let exported = home
            .run(&["--profile", profile, "audit", "export"])
            .expect(0);
        exported.stdout
    };
    let of_ann = recorded(profile);
    for (action, details) in [
        ("user-added", "user ann (id "),
        ("user-key-replaced", "the old keys have ended"),
        ("user-removed", "user ann (id "),
    ] {
        let line = of_ann.lines().find(|line| line.contains(action));
        assert!(line.is_some_and(|line| line.contains(details)), "{of_ann}");
    }
    assert!(recorded("default").contains("may start on kvm*"));
    home.run(&["user", "rm", "ann", "--yes"]).expect(3);
    home.run(&["user", "rotate", "nobody"]).expect(3);
    let (_, _, said) = server.end();
    for secret in [key.as_str(), rotated.trim()] {
        assert!(!said.contains(secret));
        assert!(!everything(home.0.path()).contains(secret));
    }
    assert!(!everything(home.0.path()).contains(&admin));
}

#[test]
fn a_profile_is_granted_with_its_passphrase_and_taken_back_without() {
    let home = Home::new();
    let secret = |name: &str, text: &str| {
        let path = home.0.path().join(name);
        vmdeck::private_file::write_atomic(&path, text.as_bytes()).unwrap();
        path
    };
    let (server_pass, own_pass) = (
        secret("sp", "server canary-1"),
        secret("op", "own long canary-2"),
    );
    let with = |pass: &Path, words: &[&str]| {
        let mut prepared = home.command(words);
        prepared.env("VMDECK_PASSPHRASE_FILE", pass);
        Run::of(&mut prepared)
    };
    with(&own_pass, &["profile", "create", "lab", "--passphrase"]).expect(0);
    let early = with(&own_pass, &["profile", "grant", "lab"]).expect(4);
    assert!(
        early.stderr.contains("no passphrase yet"),
        "{}",
        early.stderr
    );

    let mut first = home.command(&["--serve", "--listen", "127.0.0.1:0"]);
    first.env("VMDECK_PASSPHRASE_FILE", &server_pass);
    assert_eq!(Server::start(first).end().0, Some(0));
    let wrong = with(&own_pass, &["--serve", "--listen", "127.0.0.1:0"]).expect(4);
    assert!(
        wrong.stderr.contains("passphrase is wrong"),
        "{}",
        wrong.stderr
    );

    with(&server_pass, &["profile", "grant", "lab"]).expect(4);
    with(&own_pass, &["profile", "grant", "lab"]).expect(0);
    home.run(&["user", "add", "bot", "--in", "lab"]).expect(0);
    home.run(&["profile", "take-back", "lab"]).expect(0);
    home.run(&["profile", "take-back", "lab"]).expect(4);
    let kept = everything(&home.0.path().join("server"));
    assert!(!kept.contains("canary") && !kept.contains("AGE-SECRET"));
}

#[tokio::test]
async fn the_servers_own_passphrase_is_changed_and_what_is_granted_stays() {
    let home = Home::new();
    let secret = |name: &str, text: &str| {
        let path = home.0.path().join(name);
        vmdeck::private_file::write_atomic(&path, text.as_bytes()).unwrap();
        path
    };
    let old = secret("old", "server canary-1");
    let new = secret("new", "server canary-2");
    let changing = |pass: &Path| {
        let words = ["profile", "passwd", "--server", "--new-passphrase-fd", "0"];
        let mut prepared = home.command(&words);
        prepared.env("VMDECK_PASSPHRASE_FILE", pass);
        // The descriptor is looked up by the number it has in the child: standard input.
        prepared.stdin(std::fs::File::open(&new).unwrap());
        Run::of(&mut prepared)
    };
    let early = changing(&old).expect(3);
    assert!(early.stderr.contains("no passphrase"), "{}", early.stderr);

    let folder = home.0.path().join("server");
    let accounts = Accounts::open(&folder, Clock::system()).await.unwrap();
    let text = SecretText::from("server canary-1".to_owned());
    let vault = Vault::for_tests(None);
    let before = vault.create_identity(&text).await.unwrap();
    accounts.set_identity(before.clone()).await.unwrap();
    let wrong = changing(&new).expect(4);
    assert!(wrong.stderr.contains("is wrong"), "{}", wrong.stderr);
    assert_eq!(accounts.identity().await.unwrap().unwrap(), before);

    changing(&old).expect(0);
    let after = accounts.identity().await.unwrap().unwrap();
    // It is the same identity, and so opens what was sealed to it.
    assert_eq!(after.recipient, before.recipient);
    assert_ne!(after.wrapped, before.wrapped);
    let mut serving = home.command(&["--serve", "--listen", "127.0.0.1:0"]);
    serving.env("VMDECK_PASSPHRASE_FILE", &new);
    assert_eq!(Server::start(serving).end().0, Some(0));
    let kept = everything(&folder);
    assert!(!kept.contains("canary") && !kept.contains("AGE-SECRET"));
}

#[test]
fn it_tells_its_manager_when_it_answers_and_takes_its_socket() {
    let home = Home::new();
    let path = home.0.path().join("notify");
    let notify = UnixDatagram::bind(&path).unwrap();
    notify.set_read_timeout(Some(PATIENCE)).unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    // The shell stands in for the manager: it says whom the sockets are for.
    let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" --serve";
    let mut prepared = command("sh");
    prepared
        .args(["-c", script, VMDECK])
        .env_clear()
        .env("HOME", home.0.path())
        .env("VMDECK_HOME", home.0.path())
        .env("NOTIFY_SOCKET", &path)
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(socket)));
    let server = Server::start(prepared);
    assert_eq!(server.address, address);
    let mut bytes = [0; 256];
    let mut said = |word: &str| loop {
        let length = notify.recv(&mut bytes).expect("a word of the server");
        if String::from_utf8_lossy(&bytes[..length]).contains(word) {
            return;
        }
    };
    said("READY=1");
    server.get("/nothing", None).expect(404);
    server.signal("TERM");
    said("STOPPING=1");
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn the_demos_lines_work_as_pasted() {
    let home = Home::new();
    let mut server = home.serve(&["--demo"]);
    server.line(|line| line.contains("Read the API in a browser"));
    let lines: Vec<String> = server
        .seen
        .iter()
        .filter(|line| line.trim_start().starts_with("curl "))
        .cloned()
        .collect();
    assert_eq!(lines.len(), 3, "{:?}", server.seen);
    let paste = |line: &str| {
        let output = command("sh").args(["-c", line]).output().unwrap();
        assert!(
            output.status.success() || line.contains("events"),
            "{line}: {output:?}"
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let list = || -> Vec<String> {
        let list: Value = serde_json::from_str(&paste(&lines[0])).unwrap();
        let stopped = list["items"].as_array().unwrap().iter();
        stopped
            .map(|vm| {
                assert_eq!(vm["state"], "stopped", "{list:#}");
                vm["id"].as_str().unwrap().to_owned()
            })
            .collect()
    };
    let stopped = list();
    let started: Value = serde_json::from_str(&paste(&lines[1])).unwrap();
    assert_eq!(started["action"], "start", "{started:#}");
    assert_eq!(started["outcome"], "confirmed", "{started:#}");
    let id = started["id"].as_str().unwrap();
    assert!(stopped.iter().any(|one| one == id), "{started:#}");
    assert!(list().iter().all(|one| one != id), "it runs now");
    let events = paste(&format!("{} --max-time 3", lines[2]));
    assert!(events.contains("event:"), "{events}");
    let (code, _, said) = server.end();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn sigterm_under_load_ends_it_in_order() {
    let home = Home::new();
    let mut server = home.serve(&["--demo"]);
    let key = server.key();
    server.line(|line| line.contains("Read the API in a browser"));
    let address = server.address;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (key, stop) = (key.clone(), std::sync::Arc::clone(&stop));
            std::thread::spawn(move || {
                let (mut whole, mut refused) = (0, 0);
                while !stop.load(std::sync::atomic::Ordering::Relaxed) && refused < 20 {
                    match get(address, "/v1/vms", Some(&key)) {
                        Ok(answer) if answer.status.as_u16() < 500 => whole += 1,
                        Ok(answer) => panic!("{} {}", answer.status, answer.text()),
                        Err(_) => refused += 1,
                    }
                }
                whole
            })
        })
        .collect();
    for _ in 0..20 {
        server.line(|line| line.contains("vmdeck::request"));
    }
    let (code, took, said) = server.end();
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(code, Some(0), "{said}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    let answered: i32 = clients
        .into_iter()
        .map(|client| client.join().unwrap())
        .sum();
    assert!(answered >= 20, "{answered}");
    assert!(!said.contains("panic"), "{said}");
    assert_eq!(
        said.matches(&key).count(),
        4,
        "the key, and three lines to paste"
    );
}

#[test]
fn killed_under_load_it_has_every_user_it_acknowledged_and_no_half_one() {
    let home = Home::new();
    let rates = "[serve.limit]\nrate_per_key = 100000\nrate_per_address = 100000\n";
    write(home.0.path().join("config.toml"), rates);
    let mut server = home.serve(&[]);
    let admin = server.key();
    let mut acknowledged: Vec<(String, String)> = Vec::new();
    for round in 0..4 {
        let address = server.address;
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let admin = admin.clone();
                std::thread::spawn(move || {
                    let mut made = Vec::new();
                    for number in 0.. {
                        let name = format!("u-{round}-{client}-{number}");
                        let body = format!(r#"{{"name": "{name}"}}"#);
                        match send(address, "POST", "/users", Some(&admin), &body) {
                            Ok(answer) if answer.status == 201 => {
                                let key = answer.json()["api_key"].as_str().unwrap().to_owned();
                                made.push((name, key));
                            }
                            Ok(answer) => panic!("{} {}", answer.status, answer.text()),
                            Err(_gone) => return made,
                        }
                    }
                    made
                })
            })
            .collect();
        let so_many = 5 * (round + 1);
        for _ in 0..so_many {
            server.line(|line| line.contains("vmdeck::request"));
        }
        server.signal("KILL");
        for client in clients {
            acknowledged.extend(client.join().unwrap());
        }
        drop(server);
        server = home.serve(&[]);
    }
    assert!(acknowledged.len() >= 30, "{}", acknowledged.len());
    for (name, key) in acknowledged.iter().rev().take(40) {
        let me = server.get("/users/me", Some(key)).expect(200).json();
        assert_eq!(me["name"], name.as_str());
    }
    let listed = home.run(&["user", "list", "--json"]).expect(0).json();
    for user in listed.as_array().unwrap() {
        assert_eq!(user["keys"].as_array().unwrap().len(), 1, "{user:#}");
    }
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn secrets_stand_in_no_output_no_log_and_no_file() {
    let home = Home::new();
    let root = home.0.path();
    let key = KeyPair::generate(&root.join("agent-key"), KeyKind::Ed25519, "canary-phrase");
    let pem = key.pem();
    std::fs::remove_file(root.join("agent-key")).unwrap();
    let passphrase = root.join("passphrase");
    vmdeck::private_file::write_atomic(&passphrase, b"canary-server-passphrase").unwrap();
    let mut prepared = home.command(&["--serve", "--listen", "127.0.0.1:0", "--verbose"]);
    prepared
        .env("VMDECK_PASSPHRASE_FILE", &passphrase)
        .env("API_KEY", "canary-bot-key")
        .env("HMAC_SECRET", "canary-hmac-secret");
    let mut server = Server::start(prepared);
    let admin = server.key();
    let post = |path: &str, key: &str, body: &Value| {
        send(server.address, "POST", path, Some(key), &body.to_string()).unwrap()
    };
    let made = post("/users", &admin, &json!({"name": "ann"}))
        .expect(201)
        .json();
    let user = made["api_key"].as_str().unwrap().to_owned();
    let agent = |name: &str, phrase: &str, port: u32| {
        json!({
            "name": name, "hostname": "192.0.2.10", "port": port, "username": "ops",
            "private_key": pem, "private_key_passphrase": phrase,
        })
    };
    let mut said = String::new();
    let kept = post("/agents", &user, &agent("kvm1", "canary-phrase", 22)).expect(201);
    said.push_str(&kept.text());
    for (body, status) in [
        (agent("kvm2", "canary-phrase", 99_999), 422),
        (agent("kvm3", "canary-wrong-phrase", 22), 201),
        (
            json!({"name": 7, "private_key": pem, "private_key_passphrase": ["canary-list"]}),
            422,
        ),
    ] {
        let refused = post("/agents", &user, &body);
        assert_eq!(refused.status, status, "{}", refused.text());
        said.push_str(&refused.text());
    }
    for path in [
        "/vm/list",
        "/v1/vms",
        "/v1/audit",
        "/metrics",
        "/v1/openapi.json",
        "/canary-path",
    ] {
        for key in [admin.as_str(), "canary-wrong-key", &user] {
            said.push_str(&server.get(path, Some(key)).text());
        }
    }
    let id = kept.json()["id"].clone();
    let export = server
        .get(&format!("/agents/{id}/credentials"), Some(&user))
        .expect(403);
    said.push_str(&export.text());
    let (code, _, log) = server.end();
    assert_eq!(code, Some(0));
    std::fs::remove_file(&passphrase).unwrap();
    let files = everything(root);
    let lines: Vec<&str> = pem.lines().filter(|line| line.len() == 70).collect();
    assert!(!lines.is_empty(), "{pem}");
    let mut secrets = vec!["canary", user.as_str(), "AGE-SECRET-KEY"];
    secrets.extend(lines);
    for secret in secrets {
        assert!(!log.contains(secret), "the log holds {secret}:\n{log}");
        assert!(!said.contains(secret), "an answer holds {secret}:\n{said}");
        assert!(!files.contains(secret), "a file holds {secret}");
    }
    assert!(!said.contains(&admin) && !files.contains(&admin));
    assert_eq!(log.matches(&admin).count(), 1, "shown once");
}

#[test]
fn nobody_makes_users_in_the_clear() {
    let home = Home::new();
    write(
        home.0.path().join("config.toml"),
        "[serve.compat]\nopen_registration = true\n",
    );
    let words = ["--serve", "--listen", "0.0.0.0:0", "--insecure-plaintext"];
    let refused = home.run(&words).expect(2);
    assert!(
        refused.stderr.contains("trusted_proxies"),
        "{}",
        refused.stderr
    );
    let server = home.serve(&[]);
    let made = send(server.address, "POST", "/users", None, r#"{"name": "ann"}"#).unwrap();
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn the_unit_is_hardened() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/deploy/vmdeck.service");
    let mut analyze = command("systemd-analyze");
    analyze
        .args(["security", "--offline=true", "--no-pager"])
        .arg(&unit);
    let said = Run::of(&mut analyze).expect(0).stdout;
    let level = said
        .lines()
        .find_map(|line| line.split_once("Overall exposure level for vmdeck.service:"))
        .map(|(_, level)| level.split_whitespace().next().unwrap().to_owned());
    let level: f64 = level.expect("a level").parse().unwrap();
    assert!(level < 2.0, "{said}");
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_opened() {
    let home = Home::new();
    for words in [
        &["--serve", "list"][..],
        &["--serve", "--once", "list"],
        &["--listen", "127.0.0.1:0"],
        &["--serve", "--listen", "nowhere"],
        &["--serve", "--tls-key", "/nothing"],
    ] {
        let refused = home.run(words).expect(2);
        assert!(!refused.stderr.is_empty());
    }
    let config = home.0.path().join("config.toml");
    write(&config, "[serve.limit]\nbody_bytes = \"1\"\n");
    let refused = home.run(&["--serve"]).expect(2);
    assert!(
        refused.stderr.contains("serve.limit.body_bytes"),
        "{}",
        refused.stderr
    );
    write(
        &config,
        "[serve]\ntrusted_proxies = [\"10.0.0.0/8\", \"x\"]\n",
    );
    let refused = home.run(&["--serve"]).expect(2);
    assert!(
        refused.stderr.contains("serve.trusted_proxies"),
        "{}",
        refused.stderr
    );
}
