//! A new key in the place of an old one on an emulated Hyper-V host, whose file of keys a real sshd reads: what the
//! program writes there is what lets it in.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::support::deck::{Deck, Run};
use crate::support::keys::{KeyKind, KeyPair};
use crate::support::pty::Pty;
use crate::support::sshd::Sshd;
use crate::support::windows::EmulatedWindows;
use crate::support::write;

const HOST: &str = r#"
[[host]]
name = "hv1"
kind = "hyperv"
[[host.vm]]
name = "app-1"
guest_password = "pä$$ \"w'`ord\\"
"#;

const PASSPHRASE: &str = "open sesame, please";

/// What the VM's account logs in with.
const PASSWORD: &str = "pä$$ \"w'`ord\\";

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
        write(&secret, PASSPHRASE);
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

    /// Opens the dashboard, with the profile unlocked and the host up.
    fn unlocked(&self) -> Pty {
        let mut pty = open(&self.deck, (140, 40));
        pty.wait_text("Unlock default");
        pty.keys(PASSPHRASE);
        pty.keys("\r");
        pty.wait_for("the running VM", |screen| {
            screen.contains("1 up") && row(screen, "app-1").contains("running")
        });
        pty
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

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_password_of_a_vm_is_named_and_the_hosts_key_is_replaced_by_keys() {
    let ground = Ground::start(|key| format!("{key}\r\n").into_bytes()).await;
    let password = ground.dir.path().join("password");
    write(&password, PASSWORD);
    let mut keep = ground
        .deck
        .command(&["credential", "add", "vm-guest", "--password-stdin"]);
    keep.stdin(fs::File::open(&password).unwrap());
    Run::of(&mut keep).expect(0);

    let mut pty = ground.unlocked();
    pty.keys("x");
    pty.wait_text("Run as");
    // Beside the name of a credential no password is asked for.
    pty.keys("whoami\rAdministrator\rvm-guest\r");
    let plan = pty.wait_text("run-in-guest.ps1");
    assert!(plan.contains("Administrator"), "{plan}");
    pty.keys("y");
    pty.wait_text("app-1\\administrator");
    pty.keys("\x1b");
    pty.wait_text("UPTIME");

    pty.keys("6");
    pty.wait_for("the credentials", |screen| {
        screen.contains("SHA256:") && screen.contains("vm-guest")
    });
    pty.keys("R");
    pty.wait_text("give them a new key");
    let old = format!("{}\r\n", ground.old).into_bytes();
    assert_eq!(ground.file().0, old);
    pty.keys("y");
    pty.wait_text("Take the old key off hv1?");
    let lines = |bytes: &[u8]| bytes.split(|byte| *byte == b'\n').count() - 1;
    assert_eq!(lines(&ground.file().0), 2);
    pty.keys("y");
    pty.wait_text("ops is the new key; the old one is forgotten");
    let (left, rights) = ground.file();
    assert!(lines(&left) == 1 && left.ends_with(b" vmdeck ops\r\n"));
    assert_ne!(left, old);
    assert_eq!(rights, RIGHTS);
    // The host is asked again, by the new key.
    pty.keys("q");
    pty.keys("2r");
    pty.wait_for("the host up with the new key", |screen| {
        screen.contains("LATENCY") && screen.contains("1 up")
    });
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
    let log = ground.run(0, &["audit", "export"]).stdout;
    assert!(log.contains("credential-rotated"), "{log}");
    for kept in ["ord\\\\", "cMOkJCQ", "PRIVATE KEY"] {
        assert!(!log.contains(kept), "{kept}: {log}");
    }
    ground.host.end().await;
}
