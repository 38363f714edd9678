//! The names that a credential has on the way from one key to the next, and the last step: the new key gets the
//! old one's name.

use super::super::credential::words;
use super::super::keeper::Keeper;
use super::super::record;
use super::Finished;
use crate::domain::credential::{CredentialName, CredentialSummary};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::profile::ProfileError;

/// Returns the name under which the key that takes over is kept meanwhile.
pub fn successor_of(name: &CredentialName) -> Result<CredentialName, Failure> {
    with_ending(name, "new")
}

/// Returns the name under which a key that was replaced is kept.
pub fn old_of(name: &CredentialName) -> Result<CredentialName, Failure> {
    with_ending(name, "old")
}

fn with_ending(name: &CredentialName, ending: &str) -> Result<CredentialName, Failure> {
    let error = |error: crate::domain::credential::CredentialNameError| {
        let message = format!("`{name}.{ending}` cannot be a name: {error}");
        Failure::new(ErrorKind::Usage, message)
    };
    format!("{name}.{ending}").parse().map_err(error)
}

pub(super) fn no_such(name: &CredentialName) -> Failure {
    Failure::of(&ProfileError::UnknownCredential {
        name: name.to_string(),
    })
}

impl Keeper {
    /// Returns what may be shown of a credential, if there is one of that name.
    pub(super) async fn find_credential(
        &self,
        name: &CredentialName,
    ) -> Result<Option<CredentialSummary>, Failure> {
        let all = self.profile.credentials().await;
        let all = all.map_err(|error| Failure::of(&error))?;
        Ok(all.into_iter().find(|found| found.name == *name))
    }

    /// Gives the new key the old one's name, once no host uses the old one.
    pub(super) async fn finish(
        &self,
        name: &CredentialName,
        keep_old: bool,
    ) -> Result<Finished, Failure> {
        let _turn = self.turn.acquire().await;
        let old = self.find_credential(name).await?;
        let old = old.ok_or_else(|| no_such(name))?;
        if !old.used_by.is_empty() {
            return Ok(Finished::StillUsed(old.used_by));
        }
        let successor = successor_of(name)?;
        let new = self.find_credential(&successor).await?;
        let new = new.ok_or_else(|| no_such(&successor))?;
        let kept_as = if keep_old { Some(old_of(name)?) } else { None };
        let what = words(name, new.kind, new.fingerprint.as_deref());
        let details = match (&kept_as, &old.fingerprint) {
            (Some(kept), _) => format!("{what}; the old one is kept as {kept}"),
            (None, Some(print)) => format!("{what}; in place of {print}"),
            (None, None) => format!("{what}; in place of a {}", old.kind.word()),
        };
        let entry = record::note("credential-rotated", "ok", details, self.clock.now());
        let recorded = self.record(entry).await;
        recorded.map_err(|error| error.refusal("the change"))?;
        let replaced = self
            .profile
            .succeed_credential(&old.name, &successor, kept_as.as_ref());
        replaced.await.map_err(|error| Failure::of(&error))?;
        self.reread().await;
        Ok(kept_as.map_or(Finished::OldForgotten, Finished::OldKept))
    }
}
