//! `vmdeck profile`: create, list, re-key, remove.

use super::desk::{Desk, Told, could_not, refuse};
use super::passphrase::PassphraseSource;
use super::record::{self, Change};
use super::unlock;
use crate::accounts::Accounts;
use crate::cli::ProfileCommand;
use crate::domain::credential::WrappedIdentity;
use crate::domain::error_kind::{ErrorKind, ExitCode};
use crate::profile::{Profile, ProfileName};
use crate::report::Complaint;
use crate::vault::Vault;

/// Runs one of the commands.
pub async fn run(desk: &mut Desk<'_>, command: &ProfileCommand) -> Told {
    match command {
        ProfileCommand::Create { name, passphrase } => create(desk, name, *passphrase).await,
        ProfileCommand::List => list(desk),
        ProfileCommand::Passwd {
            name,
            server,
            new_passphrase_fd,
        } => {
            if *server {
                rekey_server(desk, *new_passphrase_fd).await
            } else {
                rekey(desk, name.as_deref(), *new_passphrase_fd).await
            }
        }
        ProfileCommand::Grant { name } => grant(desk, name.as_deref()).await,
        ProfileCommand::TakeBack { name } => take_back(desk, name.as_deref()).await,
        ProfileCommand::Rm { name, yes } => remove(desk, name, *yes).await,
    }
}

/// Reads a profile's name.
pub fn name(text: &str) -> Result<ProfileName, Complaint> {
    text.parse().map_err(|error| {
        let hint = "choose another name";
        refuse(ErrorKind::Usage, format!("`{text}`: {error}"), hint)
    })
}

async fn create(desk: &mut Desk<'_>, wanted: &str, with_passphrase: bool) -> Told {
    let wanted = name(wanted)?;
    // Asked for before anything is made: a person who gives up leaves nothing behind.
    let passphrase = if with_passphrase {
        Some(unlock::new_passphrase(
            desk.passphrase.as_ref(),
            &format!("profile {wanted}"),
        )?)
    } else {
        None
    };
    let made = Profile::create(&desk.root, &wanted).await;
    let made = made.map_err(could_not("create the profile"))?;
    if let Some(passphrase) = passphrase {
        let identity = Vault::new(None).create_identity(&passphrase).await;
        let identity = identity.map_err(could_not("set the passphrase"))?;
        made.set_identity(identity)
            .await
            .map_err(could_not("set the passphrase"))?;
    }
    desk.say(&format!(
        "created profile {wanted} in {}",
        made.dir().display()
    ));
    if wanted != desk.profile {
        desk.note(&format!("use it with `vmdeck --profile {wanted}`"));
    }
    Ok(ExitCode::Done)
}

fn list(desk: &mut Desk<'_>) -> Told {
    let names = Profile::list(&desk.root).map_err(could_not("list the profiles"))?;
    if names.is_empty() {
        desk.note("there is no profile yet; `vmdeck host add` creates one");
    }
    for name in names {
        desk.say(name.as_str());
    }
    Ok(ExitCode::Done)
}

/// Where a new passphrase comes from: a descriptor that was named for it, or a person.
fn new_source(desk: &Desk<'_>, from: Option<i32>) -> Option<PassphraseSource> {
    let asked = |source: &PassphraseSource| *source == PassphraseSource::Prompt;
    match from {
        Some(number) => Some(PassphraseSource::Fd(number)),
        None => desk.passphrase.clone().filter(asked),
    }
}

async fn rekey(desk: &mut Desk<'_>, of: Option<&str>, new_from: Option<i32>) -> Told {
    if let Some(of) = of {
        desk.profile = name(of)?;
    }
    let profile = desk.open().await?;
    let stored = profile.identity().await;
    let stored = stored.map_err(could_not("read the profile"))?;
    let Some(identity) = stored else {
        // The first passphrase: it may come from where passphrases come from.
        let first = new_source(desk, new_from).or_else(|| desk.passphrase.clone());
        unlock::identity(&profile, &Vault::new(None), first.as_ref()).await?;
        desk.say(&format!("profile {} has a passphrase now", profile.name()));
        return Ok(ExitCode::Done);
    };
    let what = format!("profile {}", profile.name());
    let rewrapped = rewrapped(desk, &identity, new_from, &what).await?;
    profile
        .set_identity(rewrapped)
        .await
        .map_err(could_not("change the passphrase"))?;
    desk.say(&format!("the passphrase of {what} is changed"));
    Ok(ExitCode::Done)
}

/// Changes the passphrase that the server starts with. What it has sealed stays as it is, and a server that
/// runs has its identity open already.
async fn rekey_server(desk: &mut Desk<'_>, new_from: Option<i32>) -> Told {
    let none = || {
        refuse(
            ErrorKind::NotFound,
            "the server has no passphrase yet",
            "its first start with `--passphrase-fd N`, VMDECK_PASSPHRASE_FILE or a systemd credential sets it",
        )
    };
    if !Accounts::exist(&desk.server) {
        return Err(none());
    }
    let accounts = desk.accounts().await?;
    let stored = accounts.identity().await;
    let stored = stored.map_err(could_not("read the server's identity"))?;
    let identity = stored.ok_or_else(none)?;
    let rewrapped = rewrapped(desk, &identity, new_from, "the server").await?;
    accounts
        .set_identity(rewrapped)
        .await
        .map_err(could_not("change the passphrase"))?;
    desk.say("the passphrase of the server is changed");
    desk.note("next: put it where the server reads it from; the old one starts it no more");
    Ok(ExitCode::Done)
}

/// Wraps an identity with a new passphrase, once the present one has opened it.
async fn rewrapped(
    desk: &Desk<'_>,
    identity: &WrappedIdentity,
    new_from: Option<i32>,
    what: &str,
) -> Result<WrappedIdentity, Complaint> {
    let nobody = || {
        refuse(
            ErrorKind::Locked,
            "the present passphrase is needed, and there is nobody to ask",
            "run it in a terminal, or give --passphrase-fd N",
        )
    };
    let source = desk.passphrase.as_ref().ok_or_else(nobody)?;
    let old = source
        .read("Present passphrase: ")
        .map_err(|error| Complaint::of(&error))?;
    let vault = Vault::new(None);
    // A wrong one is told before a new one is asked for.
    vault
        .unlock(identity, &old)
        .await
        .map_err(could_not("change the passphrase"))?;
    let new = unlock::new_passphrase(new_source(desk, new_from).as_ref(), what)?;
    let rewrapped = vault.rewrap(identity, &old, &new).await;
    rewrapped.map_err(could_not("change the passphrase"))
}

async fn grant(desk: &mut Desk<'_>, of: Option<&str>) -> Told {
    if let Some(of) = of {
        desk.profile = name(of)?;
    }
    let profile = desk.open().await?;
    let accounts = desk.accounts().await?;
    let server = accounts.identity().await;
    let server = server.map_err(could_not("read the server's identity"))?;
    let stored = profile.identity().await;
    let stored = stored.map_err(could_not("read the profile"))?;
    let sealed = match (stored, server) {
        (None, _) => None,
        (Some(_), None) => {
            return Err(refuse(
                ErrorKind::Locked,
                "the server has no passphrase yet, so it could keep this profile's secrets for nobody",
                "start it once with `--passphrase-fd N` or VMDECK_PASSPHRASE_FILE: that sets it",
            ));
        }
        (Some(_), Some(server)) => {
            let vault = Vault::new(None);
            let source = desk.passphrase.clone().ok_or_else(|| {
                refuse(
                    ErrorKind::Locked,
                    "the profile's passphrase is needed, and there is nobody to ask",
                    "run it in a terminal, or give --passphrase-fd N",
                )
            })?;
            unlock::unlock(&profile, &vault, &source).await?;
            let sealed = vault.entrust(&server.recipient, profile.id());
            Some(sealed.map_err(could_not("grant the profile"))?)
        }
    };
    let with_secrets = sealed.is_some();
    let secrets = if with_secrets { "with" } else { "without" };
    let change = Change {
        action: "profile-granted",
        details: format!("to the server, {secrets} its sealed credentials"),
        ..Change::default()
    };
    record::written_down(desk, &profile, change, async {
        let granted = accounts.grant(profile.name().as_str(), profile.id(), sealed, false);
        granted.await.map_err(could_not("grant the profile"))
    })
    .await?;
    desk.say(&format!(
        "profile {} is granted to the server",
        profile.name()
    ));
    if !with_secrets {
        desk.note("it has no sealed credentials yet; grant it again once it has");
    }
    desk.note(&format!(
        "give somebody a key for it with `vmdeck user add NAME --in {0}`; take it back with `vmdeck profile take-back {0}`",
        profile.name()
    ));
    Ok(ExitCode::Done)
}

async fn take_back(desk: &mut Desk<'_>, of: Option<&str>) -> Told {
    if let Some(of) = of {
        desk.profile = name(of)?;
    }
    let accounts = desk.accounts().await?;
    accounts
        .take_back(desk.profile.as_str())
        .await
        .map_err(could_not("take the profile back"))?;
    let name = desk.profile.clone();
    let change = Change {
        action: "profile-taken-back",
        details: "from the server".to_owned(),
        ..Change::default()
    };
    record::noted(desk, name.as_str(), change).await;
    desk.say(&format!("profile {name} is taken back"));
    Ok(ExitCode::Done)
}

async fn remove(desk: &mut Desk<'_>, wanted: &str, yes: bool) -> Told {
    let wanted = name(wanted)?;
    let question = format!("Remove profile {wanted} with its hosts, credentials and audit log?");
    if !(yes || desk.agrees(&question)) {
        return Err(refuse(
            ErrorKind::Refused,
            format!("profile {wanted} would be removed with its credentials and audit log"),
            "add --yes if that is meant",
        ));
    }
    Profile::remove(&desk.root, &wanted)
        .await
        .map_err(could_not("remove the profile"))?;
    desk.say(&format!("removed profile {wanted}"));
    Ok(ExitCode::Done)
}
