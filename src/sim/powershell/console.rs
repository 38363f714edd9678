//! A PowerShell process's console: encodes what the interpreter writes and puts it on the streams.

use super::clixml::Document;
use super::cmd;
use super::codepage;
use super::interp::{Console, Line, Ran, Stream};
use super::life::Life;
use super::machine::{Edition, Machine};
use super::native::Encoding;
use super::process;
use super::render;
use crate::sim::stdio::{Input, Piece, Stdio};

use std::time::{Duration, Instant};

/// Width of the hidden console of an exec channel.
const WIDTH: usize = 80;
/// A process of Windows reads no sooner after its start. One of a fast host starts at once, and what its client
/// sent with the command is not there yet.
const SOONEST: Duration = Duration::from_secs(2);
/// Time between looks at standard input.
const LOOK: Duration = Duration::from_millis(5);

/// The console of one process.
#[derive(Debug)]
pub(super) struct HostConsole<'s> {
    pub(super) stdio: &'s mut Stdio,
    pub(super) life: Life,
    encoding: Encoding,
    /// Whether a mark is still to be written before the first output.
    marks: bool,
    /// Whether reads that begin on an empty pipe hang.
    wedges: bool,
    /// The form of errors when the command was encoded.
    document: Option<Document>,
    /// Output kept for the script that started this process.
    pub(super) kept: Option<String>,
    /// Input that was read and not yet taken.
    unread: Vec<u8>,
    ended: bool,
    began: Instant,
}

impl<'s> HostConsole<'s> {
    pub(super) fn new(
        stdio: &'s mut Stdio,
        machine: &dyn Machine,
        life: Life,
        edition: Edition,
        as_document: bool,
    ) -> Self {
        let windows = machine.windows();
        Self {
            stdio,
            life,
            encoding: Encoding::Page(windows.code_page),
            marks: windows.writes_bom,
            wedges: windows.input_wedges && edition == Edition::Desktop,
            document: as_document.then(Document::default),
            kept: None,
            unread: Vec::new(),
            ended: false,
            began: Instant::now(),
        }
    }

    /// Ends what was begun on standard error.
    pub(super) fn close(&mut self) {
        if let Some(end) = self.document.as_ref().map(Document::end) {
            self.write_error(end);
        }
    }

    fn write_error(&self, text: &str) {
        if !text.is_empty() {
            self.stdio.send(Piece::Err(self.encoded(text)));
        }
    }

    fn encoded(&self, text: &str) -> Vec<u8> {
        match self.encoding {
            Encoding::Utf8 { .. } => text.as_bytes().to_vec(),
            Encoding::Utf16 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Encoding::Ascii => text
                .chars()
                .map(|c| u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(b'?'))
                .collect(),
            Encoding::Page(page) => codepage::encode(page, text),
        }
    }

    /// Reads more of standard input; `false` at its end or when the process is ended, `None` when it is late.
    fn read_more(&mut self, until: Option<Instant>) -> Option<bool> {
        let mut first = true;
        while !self.life.ended() {
            if until.is_some_and(|until| Instant::now() >= until) {
                return None;
            }
            match self.stdio.look() {
                Input::Bytes(bytes) => {
                    self.unread.extend(bytes);
                    return Some(true);
                }
                Input::End => return Some(false),
                // The wait for data on such a pipe is never answered, whatever comes later.
                Input::Empty if self.wedges && first && self.began.elapsed() >= SOONEST => {
                    let left = |until: Instant| until.saturating_duration_since(Instant::now());
                    let time = until.map_or(Duration::from_secs(3600), left);
                    while self.life.wait(time) && until.is_none() {}
                    return until.is_none().then_some(false);
                }
                Input::Empty if self.began.elapsed() < SOONEST => {
                    self.life.wait(LOOK);
                }
                Input::Empty => {
                    first = false;
                    self.life.wait(LOOK);
                }
            }
        }
        Some(false)
    }

    fn line_by(&mut self, until: Option<Instant>) -> Line {
        loop {
            if let Some(place) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=place).collect();
                return Line::Text(self.decoded(&line));
            }
            let goes_on = if self.ended {
                Some(false)
            } else {
                self.read_more(until)
            };
            let Some(goes_on) = goes_on else {
                return Line::Late;
            };
            if !goes_on {
                self.ended = true;
                if self.unread.is_empty() || self.life.ended() {
                    return Line::End;
                }
                let line = std::mem::take(&mut self.unread);
                return Line::Text(self.decoded(&line));
            }
        }
    }
}

impl Console for HostConsole<'_> {
    fn out(&mut self, text: &str) {
        if let Some(kept) = &mut self.kept {
            kept.push_str(text);
            return;
        }
        let mut bytes = Vec::new();
        if self.marks && matches!(self.encoding, Encoding::Utf8 { marked: true }) {
            self.marks = false;
            bytes.extend([0xef, 0xbb, 0xbf]);
        }
        bytes.extend(self.encoded(text));
        if !bytes.is_empty() {
            self.stdio.send(Piece::Out(bytes));
        }
    }

    fn record(&mut self, stream: Stream, text: &str) {
        let wrapped = render::wrapped(text, WIDTH);
        if let Some(document) = &mut self.document {
            let written = document.lines(stream, &wrapped);
            self.write_error(&written);
            return;
        }
        match stream {
            Stream::Error => self.write_error(&format!("{wrapped}\r\n")),
            // Without a document, these go where output goes.
            Stream::Warning => self.out(&format!("WARNING: {text}\r\n")),
            Stream::Verbose => self.out(&format!("VERBOSE: {text}\r\n")),
        }
    }

    fn error(&mut self, text: &str) {
        self.write_error(text);
    }

    fn progress(&mut self, activity: &str) {
        if let Some(document) = &mut self.document {
            let written = document.progress(activity);
            self.write_error(&written);
        }
    }

    fn encoding(&self) -> Encoding {
        self.encoding
    }

    fn set_encoding(&mut self, encoding: Encoding) {
        self.encoding = encoding;
    }

    fn run_shell(
        &mut self,
        machine: &mut dyn Machine,
        edition: Edition,
        words: &[String],
        captures: bool,
    ) -> Option<Ran> {
        let (code, out) = process::run_inner(machine, self.stdio, edition, words, captures);
        Some(Ran { code, out })
    }

    fn run_cmd(&mut self, machine: &mut dyn Machine, line: &str, captures: bool) -> Option<Ran> {
        let (code, out) = cmd::run_inner(line, machine, self.stdio, captures);
        Some(Ran { code, out })
    }

    fn read_line(&mut self) -> Option<String> {
        match self.line_by(None) {
            Line::Text(line) => Some(line),
            Line::End | Line::Late => None,
        }
    }

    fn read_line_within(&mut self, time: Duration) -> Line {
        self.line_by(Some(Instant::now() + time))
    }
}

impl HostConsole<'_> {
    fn decoded(&self, line: &[u8]) -> String {
        let text = match self.encoding {
            Encoding::Page(page) => codepage::decode(page, line),
            _ => String::from_utf8_lossy(line).into_owned(),
        };
        text.trim_end_matches(['\r', '\n']).to_owned()
    }
}
