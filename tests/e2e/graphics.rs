//! The graphics of real VMs: a real VNC server of QEMU behind a port of this machine, with a viewer and
//! without one.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use vmdeck::domain::vm::VmId;

use crate::VMDECK;
use crate::dashboard::{open_with, row};
use crate::support::deck::Deck;
use crate::support::lab::{LibvirtHost, new_id};
use crate::support::pty::Pty;
use crate::support::windows::EmulatedWindows;
use crate::support::{wait_for, write};

/// How every VNC server begins (RFC 6143, section 7.1.1).
const BANNER: &[u8] = b"RFB 003.008\n";

/// Defines a VM with this display, and starts it.
fn with_a_display(host: &LibvirtHost, name: &str, graphics: &str) -> VmId {
    let id = new_id();
    let xml = format!(
        "<domain type='qemu'><name>{name}</name><uuid>{id}</uuid><memory unit='MiB'>16</memory>\
         <vcpu>1</vcpu><os><type arch='x86_64'>hvm</type></os>\
         <devices><video><model type='vga'/></video>{graphics}</devices></domain>"
    );
    host.define_xml(&id, &xml);
    host.start_vm(&id);
    id
}

/// A VNC display on a free port of this machine: hosts that run beside each other would choose the same one.
fn vnc(listen: &str) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("its port").port();
    format!("<graphics type='vnc' port='{port}' listen='{listen}'/>")
}

/// A SPICE display on a free port of this machine.
fn spice() -> String {
    vnc("127.0.0.1").replace("'vnc'", "'spice'")
}

/// Opens the dashboard with this viewer, on this VM.
fn open(deck: &Deck, viewer: &[&str], vm: &str) -> Pty {
    let config = format!("[tui]\nviewer = {viewer:?}\n");
    let mut pty = open_with(deck, &config, (110, 30));
    pty.wait_for("the running VM", |screen| {
        screen.contains("1 up") && row(screen, vm).contains("running")
    });
    pty.keys(&format!("/name:{vm}\r"));
    pty.wait_text("1 of ");
    pty
}

/// The port that the dialog names.
fn port(screen: &str) -> u16 {
    let (_, rest) = screen.split_once("vnc://127.0.0.1:").expect("an address");
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a port")
}

fn banner(port: u16) -> Option<[u8; 12]> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .ok()?;
    let mut said = [0; 12];
    stream.read_exact(&mut said).ok()?;
    Some(said)
}

#[test]
fn a_display_is_behind_a_port_of_this_machine_as_long_as_its_dialog_is_open() {
    let host = LibvirtHost::start();
    let socket = host.file("vnc.sock").display().to_string();
    with_a_display(&host, "tcp", &vnc("127.0.0.1"));
    with_a_display(
        &host,
        "unix",
        &format!("<graphics type='vnc' socket='{socket}'/>"),
    );
    with_a_display(
        &host,
        "none",
        "<graphics type='vnc'><listen type='none'/></graphics>",
    );
    with_a_display(&host, "public", &vnc("0.0.0.0"));
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open(&deck, &["no-such-viewer"], "tcp");
    let on = |pty: &mut Pty, vm: &str| {
        // The filter before goes first, and alone: what follows it at once would be another key.
        pty.keys("\x1b");
        pty.wait_for("all VMs", |screen| {
            ["tcp", "unix", "none", "public"]
                .iter()
                .all(|vm| row(screen, vm).contains("running"))
        });
        pty.keys(&format!("/name:{vm}\r"));
        pty.wait_for("the VM alone", |screen| {
            screen.contains("1 of ") && row(screen, vm).contains("running")
        });
        pty.keys("v");
    };
    for vm in ["tcp", "unix", "public"] {
        on(&mut pty, vm);
        let screen = pty.wait_text("vnc://127.0.0.1:");
        assert!(screen.contains("no viewer is installed here"), "{screen}");
        assert_eq!(screen.contains("without SSH"), vm == "public", "{screen}");
        let port = port(&screen);
        assert_eq!(banner(port).as_ref().map(|said| &said[..]), Some(BANNER));
        pty.keys("\x1b");
        pty.wait_for("the dialog gone", |screen| !screen.contains("vnc://"));
        let closed = wait_for(Duration::from_secs(20), || {
            TcpStream::connect(("127.0.0.1", port)).is_err()
        });
        assert!(closed, "{vm}: it still listens");
    }
    on(&mut pty, "none");
    pty.wait_text("no graphical display");
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
    deck.run(&["audit", "verify"]).expect(0);
    let audit = deck.run(&["audit", "export"]).expect(0).stdout;
    assert!(
        audit.contains("\"graphics\"") && audit.contains(" connections"),
        "{audit}"
    );
}

#[test]
fn a_viewer_is_started_without_a_shell_and_the_display_ends_with_it() {
    let host = LibvirtHost::start();
    with_a_display(&host, "tcp", &vnc("127.0.0.1"));
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let viewer = deck.home().join("a viewer");
    write(
        &viewer,
        "#!/bin/bash\nexec 3<>/dev/tcp/127.0.0.1/$2\nhead -c 12 <&3 > \"$HOME/banner\"\n\
         echo \"$1\" > \"$HOME/arguments\"\nwhile [ ! -e \"$HOME/enough\" ]; do sleep 0.1; done\n",
    );
    fs::set_permissions(&viewer, fs::Permissions::from_mode(0o755)).unwrap();
    let program = viewer.display().to_string();
    let odd = "$(touch oops); {host}";
    let mut pty = open(&deck, &[&program, odd, "{port}"], "tcp");
    pty.keys("v");
    pty.wait_text("shows tcp");
    let read = |name: &str| fs::read(deck.home().join(name)).unwrap_or_default();
    let written = wait_for(Duration::from_secs(20), || !read("arguments").is_empty());
    assert!(written, "{}", pty.screen());
    assert_eq!(read("banner"), BANNER);
    assert_eq!(read("arguments"), b"$(touch oops); 127.0.0.1\n");
    write(deck.home().join("enough"), "");
    pty.wait_text("the display of tcp is closed");
    // One that ends without connecting leaves the address.
    drop(pty);
    let mut pty = open(&deck, &["false"], "tcp");
    pty.keys("v");
    pty.wait_text("false ended without connecting");
    pty.wait_text("vnc://127.0.0.1:");
}

/// A viewer that opens two channels of the display as SPICE clients do, keeps what is answered, and stays until it
/// is told that it is enough. Its greeting is the link message of a client that wants the main channel: magic,
/// version 2.2, length, no connection yet, channel 1, no capabilities (SPICE protocol, "Channel connection:
/// establishing a link").
const SPICE_VIEWER: &str = r#"#!/bin/bash
port=${1##*:}
hello='REDQ\x02\0\0\0\x02\0\0\0\x12\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\x12\0\0\0'
exec 3<>/dev/tcp/127.0.0.1/$port 4<>/dev/tcp/127.0.0.1/$port
printf "$hello" >&3
printf "$hello" >&4
{ head -c 8 <&3; head -c 8 <&4; } > "$HOME/banner"
printf '%s\n' "$@" > "$HOME/arguments"
while [ ! -e "$HOME/enough" ]; do sleep 0.1; done
"#;

#[test]
fn a_spice_display_has_its_viewer_and_a_port_as_long_as_that() {
    let host = LibvirtHost::start();
    with_a_display(&host, "spicy", &spice());
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let viewer = deck.home().join("viewer");
    write(&viewer, SPICE_VIEWER);
    fs::set_permissions(&viewer, fs::Permissions::from_mode(0o755)).unwrap();
    let program = viewer.display().to_string();
    let mut pty = open(&deck, &[&program], "spicy");
    pty.keys("v");
    pty.wait_text("shows spicy");
    let read = |name: &str| fs::read(deck.home().join(name)).unwrap_or_default();
    let written = wait_for(Duration::from_secs(20), || !read("arguments").is_empty());
    assert!(written, "{}", pty.screen());
    // Both channels reach SPICE's own server in QEMU, which answers with its magic and major version.
    assert_eq!(read("banner"), b"REDQ\x02\0\0\0REDQ\x02\0\0\0");
    let arguments = String::from_utf8(read("arguments")).unwrap();
    let port: u16 = arguments
        .trim_end()
        .strip_prefix("spice://127.0.0.1:")
        .expect("the address alone")
        .parse()
        .expect("a port");
    let address = host.virsh(&["-q", "domdisplay", "spicy"]);
    assert!(!address.contains(&port.to_string()), "{address}: not ours");
    write(deck.home().join("enough"), "");
    pty.wait_text("the display of spicy is closed");
    let closed = wait_for(Duration::from_secs(20), || {
        TcpStream::connect(("127.0.0.1", port)).is_err()
    });
    assert!(closed, "it still listens");
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    let audit = deck.run(&["audit", "export"]).expect(0).stdout;
    assert!(audit.contains("2 connections"), "{audit}");
}

const WINDOWS: &str = r#"
[[host]]
name = "win1"
kind = "hyperv"
windows = "2022"
[[host.vm]]
name = "sql"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_display_of_hyper_v_has_a_connection_file_as_long_as_its_port() {
    let host = EmulatedWindows::start(WINDOWS).await;
    let deck = Deck::new(VMDECK);
    deck.add_server("win1", &host.sshd, &["--kind", "hyperv"]);
    let viewer = deck.home().join("viewer");
    write(
        &viewer,
        "#!/bin/sh\ncp \"$1\" \"$HOME/seen\"\nstat -c %a \"$1\" > \"$HOME/mode\"\necho \"$1\" > \"$HOME/path\"\n",
    );
    fs::set_permissions(&viewer, fs::Permissions::from_mode(0o755)).unwrap();
    let program = viewer.display().to_string();
    let mut pty = open(&deck, &[&program, "{file}"], "sql");
    pty.keys("v");
    let screen = pty.wait_text("ended without connecting");
    let read = |name: &str| fs::read_to_string(deck.home().join(name)).unwrap();
    let path = Path::new(read("path").trim()).to_owned();
    assert!(path.exists() && path.extension().is_some_and(|end| end == "rdp"));
    assert_eq!(read("mode"), "600\n");
    let seen = read("seen");
    let (_, port) = screen.split_once("rdp://127.0.0.1:").expect("an address");
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    assert!(
        seen.contains(&format!("full address:s:127.0.0.1:{port}\r\n")),
        "{seen}"
    );
    let (_, id) = seen.split_once("pcb:s:").expect("the VM");
    assert!(screen.contains(id.get(..8).expect("an id")), "{screen}");
    pty.keys("\x1b");
    let gone = wait_for(Duration::from_secs(20), || !path.exists());
    assert!(gone, "the file outlives its port");
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    host.end().await;
}
