//! A Hyper-V host with the times of a real one, behind a real sshd: what is known is drawn before it
//! answers, and no key waits for it.

use std::path::Path;

use vmdeck::sim::hyperv::WindowsFaults;

use crate::VMDECK;
use crate::support::deck::Deck;
use crate::support::pty::Pty;
use crate::support::wait_for;
use crate::support::windows::EmulatedWindows;

const SLOW: &str = r#"
[[host]]
name = "win1"
kind = "hyperv"
timing = "realistic"
[[host.vm]]
name = "web-9"
state = "running"
[[host.vm]]
name = "idle-9"
state = "off"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_is_drawn_at_once_and_keys_do_not_wait_for_a_slow_host() {
    let host = EmulatedWindows::start(SLOW).await;
    let deck = Deck::new(VMDECK);
    deck.add_server("win1", &host.sshd, &["--kind", "auto"]);
    deck.once(&["list"]).expect(0);
    // From here on no read comes to an end, for as long as the test wants.
    host.control().set_faults(WindowsFaults {
        hanging: vec!["Get-CimInstance".to_owned()],
        ..WindowsFaults::default()
    });
    let environment = deck.environment();
    let environment: Vec<(&str, &str)> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let mut pty = Pty::start(Path::new(VMDECK), &[], &environment, (140, 40));
    pty.wait_for("what was known", |screen| {
        screen.contains("web-9") && screen.contains("idle-9")
    });
    let asks = || {
        let processes = host.control().processes();
        processes.iter().any(|process| process.name == "powershell")
    };
    let is_asked = wait_for(std::time::Duration::from_secs(30), asks);
    assert!(is_asked, "the host was never asked");
    pty.keys("/idle\r");
    pty.wait_for("the filter", |screen| {
        screen.contains("idle-9") && !screen.contains("web-9")
    });
    assert!(asks(), "and it has not answered yet");
    pty.keys("\u{1b}");
    pty.wait_for("everything again", |screen| screen.contains("web-9"));
    // Whatever it is at, one may leave.
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    host.end().await;
}
