//! Host keys: who is let in, and that nobody else gets to see as much as a user name.

use vmdeck::domain::error_kind::{Classify, ErrorKind};
use vmdeck::domain::host_key::{HostKeyQuestion, HostKeyVerdict};
use vmdeck::transport::{Target, TransportError};

use crate::rig::{connect, hop, host_key, key_file, pin, shell, stdout, target, target_of};
use crate::support::keys::{KeyKind, KeyPair};
use crate::support::sshd::Sshd;
use crate::support::{command, run, write};

/// A server that logs everything a client asks for.
fn talkative() -> Sshd {
    Sshd::builder().log_level("DEBUG1").start()
}

/// Connects, and expects a question about the key without a single attempt to log in.
async fn refused(sshd: &Sshd, target: &Target) -> HostKeyQuestion {
    let error = connect(target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostKey);
    assert!(error.hint().is_some());
    assert_eq!(sshd.logged("userauth-request"), 0, "{}", sshd.log());
    match error {
        TransportError::HostKey(question) => *question,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_unknown_key_is_a_question() {
    let sshd = talkative();
    let mut target = target(&sshd);
    target.known_hosts.clear();
    let question = refused(&sshd, &target).await;
    assert_eq!(question.verdict, HostKeyVerdict::Unknown);
    assert_eq!(question.key, host_key(&sshd.host_keys[0]));
    assert_eq!(question.label, sshd.label());
    assert_eq!(question.dialled, format!("127.0.0.1:{}", sshd.port()));
    // The answer is bound to the key: pinned, the same server is known.
    target.pinned = vec![pin(&sshd, &sshd.host_keys[0])];
    let connected = connect(&target).await.unwrap();
    assert!(connected.accepted.is_empty());
    assert!(
        sshd.logged("userauth-request") > 0,
        "what the others look for is logged at all"
    );
}

#[tokio::test]
async fn an_unknown_key_can_be_accepted_and_is_reported() {
    let sshd = talkative();
    let mut target = target(&sshd);
    target.known_hosts.clear();
    target.accept_new = true;
    let connected = connect(&target).await.unwrap();
    assert_eq!(connected.accepted, [pin(&sshd, &sshd.host_keys[0])]);
}

#[tokio::test]
async fn a_changed_key_is_refused_whatever_was_allowed() {
    for kind in [KeyKind::Ed25519, KeyKind::Ecdsa, KeyKind::Rsa] {
        let mut sshd = talkative();
        let mut target = target(&sshd);
        target.accept_new = true;
        let old = host_key(&sshd.host_keys[0]);
        // Also of another type: a host that suddenly shows only another type has changed.
        sshd.change_host_key(kind);
        sshd.restart();
        let question = refused(&sshd, &target).await;
        let HostKeyVerdict::Changed { known } = question.verdict else {
            panic!("{:?}", question.verdict)
        };
        assert_eq!(known[0].key, old);
        assert_eq!(known[0].line, Some(1));
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_although_it_is_known() {
    let sshd = talkative();
    let mut target = target(&sshd);
    target.accept_new = true;
    target.pinned = vec![pin(&sshd, &sshd.host_keys[0])];
    let revoked = sshd.dir().join("revoked");
    write(
        &revoked,
        format!("@revoked * {}\n", sshd.host_keys[0].public_line()),
    );
    target.known_hosts.push(revoked);
    let question = refused(&sshd, &target).await;
    assert!(matches!(question.verdict, HostKeyVerdict::Revoked { .. }));
}

#[tokio::test]
async fn a_pinned_key_beats_the_files() {
    let sshd = talkative();
    let mut target = target(&sshd);
    let other = KeyPair::generate(&sshd.dir().join("other"), KeyKind::Ed25519, "");
    target.pinned = vec![pin(&sshd, &other)];
    let question = refused(&sshd, &target).await;
    assert!(matches!(question.verdict, HostKeyVerdict::Changed { .. }));
}

#[tokio::test]
async fn the_type_that_is_known_is_the_one_asked_for() {
    let sshd = Sshd::builder().host_keys(&KeyKind::ALL).start();
    for key in &sshd.host_keys {
        let mut target = target(&sshd);
        target.known_hosts.clear();
        target.pinned = vec![pin(&sshd, key)];
        connect(&target).await.unwrap();
    }
}

#[tokio::test]
async fn a_weak_key_proves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("weak");
    run(command("ssh-keygen")
        .args(["-q", "-t", "rsa", "-b", "1024", "-N", "", "-f"])
        .arg(&path));
    let sshd = Sshd::builder()
        .host_key_pem(std::fs::read_to_string(&path).unwrap())
        .line("RequiredRSASize 1024")
        .log_level("DEBUG1")
        .start();
    let error = connect(&target(&sshd)).await.unwrap_err();
    assert!(
        error.to_string().contains("fewer than 2048 bits"),
        "{error}"
    );
    assert_eq!(sshd.logged("userauth-request"), 0);
}

#[tokio::test]
async fn files_that_cannot_be_read_let_nobody_in() {
    let sshd = talkative();
    let mut target = target(&sshd);
    target.accept_new = true;
    target.known_hosts.push(sshd.dir().to_owned());
    let error = connect(&target).await.unwrap_err();
    assert!(
        matches!(error, TransportError::KnownHosts { .. }),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::HostKey);
    let huge = sshd.dir().join("huge");
    write(&huge, vec![b'#'; 4 * 1024 * 1024 + 1]);
    target.known_hosts = vec![huge];
    let error = connect(&target).await.unwrap_err();
    assert!(error.to_string().contains("4 MiB"), "{error}");
    assert_eq!(sshd.logged("Connection from"), 0);
}

#[tokio::test]
async fn a_chain_of_jump_hosts_ends_at_the_host() {
    let (outer, inner, host) = (
        Sshd::start(),
        Sshd::start(),
        Sshd::builder().set_env("WHO", "host").start(),
    );
    let hops = [&outer, &inner, &host]
        .map(|sshd| hop(sshd, vec![key_file(&sshd.client_key)]))
        .to_vec();
    let connected = connect(&target_of(hops, &[&outer, &inner, &host]))
        .await
        .unwrap();
    let link = connected.transport;
    assert_eq!(stdout(&*link, &shell("echo $WHO")).await, "host\n");
    inner.kill_sessions();
    assert!(matches!(link.closed().await, TransportError::Lost { .. }));
}

#[tokio::test]
async fn w1_a_jump_hosts_key_is_kept_under_its_own_name() {
    let (jump, host) = (Sshd::start(), Sshd::start());
    let hops = [&jump, &host]
        .map(|sshd| hop(sshd, vec![key_file(&sshd.client_key)]))
        .to_vec();
    let mut target = target_of(hops, &[]);
    target.accept_new = true;
    let connected = connect(&target).await.unwrap();
    let kept = [&jump, &host].map(|sshd| pin(sshd, &sshd.host_keys[0]));
    assert_eq!(connected.accepted, kept);
    // With what was kept the same way is known; with the two exchanged, the first stop is not.
    target.accept_new = false;
    target.pinned = kept.to_vec();
    connect(&target).await.unwrap();
    let [mut first, mut second] = kept;
    std::mem::swap(&mut first.key, &mut second.key);
    target.pinned = vec![first, second];
    let error = connect(&target).await.unwrap_err();
    let TransportError::HostKey(question) = error else {
        panic!("{error}");
    };
    assert_eq!(question.label, jump.label());
    assert!(matches!(question.verdict, HostKeyVerdict::Changed { .. }));
}

#[tokio::test]
async fn w1_every_stop_is_judged_under_its_own_name() {
    let (jump, host) = (talkative(), talkative());
    let hops = || {
        [&jump, &host]
            .map(|sshd| hop(sshd, vec![key_file(&sshd.client_key)]))
            .to_vec()
    };
    // The host's own key is not known: the jump host's good name does not help it.
    let question = refused(&host, &target_of(hops(), &[&jump])).await;
    assert_eq!(question.label, host.label());
    assert_eq!(question.verdict, HostKeyVerdict::Unknown);
    assert!(
        question.dialled.contains("jump host"),
        "{}",
        question.dialled
    );

    // The jump host's key filed under the host's name does not make the host known either.
    let mut target = target_of(hops(), &[&jump]);
    let mut swapped = pin(&jump, &jump.host_keys[0]);
    swapped.label = host.label();
    target.pinned = vec![swapped];
    let question = refused(&host, &target).await;
    assert!(matches!(question.verdict, HostKeyVerdict::Changed { .. }));

    // An unknown jump host is not logged in to, and nothing behind it is reached.
    let before = host.logged("Connection from");
    let stranger = talkative();
    let hops = vec![
        hop(&stranger, vec![key_file(&stranger.client_key)]),
        hop(&host, vec![key_file(&host.client_key)]),
    ];
    let question = refused(&stranger, &target_of(hops, &[&host])).await;
    assert_eq!(question.label, stranger.label());
    assert_eq!(host.logged("Connection from"), before);
}

#[tokio::test]
async fn a_jump_host_that_forbids_forwarding_is_named() {
    let jump = Sshd::builder().line("AllowTcpForwarding no").start();
    let host = Sshd::start();
    let hops = [&jump, &host]
        .map(|sshd| hop(sshd, vec![key_file(&sshd.client_key)]))
        .to_vec();
    let error = connect(&target_of(hops, &[&jump, &host]))
        .await
        .unwrap_err();
    assert!(matches!(error, TransportError::Dial { .. }), "{error}");
    assert!(error.to_string().contains("jump host"), "{error}");
}
