//! Opening a profile's secrets, and setting their passphrase the first time.

use super::desk::{could_not, refuse};
use super::passphrase::PassphraseSource;
use crate::domain::credential::WrappedIdentity;
use crate::domain::error_kind::{Classify, ErrorKind};
use crate::domain::secret::SecretText;
use crate::profile::Profile;
use crate::report::Complaint;
use crate::vault::Vault;

/// How often a person may try.
const ATTEMPTS: usize = 3;

/// Unlocks a profile's vault; a person has three attempts. Returns false where there is nothing to
/// unlock.
pub async fn unlock(
    profile: &Profile,
    vault: &Vault,
    source: &PassphraseSource,
) -> Result<bool, Complaint> {
    let stored = profile
        .identity()
        .await
        .map_err(could_not("read the profile"))?;
    let Some(identity) = stored else {
        return Ok(false);
    };
    let person = *source == PassphraseSource::Prompt;
    let question = format!("Passphrase of profile {}: ", profile.name());
    let mut left = if person { ATTEMPTS } else { 1 };
    loop {
        let passphrase = source
            .read(&question)
            .map_err(|error| Complaint::of(&error))?;
        left -= 1;
        match vault.unlock(&identity, &passphrase).await {
            Ok(()) => return Ok(true),
            Err(error) if left == 0 || error.kind() != ErrorKind::Locked => {
                return Err(could_not("unlock the profile")(error));
            }
            Err(_wrong) => {}
        }
    }
}

/// Gets a new passphrase, or says that there is nobody to ask.
pub(super) fn new_passphrase(
    source: Option<&PassphraseSource>,
    what: &str,
) -> Result<SecretText, Complaint> {
    let Some(source) = source else {
        return Err(refuse(
            ErrorKind::Locked,
            format!("{what} needs a passphrase, and there is nobody to ask"),
            "run it in a terminal, or give --passphrase-fd N or VMDECK_PASSPHRASE_FILE",
        ));
    };
    let read = source.read_new(&format!("New passphrase for {what}: "));
    read.map_err(|error| Complaint::of(&error))
}

/// Returns the identity to seal to; the first time, its passphrase is set.
pub(super) async fn identity(
    profile: &Profile,
    vault: &Vault,
    source: Option<&PassphraseSource>,
) -> Result<WrappedIdentity, Complaint> {
    let stored = profile
        .identity()
        .await
        .map_err(could_not("read the profile"))?;
    if let Some(identity) = stored {
        return Ok(identity);
    }
    let passphrase = new_passphrase(source, &format!("profile {}", profile.name()))?;
    let made = vault.create_identity(&passphrase).await;
    let made = made.map_err(could_not("set the passphrase"))?;
    let kept = profile.set_identity(made.clone()).await;
    kept.map_err(could_not("keep the passphrase"))?;
    Ok(made)
}
