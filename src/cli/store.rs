//! `--once storage` and `--once network`: what is asked about pools and networks on the command line. The
//! verbs among them come from the catalogue.

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::script::{DoArgs, OutputArgs, TableArgs, with};
use crate::domain::store::StoreKind;
use crate::domain::store_action::{StoreSpec, StoreVerb};

/// Name of the command about pools and volumes.
pub(super) const STORAGE: &str = "storage";

/// Name of the command about networks.
pub(super) const NETWORK: &str = "network";

/// What is asked about pools or networks.
#[derive(Debug, Clone)]
pub enum StoreTask {
    /// Print pools, or volumes.
    Storage(StorageListArgs),
    /// Print networks.
    Networks(NetworkListArgs),
    /// Print one with all that is known.
    Show(StoreKind, StoreShowArgs),
    /// Do something to some of them.
    Act(StoreVerb, StoreActArgs),
}

impl StoreTask {
    /// Returns how the result is to be written.
    pub const fn output(&self) -> &OutputArgs {
        match self {
            Self::Storage(args) => &args.list.table.output,
            Self::Networks(args) => &args.list.table.output,
            Self::Show(_, args) => &args.output,
            Self::Act(_, args) => &args.doing.output,
        }
    }
}

/// What every list takes.
#[derive(Debug, Clone, Args)]
pub struct StoreListArgs {
    /// Only of this host; may be given several times, and hold `*`.
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<String>,

    /// How the rows are printed.
    #[command(flatten)]
    pub table: TableArgs,
}

/// `storage list`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  vmdeck --once storage list
  vmdeck --once storage list --host 'kvm*' --sort -available_bytes
  vmdeck --once storage list --unattached --sort -allocation_bytes -o csv")]
pub struct StorageListArgs {
    /// Print volumes instead of pools.
    #[arg(long)]
    pub volumes: bool,

    /// Print only volumes that nothing uses.
    #[arg(long)]
    pub unattached: bool,

    /// What every list takes.
    #[command(flatten)]
    pub list: StoreListArgs,
}

/// `network list`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  vmdeck --once network list
  vmdeck --once network list --host kvm1 --columns name,mode,vms -o json")]
pub struct NetworkListArgs {
    /// What every list takes.
    #[command(flatten)]
    pub list: StoreListArgs,
}

/// `storage show` and `network show`.
#[derive(Debug, Clone, Args)]
pub struct StoreShowArgs {
    /// Its name, `host/name`, or its id.
    pub target: String,

    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// A verb, as it was written.
#[derive(Debug, Clone, Args)]
pub struct StoreActArgs {
    /// Which: names, `host/name`, or ids. An ambiguous name changes nothing.
    #[arg(value_name = "TARGET", required = true)]
    pub targets: Vec<String>,

    /// Its conditions.
    #[command(flatten)]
    pub doing: DoArgs,
}

const AUTOSTART: &str = "autostart";

/// Adds the verbs of one kind; the two of autostart share a word.
fn with_verbs(command: Command, kind: StoreKind) -> Command {
    let verb = |word: &'static str, spec: &'static StoreSpec| {
        with::<StoreActArgs>(Command::new(word).about(spec.summary))
    };
    let of_kind = || StoreVerb::TABLE.iter().filter(|spec| spec.kind == kind);
    let plain = of_kind().filter(|spec| !spec.word.starts_with(AUTOSTART));
    let command = plain.fold(command, |command, spec| {
        command.subcommand(verb(spec.word, spec))
    });
    let switch = Command::new(AUTOSTART)
        .about("Start it together with its host, or not.")
        .subcommand_required(true)
        .arg_required_else_help(true);
    let switched = of_kind().filter_map(|spec| {
        let word = spec.word.strip_prefix(AUTOSTART)?.trim_start();
        Some(verb(word, spec))
    });
    command.subcommand(switched.fold(switch, Command::subcommand))
}

/// Returns the two commands with what stands behind them.
pub(super) fn commands() -> [Command; 2] {
    let root = |name: &'static str| {
        Command::new(name)
            .subcommand_required(true)
            .arg_required_else_help(true)
    };
    let storage = root(STORAGE)
        .about("List storage pools and volumes; refresh, start and stop pools.")
        .subcommand(with::<StorageListArgs>(
            Command::new("list").about("Print pools, or volumes."),
        ))
        .subcommand(with::<StoreShowArgs>(
            Command::new("show").about("Print one pool with its volumes."),
        ));
    let network = root(NETWORK)
        .about("List virtual networks and switches; start and stop networks.")
        .subcommand(with::<NetworkListArgs>(
            Command::new("list").about("Print networks."),
        ))
        .subcommand(with::<StoreShowArgs>(
            Command::new("show").about("Print one network with all that is known."),
        ));
    [
        with_verbs(storage, StoreKind::Pool),
        with_verbs(network, StoreKind::Network),
    ]
}

/// Reads one of them.
pub(super) fn read(
    kind: StoreKind,
    matches: &ArgMatches,
) -> Result<Option<StoreTask>, clap::Error> {
    let Some((name, sub)) = matches.subcommand() else {
        return Ok(None);
    };
    let task = match (name, kind) {
        ("list", StoreKind::Pool) => StoreTask::Storage(StorageListArgs::from_arg_matches(sub)?),
        ("list", StoreKind::Network) => {
            StoreTask::Networks(NetworkListArgs::from_arg_matches(sub)?)
        }
        ("show", _) => StoreTask::Show(kind, StoreShowArgs::from_arg_matches(sub)?),
        (AUTOSTART, _) => {
            let Some((switch, sub)) = sub.subcommand() else {
                return Ok(None);
            };
            return act(kind, &format!("{AUTOSTART} {switch}"), sub);
        }
        (verb, _) => return act(kind, verb, sub),
    };
    Ok(Some(task))
}

fn act(kind: StoreKind, word: &str, sub: &ArgMatches) -> Result<Option<StoreTask>, clap::Error> {
    let args = StoreActArgs::from_arg_matches(sub)?;
    Ok(StoreVerb::of(kind, word).map(|verb| StoreTask::Act(verb, args)))
}
