//! `vmdeck credential`: seal keys and passwords into the profile. Adding needs no unlock.

use super::desk::{Desk, Told, could_not, refuse};
use super::passphrase::PassphraseSource;
use super::record::{Change, written_down};
use super::{columns, unlock};
use crate::cli::{CredentialAdd, CredentialCommand};
use crate::domain::credential::CredentialName;
use crate::domain::error_kind::{ErrorKind, ExitCode};
use crate::domain::secret::SecretText;
use crate::fleet::credential::{self, Made, words};
use crate::profile::ProfileError;
use crate::report::Complaint;
use crate::transport::ssh::key::{self, KeyError, KeyFacts};
use crate::vault::Vault;

/// Runs one of the commands that need no host.
pub async fn run(desk: &mut Desk<'_>, command: &CredentialCommand) -> Told {
    match command {
        CredentialCommand::Add(args) => add(desk, args).await,
        CredentialCommand::List => list(desk).await,
        CredentialCommand::Rm { name } => remove(desk, name).await,
        CredentialCommand::Public { name } => public(desk, name).await,
        // It dials, so it is run where there is a fleet.
        CredentialCommand::Rotate(_) => Ok(ExitCode::Done),
    }
}

async fn add(desk: &mut Desk<'_>, args: &CredentialAdd) -> Told {
    let made = make(desk, args)?;
    let profile = desk.open_or_create().await?;
    let vault = Vault::new(None);
    let identity = unlock::identity(&profile, &vault, desk.passphrase.as_ref()).await?;
    let known = profile.credentials().await;
    let known = known.map_err(could_not("read the credentials"))?;
    if known.iter().any(|credential| credential.name == args.name) {
        let name = args.name.clone();
        return Err(could_not("add the credential")(
            ProfileError::DuplicateCredential { name },
        ));
    }
    let change = Change {
        action: "credential-added",
        host: None,
        details: made.words(&args.name),
    };
    let facts = made.facts.clone();
    let kept = made.keep(
        &profile,
        &identity.recipient,
        (args.name.clone(), desk.clock.now()),
    );
    let adding = async { kept.await.map_err(Complaint::from) };
    written_down(desk, &profile, change, adding).await?;
    match &facts {
        Some(facts) => {
            desk.say(&format!("added {} {}", facts.algorithm, facts.fingerprint));
            if args.source.generate.is_some() {
                desk.say(&facts.public_line);
                desk.note("put this line into ~/.ssh/authorized_keys of the account on each host");
            }
        }
        None => desk.say(&format!("added password {}", args.name)),
    }
    desk.note(&format!(
        "use it with `vmdeck host add ... --credential {0}` or `vmdeck host edit HOST --credential {0}`",
        args.name
    ));
    Ok(ExitCode::Done)
}

fn make(desk: &Desk<'_>, args: &CredentialAdd) -> Result<Made, Complaint> {
    let source = &args.source;
    if source.password_stdin {
        let password = read_secret(&PassphraseSource::Fd(0), "")?;
        return Ok(Made::password(password));
    }
    if source.generate.is_some() {
        return Ok(Made::generated(&args.name)?);
    }
    let (what, bytes) = match &source.key_file {
        Some(path) => (path.display().to_string(), credential::read_file(path)?),
        None => (
            "the key on standard input".to_owned(),
            credential::read_all(std::io::stdin(), "standard input")?,
        ),
    };
    let pem = credential::as_pem(&bytes, &what)?;
    let (passphrase, facts) = describe(desk, args, &what, &pem)?;
    let beside = source.key_file.as_deref();
    let certificate = credential::certificate(args.certificate.as_deref(), beside)?;
    Ok(Made::key(pem, passphrase, certificate, facts))
}

fn read_secret(source: &PassphraseSource, question: &str) -> Result<SecretText, Complaint> {
    source.read(question).map_err(|error| Complaint::of(&error))
}

/// Opens the key to see that it is one; asks for its own passphrase where it has one.
fn describe(
    desk: &Desk<'_>,
    args: &CredentialAdd,
    what: &str,
    pem: &SecretText,
) -> Result<(Option<SecretText>, KeyFacts), Complaint> {
    let given = match args.key_passphrase_fd {
        Some(number) => Some(read_secret(&PassphraseSource::Fd(number), "")?),
        None => None,
    };
    match (key::describe(pem, given.as_ref()), &given) {
        (Ok(facts), _) => Ok((given.filter(|_| facts.protected), facts)),
        (Err(KeyError::NeedsPassphrase), None) if desk.interactive => {
            let typed = read_secret(
                &PassphraseSource::Prompt,
                &format!("Passphrase of {what}: "),
            )?;
            let facts = key::describe(pem, Some(&typed)).map_err(|error| unusable(what, &error))?;
            Ok((Some(typed), facts))
        }
        (Err(error), _) => Err(unusable(what, &error)),
    }
}

fn unusable(what: &str, error: &KeyError) -> Complaint {
    let mut failure = credential::unusable(what, error);
    if *error == KeyError::NeedsPassphrase {
        failure = failure.with_hint("run it in a terminal, or give --key-passphrase-fd N");
    }
    failure.into()
}

async fn list(desk: &mut Desk<'_>) -> Told {
    let profile = desk.open_or_create().await?;
    let all = profile
        .credentials()
        .await
        .map_err(could_not("list the credentials"))?;
    if all.is_empty() {
        desk.note(
            "no credentials yet; make a key with `vmdeck credential add NAME --generate ed25519`",
        );
        return Ok(ExitCode::Done);
    }
    let heading = ["NAME", "KIND", "FINGERPRINT", "ADDED", "USED BY"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(|credential| {
        vec![
            credential.name.to_string(),
            credential.kind.word().to_owned(),
            credential
                .fingerprint
                .clone()
                .unwrap_or_else(|| "–".to_owned()),
            moment(&credential.created_at),
            match credential.used_by.as_slice() {
                [] => "–".to_owned(),
                hosts => hosts.join(", "),
            },
        ]
    }));
    desk.write(&columns::align(&rows));
    Ok(ExitCode::Done)
}

/// Shows a moment to the second.
fn moment(text: &str) -> String {
    text.parse::<jiff::Timestamp>()
        .map_or_else(|_| text.to_owned(), |at| format!("{at:.0}"))
}

async fn remove(desk: &mut Desk<'_>, name: &CredentialName) -> Told {
    let profile = desk.open().await?;
    let all = profile.credentials().await;
    let all = all.map_err(could_not("read the credentials"))?;
    let removing = async {
        let removed = profile.remove_credential(name).await;
        removed.map_err(could_not("remove the credential"))
    };
    match all.iter().find(|credential| credential.name == *name) {
        Some(found) if found.used_by.is_empty() => {
            let change = Change {
                action: "credential-removed",
                host: None,
                details: words(name, found.kind, found.fingerprint.as_deref()),
            };
            written_down(desk, &profile, change, removing).await?;
        }
        // It says itself why not.
        Some(_) | None => removing.await?,
    }
    desk.say(&format!("removed credential {name}"));
    Ok(ExitCode::Done)
}

async fn public(desk: &mut Desk<'_>, name: &CredentialName) -> Told {
    let profile = desk.open().await?;
    let all = profile
        .credentials()
        .await
        .map_err(could_not("read the credentials"))?;
    let Some(found) = all.iter().find(|credential| credential.name == *name) else {
        return Err(refuse(
            ErrorKind::NotFound,
            format!("there is no credential `{name}`"),
            "`vmdeck credential list` shows the credentials",
        ));
    };
    match &found.public_key {
        Some(line) => {
            desk.say(line);
            Ok(ExitCode::Done)
        }
        None => Err(refuse(
            ErrorKind::Usage,
            format!(
                "credential `{name}` is a {} and has no public half",
                found.kind.word()
            ),
            "keys have one",
        )),
    }
}
