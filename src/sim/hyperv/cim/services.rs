//! The management service and its jobs in WMI (Microsoft: `Msvm_ConcreteJob`,
//! `Msvm_VirtualSystemManagementService`, `Msvm_VirtualSystemSnapshotService`).

use super::{Cell, Cells, Class, Space, WinWorld, reference};
use crate::sim::hyperv::job::Job;

pub(super) const CLASSES: &[&Class] = &[&CONCRETE_JOB, &MANAGEMENT, &SNAPSHOTS];

pub(in crate::sim) static CONCRETE_JOB: Class = Class {
    name: "Msvm_ConcreteJob",
    space: Space::Virtualization,
    columns: "InstanceID Caption Description ElementName InstallDate Name OperationalStatus \
              StatusDescriptions Status HealthState DetailedStatus JobStatus TimeSubmitted \
              ScheduledStartTime StartTime ElapsedTime JobRunTimes Owner Priority PercentComplete \
              Notify DeleteOnCompletion ErrorCode ErrorDescription ErrorSummaryDescription \
              RecoveryAction JobState TimeOfLastStateChange TimeBeforeRemoval Cancellable JobType",
    keys: &["InstanceID"],
    derives: &["CIM_ConcreteJob", "CIM_Job", "CIM_ManagedElement"],
    methods: &["RequestStateChange"],
    rows: |world| world.jobs.iter().map(|job| job_row(world, job)).collect(),
};

fn job_row(world: &WinWorld, job: &Job) -> Cells {
    let t = world.t();
    let summary = job
        .failure(t)
        .and_then(|failure| failure.messages.first())
        .and_then(|message| message.lines().next());
    let elapsed = (t.min(job.ends()) - job.began).max(0.0) * 1000.0;
    Cells::new(job.id.clone())
        .text("InstanceID", job.id.clone())
        .text("Caption", job.caption)
        .text("ElementName", job.caption)
        .text("Name", "Msvm_ConcreteJob")
        .with("OperationalStatus", Cell::numbers([2]))
        .u16("HealthState", if job.error_code(t) == 0 { 5 } else { 25 })
        .with("StartTime", Cell::Time(world.wall_at(job.began)))
        .with("TimeSubmitted", Cell::Time(world.wall_at(job.began)))
        .with(
            "ElapsedTime",
            Cell::Span(i64::try_from(crate::sim::load::counter(elapsed)).unwrap_or_default()),
        )
        .u16("PercentComplete", job.percent(t))
        .with("DeleteOnCompletion", Cell::Bool(false))
        .u16("ErrorCode", job.error_code(t))
        .with("ErrorDescription", job.error_text(t))
        .with("ErrorSummaryDescription", Cell::maybe_text(summary))
        .u16("JobState", job.state(t))
        .u16("JobType", job.kind)
        .with("Cancellable", Cell::Bool(false))
}

/// A reference to a job, as methods return one.
pub(in crate::sim) fn job_reference(id: &str) -> Cell {
    reference(&CONCRETE_JOB, id, vec![("InstanceID", Cell::text(id))])
}

const SERVICE_COLUMNS: &str = "InstanceID Caption Description ElementName OperationalStatus HealthState \
              EnabledState RequestedState SystemCreationClassName SystemName CreationClassName \
              Name StartMode Started Status";

const SERVICE_KEYS: &[&str] = &[
    "CreationClassName",
    "Name",
    "SystemCreationClassName",
    "SystemName",
];

fn service(world: &WinWorld, class: &'static str, name: &'static str) -> Vec<Cells> {
    vec![
        Cells::new(name)
            .text("ElementName", class)
            .text("CreationClassName", class)
            .text("Name", name)
            .text("SystemCreationClassName", "Msvm_ComputerSystem")
            .text("SystemName", world.hostname.clone())
            .u16("EnabledState", 5)
            .u16("HealthState", 5)
            .with("Started", Cell::Bool(true)),
    ]
}

static MANAGEMENT: Class = Class {
    name: "Msvm_VirtualSystemManagementService",
    space: Space::Virtualization,
    columns: SERVICE_COLUMNS,
    keys: SERVICE_KEYS,
    derives: &["CIM_VirtualSystemManagementService", "CIM_Service"],
    methods: &["GetSummaryInformation", "GetVirtualSystemThumbnailImage"],
    rows: |world| service(world, "Msvm_VirtualSystemManagementService", "vmms"),
};

static SNAPSHOTS: Class = Class {
    name: "Msvm_VirtualSystemSnapshotService",
    space: Space::Virtualization,
    columns: SERVICE_COLUMNS,
    keys: SERVICE_KEYS,
    derives: &["CIM_VirtualSystemSnapshotService", "CIM_Service"],
    methods: &[
        "CreateSnapshot",
        "ApplySnapshot",
        "DestroySnapshot",
        "DestroySnapshotTree",
    ],
    rows: |world| {
        service(
            world,
            "Msvm_VirtualSystemSnapshotService",
            "snapshotservice",
        )
    },
};
