//! One run of a script outside the driver, under whatever name PowerShell has on the host. Says how far it came
//! and leaves what that means to whoever asked.

use super::answer::{self, Trouble};
use super::command::PROGRAMS;
use super::envelope::{Nonce, seal};
use super::parse::Answer;
use super::script::Task;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;
use crate::hypervisor::HypervisorError;
use crate::transport::{CommandOutput, ExecLimits, Transport};

/// A script, and how it is run.
pub(super) struct Question<'a> {
    /// The command that is shown.
    pub(super) shown: &'a RemoteCommand,
    /// The script.
    pub(super) task: Task,
    /// Its arguments, as JSON.
    pub(super) arguments: &'a str,
    /// Its standard input.
    pub(super) stdin: &'a [u8],
    /// How much of its answer is waited for.
    pub(super) limits: ExecLimits,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// Nothing was sent.
    NotSent(HypervisorError),
    /// The link did not carry it to its end: it may have run all the same.
    Lost(HypervisorError),
    /// It ended, or could not begin, in this way.
    Told(Trouble),
}

/// Asks. A name that was not found has run nothing, so that trying the next one never does anything twice.
/// `takes` may refuse an output before it is read.
pub(super) async fn exchange(
    link: &dyn Transport,
    question: &Question<'_>,
    takes: fn(&CommandOutput) -> Result<(), HypervisorError>,
) -> Result<Answer, Unanswered> {
    let mut first = None;
    for program in PROGRAMS {
        let nonce = Nonce::fresh();
        let mut shown = question.shown.clone();
        program.clone_into(&mut shown.program);
        let sealed = seal(shown, question.task, question.arguments, &nonce);
        let command = sealed.map_err(Unanswered::NotSent)?.stdin(question.stdin);
        let asking = link.exec(&command, question.limits).await;
        let output = asking.map_err(|error| Unanswered::Lost(error.into()))?;
        takes(&output).map_err(|error| Unanswered::Told(error.into()))?;
        match answer::of(&output, &nonce) {
            Ok(answer) => return Ok(answer),
            Err(Trouble::NotFound(said)) => {
                first.get_or_insert(said);
            }
            Err(trouble) => return Err(Unanswered::Told(trouble)),
        }
    }
    let said = first.unwrap_or(RemoteText::new(""));
    Err(Unanswered::Told(Trouble::NotFound(said)))
}
