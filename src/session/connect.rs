//! Getting a link: where to dial comes from the fleet, how many dial at once is bounded here.
//!
//! A host that waits for its turn is not being dialled: no deadline of the way to it runs meanwhile, and
//! its state says so. The wait has a bound of its own.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::limits::{CONNECT_PER_HOP, TURN};
use super::machine::Trouble;
use crate::domain::credential::CredentialName;
use crate::domain::error_kind::Failure;
use crate::domain::guest_login::GuestLogin;
use crate::domain::host::HostSpec;
use crate::domain::secret::SecretText;
use crate::domain::vm::VmId;
use crate::hypervisor::HypervisorError;
use crate::transport::gates::{Gates, take};
use crate::transport::{Connected, Connector, Stage, Target, TransportError};

/// Says where to dial and what to log in with. Asked anew for every attempt, so that an unlocked
/// profile or a newly pinned key counts at once.
#[async_trait]
pub trait TargetSource: Send + Sync + Debug {
    /// Resolves a definition; a locked profile is a failure of kind `Locked`.
    async fn target(&self, spec: &HostSpec) -> Result<Target, Failure>;

    /// Opens the password that a credential of the profile is.
    async fn password(&self, name: &CredentialName) -> Result<SecretText, Failure>;

    /// Resolves a login to a VM of that host, through the host.
    async fn guest(
        &self,
        spec: &HostSpec,
        vm: &VmId,
        login: &GuestLogin,
    ) -> Result<Target, Failure>;
}

/// Places for connections being made, shared by all sessions.
#[derive(Debug)]
pub struct Handshakes {
    /// Hosts that hang must not take every place from hosts that would answer.
    retries: Arc<Semaphore>,
    /// Hosts that wait at their jump host must not take places from hosts elsewhere.
    gates: Gates,
    all: Arc<Semaphore>,
}

/// A place; given back when dropped.
#[derive(Debug)]
pub struct Place {
    _retry: Option<OwnedSemaphorePermit>,
    gate: Option<OwnedSemaphorePermit>,
    _of_all: Option<OwnedSemaphorePermit>,
}

impl Handshakes {
    /// Makes so many places, half of them for hosts that failed before.
    pub fn new(places: usize) -> Self {
        Self {
            retries: Arc::new(Semaphore::new((places / 2).max(1))),
            gates: Gates::default(),
            all: Arc::new(Semaphore::new(places.max(1))),
        }
    }

    /// Waits for a place. Hosts that failed before wait among themselves first.
    async fn place(&self, target: &Target, attempt: u32, stages: &watch::Sender<Stage>) -> Place {
        let waits = || {
            stages.send_replace(Stage {
                hop: 0,
                waiting: true,
            });
        };
        let retry = if attempt > 1 {
            take(Arc::clone(&self.retries), waits).await
        } else {
            None
        };
        let gate = take(
            self.gates.at(target.hops.get(..1).unwrap_or_default()),
            waits,
        )
        .await;
        Place {
            _retry: retry,
            gate,
            _of_all: take(Arc::clone(&self.all), waits).await,
        }
    }
}

/// Connects when it is its turn, and tells where that stands. Each hop has its own deadline, and so has
/// each wait.
pub(super) async fn connect_in_turn(
    connector: &dyn Connector,
    handshakes: &Handshakes,
    (target, attempt): (&Target, u32),
    stages: &watch::Sender<Stage>,
) -> Result<Connected, TransportError> {
    let mut place = tokio::time::timeout(TURN, handshakes.place(target, attempt, stages))
        .await
        .map_err(|_elapsed| not_our_turn())?;
    stages.send_replace(Stage::default());
    let mut seen = stages.subscribe();
    let connecting = connector.connect_in_stages(target, stages);
    tokio::pin!(connecting);
    loop {
        let stage = *seen.borrow_and_update();
        if stage.hop > 0 {
            // It is logged in at the first: the next may come.
            place.gate = None;
        }
        let after = if stage.waiting { TURN } else { CONNECT_PER_HOP };
        tokio::select! {
            biased;
            result = &mut connecting => return result,
            moved = seen.changed() => moved.unwrap_or_default(),
            () = tokio::time::sleep(after) => {
                return Err(if stage.waiting {
                    not_our_turn()
                } else {
                    TransportError::Timeout { what: "connecting", after }
                });
            }
        }
    }
}

const fn not_our_turn() -> TransportError {
    TransportError::Timeout {
        what: "waiting for its turn, behind others that are being dialled,",
        after: TURN,
    }
}

/// Dials one host once.
pub(super) async fn dial(
    targets: Arc<dyn TargetSource>,
    connector: Arc<dyn Connector>,
    handshakes: Arc<Handshakes>,
    (spec, attempt): (Arc<HostSpec>, u32),
    stages: watch::Sender<Stage>,
) -> Result<Connected, Trouble> {
    let target = targets.target(&spec).await?;
    connect_in_turn(&*connector, &handshakes, (&target, attempt), &stages)
        .await
        .map_err(trouble)
}

/// Keeps the key question that a failure may hold.
pub(super) fn trouble(error: TransportError) -> Trouble {
    let cause = Failure::of(&error);
    match error {
        TransportError::HostKey(question) => Trouble {
            cause,
            question: Some(question),
        },
        TransportError::Resolve { .. }
        | TransportError::Dial { .. }
        | TransportError::Timeout { .. }
        | TransportError::Handshake { .. }
        | TransportError::KnownHosts { .. }
        | TransportError::Command(_)
        | TransportError::Auth { .. }
        | TransportError::Credential { .. }
        | TransportError::Lost { .. }
        | TransportError::Channel { .. }
        | TransportError::Protocol { .. } => cause.into(),
    }
}

/// Returns the failure of a link that has died, where that is what an error says.
pub(super) fn link_loss(error: &HypervisorError) -> Option<Failure> {
    matches!(
        error,
        HypervisorError::Transport(TransportError::Lost { .. })
    )
    .then(|| Failure::of(error))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::time::Instant;

    use super::*;
    use crate::domain::host::Endpoint;
    use crate::transport::Hop;
    use crate::transport::scripted::Script;

    /// A connector to jump hosts that let one host at a time in, and to the hosts behind them.
    #[derive(Debug)]
    struct Narrow {
        door: Arc<Semaphore>,
        /// How long a login takes at each hop; `None` hangs.
        takes: [Option<Duration>; 2],
        begun: Arc<std::sync::Mutex<Vec<String>>>,
    }

    impl Narrow {
        fn new(takes: [Option<Duration>; 2]) -> Self {
            Self {
                door: Arc::new(Semaphore::new(1)),
                takes,
                begun: Arc::default(),
            }
        }
    }

    #[async_trait]
    impl Connector for Narrow {
        async fn connect(&self, _target: &Target) -> Result<Connected, TransportError> {
            unreachable!("a session wants to know the stages")
        }

        async fn connect_in_stages(
            &self,
            target: &Target,
            stages: &watch::Sender<Stage>,
        ) -> Result<Connected, TransportError> {
            let name = target.name.to_string();
            self.begun.lock().unwrap().push(name);
            for (hop, takes) in (0..target.hops.len()).zip(self.takes) {
                let door = (hop == 0).then(|| Arc::clone(&self.door));
                let _in = match door {
                    Some(door) => {
                        let waits = || {
                            stages.send_replace(Stage { hop, waiting: true });
                        };
                        take(door, waits).await
                    }
                    None => None,
                };
                let waiting = false;
                stages.send_replace(Stage { hop, waiting });
                match takes {
                    Some(takes) => tokio::time::sleep(takes).await,
                    None => std::future::pending().await,
                }
            }
            Ok(Connected {
                transport: Script::new().transport(),
                accepted: Vec::new(),
                logged_in_with: "script".to_owned(),
            })
        }
    }

    fn target(name: &str, way: &[&str]) -> Target {
        let hop = |address: &&str| Hop {
            endpoint: Endpoint::new(*address, 22),
            key_alias: None,
            user: "ann".parse().unwrap(),
            credentials: Vec::new(),
        };
        Target {
            name: name.parse().unwrap(),
            hops: way.iter().map(hop).collect(),
            pinned: Vec::new(),
            known_hosts: Vec::new(),
            accept_new: false,
        }
    }

    fn behind(jump: &str, count: usize) -> Vec<Target> {
        (0..count)
            .map(|number| target(&format!("{jump}-{number}"), &[jump, "10.0.0.1"]))
            .collect()
    }

    async fn connect(
        connector: &Narrow,
        places: &Handshakes,
        target: &Target,
    ) -> Result<(), TransportError> {
        connect_in_turn(connector, places, (target, 1), &watch::Sender::default())
            .await
            .map(drop)
    }

    const SLOW: Option<Duration> = Some(Duration::from_secs(20));
    const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

    #[tokio::test(start_paused = true)]
    async fn a_host_is_not_late_because_others_were_let_first() {
        let (connector, places) = (Narrow::new([SLOW, AT_ONCE]), Handshakes::new(16));
        let hosts = behind("jump", 12);
        let began = Instant::now();
        let all = hosts.iter().map(|host| connect(&connector, &places, host));
        for result in join_all(all).await {
            result.unwrap();
        }
        assert_eq!(began.elapsed(), Duration::from_secs(12 * 20));
    }

    #[tokio::test(start_paused = true)]
    async fn each_hop_has_its_own_deadline() {
        let places = Handshakes::new(16);
        let host = target("far", &["jump", "10.0.0.1"]);
        for (takes, late) in [
            ([None, None], CONNECT_PER_HOP),
            (
                [SLOW, None],
                CONNECT_PER_HOP + SLOW.unwrap_or(Duration::ZERO),
            ),
        ] {
            let began = Instant::now();
            let error = connect(&Narrow::new(takes), &places, &host).await;
            assert_eq!(
                error.unwrap_err().to_string(),
                "connecting took longer than 35s"
            );
            assert_eq!(began.elapsed(), late);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_does_not_end_is_told_as_one() {
        let connector = Narrow::new([AT_ONCE, AT_ONCE]);
        let _taken = Arc::clone(&connector.door).acquire_owned().await;
        let host = target("far", &["jump", "10.0.0.1"]);
        for places in [16, 1] {
            let places = Handshakes::new(places);
            // Either at the server's door, or already at the fleet's.
            let _place = places.all.acquire().await;
            let began = Instant::now();
            let error = connect(&connector, &places, &host).await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "waiting for its turn, behind others that are being dialled, took longer than 5m"
            );
            assert_eq!(began.elapsed(), TURN);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_behind_a_jump_host_that_hangs_leave_places_to_others() {
        let (connector, places) = (Narrow::new([None, None]), Handshakes::new(16));
        let (stuck, other) = (behind("jump", 200), target("other", &["10.0.0.9"]));
        let mut waiting = join_all(stuck.iter().map(|host| connect(&connector, &places, host)));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        assert_eq!(connector.begun.lock().unwrap().len(), 8);
        let quick = Narrow::new([AT_ONCE, AT_ONCE]);
        connect(&quick, &places, &other).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_place_at_the_jump_host_goes_to_the_next_once_it_is_passed() {
        let (connector, places) = (Narrow::new([AT_ONCE, None]), Handshakes::new(16));
        let hosts = behind("jump", 20);
        let mut all = join_all(hosts.iter().map(|host| connect(&connector, &places, host)));
        for _ in 0..200 {
            assert!((&mut all).now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        // No more than the fleet dials at once, but not only the eight that the gate lets in.
        assert_eq!(connector.begun.lock().unwrap().len(), 16);
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_that_failed_before_leave_half_of_the_places() {
        let connector = Narrow::new([None, None]);
        let places = Handshakes::new(16);
        let hosts: Vec<Target> = (0..40)
            .map(|number| target(&format!("h{number}"), &[&format!("10.0.0.{number}")]))
            .collect();
        let stages = watch::Sender::default();
        let again = |host| connect_in_turn(&connector, &places, (host, 2), &stages);
        let mut all = join_all(hosts.iter().map(again));
        assert!(futures_util::poll!(&mut all).is_pending());
        assert_eq!(connector.begun.lock().unwrap().len(), 8);
        let quick = Narrow::new([AT_ONCE, AT_ONCE]);
        let new = target("new", &["10.0.1.1"]);
        connect(&quick, &places, &new).await.unwrap();
    }
}
