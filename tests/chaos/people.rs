//! People who act on VMs while the network is bad, and the book of what they did: every action that was
//! admitted, and how it ended. Compared at the end with what the hosts were really asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use vmdeck::domain::action::ActionKind;
use vmdeck::domain::error_kind::Failure;
use vmdeck::domain::operation::{Consent, Operation, Outcome, Submission};
use vmdeck::domain::vm::{PowerState, Vm, VmRef};

use crate::rig::{Rig, actor};

/// The VM that belongs to the clock, not to people.
pub(crate) const BEAT: &str = "beat";

/// How long an operation looks for its goal.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long the last operations may take: acceptance and verification.
const LAST: Duration = Duration::from_secs(150);

/// One VM and one `virsh` command.
type Key = (String, &'static str);

/// Who acts, and what came of it.
pub(crate) struct People {
    dice: StdRng,
    under_way: JoinSet<(Key, Result<Arc<Operation>, Failure>)>,
    book: BTreeMap<Key, Account>,
    /// Requests that were not admitted.
    pub(crate) refused: usize,
    /// Operations by how they ended.
    pub(crate) outcomes: BTreeMap<&'static str, usize>,
}

/// What is known about one key.
#[derive(Debug, Clone, Copy, Default)]
struct Account {
    /// Admitted, so that the host may have been asked.
    admitted: usize,
    /// Of these, surely never sent.
    never_sent: usize,
    /// Of these, taken by the hypervisor.
    taken: usize,
}

impl People {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            dice: StdRng::seed_from_u64(seed),
            under_way: JoinSet::new(),
            book: BTreeMap::new(),
            refused: 0,
            outcomes: BTreeMap::new(),
        }
    }

    /// Does something to some VM that seems to be reachable.
    pub(crate) async fn act(&mut self, rig: &Rig) {
        self.take_note();
        let state = rig.handle.snapshot();
        let up: Vec<_> = state.hosts.iter().filter(|h| h.health.is_up()).collect();
        if up.is_empty() {
            return;
        }
        let host = up[self.dice.random_range(0..up.len())];
        let vms: Vec<_> = host
            .vms()
            .iter()
            .filter(|vm| vm.name.raw() != BEAT)
            .collect();
        if vms.is_empty() {
            return;
        }
        let vm = vms[self.dice.random_range(0..vms.len())];
        let Some((action, command)) = self.choose(vm) else {
            return;
        };
        let target = VmRef {
            host: host.spec.id,
            vm: vm.id.clone(),
        };
        let proposal = rig.handle.plan(target, action.into(), actor(), 1).await;
        let Ok(proposal) = proposal else {
            self.refused += 1;
            return;
        };
        let submission = Submission {
            plan: proposal.plan,
            actor: actor(),
            consent: Consent::Confirmed,
            count: 1,
            deadline: Some(DEADLINE),
        };
        match rig.handle.submit(submission).await {
            Err(_) => self.refused += 1,
            Ok(id) => {
                let key = (vm.id.as_str().to_owned(), command);
                self.book.entry(key.clone()).or_default().admitted += 1;
                let handle = rig.handle.clone();
                self.under_way
                    .spawn(async move { (key, handle.outcome(&id).await) });
            }
        }
    }

    fn choose(&mut self, vm: &Vm) -> Option<(ActionKind, &'static str)> {
        match vm.state {
            PowerState::Running => Some(match self.dice.random_range(0..3) {
                0 => (ActionKind::Pause, "suspend"),
                1 => (ActionKind::Reset, "reset"),
                _ => (ActionKind::ForceOff, "destroy"),
            }),
            PowerState::Paused => Some((ActionKind::Resume, "resume")),
            PowerState::Stopped => Some((ActionKind::Start, "start")),
            _ => None,
        }
    }

    fn take_note(&mut self) {
        while let Some(ended) = self.under_way.try_join_next() {
            let (key, operation) = ended.unwrap();
            self.enter(key, &operation.unwrap());
        }
    }

    fn enter(&mut self, key: Key, operation: &Operation) {
        let account = self.book.entry(key).or_default();
        let outcome = operation.outcome.as_ref().unwrap();
        *self.outcomes.entry(outcome.word()).or_default() += 1;
        match outcome {
            Outcome::Confirmed | Outcome::Accepted { .. } => account.taken += 1,
            Outcome::Refused { .. } => account.never_sent += 1,
            Outcome::Failed { .. } | Outcome::Unknown { .. } => {}
        }
    }

    /// How many operations have been admitted.
    pub(crate) fn admitted(&self) -> usize {
        self.book.values().map(|account| account.admitted).sum()
    }

    /// Waits for every operation, then compares the book with what the hosts were asked for. Returns how
    /// many commands arrived.
    pub(crate) async fn settle(&mut self, rig: &Rig) -> usize {
        let ended = tokio::time::timeout(LAST, async {
            while let Some(ended) = self.under_way.join_next().await {
                let (key, operation) = ended.unwrap();
                self.enter(key, &operation.unwrap());
            }
        });
        assert!(
            ended.await.is_ok(),
            "operations without an end: {}",
            rig.word()
        );
        let mut arrived: BTreeMap<Key, usize> = BTreeMap::new();
        for host in &rig.hosts {
            let commands = host.control.commands();
            let ours =
                |(_, name): &Key| ["start", "suspend", "resume", "reset", "destroy"].contains(name);
            arrived.extend(commands.into_iter().filter(|(key, _)| ours(key)));
        }
        for (key, count) in &arrived {
            let account = self.book.get(key).copied().unwrap_or_default();
            assert!(
                *count <= account.admitted - account.never_sent,
                "{key:?} arrived {count} times, admitted were {account:?}"
            );
        }
        for (key, account) in &self.book {
            let count = arrived.get(key).copied().unwrap_or_default();
            assert!(
                count >= account.taken,
                "{key:?} arrived {count} times, told as done were {account:?}"
            );
        }
        arrived.values().sum()
    }
}
