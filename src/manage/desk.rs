//! What every keeping command works with: where the profiles are, which one, where to write.

use std::io::Write;
use std::path::PathBuf;

use super::passphrase::PassphraseSource;
use crate::accounts::Accounts;
use crate::clock::Clock;
use crate::domain::error_kind::{Classify, ErrorKind, ExitCode, Failure};
use crate::domain::operation::Actor;
use crate::profile::{Profile, ProfileError, ProfileName};
use crate::report::Complaint;

/// How a keeping command ends.
pub type Told = Result<ExitCode, Complaint>;

/// What a keeping command works with.
pub struct Desk<'a> {
    /// The directory that holds the profiles.
    pub root: PathBuf,
    /// The profile in use.
    pub profile: ProfileName,
    /// Whether a person named that profile; one that nobody named is created when it is first needed.
    pub named: bool,
    /// The directory of the server's accounts.
    pub server: PathBuf,
    /// Where the passphrase comes from; `None` = nowhere.
    pub passphrase: Option<PassphraseSource>,
    /// Wall time.
    pub clock: Clock,
    /// Who is at the command line.
    pub actor: Actor,
    /// Whether a person is there to be asked.
    pub interactive: bool,
    /// Results.
    pub out: &'a mut dyn Write,
    /// Everything else.
    pub err: &'a mut dyn Write,
}

impl std::fmt::Debug for Desk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Desk({} in {})", self.profile, self.root.display())
    }
}

impl Desk<'_> {
    /// Writes a line of the result. A reader that has gone away is no failure.
    pub fn say(&mut self, line: &str) {
        drop(writeln!(self.out, "{line}"));
    }

    /// Writes text of the result as it is.
    pub fn write(&mut self, text: &str) {
        drop(self.out.write_all(text.as_bytes()));
    }

    /// Tells what is not part of the result.
    pub fn note(&mut self, line: &str) {
        drop(writeln!(self.err, "{line}"));
    }

    /// Opens the profile in use.
    pub async fn open(&self) -> Result<Profile, Complaint> {
        Profile::open(&self.root, &self.profile)
            .await
            .map_err(|error| Complaint::of(&error))
    }

    /// Opens the server's accounts; makes them where there are none.
    pub async fn accounts(&self) -> Result<Accounts, Complaint> {
        Accounts::open(&self.server, self.clock.clone())
            .await
            .map_err(|error| Complaint::of(&error))
    }

    /// Opens the profile in use; creates it when nobody named it and it is not there yet.
    pub async fn open_or_create(&mut self) -> Result<Profile, Complaint> {
        match Profile::open(&self.root, &self.profile).await {
            Err(ProfileError::NotFound { .. }) if !self.named => {
                let made = Profile::create(&self.root, &self.profile).await;
                let made = made.map_err(could_not("create the profile"))?;
                let name = &self.profile;
                let place = made.dir().display().to_string();
                self.note(&format!("created the profile `{name}` in {place}"));
                Ok(made)
            }
            opened => opened.map_err(|error| Complaint::of(&error)),
        }
    }

    /// Asks a person yes or no on the terminal; without one, the answer is no.
    pub fn agrees(&mut self, question: &str) -> bool {
        if !self.interactive {
            return false;
        }
        drop(write!(self.err, "{question} [y/N] "));
        drop(self.err.flush());
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
    }
}

/// Turns an error of a layer into a complaint that says what was being done.
pub fn could_not<E: Classify>(what: &str) -> impl FnOnce(E) -> Complaint + '_ {
    move |error| {
        let mut failure = Failure::of(&error);
        failure.message = format!("could not {what}: {}", failure.message);
        failure.into()
    }
}

/// A refusal of ours.
pub(super) fn refuse(kind: ErrorKind, message: impl Into<String>, hint: &str) -> Complaint {
    Failure::new(kind, message).with_hint(hint).into()
}
