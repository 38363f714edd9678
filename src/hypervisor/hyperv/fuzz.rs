//! Fuzz targets of what PowerShell prints: frames, answers, the watch, the error stream. See
//! `crate::testing::fuzz`.

use std::time::Duration;

use tokio::time::Instant;

use super::answer::{self, Trouble};
use super::envelope::Nonce;
use super::failure::{self, About, NoAnswer, Record};
use super::frames::{Frame, FrameReader, Kind, unparsable};
use super::mirror::{Mirror, News};
use super::parse::{self, Answer};
use super::verdict::{self, Way};
use super::{clixml, detail, facts, stores};
use crate::domain::inventory::Scope;
use crate::domain::text::RemoteText;
use crate::testing::fuzz::invariant::{
    all_shown, detail as shown_detail, inventory, parts, pieces, said, shown, told,
};
use crate::transport::{CommandOutput, ExitStatus};

/// The nonce of every script here.
const NONCE: &str = "0000000000000000";

/// Bytes of noise that are kept, and the mark that some was cut.
const NOISE: usize = 4 * 1024 + 3;

fn read_frames(pieces: &[&[u8]]) -> (Vec<Frame>, bool, RemoteText) {
    let mut reader = FrameReader::new(NONCE);
    let mut frames = Vec::new();
    for piece in pieces {
        match reader.feed(piece) {
            Ok(more) => frames.extend(more),
            Err(error) => {
                told(&error);
                return (frames, false, RemoteText::new(""));
            }
        }
    }
    match reader.finish() {
        Ok(more) => frames.extend(more),
        Err(error) => {
            told(&error);
            return (frames, false, RemoteText::new(""));
        }
    }
    (frames, true, reader.noise())
}

/// Standard output of a script, whole and in pieces.
pub(crate) fn frames(data: &[u8]) {
    let (frames, sound, noise) = read_frames(&[data]);
    shown(&noise);
    assert!(noise.raw().len() <= NOISE * 3);
    let payload: usize = frames.iter().map(|frame| frame.payload.len()).sum();
    assert!(payload <= data.len());
    let (in_pieces, also_sound, same_noise) = read_frames(&pieces(data));
    assert_eq!(sound, also_sound);
    if sound {
        assert_eq!(frames, in_pieces);
        assert_eq!(noise, same_noise);
    }
    for frame in &frames {
        if let Err(error) = frame.read::<Record>() {
            told(&error);
        }
    }
}

fn output(stdout: &[u8], stderr: &[u8], code: u32) -> CommandOutput {
    CommandOutput {
        status: ExitStatus::Code(code),
        stdout: stdout.to_vec(),
        stderr: stderr.to_vec(),
        truncated: false,
        elapsed: Duration::ZERO,
    }
}

fn judged(trouble: &Trouble) {
    match trouble {
        Trouble::Record(record) => judged_record(record),
        Trouble::NotFound(text) => shown(text),
        Trouble::Constrained => {}
        Trouble::Error(error) => told(error),
    }
}

fn judged_record(record: &Record) {
    shown(&record.said());
    record.cause();
    for about in [About::Host, About::Vm] {
        for may_manage in [None, Some(false), Some(true)] {
            told(&failure::judge(record, about, may_manage));
        }
    }
}

/// Standard output and error of a script that has ended.
pub(crate) fn results(data: &[u8]) {
    let parts = parts(data);
    let of = |index: usize| parts.get(index).copied().unwrap_or_default();
    let nonce = Nonce::of_recordings(NONCE);
    for code in [0, 1, 5, 127, 9009] {
        let output = output(of(0), of(1), code);
        match answer::of(&output, &nonce) {
            Ok(answer) => all_shown(&parse::told(&answer.gaps)),
            Err(trouble) => judged(&trouble),
        }
        if let Err(trouble) = answer::plain(&output, &nonce) {
            judged(&trouble);
        }
    }
}

/// The JSON inside of a final frame, as every task reads its own.
pub(crate) fn answers(data: &[u8]) {
    let frame = Frame {
        kind: Kind::Done,
        payload: data.to_vec(),
    };
    let answer = match parse::answer(&frame) {
        Ok(answer) => answer,
        Err(error) => return told(&error),
    };
    all_shown(&parse::told(&answer.gaps));
    lists(&answer);
    shown_detail(&detail::read(answer.clone()));
    let storage = stores::read(answer.clone());
    all_shown(&storage.gaps);
    all_shown(storage.pools.iter().flatten().map(|pool| &pool.name));
    all_shown(
        storage
            .networks
            .iter()
            .flatten()
            .map(|network| &network.name),
    );
    match facts::read(&answer.data, &answer.gaps) {
        Ok(facts) => {
            if let Err(error) = verdict::judge(&facts) {
                told(&error);
            }
            told(&verdict::not_a_member(&facts));
            for way in [Way::Cim, Way::Cmdlets, Way::Constrained] {
                let capabilities = verdict::capabilities(&facts, way, false);
                shown(&capabilities.version);
                all_shown(&capabilities.connection);
                all_shown(&capabilities.remarks);
            }
        }
        Err(error) => told(&unparsable(&format!("the probe: {error}"), b"")),
    }
}

fn lists(answer: &Answer) {
    let mut memory = parse::Memory::default();
    memory.processors = Some(8);
    for scope in [Scope::Full, Scope::Fast] {
        inventory(&parse::through_cim(answer.clone(), scope, &mut memory).inventory);
        inventory(&parse::through_cmdlets(answer.clone(), scope, &mut memory).inventory);
    }
}

/// An error record, as the scripts send it.
pub(crate) fn records(data: &[u8]) {
    if let Ok(record) = serde_json::from_slice::<Record>(data) {
        judged_record(&record);
    }
}

/// Frames of a watch: a snapshot, then what has changed.
pub(crate) fn watch(data: &[u8]) {
    let mut mirror = Mirror::default();
    let mut memory = parse::Memory::default();
    let began = Instant::now();
    for (json, seconds) in parts(data).into_iter().zip((0..).step_by(2)) {
        let now = began + Duration::from_secs(seconds);
        let frame = Frame {
            kind: Kind::Delta,
            payload: json.to_vec(),
        };
        let news: News = match frame.read() {
            Ok(news) => news,
            Err(error) => return told(&error),
        };
        let moved = if seconds == 0 {
            mirror.snap(news, now)
        } else {
            mirror.merge(news, now)
        };
        if let Err(why) = moved {
            return said(why);
        }
        assert!(mirror.is_fresh(now, Duration::from_secs(1), None));
        let later = mirror.answer(now + Duration::from_secs(1));
        all_shown(&parse::told(&later.gaps));
        inventory(&parse::through_cim(later, Scope::Fast, &mut memory).inventory);
    }
}

/// The error stream, in CLIXML or plain, and what it means where there is no answer.
pub(crate) fn complaints(data: &[u8]) {
    let read = clixml::read(data);
    // A byte that is no text becomes a sign of three.
    assert!(read.errors.len() + read.warnings.len() <= 3 * data.len());
    for code in [0, 1, 5, 127, 9009] {
        let noise = RemoteText::from_bytes(data);
        match failure::without_answer(&output(&[], data, code), &noise) {
            NoAnswer::NotFound(text) => {
                shown(&text);
                told(&failure::no_powershell(&text));
            }
            NoAnswer::Constrained => {}
            NoAnswer::Error(error) => told(&error),
        }
    }
}
