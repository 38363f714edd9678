//! Handing in the plans of an order about several VMs, one after the other and VM by VM.

use std::collections::{HashMap, VecDeque};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::bulk::Handed;
use super::event::Answer;
use crate::domain::operation::{OperationId, Submission};
use crate::domain::vm::VmRef;
use crate::fleet::FleetHandle;

/// Hands in what belongs to one order, and tells what became of each.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) handle: FleetHandle,
    pub(super) answers: mpsc::Sender<Answer>,
    pub(super) bulk: u64,
    /// Cancelled: what is not handed in yet stays so.
    pub(super) stop: CancellationToken,
}

/// What is to be done to one VM, in order, each with its place in the order.
type OfOneVm = VecDeque<(usize, Submission)>;

impl Desk {
    /// Hands in the first of every VM, one after the other: the fleet is asked no faster than it answers.
    /// What is to be done to the same VM follows when the one before is over.
    pub(super) async fn hand_in(self, submissions: Vec<Submission>) {
        let mut rest = Vec::new();
        for mut group in by_vm(submissions) {
            if let Some(first) = group.pop_front() {
                let operation = self.one(first).await;
                if !group.is_empty() {
                    rest.push((operation, group));
                }
            }
        }
        let following = rest
            .into_iter()
            .map(|(before, group)| self.follow(before, group));
        futures_util::future::join_all(following).await;
    }

    /// Goes on with one VM. Where one was not admitted, those after it are not handed in.
    async fn follow(&self, mut before: Option<OperationId>, mut group: OfOneVm) {
        while let Some(next) = group.pop_front() {
            before = match before {
                Some(operation) => {
                    // How it ended is told where operations are; the next one is tried in any case.
                    drop(self.handle.outcome(&operation).await);
                    self.one(next).await
                }
                None => self.tell(next.0, Handed::Held).await,
            };
        }
    }

    async fn one(&self, (place, submission): (usize, Submission)) -> Option<OperationId> {
        let handed = if self.stop.is_cancelled() {
            Handed::Held
        } else {
            match self.handle.submit(submission).await {
                Ok(operation) => Handed::Started(operation),
                Err(cause) => Handed::Refused(cause),
            }
        };
        self.tell(place, handed).await
    }

    async fn tell(&self, place: usize, handed: Handed) -> Option<OperationId> {
        let operation = match &handed {
            Handed::Started(operation) => Some(operation.clone()),
            Handed::Refused(_) | Handed::Held => None,
        };
        let answer = Answer::Handed(self.bulk, place, handed);
        // The screen has been left: nobody wants to know any more.
        drop(self.answers.send(answer).await);
        operation
    }
}

/// Sorts what is handed in by VM, the order kept: a VM has one operation at a time.
fn by_vm(submissions: Vec<Submission>) -> Vec<OfOneVm> {
    let mut groups: Vec<OfOneVm> = Vec::new();
    let mut places: HashMap<VmRef, usize> = HashMap::new();
    for (at, submission) in submissions.into_iter().enumerate() {
        let place = *places.entry(submission.plan.vm.clone()).or_insert_with(|| {
            groups.push(VecDeque::new());
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(place) {
            group.push_back((at, submission));
        }
    }
    groups
}
