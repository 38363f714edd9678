//! `--once set`: what is to be changed of what VMs are set up with, on the command line.

use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::script::{DoArgs, filter, with};
use crate::domain::action::ActionKind;
use crate::domain::edit::Changes;
use crate::domain::selector::Filter;
use crate::domain::units::{Bytes, read_size};

/// Name of the command.
pub(super) const SET: &str = "set";

/// A change, as it was written.
#[derive(Debug, Clone)]
pub struct SetAct {
    /// What is wanted.
    pub changes: Changes,
    /// Named VMs.
    pub targets: Vec<String>,
    /// VMs chosen by a filter.
    pub filter: Option<Filter>,
    /// Its conditions.
    pub doing: DoArgs,
}

#[derive(Debug, Clone, Args)]
#[command(
    group(clap::ArgGroup::new("what").required(true).multiple(true)
        .args(["vcpus", "memory", "autostart", "title", "description"])),
    after_help = "\
Processors and memory of a VM that runs are changed in its definition and come into effect after it was off;
Hyper-V changes them only while it is off.

Examples:
  vmdeck --once set web-1 --vcpus 4 --memory 8G --dry-run
  vmdeck --once set kvm1/db --title 'orders, primary' --yes
  vmdeck --once set --filter tag:web --autostart on --yes"
)]
struct SetArgs {
    /// VMs: names, `host/name`, or ids. An ambiguous name changes nothing.
    #[arg(value_name = "TARGET", required_unless_present = "filter")]
    targets: Vec<String>,

    /// Choose the VMs by a filter instead.
    #[arg(long, short, value_name = "FILTER", value_parser = filter, conflicts_with = "targets")]
    filter: Option<Filter>,

    /// Virtual processors.
    #[arg(long, value_name = "N", value_parser = vcpus)]
    vcpus: Option<u32>,

    /// Memory, like `4G` or `1536M`.
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    memory: Option<Bytes>,

    /// Start together with the host, or not.
    #[arg(long, value_name = "WHEN", value_parser = PossibleValuesParser::new(["on", "off"]).map(|word| word == "on"))]
    autostart: Option<bool>,

    /// Title (libvirt); an empty one takes it away.
    #[arg(long, value_name = "TEXT", value_parser = title)]
    title: Option<String>,

    /// Description (Hyper-V: notes); an empty one takes it away.
    #[arg(long, value_name = "TEXT", value_parser = description)]
    description: Option<String>,

    #[command(flatten)]
    doing: DoArgs,
}

/// Returns the command.
pub(super) fn command() -> Command {
    with::<SetArgs>(Command::new(SET).about(ActionKind::Edit.spec().summary))
}

/// Reads it.
pub(super) fn read(matches: &ArgMatches) -> Result<SetAct, clap::Error> {
    let args = SetArgs::from_arg_matches(matches)?;
    Ok(SetAct {
        changes: Changes {
            vcpus: args.vcpus,
            memory: args.memory,
            autostart: args.autostart,
            title: args.title,
            description: args.description,
        },
        targets: args.targets,
        filter: args.filter,
        doing: args.doing,
    })
}

fn checked(changes: &Changes) -> Result<(), String> {
    changes.check().map_err(|(_setting, why)| why)
}

fn vcpus(text: &str) -> Result<u32, String> {
    let count = text
        .parse()
        .map_err(|_not_a_number| format!("`{text}` is no number of vCPUs"))?;
    checked(&Changes {
        vcpus: Some(count),
        ..Changes::default()
    })?;
    Ok(count)
}

fn memory(text: &str) -> Result<Bytes, String> {
    let size = read_size(text)?;
    checked(&Changes {
        memory: Some(size),
        ..Changes::default()
    })?;
    Ok(size)
}

fn title(text: &str) -> Result<String, String> {
    let title = Some(text.to_owned());
    checked(&Changes {
        title,
        ..Changes::default()
    })?;
    Ok(text.to_owned())
}

fn description(text: &str) -> Result<String, String> {
    let description = Some(text.to_owned());
    checked(&Changes {
        description,
        ..Changes::default()
    })?;
    Ok(text.to_owned())
}
