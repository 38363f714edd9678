//! The vault as others use it: what is sealed comes back where it belongs and nowhere else, and
//! nothing that is damaged, foreign or too costly gets further than an error.

#![cfg(test)]

use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use vmdeck::domain::credential::{CredentialId, CredentialSecret, WrappedIdentity};
use vmdeck::domain::error_kind::{Classify, ErrorKind};
use vmdeck::domain::inventory::LockState;
use vmdeck::domain::secret::SecretText;
use vmdeck::vault::{SealContext, Vault, VaultError};

fn text(plain: &str) -> SecretText {
    SecretText::from(plain.to_owned())
}

fn context() -> SealContext {
    SealContext::new("profile-1", CredentialId(7))
}

fn key_secret() -> CredentialSecret {
    CredentialSecret::PrivateKey {
        pem: text("-----BEGIN-----\nCANARY\n"),
        passphrase: Some(text("")),
        certificate: Some("ssh-ed25519-cert-v01@openssh.com AAAA".into()),
    }
}

async fn open_vault() -> (Vault, WrappedIdentity) {
    let vault = Vault::for_tests(None);
    let identity = vault.create_identity(&text("correct")).await.unwrap();
    (vault, identity)
}

fn password_of(secret: CredentialSecret) -> String {
    match secret {
        CredentialSecret::Password(password) => password.expose().clone(),
        CredentialSecret::PrivateKey { .. } => panic!("no password"),
    }
}

#[tokio::test]
async fn what_is_sealed_comes_back() {
    let (vault, identity) = open_vault().await;
    let blob = Vault::seal(&identity.recipient, &context(), &key_secret()).unwrap();
    assert!(!blob.windows(6).any(|part| part == b"CANARY"));
    let CredentialSecret::PrivateKey {
        pem,
        passphrase,
        certificate,
    } = vault.open(&context(), &blob).unwrap()
    else {
        panic!("not a key");
    };
    assert_eq!(pem.expose(), "-----BEGIN-----\nCANARY\n");
    assert_eq!(
        passphrase.unwrap().expose(),
        "",
        "empty and absent are not the same"
    );
    assert_eq!(
        certificate.unwrap(),
        "ssh-ed25519-cert-v01@openssh.com AAAA"
    );
}

#[tokio::test]
async fn a_blob_that_was_moved_is_refused() {
    let (vault, identity) = open_vault().await;
    let blob = Vault::seal(&identity.recipient, &context(), &key_secret()).unwrap();
    let places = [
        SealContext::new("profile-2", CredentialId(7)),
        SealContext::new("profile-1", CredentialId(8)),
        SealContext {
            version: 2,
            ..context()
        },
    ];
    for place in places {
        let error = vault.open(&place, &blob).unwrap_err();
        assert!(matches!(error, VaultError::Swapped { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains("credential 7 of profile profile-1"),
            "{error}"
        );
    }
    let (_, other) = open_vault().await;
    let foreign = Vault::seal(&other.recipient, &context(), &key_secret()).unwrap();
    assert_eq!(
        vault.open(&context(), &foreign).unwrap_err(),
        VaultError::OtherIdentity
    );
}

#[tokio::test]
async fn a_damaged_credential_is_not_taken_for_a_wrong_passphrase() {
    let (vault, identity) = open_vault().await;
    let blob = Vault::seal(&identity.recipient, &context(), &key_secret()).unwrap();
    for at in 0..blob.len() {
        let mut damaged = blob.clone();
        damaged[at] ^= 1;
        let error = vault.open(&context(), &damaged).unwrap_err();
        assert_ne!(error, VaultError::WrongPassphrase, "{at}");
    }
}

#[tokio::test]
async fn locking_takes_the_key_away_and_the_passphrase_brings_it_back() {
    let (vault, identity) = open_vault().await;
    let blob = Vault::seal(
        &identity.recipient,
        &context(),
        &CredentialSecret::Password(text("x")),
    )
    .unwrap();
    let audit_key = *vault.audit_key().unwrap().expose();
    assert_eq!(vault.state(Some(&identity)), LockState::Unlocked);
    assert_eq!(format!("{vault:?}"), "Vault(unlocked)");
    vault.clone().lock();
    assert_eq!(vault.state(Some(&identity)), LockState::Locked);
    assert_eq!(format!("{vault:?}"), "Vault(locked)");
    assert_eq!(Vault::for_tests(None).state(None), LockState::Empty);
    assert!(vault.audit_key().is_none());
    assert_eq!(
        vault.open(&context(), &blob).unwrap_err(),
        VaultError::Locked
    );
    vault.unlock(&identity, &text("correct")).await.unwrap();
    assert_eq!(password_of(vault.open(&context(), &blob).unwrap()), "x");
    assert_eq!(*vault.audit_key().unwrap().expose(), audit_key);
    let (other, _) = open_vault().await;
    assert_ne!(*other.audit_key().unwrap().expose(), audit_key);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_passphrase_is_answered_late() {
    let (vault, identity) = open_vault().await;
    vault.lock();
    let since = tokio::time::Instant::now();
    let error = vault.unlock(&identity, &text("wrong")).await.unwrap_err();
    assert_eq!(error, VaultError::WrongPassphrase);
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.hint().is_some());
    assert!(since.elapsed() >= Duration::from_secs(1));
    assert!(!vault.is_unlocked());
}

#[tokio::test]
async fn a_new_passphrase_opens_the_same_identity() {
    let (vault, identity) = open_vault().await;
    let blob = Vault::seal(
        &identity.recipient,
        &context(),
        &CredentialSecret::Password(text("x")),
    )
    .unwrap();
    let new = vault
        .rewrap(&identity, &text("correct"), &text("newer"))
        .await
        .unwrap();
    assert_eq!(new.recipient, identity.recipient);
    vault.lock();
    vault.unlock(&new, &text("newer")).await.unwrap();
    assert_eq!(password_of(vault.open(&context(), &blob).unwrap()), "x");
    let error = vault
        .rewrap(&identity, &text("correct"), &text(""))
        .await
        .unwrap_err();
    assert_eq!(error, VaultError::EmptyPassphrase);
    assert_eq!(
        vault.create_identity(&text("")).await.unwrap_err(),
        VaultError::EmptyPassphrase
    );
}

#[tokio::test(start_paused = true)]
async fn an_idle_vault_locks_itself() {
    let vault = Vault::for_tests(Some(Duration::from_secs(900)));
    let identity = vault.create_identity(&text("x")).await.unwrap();
    let blob = Vault::seal(
        &identity.recipient,
        &context(),
        &CredentialSecret::Password(text("x")),
    )
    .unwrap();
    tokio::time::advance(Duration::from_secs(899)).await;
    vault.open(&context(), &blob).unwrap();
    tokio::time::advance(Duration::from_secs(899)).await;
    // Looking is no use.
    assert!(vault.is_unlocked() && vault.audit_key().is_some());
    let since = tokio::time::Instant::now();
    vault.idle_out().await;
    assert!(since.elapsed() <= Duration::from_secs(2));
    assert_eq!(vault.state(Some(&identity)), LockState::Locked);
}

#[tokio::test(start_paused = true)]
async fn an_idle_vault_says_when_it_locks_itself_and_only_use_puts_that_off() {
    let idle = Duration::from_secs(900);
    let vault = Vault::for_tests(Some(idle));
    assert_eq!(vault.locks_at(), None);
    let identity = vault.create_identity(&text("x")).await.unwrap();
    let secret = CredentialSecret::Password(text("x"));
    let blob = Vault::seal(&identity.recipient, &context(), &secret).unwrap();
    let begin = tokio::time::Instant::now();
    assert_eq!(vault.locks_at(), Some(begin + idle));
    tokio::time::advance(Duration::from_secs(100)).await;
    // Nobody has just asked for it.
    vault.open_unattended(&context(), &blob).unwrap();
    assert_eq!(vault.locks_at(), Some(begin + idle));
    vault.touch();
    let at = begin + Duration::from_secs(1000);
    assert_eq!(vault.locks_at(), Some(at));
    tokio::time::advance(Duration::from_secs(100)).await;
    vault.open(&context(), &blob).unwrap();
    assert_eq!(vault.locks_at(), Some(at + Duration::from_secs(100)));
    tokio::time::advance(Duration::from_millis(899_999)).await;
    assert!(vault.is_unlocked());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!vault.is_unlocked());
    assert_eq!(vault.locks_at(), None);
    // Use does not open it again.
    vault.touch();
    assert_eq!(
        vault.open(&context(), &blob).unwrap_err(),
        VaultError::Locked
    );
    assert_eq!(open_vault().await.0.locks_at(), None);
}

#[tokio::test(start_paused = true)]
async fn an_entrusted_profile_is_opened_by_whom_it_was_entrusted_to() {
    let (holder, of_holder) = open_vault().await;
    let profile = Vault::for_tests(Some(Duration::from_secs(900)));
    let identity = profile.create_identity(&text("secret")).await.unwrap();
    let secret = CredentialSecret::Password(text("x"));
    let blob = Vault::seal(&identity.recipient, &context(), &secret).unwrap();
    let grant = profile.entrust(&of_holder.recipient, "profile-1").unwrap();
    let opened = holder.open_entrusted("profile-1", &grant).unwrap();
    assert_eq!(password_of(opened.open(&context(), &blob).unwrap()), "x");
    assert_eq!(
        opened.audit_key().unwrap().expose(),
        profile.audit_key().unwrap().expose()
    );
    // It has no idle time, whatever its owner's has.
    tokio::time::advance(Duration::from_secs(10_000)).await;
    assert!(opened.is_unlocked() && !profile.is_unlocked());
    assert_eq!(
        profile.entrust(&of_holder.recipient, "profile-1"),
        Err(VaultError::Locked)
    );
    let refusal =
        |holder: &Vault, name: &str, blob: &[u8]| holder.open_entrusted(name, blob).unwrap_err();
    assert_eq!(
        refusal(&holder, "profile-2", &grant),
        VaultError::Swapped {
            found: "profile profile-1".to_owned(),
            expected: "profile profile-2".to_owned(),
        }
    );
    assert_eq!(
        refusal(&opened, "profile-1", &grant),
        VaultError::OtherIdentity
    );
    let credential = Vault::seal(&of_holder.recipient, &context(), &secret).unwrap();
    let error = refusal(&holder, "profile-1", &credential);
    assert!(
        error.to_string().contains("does not begin like a grant"),
        "{error}"
    );
    assert_eq!(
        refusal(&holder, "profile-1", &vec![b'x'; 1024 * 1024 + 1]),
        VaultError::TooLarge {
            what: "the granted identity",
            limit: 1024 * 1024,
        }
    );
    assert_eq!(
        opened.entrust("age1nonsense", "profile-1"),
        Err(VaultError::Recipient)
    );
    holder.lock();
    assert_eq!(refusal(&holder, "profile-1", &grant), VaultError::Locked);
}

#[tokio::test]
async fn a_profile_without_a_passphrase_is_opened_by_its_holder_alone() {
    let (holder, of_holder) = open_vault().await;
    let (vault, identity) = Vault::create_entrusted(&of_holder.recipient, "profile-1").unwrap();
    assert!(vault.is_unlocked());
    let secret = CredentialSecret::Password(text("x"));
    let blob = Vault::seal(&identity.recipient, &context(), &secret).unwrap();
    assert_eq!(password_of(vault.open(&context(), &blob).unwrap()), "x");
    let opened = holder
        .open_entrusted("profile-1", &identity.wrapped)
        .unwrap();
    assert_eq!(password_of(opened.open(&context(), &blob).unwrap()), "x");
    assert_eq!(
        holder.open(&context(), &blob).unwrap_err(),
        VaultError::OtherIdentity
    );
    let error = Vault::for_tests(None)
        .unlock(&identity, &text("correct"))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("not wrapped with a passphrase"),
        "{error}"
    );
    assert!(Vault::create_entrusted("age1nonsense", "profile-1").is_err());
}

#[tokio::test]
async fn what_is_open_is_taken_over_and_what_is_locked_is_not() {
    let (vault, identity) = open_vault().await;
    let other = Vault::for_tests(None);
    other.take_over(&vault);
    assert_eq!(other.state(Some(&identity)), LockState::Unlocked);
    assert_eq!(
        other.audit_key().unwrap().expose(),
        vault.audit_key().unwrap().expose()
    );
    vault.lock();
    other.take_over(&vault);
    assert!(other.is_unlocked(), "what it had open stays");
    let third = Vault::for_tests(None);
    third.take_over(&vault);
    assert!(!third.is_unlocked());
}

#[tokio::test]
async fn an_identity_with_another_public_half_is_refused() {
    let (vault, identity) = open_vault().await;
    let (_, other) = open_vault().await;
    let mixed = WrappedIdentity {
        recipient: other.recipient,
        ..identity
    };
    let error = vault.unlock(&mixed, &text("correct")).await.unwrap_err();
    assert!(matches!(error, VaultError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn what_is_too_large_or_too_costly_is_refused_before_it_is_tried() {
    let (vault, identity) = open_vault().await;
    let huge = vec![b'x'; 1024 * 1024 + 1];
    assert!(matches!(
        vault.open(&context(), &huge),
        Err(VaultError::TooLarge { .. })
    ));
    // Thousands of stanzas: a header that alone takes seconds to try.
    let mut header = b"age-encryption.org/v1\n".to_vec();
    for _ in 0..1000 {
        header.extend_from_slice(b"-> X25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\nAAAA\n");
    }
    header.extend_from_slice(b"--- AAAA\n");
    assert!(matches!(
        vault.open(&context(), &header),
        Err(VaultError::TooLarge { .. })
    ));
    let is_line_end = |(at, byte): (usize, &u8)| (*byte == b'\n').then_some(at);
    let mut line_ends = identity.wrapped.iter().enumerate().filter_map(is_line_end);
    // The second line is the scrypt stanza, and ends with its cost.
    let line_end = line_ends.nth(1).unwrap();
    let mut costly = identity.clone();
    let last = line_end - 1;
    costly.wrapped.splice(last..line_end, *b"30");
    let error = vault.unlock(&costly, &text("correct")).await.unwrap_err();
    assert_eq!(
        error,
        VaultError::TooCostly {
            found: 30,
            limit: 20
        }
    );
    let secret = CredentialSecret::Password(SecretText::from("x".repeat(2 * 1024 * 1024)));
    let limit = (1024 - 16) * 1024;
    let too_large = VaultError::TooLarge {
        what: "the credential",
        limit,
    };
    assert_eq!(
        Vault::seal(&identity.recipient, &context(), &secret).unwrap_err(),
        too_large
    );
    // The mark (20), and five fields behind their lengths: profile (9), id (8), version (4), kind (1), password.
    let around = 20 + 4 * 5 + 9 + 8 + 4 + 1;
    let of = |length| CredentialSecret::Password(SecretText::from("x".repeat(length)));
    let longest = Vault::seal(&identity.recipient, &context(), &of(limit - around)).unwrap();
    assert_eq!(
        password_of(vault.open(&context(), &longest).unwrap()).len(),
        limit - around
    );
    assert_eq!(
        Vault::seal(&identity.recipient, &context(), &of(limit - around + 1)).unwrap_err(),
        too_large
    );
    assert_eq!(
        Vault::seal("age1nonsense", &context(), &key_secret()).unwrap_err(),
        VaultError::Recipient
    );
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}

/// One open vault for all cases: making one takes longer than what is tested.
static OPEN: LazyLock<(Vault, WrappedIdentity)> = LazyLock::new(|| block_on(open_vault()));

/// One change of some bytes.
fn change() -> impl Strategy<Value = (prop::sample::Index, u8, u8)> {
    (any::<prop::sample::Index>(), any::<u8>(), 0u8..4)
}

fn apply(blob: &mut Vec<u8>, changes: &[(prop::sample::Index, u8, u8)]) {
    for (index, byte, how) in changes {
        if blob.is_empty() {
            return;
        }
        let at = index.index(blob.len());
        match how {
            0 => blob.truncate(at),
            1 => blob.insert(at, *byte),
            2 => {
                blob.remove(at);
            }
            _ => blob[at] = *byte,
        }
    }
}

proptest! {
    #[test]
    fn a_damaged_blob_is_an_error_and_never_a_panic(changes in prop::collection::vec(change(), 1..4)) {
        let (vault, identity) = &*OPEN;
        let blob = Vault::seal(&identity.recipient, &context(), &key_secret()).unwrap();
        let mut damaged = blob.clone();
        apply(&mut damaged, &changes);
        prop_assert_eq!(vault.open(&context(), &damaged).is_ok(), damaged == blob);
    }

    #[test]
    fn no_bytes_at_all_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let (vault, _) = &*OPEN;
        prop_assert!(vault.open(&context(), &bytes).is_err());
    }

    #[test]
    fn any_secret_comes_back(password in "\\PC{0,80}", profile in "\\PC{0,40}", id in any::<i64>()) {
        let (vault, identity) = &*OPEN;
        let context = SealContext::new(profile, CredentialId(id));
        let secret = CredentialSecret::Password(SecretText::from(password.clone()));
        let blob = Vault::seal(&identity.recipient, &context, &secret).unwrap();
        prop_assert_eq!(password_of(vault.open(&context, &blob).unwrap()), password);
    }
}

/// A case costs what a passphrase costs, so there are fewer than of other properties, however many those
/// are given.
#[test]
fn a_damaged_identity_is_an_error_and_never_a_panic() {
    let changes = prop::collection::vec(change(), 1..4);
    let mut runner = TestRunner::new(ProptestConfig::default());
    let (_, identity) = &*OPEN;
    for _ in 0..400 {
        let vault = Vault::for_tests(None);
        let mut damaged = identity.clone();
        apply(
            &mut damaged.wrapped,
            &changes.new_tree(&mut runner).unwrap().current(),
        );
        let opened = block_on(vault.unlock(&damaged, &text("correct")));
        assert_eq!(opened.is_ok(), damaged == *identity, "{damaged:?}");
    }
}
