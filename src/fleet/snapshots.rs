//! What becomes of a VM's snapshots: the goal of making, reverting to and deleting one is seen in the
//! tree, which is read for it. Where deleting several ended half-way, the tree says how far it came.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::handle::FleetHandle;
use super::operation::{FIRST_PAUSE, LAST_PAUSE, Runner, next_read, unknown};
use super::request::HostSelection;
use super::verify::Watcher;
use crate::domain::error_kind::Failure;
use crate::domain::operation::{Outcome, Phase, Plan};
use crate::domain::snapshot::{SnapshotRequest, VmSnapshot};
use crate::domain::vm::{VmId, VmRef};
use crate::session::{HostCommand, SessionHandle};

/// How long the VM's row is waited for once its snapshots are as wanted: it says what the VM does now.
const ROW_WITHIN: Duration = Duration::from_secs(5);

/// How long is waited until the fleet knows what was read.
const PUBLISHED: Duration = Duration::from_secs(5);

impl FleetHandle {
    /// Reads a VM's snapshots, and waits a moment until the fleet knows them too: plans are made of what it
    /// knows, and so is the age that the policy is asked about.
    pub async fn snapshots_now(&self, vm: VmRef) -> Result<Arc<[VmSnapshot]>, Failure> {
        let tree = self.snapshots(vm.clone()).await?;
        drop(self.read_again(HostSelection::Only(vec![vm.host])).await);
        let published = self.wait_until(|state| {
            let known = state
                .vm(&vm)
                .and_then(|(_, vm)| vm.facts.snapshot_tree.as_deref());
            known.is_some_and(|known| known.len() == tree.len())
        });
        drop(tokio::time::timeout(PUBLISHED, published).await);
        Ok(tree)
    }
}

/// A tree as it was read.
type Tree = Arc<[VmSnapshot]>;

impl Runner {
    /// Returns the snapshots as they are known now.
    pub(super) fn snapshots_known(&self, plan: &Plan) -> Option<Tree> {
        plan.action.snapshot.as_ref()?;
        let state = self.state.borrow();
        let (_, vm) = state.vm(&plan.vm)?;
        vm.facts.snapshot_tree.clone()
    }

    /// Reads the tree until it is as wanted or time is up.
    pub(super) async fn verify_snapshots(
        &mut self,
        request: &SnapshotRequest,
        watcher: Watcher,
        after: &mut Option<Watcher>,
    ) -> Outcome {
        let (session, vm) = (self.session.clone(), self.operation.plan.vm.vm.clone());
        let look = Look {
            what: "snapshots",
            full: false,
            read: || read(session.clone(), vm.clone()),
            met: |tree: &Tree| request.is_met_by(tree),
        };
        self.verify_by(look, watcher, after).await
    }

    /// Reads something of the VM until it is as wanted or time is up.
    pub(super) async fn verify_by<T, F>(
        &mut self,
        look: Look<impl Fn() -> F, impl Fn(&T) -> bool>,
        mut watcher: Watcher,
        after: &mut Option<Watcher>,
    ) -> Outcome
    where
        F: Future<Output = Result<T, Failure>>,
    {
        self.moved(Phase::Verifying).await;
        let accepted = Instant::now();
        let plan = Arc::clone(&self.operation.plan);
        let usual = plan.action.kind.spec().deadline;
        let patience = self.submission.deadline.unwrap_or(usual);
        let outcome = if patience.is_zero() {
            Outcome::Accepted {
                note: "its effect was not waited for".to_owned(),
            }
        } else {
            let cancel = self.cancel.clone();
            let looking = look.until_met(&watcher, patience);
            tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    unknown("the hypervisor took it, then nobody waited for its effect")
                }
                outcome = looking => outcome,
            }
        };
        // What the VM does after it, and what its row shows.
        let mut reads = self.session.observations.clone();
        drop(self.session.send(HostCommand::Read { full: look.full }));
        let row = tokio::time::timeout(ROW_WITHIN, next_read(&mut reads, accepted));
        if !self.cancel.is_cancelled()
            && let Ok(Some(seen)) = row.await
        {
            watcher.judge(&plan, &seen);
        }
        *after = Some(watcher);
        outcome
    }

    /// Reads the tree after something has failed: what is known must be what is there, and of a delete of
    /// several it shows which part was done.
    pub(super) async fn look_at_part(
        &self,
        request: &SnapshotRequest,
        before: Option<&[VmSnapshot]>,
        ended: Outcome,
    ) -> Outcome {
        let (cause, is_unknown) = match &ended {
            Outcome::Failed { cause } => (cause, false),
            Outcome::Unknown { cause } => (cause, true),
            Outcome::Confirmed | Outcome::Accepted { .. } | Outcome::Refused { .. } => {
                return ended;
            }
        };
        let reading = read(self.session.clone(), self.operation.plan.vm.vm.clone());
        let Ok(Ok(tree)) = tokio::time::timeout(ROW_WITHIN, reading).await else {
            return ended;
        };
        drop(self.session.send(HostCommand::Read { full: false }));
        let Some(part) = before.and_then(|before| request.part_done(before, &tree)) else {
            return ended;
        };
        let cause = Failure {
            message: format!("{part}: {}", cause.message),
            ..cause.clone()
        };
        if is_unknown {
            Outcome::Unknown { cause }
        } else {
            Outcome::Failed { cause }
        }
    }
}

/// How a goal is seen that a read of all VMs does not show.
pub(super) struct Look<R, M> {
    /// What is read of the VM.
    pub(super) what: &'static str,
    /// Whether its row shows it only after a read with slow facts.
    pub(super) full: bool,
    /// Reads it.
    pub(super) read: R,
    /// Tells whether it is as wanted.
    pub(super) met: M,
}

impl<R, M> Look<R, M> {
    async fn until_met<T, F>(&self, watcher: &Watcher, patience: Duration) -> Outcome
    where
        R: Fn() -> F,
        M: Fn(&T) -> bool,
        F: Future<Output = Result<T, Failure>>,
    {
        let what = self.what;
        let deadline = Instant::now() + patience;
        let mut pause = FIRST_PAUSE;
        let mut last = None;
        loop {
            match tokio::time::timeout_at(deadline, (self.read)()).await {
                Ok(Ok(read)) if (self.met)(&read) => return Outcome::Confirmed,
                Ok(read) => last = Some(read.map(drop)),
                Err(_elapsed) => {}
            }
            if Instant::now() + pause >= deadline {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
        match last {
            Some(Ok(())) => Outcome::Accepted {
                note: watcher.note(patience),
            },
            Some(Err(cause)) => Outcome::Unknown {
                cause: Failure {
                    message: format!(
                        "the hypervisor took it, but its {what} could not be read: {}",
                        cause.message
                    ),
                    ..cause
                },
            },
            None => unknown(&format!(
                "the hypervisor took it, but its {what} could not be read in time"
            )),
        }
    }
}

async fn read(session: SessionHandle, vm: VmId) -> Result<Tree, Failure> {
    session
        .ask(|reply| HostCommand::Snapshots { vm, reply })
        .await
}
