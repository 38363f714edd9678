//! An SSH server that misbehaves: whatever it does, a caller gets a verdict within its deadline, memory
//! stays bounded, nothing panics, and the links to other hosts go on.

mod raw;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use vmdeck::domain::credential::Credential;
use vmdeck::domain::host::Endpoint;
use vmdeck::domain::remote_command::RemoteCommand;
use vmdeck::domain::secret::SecretText;
use vmdeck::sim::Scenario;
use vmdeck::transport::ssh::{SshConnector, SshOptions};
use vmdeck::transport::{Connector, ExecLimits, Hop, Target, Transport};

use self::raw::Script;
use self::server::{Server, Trick};
use crate::support::campaign::{alone, descriptors, figure, memory, rounds, seed, tasks};
use crate::support::simulated::SimFleet;

/// Deadlines of one visit: reaching, login, one command.
const DEADLINE: Duration = Duration::from_millis(700);

/// What a verdict may take on a machine that has other things to do: three deadlines are due in one
/// visit, and a farewell.
const PATIENCE: Duration = Duration::from_secs(30);

/// Memory that one kind of misbehaviour may cost for good.
const MEMORY: usize = 32 << 20;

/// Visits at once.
const AT_ONCE: usize = 5;

#[derive(Clone, Copy)]
enum Peer {
    Raw(Script),
    Server(Trick),
}

/// Every misbehaviour with its name.
fn peers() -> Vec<(String, Peer)> {
    let raw = raw::ALL
        .iter()
        .map(|(name, script)| ((*name).to_owned(), Peer::Raw(*script)));
    let tricks = Trick::ALL.map(|trick| (format!("{trick:?}"), Peer::Server(trick)));
    raw.chain(tricks).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_misbehaviour_of_a_server_hurts() {
    meet_all(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a thousand sessions: tests/campaign hostile"]
async fn forty_misbehaviours_twenty_five_times() {
    meet_all(rounds(25)).await;
}

async fn meet_all(seeds: usize) {
    const NAME: &str = "hostile";
    let _turn = alone().await;
    let peers = peers();
    assert!(peers.len() >= 40, "{} misbehaviours", peers.len());
    // A host that behaves, read all the while.
    let fleet = SimFleet::of(Scenario::grid(1, 4).unwrap()).await;
    let sound = fleet.connect("grid-0001").await;
    let (open, alive) = (descriptors(), tasks());
    let mut ours = Others::new(sound);
    ours.read_for(20).await;
    let calm = ours.p99();
    let began = Instant::now();
    let (mut sessions, mut verdicts, mut worst) = (0, [0; 2], Duration::ZERO);
    let mut dearest = (0, String::new());
    for (name, peer) in &peers {
        let before = memory();
        for batch in (0..seeds).collect::<Vec<_>>().chunks(AT_ONCE) {
            let mut visits = JoinSet::new();
            for number in batch {
                let seed = seed(1).wrapping_mul(1000) + u64::try_from(*number).unwrap();
                visits.spawn(visit(*peer, seed));
            }
            while let Some(visit) = visits.join_next().await {
                let (well, took) = visit.unwrap_or_else(|error| panic!("{name}: {error}"));
                verdicts[usize::from(well)] += 1;
                worst = worst.max(took);
                sessions += 1;
            }
            ours.read_for(1).await;
        }
        nothing_is_left(name, open, alive).await;
        let more = memory().saturating_sub(before);
        assert!(more < MEMORY, "{name} has cost {more} bytes");
        if more > dearest.0 {
            dearest = (more, name.clone());
        }
    }
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
    figure(
        NAME,
        "misbehaviours, seeds, sessions",
        format!("{}, {seeds}, {sessions}", peers.len()),
    );
    figure(
        NAME,
        "all over after",
        format!("{:.1} s", began.elapsed().as_secs_f64()),
    );
    figure(
        NAME,
        "typed errors, answers all the same",
        format!("{}, {}", verdicts[0], verdicts[1]),
    );
    figure(NAME, "longest verdict", ms(worst));
    figure(
        NAME,
        "most memory for one kind",
        format!("{} kB ({})", dearest.0 / 1000, dearest.1),
    );
    figure(
        NAME,
        "p99 of another host's command before, meanwhile",
        format!("{}, {}", ms(calm), ms(ours.p99())),
    );
}

/// Waits until what a kind of peer has cost is given back.
async fn nothing_is_left(name: &str, open: usize, alive: usize) {
    let end = Instant::now() + PATIENCE;
    while descriptors() > open || tasks() > alive + 2 {
        assert!(
            Instant::now() < end,
            "{name}: {} descriptors after {open}, {} tasks after {alive}",
            descriptors(),
            tasks()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Commands on the host that behaves.
struct Others {
    link: Arc<dyn Transport>,
    took: Vec<Duration>,
}

impl Others {
    fn new(link: Arc<dyn Transport>) -> Self {
        Self {
            link,
            took: Vec::new(),
        }
    }

    async fn read_for(&mut self, times: usize) {
        for _ in 0..times {
            let began = Instant::now();
            let asked = RemoteCommand::posix("hostname");
            let limits = ExecLimits::within(PATIENCE);
            let output = self.link.exec(&asked, limits).await.unwrap();
            assert!(output.status.is_success());
            self.took.push(began.elapsed());
        }
    }

    /// Returns the slowest but one in a hundred, and begins anew.
    fn p99(&mut self) -> Duration {
        let mut took = std::mem::take(&mut self.took);
        took.sort_unstable();
        took[(took.len() * 99).div_ceil(100) - 1]
    }
}

/// Visits a peer once; returns whether it could be talked to after all, and how long the verdict took.
async fn visit(peer: Peer, seed: u64) -> (bool, Duration) {
    match peer {
        Peer::Server(trick) => {
            let server = Server::start(trick, seed).await;
            let told = talk(server.address).await;
            assert_eq!(server.opened.load(Ordering::SeqCst), 0);
            told
        }
        Peer::Raw(script) => {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let meeting = async {
                let (socket, _) = listener.accept().await.unwrap();
                let left = script(socket, StdRng::seed_from_u64(seed)).await;
                // Our side is to close what it has given up.
                if let Some(mut socket) = left {
                    let mut rest = Vec::new();
                    let closed = timeout(PATIENCE, socket.read_to_end(&mut rest)).await;
                    assert!(closed.is_ok(), "the connection was left behind");
                }
            };
            let (told, ()) = tokio::join!(talk(address), meeting);
            assert!(!told.0, "nobody logs in there");
            told
        }
    }
}

async fn talk(address: SocketAddr) -> (bool, Duration) {
    let target = Target {
        name: "stranger".parse().unwrap(),
        hops: vec![Hop {
            endpoint: Endpoint::new("127.0.0.1", address.port()),
            key_alias: None,
            user: "ann".parse().unwrap(),
            credentials: vec![Credential::Password(SecretText::from("secret".to_owned()))],
        }],
        pinned: Vec::new(),
        known_hosts: Vec::new(),
        accept_new: true,
    };
    let connector = SshConnector::new(SshOptions {
        connect_timeout: DEADLINE,
        auth_timeout: DEADLINE,
        ..SshOptions::default()
    });
    let began = Instant::now();
    let talking = async {
        let link = connector
            .connect(&target)
            .await
            .map_err(|e| e.to_string())?;
        let asked = RemoteCommand::posix("true");
        let output = link
            .transport
            .exec(&asked, ExecLimits::within(DEADLINE))
            .await;
        let took = began.elapsed();
        link.transport.close().await;
        output.map(|_| took).map_err(|e| e.to_string())
    };
    match timeout(PATIENCE, talking).await.expect("a verdict") {
        Ok(took) => (true, took),
        Err(said) => {
            assert!(
                !said.contains('\u{1b}') && !said.contains('\u{202e}'),
                "{said:?}"
            );
            (false, began.elapsed())
        }
    }
}
