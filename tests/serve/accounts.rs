//! Users, keys, grants and remembered answers: what lets somebody in, what does not, what survives.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;
use vmdeck::accounts::{
    Accounts, AccountsError, AuthRefusal, Begun, ImportedKey, IssuedKey, KeyChange, KeyFate,
    KeyWatch, NewKey, NewUser, Scopes, StoredAnswer, User,
};
use vmdeck::clock::Clock;
use vmdeck::domain::host::HostId;
use vmdeck::domain::secret::SecretText;
use vmdeck::vault::{Vault, VaultError};

fn clock() -> Clock {
    Clock::manual("2026-03-01T12:00:00Z".parse().unwrap())
}

async fn open(dir: &Path, clock: &Clock) -> Accounts {
    Accounts::open(dir, clock.clone()).await.unwrap()
}

fn named(name: &str) -> NewUser {
    NewUser {
        name: name.to_owned(),
        email: None,
        profile: None,
        admin: false,
    }
}

async fn added(accounts: &Accounts, name: &str) -> (User, SecretText) {
    let (user, key) = accounts
        .add_user(named(name), NewKey::default())
        .await
        .unwrap();
    (user, key.token)
}

/// Waits until the database's thread has closed it, which is when its log is gone.
async fn closed(dir: &Path) {
    let log = dir.join("server.db-wal");
    let gone = async {
        while log.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone)
        .await
        .expect("the database is closed");
}

/// Everything in a directory as one blob, for looking for secrets.
fn everything(dir: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        bytes.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    bytes
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle.as_bytes())
}

#[tokio::test]
async fn a_key_opens_its_user_and_stands_nowhere() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("server");
    let accounts = open(&dir, &clock()).await;
    let (user, token) = added(&accounts, "ann").await;
    let access = accounts.authenticate(&token).await.unwrap();
    assert_eq!(*access.user, user);
    assert_eq!(access.user.profile, format!("user-{}", user.id));
    assert!(token.expose().starts_with(&access.key.prefix));
    assert!(!holds(&everything(&dir), token.expose()));
    assert_eq!(std::fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
    for entry in std::fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{:?} is open to others", entry.path());
    }
}

#[tokio::test]
async fn a_copied_database_lets_nobody_in_without_the_key_of_its_digests() {
    let home = tempfile::tempdir().unwrap();
    let (dir, copy) = (home.path().join("server"), home.path().join("copy"));
    let accounts = open(&dir, &clock()).await;
    let (_, token) = added(&accounts, "ann").await;
    drop(accounts);
    closed(&dir).await;
    drop(open(&copy, &clock()).await);
    closed(&copy).await;
    // Another server's key of the digests, this server's database.
    std::fs::copy(dir.join("server.db"), copy.join("server.db")).unwrap();
    let accounts = open(&copy, &clock()).await;
    assert_eq!(accounts.users().await.unwrap().len(), 1);
    let refused = accounts.authenticate(&token).await.unwrap_err();
    assert!(matches!(refused, AuthRefusal::Unknown), "{refused}");
}

#[tokio::test]
async fn the_key_of_the_digests_is_replaced_and_keys_pass_over() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("server");
    let accounts = open(&dir, &clock()).await;
    let (_, ann) = added(&accounts, "ann").await;
    let (bob_user, bob) = added(&accounts, "bob").await;
    let before = std::fs::read(dir.join("pepper")).unwrap();
    let error = accounts.retire_pepper().await.unwrap_err();
    assert!(matches!(error, AccountsError::PepperNotReplaced), "{error}");

    // Another process replaces it while this one, a server, goes on.
    let other = open(&dir, &clock()).await;
    other.replace_pepper().await.unwrap();
    assert_ne!(std::fs::read(dir.join("pepper")).unwrap(), before);
    let error = other.replace_pepper().await.unwrap_err();
    assert!(matches!(error, AccountsError::PepperReplaced), "{error}");
    let (_, eve) = added(&other, "eve").await;
    accounts.authenticate(&ann).await.unwrap();
    assert_eq!(other.keys_behind().await.unwrap().len(), 2);
    accounts.follow();
    for token in [&ann, &ann, &eve] {
        accounts.authenticate(token).await.unwrap();
    }
    let behind = other.keys_behind().await.unwrap();
    let whose: Vec<i64> = behind.iter().map(|key| key.user_id).collect();
    assert_eq!(whose, [bob_user.id], "ann has come meanwhile, eve's is new");

    other.retire_pepper().await.unwrap();
    accounts.follow();
    for accounts in [&accounts, &other, &open(&dir, &clock()).await] {
        accounts.authenticate(&ann).await.unwrap();
        accounts.authenticate(&eve).await.unwrap();
        let refused = accounts.authenticate(&bob).await.unwrap_err();
        assert!(matches!(refused, AuthRefusal::Unknown), "{refused}");
    }
    let keys = accounts.keys(bob_user.id).await.unwrap();
    assert!(keys.iter().all(|key| key.revoked_at.is_some()));
    // Nothing is left that would let in who has the one before.
    assert!(!dir.join("pepper.former").exists());
    let kept = everything(&dir);
    assert!(!kept.windows(before.len()).any(|bytes| bytes == before));
}

#[tokio::test]
async fn replacing_the_key_of_the_digests_may_be_cut_off_anywhere() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("server");
    let accounts = open(&dir, &clock()).await;
    let (_, ann) = added(&accounts, "ann").await;
    drop(accounts);
    // The copy was made, the new one was not.
    let pepper = std::fs::read(dir.join("pepper")).unwrap();
    vmdeck::private_file::write_atomic(&dir.join("pepper.former"), &pepper).unwrap();
    let accounts = open(&dir, &clock()).await;
    assert!(!accounts.is_rekeying());
    accounts.authenticate(&ann).await.unwrap();
    accounts.replace_pepper().await.unwrap();
    drop(accounts);
    // Both files were written, the database was not told.
    let accounts = open(&dir, &clock()).await;
    assert!(accounts.is_rekeying());
    assert_eq!(accounts.keys_behind().await.unwrap().len(), 1);
    accounts.authenticate(&ann).await.unwrap();
    assert!(accounts.keys_behind().await.unwrap().is_empty());
    accounts.retire_pepper().await.unwrap();
    accounts.authenticate(&ann).await.unwrap();
}

#[tokio::test]
async fn keys_end_by_time_by_rotation_and_by_being_taken_back() {
    let home = tempfile::tempdir().unwrap();
    let clock = clock();
    let accounts = open(&home.path().join("server"), &clock).await;
    let expiring = NewKey {
        scopes: Scopes::looking(),
        expires_at: Some(clock.now() + SignedDuration::from_secs(60)),
    };
    let (user, first) = accounts.add_user(named("ci"), expiring).await.unwrap();
    accounts.authenticate(&first.token).await.unwrap();
    clock.advance(SignedDuration::from_secs(61));
    let refused = accounts.authenticate(&first.token).await.unwrap_err();
    assert!(matches!(refused, AuthRefusal::Expired(_)), "{refused}");

    let second = accounts
        .issue_key(user.id, NewKey::default())
        .await
        .unwrap();
    let hour = SignedDuration::from_hours(1);
    let third = accounts.rotate(user.id, Some(hour)).await.unwrap();
    accounts.authenticate(&second.token).await.unwrap();
    accounts.authenticate(&third.token).await.unwrap();
    clock.advance(hour);
    let refused = accounts.authenticate(&second.token).await.unwrap_err();
    assert!(matches!(refused, AuthRefusal::Revoked(_)), "{refused}");

    let fourth = accounts.rotate(user.id, None).await.unwrap();
    let refused = accounts.authenticate(&third.token).await.unwrap_err();
    assert!(matches!(refused, AuthRefusal::Revoked(_)), "{refused}");
    let watch = KeyWatch::begin(&accounts, &fourth.info.id, Some(user.id)).await;
    let mut watch = watch.unwrap();
    assert!(watch.look().await.live);
    accounts.revoke_key(&fourth.info.id).await.unwrap();
    assert!(!watch.look().await.live);
    let again = accounts.revoke_key(&fourth.info.id).await.unwrap_err();
    assert!(matches!(again, AccountsError::UnknownKey { .. }), "{again}");
}

#[tokio::test]
async fn whoever_looks_on_sees_what_becomes_of_keys() {
    let home = tempfile::tempdir().unwrap();
    let clock = clock();
    let accounts = open(&home.path().join("server"), &clock).await;
    // What the command line does while the server runs.
    let elsewhere = open(&home.path().join("server"), &clock).await;
    let (ann, one) = accounts
        .add_user(named("ann"), NewKey::default())
        .await
        .unwrap();
    let watch = async |whose| {
        let watch = KeyWatch::begin(&accounts, &one.info.id, whose).await;
        watch.unwrap()
    };
    let (mut own, mut all) = (watch(Some(ann.id)).await, watch(None).await);
    let told = |looked: Vec<KeyChange>| -> Vec<(String, String, KeyFate)> {
        let changes = looked.into_iter();
        changes.map(|it| (it.user, it.key_id, it.fate)).collect()
    };
    assert!(own.look().await.changes.is_empty());

    // Somebody else's is told to who looks at everybody's.
    let (ben, his) = elsewhere
        .add_user(named("ben"), NewKey::default())
        .await
        .unwrap();
    let issued = ("ben".to_owned(), his.info.id.clone(), KeyFate::Issued);
    assert_eq!(told(all.look().await.changes), [issued]);
    assert!(own.look().await.changes.is_empty());
    elsewhere.remove_user(ben.id).await.unwrap();
    let gone = KeyFate::TakenBack { ends: None };
    let removed = ("ben".to_owned(), his.info.id, gone.clone());
    assert_eq!(told(all.look().await.changes), [removed]);

    // An exchange that lets the old key work on is one of both.
    clock.advance(SignedDuration::from_secs(60));
    let hour = SignedDuration::from_hours(1);
    let two = elsewhere.rotate(ann.id, Some(hour)).await.unwrap();
    let ends = Some(clock.now() + hour);
    let looked = own.look().await;
    assert!(looked.live);
    assert_eq!(looked.changes[0].at, clock.now());
    let ann_s = |key: &IssuedKey, fate| ("ann".to_owned(), key.info.id.clone(), fate);
    let exchanged = [
        ann_s(&one, KeyFate::TakenBack { ends }),
        ann_s(&two, KeyFate::Issued),
    ];
    assert_eq!(told(looked.changes), exchanged);
    assert_eq!(told(all.look().await.changes), exchanged);

    // It ends by itself: that was told already.
    clock.advance(hour);
    let looked = own.look().await;
    assert!(!looked.live);
    assert!(looked.changes.is_empty());

    // A key that has ended already is not taken back again: not by an exchange, nor with its user.
    let short = NewKey {
        expires_at: Some(clock.now() + hour),
        ..NewKey::default()
    };
    let short = elsewhere.issue_key(ann.id, short).await.unwrap();
    drop(all.look().await);
    clock.advance(SignedDuration::from_secs(60));
    let day = SignedDuration::from_hours(24);
    let newest = elsewhere.rotate(ann.id, Some(day)).await.unwrap();
    let looked = told(all.look().await.changes);
    let fates: BTreeMap<_, _> = looked.iter().map(|(_, key, fate)| (key, fate)).collect();
    // What runs out sooner than the exchange lets it work ends then.
    let runs_out = short.info.expires_at;
    assert!(runs_out < Some(clock.now() + day));
    let until = |ends| KeyFate::TakenBack { ends };
    assert_eq!(fates.get(&one.info.id), None, "{looked:?}");
    assert_eq!(fates[&short.info.id], &until(runs_out));
    assert_eq!(fates[&two.info.id], &until(Some(clock.now() + day)));
    assert_eq!(fates[&newest.info.id], &KeyFate::Issued);
    drop(own.look().await);

    // Issued and taken back between two looks: both are told.
    let three = elsewhere.issue_key(ann.id, NewKey::default()).await;
    let three = three.unwrap();
    elsewhere.revoke_key(&three.info.id).await.unwrap();
    let both = [ann_s(&three, KeyFate::Issued), ann_s(&three, gone)];
    assert_eq!(told(own.look().await.changes), both);
}

#[tokio::test]
async fn the_last_use_is_known_to_the_minute_and_kept() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("server");
    let clock = clock();
    let accounts = open(&dir, &clock).await;
    let (user, token) = added(&accounts, "ann").await;
    let last = async |accounts: &Accounts| accounts.keys(user.id).await.unwrap()[0].last_used;
    assert_eq!(last(&accounts).await, None);
    accounts.authenticate(&token).await.unwrap();
    let first = clock.now();
    assert_eq!(last(&accounts).await, Some(first));
    clock.advance(SignedDuration::from_secs(30));
    accounts.authenticate(&token).await.unwrap();
    assert_eq!(last(&accounts).await, Some(first), "one write a minute");
    clock.advance(SignedDuration::from_secs(31));
    accounts.authenticate(&token).await.unwrap();
    drop(accounts);
    let accounts = open(&dir, &clock).await;
    assert_eq!(last(&accounts).await, Some(clock.now()));
}

#[tokio::test]
async fn names_emails_and_ids_find_a_user() {
    let home = tempfile::tempdir().unwrap();
    let accounts = open(&home.path().join("server"), &clock()).await;
    let with_email = NewUser {
        email: Some(" Ann@Example.org ".to_owned()),
        ..named("  ann ")
    };
    let (ann, _) = accounts
        .add_user(with_email.clone(), NewKey::default())
        .await
        .unwrap();
    assert_eq!(
        (ann.name.as_str(), ann.email.as_deref()),
        ("ann", Some("Ann@Example.org"))
    );
    let same = NewUser {
        email: Some("ann@example.ORG".to_owned()),
        ..named("other")
    };
    let refused = accounts
        .add_user(same, NewKey::default())
        .await
        .unwrap_err();
    assert!(matches!(refused, AccountsError::EmailTaken), "{refused}");
    let (twin, _) = added(&accounts, "ann").await;
    let refused = accounts.find_user("ann").await.unwrap_err();
    assert!(
        matches!(refused, AccountsError::AmbiguousUser { .. }),
        "{refused}"
    );
    assert_eq!(
        accounts.find_user(&twin.id.to_string()).await.unwrap(),
        twin
    );
    assert_eq!(accounts.find_user("Ann@Example.org").await.unwrap(), ann);
    for bad in ["", "   ", "a\nb", "\u{202e}x", &"x".repeat(101)] {
        let refused = accounts.add_user(named(bad), NewKey::default()).await;
        assert!(matches!(refused, Err(AccountsError::Unfit(_))), "{bad:?}");
    }
    accounts.remove_user(ann.id).await.unwrap();
    let refused = accounts.find_user("Ann@Example.org").await.unwrap_err();
    assert!(
        matches!(refused, AccountsError::UnknownUser { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn a_removed_users_key_opens_nothing_and_ids_are_never_used_again() {
    let home = tempfile::tempdir().unwrap();
    let accounts = open(&home.path().join("server"), &clock()).await;
    let (ann, token) = added(&accounts, "ann").await;
    let agent = accounts
        .add_agent(ann.id, HostId(1), None, None)
        .await
        .unwrap();
    accounts.remove_user(ann.id).await.unwrap();
    assert!(matches!(
        accounts.authenticate(&token).await,
        Err(AuthRefusal::Unknown)
    ));
    let (bob, _) = added(&accounts, "bob").await;
    assert!(bob.id > ann.id);
    let other = accounts
        .add_agent(bob.id, HostId(1), None, None)
        .await
        .unwrap();
    assert!(other.id > agent.id);
    assert_eq!(accounts.agent(ann.id, other.id).await.unwrap(), None);
    assert_eq!(accounts.agent(bob.id, other.id).await.unwrap(), Some(other));
}

#[tokio::test]
async fn there_is_one_first_administrator_however_many_begin() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("server");
    let (one, other) = (open(&dir, &clock()).await, open(&dir, &clock()).await);
    let (a, b) = tokio::join!(one.bootstrap("default"), other.bootstrap("default"));
    let made = [a.unwrap(), b.unwrap()];
    assert_eq!(made.iter().flatten().count(), 1);
    let (user, key) = made.into_iter().flatten().next().unwrap();
    assert!(user.admin);
    assert!(key.token.expose().starts_with("vmd_a_"));
    assert!(other.authenticate(&key.token).await.unwrap().user.admin);
}

/// The older portal's key `vmdeck-test-key-000000000000000000000000000`, hashed by Python's
/// `hashlib.pbkdf2_hmac("sha256", key, bytes(range(16)), 600_000)`.
pub(crate) const OLDER_KEY: &str = "vmdeck-test-key-000000000000000000000000000";
pub(crate) const OLDER_HASH: [u8; 32] = [
    0x7e, 0xcb, 0xfe, 0x13, 0x43, 0xbb, 0x67, 0x05, 0xe1, 0x73, 0x85, 0x81, 0xc0, 0x7c, 0x11, 0x83,
    0x90, 0x65, 0x7e, 0x82, 0xaf, 0x92, 0xd2, 0x8b, 0xab, 0x9f, 0x9a, 0xd7, 0x77, 0xf3, 0x28, 0xad,
];

#[tokio::test]
async fn a_key_of_the_older_portal_goes_on_working_and_its_slow_hash_goes_away() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("server");
    let accounts = open(&dir, &clock()).await;
    let key = ImportedKey {
        prefix: "vmdeck-t".to_owned(),
        hash: OLDER_HASH.to_vec(),
        salt: (0..16).collect(),
    };
    let at = "2024-05-06T07:08:09Z".parse().unwrap();
    let user = accounts
        .import_user(41, named("old"), key, at)
        .await
        .unwrap();
    assert_eq!((user.id, user.created_at), (41, at));
    let wrong = SecretText::new(format!("{}1", OLDER_KEY.strip_suffix('0').unwrap()));
    assert!(matches!(
        accounts.authenticate(&wrong).await,
        Err(AuthRefusal::Unknown)
    ));
    let right = SecretText::new(OLDER_KEY.to_owned());
    assert_eq!(accounts.authenticate(&right).await.unwrap().user.id, 41);
    drop(accounts);
    closed(&dir).await;
    assert!(
        !everything(&dir)
            .windows(32)
            .any(|window| window == OLDER_HASH),
        "the slow hash is still there"
    );
    let accounts = open(&dir, &clock()).await;
    assert_eq!(accounts.authenticate(&right).await.unwrap().user.id, 41);
    let (next, _) = added(&accounts, "new").await;
    assert_eq!(next.id, 42);
}

#[tokio::test]
async fn a_request_that_comes_again_gets_its_answer_also_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("server");
    let clock = clock();
    let keep = Duration::from_secs(3600);
    let accounts = open(&dir, &clock).await;
    let begin = async |accounts: &Accounts, request| {
        accounts
            .begin("key-1", "name", [request; 32], keep)
            .await
            .unwrap()
    };
    assert_eq!(begin(&accounts, 1).await, Begun::New);
    assert_eq!(
        begin(&accounts, 1).await,
        Begun::UnderWay { operation: None }
    );
    assert_eq!(begin(&accounts, 2).await, Begun::OtherRequest);
    accounts.started("key-1", "name", "op-7").await.unwrap();
    drop(accounts);

    let accounts = open(&dir, &clock).await;
    let operation = Some("op-7".to_owned());
    assert_eq!(begin(&accounts, 1).await, Begun::Interrupted { operation });
    let answer = StoredAnswer {
        status: 202,
        location: Some("/v1/operations/op-7".to_owned()),
        body: b"{}".to_vec(),
    };
    accounts
        .answered("key-1", "name", answer.clone())
        .await
        .unwrap();
    drop(accounts);

    let accounts = open(&dir, &clock).await;
    assert_eq!(begin(&accounts, 1).await, Begun::Answered(answer));
    let other_key = accounts
        .begin("key-2", "name", [1; 32], keep)
        .await
        .unwrap();
    assert_eq!(other_key, Begun::New, "names belong to a key");
    clock.advance(SignedDuration::from_hours(1));
    assert_eq!(begin(&accounts, 9).await, Begun::New, "its time is over");
}

#[tokio::test]
async fn of_two_equal_requests_at_once_one_acts() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("server");
    let (one, other) = (open(&dir, &clock()).await, open(&dir, &clock()).await);
    let keep = Duration::from_secs(60);
    for round in 0..20_u8 {
        let name = format!("n{round}");
        let (a, b) = tokio::join!(
            one.begin("key", &name, [round; 32], keep),
            other.begin("key", &name, [round; 32], keep)
        );
        let begun = [a.unwrap(), b.unwrap()];
        let acting = begun.iter().filter(|begun| **begun == Begun::New).count();
        assert_eq!(acting, 1, "{begun:?}");
    }
}

#[tokio::test]
async fn a_granted_profile_opens_with_the_servers_vault_and_no_other() {
    let home = tempfile::tempdir().unwrap();
    let accounts = open(&home.path().join("server"), &clock()).await;
    let passphrase = |text: &str| SecretText::new(text.to_owned());
    let server = Vault::for_tests(None);
    let identity = server.create_identity(&passphrase("server")).await.unwrap();
    accounts.set_identity(identity.clone()).await.unwrap();
    let owner = Vault::for_tests(None);
    owner.create_identity(&passphrase("owner")).await.unwrap();
    let sealed = owner.entrust(&identity.recipient, "profile-1").unwrap();
    accounts
        .grant("lab", "profile-1", Some(sealed.clone()), false)
        .await
        .unwrap();

    // A later start of the server.
    let stored = accounts.identity().await.unwrap().unwrap();
    let later = Vault::for_tests(None);
    assert!(matches!(
        later.open_entrusted("profile-1", &sealed),
        Err(VaultError::Locked)
    ));
    later.unlock(&stored, &passphrase("server")).await.unwrap();
    let grant = accounts.granted("lab").await.unwrap().unwrap();
    let opened = later
        .open_entrusted("profile-1", grant.sealed.as_ref().unwrap())
        .unwrap();
    assert!(opened.is_unlocked());
    assert_eq!(
        opened.audit_key().map(|key| format!("{key:?}")),
        owner.audit_key().map(|key| format!("{key:?}"))
    );
    assert!(matches!(
        later.open_entrusted("profile-2", &sealed),
        Err(VaultError::Swapped { .. })
    ));
    let stranger = Vault::for_tests(None);
    stranger.create_identity(&passphrase("x")).await.unwrap();
    assert!(matches!(
        stranger.open_entrusted("profile-1", &sealed),
        Err(VaultError::OtherIdentity)
    ));

    // Without secrets it leaves what was granted; of another profile of that name it does not.
    accounts
        .grant("lab", "profile-1", None, false)
        .await
        .unwrap();
    assert!(
        accounts
            .granted("lab")
            .await
            .unwrap()
            .unwrap()
            .sealed
            .is_some()
    );
    accounts
        .grant("lab", "profile-9", None, false)
        .await
        .unwrap();
    assert_eq!(accounts.granted("lab").await.unwrap().unwrap().sealed, None);
    accounts.take_back("lab").await.unwrap();
    assert_eq!(accounts.granted("lab").await.unwrap(), None);
    let again = accounts.take_back("lab").await.unwrap_err();
    assert!(matches!(again, AccountsError::NotGranted { .. }), "{again}");
    let other = Vault::for_tests(None);
    let other = other.create_identity(&passphrase("other")).await.unwrap();
    let refused = accounts.set_identity(other).await.unwrap_err();
    assert!(
        matches!(refused, AccountsError::IdentityExists),
        "{refused}"
    );
}

#[tokio::test]
async fn a_foreign_newer_or_damaged_file_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("server");
    let accounts = open(&dir, &clock()).await;
    added(&accounts, "ann").await;
    drop(accounts);
    closed(&dir).await;
    let file = dir.join("server.db");
    let sound = std::fs::read(&file).unwrap();
    for (name, damage) in [("garbage", 0..100_usize), ("page", 4096..4500)] {
        let mut bytes = sound.clone();
        for byte in damage {
            if let Some(byte) = bytes.get_mut(byte) {
                *byte = 0x5a;
            }
        }
        overwrite(&file, &bytes);
        let refused = Accounts::open(&dir, clock()).await.unwrap_err();
        assert!(
            matches!(refused, AccountsError::Broken { .. }),
            "{name}: {refused}"
        );
        assert_eq!(std::fs::read(&file).unwrap(), bytes, "{name} was changed");
    }
}

fn overwrite(path: &Path, bytes: &[u8]) {
    vmdeck::private_file::write_atomic(path, bytes).unwrap();
}
