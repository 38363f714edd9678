//! The fault proxy itself: each fault does what it says, no other, and the same again with the same seed.

use std::net::SocketAddr;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use vmdeck::task::Tasks;

use crate::support::fault_proxy::{FaultProxy, Faults};

const PATIENCE: Duration = Duration::from_secs(30);

/// A server that sends back what it gets, and ends its side when the client has ended its own.
struct Echo {
    address: SocketAddr,
    tasks: Tasks,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tasks = Tasks::new();
        let of_echo = tasks.clone();
        let serving = async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                drop(of_echo.spawn("echo", async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await.ok();
                    to.shutdown().await.ok();
                }));
            }
        };
        let token = tasks.token().clone();
        drop(tasks.spawn("echo server", async move {
            token.run_until_cancelled(serving).await;
        }));
        Self { address, tasks }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

fn text(length: usize) -> Vec<u8> {
    (0..length)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect()
}

/// Sends some bytes, closes, and returns what came back and whether the end was a clean one.
async fn round(proxy: &FaultProxy, bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut from, mut to) = stream.split();
    let sending = async {
        to.write_all(bytes).await.ok();
        to.shutdown().await.ok();
    };
    let mut back = Vec::new();
    let (ended, ()) = tokio::join!(timeout(PATIENCE, from.read_to_end(&mut back)), sending);
    (back, ended.unwrap().is_ok())
}

async fn rig(seed: u64) -> (Echo, FaultProxy) {
    let echo = Echo::start().await;
    let proxy = FaultProxy::start(echo.address, seed).await;
    (echo, proxy)
}

#[tokio::test]
async fn without_faults_everything_passes() {
    let (_echo, proxy) = rig(1).await;
    let sent = text(100_000);
    assert_eq!(round(&proxy, &sent).await, (sent, true));
    assert_eq!(proxy.carried(), 200_000);
    assert_eq!((proxy.accepted().len(), proxy.spoiled()), (1, 0));
}

#[tokio::test]
async fn a_connection_is_reset_after_so_many_bytes() {
    let (_echo, proxy) = rig(1).await;
    for most in [0, 1, 700, 5_000] {
        proxy.set(Faults {
            reset_after: Some(most),
            ..Faults::default()
        });
        let sent = text(20_000);
        let (back, clean) = round(&proxy, &sent).await;
        assert!(!clean, "a reset is no clean end");
        assert!(back.len() as u64 <= most, "{} of {most}", back.len());
        assert!(sent.starts_with(&back));
    }
    assert_eq!(proxy.spoiled(), 4);
    proxy.clear();
    assert!(round(&proxy, b"again").await.1);
}

#[tokio::test]
async fn counts_begin_when_the_faults_are_switched() {
    let (_echo, proxy) = rig(1).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let mut back = vec![0; 5_000];
    stream.write_all(&text(5_000)).await.unwrap();
    stream.read_exact(&mut back).await.unwrap();
    proxy.set(Faults {
        half_close_after: Some(3_000),
        ..Faults::default()
    });
    stream.write_all(&text(5_000)).await.unwrap();
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(rest, text(3_000), "closed in order, in one direction");
    // The other direction is open.
    stream.write_all(b"more").await.unwrap();
    assert_eq!(proxy.spoiled(), 1);
}

#[tokio::test]
async fn one_byte_is_changed_and_no_other() {
    let (_echo, proxy) = rig(1).await;
    proxy.set(Faults {
        corrupt_at: Some(4_321),
        ..Faults::default()
    });
    let sent = text(9_000);
    let (back, clean) = round(&proxy, &sent).await;
    assert!(clean);
    let changed: Vec<usize> = (0..9_000).filter(|at| sent[*at] != back[*at]).collect();
    assert_eq!(changed, [4_321]);
}

#[tokio::test]
async fn a_stall_carries_nothing_and_closes_nothing_until_it_is_over() {
    let (_echo, proxy) = rig(1).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let mut back = [0; 4];
    stream.write_all(b"ping").await.unwrap();
    stream.read_exact(&mut back).await.unwrap();
    let before = proxy.carried();
    proxy.set(Faults {
        stall: true,
        ..Faults::default()
    });
    stream.write_all(b"pong").await.unwrap();
    let silence = timeout(Duration::from_millis(300), stream.read_exact(&mut back)).await;
    assert!(silence.is_err());
    assert_eq!(proxy.carried(), before);
    proxy.clear();
    timeout(PATIENCE, stream.read_exact(&mut back))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&back, b"pong");
}

#[tokio::test]
async fn a_delay_and_a_rate_take_their_time() {
    let (_echo, proxy) = rig(1).await;
    let waited = async |faults: Faults| {
        proxy.set(faults);
        let began = Instant::now();
        assert_eq!(round(&proxy, &text(8_000)).await, (text(8_000), true));
        began.elapsed()
    };
    // Once there, once back.
    let delayed = Faults {
        delay: Duration::from_millis(150),
        ..Faults::default()
    };
    assert!(waited(delayed).await >= Duration::from_millis(300));
    let slow = Faults {
        rate: Some(16_000),
        ..Faults::default()
    };
    assert!(waited(slow).await >= Duration::from_millis(500));
}

#[tokio::test]
async fn who_is_refused_is_counted() {
    let (_echo, proxy) = rig(1).await;
    proxy.set(Faults {
        refuse: true,
        ..Faults::default()
    });
    for _ in 0..3 {
        let (back, clean) = round(&proxy, b"hello").await;
        assert!(back.is_empty() && !clean);
    }
    assert_eq!(proxy.accepted().len(), 3);
    assert_eq!((proxy.open(), proxy.carried()), (0, 0));
}

#[tokio::test]
async fn the_same_seed_does_the_same_again() {
    let faults = |seed| {
        let mut dice = StdRng::seed_from_u64(seed);
        (0..200)
            .map(|_| Faults::drawn(&mut dice))
            .collect::<Vec<_>>()
    };
    assert_eq!(faults(7), faults(7));
    assert_ne!(faults(7), faults(8));
    // What they do to a stream is the same as well, whatever the pieces were.
    for (number, faults) in faults(7).into_iter().enumerate() {
        let spoils = faults.corrupt_at.is_some() || faults.half_close_after.is_some();
        if number > 60 || !spoils {
            continue;
        }
        let mut seen = Vec::new();
        for _ in 0..2 {
            let (_echo, proxy) = rig(7).await;
            proxy.set(faults.clone());
            seen.push(round(&proxy, &text(12_000)).await);
        }
        assert_eq!(seen[0], seen[1], "{faults:?}");
    }
}
