//! `--once run`: a program in VMs: plan for each, agree, run in all of them at once, hand on what was printed.
//!
//! What a program prints is the guest's: a terminal gets it made harmless, a file or a pipe as it is, JSON as
//! text where it is UTF-8 and as base64 where it is not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use serde::Serialize;

use super::console::Console;
use super::result::{self, ActResult};
use super::{Ended, Format, Run, Script, targets};
use crate::clock::Clock;
use crate::domain::action::Ask;
use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::domain::guest_command::{
    GuestCommand, GuestEnd, GuestOutput, GuestProposal, GuestRun, GuestSubmission,
};
use crate::domain::operation::Consent;
use crate::fleet::FleetHandle;
use crate::fleet::guest::GuestWish;
use crate::report::Complaint;

/// What a program in a VM did, in JSON.
#[derive(Serialize)]
pub(super) struct RunBody {
    exit_code: Option<i64>,
    signal: Option<i64>,
    stdout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout_base64: Option<String>,
    stdout_truncated: bool,
    stderr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr_base64: Option<String>,
    stderr_truncated: bool,
}

impl RunBody {
    pub(super) fn of(run: &GuestRun) -> Self {
        let (exit_code, signal) = match run.end {
            GuestEnd::Code(code) => (Some(code), None),
            GuestEnd::Signal(signal) => (None, Some(signal)),
        };
        let (stdout, stdout_base64) = in_json(&run.stdout);
        let (stderr, stderr_base64) = in_json(&run.stderr);
        Self {
            exit_code,
            signal,
            stdout,
            stdout_base64,
            stdout_truncated: run.stdout.truncated,
            stderr,
            stderr_base64,
            stderr_truncated: run.stderr.truncated,
        }
    }
}

fn in_json(output: &GuestOutput) -> (Option<String>, Option<String>) {
    match String::from_utf8(output.bytes.clone()) {
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(STANDARD.encode(&output.bytes))),
    }
}

pub(super) async fn run(
    handle: &FleetHandle,
    script: &Script,
    wanted: &Run,
    clock: &Clock,
    console: &mut Console<'_>,
) -> Ended {
    // A mistake in the words is told before any host is asked.
    let words = GuestCommand::new(wanted.words.clone())
        .map_err(|error| Failure::new(ErrorKind::Usage, error.to_string()))?;
    let chosen = targets::resolve(handle, script, &wanted.targets, || clock.now()).await?;
    if !chosen.named {
        chosen.reached.report(console);
    }
    let missing = !chosen.named && !chosen.reached.failed.is_empty();
    let count = chosen.vms.len();
    let mut proposals = Vec::with_capacity(count);
    for row in &chosen.vms {
        let wish = GuestWish {
            vm: row.reference(),
            words: words.clone(),
            account: wanted.account.clone(),
            actor: script.actor.clone(),
            count,
        };
        let place = format!("{}/{}", row.host.spec.name, row.vm.name);
        // Either it is run in all that were meant, or in none.
        let planned = handle.plan_guest(wish).await;
        proposals.push(planned.map_err(|failure| Complaint::from(failure).on(&place))?);
    }
    let results = if wanted.dry_run {
        let shown = |one: &GuestProposal| ActResult::guest_planned(&one.plan, one.asks);
        proposals.iter().map(shown).collect()
    } else {
        agree(&proposals, wanted, chosen.named)?;
        let runs = proposals
            .into_iter()
            .map(|one| carry_out(handle, script, (one, count), wanted));
        join_all(runs).await
    };
    write(script, wanted, &results, console);
    let code = result::exit_code(&results);
    Ok(if missing && code == ExitCode::Done {
        ExitCode::Partial
    } else {
        code
    })
}

/// Returns an error when it is not agreed to as far as it has to be: then nothing is run.
fn agree(proposals: &[GuestProposal], wanted: &Run, named: bool) -> Result<(), Complaint> {
    let asking = |ask: Ask| proposals.iter().find(move |one| one.asks >= ask);
    let refuse = |message: String, hint: &str| {
        Err(Failure::new(ErrorKind::Refused, message)
            .with_hint(hint)
            .into())
    };
    if let Some(first) = asking(Ask::Confirm)
        && !wanted.yes
    {
        let message = match proposals {
            [_] => format!(
                "to run a program in {} has to be agreed to",
                first.plan.vm_name
            ),
            many => format!("to run a program in {} VMs has to be agreed to", many.len()),
        };
        return refuse(message, "add --yes, or look at the plan with --dry-run");
    }
    if let Some(guarded) = asking(Ask::TypeName)
        && !named
    {
        let (host, name) = (&guarded.plan.host_name, &guarded.plan.vm_name);
        let message = format!("to run a program in {host}/{name}, it has to be named in full");
        return refuse(message, "name the VMs instead of choosing them by a filter");
    }
    Ok(())
}

async fn carry_out(
    handle: &FleetHandle,
    script: &Script,
    (proposal, count): (GuestProposal, usize),
    wanted: &Run,
) -> ActResult {
    let plan = proposal.plan.clone();
    let submission = GuestSubmission {
        consent: match proposal.asks {
            Ask::Nothing => Consent::Nothing,
            Ask::Confirm => Consent::Confirmed,
            // Each was named by itself.
            Ask::TypeName => Consent::TypedName(plan.vm_name.raw().to_owned()),
        },
        plan: proposal.plan,
        actor: script.actor.clone(),
        count,
        within: wanted.within,
    };
    tokio::select! {
        ended = handle.run_guest(submission) => match ended {
            Ok(result) => ActResult::of_guest(&plan, result),
            Err(failure) => ActResult::guest_refused(&plan, failure),
        },
        // What was sent stays sent; it is recorded as unknown when the program ends.
        () = script.stop.cancelled() => {
            let why = "interrupted while it ran; it goes on in the VM";
            ActResult::guest_lost(&plan, Failure::new(ErrorKind::Timeout, why))
        }
    }
}

fn write(script: &Script, wanted: &Run, results: &[ActResult], console: &mut Console<'_>) {
    if script.format != Format::Table || wanted.dry_run {
        console.data(&result::written(script.format, results));
    } else {
        let several = results.len() > 1;
        for result in results {
            if let Some(run) = result.run() {
                let place = several.then(|| result.place());
                let [out, err] = wanted.to_terminal;
                console.bytes(&handed_on(&run.stdout, place.as_deref(), out));
                console.trouble_bytes(&handed_on(&run.stderr, place.as_deref(), err));
                for (what, output) in [("output", &run.stdout), ("errors", &run.stderr)] {
                    if output.truncated {
                        let place = result.place();
                        console.note(&format!(
                            "{place}: its {what} were longer than what is kept"
                        ));
                    }
                }
            }
        }
    }
    if !script.format.is_json() {
        for complaint in results.iter().filter_map(ActResult::complaint) {
            console.complain(&complaint);
        }
    }
}

/// What was printed, as it is handed on: lines of several VMs say whose they are.
fn handed_on(output: &GuestOutput, place: Option<&str>, to_terminal: bool) -> Vec<u8> {
    if !to_terminal && place.is_none() {
        return output.bytes.clone();
    }
    let mut written = Vec::new();
    let prefix = place.map_or_else(String::new, |place| format!("{place}: "));
    if to_terminal {
        for line in output.lines() {
            written.extend_from_slice(format!("{prefix}{line}\n").as_bytes());
        }
        return written;
    }
    for line in output.bytes.split_inclusive(|byte| *byte == b'\n') {
        written.extend_from_slice(prefix.as_bytes());
        written.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            written.push(b'\n');
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(bytes: &[u8]) -> GuestOutput {
        GuestOutput::new(bytes.to_vec(), false)
    }

    #[test]
    fn a_pipe_gets_the_bytes_and_a_terminal_nothing_that_acts() {
        let hostile = output(b"a\x1b[2J\n\xff\nend");
        assert_eq!(handed_on(&hostile, None, false), hostile.bytes);
        let shown = String::from_utf8(handed_on(&hostile, None, true)).unwrap();
        assert_eq!(shown, "a␛[2J\n\u{fffd}\nend\n");
        let named = handed_on(&output(b"a\nb"), Some("kvm1/web"), false);
        assert_eq!(named, b"kvm1/web: a\nkvm1/web: b\n");
        assert!(handed_on(&output(b""), Some("kvm1/web"), true).is_empty());
    }

    #[test]
    fn json_has_text_or_base64() {
        assert_eq!(in_json(&output(b"hi\n")), (Some("hi\n".to_owned()), None));
        assert_eq!(in_json(&output(b"\xff")), (None, Some("/w==".to_owned())));
    }
}
