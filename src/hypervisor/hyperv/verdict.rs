//! What the facts about a host mean: whether it can be driven, what can be asked of it, and what a person
//! should know about it. Pure.

use std::collections::BTreeSet;

use super::facts::{HostFacts, Namespace};
use super::failure;
use crate::domain::action::ActionKind;
use crate::domain::capability::{Capabilities, GuestPrograms};
use crate::domain::host::HypervisorKind;
use crate::domain::text::RemoteText;
use crate::hypervisor::HypervisorError;

/// How the VMs of a host are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Through CIM: everything in one answer, fast and fresh.
    Cim,
    /// Through the cmdlets, where CIM does not answer.
    Cmdlets,
    /// By a plain pipeline, where PowerShell is constrained. Nothing can be changed.
    Constrained,
}

/// Says that the account may not see VMs.
pub(crate) fn not_a_member(facts: &HostFacts) -> HypervisorError {
    let user = facts
        .user
        .as_ref()
        .map_or_else(|| "the account".to_owned(), |user| user.raw().to_owned());
    failure::denied(RemoteText::new(&format!(
        "{user} is in neither Administrators nor Hyper-V Administrators, and no VM is shown to it"
    )))
}

/// Judges whether the host can be driven.
pub(crate) fn judge(facts: &HostFacts) -> Result<(), HypervisorError> {
    // The module alone may be there for other hosts' sake; the service is Hyper-V's own.
    let installed = facts.vmms().is_some();
    match &facts.namespace {
        Namespace::Missing if !installed => return Err(failure::not_installed()),
        Namespace::Denied(said) => return Err(failure::denied(said.clone())),
        Namespace::Missing
        | Namespace::Answers { .. }
        | Namespace::Failed(_)
        | Namespace::NotAsked => {}
    }
    if facts.vmms_is_down() {
        let state = facts.vmms().map_or("", RemoteText::raw);
        return Err(failure::not_running(RemoteText::new(&format!(
            "the service is {state}"
        ))));
    }
    match &facts.namespace {
        Namespace::Answers { rows: 0 } if facts.may_manage() == Some(false) => {
            Err(not_a_member(facts))
        }
        Namespace::Missing if !facts.has_module() => {
            Err(failure::no_namespace(RemoteText::new("it is missing")))
        }
        Namespace::Failed(said) if !facts.has_module() => Err(failure::not_running(said.clone())),
        Namespace::Answers { .. }
        | Namespace::Missing
        | Namespace::Failed(_)
        | Namespace::Denied(_)
        | Namespace::NotAsked => Ok(()),
    }
}

/// Says what can be done with the host, and what is odd about it.
pub(crate) fn capabilities(facts: &HostFacts, way: Way, tells_own_share: bool) -> Capabilities {
    let version = match &facts.version {
        Some(version) => format!("Hyper-V on {} ({})", facts.release().raw(), version.raw()),
        None => format!("Hyper-V on {}", facts.release().raw()),
    };
    let mut actions: BTreeSet<ActionKind> = match way {
        Way::Constrained => BTreeSet::new(),
        Way::Cim | Way::Cmdlets => ActionKind::ALL.into_iter().collect(),
    };
    let has_module = facts.module.is_none() || facts.has_module();
    if !has_module || facts.gets_copies() {
        actions.remove(&ActionKind::AutostartOn);
        actions.remove(&ActionKind::AutostartOff);
        actions.remove(&ActionKind::SnapshotCreate);
        actions.remove(&ActionKind::SnapshotRevert);
        actions.remove(&ActionKind::SnapshotDelete);
        actions.remove(&ActionKind::Edit);
    }
    let mut remarks = Vec::new();
    let mut remark = |holds: bool, text: &str| {
        if holds {
            remarks.push(RemoteText::new(text));
        }
    };
    remark(
        facts.may_manage() == Some(false),
        "the account is in neither Administrators nor Hyper-V Administrators: VMs may be missing here",
    );
    remark(
        !has_module,
        "the PowerShell module Hyper-V is missing: fewer details, and neither settings nor checkpoints can be changed",
    );
    remark(
        facts.gets_copies(),
        "PowerShell 7 gets copies of Hyper-V's objects on this Windows: fewer details, and neither settings nor checkpoints can be changed",
    );
    remark(
        way == Way::Constrained,
        "PowerShell is constrained here: VMs can be read and not changed",
    );
    remark(
        matches!(facts.namespace, Namespace::Failed(_) | Namespace::Missing),
        "the CIM namespace does not answer: VMs are read through the cmdlets, which is slower",
    );
    remark(
        facts
            .edition
            .as_ref()
            .is_some_and(|edition| edition.raw() == "Core"),
        "Windows PowerShell was not found, so PowerShell 7 is used",
    );
    remark(
        facts.is_clustered(),
        "this host is in a failover cluster: VMs that are its roles are moved with the cluster's tools",
    );
    remark(
        tells_own_share,
        "this host reports the share of a VM's own processors, and it is shown as it is",
    );
    for gap in &facts.gaps {
        remarks.push(RemoteText::new(&format!("not found out: {}", gap.raw())));
    }
    let connection = format!("root\\virtualization\\v2 ({})", facts.shell());
    Capabilities {
        kind: HypervisorKind::HyperV,
        version: RemoteText::new(&version),
        connection: Some(RemoteText::new(&connection)),
        actions,
        channel: "one process per command".to_owned(),
        programs: if way == Way::Constrained || facts.gets_copies() {
            GuestPrograms::Nobody
        } else {
            GuestPrograms::Account
        },
        events: false,
        host_cpus: facts.processors,
        host_memory: facts.memory,
        remarks,
    }
}
