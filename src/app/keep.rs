//! The keeping commands: a desk for each, a fleet only for those that dial.

use std::io::Write;

use super::Surroundings;
use super::compose::{self, Fleet};
use super::signals;
use crate::cli::{
    AuditCommand, CredentialCommand, CredentialRotate, HostCommand, HostImport, ImportCommand, Task,
};
use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::domain::host::HostSpec;
use crate::domain::operation::Door;
use crate::fleet::import::{Importable, importable};
use crate::manage::{
    self, Desk, audit, could_not, credential, doctor, host, import, profile, recording, rotate,
    trust,
};
use crate::report::Complaint;
use crate::task::Tasks;

pub(super) async fn run(
    around: &Surroundings,
    task: &Task,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Complaint> {
    let (name, named) = around.profile()?;
    let mut desk = Desk {
        root: around.profiles(),
        server: around.paths.server(),
        profile: name,
        named,
        passphrase: around.passphrase(),
        clock: around.clock.clone(),
        actor: around.actor(Door::Once),
        interactive: around.interactive,
        out,
        err,
    };
    if around.globals.demo {
        return Err(Failure::new(ErrorKind::Usage, "--demo keeps nothing")
            .with_hint("leave out --demo, or open the demo with `vmdeck --demo`")
            .into());
    }
    match task {
        Task::Profile(command) => profile::run(&mut desk, command).await,
        Task::Credential(CredentialCommand::Rotate(args)) => {
            rotate_key(around, &mut desk, args).await
        }
        Task::Credential(command) => credential::run(&mut desk, command).await,
        Task::Import(ImportCommand::Portal { file, dry_run }) => {
            let usual = around.environment.portal_database();
            let usual = usual.unwrap_or_else(|| "data/management.sqlite3".into());
            let file = file.as_ref().unwrap_or(&usual);
            manage::import_portal::run(&mut desk, file, *dry_run).await
        }
        Task::User(command) => manage::user::run(&mut desk, command).await,
        Task::Config(command) => {
            manage::config::run(&mut desk, command, &around.loaded, &around.paths)
        }
        Task::Audit(AuditCommand::Verify) => audit::verify(&mut desk).await,
        Task::Audit(AuditCommand::Export) => audit::export(&mut desk).await,
        Task::Audit(AuditCommand::AcceptCut(args)) => audit::accept_cut(&mut desk, args).await,
        Task::Audit(AuditCommand::Tail(args)) => {
            let tasks = Tasks::new();
            let signals = signals::listen(&tasks);
            let told = audit::tail(&mut desk, args, &signals.end).await;
            tasks.cancel();
            told
        }
        Task::Host(command) => hosts(around, &mut desk, command).await,
        Task::Dashboard(_)
        | Task::Serve(_)
        | Task::Once(_)
        | Task::Completions(_)
        | Task::Man(_) => Ok(ExitCode::Done),
    }
}

async fn hosts(
    around: &Surroundings,
    desk: &mut Desk<'_>,
    command: &HostCommand,
) -> Result<ExitCode, Complaint> {
    let label = |spec: &HostSpec| around.label_of(spec);
    let read_only = around.globals.read_only;
    match command {
        HostCommand::Add(args) => host::add(desk, args, read_only, &label).await,
        HostCommand::Edit(args) => host::edit(desk, args, read_only).await,
        HostCommand::Rm { name } => host::remove(desk, name).await,
        HostCommand::List { json } => host::list(desk, *json).await,
        HostCommand::Show { name } => host::show(desk, name, &label).await,
        HostCommand::Import(args) => import::run(desk, args, found(around, args)?).await,
        HostCommand::Trust(args) => {
            let fleet = dial(around, desk, &args.name).await?;
            let told = trust::run(desk, &fleet.handle, args).await;
            fleet.end(None).await;
            told
        }
        HostCommand::Record(args) => {
            let fleet = dial(around, desk, &args.name).await?;
            let told = recording::run(desk, &fleet.handle, &args.name, &args.out).await;
            fleet.end(None).await;
            told
        }
        HostCommand::DeployKey(args) => {
            let fleet = dial_with(around, desk, |_| true).await?;
            let handle = fleet.handle.clone().acting_as(desk.actor.clone());
            let told = rotate::deploy(desk, &handle, args).await;
            fleet.end(None).await;
            told
        }
        HostCommand::Doctor { name, json } => {
            let fleet = dial(around, desk, name).await?;
            let told = doctor::run(desk, &fleet.handle, name, *json).await;
            fleet.end(None).await;
            told
        }
    }
}

/// Gives a credential a new key: its hosts are logged in to with the old one, so the profile is unlocked first.
async fn rotate_key(
    around: &Surroundings,
    desk: &mut Desk<'_>,
    args: &CredentialRotate,
) -> Result<ExitCode, Complaint> {
    // What is only shown needs no secret.
    let fleet = dial_with(around, desk, |_| !args.dry_run).await?;
    let handle = fleet.handle.clone().acting_as(desk.actor.clone());
    let told = rotate::run(desk, &handle, args).await;
    fleet.end(None).await;
    told
}

/// Starts a fleet for those hosts of the profile that may want a passphrase.
async fn dial_with(
    around: &Surroundings,
    desk: &mut Desk<'_>,
    needed: impl Fn(&HostSpec) -> bool,
) -> Result<Fleet, Complaint> {
    let profile = desk.open().await?;
    let specs = profile.hosts().await.map_err(could_not("read the hosts"))?;
    let specs: Vec<HostSpec> = specs.into_iter().filter(|spec| needed(spec)).collect();
    compose::start(around, profile, &specs).await
}

/// Starts a fleet for one host; a passphrase is asked for only when that host needs it.
async fn dial(
    around: &Surroundings,
    desk: &mut Desk<'_>,
    name: &crate::domain::host::HostName,
) -> Result<Fleet, Complaint> {
    let profile = desk.open().await?;
    let spec = host::find(&profile, name).await?;
    compose::start(around, profile, &[spec]).await
}

/// Reads the hosts of the SSH client's configuration, patterns left out.
fn found(around: &Surroundings, args: &HostImport) -> Result<Vec<Importable>, Complaint> {
    let config = around
        .client_config(args.file.clone())
        .map_err(Complaint::from)?;
    match config {
        Some(config) => importable(&config).map_err(Complaint::from),
        None => Ok(Vec::new()),
    }
}
