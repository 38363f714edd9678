//! Checkpoints and settings of a VM: what the management service changes on request, in jobs
//! (Microsoft: `Msvm_VirtualSystemSnapshotService`, `Msvm_VirtualSystemManagementService`).

use super::job::Outcome;
use super::messages::Situation;
use super::plan::{Checkpoint, CheckpointKind, Settings};
use super::state::WinState;
use super::world::{WinWorld, code};

/// What the management service does in a job besides changing a state.
#[derive(Debug, Clone)]
pub(in crate::sim) enum Deed {
    Create(Checkpoint),
    Apply(String),
    /// A checkpoint, and whether with everything below it.
    Delete(String, bool),
}

/// `OperationalStatus` while a checkpoint is made, applied or deleted.
const CREATING: u16 = 32768;
const APPLYING: u16 = 32769;
const DELETING: u16 = 32770;

impl WinWorld {
    /// Makes a checkpoint; answers its id and the job.
    pub(in crate::sim) fn create_checkpoint(
        &mut self,
        id: &str,
        name: Option<String>,
    ) -> Result<(String, String), u16> {
        let new = self.fresh_guid();
        let t = self.t();
        let vm = self.vm(id).ok_or(code::NOT_AVAILABLE)?;
        if vm.state().is_passing() || vm.standing.critical {
            return Err(code::INVALID_STATE);
        }
        let with_memory = matches!(vm.state(), WinState::Running | WinState::Paused);
        let name = name.unwrap_or_else(|| {
            let at = self.wall_at(t).strftime("%m/%d/%Y - %H:%M:%S");
            format!("{} - ({at})", vm.name())
        });
        let checkpoint = Checkpoint {
            id: new.clone(),
            name,
            created: t,
            parent: vm.plan.current.clone(),
            kind: CheckpointKind::Standard,
            automatic: false,
            with_memory,
        };
        let job = self.deed(id, CREATING, Deed::Create(checkpoint));
        Ok((new, job))
    }

    /// Applies a checkpoint; the VM must be off or saved.
    pub(in crate::sim) fn apply_checkpoint(
        &mut self,
        id: &str,
        checkpoint: &str,
    ) -> Result<String, u16> {
        let vm = self.vm(id).ok_or(code::NOT_AVAILABLE)?;
        if vm.checkpoint(checkpoint).is_none() {
            return Err(code::NOT_AVAILABLE);
        }
        if !matches!(vm.state(), WinState::Off | WinState::Saved) {
            return Err(code::INVALID_STATE);
        }
        Ok(self.deed(id, APPLYING, Deed::Apply(checkpoint.to_owned())))
    }

    /// Deletes a checkpoint, alone or with everything below it; works in any state.
    pub(in crate::sim) fn delete_checkpoint(
        &mut self,
        id: &str,
        checkpoint: &str,
        with_children: bool,
    ) -> Result<String, u16> {
        let vm = self.vm(id).ok_or(code::NOT_AVAILABLE)?;
        if vm.checkpoint(checkpoint).is_none() {
            return Err(code::NOT_AVAILABLE);
        }
        let deed = Deed::Delete(checkpoint.to_owned(), with_children);
        Ok(self.deed(id, DELETING, deed))
    }

    fn deed(&mut self, id: &str, status: u16, deed: Deed) -> String {
        let (method, cmdlet, kind) = match &deed {
            Deed::Create(_) => (
                "CreateSnapshot",
                "Checkpoint-VM",
                (70, "Creating Checkpoint"),
            ),
            Deed::Apply(_) => (
                "ApplySnapshot",
                "Restore-VMSnapshot",
                (71, "Applying Checkpoint"),
            ),
            Deed::Delete(..) => (
                "DestroySnapshot",
                "Remove-VMSnapshot",
                (72, "Deleting Checkpoint"),
            ),
        };
        let lasts = self.pace().checkpoint;
        let provoked = self
            .faults
            .provoked(method)
            .or_else(|| self.faults.provoked(cmdlet));
        if let Some(provoked) = provoked {
            let failure = self.failure_on(provoked.error, cmdlet, id);
            let outcome = Outcome::Failed(provoked.error.code(), Box::new(failure));
            return self.new_job(id, kind, lasts, outcome);
        }
        if !self.faults.is_idle(method) && !self.faults.is_idle(cmdlet) {
            self.busy_until(id, status, lasts, deed);
        }
        self.new_job(id, kind, lasts, Outcome::Completed)
    }

    /// Does what the service was busy with.
    pub(in crate::sim) fn finish(&mut self, id: &str, deed: Deed) {
        let Some(vm) = self.vm_mut(id) else { return };
        vm.busy = None;
        match deed {
            Deed::Create(checkpoint) => {
                vm.plan.current = Some(checkpoint.id.clone());
                vm.plan.checkpoints.push(checkpoint);
            }
            Deed::Apply(id) => {
                let to = match vm.checkpoint(&id) {
                    Some(checkpoint) if checkpoint.with_memory => WinState::Saved,
                    _ => WinState::Off,
                };
                vm.turn += 1;
                vm.standing.state = to;
                vm.plan.current = Some(id);
            }
            Deed::Delete(id, with_children) => delete(&mut vm.plan, &id, with_children),
        }
    }

    /// Changes settings through the management service. What the VM's state forbids is silently left as
    /// it was: the job is clean all the same.
    pub(in crate::sim) fn modify_settings(
        &mut self,
        id: &str,
        change: &dyn Fn(&mut Settings),
    ) -> Result<String, u16> {
        let lag = self.pace().cmdlet_lag.as_secs_f64();
        let lasts = self.pace().settings;
        let t = self.t();
        let idle = self.faults.is_idle("ModifySystemSettings") || self.faults.is_idle("Set-VM");
        let vm = self.vm_mut(id).ok_or(code::NOT_AVAILABLE)?;
        let old = vm.settings().clone();
        let mut new = old.clone();
        change(&mut new);
        if vm.state() != WinState::Off {
            new.vcpus = old.vcpus;
            new.dynamic = old.dynamic;
            new.memory_mib = old.memory_mib;
            new.stop_action = old.stop_action;
        }
        if !idle && new != old {
            vm.plan.settings = new;
            vm.stale = Some((t + lag, Box::new(old)));
        }
        Ok(self.new_job(
            id,
            (102, "Modifying Virtual Machine"),
            lasts,
            Outcome::Completed,
        ))
    }
}

/// Which situation a number of WMI's stands for when a cmdlet has to tell it.
pub(in crate::sim) const fn situation_of(number: u16) -> Situation {
    match number {
        32769 => Situation::Denied,
        32773 => Situation::BadParameter,
        32775 => Situation::WrongState,
        32777 => Situation::ObjectNotFound,
        32778 => Situation::OutOfMemory,
        32780..=32782 => Situation::DeviceNotReady,
        32788 => Situation::FailedToChange,
        _ => Situation::GeneralFailure,
    }
}

/// Takes a checkpoint out of the tree: what stood on it stands on its parent.
fn delete(plan: &mut super::plan::WinVmPlan, id: &str, with_children: bool) {
    let is = |one: Option<&str>| one.is_some_and(|one| one.eq_ignore_ascii_case(id));
    if with_children {
        let mut below = vec![id.to_owned()];
        while let Some(next) = below.pop() {
            let parent = plan
                .checkpoints
                .iter()
                .find(|c| c.id.eq_ignore_ascii_case(&next))
                .and_then(|c| c.parent.clone());
            below.extend(
                plan.checkpoints
                    .iter()
                    .filter(|c| c.parent.as_deref() == Some(&*next))
                    .map(|c| c.id.clone()),
            );
            if plan.current.as_deref() == Some(&*next) {
                plan.current = parent;
            }
            plan.checkpoints
                .retain(|c| !c.id.eq_ignore_ascii_case(&next));
        }
        // What stood on a child that is gone stands on the deleted one's parent, if that is left.
        let left = |id: &str| plan.checkpoints.iter().any(|c| c.id == id);
        if plan.current.as_deref().is_some_and(|id| !left(id)) {
            plan.current = None;
        }
        return;
    }
    let parent = plan
        .checkpoints
        .iter()
        .find(|c| is(Some(&c.id)))
        .and_then(|c| c.parent.clone());
    for checkpoint in &mut plan.checkpoints {
        if is(checkpoint.parent.as_deref()) {
            checkpoint.parent.clone_from(&parent);
        }
    }
    if is(plan.current.as_deref()) {
        plan.current = parent;
    }
    plan.checkpoints.retain(|c| !is(Some(&c.id)));
}
