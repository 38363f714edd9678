//! The commands behind `--once`; the verbs among them come from the verb catalogue.

use std::time::Duration;

use clap::builder::Resettable;
use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};

use super::set::{self, SET, SetAct};
use super::snapshot::{self, SNAPSHOT, SnapshotTask};
use super::store::{self, NETWORK, STORAGE, StoreTask};
use crate::domain::action::{ActionKind, ActionSpec};
use crate::domain::credential::CredentialName;
use crate::domain::host::UserName;
use crate::domain::selector::Filter;
use crate::domain::store::StoreKind;

/// A scripted command.
#[derive(Debug, Clone)]
pub enum ScriptTask {
    /// Print VMs.
    List(ListArgs),
    /// Print hosts.
    Hosts(HostsArgs),
    /// Print everything about one VM.
    Show(ShowArgs),
    /// Write a picture of a VM's screen into a file.
    Screenshot(ScreenshotArgs),
    /// Do something to VMs.
    Act(Act),
    /// Change what VMs are set up with.
    Set(Box<SetAct>),
    /// Run a program in VMs.
    Run(RunArgs),
    /// Look at VM snapshots, or change them.
    Snapshot(SnapshotTask),
    /// Look at storage and networks, or change them.
    Store(StoreTask),
    /// Print what happens until interrupted.
    Watch(WatchArgs),
}

/// How data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OutputFormat {
    /// Columns for people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated, with a header line.
    Csv,
    /// A Markdown table.
    Markdown,
}

/// Options of every scripted command.
#[derive(Debug, Clone, Args)]
pub struct OutputArgs {
    /// How to write the result [default: the configured one, else `table`].
    #[arg(long = "output", short, value_name = "FORMAT")]
    pub output: Option<OutputFormat>,

    /// How long to wait for a host, like `5s` or `2m` [default: the configured one].
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub host_timeout: Option<Duration>,
}

/// Options of every list.
#[derive(Debug, Clone, Args)]
pub struct TableArgs {
    /// Order by this column; with `-` before it, descending.
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    pub sort: Option<String>,

    /// Only these columns, in this order.
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    pub columns: Vec<String>,

    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `list`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  vmdeck --once list
  vmdeck --once list --filter 'host:kvm* state:running mem>90%' --sort -mem
  vmdeck --once list -o csv --columns name,host,state,addresses")]
pub struct ListArgs {
    /// Only VMs that match, in the grammar of the dashboard's `/`.
    #[arg(long, short, value_name = "FILTER", value_parser = filter)]
    pub filter: Option<Filter>,

    /// How the rows are printed.
    #[command(flatten)]
    pub table: TableArgs,
}

/// `hosts`.
#[derive(Debug, Clone, Args)]
pub struct HostsArgs {
    /// How the rows are printed.
    #[command(flatten)]
    pub table: TableArgs,
}

/// `show`.
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// The VM: its name, `host/name`, or its id.
    pub target: String,

    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `screenshot`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  vmdeck --once screenshot web-1 --out web-1.png
  vmdeck --once screenshot kvm1/web-1 --out - | convert - web-1.webp")]
pub struct ScreenshotArgs {
    /// The VM: its name, `host/name`, or its id.
    pub target: String,

    /// The file: PPM where its name ends in `.ppm`, PNG otherwise. `-` is standard output, as PNG.
    #[arg(long, value_name = "FILE")]
    pub out: std::path::PathBuf,

    /// Replace the file if there is one.
    #[arg(long)]
    pub replace: bool,

    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `run`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  vmdeck --once run web-1 --yes -- systemctl restart nginx
  vmdeck --once run web-1 db-1 --yes -o json -- /bin/sh -c 'df -h | tail -n +2'
  vmdeck --once run kvm1/web-1 --dry-run -- uname -a

No shell reads the words after `--`: each is one argument of the program.")]
pub struct RunArgs {
    /// VMs: names, `host/name`, or ids. An ambiguous name runs nothing.
    #[arg(value_name = "TARGET", required_unless_present = "filter")]
    pub targets: Vec<String>,

    /// Choose the VMs by a filter instead.
    #[arg(long, short, value_name = "FILTER", value_parser = filter, conflicts_with = "targets")]
    pub filter: Option<Filter>,

    /// Agree to it.
    #[arg(long, short)]
    pub yes: bool,

    /// Print exactly what would be sent and run nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// Run it for this account of the VM: Hyper-V runs programs for an account only.
    #[arg(long, value_name = "USER")]
    pub guest_user: Option<UserName>,

    /// The credential of the profile that holds the password of that account.
    #[arg(long, value_name = "NAME", requires = "guest_user")]
    pub guest_credential: Option<CredentialName>,

    /// Read the password of that account from an open file descriptor.
    #[arg(
        long,
        value_name = "N",
        requires = "guest_user",
        conflicts_with = "guest_credential"
    )]
    pub guest_password_fd: Option<i32>,

    /// Wait for the program's end at most this long, like `5m`; it goes on when time is up.
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "60s")]
    pub timeout: Duration,

    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,

    /// The program in the VM and its arguments.
    #[arg(value_name = "COMMAND", last = true, required = true)]
    pub command: Vec<String>,
}

/// `watch`.
#[derive(Debug, Clone, Args)]
pub struct WatchArgs {
    /// Only what happens to VMs that match.
    #[arg(long, short, value_name = "FILTER", value_parser = filter)]
    pub filter: Option<Filter>,

    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// A verb, as it was written.
#[derive(Debug, Clone)]
pub struct Act {
    /// Which.
    pub kind: ActionKind,
    /// Named VMs.
    pub targets: Vec<String>,
    /// VMs chosen by a filter.
    pub filter: Option<Filter>,
    /// Its conditions.
    pub doing: DoArgs,
}

#[derive(Debug, Clone, Args)]
struct ActArgs {
    /// VMs: names, `host/name`, or ids. An ambiguous name changes nothing.
    #[arg(value_name = "TARGET", required_unless_present = "filter")]
    targets: Vec<String>,

    /// Choose the VMs by a filter instead.
    #[arg(long, short, value_name = "FILTER", value_parser = filter, conflicts_with = "targets")]
    filter: Option<Filter>,

    #[command(flatten)]
    doing: DoArgs,
}

/// The conditions of everything that changes a VM.
#[derive(Debug, Clone, Args)]
pub struct DoArgs {
    /// Agree to what disrupts a VM, or to acting on several.
    #[arg(long, short)]
    pub yes: bool,

    /// Print the exact commands and run none.
    #[arg(long)]
    pub dry_run: bool,

    /// End as soon as the hypervisor has taken it, without looking for the result.
    #[arg(long, conflicts_with = "timeout")]
    pub no_wait: bool,

    /// Look for the result at most this long, like `60s` [default: depends on the verb].
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub timeout: Option<Duration>,

    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

impl ActArgs {
    fn into_act(self, kind: ActionKind) -> Act {
        Act {
            kind,
            targets: self.targets,
            filter: self.filter,
            doing: self.doing,
        }
    }
}

const AUTOSTART: &str = "autostart";

/// Verbs with a word of their own; the two of autostart share one.
fn verbs() -> impl Iterator<Item = &'static ActionSpec> {
    ActionKind::plain().filter(|spec| {
        !matches!(
            spec.kind,
            ActionKind::AutostartOn | ActionKind::AutostartOff
        )
    })
}

/// Adds arguments to a command and keeps what it says about itself: the arguments bring words of their own.
pub(super) fn with<A: Args>(command: Command) -> Command {
    let about = Resettable::from(command.get_about().cloned());
    let more = Resettable::from(command.get_long_about().cloned());
    A::augment_args(command).about(about).long_about(more)
}

/// Returns the commands behind `--once`.
pub(super) fn commands() -> Vec<Command> {
    let mut all = vec![
        with::<ListArgs>(Command::new("list").about("Print VMs.")),
        with::<HostsArgs>(Command::new("hosts").about("Print hosts and how they are.")),
        with::<ShowArgs>(Command::new("show").about("Print everything about one VM.")),
        with::<ScreenshotArgs>(
            Command::new("screenshot").about("Write a picture of a VM's screen into a file."),
        ),
    ];
    all.extend(verbs().map(|spec| with::<ActArgs>(verb(spec.id, spec))));
    let switch = |word: &'static str, kind: ActionKind| with::<ActArgs>(verb(word, kind.spec()));
    all.push(
        Command::new(AUTOSTART)
            .about("Start VMs together with their host, or not.")
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommand(switch("on", ActionKind::AutostartOn))
            .subcommand(switch("off", ActionKind::AutostartOff)),
    );
    all.push(set::command());
    all.push(with::<RunArgs>(
        Command::new("run").about("Run a program in VMs, and print what it printed."),
    ));
    all.push(snapshot::command());
    all.extend(store::commands());
    all.push(with::<WatchArgs>(Command::new("watch").about(
        "Print what happens, one JSON object a line, until interrupted.",
    )));
    all
}

fn verb(word: &'static str, spec: &ActionSpec) -> Command {
    let from = if spec.from.is_empty() {
        "any state".to_owned()
    } else {
        spec.from.join(", ")
    };
    Command::new(word)
        .about(spec.summary)
        .after_help(format!("Possible from: {from}."))
}

/// Reads a scripted command; `None` when the name is another command's.
pub(super) fn read(name: &str, matches: &ArgMatches) -> Result<Option<ScriptTask>, clap::Error> {
    let act = |kind, matches: &ArgMatches| {
        ActArgs::from_arg_matches(matches).map(|args| Some(ScriptTask::Act(args.into_act(kind))))
    };
    match name {
        "list" => ListArgs::from_arg_matches(matches).map(|args| Some(ScriptTask::List(args))),
        "hosts" => HostsArgs::from_arg_matches(matches).map(|args| Some(ScriptTask::Hosts(args))),
        "show" => ShowArgs::from_arg_matches(matches).map(|args| Some(ScriptTask::Show(args))),
        "screenshot" => {
            ScreenshotArgs::from_arg_matches(matches).map(|args| Some(ScriptTask::Screenshot(args)))
        }
        "run" => RunArgs::from_arg_matches(matches).map(|args| Some(ScriptTask::Run(args))),
        "watch" => WatchArgs::from_arg_matches(matches).map(|args| Some(ScriptTask::Watch(args))),
        STORAGE => store::read(StoreKind::Pool, matches).map(|task| task.map(ScriptTask::Store)),
        NETWORK => store::read(StoreKind::Network, matches).map(|task| task.map(ScriptTask::Store)),
        SET => set::read(matches).map(|act| Some(ScriptTask::Set(Box::new(act)))),
        SNAPSHOT => snapshot::read(matches).map(|task| task.map(ScriptTask::Snapshot)),
        AUTOSTART => match matches.subcommand() {
            Some(("on", sub)) => act(ActionKind::AutostartOn, sub),
            Some((_, sub)) => act(ActionKind::AutostartOff, sub),
            None => Ok(None),
        },
        _ => match verbs().find(|spec| spec.id == name) {
            Some(spec) => act(spec.kind, matches),
            None => Ok(None),
        },
    }
}

/// Reads a length of time: `500ms`, `5s`, `2m`, `1h`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no length of time (like `500ms`, `5s` or `2m`)");
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
    let number: u64 = number.parse().ok().ok_or_else(wrong)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" | "" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(milliseconds)
        .filter(|all| *all <= 24 * 3_600_000)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("`{text}` is longer than a day"))
}

/// Reads a filter; the message shows where the mistake is.
pub(super) fn filter(text: &str) -> Result<Filter, String> {
    Filter::parse(text).map_err(|error| {
        let before = text.get(..error.at).unwrap_or(text);
        let column = before.chars().count() + 1;
        format!("{error} (at character {column})")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        assert_eq!(time("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("7"), Ok(Duration::from_secs(7)));
        for wrong in ["", "s", "1x", "-1s", "25h", "99999999999999999999s"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_wrong_filter_says_where() {
        assert!(filter("é state:x").unwrap_err().contains("at character 9"));
    }
}
