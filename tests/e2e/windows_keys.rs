//! A new key in the place of an old one on an emulated Hyper-V host, whose file of keys a real sshd reads: what the
//! program writes there is what lets it in.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use crate::VMDECK;
use crate::support::deck::{Deck, Run};
use crate::support::keys::{KeyKind, KeyPair};
use crate::support::sshd::Sshd;
use crate::support::windows::EmulatedWindows;
use crate::support::write;

const HOST: &str = r#"
[[host]]
name = "hv1"
kind = "hyperv"
[[host.vm]]
name = "app-1"
"#;

const FILE: &str = r"C:\ProgramData\ssh\administrators_authorized_keys";

/// Owner Administrators; the system and Administrators may everything, nobody else anything.
const RIGHTS: &str = "O:BAG:SYD:PAI(A;;FA;;;SY)(A;;FA;;;BA)";

/// What the file begins with: bytes that are no text, a comment with a mark of its own, both ends of lines.
const OTHERS: &[u8] = b"# caf\xe9\r\n\r\nssh-rsa AAAAother somebody else\r\n";

struct Ground {
    deck: Deck,
    host: EmulatedWindows,
    dir: TempDir,
    old: String,
}

impl Ground {
    async fn start(file: impl Fn(&str) -> Vec<u8>) -> Self {
        let dir = TempDir::new().unwrap();
        let place = dir.path().join("administrators_authorized_keys");
        let line = format!("AuthorizedKeysFile {}", place.display());
        let host = EmulatedWindows::start_with(HOST, Sshd::builder().line(line)).await;
        let key = KeyPair::generate(&dir.path().join("old"), KeyKind::Ed25519, "");
        let old = key.public_line();
        host.control().keep_files_in(dir.path().to_owned());
        host.control().put_file(FILE, &file(&old), RIGHTS);
        let secret = dir.path().join("passphrase");
        write(&secret, "open sesame, please");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let deck = Deck::new(VMDECK);
        let ground = Self {
            deck,
            host,
            dir,
            old,
        };
        let path = key.path.display().to_string();
        ground.run(0, &["credential", "add", "ops", "--key-file", &path]);
        let sshd = &ground.host.sshd;
        let known = sshd.known_hosts();
        let (_, host_key) = known.lines().next().unwrap().split_once(' ').unwrap();
        let address = format!("127.0.0.1:{}", sshd.port());
        let mut add = vec!["host", "add", "hv1", "--address", &address];
        add.extend(["--user", sshd.user(), "--kind", "hyperv"]);
        add.extend(["--credential", "ops", "--host-key", host_key]);
        ground.run(0, &add);
        ground
    }

    #[track_caller]
    fn run(&self, code: i32, args: &[&str]) -> Run {
        let mut prepared = self.deck.command(args);
        prepared.env("VMDECK_PASSPHRASE_FILE", self.dir.path().join("passphrase"));
        Run::of(&mut prepared).expect(code)
    }

    fn file(&self) -> (Vec<u8>, String) {
        self.host.control().file(FILE).expect("the file of keys")
    }

    fn public(&self) -> String {
        let told = self.run(0, &["credential", "public", "ops"]).stdout;
        told.trim().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_replaced_on_a_windows_host_and_nothing_else_is_touched() {
    let options = r#"from="127.0.0.1,::1",no-agent-forwarding "#;
    let with = |key: &str| {
        let mut bytes = OTHERS.to_vec();
        bytes.extend(format!("{options}{key}\r\n").bytes());
        bytes
    };
    let ground = Ground::start(with).await;
    let dry = ground.run(0, &["credential", "rotate", "ops", "--dry-run"]);
    assert!(dry.stderr.contains("Write-Keys"), "{dry:?}");
    assert_eq!(ground.file(), (with(&ground.old), RIGHTS.to_owned()));

    let done = ground.run(0, &["credential", "rotate", "ops", "--yes"]);
    let end = "ops is the new key; the old one is forgotten";
    assert!(done.stdout.contains(end), "{done:?}");
    let public = ground.public();
    assert_ne!(public, ground.old);
    assert_eq!(ground.file(), (with(&public), RIGHTS.to_owned()));
    ground.run(0, &["audit", "verify"]);
    let log = ground.run(0, &["audit", "export"]).stdout;
    for step in [
        "key-added",
        "key-tried",
        "key-removed",
        "credential-rotated",
    ] {
        assert!(log.contains(step), "{step}: {log}");
    }
    assert!(!log.contains("PRIVATE KEY"), "{log}");
    let left = fs::read_dir(ground.dir.path()).unwrap().flatten();
    let temps = left.filter(|entry| entry.file_name().to_string_lossy().contains(".vmdeck."));
    assert_eq!(temps.count(), 0);
    ground.host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_keys_with_two_bytes_a_character_is_left_alone() {
    let wide = |key: &str| -> Vec<u8> {
        let mut bytes = format!("{key}\n").into_bytes();
        bytes.extend("# x\n".encode_utf16().flat_map(u16::to_le_bytes));
        bytes
    };
    let ground = Ground::start(wide).await;
    let before = ground.file();
    let refused = ground.run(1, &["credential", "rotate", "ops", "--yes"]);
    for words in [
        "no text that an SSH server reads",
        "logs in with credential ops",
    ] {
        assert!(refused.stderr.contains(words), "{words}: {refused:?}");
    }
    assert_eq!(ground.file(), before);
    ground.host.end().await;
}
