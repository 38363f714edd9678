//! `--once define`: the definition of a VM printed, or read from a file and made an action. What it is compared with
//! is read for it, so that the plan says what differs from what is there now.

use std::io::Read;
use std::path::PathBuf;

use super::console::Console;
use super::row::VmRow;
use super::{Ended, Script, Targets, targets};
use crate::clock::Clock;
use crate::domain::action::Action;
use crate::domain::definition::{DefineRequest, DefinitionText, MAX_DEFINITION};
use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::domain::text::RemoteText;
use crate::fleet::FleetHandle;
use crate::report::Complaint;

/// Prints the definition of one VM, as its host keeps it.
pub(super) async fn print(
    handle: &FleetHandle,
    script: &Script,
    target: &str,
    clock: &Clock,
    console: &mut Console<'_>,
) -> Ended {
    let wanted = Targets::Named(vec![target.to_owned()]);
    let chosen = targets::resolve(handle, script, &wanted, || clock.now()).await?;
    for row in chosen.vms {
        let read = handle.definition(row.reference()).await;
        let text = read.map_err(|failure| Complaint::from(failure).on(&row.host.spec.name))?;
        let mut text = text.to_file();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        console.data(&text);
    }
    Ok(ExitCode::Done)
}

/// Returns the action, or why there is none. `None` as a file is standard input.
pub(super) async fn action(
    handle: &FleetHandle,
    row: &VmRow,
    file: Option<&PathBuf>,
) -> Result<Action, Failure> {
    let unread = |what: &str, error: std::io::Error| {
        Failure::new(
            ErrorKind::Usage,
            format!("{what} could not be read: {error}"),
        )
    };
    let wanted = if let Some(path) = file {
        let shown = RemoteText::new(&path.display().to_string());
        let read = std::fs::File::open(path).and_then(bounded);
        read.map_err(|error| unread(shown.shown(), error))?
    } else {
        let reading = tokio::task::spawn_blocking(|| bounded(std::io::stdin()));
        let read = reading.await.map_err(std::io::Error::other).flatten();
        read.map_err(|error| unread("standard input", error))?
    };
    let wanted = DefinitionText::written(&wanted).map_err(|why| {
        Failure::new(
            ErrorKind::Usage,
            format!("that is no definition: {why}; nothing was changed"),
        )
    })?;
    let was = handle.definition(row.reference()).await?;
    DefineRequest::new(was, wanted, row.vm.state.clone())
        .map(Action::from)
        .ok_or_else(|| {
            let why = "nothing to change: it is defined so already";
            Failure::new(ErrorKind::Refused, why)
        })
}

/// Reads a little more than a definition may have, at the most.
fn bounded(from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_DEFINITION).unwrap_or(u64::MAX);
    from.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}
