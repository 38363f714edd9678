//! The profile as others use it: what is written comes back, two processes share it, and what is
//! damaged, newer or open to others is refused without being changed.

#![cfg(test)]

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vmdeck::domain::audit::AuditHead;
use vmdeck::domain::credential::{CredentialKind, CredentialName, NewCredential, WrappedIdentity};
use vmdeck::domain::error_kind::{Classify, ErrorKind, Failure};
use vmdeck::domain::host::{HostId, HostSpec, KindChoice, LoginMethod};
use vmdeck::domain::host_key::{HostKey, PinnedKey};
use vmdeck::domain::inventory::HostInventory;
use vmdeck::domain::text::RemoteText;
use vmdeck::domain::units::{Bytes, Percent};
use vmdeck::domain::vm::{PowerState, Vm, VmId, VmStats};
use vmdeck::private_file;
use vmdeck::profile::{Profile, ProfileError, ProfileName};

fn name(text: &str) -> ProfileName {
    text.parse().unwrap()
}

/// Creates a profile in a temporary directory.
async fn profile() -> (tempfile::TempDir, PathBuf, Profile) {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().join("profiles");
    let profile = Profile::create(&root, &name("lab")).await.unwrap();
    (temporary, root, profile)
}

/// Closes a profile and waits until its thread has given the database back.
async fn close(profile: Profile) {
    let wal = profile.dir().join("profile.db-wal");
    drop(profile);
    for _ in 0..5000 {
        if !wal.exists() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("the database was not closed");
}

fn host(text: &str) -> HostSpec {
    HostSpec::new(text.parse().unwrap(), "10.0.0.1".parse().unwrap())
}

fn full_host() -> HostSpec {
    HostSpec {
        user: Some("root".parse().unwrap()),
        kind: KindChoice::Libvirt,
        uri: Some("qemu:///system".parse().unwrap()),
        sudo: true,
        login: LoginMethod::KeyFile("/home/ann/.ssh/id".into()),
        jumps: vec![
            "ops@gate:2222".parse().unwrap(),
            "[fe80::1]:22".parse().unwrap(),
        ],
        tier: Some("prod".parse().unwrap()),
        tags: vec!["db".parse().unwrap(), "größe".parse().unwrap()],
        read_only: true,
        accept_new_host_key: true,
        enabled: false,
        ..HostSpec::new("kvm 1".parse().unwrap(), "[fe80::2]:2200".parse().unwrap())
    }
}

fn credential(text: &str, kind: CredentialKind) -> NewCredential {
    NewCredential {
        name: text.parse().unwrap(),
        kind,
        path: None,
        public_key: Some("ssh-ed25519 AAAA".into()),
        fingerprint: Some("SHA256:x".into()),
        created_at: "2026-01-01T00:00:00Z".into(),
    }
}

fn pin(label: &str, base64: &str) -> PinnedKey {
    PinnedKey {
        label: label.into(),
        key: HostKey {
            algorithm: "ssh-ed25519".into(),
            base64: base64.into(),
            fingerprint: format!("SHA256:{base64}"),
        },
        revoked: false,
    }
}

#[tokio::test]
async fn modes_are_right_and_the_identity_stays() {
    let (_keep, root, profile) = profile().await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(&root), 0o700);
    assert_eq!(mode(profile.dir()), 0o700);
    profile.upsert_host(host("a")).await.unwrap();
    for entry in std::fs::read_dir(profile.dir()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    let id = profile.id().to_owned();
    assert_eq!(id.len(), 32);
    close(profile).await;
    let again = Profile::open(&root, &name("lab")).await.unwrap();
    assert_eq!(again.id(), id);
    let other = Profile::create(&root, &name("other")).await.unwrap();
    assert_ne!(other.id(), id);
    assert_eq!(Profile::list(&root).unwrap(), [name("lab"), name("other")]);
}

#[tokio::test]
async fn hosts_come_back_as_they_were_defined() {
    let (_keep, _root, profile) = profile().await;
    let id = profile.upsert_host(full_host()).await.unwrap();
    let plain = profile.upsert_host(host("a")).await.unwrap();
    let mut expected = full_host();
    expected.id = id;
    let hosts = profile.hosts().await.unwrap();
    assert_eq!(hosts.len(), 2);
    assert_eq!((hosts[0].id, hosts[0].name.as_str()), (plain, "a"));
    assert_eq!(hosts[1], expected);
    expected.sudo = false;
    expected.login = LoginMethod::Agent;
    assert_eq!(profile.upsert_host(expected.clone()).await.unwrap(), id);
    assert_eq!(profile.hosts().await.unwrap()[1], expected);
}

#[tokio::test]
async fn names_are_unique_and_ids_are_not_used_again() {
    let (_keep, _root, profile) = profile().await;
    let first = profile.upsert_host(host("a")).await.unwrap();
    let error = profile.upsert_host(host("a")).await.unwrap_err();
    assert!(
        matches!(error, ProfileError::DuplicateHost { .. }),
        "{error}"
    );
    let second = profile.upsert_host(host("b")).await.unwrap();
    let mut renamed = host("a");
    renamed.id = second;
    let error = profile.upsert_host(renamed).await.unwrap_err();
    assert!(
        matches!(error, ProfileError::DuplicateHost { .. }),
        "{error}"
    );
    profile.remove_host(second).await.unwrap();
    let error = profile.remove_host(second).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let third = profile.upsert_host(host("c")).await.unwrap();
    assert!(third > second && second > first);
    let mut gone = host("d");
    gone.id = second;
    let error = profile.upsert_host(gone).await.unwrap_err();
    assert!(matches!(error, ProfileError::UnknownHost { .. }), "{error}");
}

#[tokio::test]
async fn credentials_are_sealed_in_two_steps_and_kept_while_used() {
    let (_keep, _root, profile) = profile().await;
    let key: CredentialName = "key".parse().unwrap();
    let id = profile
        .reserve_credential(credential("key", CredentialKind::PrivateKey))
        .await
        .unwrap();
    assert_eq!(profile.sealed_credential(&key).await.unwrap().blob, None);
    profile.store_sealed(id, vec![1, 2, 3]).await.unwrap();
    let sealed = profile.sealed_credential(&key).await.unwrap();
    assert_eq!((sealed.id, sealed.blob), (id, Some(vec![1, 2, 3])));
    let error = profile
        .reserve_credential(credential("key", CredentialKind::Password))
        .await
        .unwrap_err();
    assert!(
        matches!(error, ProfileError::DuplicateCredential { .. }),
        "{error}"
    );
    let mut spec = host("a");
    spec.login = LoginMethod::Credential(key.clone());
    profile.upsert_host(spec.clone()).await.unwrap();
    assert_eq!(profile.hosts().await.unwrap()[0].login, spec.login);
    assert_eq!(profile.credentials().await.unwrap()[0].used_by, ["a"]);
    let error = profile.remove_credential(&key).await.unwrap_err();
    assert_eq!(error.to_string(), "credential `key` is used by a");
    let hosts = profile.hosts().await.unwrap();
    profile.remove_host(hosts[0].id).await.unwrap();
    profile.remove_credential(&key).await.unwrap();
    let error = profile.sealed_credential(&key).await.unwrap_err();
    assert!(
        matches!(error, ProfileError::UnknownCredential { .. }),
        "{error}"
    );
    let error = profile.upsert_host(spec).await.unwrap_err();
    assert!(
        matches!(error, ProfileError::UnknownCredential { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn an_interrupted_addition_can_be_repeated() {
    let (_keep, _root, profile) = profile().await;
    let new = credential("key", CredentialKind::Password);
    let first = profile.reserve_credential(new.clone()).await.unwrap();
    let second = profile.reserve_credential(new).await.unwrap();
    assert_ne!(
        first, second,
        "a blob sealed for the first must not open as the second"
    );
    assert!(profile.store_sealed(first, vec![1]).await.is_err());
    profile.store_sealed(second, vec![1]).await.unwrap();
    let agent = credential("agent", CredentialKind::Agent);
    profile.reserve_credential(agent.clone()).await.unwrap();
    assert!(profile.reserve_credential(agent).await.is_err());
}

#[tokio::test]
async fn the_identity_can_be_wrapped_anew_but_not_replaced() {
    let (_keep, _root, profile) = profile().await;
    assert_eq!(profile.identity().await.unwrap(), None);
    let identity = |recipient: &str, byte| WrappedIdentity {
        recipient: recipient.into(),
        wrapped: vec![byte],
    };
    profile.set_identity(identity("age1a", 1)).await.unwrap();
    profile.set_identity(identity("age1a", 2)).await.unwrap();
    let error = profile
        .set_identity(identity("age1b", 3))
        .await
        .unwrap_err();
    assert!(matches!(error, ProfileError::IdentityExists), "{error}");
    assert_eq!(
        profile.identity().await.unwrap(),
        Some(identity("age1a", 2))
    );
}

#[tokio::test]
async fn a_label_has_one_trusted_key_until_it_is_replaced() {
    let (_keep, _root, profile) = profile().await;
    profile
        .pin_key(pin("[KVM1]:2222", "one"), false)
        .await
        .unwrap();
    profile
        .pin_key(pin("[kvm1]:2222", "one"), false)
        .await
        .unwrap();
    let error = profile
        .pin_key(pin("[kvm1]:2222", "two"), false)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostKey);
    assert!(error.hint().is_some());
    let revoked = PinnedKey {
        revoked: true,
        ..pin("[kvm1]:2222", "bad")
    };
    profile.pin_key(revoked.clone(), false).await.unwrap();
    profile
        .pin_key(pin("[kvm1]:2222", "two"), true)
        .await
        .unwrap();
    let keys = profile.pinned_keys().await.unwrap();
    assert_eq!(keys, [revoked, pin("[kvm1]:2222", "two")]);
    assert_eq!(profile.unpin("[KVM1]:2222".into()).await.unwrap(), 2);
    assert!(profile.pinned_keys().await.unwrap().is_empty());
}

#[tokio::test]
async fn inventories_come_back_and_go_with_their_host() {
    let (_keep, _root, profile) = profile().await;
    let id = profile.upsert_host(host("a")).await.unwrap();
    let mut vm = Vm::new(
        VmId::parse("6c09bb55-d683-4da0-8931-c9bf705f6480").unwrap(),
        RemoteText::new("w\u{1b}[31m\u{202e}b"),
        PowerState::Unknown(RemoteText::new("odd")),
    );
    vm.stats = VmStats {
        cpu: Some(Percent::new(12.5)),
        memory_used: Some(Bytes(1 << 40)),
        uptime: Some(std::time::Duration::from_millis(1500)),
        ..VmStats::default()
    };
    let inventory = Arc::new(HostInventory {
        vms: vec![Arc::new(vm)],
        gaps: vec![RemoteText::new("no stats")],
        ..HostInventory::default()
    });
    let at = "2026-01-01T00:00:00.5Z".parse().unwrap();
    profile
        .cache_inventory(id, Arc::clone(&inventory), at)
        .await
        .unwrap();
    profile
        .cache_inventory(id, Arc::clone(&inventory), at)
        .await
        .unwrap();
    // A host that was removed meanwhile is no error: the read was under way.
    profile
        .cache_inventory(HostId(99), Arc::clone(&inventory), at)
        .await
        .unwrap();
    let cached = profile.cached_inventories().await.unwrap();
    assert_eq!(cached, [(id, (*inventory).clone(), at)]);
    profile.remove_host(id).await.unwrap();
    assert!(profile.cached_inventories().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_audit_mirror_only_goes_forward() {
    let (_keep, _root, profile) = profile().await;
    let head = |seq| AuditHead {
        seq,
        hash: format!("{seq:064x}"),
    };
    assert_eq!(profile.audit_head().await.unwrap(), None);
    profile.set_audit_head(head(5)).await.unwrap();
    profile.set_audit_head(head(3)).await.unwrap();
    assert_eq!(profile.audit_head().await.unwrap(), Some(head(5)));
}

#[tokio::test]
async fn two_handles_share_a_profile_and_notice_each_other() {
    let (_keep, root, one) = profile().await;
    let two = Profile::open(&root, &name("lab")).await.unwrap();
    let before = two.data_version().await.unwrap();
    assert_eq!(two.data_version().await.unwrap(), before);
    one.upsert_host(host("a")).await.unwrap();
    assert_ne!(two.data_version().await.unwrap(), before);
    assert_eq!(two.hosts().await.unwrap().len(), 1);
    let own = one.data_version().await.unwrap();
    one.upsert_host(host("b")).await.unwrap();
    assert_eq!(
        one.data_version().await.unwrap(),
        own,
        "one's own writes are no news"
    );
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..40 {
        let profile = if number % 2 == 0 { &one } else { &two }.clone();
        writers.spawn(async move {
            profile
                .upsert_host(host(&format!("h{number}")))
                .await
                .unwrap()
        });
    }
    writers.join_all().await;
    assert_eq!(one.hosts().await.unwrap().len(), 42);
    two.check().await.unwrap();
}

#[tokio::test]
async fn what_is_missing_or_there_already_says_what_to_do() {
    let (_keep, root, _profile) = profile().await;
    let error = Profile::open(&root, &name("none")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.hint().unwrap().0, "run `vmdeck profile create none`");
    let error = Profile::create(&root, &name("lab")).await.unwrap_err();
    assert!(matches!(error, ProfileError::Exists { .. }), "{error}");
    let error = Profile::remove(&root, &name("none")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(Profile::list(&root.join("nowhere")).unwrap().is_empty());
}

#[tokio::test]
async fn a_link_on_the_way_is_followed_and_one_in_its_place_is_not() {
    let temporary = tempfile::tempdir().unwrap();
    let real = temporary.path().join("disk");
    private_file::create_dir(&real).unwrap();
    let home = temporary.path().join("home");
    std::os::unix::fs::symlink(&real, &home).unwrap();
    let root = home.join("profiles");
    close(Profile::create(&root, &name("lab")).await.unwrap()).await;
    Profile::open(&root, &name("lab"))
        .await
        .unwrap()
        .check()
        .await
        .unwrap();
    std::os::unix::fs::symlink(root.join("lab"), root.join("alias")).unwrap();
    let error = Profile::open(&root, &name("alias")).await.unwrap_err();
    assert!(matches!(error, ProfileError::File(_)), "{error}");
}

#[tokio::test]
async fn a_removed_profile_leaves_nothing() {
    let (_keep, root, profile) = profile().await;
    close(profile).await;
    Profile::remove(&root, &name("lab")).await.unwrap();
    let left: Vec<_> = std::fs::read_dir(&root)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, [".lock"]);
}

#[tokio::test]
async fn loose_modes_are_refused_with_the_command_that_mends_them() {
    let (_keep, root, profile) = profile().await;
    let dir = profile.dir().to_owned();
    close(profile).await;
    for (path, loose, strict) in [
        (dir.join("profile.db"), 0o640, 0o600),
        (dir.clone(), 0o755, 0o700),
        (root.clone(), 0o770, 0o700),
    ] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(loose)).unwrap();
        let error = Profile::open(&root, &name("lab")).await.unwrap_err();
        let hint = error.hint().unwrap().0;
        let expected = format!("chmod {strict:o} {}", path.display());
        assert!(hint.contains(&expected), "{hint}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(strict)).unwrap();
    }
    Profile::open(&root, &name("lab")).await.unwrap();
}

/// Writes a number into the header of a SQLite file.
fn patch(file: &Path, at: usize, value: u32) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
    private_file::write_atomic(file, &bytes).unwrap();
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_as_it_is() {
    let (_keep, root, profile) = profile().await;
    let file = profile.dir().join("profile.db");
    close(profile).await;
    patch(&file, 60, 4711);
    let before = std::fs::read(&file).unwrap();
    let error = Profile::open(&root, &name("lab")).await.unwrap_err();
    assert!(
        matches!(error, ProfileError::Newer { found: 4711, .. }),
        "{error}"
    );
    let failure = Failure::of(&error);
    assert!(failure.message.contains("nothing was changed"), "{failure}");
    assert!(failure.hint.is_some());
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_left_as_it_is() {
    let (_keep, root, profile) = profile().await;
    let file = profile.dir().join("profile.db");
    close(profile).await;
    patch(&file, 68, 0xdead_beef);
    let before = std::fs::read(&file).unwrap();
    let error = Profile::open(&root, &name("lab")).await.unwrap_err();
    assert!(error.to_string().contains("another program"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn a_damaged_database_is_named_with_what_to_do() {
    let (_keep, root, profile) = profile().await;
    for number in 0..50 {
        profile
            .upsert_host(host(&format!("h{number}")))
            .await
            .unwrap();
    }
    let dir = profile.dir().to_owned();
    close(profile).await;
    let file = dir.join("profile.db");
    let good = std::fs::read(&file).unwrap();
    let mut rubbish = good.clone();
    for byte in rubbish.iter_mut().skip(4096) {
        *byte = 0xa5;
    }
    for broken in [
        b"no database at all, but text".to_vec(),
        rubbish,
        good[..5000].to_vec(),
    ] {
        private_file::write_atomic(&file, &broken).unwrap();
        let error = Profile::open(&root, &name("lab")).await.unwrap_err();
        assert!(matches!(error, ProfileError::Broken { .. }), "{error:?}");
        let failure = Failure::of(&error);
        assert!(failure.message.contains("profile.db"), "{failure}");
        assert!(failure.hint.unwrap().0.contains("backup"));
        assert_eq!(std::fs::read(&file).unwrap(), broken, "nothing was changed");
    }
    private_file::write_atomic(&dir.join("profile.db.v1.backup"), &good).unwrap();
    let error = Profile::open(&root, &name("lab")).await.unwrap_err();
    assert!(error.hint().unwrap().0.contains("profile.db.v1.backup"));
}

/// Eight programs that pin keys in one profile at the same moment lose none of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_host_keys_lose_no_addition() {
    const WRITERS: usize = 8;
    const EACH: usize = 200;
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("profiles");
    private_file::create_dir(&dir).unwrap();
    let name: ProfileName = "shared".parse().unwrap();
    drop(Profile::create(&dir, &name).await.unwrap());
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        // Each with a connection of its own, as a program of its own has it.
        let profile = Profile::open(&dir, &name).await.unwrap();
        writers.spawn(async move {
            for n in 0..EACH {
                let key = pin(&format!("h{writer}-{n}"), "AAAA");
                profile.pin_key(key, false).await.unwrap();
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let profile = Profile::open(&dir, &name).await.unwrap();
    let mut found: Vec<String> = profile
        .pinned_keys()
        .await
        .unwrap()
        .into_iter()
        .map(|pinned| pinned.label)
        .collect();
    found.sort();
    found.dedup();
    assert_eq!(found.len(), WRITERS * EACH);
}
