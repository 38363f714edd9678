//! `--once screenshot`: the screen of one VM as a file. It is nobody else's business: the file is the
//! caller's alone, and one that is there already stays unless told otherwise.

use std::path::Path;

use serde::Serialize;

use super::console::Console;
use super::row::VmRow;
use super::{Ended, Screenshot, Script, Targets, targets};
use crate::clock::Clock;
use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::domain::picture::Picture;
use crate::domain::text::RemoteText;
use crate::fleet::FleetHandle;
use crate::report::Complaint;
use crate::{png, private_file};

/// What was written.
#[derive(Serialize)]
struct Written<'a> {
    host: &'a str,
    name: &'a str,
    id: &'a str,
    file: String,
    width: u32,
    height: u32,
}

pub(super) async fn run(
    handle: &FleetHandle,
    script: &Script,
    wanted: &Screenshot,
    clock: &Clock,
    console: &mut Console<'_>,
) -> Ended {
    may_be_written(script, wanted)?;
    let named = Targets::Named(vec![wanted.target.clone()]);
    let chosen = targets::resolve(handle, script, &named, || clock.now()).await?;
    for row in chosen.vms {
        let host = &row.host.spec.name;
        let vm = row.reference();
        let looked = handle.screen(vm).await;
        let picture = looked.map_err(|failure| Complaint::from(failure).on(host))?;
        match &wanted.out {
            Some(out) => {
                write(out, wanted.replace, &picture)?;
                console.data(&said(script, &row, out, &picture));
            }
            None => console.bytes(&packed(&picture)?),
        }
    }
    Ok(ExitCode::Done)
}

/// Refuses, before any host is asked, what cannot be written anyway.
fn may_be_written(script: &Script, wanted: &Screenshot) -> Result<(), Failure> {
    match &wanted.out {
        Some(out) if !wanted.replace && out.symlink_metadata().is_ok() => Err(exists(out)),
        None if wanted.to_terminal => Err(Failure::new(
            ErrorKind::Usage,
            "a picture is not written to a terminal",
        )
        .with_hint("name a file with `--out FILE`, or pipe it into a program")),
        None if script.format.is_json() => Err(Failure::new(
            ErrorKind::Usage,
            "standard output cannot hold both the picture and what is said about it",
        )
        .with_hint("name a file with `--out FILE`, or leave `-o` out")),
        _ => Ok(()),
    }
}

fn exists(out: &Path) -> Failure {
    let message = format!("{} is there already", shown(out));
    Failure::new(ErrorKind::Refused, message)
        .with_hint("replace it with `--replace`, or choose another name")
}

fn write(out: &Path, replace: bool, picture: &Picture) -> Result<(), Failure> {
    let is_ppm = out
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("ppm"));
    let bytes = if is_ppm {
        png::ppm(picture)
    } else {
        packed(picture)?
    };
    let written = if replace {
        private_file::write_atomic(out, &bytes)
    } else {
        private_file::write_new(out, &bytes)
    };
    written.map_err(|error| match error.io_kind() {
        Some(std::io::ErrorKind::AlreadyExists) => exists(out),
        _ => Failure::of(&error).with_hint("choose another place with `--out FILE`"),
    })
}

fn packed(picture: &Picture) -> Result<Vec<u8>, Failure> {
    png::encode(picture).map_err(|error| {
        let message = format!("the picture cannot be packed: {error}");
        Failure::new(ErrorKind::Internal, message)
    })
}

fn said(script: &Script, row: &VmRow, out: &Path, picture: &Picture) -> String {
    let (width, height) = (picture.width(), picture.height());
    if !script.format.is_json() {
        let (name, file) = (&row.vm.name, shown(out));
        return format!("{name}: {width} x {height}, written to {file}\n");
    }
    let written = Written {
        host: row.host.spec.name.as_str(),
        name: row.vm.name.raw(),
        id: row.vm.id.as_str(),
        file: out.display().to_string(),
        width,
        height,
    };
    let mut text = crate::json::to_line(&written).unwrap_or_default();
    text.push('\n');
    text
}

/// A path can hold anything.
fn shown(out: &Path) -> RemoteText {
    RemoteText::new(&out.display().to_string())
}
