//! Snapshots of simulated VMs: one tree each, and what making, reverting to and deleting one does to it
//! (libvirt: `virDomainSnapshot`).

use super::scenario::SimState;
use super::vm::SimVm;
use super::world::{Refusal, StartOptions, World};

/// One snapshot.
#[derive(Debug, Clone)]
pub(super) struct SimSnapshot {
    pub(super) name: String,
    pub(super) parent: Option<String>,
    /// When it was taken, in seconds since the fleet's start; negative for what was there before.
    pub(super) at: f64,
    pub(super) description: Option<String>,
    /// libvirt's word for what is in it.
    pub(super) state: &'static str,
}

/// What a new one is to be like.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) disk_only: bool,
    pub(super) quiesce: bool,
}

/// The snapshots of one VM.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshots {
    pub(super) all: Vec<SimSnapshot>,
    pub(super) current: Option<String>,
}

impl Snapshots {
    /// Makes one line of descent, oldest first, each as old as it says in seconds.
    pub(super) fn of_plan(plan: impl Iterator<Item = (String, f64)>) -> Self {
        let mut made = Self::default();
        for (name, age) in plan {
            let parent = made.current.replace(name.clone());
            made.all.push(SimSnapshot {
                name,
                parent,
                at: -age,
                description: None,
                state: "shutoff",
            });
        }
        made
    }

    pub(super) fn find(&self, name: &str) -> Option<&SimSnapshot> {
        self.all.iter().find(|one| one.name == name)
    }

    /// Returns the names of everything based on one.
    fn below(&self, name: &str) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut open = vec![name.to_owned()];
        while let Some(next) = open.pop() {
            let children = self
                .all
                .iter()
                .filter(|one| one.parent.as_deref() == Some(&*next));
            for child in children.map(|one| one.name.clone()) {
                if !found.contains(&child) {
                    found.push(child.clone());
                    open.push(child);
                }
            }
        }
        found
    }

    /// Takes one out; what was based on it is based on its parent.
    fn remove(&mut self, name: &str) {
        let parent = self.find(name).and_then(|one| one.parent.clone());
        self.all.retain(|one| one.name != name);
        for one in &mut self.all {
            if one.parent.as_deref() == Some(name) {
                one.parent.clone_from(&parent);
            }
        }
        if self.current.as_deref() == Some(name) {
            self.current = parent;
        }
    }
}

/// Says why a snapshot cannot be made, in libvirt's words.
fn objection(vm: &SimVm, wanted: &Wanted) -> Option<String> {
    let name = &wanted.name;
    if wanted.quiesce && !wanted.disk_only {
        return Some(
            "Flag 'VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY' is required by flag \
             'VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE'"
                .to_owned(),
        );
    }
    if name.contains('/') {
        return Some(format!(
            "invalid snapshot name '{name}': name can't contain '/'"
        ));
    }
    if name.starts_with('.') {
        return Some(format!(
            "invalid snapshot name '{name}': name can't start with '.'"
        ));
    }
    if vm.snapshots.find(name).is_some() {
        return Some(format!(
            "operation failed: domain moment {name} already exists"
        ));
    }
    if wanted.quiesce && !vm.plan.agent {
        return Some("argument unsupported: QEMU guest agent is not configured".to_owned());
    }
    None
}

/// Says that there is none of this name.
fn missing(name: &str) -> String {
    format!("Domain snapshot not found: no domain snapshot with matching name '{name}'")
}

impl World {
    /// Makes a snapshot of a VM as it is now.
    pub(super) fn take_snapshot(&mut self, index: usize, wanted: Wanted) -> Result<(), String> {
        let at = self.t();
        let Some(vm) = self.vm_mut(index) else {
            return Ok(());
        };
        if let Some(why) = objection(vm, &wanted) {
            return Err(why);
        }
        let state = match vm.state() {
            SimState::Running | SimState::Paused if wanted.disk_only => "disk-snapshot",
            SimState::Running => "running",
            SimState::Paused => "paused",
            SimState::Stopped | SimState::Saved | SimState::Crashed => "shutoff",
        };
        let parent = vm.snapshots.current.replace(wanted.name.clone());
        vm.snapshots.all.push(SimSnapshot {
            name: wanted.name,
            parent,
            at,
            description: wanted.description,
            state,
        });
        Ok(())
    }

    /// Brings a VM back to a snapshot.
    pub(super) fn revert(&mut self, index: usize, name: &str) -> Result<(), String> {
        let found = self.vm(index).and_then(|vm| vm.snapshots.find(name));
        let state = found.ok_or_else(|| missing(name))?.state;
        if state == "disk-snapshot" {
            return Err(
                "unsupported configuration: revert to external snapshot not supported yet"
                    .to_owned(),
            );
        }
        let is_active = self.vm(index).is_some_and(SimVm::is_active);
        let told = |refusal: Refusal| refusal.0.to_owned();
        if is_active {
            self.destroy(index).map_err(told)?;
        }
        if state != "shutoff" {
            let options = StartOptions {
                paused: state == "paused",
                discard_saved: true,
            };
            self.start(index, options).map_err(told)?;
        }
        if let Some(vm) = self.vm_mut(index) {
            vm.snapshots.current = Some(name.to_owned());
        }
        Ok(())
    }

    /// Deletes a snapshot, alone or with everything based on it, up to the first that `cannot`.
    pub(super) fn delete_snapshot(
        &mut self,
        index: usize,
        name: &str,
        with_children: bool,
        cannot: &[String],
    ) -> Result<(), String> {
        let Some(vm) = self.vm_mut(index) else {
            return Ok(());
        };
        if vm.snapshots.find(name).is_none() {
            return Err(missing(name));
        }
        let mut all = vec![name.to_owned()];
        if with_children {
            all.extend(vm.snapshots.below(name));
        }
        // The lowest first, as libvirt does.
        for one in all.iter().rev() {
            if cannot.contains(one) {
                return Err(format!(
                    "internal error: unable to delete the data of snapshot '{one}'"
                ));
            }
            vm.snapshots.remove(one);
        }
        Ok(())
    }
}
