//! Ceilings: requests at the same time, rates per key and per address, time of a request.
//!
//! Everything here is decided before a handler runs, and nothing here grows with what clients send: maps
//! are swept, and an IPv6 client counts by its /64, which is what one customer of a provider has.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Version, header};
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response_with_state};
use axum::response::Response;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::client_address::{self, ClientAddress, Peer};
use super::error::refuse;
use super::lockout::LockedOut;
use super::places::{Place, Places};
use super::state::ServeState;
use crate::config::ServeLimits;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::{HostId, HostSpec};

/// Admissions after which what is over is swept out of the maps.
const SWEEP_EVERY: u32 = 4096;

/// Addresses that may be locked out at the same time; beyond that the one that would end first ends.
const MOST_LOCKED: usize = 10_000;

/// Slow checks of keys a minute for an address that is locked out: enough for the first use of a key that was
/// taken over, too few to keep a processor busy with.
const SLOW_CHECKS: u32 = 4;

type Rate<K> = DefaultKeyedRateLimiter<K>;

/// The ceilings and what is under way below them.
#[derive(Debug)]
pub struct Limits {
    in_flight: Arc<Semaphore>,
    event_readers: Arc<Semaphore>,
    keys: Rate<String>,
    addresses: Rate<IpAddr>,
    failures: Rate<IpAddr>,
    slow_checks: Rate<IpAddr>,
    registrations: Rate<IpAddr>,
    dials: Rate<i64>,
    locked: Mutex<LockedOut>,
    busy_keys: Places<String>,
    most_hosts: u32,
    most_credentials: u32,
    waiting: Arc<Semaphore>,
    awaited: Places<(String, HostId)>,
    admitted: AtomicU32,
}

/// A place among the requests of a key; given back when dropped.
pub type KeyPlace = Place<String>;

/// A place among the requests that wait for a host; given back when dropped.
#[derive(Debug)]
pub struct HostPlace {
    _of_host: Option<Place<(String, HostId)>>,
    _of_all: OwnedSemaphorePermit,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn at_least_one(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}

fn places(count: u32) -> Arc<Semaphore> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)))
}

/// Asks a rate; the error is after how many seconds to try again.
fn ask<K: std::hash::Hash + Eq + Clone>(rate: &Rate<K>, key: &K) -> Result<(), u64> {
    rate.check_key(key).map_err(|until| {
        let wait = until.wait_time_from(DefaultClock::default().now());
        wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
    })
}

fn one_more(there: usize, most: u32, (what, key): (&str, &str)) -> Result<(), Failure> {
    if u32::try_from(there).is_ok_and(|there| there < most) {
        return Ok(());
    }
    let message = format!("this profile has as many {what} as it may ({most}); nothing was added");
    Err(
        Failure::new(ErrorKind::Conflict, message).with_hint(format!(
            "remove what is not needed any more, or raise `serve.limit.{key}`"
        )),
    )
}

/// Returns what of an address counts as one client.
pub(super) fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let mask = u128::MAX << 64;
            IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Limits {
    /// Makes the ceilings.
    pub fn new(config: &ServeLimits) -> Self {
        let a_second = |count| Quota::per_second(at_least_one(count));
        Self {
            in_flight: places(config.in_flight),
            event_readers: places(config.event_readers),
            keys: RateLimiter::keyed(a_second(config.rate_per_key)),
            addresses: RateLimiter::keyed(a_second(config.rate_per_address)),
            failures: RateLimiter::keyed(Quota::per_minute(at_least_one(
                config.failures_per_address,
            ))),
            slow_checks: RateLimiter::keyed(Quota::per_minute(at_least_one(SLOW_CHECKS))),
            registrations: RateLimiter::keyed(Quota::per_hour(at_least_one(
                config.registrations_per_address,
            ))),
            dials: RateLimiter::keyed(Quota::per_minute(at_least_one(config.dials_per_user))),
            locked: Mutex::new(LockedOut::new(MOST_LOCKED)),
            most_hosts: config.hosts_per_profile,
            most_credentials: config.credentials_per_profile,
            busy_keys: Places::new(config.in_flight_per_key),
            waiting: places((config.in_flight - config.in_flight / 4).max(1)),
            awaited: Places::new(config.in_flight_per_host),
            admitted: AtomicU32::new(0),
        }
    }

    /// Takes a place for a request of a key; the error is after how many seconds to try again.
    pub fn admit_key(&self, key_id: &str) -> Result<KeyPlace, u64> {
        let key = key_id.to_owned();
        ask(&self.keys, &key)?;
        self.busy_keys.take(key).ok_or(1)
    }

    /// Takes a place for a request that is going to wait for a host of a profile, or for several (`None`).
    /// Hosts that hang must not take the places of requests that are not about them: one has so many,
    /// and all together leave a quarter of the requests at the same time to those that wait for nobody.
    pub fn wait_for_host(
        &self,
        profile: &str,
        host: Option<&HostSpec>,
    ) -> Result<HostPlace, Failure> {
        let refuse = || {
            let what = host.map_or("hosts".to_owned(), |host| host.name.to_string());
            let message =
                format!("as many requests as may wait for {what} already; nothing was sent");
            Failure::new(ErrorKind::Busy, message).with_hint(
                "ask again when they are answered, or raise `serve.limit.in_flight_per_host`",
            )
        };
        let of_host = host
            .map(|host| {
                let key = (profile.to_owned(), host.id);
                self.awaited.take(key).ok_or_else(refuse)
            })
            .transpose()?;
        let of_all = Arc::clone(&self.waiting).try_acquire_owned();
        Ok(HostPlace {
            _of_host: of_host,
            _of_all: of_all.map_err(|_full| refuse())?,
        })
    }

    /// Counts a request of an address.
    pub fn admit_address(&self, address: IpAddr) -> Result<(), u64> {
        if self.admitted.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.sweep();
        }
        ask(&self.addresses, &client(address))
    }

    /// Counts a user made where anybody may make one.
    pub fn admit_registration(&self, address: IpAddr) -> Result<(), u64> {
        ask(&self.registrations, &client(address))
    }

    /// Counts a host that a user adds or moves.
    pub fn admit_dial(&self, user: i64) -> Result<(), u64> {
        ask(&self.dials, &user)
    }

    /// Says whether a profile that has so many hosts may get one more. Requests at the same time may each
    /// find the last place free: the ceiling is about what a profile grows to, not about the last one.
    pub fn one_more_host(&self, there: usize) -> Result<(), Failure> {
        one_more(there, self.most_hosts, ("hosts", "hosts_per_profile"))
    }

    /// The same for credentials.
    pub fn one_more_credential(&self, there: usize) -> Result<(), Failure> {
        let what = ("credentials", "credentials_per_profile");
        one_more(there, self.most_credentials, what)
    }

    /// Takes a place among the readers of the event stream; `None` when there is none left.
    pub fn event_reader(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.event_readers).try_acquire_owned().ok()
    }

    /// Counts a wrong key; too many of them lock the address out for a while.
    pub fn failed(&self, address: IpAddr) {
        let address = client(address);
        if let Err(seconds) = ask(&self.failures, &address) {
            let until = Instant::now() + Duration::from_secs(seconds);
            lock(&self.locked).lock(address, until);
        }
    }

    /// Counts the slow check of a key for an address that is locked out; false when there were enough of them.
    pub fn admit_slow_check(&self, address: IpAddr) -> bool {
        ask(&self.slow_checks, &client(address)).is_ok()
    }

    /// Returns for how many more seconds wrong keys of an address are answered as too many.
    pub fn locked_out(&self, address: IpAddr) -> Option<u64> {
        let left = lock(&self.locked).left(client(address), Instant::now());
        left.map(|left| left.as_secs() + 1)
    }

    fn sweep(&self) {
        self.keys.retain_recent();
        self.addresses.retain_recent();
        self.failures.retain_recent();
        self.slow_checks.retain_recent();
        self.registrations.retain_recent();
        self.dials.retain_recent();
        lock(&self.locked).sweep(Instant::now());
    }
}

/// Puts everything that comes before a handler around the routes; the last layer added runs first.
pub(super) fn wrap(routes: Router<ServeState>, state: &ServeState) -> Router<ServeState> {
    routes
        .layer(from_fn_with_state(state.clone(), in_time))
        .layer(from_fn_with_state(state.clone(), super::body::whole))
        .layer(from_fn_with_state(state.clone(), known_name))
        .layer(from_fn_with_state(state.clone(), admit))
        .layer(from_fn_with_state(
            state.clone(),
            super::contract::bot::allow_list,
        ))
        // Inside the log, so that a request that ends in a panic has its line and is counted.
        .layer(from_fn(super::error::no_panic))
        .layer(map_response_with_state(state.clone(), super::headers::add))
        .layer(from_fn_with_state(state.clone(), super::log::record))
        .layer(from_fn_with_state(state.clone(), find_client))
}

async fn find_client(
    State(state): State<ServeState>,
    mut request: Request,
    next: Next,
) -> Response {
    let address = client_address::resolve(&state.config, &request);
    request.extensions_mut().insert(ClientAddress(address));
    next.run(request).await
}

async fn admit(State(state): State<ServeState>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if let Err(seconds) = state.limits.admit_address(ClientAddress::of(&request)) {
        return refuse(
            path,
            StatusCode::TOO_MANY_REQUESTS,
            ErrorKind::Busy,
            "too many requests come from this address",
            Some(seconds),
        );
    }
    let Ok(place) = Arc::clone(&state.limits.in_flight).try_acquire_owned() else {
        return refuse(
            path,
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Busy,
            "too many requests are under way",
            Some(1),
        );
    };
    let response = next.run(request).await;
    drop(place);
    response
}

/// Refuses names that are not ours: a page on the internet must not reach a server on loopback by a
/// name of its own that leads here.
async fn known_name(State(state): State<ServeState>, request: Request, next: Next) -> Response {
    let config = &state.config;
    let peer = request
        .extensions()
        .get::<Peer>()
        .map(|peer| peer.0.ip().to_canonical());
    let by_proxy =
        peer.is_some_and(|ip| config.trusted_proxies.iter().any(|net| net.contains(&ip)));
    let loopback = state
        .listening
        .iter()
        .any(|address| address.ip().is_loopback());
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let ok = match (hosts.next(), hosts.next()) {
        (None, _) => request.version() != Version::HTTP_11 || peer.is_none(),
        (Some(_), Some(_)) => false,
        (Some(host), None) => {
            let host = host.to_str().unwrap_or_default();
            by_proxy || (!loopback && config.names.is_empty()) || is_ours(host, &config.names)
        }
    };
    if ok {
        return next.run(request).await;
    }
    refuse(
        request.uri().path(),
        StatusCode::MISDIRECTED_REQUEST,
        ErrorKind::Refused,
        "this server is not asked under that name; `serve.names` lists its names",
        None,
    )
}

fn is_ours(host: &str, names: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

async fn in_time(State(state): State<ServeState>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let answer = tokio::time::timeout(state.config.limit.request_time, next.run(request));
    answer.await.unwrap_or_else(|_late| {
        refuse(
            &path,
            StatusCode::GATEWAY_TIMEOUT,
            ErrorKind::Timeout,
            "it took longer than a request may",
            None,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(change: impl FnOnce(&mut ServeLimits)) -> Limits {
        let mut config = ServeLimits::default();
        change(&mut config);
        Limits::new(&config)
    }

    #[test]
    fn hosts_that_are_waited_for_leave_places_to_others() {
        let limits = limits(|config| {
            config.in_flight = 8;
            config.in_flight_per_host = 4;
        });
        let host = |id| {
            let endpoint = crate::domain::host::Endpoint::new("kvm1", 22);
            let mut host = HostSpec::new("kvm1".parse().unwrap(), endpoint);
            host.id = HostId(id);
            host
        };
        let wait = |profile, id| limits.wait_for_host(profile, Some(&host(id)));
        let held: Vec<_> = (0..4).map(|_| wait("lab", 1).unwrap()).collect();
        let refused = wait("lab", 1).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Busy);
        assert!(refused.message.contains("kvm1"), "{refused}");
        // The same number in another profile is another host.
        let other = wait("attic", 1).unwrap();
        let _bulk = limits.wait_for_host("lab", None).unwrap();
        assert!(
            wait("lab", 2).is_err(),
            "a quarter is left to those that wait for nobody"
        );
        assert!(limits.wait_for_host("lab", None).is_err());
        drop((held, other));
        let _again = wait("lab", 1).unwrap();
    }

    #[test]
    fn a_rate_says_when_to_come_again_and_does_not_touch_others() {
        let limits = limits(|config| {
            config.rate_per_key = 2;
            config.rate_per_address = 2;
        });
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        for _ in 0..2 {
            drop(limits.admit_key("a").unwrap());
            limits.admit_address(address).unwrap();
        }
        assert_eq!(limits.admit_key("a").unwrap_err(), 1);
        assert_eq!(limits.admit_address(address).unwrap_err(), 1);
        drop(limits.admit_key("b").unwrap());
        limits.admit_address("192.0.2.8".parse().unwrap()).unwrap();
    }

    #[test]
    fn wrong_keys_lock_an_address_out_and_its_neighbours_in_one_network_with_it() {
        let limits = limits(|config| config.failures_per_address = 3);
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let same: IpAddr = "2001:db8::ffff".parse().unwrap();
        let other: IpAddr = "2001:db8:1::1".parse().unwrap();
        for _ in 0..3 {
            limits.failed(one);
            assert_eq!(limits.locked_out(one), None);
        }
        limits.failed(one);
        assert!(limits.locked_out(one).unwrap() >= 1);
        assert!(limits.locked_out(same).is_some());
        assert_eq!(limits.locked_out(other), None);
    }

    #[test]
    fn a_crowd_of_locked_out_addresses_does_not_let_the_others_go() {
        let limits = limits(|config| config.failures_per_address = 1);
        let address = |n: usize| {
            let n = u32::try_from(n).unwrap();
            IpAddr::from((0x0a00_0000 + n).to_be_bytes())
        };
        for n in 0..=MOST_LOCKED {
            limits.failed(address(n));
            limits.failed(address(n));
        }
        let still = (0..=MOST_LOCKED).filter(|n| limits.locked_out(address(*n)).is_some());
        assert_eq!(still.count(), MOST_LOCKED);
    }

    #[test]
    fn readers_registrations_and_dials_have_ceilings_of_their_own() {
        let limits = limits(|config| {
            config.event_readers = 1;
            config.registrations_per_address = 2;
            config.dials_per_user = 3;
        });
        let reader = limits.event_reader().unwrap();
        assert!(limits.event_reader().is_none());
        drop(reader);
        assert!(limits.event_reader().is_some());
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        for _ in 0..2 {
            limits.admit_registration(address).unwrap();
        }
        assert!(limits.admit_registration(address).unwrap_err() > 60);
        for _ in 0..3 {
            limits.admit_dial(7).unwrap();
        }
        assert!(limits.admit_dial(7).unwrap_err() >= 1);
        limits.admit_dial(8).unwrap();
    }

    #[test]
    fn names_that_are_ours() {
        let names = vec!["api.example.org".to_owned()];
        for host in [
            "127.0.0.1:8000",
            "[::1]:8000",
            "[::1]",
            "localhost",
            "LOCALHOST:80",
            "api.example.org:443",
            "10.1.2.3",
        ] {
            assert!(is_ours(host, &names), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example:8000",
            "api.example.org.",
            "::1",
        ] {
            assert!(!is_ours(host, &names), "{host}");
        }
    }
}
