//! Recordings of the screen: what is in them is what the terminal showed, and nothing secret.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Signal, kill_process};
use tempfile::TempDir;
use vmdeck::sim::Scenario;

use crate::support::campaign;
use crate::support::cast::Cast;
use crate::support::pty::Pty;
use crate::support::simulated::SimFleet;
use crate::{Demo, RUNNING, VMDECK, support};

#[test]
fn a_recording_shows_what_the_terminal_showed_and_holds_no_passphrase() {
    const SECRET: &str = "correct-horse-7731";
    let mut demo = Demo::start_in(TempDir::new().unwrap(), (120, 40), "", "--record CAST");
    let cast = demo.home.path().join("CAST");
    demo.pty.wait_text(RUNNING);
    demo.pty.keys(":unlock\r");
    demo.pty.wait_text("passphrase: ");
    demo.pty.keys(&format!("{SECRET}\x12"));
    demo.pty.wait_text("the screen is recorded");
    demo.pty.keys("\r");
    demo.pty.wait_text("Once more");
    demo.pty.keys(&format!("{SECRET}\r"));
    // The header may say so before the dialog has heard of it, and that still takes the keys.
    demo.pty
        .wait_for("the profile open and the dialog gone", |screen| {
            screen.contains("unlocked") && !screen.contains("passphrase: ")
        });
    demo.pty.resize(90, 30);
    demo.pty.keys("/name:vpn\r");
    demo.pty.wait_for("one VM in a smaller terminal", |screen| {
        screen.contains("1 of ") && screen.lines().all(|line| line.chars().count() <= 90)
    });
    // The help does not change by itself: its frame is the last one for certain.
    demo.pty.keys("?");
    demo.pty.wait_text("type to search");
    let last = demo.pty.still();
    kill_process(demo.program(), Signal::TERM).unwrap();
    demo.assert_restored();
    let frames = Cast::read(&cast).play();
    assert!(frames.iter().any(|frame| frame.screen.contains(RUNNING)));
    let shown = &frames.last().unwrap().screen;
    let body = |screen: &str| {
        screen
            .lines()
            .skip(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(body(shown), body(&last));
    let bytes = std::fs::read(&cast).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(
        !text.contains(SECRET) && !text.contains("horse"),
        "a secret"
    );
}

#[test]
fn nothing_is_recorded_over_and_a_full_recording_ends_without_the_dashboard() {
    let mut demo = Demo::start_in(
        TempDir::new().unwrap(),
        (200, 50),
        "[tui]\nrecord_limit = \"64K\"\n",
        "--record CAST",
    );
    let cast = demo.home.path().join("CAST");
    demo.pty.wait_text(RUNNING);
    for _ in 0..12 {
        // Every redraw is a whole screen, and one is waited for: those asked for at once are one.
        let before = demo.pty.bytes_written();
        demo.pty.keys("\x0c");
        let redrawn = || demo.pty.bytes_written() > before + 4096;
        assert!(support::wait_for(Duration::from_secs(20), redrawn));
    }
    demo.pty.keys("!");
    demo.pty.wait_for("a line of the error log", |screen| {
        screen.contains("ends here") && screen.contains("its limit of")
    });
    demo.pty.keys("qq");
    demo.assert_restored();
    assert!(demo.pty.screen().contains("ends here"), "said at the end");
    assert!(std::fs::metadata(&cast).unwrap().len() <= 64 * 1024);
    let frames = Cast::read(&cast).play();
    assert!(frames.iter().any(|frame| frame.screen.contains(RUNNING)));
    let before = std::fs::read(&cast).unwrap();
    let again = Demo::start_in(demo.home, (100, 30), "", "--record CAST");
    again.pty.wait_text("left with");
    assert!(
        again.pty.screen().contains("already"),
        "{}",
        again.pty.screen()
    );
    assert_eq!(std::fs::read(&cast).unwrap(), before);
}

/// Makes a home whose profile has every host of a simulated fleet.
pub(crate) async fn home_of(fleet: &SimFleet) -> TempDir {
    let home = TempDir::new().unwrap();
    let profiles = home.path().join("profiles");
    drop(fleet.profile(&profiles, "default", home.path()).await);
    home
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "five minutes: `tests/campaign bytes`"]
async fn five_minutes_of_two_hundred_hosts_are_few_bytes() {
    let lasting = campaign::lasting(Duration::from_secs(300));
    let fleet = SimFleet::of(Scenario::grid(200, 50).unwrap()).await;
    let home = home_of(&fleet).await;
    let cast = home.path().join("large.cast");
    let path = home.path().to_str().unwrap();
    let environment = [("VMDECK_HOME", path), ("HOME", path)];
    let arguments = ["--record", cast.to_str().unwrap()];
    let mut pty = Pty::start(Path::new(VMDECK), &arguments, &environment, (120, 40));
    pty.wait_text("10000 VMs");
    pty.wait_for("every host", |screen| screen.contains("200"));
    // Until all have been read twice, news come in that do not come again.
    tokio::time::sleep(Duration::from_secs(30)).await;
    let began = Cast::read(&cast).events.last().unwrap().at;
    tokio::time::sleep(lasting).await;
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    let cast = Cast::read(&cast);
    let seconds = lasting.as_secs_f64();
    let bytes = cast.bytes(began, began + seconds);
    let frames = cast
        .events
        .iter()
        .filter(|event| (began..began + seconds).contains(&event.at));
    let frames = frames.count();
    campaign::figure("bytes", "seconds", seconds);
    campaign::figure("bytes", "bytes", bytes);
    campaign::figure("bytes", "frames", frames);
    #[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
    let rate = bytes as f64 / seconds;
    campaign::figure("bytes", "bytes a second", rate.round());
    assert!(rate <= 2048.0, "{rate:.0} bytes a second");
    fleet.end().await;
}
