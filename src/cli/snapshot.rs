//! `--once snapshot`: what is asked about VM snapshots on the command line.

use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::script::{DoArgs, OutputArgs, TableArgs, filter, with};
use crate::domain::selector::{Filter, long_time};
use crate::domain::snapshot::{DeleteScope, NewSnapshot, SnapshotName};

/// Name of the command that the others stand behind.
pub(super) const SNAPSHOT: &str = "snapshot";

/// What is asked about snapshots.
#[derive(Debug, Clone)]
pub enum SnapshotTask {
    /// Print them.
    List(SnapshotListArgs),
    /// Make, revert to or delete some.
    Act(Box<SnapshotAct>),
}

impl SnapshotTask {
    /// Returns how the result is to be written.
    pub const fn output(&self) -> &OutputArgs {
        match self {
            Self::List(args) => &args.table.output,
            Self::Act(act) => &act.doing.output,
        }
    }
}

/// A request about snapshots, as it was written.
#[derive(Debug, Clone)]
pub struct SnapshotAct {
    /// What to do.
    pub verb: SnapshotVerb,
    /// Named VMs.
    pub targets: Vec<String>,
    /// VMs chosen by a filter.
    pub filter: Option<Filter>,
    /// Its conditions.
    pub doing: DoArgs,
}

/// What to do about snapshots.
#[derive(Debug, Clone)]
pub enum SnapshotVerb {
    /// Make one of each VM; without a name, one is made of the time.
    Create {
        /// Its name.
        name: Option<SnapshotName>,
        /// What is known beside the name.
        draft: Draft,
    },
    /// Bring the VM back to this one.
    Revert(String),
    /// Delete these.
    Delete(Vec<String>, DeleteScope),
    /// Delete those that are older.
    Expire(Duration),
}

/// A new snapshot but for its name.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    description: String,
    disk_only: bool,
    quiesce: bool,
}

impl Draft {
    /// Gives it a name. The description was looked at when it was read.
    pub fn named(&self, name: SnapshotName) -> NewSnapshot {
        let new = NewSnapshot::named(name);
        let described = new.clone().described(&self.description).unwrap_or(new);
        NewSnapshot {
            disk_only: self.disk_only,
            quiesce: self.quiesce,
            ..described
        }
    }
}

/// `snapshot list`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  vmdeck --once snapshot list
  vmdeck --once snapshot list kvm1/web-1
  vmdeck --once snapshot list --filter 'snapage>30d' --sort taken")]
pub struct SnapshotListArgs {
    /// Only snapshots of these VMs: names, `host/name`, or ids.
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,

    /// Only snapshots of VMs that match.
    #[arg(long, short, value_name = "FILTER", value_parser = filter, conflicts_with = "targets")]
    pub filter: Option<Filter>,

    /// How the rows are printed.
    #[command(flatten)]
    pub table: TableArgs,
}

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  vmdeck --once snapshot create web-1
  vmdeck --once snapshot create kvm1/db --name 'before upgrade' --description 'ticket 4711'
  vmdeck --once snapshot create --filter tag:web --disk-only --quiesce --yes")]
struct CreateArgs {
    /// VMs: names, `host/name`, or ids. An ambiguous name changes nothing.
    #[arg(value_name = "TARGET", required_unless_present = "filter")]
    targets: Vec<String>,

    /// Choose the VMs by a filter instead.
    #[arg(long, short, value_name = "FILTER", value_parser = filter, conflicts_with = "targets")]
    filter: Option<Filter>,

    /// Its name [default: `vmdeck-` and the time].
    #[arg(long, short, value_name = "NAME")]
    name: Option<SnapshotName>,

    /// What to remember about it (libvirt).
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = description)]
    description: String,

    /// Leave the memory of a running VM out (libvirt).
    #[arg(long)]
    disk_only: bool,

    /// Ask the guest's agent to bring its file systems to rest first (libvirt, with `--disk-only`).
    #[arg(long)]
    quiesce: bool,

    #[command(flatten)]
    doing: DoArgs,
}

#[derive(Debug, Clone, Args)]
struct RevertArgs {
    /// The VM: its name, `host/name`, or its id.
    #[arg(value_name = "TARGET")]
    target: String,

    /// The snapshot: its name, or its id.
    #[arg(value_name = "SNAPSHOT")]
    snapshot: String,

    #[command(flatten)]
    doing: DoArgs,
}

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  vmdeck --once snapshot delete web-1 before-upgrade --yes
  vmdeck --once snapshot delete kvm1/db old --children --dry-run
  vmdeck --once snapshot delete --older-than 30d --filter 'tier:dev' --yes")]
struct DeleteArgs {
    /// The VM: its name, `host/name`, or its id.
    #[arg(value_name = "TARGET", required_unless_present = "older_than")]
    target: Option<String>,

    /// The snapshots: their names, or their ids.
    #[arg(value_name = "SNAPSHOT", required_unless_present = "older_than")]
    snapshots: Vec<String>,

    /// With everything that is based on them.
    #[arg(long, conflicts_with = "older_than")]
    children: bool,

    /// Delete every snapshot that is older, like `30d` or `12h`, of the VMs that match.
    #[arg(long, value_name = "TIME", value_parser = long_time, conflicts_with = "snapshots", requires = "filter")]
    older_than: Option<Duration>,

    /// Choose the VMs by a filter, for `--older-than`.
    #[arg(long, short, value_name = "FILTER", value_parser = filter, requires = "older_than", conflicts_with = "target")]
    filter: Option<Filter>,

    #[command(flatten)]
    doing: DoArgs,
}

/// Returns the command with what stands behind it.
pub(super) fn command() -> Command {
    Command::new(SNAPSHOT)
        .about("List, take, revert to and delete VM snapshots.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with::<SnapshotListArgs>(
            Command::new("list").about("Print snapshots."),
        ))
        .subcommand(with::<CreateArgs>(
            Command::new("create").about("Take a snapshot of VMs."),
        ))
        .subcommand(with::<RevertArgs>(
            Command::new("revert").about("Bring a VM back to a snapshot; what came after is lost."),
        ))
        .subcommand(with::<DeleteArgs>(
            Command::new("delete").about("Delete snapshots; the VM itself stays as it is."),
        ))
}

/// Reads it.
pub(super) fn read(matches: &ArgMatches) -> Result<Option<SnapshotTask>, clap::Error> {
    let Some((name, sub)) = matches.subcommand() else {
        return Ok(None);
    };
    let act = match name {
        "list" => {
            return SnapshotListArgs::from_arg_matches(sub)
                .map(|args| Some(SnapshotTask::List(args)));
        }
        "create" => CreateArgs::from_arg_matches(sub)?.into_act(),
        "revert" => RevertArgs::from_arg_matches(sub)?.into_act(),
        _ => DeleteArgs::from_arg_matches(sub)?.into_act(),
    };
    Ok(Some(SnapshotTask::Act(Box::new(act))))
}

impl CreateArgs {
    fn into_act(self) -> SnapshotAct {
        SnapshotAct {
            verb: SnapshotVerb::Create {
                name: self.name,
                draft: Draft {
                    description: self.description,
                    disk_only: self.disk_only,
                    quiesce: self.quiesce,
                },
            },
            targets: self.targets,
            filter: self.filter,
            doing: self.doing,
        }
    }
}

impl RevertArgs {
    fn into_act(self) -> SnapshotAct {
        SnapshotAct {
            verb: SnapshotVerb::Revert(self.snapshot),
            targets: vec![self.target],
            filter: None,
            doing: self.doing,
        }
    }
}

impl DeleteArgs {
    fn into_act(self) -> SnapshotAct {
        let scope = if self.children {
            DeleteScope::WithChildren
        } else {
            DeleteScope::This
        };
        SnapshotAct {
            verb: match self.older_than {
                Some(age) => SnapshotVerb::Expire(age),
                None => SnapshotVerb::Delete(self.snapshots, scope),
            },
            targets: self.target.into_iter().collect(),
            filter: self.filter,
            doing: self.doing,
        }
    }
}

/// Reads a description, so that a wrong one is a mistake of the command line.
fn description(text: &str) -> Result<String, String> {
    let sample: SnapshotName = "x".parse()?;
    NewSnapshot::named(sample).described(text)?;
    Ok(text.to_owned())
}
