//! An order about several VMs, followed from the moment it was agreed to: which of them wait, which are
//! under way, how each ended, and what is left to do. Pure: it is told what happened and asks for nothing.
//! What a person may do next (call back the rest, plan the failed anew) is in `overlay::progress`.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::overlay::confirm::Skipped;
use super::theme::Role;
use crate::domain::action::Action;
use crate::domain::error_kind::Failure;
use crate::domain::host::HostName;
use crate::domain::inventory::FleetSnapshot;
use crate::domain::operation::{Operation, OperationId, Outcome, Phase, Plan, Progress};
use crate::domain::text::RemoteText;
use crate::domain::vm::VmRef;

/// Orders that are remembered, the oldest one over going first.
const KEPT: usize = 16;

/// Where one VM of an order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Not handed in yet.
    Waiting,
    /// Handed in; nothing was sent.
    Queued,
    /// Being sent, or its effect is being looked for.
    UnderWay(Phase, Option<Progress>),
    /// The goal was read back.
    Done,
    /// The hypervisor took it; why it is not more than that.
    Accepted(String),
    /// Not tried, and why.
    Refused(String),
    /// The hypervisor said no, in its own words.
    Failed(String),
    /// It may or may not have happened.
    Unknown(String),
    /// Called back before anything was sent.
    NotStarted,
}

impl Standing {
    /// Returns true once nothing follows by itself.
    pub const fn is_over(&self) -> bool {
        !matches!(self, Self::Waiting | Self::Queued | Self::UnderWay(..))
    }

    /// Returns true for what a person may want to try once more. What may have happened is not of it: the
    /// next read tells what is true, and a restart twice is not a restart.
    pub const fn has_failed(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Failed(_))
    }

    /// Returns why, where there is more to say than the word.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Accepted(why) | Self::Refused(why) | Self::Failed(why) | Self::Unknown(why) => {
                Some(why)
            }
            Self::Waiting | Self::Queued | Self::UnderWay(..) | Self::Done | Self::NotStarted => {
                None
            }
        }
    }

    fn of(operation: &Operation) -> Self {
        match &operation.outcome {
            None if operation.phase == Phase::Queued => Self::Queued,
            None => Self::UnderWay(operation.phase, operation.progress.clone()),
            Some(_) if operation.withdrawn => Self::NotStarted,
            Some(Outcome::Confirmed) => Self::Done,
            Some(Outcome::Accepted { note }) => Self::Accepted(note.clone()),
            Some(Outcome::Refused { cause }) => Self::Refused(cause.message.clone()),
            Some(Outcome::Failed { cause }) => Self::Failed(cause.message.clone()),
            Some(Outcome::Unknown { cause }) => Self::Unknown(cause.message.clone()),
        }
    }
}

/// One VM of an order, with what is done to it.
#[derive(Debug, Clone)]
pub struct Member {
    /// Which.
    pub vm: VmRef,
    /// Its name when it was planned.
    pub name: RemoteText,
    /// Its host.
    pub host: HostName,
    /// What is done to it.
    pub action: Action,
    /// Where it stands.
    pub standing: Standing,
    /// How long it took; `None` = not over, or never begun.
    pub took: Option<Duration>,
}

/// What became of handing one of them in.
#[derive(Debug, Clone)]
pub enum Handed {
    /// It was admitted.
    Started(OperationId),
    /// It was not, and why.
    Refused(Failure),
    /// It was not handed in any more.
    Held,
}

/// An order about several VMs.
#[derive(Debug, Clone)]
pub struct Bulk {
    /// Tells it from the others.
    pub ticket: u64,
    /// What is done, as far as they have it in common.
    pub action: Action,
    /// The VMs, in the order of the plan.
    pub members: Vec<Member>,
    /// VMs that were left out of the plan, and why.
    pub skipped: Vec<Skipped>,
    /// Whether a person has called back what had not begun.
    pub stopped: bool,
    /// Whether its end has been told.
    told: bool,
    places: HashMap<OperationId, usize>,
}

/// How many stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Not begun.
    pub waiting: usize,
    /// Being sent or looked for.
    pub under_way: usize,
    /// Confirmed.
    pub done: usize,
    /// Taken, not seen.
    pub accepted: usize,
    /// Failed or refused.
    pub failed: usize,
    /// Nobody knows.
    pub unknown: usize,
    /// Called back in time.
    pub not_started: usize,
    /// Left out of the plan.
    pub skipped: usize,
}

impl Bulk {
    /// Begins to follow an order.
    pub fn new<'a>(
        ticket: u64,
        action: Action,
        plans: impl Iterator<Item = &'a Plan>,
        skipped: Vec<Skipped>,
    ) -> Self {
        let members = plans
            .map(|plan| Member {
                vm: plan.vm.clone(),
                name: plan.vm_name.clone(),
                host: plan.host_name.clone(),
                action: plan.action.clone(),
                standing: Standing::Waiting,
                took: None,
            })
            .collect();
        Self {
            ticket,
            action,
            members,
            skipped,
            stopped: false,
            told: false,
            places: HashMap::new(),
        }
    }

    /// Takes what became of handing one in; returns the operation that has to be called back, where the
    /// rest was called back meanwhile.
    pub fn handed(&mut self, place: usize, handed: Handed) -> Option<OperationId> {
        let member = self.members.get_mut(place)?;
        match handed {
            Handed::Started(id) => {
                member.standing = Standing::Queued;
                self.places.insert(id.clone(), place);
                return self.stopped.then_some(id);
            }
            Handed::Refused(cause) => member.standing = Standing::Refused(cause.message),
            Handed::Held => member.standing = Standing::NotStarted,
        }
        None
    }

    /// Takes the fleet's newest state.
    pub fn take(&mut self, state: &FleetSnapshot) {
        if self.places.is_empty() || self.is_over() {
            return;
        }
        for operation in &state.operations {
            let place = self.places.get(&operation.id);
            if let Some(member) = place.and_then(|place| self.members.get_mut(*place)) {
                member.standing = Standing::of(operation);
                member.took = operation
                    .is_finished()
                    .then(|| operation.elapsed(operation.started_at));
            }
        }
    }

    /// Returns true when it holds this operation.
    pub fn holds(&self, id: &OperationId) -> bool {
        self.places.contains_key(id)
    }

    /// Returns true once nothing of it follows by itself.
    pub fn is_over(&self) -> bool {
        self.members.iter().all(|member| member.standing.is_over())
    }

    /// Returns true the first time it is asked after the end.
    pub fn is_news(&mut self) -> bool {
        !self.told && self.is_over() && {
            self.told = true;
            true
        }
    }

    /// Returns how many of it are over, and of how many.
    pub fn progress(&self) -> (usize, usize) {
        let over = self.members.iter().filter(|it| it.standing.is_over());
        (over.count(), self.members.len())
    }

    /// Counts.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally {
            skipped: self.skipped.len(),
            ..Tally::default()
        };
        for member in &self.members {
            *match member.standing {
                Standing::Waiting | Standing::Queued => &mut tally.waiting,
                Standing::UnderWay(..) => &mut tally.under_way,
                Standing::Done => &mut tally.done,
                Standing::Accepted(_) => &mut tally.accepted,
                Standing::Refused(_) | Standing::Failed(_) => &mut tally.failed,
                Standing::Unknown(_) => &mut tally.unknown,
                Standing::NotStarted => &mut tally.not_started,
            } += 1;
        }
        tally
    }

    /// Returns the operations of which nothing was sent yet.
    pub fn queued(&self) -> Vec<OperationId> {
        let waits = |place: &usize| {
            let member = self.members.get(*place);
            member.is_some_and(|member| member.standing == Standing::Queued)
        };
        let waiting: BTreeMap<usize, &OperationId> = self
            .places
            .iter()
            .filter(|(_, place)| waits(place))
            .map(|(id, place)| (*place, id))
            .collect();
        waiting.into_values().cloned().collect()
    }

    /// Returns the VMs whose standing passes a test, with what is done to each.
    pub fn of_standing(&self, test: impl Fn(&Standing) -> bool) -> Vec<(VmRef, Action)> {
        let fits = self.members.iter().filter(|it| test(&it.standing));
        fits.map(|it| (it.vm.clone(), it.action.clone())).collect()
    }

    /// Says in one line how it stands: `9 done, 2 failed, 1 skipped`.
    pub fn summary(&self) -> String {
        let tally = self.tally();
        let counts = [
            (tally.under_way, "under way"),
            (tally.waiting, "waiting"),
            (tally.done, "done"),
            (tally.accepted, "accepted"),
            (tally.failed, "failed"),
            (tally.unknown, "unknown"),
            (tally.skipped, "skipped"),
            (tally.not_started, "not started"),
        ];
        let said: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        said.join(", ")
    }

    /// Returns what it means for a person, by the worst of it.
    pub fn role(&self) -> Role {
        let tally = self.tally();
        if tally.failed + tally.unknown > 0 {
            Role::Danger
        } else if tally.accepted + tally.not_started + tally.skipped > 0 {
            Role::Warning
        } else {
            Role::Success
        }
    }
}

/// Adds an order to those that are remembered.
pub fn remember(bulks: &mut Vec<Bulk>, bulk: Bulk) {
    bulks.push(bulk);
    if bulks.len() > KEPT
        && let Some(oldest) = bulks.iter().position(Bulk::is_over)
    {
        bulks.remove(oldest);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::action::ActionKind;
    use crate::domain::error_kind::ErrorKind;
    use crate::domain::host::HostId;
    use crate::testing::fleet;

    fn id(n: usize) -> OperationId {
        OperationId(Arc::from(format!("op-{n}")))
    }

    /// Two VMs of kvm1 and two of kvm2, all handed in.
    fn shutdown() -> (FleetSnapshot, Bulk) {
        let state = fleet::small();
        let vms = [(1, 1), (1, 2), (2, 1), (2, 2)].map(|(host, n)| VmRef {
            host: HostId(host),
            vm: fleet::vm_id(host, n),
        });
        let plans = vms.map(|vm| fleet::plan(&state, &vm, ActionKind::Shutdown).unwrap());
        let mut bulk = Bulk::new(7, ActionKind::Shutdown.into(), plans.iter(), Vec::new());
        for place in 0..4 {
            assert_eq!(bulk.handed(place, Handed::Started(id(place))), None);
        }
        (state, bulk)
    }

    /// Lets one of the operations stand like this.
    fn stands(state: &mut FleetSnapshot, bulk: &Bulk, n: usize, end: Option<Outcome>) {
        let vm = &bulk.members[n].vm;
        let mut operation = fleet::operation(state, vm, ActionKind::Shutdown, 9);
        operation.id = id(n);
        if end.is_some() {
            operation.phase = Phase::Done;
            operation.finished_at = Some(fleet::now());
        }
        operation.outcome = end;
        state.operations.push(Arc::new(operation));
    }

    fn failed() -> Outcome {
        Outcome::Failed {
            cause: Failure::new(ErrorKind::Remote, "the domain is locked"),
        }
    }

    #[test]
    fn how_it_ended_is_summed_up_by_kind_and_the_failed_are_those_to_repeat() {
        let (mut state, mut bulk) = shutdown();
        let accepted = Outcome::Accepted {
            note: "slow".into(),
        };
        let unknown = Outcome::Unknown {
            cause: Failure::new(ErrorKind::Timeout, "the link died"),
        };
        for (n, end) in [Outcome::Confirmed, failed(), unknown, accepted]
            .into_iter()
            .enumerate()
        {
            stands(&mut state, &bulk, n, Some(end));
        }
        assert_eq!(bulk.progress(), (0, 4));
        bulk.take(&state);
        assert_eq!(bulk.progress(), (4, 4));
        assert_eq!(bulk.summary(), "1 done, 1 accepted, 1 failed, 1 unknown");
        assert_eq!(bulk.role(), Role::Danger);
        let again = bulk.of_standing(Standing::has_failed);
        assert_eq!(again.len(), 1, "what may have happened is not repeated");
        assert_eq!(again[0].0, bulk.members[1].vm);
        assert!(bulk.is_news());
        assert!(!bulk.is_news(), "its end is told once");
    }

    #[test]
    fn what_is_called_back_is_told_apart_from_what_was_refused() {
        let (mut state, mut bulk) = shutdown();
        stands(&mut state, &bulk, 0, None);
        bulk.take(&state);
        assert_eq!(bulk.tally().under_way, 1);
        assert_eq!(bulk.queued(), [id(1), id(2), id(3)]);
        let refused = || Outcome::Refused {
            cause: Failure::new(ErrorKind::Conflict, "the VM is stopped by now"),
        };
        stands(&mut state, &bulk, 1, Some(refused()));
        stands(&mut state, &bulk, 2, Some(refused()));
        Arc::make_mut(state.operations.last_mut().unwrap()).withdrawn = true;
        bulk.take(&state);
        assert_eq!(
            bulk.summary(),
            "1 under way, 1 waiting, 1 failed, 1 not started"
        );
        assert!(!bulk.is_over());
    }

    #[test]
    fn what_was_admitted_while_the_rest_was_called_back_is_called_back_too() {
        let (_, mut bulk) = shutdown();
        bulk.stopped = true;
        assert_eq!(bulk.handed(3, Handed::Started(id(9))), Some(id(9)));
        assert_eq!(bulk.handed(2, Handed::Held), None);
        assert_eq!(bulk.members[2].standing, Standing::NotStarted);
    }

    #[test]
    fn orders_under_way_are_never_forgotten() {
        let (_, bulk) = shutdown();
        let mut bulks = Vec::new();
        for _ in 0..KEPT + 3 {
            remember(&mut bulks, bulk.clone());
        }
        assert_eq!(bulks.len(), KEPT + 3);
        for member in &mut bulks[1].members {
            member.standing = Standing::Done;
        }
        remember(&mut bulks, bulk);
        assert_eq!(bulks.len(), KEPT + 3);
    }
}
