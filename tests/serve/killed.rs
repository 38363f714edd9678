//! The real program, told to end or killed at any moment while clients make users and act on VMs of real
//! hosts: what it has acknowledged is there afterwards, and nothing is there by halves.
//!
//! `tests/campaign ended` has a hundred moments of each.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use vmdeck::task::Tasks;

use crate::program::{Home, Server};
use crate::serving::{Answer, http};
use crate::support::campaign::{figure, rounds};
use crate::support::simulated::SimFleet;
use crate::support::{wait_for, write};

/// Two hosts whose VMs belong to one client each.
const HOSTS: &str = r#"
seed = 11
[[host]]
name = "kvm1"
[[host.vm]]
name = "one-{}"
count = 4
state = "stopped"
[[host]]
name = "kvm2"
[[host.vm]]
name = "two-{}"
count = 4
state = "stopped"
"#;

const CONFIG: &str = "[poll]\nlibvirt_tick = \"500ms\"\n\
    [serve.limit]\nrate_per_key = 100000\nrate_per_address = 100000\n";

/// How long the server may take to end: its grace, and a second to say so.
const END_WITHIN: Duration = Duration::from_secs(6);

/// How long anything here may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Moments that are tried with every run of the tests.
const FEW: u32 = 4;

/// Moments that are tried in the campaign.
fn many() -> u32 {
    rounds(100).try_into().expect("not so many")
}

/// What a client sent under a name of its own, and what it was told.
#[derive(Debug, Clone)]
struct Sent {
    path: String,
    name: String,
    /// Status and body; `None` when the connection ended before.
    answer: Option<(u16, String)>,
}

#[derive(Debug, Default)]
struct Seen {
    actions: Vec<Sent>,
    /// Names and keys.
    users: Vec<(String, String)>,
}

/// Sends a request with an `Idempotency-Key`.
async fn post(address: SocketAddr, key: &str, sent: &Sent, body: &str) -> std::io::Result<Answer> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let (path, name, length) = (&sent.path, &sent.name, body.len());
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\
         Idempotency-Key: {name}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let cut = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let answer = crate::serving::parse(&bytes).ok_or_else(cut)?;
    let whole = answer
        .headers
        .get("content-length")
        .is_none_or(|length| length.to_str().unwrap().parse() == Ok(answer.body.len()));
    if whole { Ok(answer) } else { Err(cut()) }
}

/// Acts on one VM, again and again, until nobody answers.
async fn act(address: SocketAddr, key: String, (vm, round): (String, u32), seen: Arc<Mutex<Seen>>) {
    for number in 0.. {
        let verb = ["start", "force-off"][number % 2];
        let mut sent = Sent {
            path: format!("/v1/vms/{vm}/actions/{verb}?wait=20"),
            name: format!("{}-{round}-{number}", vm.replace('/', "-")),
            answer: None,
        };
        let answered = post(address, &key, &sent, "").await;
        sent.answer = answered
            .as_ref()
            .ok()
            .map(|answer| (answer.status.as_u16(), answer.text()));
        seen.lock().unwrap().actions.push(sent.clone());
        match sent.answer {
            None => return,
            Some((200 | 202, _)) => {}
            // Still starting or stopping from the round before, or on a host that is away.
            Some((403 | 409 | 502 | 503 | 504, _)) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Some((status, text)) => panic!("{status} {text}"),
        }
    }
}

/// Makes users, until nobody answers.
async fn make_users(
    address: SocketAddr,
    key: String,
    (maker, round): (u32, u32),
    seen: Arc<Mutex<Seen>>,
) {
    for number in 0.. {
        let name = format!("u-{round}-{maker}-{number}");
        let sent = Sent {
            path: "/users".to_owned(),
            name: name.clone(),
            answer: None,
        };
        match post(address, &key, &sent, &format!(r#"{{"name": "{name}"}}"#)).await {
            Ok(answer) if answer.status == 201 => {
                let key = answer.json()["api_key"].as_str().unwrap().to_owned();
                seen.lock().unwrap().users.push((name, key));
            }
            Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
            Err(_gone) => return,
        }
    }
}

/// The records of the audit log, oldest first.
fn audit(dir: &Path) -> Vec<Value> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .collect();
    files.sort();
    let text: String = files
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The records of a phase by their operations, of which each has one.
fn of_phase<'a>(records: &'a [Value], phase: &str) -> HashMap<&'a str, &'a Value> {
    let mut found = HashMap::new();
    for record in records.iter().filter(|record| record["phase"] == phase) {
        if let Some(operation) = record["operation"].as_str() {
            let another = found.insert(operation, record);
            assert!(another.is_none(), "{operation} has two of {phase}");
        }
    }
    found
}

/// Whether a request that was answered so may have acted: the others were refused before anything was written.
fn may_have_acted(status: u16) -> bool {
    !matches!(status, 403 | 409 | 503)
}

struct Campaign {
    home: Home,
    sim: SimFleet,
    server: Server,
    admin: String,
    /// How many names that may have acted were sent for a VM.
    names: BTreeMap<String, usize>,
    users: Vec<(String, String)>,
    acknowledged: usize,
}

impl Campaign {
    async fn start() -> Self {
        let home = Home::new();
        write(home.0.path().join("config.toml"), CONFIG);
        let sim = SimFleet::start(HOSTS).await;
        let root = home.0.path().join("profiles");
        drop(sim.profile(&root, "default", home.0.path()).await);
        let mut server = home.serve(&[]);
        let admin = server.key();
        Self {
            home,
            sim,
            server,
            admin,
            names: BTreeMap::new(),
            users: Vec::new(),
            acknowledged: 0,
        }
    }

    fn audit_dir(&self) -> PathBuf {
        self.home.0.path().join("profiles/default/audit")
    }

    /// Lets clients loose on the server until it ends, `after` so long; a part of the rounds have a host
    /// that hangs.
    async fn round(&mut self, round: u32, after: Duration, end: impl FnOnce(&mut Self)) {
        let hangs = round % 3 == 2;
        self.sim.control("kvm2").set_silent(hangs);
        let tasks = Tasks::new();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let address = self.server.address;
        let mut clients = Vec::new();
        for host in ["kvm1/one", "kvm2/two"] {
            for number in 1..=4 {
                let vm = format!("{host}-{number}");
                let acting = act(address, self.admin.clone(), (vm, round), Arc::clone(&seen));
                clients.push(tasks.spawn("actor", acting));
            }
        }
        for maker in 0..2 {
            let making = make_users(
                address,
                self.admin.clone(),
                (maker, round),
                Arc::clone(&seen),
            );
            clients.push(tasks.spawn("maker", making));
        }
        // The moment is what is varied: nothing is waited for here.
        tokio::time::sleep(after).await;
        end(self);
        for client in clients {
            let gone = tokio::time::timeout(PATIENCE, client).await;
            gone.expect("clients see the end").unwrap();
        }
        self.sim.control("kvm2").set_silent(false);
        self.server = self.home.serve(&[]);
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        self.check(seen).await;
    }

    async fn check(&mut self, seen: Seen) {
        let address = self.server.address;
        for (name, key) in &seen.users {
            let me = http(address, "GET", "/users/me", Some(key), "").await;
            assert_eq!(me.unwrap().expect(200).json()["name"], name.as_str());
        }
        self.users.extend(seen.users);
        let again = seen.actions.iter().map(async |sent| {
            let again = post(address, &self.admin, sent, "").await;
            (sent, again.expect("an answer"))
        });
        let again = futures_util::future::join_all(again).await;
        for (sent, again) in again {
            let vm = sent.path.split('/').nth(4).unwrap().to_owned();
            let status = again.status.as_u16();
            let before = sent.answer.as_ref().map(|(status, _)| *status);
            let acted = before.is_none_or(may_have_acted) || may_have_acted(status);
            *self.names.entry(vm).or_default() += usize::from(acted);
            match &sent.answer {
                Some((told @ (200 | 202), body)) => {
                    self.acknowledged += 1;
                    assert_eq!((status, &again.text()), (*told, body));
                    assert_eq!(again.headers["idempotency-replayed"], "true");
                }
                // Not told before: it is told now, or that it may have acted, or it is done now; and what
                // was refused may be tried again.
                _ => assert!(
                    matches!(status, 200 | 202 | 403 | 409 | 502 | 503 | 504),
                    "{status} {}",
                    again.text()
                ),
            }
        }
        let dir = self.audit_dir();
        let closed = wait_for(PATIENCE, || {
            let records = audit(&dir);
            let (intents, outcomes) = (of_phase(&records, "intent"), of_phase(&records, "outcome"));
            intents.keys().all(|id| outcomes.contains_key(id))
        });
        let records = audit(&dir);
        assert!(closed, "an intent has no outcome: {records:#?}");
        let intents = of_phase(&records, "intent");
        let told = seen.actions.iter().filter_map(|sent| sent.answer.as_ref());
        for (_, body) in told.filter(|(status, _)| matches!(status, 200 | 202)) {
            let body: Value = serde_json::from_str(body).unwrap();
            let operation = body["operation"].as_str().unwrap();
            assert!(
                intents.contains_key(operation),
                "{operation} is not in the audit"
            );
        }
        // One name acted at most once.
        for (vm, names) in &self.names {
            let acted = intents
                .values()
                .filter(|record| record["vm"] == vm.as_str());
            assert!(
                acted.count() <= *names,
                "{vm}: more intents than {names} names"
            );
        }
    }

    /// Ends it; `how` is what was done to the server, for the figures.
    async fn end(self, how: &str) {
        let listed = self.home.run(&["user", "list", "--json"]).expect(0).json();
        let listed = listed.as_array().unwrap();
        for user in listed {
            assert_eq!(user["keys"].as_array().unwrap().len(), 1, "{user:#}");
        }
        for (name, _) in &self.users {
            assert!(
                listed.iter().any(|user| user["name"] == name.as_str()),
                "{name}"
            );
        }
        assert_eq!(self.server.end().0, Some(0));
        self.home.run(&["audit", "verify"]).expect(0);
        let (actions, users) = (self.acknowledged, self.users.len());
        let told = format!("{actions} actions and {users} users acknowledged, none of them lost");
        figure("ended", how, told);
        assert!(self.acknowledged > 0 && !self.users.is_empty());
        self.sim.end().await;
    }
}

/// Moments from the first request on, the same in every run.
fn moment(round: u32) -> Duration {
    let spread = round.wrapping_mul(2_654_435_761) >> 8;
    Duration::from_millis(u64::from(spread % 1500))
}

async fn kill(moments: u32) {
    let mut campaign = Campaign::start().await;
    for round in 1..=moments {
        let kill = |campaign: &mut Campaign| campaign.server.signal("KILL");
        campaign.round(round, moment(round), kill).await;
    }
    let how = format!("the server killed at {moments} moments");
    campaign.end(&how).await;
}

async fn tell_to_end(moments: u32) {
    let mut campaign = Campaign::start().await;
    let mut longest = Duration::ZERO;
    for round in 1..=moments {
        let end = |campaign: &mut Campaign| {
            let (code, took, said) = campaign.server.end_now();
            assert_eq!(code, Some(0), "{said}");
            assert!(took <= END_WITHIN, "round {round}: {took:?}\n{said}");
            assert!(!said.contains("panic"), "{said}");
            longest = longest.max(took);
        };
        campaign.round(round, moment(round), end).await;
    }
    let how = format!("the server told to end at {moments} moments, after {longest:.1?} at most");
    campaign.end(&how).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_keeps_what_it_has_acknowledged() {
    kill(FEW).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a hundred moments: tests/campaign ended"]
async fn killed_at_a_hundred_moments() {
    kill(many()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_end_at_any_moment_it_ends_within_its_grace() {
    tell_to_end(FEW).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a hundred moments: tests/campaign ended"]
async fn told_to_end_at_a_hundred_moments() {
    tell_to_end(many()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn told_twice_it_does_not_wait() {
    let mut campaign = Campaign::start().await;
    drop(campaign.server.end_now());
    let patient = format!("[serve]\ngrace = \"60s\"\n{CONFIG}");
    write(campaign.home.0.path().join("config.toml"), patient);
    campaign.server = campaign.home.serve(&[]);
    let address = campaign.server.address;
    let path = "/v1/vms?filter=host:kvm2";
    http(address, "GET", path, Some(&campaign.admin), "")
        .await
        .unwrap()
        .expect(200);
    campaign.sim.control("kvm2").set_silent(true);
    let sent = Sent {
        path: "/v1/vms/kvm2/two-1/actions/start".to_owned(),
        name: "one".to_owned(),
        answer: None,
    };
    let begun = post(address, &campaign.admin, &sent, "").await.unwrap();
    assert_eq!(begun.status, 202, "{}", begun.text());
    campaign.server.signal("TERM");
    let closed = wait_for(PATIENCE, || std::net::TcpStream::connect(address).is_err());
    assert!(closed, "it goes on listening");
    // The operation would have the whole minute now.
    let (code, took, said) = campaign.server.end_now();
    assert_eq!(code, Some(0), "{said}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    campaign.sim.control("kvm2").set_silent(false);
}
