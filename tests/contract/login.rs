//! Every way to log in, on a real sshd where it can do it.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering;

use russh::MethodKind;
use vmdeck::domain::credential::Credential;
use vmdeck::domain::error_kind::{Classify, ErrorKind};
use vmdeck::domain::secret::SecretText;
use vmdeck::transport::ssh::{SshConnector, SshOptions};
use vmdeck::transport::{Connected, Connector, Target, TransportError};

use crate::rig::{connect, exec, hop, key_file, shell, target_of};
use crate::server::{Manner, Server, password};
use crate::support::account::{Account, PASSWORD};
use crate::support::agent::Agent;
use crate::support::is_root;
use crate::support::keys::{KeyKind, KeyPair};
use crate::support::sshd::Sshd;

fn secret(text: &str) -> SecretText {
    SecretText::from(text.to_owned())
}

async fn log_in(sshd: &Sshd, credentials: Vec<Credential>) -> Result<Connected, TransportError> {
    connect(&target_of(vec![hop(sshd, credentials)], &[sshd])).await
}

/// Logs in, runs something, and returns what the login succeeded with.
async fn works(sshd: &Sshd, credentials: Vec<Credential>) -> String {
    match log_in(sshd, credentials).await {
        Ok(connected) => {
            let output = exec(&*connected.transport, &shell("exit 0")).await.unwrap();
            assert!(output.status.is_success());
            connected.logged_in_with
        }
        Err(error) => panic!("{error}\n{}", sshd.log()),
    }
}

async fn with_agent(agent: &Agent, target: &Target) -> Result<Connected, TransportError> {
    let options = SshOptions {
        agent_socket: Some(agent.socket.clone()),
        ..SshOptions::default()
    };
    SshConnector::new(options).connect(target).await
}

#[tokio::test]
async fn keys_of_every_kind_in_files_and_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let keys = KeyKind::ALL.map(|kind| KeyPair::generate(&dir.path().join(kind.word()), kind, ""));
    let mut builder = Sshd::builder();
    for key in &keys {
        builder = builder.authorize(key.public_line());
    }
    let sshd = builder.start();
    for key in &keys {
        let with = works(&sshd, vec![key_file(key)]).await;
        assert_eq!(with, format!("key {}", key.path.display()));
        let sealed = Credential::PrivateKey {
            origin: "web".to_owned(),
            pem: secret(&key.pem()),
            passphrase: None,
            certificate: None,
        };
        assert_eq!(works(&sshd, vec![sealed]).await, "key web");
    }
    assert_eq!(sshd.logged("ssh-rsa SHA1"), 0);
}

#[tokio::test]
async fn keys_with_a_passphrase() {
    let dir = tempfile::tempdir().unwrap();
    for kind in KeyKind::ALL {
        let key = KeyPair::generate(&dir.path().join(kind.word()), kind, "open sesame");
        let sshd = Sshd::builder().authorize(key.public_line()).start();
        let with = |passphrase: Option<&str>| Credential::PrivateKey {
            origin: "web".to_owned(),
            pem: secret(&key.pem()),
            passphrase: passphrase.map(secret),
            certificate: None,
        };
        works(&sshd, vec![with(Some("open sesame"))]).await;
        for (passphrase, expected) in [
            (Some("wrong"), "its passphrase is wrong"),
            (None, "protected by a passphrase"),
        ] {
            let error = log_in(&sshd, vec![with(passphrase)]).await.unwrap_err();
            assert!(
                matches!(error, TransportError::Credential { .. }),
                "{error}"
            );
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}

#[tokio::test]
async fn certificates_beside_the_key_and_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let authority = KeyPair::generate(&dir.path().join("ca"), KeyKind::Ed25519, "");
    let sshd = Sshd::builder()
        .line(format!(
            "TrustedUserCAKeys {}",
            authority.public_path().display()
        ))
        .start();
    for kind in KeyKind::ALL {
        let key = KeyPair::generate(&dir.path().join(kind.word()), kind, "");
        let error = log_in(&sshd, vec![key_file(&key)]).await.unwrap_err();
        assert!(matches!(error, TransportError::Auth { .. }), "{error}");
        authority.certify_user(&key, sshd.user());
        let with = works(&sshd, vec![key_file(&key)]).await;
        assert!(with.starts_with("certificate of key "), "{with}");
        let line = std::fs::read_to_string(key.certificate_path()).unwrap();
        let sealed = |certificate: String| Credential::PrivateKey {
            origin: "web".to_owned(),
            pem: secret(&key.pem()),
            passphrase: None,
            certificate: Some(certificate),
        };
        assert_eq!(
            works(&sshd, vec![sealed(line)]).await,
            "certificate of key web"
        );
        let error = log_in(&sshd, vec![sealed("nonsense".to_owned())])
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("its certificate cannot be read"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_agent_with_several_keys() {
    let dir = tempfile::tempdir().unwrap();
    let keys = KeyKind::ALL.map(|kind| KeyPair::generate(&dir.path().join(kind.word()), kind, ""));
    for authorized in &keys {
        let sshd = Sshd::builder()
            .without_own_key()
            .authorize(authorized.public_line())
            .start();
        let agent = Agent::start(&[&keys[0], &keys[1], &keys[2]]);
        let target = target_of(vec![hop(&sshd, vec![Credential::Agent])], &[&sshd]);
        let connected = with_agent(&agent, &target).await.unwrap();
        let algorithm = authorized.public_parts().0;
        let expected = format!("agent ({algorithm} test key)");
        assert_eq!(connected.logged_in_with, expected);
    }
}

#[tokio::test]
async fn an_agent_that_is_gone_stops_nobody() {
    let sshd = Sshd::start();
    let credentials = vec![Credential::Agent, key_file(&sshd.client_key)];
    let target = target_of(vec![hop(&sshd, credentials.clone())], &[&sshd]);
    let agent = Agent::start(&[]);
    let with = with_agent(&agent, &target).await.unwrap().logged_in_with;
    assert!(with.starts_with("key "), "{with}");
    for socket in ["/nonexistent/agent", "/etc/passwd"] {
        let options = SshOptions {
            agent_socket: Some(socket.into()),
            ..SshOptions::default()
        };
        let connected = SshConnector::new(options).connect(&target).await.unwrap();
        assert!(connected.logged_in_with.starts_with("key "));
    }
    works(&sshd, credentials).await;
}

#[tokio::test]
async fn an_agent_with_too_many_keys_is_said_to_have_ended_the_login() {
    let dir = tempfile::tempdir().unwrap();
    let keys: Vec<KeyPair> = (0..8)
        .map(|n| KeyPair::generate(&dir.path().join(n.to_string()), KeyKind::Ed25519, ""))
        .collect();
    let agent = Agent::start(&keys.iter().collect::<Vec<_>>());
    let sshd = Sshd::start();
    let target = target_of(vec![hop(&sshd, vec![Credential::Agent])], &[&sshd]);
    let error = with_agent(&agent, &target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
    let said = error.to_string();
    assert!(said.contains("Too many authentication failures"), "{said}");
    assert!(said.contains("offers publickey"), "{said}");
}

#[tokio::test]
async fn a_wrong_key_says_what_was_tried_and_what_is_offered() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = KeyPair::generate(&dir.path().join("wrong"), KeyKind::Ed25519, "");
    let sshd = Sshd::start();
    let credentials = vec![
        Credential::Agent,
        key_file(&wrong),
        Credential::KeyFile {
            path: dir.path().join("absent"),
            passphrase: None,
        },
        password("hunter2"),
    ];
    let error = log_in(&sshd, credentials).await.unwrap_err();
    let TransportError::Auth {
        tried,
        offered,
        user,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(user, sshd.user());
    assert_eq!(offered, &["publickey"]);
    let expected = [
        "agent (no agent is running)".to_owned(),
        format!("key {} (refused)", wrong.path.display()),
        format!(
            "key {}/absent (there is no such file)",
            dir.path().display()
        ),
        "password (not offered)".to_owned(),
    ];
    assert_eq!(tried, &expected);
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(error.hint().is_some());
    assert!(!error.to_string().contains("hunter2"));
}

#[tokio::test]
async fn nothing_to_log_in_with_is_said_too() {
    let sshd = Sshd::start();
    let error = log_in(&sshd, Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains("tried nothing"), "{error}");
    assert!(error.to_string().contains("offers publickey"), "{error}");
}

#[tokio::test]
async fn a_key_that_others_can_read_is_refused() {
    let sshd = Sshd::start();
    let path = &sshd.client_key.path;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = log_in(&sshd, vec![key_file(&sshd.client_key)])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[tokio::test]
async fn a_server_that_wants_two_keys_gets_both() {
    let dir = tempfile::tempdir().unwrap();
    let keys = [KeyKind::Ed25519, KeyKind::Ecdsa]
        .map(|kind| KeyPair::generate(&dir.path().join(kind.word()), kind, ""));
    let sshd = Sshd::builder()
        .authorize(keys[0].public_line())
        .authorize(keys[1].public_line())
        .line("AuthenticationMethods publickey,publickey")
        .start();
    works(&sshd, vec![key_file(&keys[0]), key_file(&keys[1])]).await;
    let error = log_in(&sshd, vec![key_file(&keys[0])]).await.unwrap_err();
    assert!(
        error.to_string().contains("accepted, but more is needed"),
        "{error}"
    );
}

/// Needs an account whose password is known, so root. The same paths run against the fake server below.
#[tokio::test]
async fn a_password_of_a_real_account() {
    if !is_root() {
        return;
    }
    let account = Account::create();
    let sshd = Sshd::builder()
        .user(&account.name)
        .line("PasswordAuthentication yes")
        .start();
    assert_eq!(works(&sshd, vec![password(PASSWORD)]).await, "password");
    let error = log_in(&sshd, vec![password("wrong")]).await.unwrap_err();
    assert!(error.to_string().contains("password (refused)"), "{error}");
    // A key as another account than the one the server runs as.
    works(&sshd, vec![key_file(&sshd.client_key)]).await;
}

#[tokio::test]
async fn a_password_as_the_answer_to_questions() {
    let manner = Manner {
        methods: &[MethodKind::KeyboardInteractive],
        questions: &[("Password: ", false)],
        ..Manner::default()
    };
    let server = Server::start(manner.clone()).await;
    let connected = connect(&server.target(vec![password("correct")]))
        .await
        .unwrap();
    assert_eq!(connected.logged_in_with, "password (keyboard-interactive)");
    assert!(
        connect(&server.target(vec![password("wrong")]))
            .await
            .is_err()
    );

    let server = Server::start(Manner {
        second_factor: true,
        ..manner
    })
    .await;
    let error = connect(&server.target(vec![password("correct")]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("Verification code"), "{error}");
}

#[tokio::test]
async fn a_password_is_not_told_where_the_answer_is_shown() {
    let server = Server::start(Manner {
        methods: &[MethodKind::KeyboardInteractive],
        questions: &[("Your name: ", true)],
        ..Manner::default()
    })
    .await;
    let error = connect(&server.target(vec![password("correct")]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("Your name"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_counts_once() {
    let server = Server::start(Manner {
        methods: &[MethodKind::Password, MethodKind::KeyboardInteractive],
        questions: &[("Password: ", false)],
        ..Manner::default()
    })
    .await;
    let target = server.target(vec![password("wrong")]);
    assert!(connect(&target).await.is_err());
    assert_eq!(server.logins.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_asks_for_nothing_lets_us_in() {
    let server = Server::start(Manner {
        open: true,
        ..Manner::default()
    })
    .await;
    let connected = connect(&server.target(Vec::new())).await.unwrap();
    assert!(connected.logged_in_with.starts_with("no credential"));
}

#[tokio::test]
async fn a_connection_lost_during_the_login_is_no_refusal() {
    let server = Server::start(Manner {
        hangs_up: true,
        ..Manner::default()
    })
    .await;
    let target = server.target(vec![password("correct")]);
    let error = connect(&target).await.unwrap_err();
    // A refusal is not tried again by itself; a lost connection is.
    assert!(matches!(error, TransportError::Lost { .. }), "{error}");
}
