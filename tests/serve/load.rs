//! The real program under clients that mean no good: crowds that are slow, and floods of wrong keys.
//!
//! `tests/campaign slow` and `tests/campaign flood` run the whole sizes in an optimised build.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use vmdeck::task::Tasks;

use crate::program::{Home, Server, get};
use crate::serving::http;
use crate::support::campaign::{figure, memory_of, shipped};
use crate::support::{command, write};

/// How long anything here may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// An honest client that asks until it is told to stop; returns how long each answer took.
fn honest(
    tasks: &Tasks,
    address: SocketAddr,
    stop: Arc<AtomicBool>,
) -> tokio::task::JoinHandle<Vec<Duration>> {
    tasks.spawn("honest", async move {
        let mut took = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            let answer = http(address, "GET", "/healthz", None, "");
            let answer = tokio::time::timeout(PATIENCE, answer).await;
            let answer = answer.expect("in time").expect("an answer");
            assert_eq!(answer.status, 200, "{}", answer.text());
            took.push(began.elapsed());
            // Below the rate of one address.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        took
    })
}

/// Prints how long answers took; returns what all but a hundredth stayed below.
fn p99(campaign: &str, mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    let (half, most) = (at(50), at(99));
    figure(
        campaign,
        "honest answers",
        format!("{}, p50 {half:.1?}, p99 {most:.1?}", took.len()),
    );
    most
}

/// Connects. Nobody is refused here: who cannot connect has found a server that is gone, and trying again
/// and again at once would only keep the test from saying so.
async fn connect(address: SocketAddr) -> TcpStream {
    let connecting = tokio::time::timeout(PATIENCE, TcpStream::connect(address));
    connecting.await.expect("in time").expect("a connection")
}

/// Sends something, then a byte a moment for as long as it is let.
async fn dribble(address: SocketAddr, said: &'static [u8]) {
    let mut stream = connect(address).await;
    let (mut reader, mut writer) = stream.split();
    let mut bytes = Vec::new();
    let talk = async {
        let mut more = writer.write_all(said).await;
        while more.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            more = writer.write_all(b"a").await;
        }
    };
    // Until the server has had enough: an answer and an end, an end, or a reset.
    tokio::select! {
        () = talk => {}
        _end = reader.read_to_end(&mut bytes) => {}
    }
}

/// Opens, says something or nothing, and waits for the end.
async fn hold(address: SocketAddr, said: &'static [u8]) {
    let mut stream = connect(address).await;
    drop(stream.write_all(said).await);
    drop(stream.read_to_end(&mut Vec::new()).await);
}

/// What one of 700 does: 500 are half open, 200 dribble.
async fn misbehave(address: SocketAddr, number: usize) {
    match number {
        0..125 => hold(address, b"").await,
        125..250 => hold(address, b"GET /healthz HT").await,
        250..375 => hold(address, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A").await,
        375..500 => {
            hold(
                address,
                b"POST /v1/vms HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n{",
            )
            .await;
        }
        500..600 => dribble(address, b"GET /healthz HTTP/1.1\r\nX-Long: ").await,
        _ => {
            dribble(
                address,
                b"POST /v1/vms HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999\r\n\r\n{",
            )
            .await;
        }
    }
}

/// What a crowd has come to.
struct Crowd {
    honest: Vec<Duration>,
    longest: Duration,
    grown: u64,
}

/// 700 slow clients for a while; each that is let go comes again.
async fn crowd(limit: &str, length: Duration) -> Crowd {
    let home = Home::new();
    let config = format!(
        "[serve.limit]\nconnections = 2000\nconnections_per_address = 2000\n\
         rate_per_address = 100000\nheader_time = \"{limit}\"\nbody_time = \"{limit}\"\n"
    );
    write(home.0.path().join("config.toml"), config);
    let server = home.serve(&[]);
    let (address, pid) = (server.address, server.pid());
    let first = http(address, "GET", "/healthz", None, "").await.unwrap();
    assert_eq!(first.status, 200);
    let before = memory_of(pid);

    let tasks = Tasks::new();
    let stop = Arc::new(AtomicBool::new(false));
    let over = Arc::new(AtomicBool::new(false));
    let friend = honest(&tasks, address, Arc::clone(&stop));
    let mut slow = Vec::new();
    for number in 0..700 {
        let over = Arc::clone(&over);
        slow.push(tasks.spawn("slow", async move {
            let mut longest = Duration::ZERO;
            loop {
                let began = Instant::now();
                misbehave(address, number).await;
                longest = longest.max(began.elapsed());
                if over.load(Ordering::Relaxed) {
                    return longest;
                }
            }
        }));
    }
    let mut most = 0;
    let began = Instant::now();
    while began.elapsed() < length {
        tokio::time::sleep(Duration::from_millis(100)).await;
        most = most.max(memory_of(pid));
    }
    over.store(true, Ordering::Relaxed);
    let mut longest = Duration::ZERO;
    for one in slow {
        let ended = tokio::time::timeout(PATIENCE, one).await;
        longest = longest.max(ended.expect("every one is let go").unwrap());
    }
    stop.store(true, Ordering::Relaxed);
    let honest = friend.await.unwrap();
    assert_eq!(server.end().0, Some(0));
    Crowd {
        honest,
        longest,
        grown: most.saturating_sub(before) >> 20,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_that_are_slow_are_let_go_and_keep_nobody_waiting() {
    let came_to = crowd("1s", Duration::from_secs(4)).await;
    let answers = came_to.honest.len();
    assert!(answers >= 10, "{answers}");
    let grown = came_to.grown;
    assert!(grown < 40, "memory grew by {grown} MiB");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the whole size of a campaign"]
async fn seven_hundred_that_are_slow_for_a_minute() {
    // At its defaults a connection has ten seconds for a head and as many for a body.
    let came_to = crowd("10s", Duration::from_secs(60)).await;
    let p99 = p99("slow", came_to.honest);
    let (longest, grown) = (came_to.longest, came_to.grown);
    figure(
        "slow",
        "the longest was let go after",
        format!("{longest:.1?}"),
    );
    figure("slow", "memory grew by", format!("{grown} MiB"));
    assert!(longest <= Duration::from_secs(12), "{longest:?}");
    assert!(grown < 30, "memory grew by {grown} MiB");
    assert!(!shipped() || p99 < Duration::from_millis(50), "{p99:?}");
}

#[test]
fn as_many_files_are_asked_for_as_connections_may_need() {
    let home = Home::new();
    let mut prepared = command("sh");
    let script = "ulimit -Sn 40; exec \"$0\" --serve --listen 127.0.0.1:0";
    prepared
        .args(["-c", script, crate::VMDECK])
        .env_clear()
        .env("HOME", home.0.path())
        .env("VMDECK_HOME", home.0.path());
    let server = Server::start(prepared);
    let held: Vec<_> = (0..100)
        .map(|_| std::net::TcpStream::connect(server.address).unwrap())
        .collect();
    get(server.address, "/healthz", None).unwrap().expect(200);
    drop(held);
    let (code, _, said) = server.end();
    assert_eq!(code, Some(0));
    assert!(!said.contains("could not take a connection"), "{said}");
}

/// Sends requests with wrong keys over one connection from an address of the loopback; returns how many
/// were answered.
async fn guess(server: SocketAddr, from: &str, count: usize) -> usize {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    let mut stream = socket.connect(server).await.expect("a connection");
    let one = |last| {
        let close = if last { "Connection: close\r\n" } else { "" };
        format!(
            "GET /v1/vms HTTP/1.1\r\nHost: {server}\r\nAuthorization: Bearer guessed\r\n{close}\r\n"
        )
    };
    let asked = one(false).repeat(count - 1) + &one(true);
    let (mut reader, mut writer) = stream.split();
    let mut bytes = Vec::new();
    let (_sent, _read) = tokio::join!(
        writer.write_all(asked.as_bytes()),
        reader.read_to_end(&mut bytes)
    );
    String::from_utf8_lossy(&bytes)
        .matches("HTTP/1.1 4")
        .count()
}

/// How a flood comes.
#[derive(Clone, Copy)]
enum Flood {
    /// So many from each address, as fast as they are taken.
    Count(usize),
    /// So long, 1,250 a second from each address.
    Lasting(Duration),
}

impl Flood {
    /// Sends what comes from one address; returns how many were answered.
    async fn from(self, server: SocketAddr, from: &str) -> usize {
        const AT_ONCE: usize = 250;
        let began = Instant::now();
        let mut pace = tokio::time::interval(Duration::from_millis(200));
        let mut answered = 0;
        loop {
            match self {
                Self::Count(count) if answered >= count => return answered,
                Self::Lasting(length) if began.elapsed() >= length => return answered,
                Self::Count(_) => {}
                Self::Lasting(_) => drop(pace.tick().await),
            }
            answered += guess(server, from, AT_ONCE).await;
        }
    }
}

/// Wrong keys from four addresses. Every one is told of, in a few lines, and a right key gets in; returns
/// how long honest answers took.
async fn flood(how: Flood) -> Vec<Duration> {
    let home = Home::new();
    let mut server = home.serve(&[]);
    let key = server.key();
    let address = server.address;
    let tasks = Tasks::new();
    let stop = Arc::new(AtomicBool::new(false));
    let friend = honest(&tasks, address, Arc::clone(&stop));
    let began = Instant::now();
    let sources: Vec<_> = (2..6)
        .map(|last| {
            let from = format!("127.0.0.{last}");
            tasks.spawn("flood", async move { how.from(address, &from).await })
        })
        .collect();
    let mut refused = 0;
    for one in sources {
        refused += one.await.unwrap();
    }
    let took = began.elapsed();
    // A right key gets in all the while.
    http(address, "GET", "/v1/hosts", Some(&key), "")
        .await
        .unwrap()
        .expect(200);
    stop.store(true, Ordering::Relaxed);
    let answers = friend.await.unwrap();

    let (code, _, said) = server.end();
    assert_eq!(code, Some(0));
    let about: Vec<Value> = said
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["target"] == "vmdeck::request")
        .filter(|line| {
            line["address"]
                .as_str()
                .is_some_and(|from| from != "127.0.0.1")
        })
        .collect();
    let counted = |line: &Value| line["requests"].as_u64().unwrap_or(1);
    let told: u64 = about.iter().map(counted).sum();
    // Some lines of an address are about its keys, and stand beside those of its requests.
    assert_eq!(
        told,
        u64::try_from(refused).unwrap(),
        "every one is told of"
    );
    let windows = usize::try_from(took.as_secs() / 10).unwrap() + 2;
    assert!(about.len() <= 4 * 11 * windows, "{} lines", about.len());
    assert!(
        about
            .iter()
            .any(|line| line["requests"].as_u64() > Some(1000)),
        "{about:#?}"
    );
    let bytes: usize = said
        .lines()
        .filter(|line| !line.contains("\"address\":\"127.0.0.1\""))
        .map(str::len)
        .sum();
    figure(
        "flood",
        "wrong keys",
        format!(
            "{refused} in {took:.1?}, {} lines, {bytes} bytes",
            about.len()
        ),
    );
    assert!(bytes < 1 << 20, "{bytes}");
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_wrong_keys_is_told_of_in_a_few_lines() {
    let answers = flood(Flood::Count(5_000)).await.len();
    assert!(answers >= 5, "{answers}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the whole size of a campaign"]
async fn five_thousand_wrong_keys_a_second_for_half_a_minute() {
    let p99 = p99(
        "flood",
        flood(Flood::Lasting(Duration::from_secs(30))).await,
    );
    assert!(!shipped() || p99 < Duration::from_millis(100), "{p99:?}");
}
