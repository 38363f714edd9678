//! A PowerShell process's console: encodes what the interpreter writes and puts it on the streams.

use super::clixml::Document;
use super::cmd;
use super::codepage;
use super::interp::{Console, Ran, Stream};
use super::life::Life;
use super::machine::{Edition, Machine};
use super::native::Encoding;
use super::process;
use super::render;
use crate::sim::stdio::{Input, Piece, Stdio};

use std::time::Duration;

/// Width of the hidden console of an exec channel.
const WIDTH: usize = 80;
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

    /// Reads more of standard input; `false` at its end or when the process is ended.
    fn read_more(&mut self) -> bool {
        let mut first = true;
        while !self.life.ended() {
            match self.stdio.look() {
                Input::Bytes(bytes) => {
                    self.unread.extend(bytes);
                    return true;
                }
                Input::End => return false,
                // The wait for data on such a pipe is never answered, whatever comes later.
                Input::Empty if self.wedges && first => {
                    while self.life.wait(Duration::from_secs(3600)) {}
                    return false;
                }
                Input::Empty => {
                    first = false;
                    self.life.wait(LOOK);
                }
            }
        }
        false
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
        loop {
            if let Some(place) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=place).collect();
                return Some(self.decoded(&line));
            }
            if self.ended || !self.read_more() {
                self.ended = true;
                if self.unread.is_empty() || self.life.ended() {
                    return None;
                }
                let line = std::mem::take(&mut self.unread);
                return Some(self.decoded(&line));
            }
        }
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
