//! `vmdeck credential`: seal keys and passwords into the profile. Adding needs no unlock.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::desk::{Desk, Told, could_not, refuse};
use super::passphrase::PassphraseSource;
use super::record::{Change, written_down};
use super::{columns, unlock};
use crate::cli::{CredentialAdd, CredentialCommand};
use crate::domain::credential::{CredentialKind, CredentialName, CredentialSecret, NewCredential};
use crate::domain::error_kind::{ErrorKind, ExitCode};
use crate::domain::secret::SecretText;
use crate::profile::ProfileError;
use crate::report::Complaint;
use crate::transport::ssh::key::{self, KeyError, KeyFacts};
use crate::transport::ssh::keygen;
use crate::vault::{SealContext, Vault};

/// Bytes of a key or certificate that are read.
const MAX_BYTES: u64 = 64 * 1024;

/// Runs one of the commands.
pub async fn run(desk: &mut Desk<'_>, command: &CredentialCommand) -> Told {
    match command {
        CredentialCommand::Add(args) => add(desk, args).await,
        CredentialCommand::List => list(desk).await,
        CredentialCommand::Rm { name } => remove(desk, name).await,
        CredentialCommand::Public { name } => public(desk, name).await,
    }
}

/// A credential about to be sealed.
struct Made {
    kind: CredentialKind,
    secret: CredentialSecret,
    facts: Option<KeyFacts>,
}

async fn add(desk: &mut Desk<'_>, args: &CredentialAdd) -> Told {
    let made = make(desk, args)?;
    let profile = desk.open_or_create().await?;
    let vault = Vault::new(None);
    let identity = unlock::identity(&profile, &vault, desk.passphrase.as_ref()).await?;
    let new = NewCredential {
        name: args.name.clone(),
        kind: made.kind,
        path: None,
        public_key: made.facts.as_ref().map(|facts| facts.public_line.clone()),
        fingerprint: made.facts.as_ref().map(|facts| facts.fingerprint.clone()),
        created_at: desk.clock.now().to_string(),
    };
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
        details: words(&args.name, made.kind, new.fingerprint.as_deref()),
    };
    let adding = async {
        let reserved = profile.reserve_credential(new).await;
        let id = reserved.map_err(could_not("add the credential"))?;
        let context = SealContext::new(profile.id(), id);
        let sealed = Vault::seal(&identity.recipient, &context, &made.secret)
            .map_err(could_not("seal the credential"))?;
        let kept = profile.store_sealed(id, sealed).await;
        kept.map_err(could_not("keep the credential"))
    };
    written_down(desk, &profile, change, adding).await?;
    match &made.facts {
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

/// Names a credential for the record: what it is, never what is in it.
fn words(name: &CredentialName, kind: CredentialKind, fingerprint: Option<&str>) -> String {
    let print = fingerprint.map_or_else(String::new, |print| format!(", {print}"));
    format!("{name}, {}{print}", kind.word())
}

fn make(desk: &Desk<'_>, args: &CredentialAdd) -> Result<Made, Complaint> {
    let source = &args.source;
    if source.password_stdin {
        let password = read_secret(&PassphraseSource::Fd(0), "")?;
        return Ok(Made {
            kind: CredentialKind::Password,
            secret: CredentialSecret::Password(password),
            facts: None,
        });
    }
    if source.generate.is_some() {
        let (pem, facts) = keygen::ed25519(&format!("vmdeck {}", args.name))
            .map_err(|error| unusable("the new key", &error))?;
        return Ok(Made {
            kind: CredentialKind::PrivateKey,
            secret: CredentialSecret::PrivateKey {
                pem,
                passphrase: None,
                certificate: None,
            },
            facts: Some(facts),
        });
    }
    let (what, bytes) = match &source.key_file {
        Some(path) => (path.display().to_string(), read_file(path)?),
        None => (
            "the key on standard input".to_owned(),
            read_all(std::io::stdin(), "standard input")?,
        ),
    };
    let pem = String::from_utf8(bytes.to_vec())
        .map(SecretText::new)
        .map_err(|_not_utf8| unusable(&what, &KeyError::NotAKey))?;
    let (passphrase, facts) = describe(desk, args, &what, &pem)?;
    Ok(Made {
        kind: CredentialKind::PrivateKey,
        secret: CredentialSecret::PrivateKey {
            pem,
            passphrase,
            certificate: certificate(args)?,
        },
        facts: Some(facts),
    })
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
    let hint = match error {
        KeyError::NeedsPassphrase => "run it in a terminal, or give --key-passphrase-fd N",
        _ => "nothing was added",
    };
    refuse(
        ErrorKind::Usage,
        format!("could not use {what}: {error}"),
        hint,
    )
}

fn certificate(args: &CredentialAdd) -> Result<Option<String>, Complaint> {
    let beside = args.source.key_file.as_ref().map(|path| {
        let mut name = path.clone().into_os_string();
        name.push("-cert.pub");
        PathBuf::from(name)
    });
    let path = match (&args.certificate, beside) {
        (Some(path), _) => path.clone(),
        (None, Some(beside)) if beside.is_file() => beside,
        (None, _) => return Ok(None),
    };
    let bytes = read_file(&path)?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    if text.contains("-cert-v01@openssh.com ") {
        Ok(Some(text))
    } else {
        let message = format!("{} is no OpenSSH certificate", path.display());
        Err(refuse(ErrorKind::Usage, message, "nothing was added"))
    }
}

fn read_file(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, Complaint> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| {
        let message = format!("could not open {name}: {error}");
        refuse(ErrorKind::Usage, message, "check the path")
    })?;
    read_all(file, &name)
}

fn read_all(from: impl Read, name: &str) -> Result<zeroize::Zeroizing<Vec<u8>>, Complaint> {
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    let read = from.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    let wrong = |why: String| {
        let message = format!("could not read {name}: {why}");
        refuse(ErrorKind::Usage, message, "nothing was added")
    };
    read.map_err(|error| wrong(error.to_string()))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(wrong("it is larger than 64 KiB".to_owned()));
    }
    Ok(bytes)
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
