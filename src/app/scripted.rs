//! `--once`: from the command line to a script, and the fleet it runs on.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::{Surroundings, compose};
use crate::cli::{
    DoArgs, OutputFormat, ScriptTask, SnapshotAct, SnapshotTask, SnapshotVerb, StoreListArgs,
    StoreTask,
};
use crate::config::{OnceConfig, OutputChoice};
use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::domain::guest_account::{GuestAccount, GuestPassword};
use crate::domain::host::HostSpec;
use crate::domain::operation::Door;
use crate::domain::selector::Filter;
use crate::domain::snapshot::SnapshotName;
use crate::manage::passphrase::PassphraseSource;
use crate::once::{
    self, Act, Command, Format, Listing, Screenshot, Script, SnapshotListing, StoreAct,
    StoreListing, StoreRows, Targets, Verb, Wait,
};
use crate::report::Complaint;

pub(super) fn asks_for_json(task: &ScriptTask) -> bool {
    let output = output_of(task).0;
    output.is_some_and(|output| format(output).is_json())
}

/// Tells whether a command reads hosts and leaves. Verbs need the announcements to see a restart.
pub(super) const fn is_one_look(task: &ScriptTask) -> bool {
    match task {
        ScriptTask::List(_)
        | ScriptTask::Hosts(_)
        | ScriptTask::Show(_)
        | ScriptTask::Screenshot(_)
        | ScriptTask::Snapshot(SnapshotTask::List(_))
        | ScriptTask::Store(StoreTask::Storage(_) | StoreTask::Networks(_) | StoreTask::Show(..)) => {
            true
        }
        ScriptTask::Act(_)
        | ScriptTask::Set(_)
        | ScriptTask::Run(_)
        | ScriptTask::Store(StoreTask::Act(..))
        | ScriptTask::Snapshot(SnapshotTask::Act(_))
        | ScriptTask::Watch(_) => false,
    }
}

pub(super) async fn run(
    around: &Surroundings,
    task: &ScriptTask,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Complaint> {
    let account = guest_account(task)?;
    let fleet = compose::open(around, err, asks_for_json(task), |_: &HostSpec| true).await?;
    let mut script = script(around, task, &fleet);
    if let Command::Run(run) = &mut script.command {
        run.account = account;
    }
    let code = once::run(&fleet.handle, script, out, err, &around.clock).await;
    fleet.end(None).await;
    Ok(code)
}

/// Returns the account of the VMs that a program is run for, where one was named.
fn guest_account(task: &ScriptTask) -> Result<Option<GuestAccount>, Complaint> {
    let ScriptTask::Run(args) = task else {
        return Ok(None);
    };
    let Some(user) = args.guest_user.clone() else {
        return Ok(None);
    };
    let password = match (&args.guest_credential, args.guest_password_fd) {
        (Some(name), _) => GuestPassword::Credential(name.clone()),
        (None, Some(number)) => {
            let read = PassphraseSource::Fd(number).read("");
            GuestPassword::Given(read.map_err(|error| Failure::of(&error))?)
        }
        (None, None) => {
            let what = "the password of the account in the VM is not known";
            let fix = "name the credential that holds it with --guest-credential NAME, or give --guest-password-fd N";
            return Err(Failure::new(ErrorKind::Usage, what).with_hint(fix).into());
        }
    };
    Ok(Some(GuestAccount { user, password }))
}

fn script(around: &Surroundings, task: &ScriptTask, fleet: &compose::Fleet) -> Script {
    let config = &around.loaded.config.once;
    let (output, host_timeout) = output_of(task);
    let chosen = output.map_or_else(|| configured(config, task), format);
    Script {
        command: command(around, task),
        format: chosen,
        actor: around.actor(Door::Once),
        patience: host_timeout.unwrap_or(config.timeout),
        stop: fleet.signals.end.clone(),
    }
}

/// Verbs and events are not tables by nature; the configured form is for what is.
fn configured(config: &OnceConfig, task: &ScriptTask) -> Format {
    match (config.output, task) {
        (OutputChoice::Csv | OutputChoice::Markdown, ScriptTask::Watch(_))
        | (OutputChoice::Ndjson, _) => Format::Ndjson,
        (OutputChoice::Table, _) => Format::Table,
        (OutputChoice::Json, _) => Format::Json,
        (OutputChoice::Csv, _) => Format::Csv,
        (OutputChoice::Markdown, _) => Format::Markdown,
    }
}

const fn format(output: OutputFormat) -> Format {
    match output {
        OutputFormat::Table => Format::Table,
        OutputFormat::Json => Format::Json,
        OutputFormat::Ndjson => Format::Ndjson,
        OutputFormat::Csv => Format::Csv,
        OutputFormat::Markdown => Format::Markdown,
    }
}

fn output_of(task: &ScriptTask) -> (Option<OutputFormat>, Option<Duration>) {
    let args = match task {
        ScriptTask::List(args) => &args.table.output,
        ScriptTask::Hosts(args) => &args.table.output,
        ScriptTask::Show(args) => &args.output,
        ScriptTask::Screenshot(args) => &args.output,
        ScriptTask::Act(act) => &act.doing.output,
        ScriptTask::Set(act) => &act.doing.output,
        ScriptTask::Run(args) => &args.output,
        ScriptTask::Snapshot(task) => task.output(),
        ScriptTask::Store(task) => task.output(),
        ScriptTask::Watch(args) => &args.output,
    };
    (args.output, args.host_timeout)
}

fn command(around: &Surroundings, task: &ScriptTask) -> Command {
    match task {
        ScriptTask::List(args) => Command::List(Listing {
            filter: args.filter.clone().unwrap_or_default(),
            sort: args.table.sort.clone(),
            columns: args.table.columns.clone(),
        }),
        ScriptTask::Hosts(args) => Command::Hosts(Listing {
            sort: args.table.sort.clone(),
            columns: args.table.columns.clone(),
            ..Listing::default()
        }),
        ScriptTask::Screenshot(args) => Command::Screenshot(Screenshot {
            target: args.target.clone(),
            out: (args.out.as_os_str() != "-").then(|| args.out.clone()),
            replace: args.replace,
            to_terminal: std::io::stdout().is_terminal(),
        }),
        ScriptTask::Run(args) => Command::Run(once::Run {
            targets: targets(args.filter.as_ref(), &args.targets),
            words: args.command.clone(),
            account: None,
            yes: args.yes,
            dry_run: args.dry_run,
            within: args.timeout,
            to_terminal: [
                std::io::stdout().is_terminal(),
                std::io::stderr().is_terminal(),
            ],
        }),
        ScriptTask::Show(args) => Command::Show(args.target.clone()),
        ScriptTask::Watch(args) => Command::Watch(args.filter.clone().unwrap_or_default()),
        ScriptTask::Snapshot(SnapshotTask::List(args)) => Command::Snapshots(SnapshotListing {
            targets: if args.targets.is_empty() {
                Targets::Filter(args.filter.clone().unwrap_or_default())
            } else {
                Targets::Named(args.targets.clone())
            },
            sort: args.table.sort.clone(),
            columns: args.table.columns.clone(),
        }),
        ScriptTask::Snapshot(SnapshotTask::Act(act)) => Command::Act(Act {
            verb: snapshot_verb(around, act),
            targets: targets(act.filter.as_ref(), &act.targets),
            yes: act.doing.yes,
            dry_run: act.doing.dry_run,
            wait: wait(around, &act.doing),
        }),
        ScriptTask::Set(act) => Command::Act(Act {
            verb: Verb::Set(act.changes.clone()),
            targets: targets(act.filter.as_ref(), &act.targets),
            yes: act.doing.yes,
            dry_run: act.doing.dry_run,
            wait: wait(around, &act.doing),
        }),
        ScriptTask::Store(task) => store(around, task),
        ScriptTask::Act(act) => Command::Act(Act {
            verb: Verb::Plain(act.kind),
            targets: targets(act.filter.as_ref(), &act.targets),
            yes: act.doing.yes,
            dry_run: act.doing.dry_run,
            wait: wait(around, &act.doing),
        }),
    }
}

fn store(around: &Surroundings, task: &StoreTask) -> Command {
    let listing = |list: &StoreListArgs, rows| {
        Command::Stores(StoreListing {
            rows,
            hosts: list.hosts.clone(),
            sort: list.table.sort.clone(),
            columns: list.table.columns.clone(),
        })
    };
    match task {
        StoreTask::Storage(args) if args.volumes || args.unattached => {
            let unattached = args.unattached;
            listing(&args.list, StoreRows::Volumes { unattached })
        }
        StoreTask::Storage(args) => listing(&args.list, StoreRows::Pools),
        StoreTask::Networks(args) => listing(&args.list, StoreRows::Networks),
        StoreTask::Show(kind, args) => Command::StoreShow(*kind, args.target.clone()),
        StoreTask::Act(verb, args) => Command::StoreAct(StoreAct {
            verb: *verb,
            targets: args.targets.clone(),
            yes: args.doing.yes,
            dry_run: args.doing.dry_run,
            wait: wait(around, &args.doing),
        }),
    }
}

fn snapshot_verb(around: &Surroundings, act: &SnapshotAct) -> Verb {
    match &act.verb {
        SnapshotVerb::Create { name, draft } => {
            let named = name.clone();
            let name = named.unwrap_or_else(|| SnapshotName::of_moment(around.clock.now()));
            Verb::Create(draft.named(name))
        }
        SnapshotVerb::Revert(name) => Verb::Revert(name.clone()),
        SnapshotVerb::Delete(names, scope) => Verb::Delete(names.clone(), *scope),
        SnapshotVerb::Expire(age) => Verb::Expire(*age),
    }
}

fn targets(filter: Option<&Filter>, names: &[String]) -> Targets {
    match filter {
        Some(filter) => Targets::Filter(filter.clone()),
        None => Targets::Named(names.to_vec()),
    }
}

fn wait(around: &Surroundings, doing: &DoArgs) -> Wait {
    match (doing.no_wait, doing.timeout) {
        (true, _) => Wait::No,
        (false, Some(time)) => Wait::AtMost(time),
        // A verb knows best how long it takes, unless somebody has set a time for all.
        (false, None) if around.loaded.origins.contains_key("once.timeout") => {
            Wait::AtMost(around.loaded.config.once.timeout)
        }
        (false, None) => Wait::Usual,
    }
}
