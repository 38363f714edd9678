//! Frames: what of a script's output is meant for us. Pure and incremental, so that one reader serves
//! an answer that came whole and a stream.
//!
//! ```text
//! Microsoft Windows [Version 10.0.20348]            noise: a profile, a banner, a warning
//! @@HV1 0123456789abcdef JOB eyJpZCI6...            frame: nonce, kind, base64 of UTF-8 JSON
//! @@HV1 0123456789abcdef OK eyJ2Ijox...             the final one; exactly one of OK and ERR
//! @@HV1 ffffffffffffffff OK eyJ2Ijox...             noise: not our nonce, so not from our script
//! ```
//!
//! Where PowerShell is constrained there is no base64: `RAW` and `RERR` carry JSON as it is, `END` a
//! count, `LANG` the name of the language mode that kept the script from running.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::domain::text::RemoteText;
use crate::hypervisor::HypervisorError;

/// What every frame begins with.
const MARK: &str = "@@HV1 ";

/// Bytes of output that is not ours, kept for diagnosis.
const NOISE: usize = 4 * 1024;

/// Bytes of one frame: an answer about many thousand VMs.
const LONGEST: usize = 16 * 1024 * 1024;

/// Bytes of an answer that cannot be read, shown with the failure.
const SHOWN: usize = 200;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The task is done; its data.
    Done,
    /// The task failed; why.
    Failed,
    /// A job was started for it.
    Job,
    /// How far the job is.
    Progress,
    /// A stream: who speaks.
    Hello,
    /// A stream: everything.
    Snapshot,
    /// A stream: what has changed.
    Delta,
    /// A stream: still alive.
    Beat,
    /// A stream: it ends by itself.
    Bye,
    /// One answer as plain JSON.
    Raw,
    /// A failure as plain JSON.
    RawFailed,
    /// How many plain answers there were.
    End,
    /// PowerShell is constrained here; the name of its language mode.
    Language,
}

impl Kind {
    fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "OK" => Self::Done,
            "ERR" => Self::Failed,
            "JOB" => Self::Job,
            "PROG" => Self::Progress,
            "HELLO" => Self::Hello,
            "SNAP" => Self::Snapshot,
            "DELTA" => Self::Delta,
            "BEAT" => Self::Beat,
            "BYE" => Self::Bye,
            "RAW" => Self::Raw,
            "RERR" => Self::RawFailed,
            "END" => Self::End,
            "LANG" => Self::Language,
            _ => return None,
        })
    }

    const fn is_plain(self) -> bool {
        matches!(
            self,
            Self::Raw | Self::RawFailed | Self::End | Self::Language
        )
    }

    /// Returns whether nothing may follow it.
    pub(crate) const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Done | Self::Failed | Self::RawFailed | Self::End | Self::Language
        )
    }
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// What it is.
    pub(crate) kind: Kind,
    /// Its JSON, or the plain text of [`Kind::End`] and [`Kind::Language`].
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Reads its JSON.
    pub(crate) fn read<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, HypervisorError> {
        serde_json::from_slice(&self.payload)
            .map_err(|error| unparsable(&format!("its JSON: {error}"), &self.payload))
    }
}

/// Cuts output into frames and noise.
#[derive(Debug)]
pub(crate) struct FrameReader {
    prefix: Vec<u8>,
    line: Vec<u8>,
    /// Whether the line so far can no longer become a frame.
    is_noise: bool,
    at_start: bool,
    noise: Vec<u8>,
    noise_was_cut: bool,
}

impl FrameReader {
    /// Reads the output of the script with this nonce.
    pub(crate) fn new(nonce: &str) -> Self {
        Self {
            prefix: format!("{MARK}{nonce} ").into_bytes(),
            line: Vec::new(),
            is_noise: false,
            at_start: true,
            noise: Vec::new(),
            noise_was_cut: false,
        }
    }

    /// Takes a piece of standard output, cut anywhere; returns the frames that are complete with it.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, HypervisorError> {
        let mut frames = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let ends = piece.last() == Some(&b'\n');
            self.take(piece)?;
            if ends {
                frames.extend(self.end_line()?);
            }
        }
        Ok(frames)
    }

    /// Takes the end of the output: a line without its end is a frame too, when it can be read.
    pub(crate) fn finish(&mut self) -> Result<Vec<Frame>, HypervisorError> {
        Ok(self.end_line()?.into_iter().collect())
    }

    /// Returns the last of what was not ours.
    pub(crate) fn noise(&self) -> RemoteText {
        let text = String::from_utf8_lossy(&self.noise);
        let text = text.trim();
        if self.noise_was_cut {
            RemoteText::new(&format!("...{text}"))
        } else {
            RemoteText::new(text)
        }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), HypervisorError> {
        if self.is_noise {
            self.keep_noise(piece);
            return Ok(());
        }
        self.line.extend_from_slice(piece);
        if self.at_start {
            // A console set to UTF-8 may put a byte order mark before its first output.
            let mark = [0xef, 0xbb, 0xbf];
            if self.line.len() < mark.len() && mark.starts_with(&self.line) {
                return Ok(());
            }
            self.at_start = false;
            if self.line.starts_with(&mark) {
                self.line.drain(..mark.len());
            }
        }
        let shared = self.line.len().min(self.prefix.len());
        if self.line.get(..shared) != self.prefix.get(..shared) {
            let line = std::mem::take(&mut self.line);
            self.keep_noise(&line);
            self.is_noise = true;
        } else if self.line.len() > LONGEST {
            let line = std::mem::take(&mut self.line);
            return Err(unparsable("a line that does not end", &line));
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<Option<Frame>, HypervisorError> {
        self.is_noise = false;
        self.at_start = false;
        let line = std::mem::take(&mut self.line);
        let line = line.trim_ascii_end();
        let Some(rest) = line.strip_prefix(self.prefix.as_slice()) else {
            self.keep_noise(line);
            return Ok(None);
        };
        let end = rest.iter().position(|byte| *byte == b' ');
        let (word, payload) = match end {
            Some(at) => (rest.get(..at), rest.get(at + 1..)),
            None => (Some(rest), None),
        };
        let word = String::from_utf8_lossy(word.unwrap_or_default());
        let payload = payload.unwrap_or_default();
        let Some(kind) = Kind::of_word(&word) else {
            return Err(unparsable("a frame of an unknown kind", line));
        };
        let payload = if kind.is_plain() {
            payload.to_vec()
        } else {
            STANDARD
                .decode(payload)
                .map_err(|_invalid| unparsable("a frame that is not base64", line))?
        };
        Ok(Some(Frame { kind, payload }))
    }

    fn keep_noise(&mut self, bytes: &[u8]) {
        let tail = bytes.len().saturating_sub(NOISE);
        self.noise_was_cut |= tail > 0;
        self.noise
            .extend_from_slice(bytes.get(tail..).unwrap_or_default());
        let over = self.noise.len().saturating_sub(NOISE);
        if over > 0 {
            self.noise.drain(..over);
            self.noise_was_cut = true;
        }
    }
}

/// Says that an answer cannot be read, with its beginning.
pub(crate) fn unparsable(what: &str, said: &[u8]) -> HypervisorError {
    let shown = said.get(..said.len().min(SHOWN)).unwrap_or_default();
    HypervisorError::Unparsable {
        program: "powershell.exe".to_owned(),
        // What is wrong may be told with the host's own words in it.
        what: RemoteText::new(what).fit(SHOWN),
        said: RemoteText::from_bytes(shown),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::error_kind::{Classify, ErrorKind};

    const NONCE: &str = "0123456789abcdef";

    /// Makes a frame as the prelude does.
    pub(crate) fn framed(nonce: &str, word: &str, json: &serde_json::Value) -> String {
        format!(
            "{MARK}{nonce} {word} {}\r\n",
            STANDARD.encode(json.to_string())
        )
    }

    fn ok() -> String {
        framed(NONCE, "OK", &serde_json::json!({"v": 1}))
    }

    fn kinds(frames: &[Frame]) -> Vec<Kind> {
        frames.iter().map(|frame| frame.kind).collect()
    }

    fn read(output: &[u8]) -> (Vec<Frame>, FrameReader) {
        let mut reader = FrameReader::new(NONCE);
        let mut frames = reader.feed(output).unwrap();
        frames.extend(reader.finish().unwrap());
        (frames, reader)
    }

    #[test]
    fn a_byte_order_mark_and_any_line_end_are_no_obstacle() {
        for before in [
            "",
            "\u{feff}",
            "\r\n",
            "Active code page: 437\r\n",
            "\u{feff}\n",
        ] {
            for output in [ok(), ok().replace("\r\n", "\n"), ok().trim_end().to_owned()] {
                let (frames, _) = read(format!("{before}{output}").as_bytes());
                assert_eq!(kinds(&frames), [Kind::Done], "{before:?} {output:?}");
                assert_eq!(frames[0].payload, b"{\"v\":1}");
            }
        }
    }

    #[test]
    fn what_is_not_ours_is_noise_and_kept_for_diagnosis() {
        let forged = framed("ffffffffffffffff", "OK", &serde_json::json!({"v": 6}));
        let output = format!("Welcome to \u{1b}[31mSRV\r\n{forged}x {}{}bye", ok(), ok());
        let (frames, reader) = read(output.as_bytes());
        assert_eq!(kinds(&frames), [Kind::Done]);
        let noise = reader.noise();
        assert!(noise.raw().starts_with("Welcome to"), "{noise}");
        assert!(noise.raw().ends_with("bye"), "{noise}");
        assert!(noise.raw().contains("ffffffffffffffff"), "{noise}");
        assert!(!noise.shown().contains('\u{1b}'));
    }

    #[test]
    fn ten_megabytes_of_banner_cost_four_kilobytes() {
        let mut reader = FrameReader::new(NONCE);
        let banner = vec![b'x'; 1024 * 1024];
        for _ in 0..10 {
            assert!(reader.feed(&banner).unwrap().is_empty());
            assert!(reader.noise.capacity() <= 4 * NOISE);
            assert!(reader.line.capacity() <= 2 * banner.len());
        }
        let frames = reader.feed(format!("\n{}", ok()).as_bytes()).unwrap();
        assert_eq!(kinds(&frames), [Kind::Done]);
        assert!(reader.noise().raw().len() <= NOISE + 3);
    }

    #[test]
    fn half_a_frame_is_not_one() {
        let whole = ok();
        let mut reader = FrameReader::new(NONCE);
        assert!(
            reader
                .feed(whole.as_bytes()[..20].as_ref())
                .unwrap()
                .is_empty()
        );
        // Cut within the base64: its length or its JSON gives it away.
        let (cut, _) = whole.trim_end().split_at(whole.trim_end().len() - 3);
        let mut reader = FrameReader::new(NONCE);
        reader.feed(cut.as_bytes()).unwrap();
        let judged = reader.finish();
        assert!(judged.is_err() || judged.unwrap()[0].read::<serde_json::Value>().is_err());
    }

    #[test]
    fn garbage_in_a_frame_of_ours_is_a_failure_and_shown() {
        for bad in ["OK !!!!", "OK YQ=", "WHAT e30=", "OK  e30="] {
            let mut reader = FrameReader::new(NONCE);
            let error = reader
                .feed(format!("{MARK}{NONCE} {bad}\r\n").as_bytes())
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{bad}");
            assert!(error.to_string().contains("@@HV1"), "{error}");
        }
        let (frames, _) = read(format!("{MARK}{NONCE} OK bm8=\r\n").as_bytes());
        let error = frames[0].read::<serde_json::Value>().unwrap_err();
        assert!(error.to_string().contains("JSON"), "{error}");
    }

    #[test]
    fn words_of_the_host_in_what_is_wrong_are_short_and_harmless() {
        let text = "\u{3164}\u{9b}".repeat(50_000);
        let payload = serde_json::to_vec(&serde_json::json!({ "n": text })).unwrap();
        let frame = Frame {
            kind: Kind::Done,
            payload,
        };
        let error = frame
            .read::<std::collections::BTreeMap<String, u64>>()
            .unwrap_err();
        let told = error.to_string();
        assert!(told.len() < 1024, "{} bytes", told.len());
        assert!(!told.contains(['\u{3164}', '\u{9b}']), "{told:?}");
    }

    #[test]
    fn a_frame_without_an_end_is_bounded() {
        let mut reader = FrameReader::new(NONCE);
        reader
            .feed(format!("{MARK}{NONCE} OK ").as_bytes())
            .unwrap();
        let flood = vec![b'A'; 1024 * 1024];
        let ended = (0..20).any(|_| reader.feed(&flood).is_err());
        assert!(ended);
    }

    #[test]
    fn plain_frames_carry_their_text_as_it_is() {
        let output = format!(
            "{MARK}{NONCE} RAW {{\"a\":\"b c\"}}\r\n{MARK}{NONCE} END 1\r\n{MARK}{NONCE} LANG ConstrainedLanguage\r\n"
        );
        let (frames, _) = read(output.as_bytes());
        assert_eq!(kinds(&frames), [Kind::Raw, Kind::End, Kind::Language]);
        assert_eq!(frames[0].payload, b"{\"a\":\"b c\"}");
        assert_eq!(frames[1].payload, b"1");
        assert_eq!(frames[2].payload, b"ConstrainedLanguage");
    }

    proptest! {
        #[test]
        fn however_it_is_cut_it_says_the_same(cuts in proptest::collection::vec(1_usize..40, 1..60)) {
            let text = format!(
                "\u{feff}hello\r\n{}{}noise {}\n{}",
                framed(NONCE, "JOB", &serde_json::json!({"id": "x"})),
                framed(NONCE, "PROG", &serde_json::json!({"percent": 5})),
                ok().trim_end(),
                ok()
            );
            let whole = read(text.as_bytes());
            let mut reader = FrameReader::new(NONCE);
            let mut frames = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts.iter().cycle() {
                let (piece, more) = rest.split_at((*cut).min(rest.len()));
                frames.extend(reader.feed(piece).unwrap());
                rest = more;
                if rest.is_empty() {
                    break;
                }
            }
            frames.extend(reader.finish().unwrap());
            prop_assert_eq!(&frames, &whole.0);
            prop_assert_eq!(reader.noise(), whole.1.noise());
        }

        #[test]
        fn no_output_makes_it_stumble(output in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut reader = FrameReader::new(NONCE);
            drop(reader.feed(&output));
            drop(reader.finish());
            drop(reader.noise());
        }
    }
}
