//! A TCP proxy on the loopback that does to connections what networks do: it delays, jitters, throttles,
//! stalls, resets after so many bytes, closes one direction, changes a byte, refuses.
//!
//! Faults are switched at run time and hold for connections that exist and for those to come. Whatever is
//! left to chance follows from the seed, the number of the connection, the direction and the place in the
//! stream, never from how the bytes happened to be cut into pieces: the same seed does the same again. It
//! must not know what it carries.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;
use vmdeck::task::Tasks;

/// Bytes that are carried at once; jitter is drawn anew for every so many.
const PIECE: usize = 4096;

/// What is wrong with the network. Counts are of bytes carried in one direction of one connection since
/// the faults were switched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// Every piece waits so long.
    pub delay: Duration,
    /// And by chance up to so long more.
    pub jitter: Duration,
    /// Bytes a second in each direction.
    pub rate: Option<u64>,
    /// Nothing is carried, nothing is closed.
    pub stall: bool,
    /// The connection is reset when either direction has carried so many.
    pub reset_after: Option<u64>,
    /// The server's direction is closed when it has carried so many; the client's goes on.
    pub half_close_after: Option<u64>,
    /// The server's byte at this place is changed.
    pub corrupt_at: Option<u64>,
    /// New connections are reset at once.
    pub refuse: bool,
}

impl Faults {
    /// Draws faults as a bad network has them: one kind at a time, each as likely.
    pub fn drawn(dice: &mut StdRng) -> Self {
        let millis =
            |dice: &mut StdRng, most: u64| Duration::from_millis(dice.random_range(1..=most));
        let place = |dice: &mut StdRng| Some(dice.random_range(0..6_000));
        let mut faults = Self::default();
        match dice.random_range(0..8) {
            0 => faults.delay = millis(dice, 400),
            1 => {
                faults.delay = millis(dice, 50);
                faults.jitter = millis(dice, 300);
            }
            2 => faults.rate = Some(dice.random_range(2_000..40_000)),
            3 => faults.stall = true,
            4 => faults.reset_after = place(dice),
            5 => faults.half_close_after = place(dice),
            6 => faults.corrupt_at = place(dice),
            _ => faults.refuse = true,
        }
        faults
    }
}

/// The faults that hold, and how often they have been switched.
#[derive(Debug, Clone, Default)]
struct Switched {
    time: u64,
    faults: Faults,
}

/// A running proxy; ends, with all its connections, when dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    faults: watch::Sender<Switched>,
    seen: Arc<Seen>,
    tasks: Tasks,
}

/// What went through it.
#[derive(Debug, Default)]
struct Seen {
    accepted: Mutex<Vec<Instant>>,
    open: AtomicUsize,
    carried: AtomicU64,
    spoiled: AtomicUsize,
}

impl FaultProxy {
    /// Starts a proxy to a server.
    pub async fn start(server: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let proxy = Self {
            address,
            faults: watch::Sender::new(Switched::default()),
            seen: Arc::default(),
            tasks: Tasks::new(),
        };
        let (record, faults) = (Arc::clone(&proxy.seen), proxy.faults.subscribe());
        let tasks = proxy.tasks.clone();
        let serving = async move {
            for number in 0.. {
                let Ok((client, _)) = listener.accept().await else {
                    continue;
                };
                let connection = Connection {
                    seed: seed ^ number << 32,
                    faults: faults.clone(),
                    seen: Arc::clone(&record),
                };
                record.accepted.lock().unwrap().push(Instant::now());
                let carrying = connection.carry(client, server);
                let token = tasks.token().clone();
                drop(tasks.spawn("proxied", async move {
                    token.run_until_cancelled(carrying).await;
                }));
            }
        };
        let token = proxy.tasks.token().clone();
        drop(proxy.tasks.spawn("proxy", async move {
            token.run_until_cancelled(serving).await;
        }));
        proxy
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Switches the faults; counts of bytes begin anew.
    pub fn set(&self, faults: Faults) {
        self.faults.send_modify(|now| {
            *now = Switched {
                time: now.time + 1,
                faults,
            };
        });
    }

    /// Lets everything pass again.
    pub fn clear(&self) {
        self.set(Faults::default());
    }

    /// When connections were asked for, those that were refused included.
    pub fn accepted(&self) -> Vec<Instant> {
        self.seen.accepted.lock().unwrap().clone()
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.seen.open.load(Ordering::SeqCst)
    }

    /// Bytes carried so far, both directions together.
    pub fn carried(&self) -> u64 {
        self.seen.carried.load(Ordering::SeqCst)
    }

    /// Connections that were reset, half closed or changed so far.
    pub fn spoiled(&self) -> usize {
        self.seen.spoiled.load(Ordering::SeqCst)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

/// One client and the server behind.
struct Connection {
    seed: u64,
    faults: watch::Receiver<Switched>,
    seen: Arc<Seen>,
}

/// How one direction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Its reader saw the end, and so does its writer.
    Closed,
    /// The whole connection is to be reset.
    Reset,
}

/// Counts a connection while it is open.
struct Open(Arc<Seen>);

impl Open {
    fn begin(seen: &Arc<Seen>) -> Self {
        seen.open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(seen))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Connection {
    async fn carry(self, client: TcpStream, server: SocketAddr) {
        let _open = Open::begin(&self.seen);
        if self.faults.borrow().faults.refuse {
            reset(&client);
            return;
        }
        let Ok(server) = TcpStream::connect(server).await else {
            reset(&client);
            return;
        };
        for stream in [&client, &server] {
            stream.set_nodelay(true).expect("a TCP stream");
        }
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let mut up = self.lane(false, from_client, to_server);
        let mut down = self.lane(true, from_server, to_client);
        let ended = {
            let (going_up, coming_down) = (up.run(), down.run());
            tokio::pin!(going_up, coming_down);
            tokio::select! {
                end = &mut going_up => match end {
                    End::Reset => End::Reset,
                    End::Closed => coming_down.await,
                },
                end = &mut coming_down => match end {
                    End::Reset => End::Reset,
                    End::Closed => going_up.await,
                },
            }
        };
        if ended == End::Reset {
            for to in [up.to, down.to] {
                reset(to.as_ref());
                // Dropped, it would say an orderly farewell first.
                to.forget();
            }
        }
    }

    fn lane(&self, of_server: bool, from: OwnedReadHalf, to: OwnedWriteHalf) -> Lane {
        Lane {
            of_server,
            from,
            to,
            faults: self.faults.clone(),
            time: 0,
            since: 0,
            place: 0,
            dice: StdRng::seed_from_u64(self.seed << 1 | u64::from(of_server)),
            jitter: 0.0,
            jitter_until: 0,
            seen: Arc::clone(&self.seen),
        }
    }
}

/// Makes the close of a stream a reset.
fn reset(stream: &TcpStream) {
    // It may have gone by itself.
    stream.set_zero_linger().ok();
}

/// One direction.
struct Lane {
    of_server: bool,
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    faults: watch::Receiver<Switched>,
    /// Which faults `since` belongs to.
    time: u64,
    /// Bytes carried since the faults were switched.
    since: u64,
    /// Bytes carried at all.
    place: u64,
    dice: StdRng,
    /// The share of the jitter that holds up to `jitter_until`.
    jitter: f64,
    jitter_until: u64,
    seen: Arc<Seen>,
}

impl Lane {
    async fn run(&mut self) -> End {
        let mut buffer = vec![0; PIECE];
        loop {
            let faults = self.look();
            if faults.stall {
                if self.faults.changed().await.is_ok() {
                    continue;
                }
                return End::Closed;
            }
            if let Some(end) = self.is_over(&faults).await {
                return end;
            }
            let room = self.room(&faults, buffer.len());
            let read = tokio::select! {
                read = self.from.read(&mut buffer[..room]) => read,
                changed = self.faults.changed() => {
                    if changed.is_err() {
                        return End::Closed;
                    }
                    continue;
                }
            };
            match read {
                Ok(0) => {
                    self.to.shutdown().await.ok();
                    return End::Closed;
                }
                Ok(count) => {
                    if !self.pass(&mut buffer[..count]).await {
                        return End::Reset;
                    }
                }
                // What one side has lost the other loses.
                Err(_) => return End::Reset,
            }
        }
    }

    /// Returns the faults that hold now.
    fn look(&mut self) -> Faults {
        let now = self.faults.borrow_and_update();
        if now.time != self.time {
            self.time = now.time;
            self.since = 0;
        }
        now.faults.clone()
    }

    /// Whether a count has been reached that ends this direction.
    async fn is_over(&mut self, faults: &Faults) -> Option<End> {
        if faults.reset_after.is_some_and(|most| self.since >= most) {
            self.spoil();
            return Some(End::Reset);
        }
        let half = faults.half_close_after.filter(|_| self.of_server);
        if half.is_some_and(|most| self.since >= most) {
            self.spoil();
            self.to.shutdown().await.ok();
            return Some(End::Closed);
        }
        None
    }

    fn spoil(&self) {
        self.seen.spoiled.fetch_add(1, Ordering::SeqCst);
    }

    /// How many bytes may be carried before something is to happen.
    fn room(&self, faults: &Faults, most: usize) -> usize {
        let half = faults.half_close_after.filter(|_| self.of_server);
        [faults.reset_after, half]
            .into_iter()
            .flatten()
            .map(|count| usize::try_from(count.saturating_sub(self.since)).unwrap_or(most))
            .fold(most, usize::min)
            .max(1)
    }

    /// Carries a piece; false when the other side has gone.
    async fn pass(&mut self, piece: &mut [u8]) -> bool {
        let length = u64::try_from(piece.len()).unwrap_or_default();
        let faults = self.look();
        let mut wait = faults.delay + faults.jitter.mul_f64(self.next_jitter());
        if let Some(rate) = faults.rate {
            wait += Duration::from_secs(1).mul_f64(ratio(length, rate.max(1)));
        }
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        // A stall that began meanwhile holds this piece as well.
        while self.look().stall {
            if self.faults.changed().await.is_err() {
                return false;
            }
        }
        if self.of_server
            && let Some(place) = faults.corrupt_at
            && let Some(at) = place.checked_sub(self.since)
            && let Some(byte) = usize::try_from(at).ok().and_then(|at| piece.get_mut(at))
        {
            *byte ^= 1 << (place % 8);
            self.spoil();
        }
        if self.to.write_all(piece).await.is_err() {
            return false;
        }
        self.since += length;
        self.place += length;
        self.seen.carried.fetch_add(length, Ordering::SeqCst);
        true
    }

    /// The share of the jitter at this place of the stream.
    fn next_jitter(&mut self) -> f64 {
        while self.jitter_until <= self.place {
            self.jitter = self.dice.random_range(0.0..=1.0);
            self.jitter_until += PIECE as u64;
        }
        self.jitter
    }
}

#[expect(clippy::cast_precision_loss, reason = "a waiting time")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
