//! Into an emulated Hyper-V VM by keys: its screen, which changes while it is looked at and takes keys; its display,
//! forwarded to the port of the host that real viewers talk to; and the sentences where the platform has no way.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::support::deck::Deck;
use crate::support::pty::Pty;
use crate::support::wait_for;
use crate::support::windows::EmulatedWindows;

/// How long anything here may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a Hyper-V host answers for the displays of its VMs.
const DISPLAYS: u16 = 2179;

const HOST: &str = r#"
[[host]]
name = "hv1"
kind = "hyperv"
[[host.vm]]
name = "web-1"
[[host.vm]]
name = "cold"
state = "off"
"#;

/// The dashboard on such a host, with the cursor on its running VM.
async fn ground(deck: &Deck) -> (EmulatedWindows, Pty) {
    let host = EmulatedWindows::start(HOST).await;
    deck.add_server("hv1", &host.sshd, &["--kind", "hyperv"]);
    let mut pty = open(deck, (120, 34));
    pty.wait_for("the running VM", |screen| {
        screen.contains("1 up") && row(screen, "web-1").contains("running")
    });
    on(&mut pty, "web-1");
    (host, pty)
}

fn on(pty: &mut Pty, vm: &str) {
    pty.keys(&format!("/name:{vm}\r"));
    pty.wait_for("the VM alone", |screen| {
        row(screen, vm).contains("hv1") && screen.contains("1 of 2")
    });
}

/// The colours of every cell that is a part of a picture.
fn picture(screen: &vt100::Screen) -> Vec<(vt100::Color, vt100::Color)> {
    let (rows, columns) = screen.size();
    let cells = (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |column| (row, column)));
    cells
        .filter_map(|(row, column)| screen.cell(row, column))
        .filter(|cell| cell.contents() == "\u{2580}")
        .map(|cell| (cell.fgcolor(), cell.bgcolor()))
        .collect()
}

/// Waits for a whole picture that is another one than before.
fn another(
    pty: &Pty,
    before: &[(vt100::Color, vt100::Color)],
) -> Vec<(vt100::Color, vt100::Color)> {
    let seen = std::cell::RefCell::new(Vec::new());
    pty.wait_cells("another picture", |screen| {
        let now = picture(screen);
        let is_other =
            now.len() > 1000 && now != before && before.len().max(now.len()) == now.len();
        if is_other {
            *seen.borrow_mut() = now;
        }
        is_other
    });
    seen.into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_changes_while_it_is_looked_at_and_takes_keys() {
    let deck = Deck::new(VMDECK);
    let (host, mut pty) = ground(&deck).await;
    let typed = || host.control().vm("web-1").unwrap().typed;
    pty.keys("i");
    let first = another(&pty, &[]);
    pty.keys("T");
    pty.wait_text("type into the VM");
    pty.keys("dir \"C:\\\" `$x; 'y'\r");
    pty.wait_text("sent 19 keys");
    assert_eq!(typed(), 19);
    // Nobody asks for it: the next picture comes by itself.
    let second = another(&pty, &first);
    pty.keys("D");
    pty.wait_text("Ctrl-alt-del in web-1?");
    pty.keys("\r");
    pty.wait_for("no question", |screen| !screen.contains("Ctrl-alt-del in"));
    assert_eq!(typed(), 19, "Enter is the safe choice");
    pty.keys("D");
    pty.wait_text("Ctrl-alt-del in web-1?");
    pty.keys("y");
    pty.wait_text("sent ctrl-alt-del");
    assert_eq!(typed(), 22);
    pty.keys("r");
    another(&pty, &second);

    pty.keys("\x1b");
    pty.wait_for("the table", |screen| {
        row(screen, "web-1").contains("running")
    });
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    let audit = deck.run(&["audit", "export"]).expect(0).stdout;
    assert!(audit.contains("ctrl-alt-del"), "{audit}");
    assert!(!audit.contains("$x; 'y'"), "{audit}");
    host.end().await;
}

/// Takes the port of the host; another test of this kind may have it for a moment.
fn displays() -> TcpListener {
    let found = std::cell::OnceCell::new();
    let is_ours = wait_for(PATIENCE, || {
        let bound = TcpListener::bind(("127.0.0.1", DISPLAYS));
        bound.is_ok_and(|listener| found.set(listener).is_ok())
    });
    assert!(is_ours, "port {DISPLAYS} is taken");
    found.into_inner().expect("the port")
}

/// Takes one connection, and sends what comes back behind a word, until its end.
fn answer(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().expect("somebody");
    stream.set_read_timeout(Some(PATIENCE)).expect("a bound");
    stream.write_all(b"hello ").expect("it is heard");
    let mut said = Vec::new();
    stream.read_to_end(&mut said).expect("an end");
    stream.write_all(&said).expect("it is heard");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_display_is_the_port_of_the_host_that_viewers_talk_to() {
    let listener = displays();
    let server = std::thread::spawn(move || answer(&listener));
    let deck = Deck::new(VMDECK);
    let (host, mut pty) = ground(&deck).await;
    let id = host.control().vm("web-1").unwrap().id;
    pty.keys("v");
    let screen = pty.wait_for("the address", |screen| {
        screen.contains("rdp://127.0.0.1:") && screen.contains("no viewer is installed here")
    });
    let (_, rest) = screen.split_once("rdp://127.0.0.1:").unwrap();
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let port: u16 = port.parse().unwrap();
    assert_ne!(port, DISPLAYS);
    assert!(screen.contains(&id), "{screen}");

    let mut viewer = TcpStream::connect(("127.0.0.1", port)).unwrap();
    viewer.set_read_timeout(Some(PATIENCE)).unwrap();
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
    viewer.write_all(&bytes).unwrap();
    viewer.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    viewer.read_to_end(&mut back).unwrap();
    assert_eq!((back.len(), &back[..6]), (bytes.len() + 6, &b"hello "[..]));
    assert!(back.ends_with(&bytes), "they came as they were");
    server.join().unwrap();
    pty.keys("\x1b");
    pty.wait_for("the dialog gone", |screen| !screen.contains("rdp://"));
    let closed = wait_for(PATIENCE, || {
        TcpStream::connect(("127.0.0.1", port)).is_err()
    });
    assert!(closed, "it still listens");
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    let audit = deck.run(&["audit", "export"]).expect(0).stdout;
    assert!(audit.contains("\"graphics\""), "{audit}");
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_platform_does_not_have_is_said_in_a_sentence() {
    let deck = Deck::new(VMDECK);
    let (host, mut pty) = ground(&deck).await;
    pty.keys("a");
    pty.wait_text("its serial ports are pipes of the host");
    pty.keys("\x1d");
    pty.wait_text("UPTIME");
    pty.keys("O");
    pty.wait_text("it keeps none");
    // Alone: what followed Escape at once would be another key.
    pty.keys("\x1b");
    pty.wait_text("cold");
    on(&mut pty, "cold");
    pty.keys("i");
    pty.wait_text("cold is stopped: it has no screen");
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
    for (words, says) in [
        (
            &["snapshot", "create", "web-1", "--disk-only"][..],
            "checkpoint type decides",
        ),
        (
            &["snapshot", "create", "web-1", "--description", "x"],
            "put it into its name",
        ),
        (
            &["set", "cold", "--title", "x", "--yes"],
            "cannot keep a title",
        ),
    ] {
        let refused = deck.once(words).expect(4).stderr;
        assert!(refused.contains(says), "{words:?}: {refused}");
    }
    assert_eq!(host.control().vm("web-1").unwrap().checkpoints, [""; 0]);
    host.end().await;
}
