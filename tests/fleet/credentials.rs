//! Credentials kept through the fleet: sealed without being unlocked, recorded, never removed under a host.

use vmdeck::domain::credential::{CredentialKind, CredentialName, CredentialSecret};
use vmdeck::domain::error_kind::ErrorKind;
use vmdeck::domain::host::LoginMethod;
use vmdeck::domain::secret::SecretText;
use vmdeck::fleet::credential::NewSecret;
use vmdeck::vault::SealContext;

use crate::lab::{Lab, Plans, actor};

fn name(text: &str) -> CredentialName {
    text.parse().unwrap()
}

fn secret(text: &str) -> SecretText {
    SecretText::from(text.to_owned())
}

/// A lab whose profile has a passphrase and is locked.
pub(crate) async fn locked(hosts: usize) -> Lab {
    let mut lab = Plans::hosts(hosts).await.start().await;
    lab.handle = lab.handle.clone().acting_as(actor());
    lab.handle.unlock(secret("open sesame")).await.unwrap();
    lab.handle.lock().await.unwrap();
    lab
}

async fn opened(lab: &Lab, name: &CredentialName) -> CredentialSecret {
    lab.handle.unlock(secret("open sesame")).await.unwrap();
    let sealed = lab.profile.sealed_credential(name).await.unwrap();
    let context = SealContext::new(lab.profile.id(), sealed.id);
    lab.vault.open(&context, &sealed.blob.unwrap()).unwrap()
}

#[tokio::test]
async fn a_locked_profile_takes_credentials_and_gives_none() {
    let lab = locked(1).await;
    let added = lab
        .handle
        .add_credential(name("ops"), NewSecret::Generate)
        .await
        .unwrap();
    assert_eq!(added.kind, CredentialKind::PrivateKey);
    let public = added.public_key.unwrap();
    assert!(
        public.starts_with("ssh-ed25519 ") && public.ends_with(" vmdeck ops"),
        "{public}"
    );
    let password = NewSecret::Password(secret("hunter2"));
    lab.handle
        .add_credential(name("root"), password)
        .await
        .unwrap();
    let agent = lab
        .handle
        .add_credential(name("mine"), NewSecret::Agent)
        .await
        .unwrap();
    assert_eq!(agent.kind, CredentialKind::Agent);
    let kept = opened(&lab, &name("root")).await;
    assert!(matches!(kept, CredentialSecret::Password(password) if password.expose() == "hunter2"));
    let records = lab.audit.tail(100).await.unwrap();
    let told = format!("{records:?}");
    assert!(
        told.contains("credential-added") && told.contains("root, password"),
        "{told}"
    );
    assert!(
        !told.contains("hunter2") && !told.contains("PRIVATE KEY"),
        "{told}"
    );
    let who = records
        .iter()
        .filter(|record| record.entry.action == "credential-added");
    assert!(
        who.clone().count() == 3
            && who
                .clone()
                .all(|record| record.entry.actor == Some(actor()))
    );
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused_and_leaves_no_record() {
    let lab = locked(1).await;
    lab.handle
        .add_credential(name("ops"), NewSecret::Generate)
        .await
        .unwrap();
    let before = lab.records().await;
    let refusal = lab
        .handle
        .add_credential(name("ops"), NewSecret::Generate)
        .await
        .unwrap_err();
    assert!(refusal.message.contains("ops"), "{refusal:?}");
    assert_eq!(lab.records().await, before);
}

#[tokio::test]
async fn without_a_passphrase_nothing_is_sealed() {
    let lab = Plans::hosts(1).await.start().await;
    let refusal = lab
        .handle
        .add_credential(name("ops"), NewSecret::Generate)
        .await
        .unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::Locked);
    assert!(lab.handle.credentials().await.unwrap().is_empty());
    assert!(lab.records().await.is_empty());
}

#[tokio::test]
async fn a_key_file_is_sealed_with_its_own_passphrase_or_refused_with_the_reason() {
    let lab = locked(1).await;
    let file = |path: &str, passphrase: Option<&str>| NewSecret::KeyFile {
        path: std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path),
        passphrase: passphrase.map(secret),
    };
    let key = "src/transport/ssh/testdata/protected";
    for (path, passphrase, reason) in [
        ("Cargo.toml", None, "no private key"),
        ("no-such-file", None, "could not open"),
        (key, None, "protected by a passphrase"),
        (key, Some("wrong"), "passphrase is wrong"),
    ] {
        let secret = file(path, passphrase);
        let refusal = lab.handle.add_credential(name("file"), secret).await;
        let refusal = refusal.unwrap_err();
        assert!(refusal.message.contains(reason), "{refusal:?}");
    }
    let secret = file(key, Some("correct"));
    lab.handle
        .add_credential(name("file"), secret)
        .await
        .unwrap();
    let kept = opened(&lab, &name("file")).await;
    let CredentialSecret::PrivateKey { passphrase, .. } = kept else {
        panic!("{kept:?}");
    };
    assert_eq!(passphrase.unwrap().expose(), "correct");
}

#[tokio::test]
async fn a_credential_that_a_host_uses_stays_and_the_hosts_are_named() {
    let lab = locked(2).await;
    lab.handle
        .add_credential(name("ops"), NewSecret::Generate)
        .await
        .unwrap();
    let mut host = (*lab.host("h2").spec).clone();
    host.login = LoginMethod::Credential(name("ops"));
    lab.handle.upsert_host(host.clone()).await.unwrap();
    let refusal = lab.handle.remove_credential(name("ops")).await.unwrap_err();
    assert!(format!("{refusal:?}").contains("h2"), "{refusal:?}");
    host.login = LoginMethod::Agent;
    lab.handle.upsert_host(host).await.unwrap();
    lab.handle.remove_credential(name("ops")).await.unwrap();
    assert!(lab.handle.credentials().await.unwrap().is_empty());
    let records = lab.records().await;
    assert_eq!(
        records
            .iter()
            .filter(|line| line.contains("credential-removed"))
            .count(),
        1
    );
}
