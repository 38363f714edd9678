//! Where a scripted command writes: data here, everything else there. A reader that has gone away is
//! no failure; the command goes on to its end, silently.

use std::io::{self, Write};

use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::report::Complaint;

/// The two outputs of a command.
pub(super) struct Console<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    json: bool,
    trouble: Option<io::Error>,
}

impl<'a> Console<'a> {
    pub(super) fn new(out: &'a mut dyn Write, err: &'a mut dyn Write, json: bool) -> Self {
        Self {
            out,
            err,
            json,
            trouble: None,
        }
    }

    /// Writes data.
    pub(super) fn data(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Writes data that is no text.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if self.trouble.is_none() {
            let written = self.out.write_all(bytes);
            self.trouble = written.and_then(|()| self.out.flush()).err();
        }
    }

    /// Hands on what a program printed about trouble, as it is.
    pub(super) fn trouble_bytes(&mut self, bytes: &[u8]) {
        // As with notes: a closed standard error has no reader.
        drop(self.err.write_all(bytes));
    }

    /// Returns true when nobody reads the data any more.
    pub(super) const fn is_closed(&self) -> bool {
        self.trouble.is_some()
    }

    /// Tells what is no failure.
    pub(super) fn note(&mut self, text: &str) {
        if !self.json {
            // Standard error may be closed as well; then there is nobody to tell.
            drop(writeln!(self.err, "{text}"));
        }
    }

    /// Tells of a failure, as an object where objects were asked for.
    pub(super) fn complain(&mut self, complaint: &Complaint) {
        let text = if self.json {
            complaint.to_json()
        } else {
            complaint.to_text()
        };
        drop(self.err.write_all(text.as_bytes()));
    }

    /// Ends the command: data that could not be written is a failure, unless its reader went away.
    pub(super) fn finish(mut self, code: ExitCode) -> ExitCode {
        match self.trouble.take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let message = format!("could not write the result: {error}");
                let failure = Failure::new(ErrorKind::Store, message);
                self.complain(&failure.into());
                if code == ExitCode::Done {
                    ExitCode::Failed
                } else {
                    code
                }
            }
            _ => code,
        }
    }
}
