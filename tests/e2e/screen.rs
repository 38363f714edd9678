//! The screen of real VMs: as a file by `--once`, in the dashboard, with keys typed into it.

use std::fs;

use vmdeck::domain::vm::VmId;

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::support::deck::Deck;
use crate::support::lab::{LibvirtHost, new_id};
use crate::support::windows::EmulatedWindows;
use crate::support::write;

const WINDOWS: &str = r#"
[[host]]
name = "win1"
kind = "hyperv"
windows = "2022"
[[host.vm]]
name = "sql"
[[host.vm]]
name = "cold"
state = "off"
"#;

/// Defines a VM that has a screen, and starts it.
pub(crate) fn with_a_screen(host: &LibvirtHost, name: &str) -> VmId {
    let id = new_id();
    let xml = format!(
        "<domain type='qemu'><name>{name}</name><uuid>{id}</uuid><memory unit='MiB'>16</memory>\
         <vcpu>1</vcpu><os><type arch='x86_64'>hvm</type></os>\
         <devices><video><model type='vga'/></video></devices></domain>"
    );
    host.define_xml(&id, &xml);
    host.start_vm(&id);
    id
}

#[test]
fn a_screenshot_is_a_picture_in_a_file_and_nothing_stays_on_the_host() {
    let host = LibvirtHost::start();
    with_a_screen(&host, "web-1");
    host.start_vm(&host.define_deaf("blind"));
    host.define_deaf("off");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let png = deck.home().join("web.png");
    let out = png.display().to_string();
    let run = deck.once(&["screenshot", "web-1", "--out", &out, "-o", "json"]);
    let written = run.expect(0).json();
    let bytes = fs::read(&png).unwrap();
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"));
    let side = |at: usize| u64::from(u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()));
    assert_eq!(written["width"], side(16));
    assert_eq!(written["height"], side(20));
    assert!(side(16) >= 320 && side(20) >= 200);

    let ppm = deck.home().join("web.ppm").display().to_string();
    deck.once(&["screenshot", "kvm1/web-1", "--out", &ppm])
        .expect(0);
    assert!(fs::read(&ppm).unwrap().starts_with(b"P6\n"));

    // What is there stays, unless told otherwise.
    let again = ["screenshot", "web-1", "--out", &out];
    let refused = deck.once(&again).expect(4);
    assert!(
        refused.stderr.contains("is there already"),
        "{}",
        refused.stderr
    );
    write(&png, "mine");
    deck.once(&["screenshot", "web-1", "--replace", "--out", &out])
        .expect(0);
    assert!(fs::read(&png).unwrap().starts_with(b"\x89PNG"));
    let piped = deck.once(&["screenshot", "web-1", "--out", "-"]).expect(0);
    assert!(piped.stdout.contains("IHDR") && piped.stdout.contains("IEND"));

    let new = deck.home().join("new.png").display().to_string();
    let why = |code: i32, args: &[&str]| deck.once(args).expect(code).stderr;
    let said = why(3, &["screenshot", "blind", "--out", &new]);
    assert!(said.contains("the VM has no screen"), "{said}");
    let said = why(4, &["screenshot", "off", "--out", &new]);
    assert!(said.contains("off is stopped: it has no screen"), "{said}");
    let said = why(2, &["screenshot", "web-1", "-o", "json", "--out", "-"]);
    assert!(said.contains("cannot hold both"), "{said}");
    let nowhere = deck.home().join("no/such/x.png").display().to_string();
    let said = why(2, &["screenshot", "web-1", "--out", &nowhere]);
    assert!(said.contains("--out"), "{said}");
    assert!(!deck.home().join("new.png").exists());
}

#[test]
fn a_host_that_sends_no_picture_is_told_apart_and_costs_nothing() {
    // It answers to a screenshot as the file tells it, and is an ordinary host otherwise.
    let host = LibvirtHost::builder()
        .script(
            "virsh",
            r#"case "$*" in
*screenshot*) . "$XDG_DATA_HOME/how" ;;
*) exec $REAL "$@" ;;
esac"#,
        )
        .start();
    with_a_screen(&host, "web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let out = deck.home().join("x.png").display().to_string();
    for (how, words) in [
        ("exec head -c 104857600 /dev/zero", "more than 52 MiB"),
        ("printf 'P6 20000 20000 255 '", "20000 x 20000"),
        ("printf 'P6 20 20 255 abc'", "the picture is cut off"),
        ("printf '\\033]0;x\\007no'", "no picture that is known"),
    ] {
        write(host.file("how"), how);
        let refused = deck.once(&["screenshot", "web-1", "--out", &out]).expect(1);
        assert!(refused.stderr.contains(words), "{how}: {}", refused.stderr);
        assert!(!refused.stderr.contains('\x1b'), "{how}");
    }
    // The dashboard says the same in the place of the picture, and shows the next one that is one.
    let mut pty = open(&deck, (140, 30));
    pty.wait_for("the running VM", |screen| {
        screen.contains("1 up") && row(screen, "web-1").contains("running")
    });
    write(host.file("how"), "printf 'P6 20000 20000 255 '");
    pty.keys("i");
    pty.wait_text("20000 x 20000");
    write(host.file("how"), "printf 'P6 20 20 255 abc'");
    pty.wait_text("the picture is cut off");
    write(host.file("how"), r#"exec $REAL "$@""#);
    pty.wait_for("a picture", |screen| screen.contains('▀'));
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
}

#[test]
fn the_screen_is_in_the_dashboard_and_takes_keys() {
    let host = LibvirtHost::start();
    let id = with_a_screen(&host, "web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open(&deck, (100, 30));
    pty.wait_for("the running VM", |screen| {
        screen.contains("1 up") && row(screen, "web-1").contains("running")
    });
    pty.keys("i");
    pty.wait_for("a picture", |screen| {
        screen.contains("screen of web-1 on kvm1") && screen.contains('▀')
    });
    pty.keys("T");
    pty.wait_text("type into the VM");
    pty.keys("Secret-7\r");
    pty.wait_text("sent 9 keys");
    pty.keys("D");
    pty.wait_text("Ctrl-alt-del in web-1?");
    pty.keys("y");
    pty.wait_text("sent ctrl-alt-del");
    pty.keys("\x1b");
    pty.wait_for("the table", |screen| screen.contains("NAME"));
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    assert_eq!(host.state(&id), "running");
    let audit = deck.run(&["audit", "export"]).expect(0).stdout;
    assert!(
        audit.contains("send-keys") && audit.contains("ctrl-alt-del"),
        "{audit}"
    );
    for typed in ["Secret", "KEY_S", "9 keys"] {
        assert!(
            !audit.contains(typed),
            "{typed} is nobody's business: {audit}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_of_hyper_v_is_its_thumbnail_and_its_keyboard_types() {
    let host = EmulatedWindows::start(WINDOWS).await;
    let deck = Deck::new(VMDECK);
    deck.add_server("win1", &host.sshd, &["--kind", "hyperv"]);
    let png = deck.home().join("sql.png");
    let out = png.display().to_string();
    let run = deck.once(&["screenshot", "sql", "--out", &out, "-o", "json"]);
    let written = run.expect(0).json();
    assert_eq!(
        (&written["width"], &written["height"]),
        (&640.into(), &480.into())
    );
    let before = fs::read(&png).unwrap();
    let cold = deck.home().join("cold.png").display().to_string();
    let refused = deck.once(&["screenshot", "cold", "--out", &cold]).expect(4);
    assert!(
        refused.stderr.contains("it has no screen"),
        "{}",
        refused.stderr
    );

    let mut pty = open(&deck, (100, 30));
    pty.wait_for("the running VM", |screen| {
        screen.contains("1 up") && row(screen, "sql").contains("running")
    });
    pty.keys("/sql\ri");
    pty.wait_for("a picture", |screen| {
        screen.contains("screen of sql on win1") && screen.contains('▀')
    });
    pty.keys("T");
    pty.wait_text("type into the VM");
    pty.keys("it's \"$x\"\r");
    pty.wait_text("sent 10 keys");
    // Its keyboard has no such character, and says so.
    pty.keys("T");
    pty.wait_text("type into the VM");
    pty.keys("é\r");
    pty.wait_text("cannot type one of the characters");
    pty.keys("\x1b");
    pty.wait_for("the table", |screen| screen.contains("NAME"));
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    deck.once(&["screenshot", "sql", "--replace", "--out", &out])
        .expect(0);
    assert_ne!(
        fs::read(&png).unwrap(),
        before,
        "keys leave a trace on the screen"
    );
    let audit = deck.run(&["audit", "export"]).expect(0).stdout;
    assert!(
        audit.contains("Msvm_Keyboard") && !audit.contains("it's"),
        "{audit}"
    );
    host.end().await;
}
