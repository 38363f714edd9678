//! What was recorded of a host: its answers to questions that change nothing, with stand-ins for everything
//! that is the business of its owner. Data only.

use std::collections::BTreeMap;

use super::host::HypervisorKind;

/// The answers of one host.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Which hypervisor answered.
    pub kind: HypervisorKind,
    /// Its versions, as it says them itself.
    pub version: String,
    /// Every question with its answer, in the order in which they were asked.
    pub transcripts: Vec<Transcript>,
    /// How many different things were replaced, by sort.
    pub replaced: BTreeMap<&'static str, usize>,
    /// VMs that were not asked about, because there were too many.
    pub left_out: usize,
}

/// One question and its answer.
#[derive(Debug, Clone)]
pub struct Transcript {
    /// What was asked, in the driver's words, redacted.
    pub question: String,
    /// What came, or why nothing did.
    pub answer: Result<Answered, String>,
}

/// What came back, redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Standard output.
    pub stdout: Stream,
    /// Standard error.
    pub stderr: Stream,
    /// Exit code, or how else it ended.
    pub status: String,
}

/// One stream of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stream {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether a person should look at it before it is given to anybody: something that looks private may
    /// have been left, or the text is in an encoding in which names are not recognised.
    pub look: bool,
}
