//! What becomes of a VM's snapshots: the goal of making, reverting to and deleting one is seen in the
//! tree, which is read for it. Where deleting several ended half-way, the tree says how far it came.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::operation::{FIRST_PAUSE, LAST_PAUSE, Runner, next_read, unknown};
use super::verify::Watcher;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::operation::{Outcome, Phase, Plan};
use crate::domain::snapshot::{SnapshotRequest, VmSnapshot};
use crate::session::HostCommand;

/// How long the VM's row is waited for once its snapshots are as wanted: it says what the VM does now.
const ROW_WITHIN: Duration = Duration::from_secs(5);

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
        mut watcher: Watcher,
        after: &mut Option<Watcher>,
    ) -> Outcome {
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
            let looking = self.until_met(request, &watcher, patience);
            tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    unknown("the hypervisor took it, then nobody waited for its effect")
                }
                outcome = looking => outcome,
            }
        };
        // What the VM does after it, and how many snapshots its row shows.
        let mut reads = self.session.observations.clone();
        drop(self.session.send(HostCommand::Read { full: false }));
        let row = tokio::time::timeout(ROW_WITHIN, next_read(&mut reads, accepted));
        if !self.cancel.is_cancelled()
            && let Ok(Some(seen)) = row.await
        {
            watcher.judge(&plan, &seen);
        }
        *after = Some(watcher);
        outcome
    }

    async fn until_met(
        &self,
        request: &SnapshotRequest,
        watcher: &Watcher,
        patience: Duration,
    ) -> Outcome {
        let deadline = Instant::now() + patience;
        let mut pause = FIRST_PAUSE;
        let mut last = None;
        loop {
            match tokio::time::timeout_at(deadline, self.read_snapshots()).await {
                Ok(Ok(tree)) if request.is_met_by(&tree) => return Outcome::Confirmed,
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
                        "the hypervisor took it, but its snapshots could not be read: {}",
                        cause.message
                    ),
                    ..cause
                },
            },
            None => unknown("the hypervisor took it, but its snapshots could not be read in time"),
        }
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
        let Ok(Ok(tree)) = tokio::time::timeout(ROW_WITHIN, self.read_snapshots()).await else {
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

    async fn read_snapshots(&self) -> Result<Tree, Failure> {
        let (reply, answer) = oneshot::channel();
        self.session.send(HostCommand::Snapshots {
            vm: self.operation.plan.vm.vm.clone(),
            reply,
        })?;
        answer.await.unwrap_or_else(|_| {
            let why = "the host's session ended";
            Err(Failure::new(ErrorKind::Unreachable, why))
        })
    }
}
