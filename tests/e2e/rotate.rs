//! A new key in the place of an old one, against a real sshd: whatever stands in the account's file, and wherever it
//! stops, there is a login that works.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::VMDECK;
use crate::dashboard::open;
use crate::support::deck::{Deck, Run};
use crate::support::keys::{KeyKind, KeyPair};
use crate::support::lab::LibvirtHost;
use crate::support::sshd::{Sshd, SshdBuilder};
use crate::support::write;

const PASSPHRASE: &str = "open sesame 12";

/// An account on a server, and a profile whose host logs in to it with a sealed key.
struct Ground {
    deck: Deck,
    home: TempDir,
    keys: TempDir,
    sshd: Sshd,
    old: String,
}

impl Ground {
    /// `file` makes the account's `authorized_keys` of the old key's line.
    fn new(kind: KeyKind, more: &[&str], file: impl Fn(&str) -> String) -> Self {
        let keys = TempDir::new().unwrap();
        let home = TempDir::new().unwrap();
        let place = home.path().join(".ssh/authorized_keys");
        let mut builder: SshdBuilder = Sshd::builder()
            .line(format!("AuthorizedKeysFile {}", place.display()))
            .set_env("HOME", home.path().display().to_string());
        for line in more {
            builder = builder.line(*line);
        }
        let sshd = builder.start();
        let key = KeyPair::generate(&keys.path().join("old"), kind, "");
        let old = key.public_line();
        fs::create_dir(home.path().join(".ssh")).unwrap();
        write(&place, file(&old));
        fs::set_permissions(&place, fs::Permissions::from_mode(0o600)).unwrap();
        let ground = Self {
            deck: Deck::new(VMDECK),
            home,
            keys,
            sshd,
            old,
        };
        let secret = ground.keys.path().join("passphrase");
        write(&secret, PASSPHRASE);
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let path = key.path.display().to_string();
        ground
            .run(&["credential", "add", "ops", "--key-file", &path])
            .expect(0);
        ground.add("kvm1");
        ground
    }

    fn add(&self, name: &str) {
        let address = format!("127.0.0.1:{}", self.sshd.port());
        let known = self.sshd.known_hosts();
        let (_, key) = known.lines().next().unwrap().split_once(' ').unwrap();
        let user = self.sshd.user();
        self.run(&[
            "host",
            "add",
            name,
            "--address",
            &address,
            "--user",
            user,
            "--kind",
            "libvirt",
            "--credential",
            "ops",
            "--host-key",
            key,
        ])
        .expect(0);
    }

    fn run(&self, args: &[&str]) -> Run {
        let secret = self.keys.path().join("passphrase");
        let mut prepared = self.deck.command(args);
        Run::of(prepared.env("VMDECK_PASSPHRASE_FILE", secret))
    }

    fn file(&self) -> PathBuf {
        self.home.path().join(".ssh/authorized_keys")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    /// Whether the host lets the profile in, as the doctor sees it.
    #[track_caller]
    fn is_let_in(&self, host: &str) -> bool {
        let told = self.run(&["host", "doctor", host]);
        told.stdout.contains("ok   login")
    }

    fn credentials(&self) -> String {
        self.run(&["credential", "list"]).expect(0).stdout
    }
}

#[test]
fn a_key_is_replaced_with_its_options_and_nothing_else_is_touched() {
    let other = "# café\nssh-rsa AAAAother somebody else\n";
    let options = r#"from="127.0.0.1,::1",no-agent-forwarding "#;
    let ground = Ground::new(KeyKind::Ed25519, &[], |old| {
        format!("{other}{options}{old}")
    });
    let before = ground.text();
    let dry = ground
        .run(&["credential", "rotate", "ops", "--dry-run"])
        .expect(0);
    assert!(
        dry.stderr.contains("authorized_keys") && dry.stderr.contains("kvm1"),
        "{dry:?}"
    );
    assert_eq!(ground.text(), before);
    assert!(!ground.credentials().contains("ops.new"));

    let done = ground
        .run(&["credential", "rotate", "ops", "--yes"])
        .expect(0);
    assert!(
        done.stdout
            .contains("ops is the new key; the old one is forgotten"),
        "{done:?}"
    );
    let public = ground
        .run(&["credential", "public", "ops"])
        .expect(0)
        .stdout;
    assert_ne!(public.trim(), ground.old);
    assert_eq!(ground.text(), format!("{other}{options}{public}"));
    assert_eq!(
        fs::metadata(ground.file()).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(ground.is_let_in("kvm1"));
    let listed = ground.credentials();
    assert!(
        listed.contains("kvm1") && !listed.contains("ops."),
        "{listed}"
    );

    ground.run(&["audit", "verify"]).expect(0);
    let told = ground
        .run(&["audit", "tail", "--json", "-n", "50"])
        .expect(0)
        .stdout;
    for step in [
        "key-added",
        "key-tried",
        "key-removed",
        "credential-rotated",
    ] {
        assert!(told.contains(step), "{step}: {told}");
    }
    let intents = told.lines().filter(|line| line.contains("\"intent\""));
    assert!(
        intents.clone().count() == 2 && intents.clone().all(|line| line.contains("sh -c")),
        "{told}"
    );
    assert!(!told.contains("PRIVATE KEY") && !told.contains(PASSPHRASE));
}

#[test]
fn a_server_that_refuses_the_new_key_is_left_as_it_was() {
    let only_rsa = ["PubkeyAcceptedAlgorithms rsa-sha2-256,rsa-sha2-512"];
    let ground = Ground::new(KeyKind::Rsa, &only_rsa, |old| format!("{old}\n"));
    let before = ground.text();
    let refused = ground
        .run(&["credential", "rotate", "ops", "--yes"])
        .expect(1);
    for words in [
        "the new key is not let in by kvm1",
        "it was taken away again",
        "kvm1 still logs in with credential ops",
    ] {
        assert!(refused.stderr.contains(words), "{words}: {refused:?}");
    }
    assert_eq!(ground.text(), before);
    assert!(ground.is_let_in("kvm1"));
}

#[test]
fn a_file_that_is_read_only_is_left_alone() {
    let ground = Ground::new(KeyKind::Ed25519, &[], |old| format!("{old}\n"));
    fs::set_permissions(ground.file(), fs::Permissions::from_mode(0o400)).unwrap();
    let refused = ground
        .run(&["credential", "rotate", "ops", "--yes"])
        .expect(1);
    assert!(refused.stderr.contains("is read-only"), "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("is as it was and logs in with credential ops"),
        "{refused:?}"
    );
    assert_eq!(ground.text(), format!("{}\n", ground.old));
    // It goes on where it stopped, with the key that was made.
    fs::set_permissions(ground.file(), fs::Permissions::from_mode(0o600)).unwrap();
    let done = ground
        .run(&["credential", "rotate", "ops", "--yes"])
        .expect(0);
    assert!(
        done.stderr.contains("is there from an earlier run"),
        "{done:?}"
    );
}

#[test]
fn the_old_key_stays_until_every_host_has_moved_and_somebody_asks() {
    let ground = Ground::new(KeyKind::Ed25519, &[], |old| format!("{old}\n"));
    ground.add("kvm2");
    let part = ground
        .run(&["credential", "rotate", "ops", "--host", "kvm1", "--yes"])
        .expect(0);
    assert!(
        part.stderr.contains("kvm2 still log in with the old key"),
        "{part:?}"
    );
    assert_eq!(ground.text().lines().count(), 2, "{}", ground.text());

    let rest = ground
        .run(&["credential", "rotate", "ops", "--keep-old", "--yes"])
        .expect(0);
    assert!(
        rest.stdout.contains("kvm2 had the new key already"),
        "{rest:?}"
    );
    assert!(
        rest.stdout.contains("the old one is kept as ops.old"),
        "{rest:?}"
    );
    assert_eq!(ground.text().lines().count(), 2, "{}", ground.text());
    let again = ground.run(&["credential", "rotate", "ops", "--dry-run"]);
    assert!(
        again.code != 0 && again.stderr.contains("--remove-old"),
        "{again:?}"
    );

    let last = ground
        .run(&["credential", "rotate", "ops", "--remove-old", "--yes"])
        .expect(0);
    assert!(last.stdout.contains("ops.old is forgotten"), "{last:?}");
    let public = ground
        .run(&["credential", "public", "ops"])
        .expect(0)
        .stdout;
    assert_eq!(ground.text(), public);
    assert!(!ground.credentials().contains("ops."));
    assert!(ground.is_let_in("kvm2"));
}

#[test]
fn a_host_is_moved_from_whatever_it_logs_in_with_to_a_key_that_is_kept() {
    let ground = Ground::new(KeyKind::Ed25519, &[], |old| format!("{old}\n"));
    let file = ground.keys.path().join("old").display().to_string();
    ground
        .run(&["host", "edit", "kvm1", "--key-file", &file])
        .expect(0);
    ground
        .run(&["credential", "add", "fresh", "--generate", "ed25519"])
        .expect(0);
    let args = [
        "host",
        "deploy-key",
        "kvm1",
        "--credential",
        "fresh",
        "--yes",
    ];
    let done = ground.run(&args).expect(0);
    assert!(
        done.stdout.contains("kvm1 logs in with fresh from now on"),
        "{done:?}"
    );
    assert_eq!(ground.text().lines().count(), 2);
    assert!(ground.sshd.logged("Accepted publickey") >= 2);
}
#[test]
fn the_dashboard_checks_a_host_of_the_laboratory_and_gives_it_a_new_key() {
    let keys = TempDir::new().unwrap();
    let home = TempDir::new().unwrap();
    let ssh = home.path().join(".ssh");
    let place = ssh.join("authorized_keys");
    let key = KeyPair::generate(&keys.path().join("old"), KeyKind::Ed25519, "");
    let host = LibvirtHost::builder()
        .sshd(|sshd| {
            sshd.line(format!("AuthorizedKeysFile {}", place.display()))
                .set_env("HOME", home.path().display().to_string())
        })
        .start();
    fs::create_dir(&ssh).unwrap();
    write(&place, key.public_line() + "\n");
    for path in [home.path(), &ssh, &place] {
        host.give(path);
    }
    let deck = Deck::new(VMDECK);
    let secret = keys.path().join("passphrase");
    write(&secret, PASSPHRASE);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let file = key.path.display().to_string();
    let mut adding = deck.command(&["credential", "add", "ops", "--key-file", &file]);
    Run::of(adding.env("VMDECK_PASSPHRASE_FILE", &secret)).expect(0);
    deck.add("kvm1", &host, &["--kind", "libvirt"]);
    deck.run(&["host", "edit", "kvm1", "--credential", "ops"])
        .expect(0);

    let mut pty = open(&deck, (140, 40));
    pty.wait_text("Unlock default");
    pty.keys(PASSPHRASE);
    pty.keys("\r");
    pty.wait_for("the host up", |screen| screen.contains("1 up"));
    pty.keys("2i");
    let found = pty.wait_for("the findings", |screen| screen.contains("looked at"));
    assert!(
        found.contains("latency") && !found.contains("problem "),
        "{found}"
    );
    pty.keys("q6");
    pty.wait_text("SHA256:");
    pty.keys("R");
    pty.wait_text("give them a new key");
    assert_eq!(fs::read_to_string(&place).unwrap().lines().count(), 1);
    pty.keys("y");
    pty.wait_text("Take the old key off kvm1?");
    assert_eq!(fs::read_to_string(&place).unwrap().lines().count(), 2);
    pty.keys("y");
    pty.wait_text("ops is the new key; the old one is forgotten");
    let left = fs::read_to_string(&place).unwrap();
    assert!(
        left.ends_with(" vmdeck ops\n") && left.lines().count() == 1,
        "{left}"
    );
    pty.keys("q2r");
    pty.wait_for("the host up with the new key", |screen| {
        screen.contains("1 up")
    });
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
}
