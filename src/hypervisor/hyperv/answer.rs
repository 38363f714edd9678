//! How one run of a script ends: in an answer, in an error record of the host, or without either. Knows
//! frames and processes, and nothing of what is asked.

use std::time::Duration;

use super::envelope::Nonce;
use super::failure::{self, NoAnswer, Record};
use super::frames::{Frame, FrameReader, Kind, unparsable};
use super::parse::{self, Answer};
use crate::domain::operation::Progress;
use crate::domain::text::RemoteText;
use crate::hypervisor::{HypervisorError, ProgressSink};
use crate::transport::{
    Chunk, CommandOutput, ExecLimits, ExitStatus, RemoteProcess, TransportError,
};

/// Why a script gave no result.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It failed on the host.
    Record(Box<Record>),
    /// Its PowerShell was not found.
    NotFound(RemoteText),
    /// Its PowerShell is constrained.
    Constrained,
    /// Anything else.
    Error(HypervisorError),
}

impl From<HypervisorError> for Trouble {
    fn from(error: HypervisorError) -> Self {
        Self::Error(error)
    }
}

impl From<TransportError> for Trouble {
    fn from(error: TransportError) -> Self {
        Self::Error(error.into())
    }
}

/// Reads the output of a script that ran to its end.
pub(crate) fn of(output: &CommandOutput, nonce: &Nonce) -> Result<Answer, Trouble> {
    let mut reader = FrameReader::new(nonce.as_str());
    let frames = frames_of(&mut reader, output)?;
    match only_final(&frames)?.map(|frame| (frame.kind, frame)) {
        Some((Kind::Done, frame)) => Ok(parse::answer(frame)?),
        Some((Kind::Failed, frame)) => Err(Trouble::Record(Box::new(frame.read()?))),
        Some((Kind::Language, _)) => Err(Trouble::Constrained),
        Some((_, frame)) => Err(unparsable("a frame out of place", &frame.payload).into()),
        None => Err(no_answer(output, &reader)),
    }
}

/// Reads the output of a script that stands alone: rows of plain JSON, and how many there are.
pub(crate) fn plain(
    output: &CommandOutput,
    nonce: &Nonce,
) -> Result<Vec<serde_json::Value>, Trouble> {
    let mut reader = FrameReader::new(nonce.as_str());
    let frames = frames_of(&mut reader, output)?;
    match only_final(&frames)?.map(|frame| (frame.kind, frame)) {
        Some((Kind::RawFailed, frame)) => Err(Trouble::Record(Box::new(frame.read()?))),
        Some((Kind::End, end)) => {
            let mut rows = Vec::new();
            for frame in frames.iter().filter(|frame| frame.kind == Kind::Raw) {
                rows.push(frame.read()?);
            }
            if end.payload == rows.len().to_string().as_bytes() {
                Ok(rows)
            } else {
                Err(unparsable("rows are missing", &end.payload).into())
            }
        }
        Some((_, frame)) => Err(unparsable("a frame out of place", &frame.payload).into()),
        None => Err(no_answer(output, &reader)),
    }
}

/// Reads a process to its final frame.
pub(crate) async fn follow(
    process: &mut dyn RemoteProcess,
    nonce: &Nonce,
    progress: &ProgressSink,
) -> Result<(), Trouble> {
    let mut reader = FrameReader::new(nonce.as_str());
    let mut output = CommandOutput {
        status: ExitStatus::Missing,
        stdout: Vec::new(),
        stderr: Vec::new(),
        truncated: false,
        elapsed: Duration::ZERO,
    };
    loop {
        let (frames, is_end) = match process.read().await? {
            Chunk::Stdout(bytes) => (reader.feed(&bytes)?, false),
            Chunk::Stderr(bytes) => {
                let room = ExecLimits::within(Duration::ZERO).stderr;
                let room = room.saturating_sub(output.stderr.len()).min(bytes.len());
                output.stderr.extend(bytes.iter().take(room));
                continue;
            }
            Chunk::Exit(status) => {
                output.status = status;
                continue;
            }
            Chunk::Closed => (reader.finish()?, true),
        };
        for frame in &frames {
            match frame.kind {
                Kind::Done => return Ok(parse::answer(frame).map(drop)?),
                Kind::Failed => return Err(Trouble::Record(Box::new(frame.read()?))),
                Kind::Language => return Err(Trouble::Constrained),
                Kind::Progress => progress.tell(told_progress(frame)?),
                Kind::Job
                | Kind::Hello
                | Kind::Snapshot
                | Kind::Delta
                | Kind::Beat
                | Kind::Bye
                | Kind::Raw
                | Kind::RawFailed
                | Kind::End => {}
            }
        }
        if is_end {
            return Err(no_answer(&output, &reader));
        }
    }
}

fn told_progress(frame: &Frame) -> Result<Progress, HypervisorError> {
    let said: serde_json::Value = frame.read()?;
    let percent = said.get("percent").and_then(serde_json::Value::as_u64);
    Ok(Progress::new(percent, None))
}

fn frames_of(
    reader: &mut FrameReader,
    output: &CommandOutput,
) -> Result<Vec<Frame>, HypervisorError> {
    let mut frames = reader.feed(&output.stdout)?;
    // What was cut by a bound is not a last line.
    if !output.truncated {
        frames.extend(reader.finish()?);
    }
    Ok(frames)
}

fn only_final(frames: &[Frame]) -> Result<Option<&Frame>, HypervisorError> {
    let mut finals = frames.iter().filter(|frame| frame.kind.is_final());
    let first = finals.next();
    match finals.next() {
        None => Ok(first),
        Some(second) => Err(unparsable("more than one answer", &second.payload)),
    }
}

fn no_answer(output: &CommandOutput, reader: &FrameReader) -> Trouble {
    match failure::without_answer(output, &reader.noise()) {
        NoAnswer::NotFound(said) => Trouble::NotFound(said),
        NoAnswer::Constrained => Trouble::Constrained,
        NoAnswer::Error(error) => Trouble::Error(error),
    }
}
