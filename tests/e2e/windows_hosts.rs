//! An emulated Hyper-V host by keys from its first contact on: its key is looked at, it is taken over from the
//! configuration of the SSH client, its read-only is lifted for a while; and somebody is told when a VM of it changes.

use std::time::Duration;

use vmdeck::sim::hyperv::WinState;

use crate::VMDECK;
use crate::dashboard::{open, open_with, row};
use crate::support::deck::Deck;
use crate::support::keys::KeyKind;
use crate::support::pty::Pty;
use crate::support::windows::EmulatedWindows;
use crate::support::{wait_for, write};

/// How long anything here may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

const HOST: &str = r#"
[[host]]
name = "hv1"
kind = "hyperv"
[[host.vm]]
name = "web-1"
state = "off"
"#;

/// Puts a host into the configuration of the SSH client.
fn configure_ssh(deck: &Deck, host: &EmulatedWindows) {
    std::fs::create_dir(deck.home().join(".ssh")).unwrap();
    let config = format!(
        "Host hv1\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {}\n",
        host.sshd.port(),
        host.sshd.user(),
        host.sshd.client_key.path.display()
    );
    write(deck.home().join(".ssh/config"), config);
}

/// Trusts the key that a dialog shows, by the end of its fingerprint.
fn trust(pty: &mut Pty, host: &EmulatedWindows) {
    let print = host.sshd.host_keys[0].fingerprint();
    pty.wait_for("the question with the fingerprint", |screen| {
        screen.contains("Is this the key of hv1?") && screen.contains(&print)
    });
    assert_eq!(host.sshd.logged("Accepted publickey"), 0);
    let (_, tail) = print.split_at(print.len() - 6);
    pty.keys(&format!("{tail}\r"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_imported_its_key_trusted_and_a_changed_key_stops_it() {
    let deck = Deck::new(VMDECK);
    let mut host = EmulatedWindows::start(HOST).await;
    configure_ssh(&deck, &host);
    let mut pty = open(&deck, (140, 40));
    pty.wait_text("No host");
    pty.keys("2");
    pty.wait_text("LATENCY");
    pty.keys("I");
    pty.wait_for("what can be imported", |screen| {
        screen.contains("hv1") && screen.contains("127.0.0.1")
    });
    pty.keys(" A");
    trust(&mut pty, &host);
    // Nobody said what kind it is.
    pty.wait_for("the host, connected", |screen| {
        screen.contains("1 up") && row(screen, "hv1").contains("Hyper-V on Windows")
    });
    pty.keys("1");
    pty.wait_for("its VM", |screen| row(screen, "web-1").contains("stopped"));

    host.sshd.change_host_key(KeyKind::Ecdsa);
    let logins = host.sshd.logged("Accepted publickey");
    host.sshd.restart();
    let phrase = format!("replace the key of [127.0.0.1]:{}", host.sshd.port());
    pty.wait_for("the loud question", |screen| {
        screen.contains("THE KEY OF hv1 HAS CHANGED") && screen.contains(&phrase)
    });
    assert_eq!(host.sshd.logged("Accepted publickey"), logins);
    pty.keys("y\r");
    pty.wait_for("the question unanswered", |screen| screen.contains("> y"));
    pty.keys("\u{15}");
    pty.keys(&phrase);
    pty.wait_text("trust this key");
    pty.keys("\r");
    pty.wait_text("1 up");
    assert!(host.sshd.logged("Accepted publickey") > logins);
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    let log = deck.run(&["audit", "export"]).expect(0).stdout;
    for said in ["host-added", "host-key"] {
        assert!(log.contains(said), "{said}: {log}");
    }
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_host_is_lifted_and_a_change_behind_it_is_told() {
    let deck = Deck::new(VMDECK);
    let host = EmulatedWindows::start(HOST).await;
    deck.add_server("hv1", &host.sshd, &["--kind", "hyperv", "--read-only"]);
    let home = deck.home().display().to_string();
    let config = format!(
        "[tui]\nnotify_by = \"osc9\"\n\
         [[hook]]\nevent = \"vm-state\"\nfilter = \"hv:hyperv\"\n\
         argv = [\"sh\", \"-c\", \"echo $1 >> {home}/told\", \"sh\", \"{{vm.name}} {{vm.state}} on {{host.name}}\"]\n"
    );
    let mut pty = open_with(&deck, &config, (140, 40));
    pty.wait_for("the VM", |screen| {
        screen.contains("1 up") && row(screen, "web-1").contains("stopped")
    });
    let state = || host.control().vm("web-1").unwrap().standing.state;
    pty.keys("s");
    pty.wait_text("read-only");
    pty.keys(":rw hv1 5m\r");
    pty.wait_text("RW hv1");
    pty.keys("n");
    pty.wait_text("you are told when web-1 changes");
    pty.keys("s");
    pty.wait_bytes(b"\x1b]9;vmdeck: web-1 on hv1 is running\x07");
    assert_eq!(state(), WinState::Running);
    pty.keys(":ro hv1\r");
    pty.wait_for("the end of it", |screen| !screen.contains("RW hv1"));
    pty.wait_for_the_end_of_orders();

    // Another administrator, behind the back of the program.
    host.control().set_state("web-1", "saved").unwrap();
    pty.wait_for("what he did", |screen| {
        row(screen, "web-1").contains("saved")
    });
    let told = || std::fs::read_to_string(deck.home().join("told")).unwrap_or_default();
    let is_told = wait_for(PATIENCE, || told().contains("web-1 saved on hv1"));
    assert!(is_told, "{:?}", told());
    assert!(told().contains("web-1 running on hv1"), "{:?}", told());
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    host.end().await;
}
