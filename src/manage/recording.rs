//! `vmdeck host record`: writes the answers of a host as fixtures, in the form of `tests/fixtures`.

use std::path::Path;

use serde::Serialize;

use super::desk::{Desk, Told, refuse};
use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::domain::host::HostName;
use crate::domain::recording::{Recording, Stream};
use crate::fleet::FleetHandle;
use crate::private_file;
use crate::report::Complaint;

/// Format of the manifest.
const FORMAT: u32 = 1;

/// What stands in `manifest.json`.
#[derive(Debug, Serialize)]
struct Manifest<'a> {
    format: u32,
    vmdeck: &'static str,
    recorded_at: String,
    hypervisor: &'static str,
    version: &'a str,
    questions: usize,
    unanswered: Vec<Unanswered<'a>>,
    vms_left_out: usize,
    replaced: &'a std::collections::BTreeMap<&'static str, usize>,
    look_at: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Unanswered<'a> {
    question: &'a str,
    why: &'a str,
}

/// Records one host into a directory that does not exist yet.
pub async fn run(desk: &mut Desk<'_>, handle: &FleetHandle, name: &HostName, out: &Path) -> Told {
    refuse_existing(out)?;
    let fleet = handle.snapshot();
    let Some(host) = fleet.hosts.iter().find(|host| host.spec.name == *name) else {
        return Err(refuse(
            ErrorKind::NotFound,
            format!("there is no host `{name}`"),
            "`vmdeck host list` shows the hosts",
        ));
    };
    let recorded = handle.record(host.spec.id).await;
    let recording = recorded.map_err(|cause| Complaint::from(cause).on(name))?;
    let look_at = write(out, &recording, &desk.clock.now().to_string())?;
    desk.say(&format!(
        "recorded {} answers of {} in {}",
        recording.transcripts.len(),
        recording.version,
        out.display()
    ));
    for (sort, count) in &recording.replaced {
        desk.say(&format!("  {count:>4} {sort} replaced by stand-ins"));
    }
    if recording.left_out > 0 {
        desk.note(&format!(
            "{} more VMs were not asked about",
            recording.left_out
        ));
    }
    if !look_at.is_empty() {
        desk.note(&format!(
            "look at {} before you give them to anybody: something private may stand there",
            look_at.join(", ")
        ));
    }
    desk.note("names that are also ordinary words, and names within other words, are not recognised: read the files through");
    Ok(ExitCode::Done)
}

fn refuse_existing(out: &Path) -> Result<(), Complaint> {
    if out.symlink_metadata().is_ok() {
        return Err(refuse(
            ErrorKind::Refused,
            format!("{} exists, and nothing is overwritten", out.display()),
            "name a directory that does not exist yet",
        ));
    }
    Ok(())
}

/// Writes the files; returns those that a person should look at.
fn write(out: &Path, recording: &Recording, now: &str) -> Result<Vec<String>, Complaint> {
    private_file::create_dir(out).map_err(|error| Complaint::of(&error))?;
    let mut look_at = Vec::new();
    let mut unanswered = Vec::new();
    for (number, transcript) in recording.transcripts.iter().enumerate() {
        let answer = match &transcript.answer {
            Ok(answer) => answer,
            Err(why) => {
                unanswered.push(Unanswered {
                    question: &transcript.question,
                    why,
                });
                continue;
            }
        };
        let whole = |text: &str| Stream {
            bytes: format!("{text}\n").into_bytes(),
            look: false,
        };
        for (ending, stream) in [
            ("command", &whole(&transcript.question)),
            ("stdout", &answer.stdout),
            ("stderr", &answer.stderr),
            ("status", &whole(&answer.status)),
        ] {
            let name = format!("{number:02}.{ending}");
            put(out, &name, &stream.bytes)?;
            if stream.look {
                look_at.push(name);
            }
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    let origin = format!(
        "A real host, recorded by `vmdeck host record` {version}: {}. Names, ids, addresses, paths and texts are stand-ins \
         (manifest.json counts them).\n",
        recording.version
    );
    put(out, "origin", origin.as_bytes())?;
    let manifest = Manifest {
        format: FORMAT,
        vmdeck: version,
        recorded_at: now.to_owned(),
        hypervisor: recording.kind.word(),
        version: &recording.version,
        questions: recording.transcripts.len(),
        unanswered,
        vms_left_out: recording.left_out,
        replaced: &recording.replaced,
        look_at: look_at.clone(),
    };
    let text = crate::json::to_pretty(&manifest).map_err(|error| {
        let message = format!("could not write the manifest: {error}");
        Complaint::from(Failure::new(ErrorKind::Internal, message))
    })?;
    put(out, "manifest.json", format!("{text}\n").as_bytes())?;
    Ok(look_at)
}

fn put(out: &Path, name: &str, bytes: &[u8]) -> Result<(), Complaint> {
    private_file::write_atomic(&out.join(name), bytes).map_err(|error| Complaint::of(&error))
}
