//! The real program under clients that mean no good: crowds that are slow, and floods of wrong keys.
//!
//! `VMDECK_LOAD=1 cargo nextest run --all-features --test serve load` runs the whole sizes (two minutes).

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
use crate::support::{command, write};

/// How long anything here may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether the whole sizes are wanted.
fn whole() -> bool {
    #[expect(clippy::disallowed_methods, reason = "how a long run is asked for")]
    std::env::var_os("VMDECK_LOAD").is_some()
}

/// Memory of a process that is really there, in bytes.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() * 1024
}

/// An honest client that asks until it is told to stop; returns how many answers it got.
fn honest(
    tasks: &Tasks,
    address: SocketAddr,
    stop: Arc<AtomicBool>,
) -> tokio::task::JoinHandle<usize> {
    tasks.spawn("honest", async move {
        let mut answers = 0;
        while !stop.load(Ordering::Relaxed) {
            let answer = http(address, "GET", "/healthz", None, "");
            let answer = tokio::time::timeout(PATIENCE, answer).await;
            let answer = answer.expect("in time").expect("an answer");
            assert_eq!(answer.status, 200, "{}", answer.text());
            answers += 1;
            // Below the rate of one address.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        answers
    })
}

/// Sends something, then a byte a moment for as long as it is let.
async fn dribble(address: SocketAddr, said: &'static [u8]) {
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return;
    };
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
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return;
    };
    drop(stream.write_all(said).await);
    drop(stream.read_to_end(&mut Vec::new()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_that_are_slow_are_let_go_and_keep_nobody_waiting() {
    // At its defaults a connection has ten seconds for a head and as many for a body.
    let (limit, length) = if whole() {
        ("10s", Duration::from_secs(60))
    } else {
        ("1s", Duration::from_secs(4))
    };
    let home = Home::new();
    let config = format!(
        "[serve.limit]\nconnections = 2000\nconnections_per_address = 2000\n\
         rate_per_address = 100000\nheader_time = \"{limit}\"\nbody_time = \"{limit}\"\n"
    );
    write(home.0.path().join("config.toml"), config);
    let server = home.serve(&[]);
    let (address, pid) = (server.address, server.pid());
    assert_eq!(
        http(address, "GET", "/healthz", None, "")
            .await
            .unwrap()
            .status,
        200
    );
    let before = memory(pid);

    let tasks = Tasks::new();
    let (stop, over) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let friend = honest(&tasks, address, Arc::clone(&stop));
    let mut crowd = Vec::new();
    for number in 0..700 {
        let over = Arc::clone(&over);
        crowd.push(tasks.spawn("slow", async move {
            let mut ended = 0;
            // Who is let go comes again, as long as it lasts.
            while !over.load(Ordering::Relaxed) {
                match number {
                    0..125 => hold(address, b"").await,
                    125..250 => hold(address, b"GET /healthz HT").await,
                    250..375 => hold(address, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A").await,
                    375..500 => {
                        hold(address, b"POST /v1/vms HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n{").await;
                    }
                    500..600 => dribble(address, b"GET /healthz HTTP/1.1\r\nX-Long: ").await,
                    _ => {
                        dribble(address, b"POST /v1/vms HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999\r\n\r\n{").await;
                    }
                }
                ended += 1;
            }
            ended
        }));
    }
    let mut most = 0;
    let began = Instant::now();
    while began.elapsed() < length {
        tokio::time::sleep(Duration::from_millis(100)).await;
        most = most.max(memory(pid));
    }
    over.store(true, Ordering::Relaxed);
    for slow in crowd {
        let ended = tokio::time::timeout(PATIENCE, slow).await;
        assert!(ended.expect("every one is let go").unwrap() >= 1);
    }
    stop.store(true, Ordering::Relaxed);
    let answers = friend.await.unwrap();
    assert!(answers >= 10, "{answers}");
    let grown = most.saturating_sub(before) >> 20;
    println!("{answers} honest answers; memory grew by {grown} MiB");
    // The goal is that of the program as it is shipped; unoptimised, a connection's state is larger.
    let most = if cfg!(debug_assertions) { 60 } else { 30 };
    assert!(grown < most, "memory grew by {grown} MiB");
    assert_eq!(server.end().0, Some(0));
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
    let Ok(mut stream) = socket.connect(server).await else {
        return 0;
    };
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

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_wrong_keys_is_told_of_in_a_few_lines() {
    let home = Home::new();
    let mut server = home.serve(&[]);
    let key = server.key();
    let address = server.address;
    let tasks = Tasks::new();
    let stop = Arc::new(AtomicBool::new(false));
    let friend = honest(&tasks, address, Arc::clone(&stop));
    let began = Instant::now();
    let goes_on = move |sent: usize| {
        if whole() {
            began.elapsed() < Duration::from_secs(30)
        } else {
            sent < 5_000
        }
    };
    let flood: Vec<_> = (2..6)
        .map(|last| {
            tasks.spawn("flood", async move {
                let mut answered = 0;
                while goes_on(answered) {
                    answered += guess(address, &format!("127.0.0.{last}"), 250).await;
                }
                answered
            })
        })
        .collect();
    let mut refused = 0;
    for one in flood {
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
    assert!(answers >= 5, "{answers}");

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
    println!(
        "{refused} refused in {took:?}, {} lines, {bytes} bytes",
        about.len()
    );
    assert!(bytes < 1 << 20, "{bytes}");
}
