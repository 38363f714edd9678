//! The real program in a real pseudo-terminal, on the simulated fleet: it starts, acts, resizes, and
//! gives the terminal back on every kind of exit.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod flood;
mod looks;
mod recording;
mod themes;

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::campaign::{figure, rounds};
use support::pty::Pty;
use tempfile::TempDir;

const VMDECK: &str = env!("CARGO_BIN_EXE_vmdeck");

/// A VM of the demo fleet on the first page.
const RUNNING: &str = "build-01";

/// The program between two looks at the terminal's modes, so that a mode left behind is seen.
struct Demo {
    pty: Pty,
    home: TempDir,
}

impl Demo {
    fn start(size: (u16, u16)) -> Self {
        Self::configured(size, "")
    }

    /// The same with a configuration.
    fn configured(size: (u16, u16), config: &str) -> Self {
        Self::start_in(TempDir::new().unwrap(), size, config, "")
    }

    /// The same in a home that is there, with more options; it is started in that home.
    fn start_in(home: TempDir, size: (u16, u16), config: &str, options: &str) -> Self {
        support::write(home.path().join("test.toml"), config);
        let script = format!(
            "cd {dir}; stty -g > before; echo $$ > shell; {VMDECK} --config {dir}/test.toml --demo {options}; \
             echo \"left with $?\"; stty -g > {dir}/after; exec sleep 60",
            dir = home.path().display(),
        );
        let home_path = home.path().to_str().unwrap().to_owned();
        let env = [
            ("VMDECK_HOME", home_path.as_str()),
            ("HOME", home_path.as_str()),
            // Whatever is installed here: nothing is to be opened.
            ("VMDECK_TUI_VIEWER", "no-such-viewer"),
        ];
        let pty = Pty::start(Path::new("/bin/sh"), &["-c", &script], &env, size);
        Self { pty, home }
    }

    /// The program's own process id: the shell's only child.
    fn program(&self) -> Pid {
        let shell = self.pty.pid();
        let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
        let child = children
            .split_whitespace()
            .next()
            .expect("the program runs");
        Pid::from_raw(child.parse().unwrap()).unwrap()
    }

    /// Whether the shell's child is the program, and not one of those before it.
    fn is_running(&self) -> bool {
        let shell = self.pty.pid();
        let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"));
        let child = children.unwrap_or_default();
        let name = fs::read_to_string(format!("/proc/{}/comm", child.trim()));
        name.is_ok_and(|name| name.trim() == "vmdeck")
    }

    /// Waits until the table is drawn for so many rows.
    fn wait_for_last_row(&self, rows: u16) {
        self.pty.wait_for("the footer in the last row", |screen| {
            let last = screen.lines().nth(usize::from(rows) - 1);
            last.is_some_and(|line| line.contains("filter")) && screen.contains("NAME")
        });
    }

    fn assert_restored(&self) {
        self.pty.wait_text("left with");
        assert!(
            !self.pty.on_alternate_screen(),
            "still on the alternate screen"
        );
        assert!(!self.pty.cursor_hidden(), "the cursor is still hidden");
        let read = |name: &str| fs::read_to_string(self.home.path().join(name)).unwrap_or_default();
        let there = support::wait_for(Duration::from_secs(10), || !read("after").is_empty());
        assert!(there, "the shell did not come back");
        assert_eq!(
            read("before"),
            read("after"),
            "the terminal's modes are not as they were"
        );
    }
}

#[test]
fn quitting_gives_the_terminal_back() {
    let mut demo = Demo::start((120, 40));
    demo.pty.wait_text(RUNNING);
    demo.pty.keys("q");
    demo.assert_restored();
    assert!(
        demo.pty.screen().contains("left with 0"),
        "{}",
        demo.pty.screen()
    );
}

#[test]
fn being_told_to_end_gives_the_terminal_back() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let demo = Demo::start((100, 30));
        demo.pty.wait_text(RUNNING);
        kill_process(demo.program(), signal).unwrap();
        demo.assert_restored();
    }
}

#[test]
fn being_told_to_end_at_any_moment_gives_the_terminal_back() {
    end_at_moments(5);
}

#[test]
#[ignore = "a hundred moments: tests/campaign ended"]
fn being_told_to_end_at_a_hundred_moments() {
    end_at_moments(rounds(100));
}

fn end_at_moments(moments: usize) {
    let mut longest = Duration::ZERO;
    for round in 0..moments {
        let mut demo = Demo::start((100, 30));
        let running = support::wait_for(Duration::from_secs(20), || demo.is_running());
        assert!(running, "round {round}: it did not start");
        let program = demo.program();
        // From before its first frame to long after; keys are under way as well.
        let spread = u32::try_from(round)
            .expect("not so many")
            .wrapping_mul(2_654_435_761);
        let until = Instant::now() + Duration::from_millis(u64::from(spread >> 8) % 1200);
        while Instant::now() < until {
            demo.pty.keys("j/b\x1b2");
            let left = until.saturating_duration_since(Instant::now());
            std::thread::park_timeout(left.min(Duration::from_millis(50)));
        }
        let told = Instant::now();
        kill_process(program, Signal::TERM).unwrap();
        demo.assert_restored();
        let took = told.elapsed();
        assert!(took <= Duration::from_secs(6), "round {round}: {took:?}");
        longest = longest.max(took);
    }
    let told = format!("{moments} moments, the terminal given back after {longest:.1?} at most");
    figure("ended", "the dashboard told to end", told);
}

#[test]
fn it_follows_the_size_of_the_terminal() {
    let mut demo = Demo::start((120, 40));
    demo.pty.wait_text(RUNNING);
    demo.pty.resize(80, 24);
    demo.pty.wait_for("a table of 80 columns", |screen| {
        screen.contains("NAME") && screen.lines().all(|line| line.chars().count() <= 80)
    });
    demo.pty.resize(20, 5);
    demo.pty
        .wait_for("anything at 20x5", |screen| !screen.trim().is_empty());
    demo.pty.resize(120, 40);
    demo.pty.wait_text("NAME");
    demo.pty.keys("q");
    demo.assert_restored();
}

#[test]
fn a_storm_of_resizes_ends_in_the_last_size() {
    let mut demo = Demo::start((120, 40));
    demo.pty.wait_text(RUNNING);
    for round in 0..500u16 {
        demo.pty.resize(20 + round * 7 % 280, 3 + round * 5 % 90);
    }
    demo.pty.resize(110, 33);
    demo.wait_for_last_row(33);
    demo.pty.keys("q");
    demo.assert_restored();
}

#[test]
fn a_resize_that_comes_together_with_keys_is_not_missed() {
    let mut demo = Demo::start((120, 40));
    demo.pty.wait_text(RUNNING);
    for round in 0..30 {
        let (columns, rows) = [(100, 30), (120, 36)][round % 2];
        demo.pty.keys("jjj");
        demo.pty.resize(columns, rows);
        demo.pty.keys("kkk");
        demo.wait_for_last_row(rows);
    }
}

/// Alt-[ is the beginning of many keys: what reads them waits for the rest, and must hold up nothing else.
#[test]
fn half_a_key_holds_up_neither_a_resize_nor_the_end() {
    let mut demo = Demo::start((120, 40));
    demo.pty.wait_text(RUNNING);
    demo.pty.keys("\x1b[");
    for (columns, rows) in [(100, 30), (120, 36)] {
        demo.pty.resize(columns, rows);
        demo.wait_for_last_row(rows);
    }
    kill_process(demo.program(), Signal::TERM).unwrap();
    demo.assert_restored();
}

/// A change of size that is still being drawn when the next one and a key come must not swallow the key.
#[test]
fn a_key_that_comes_together_with_resizes_is_not_missed() {
    let mut demo = Demo::start((120, 40));
    demo.pty.wait_text(RUNNING);
    for round in 0..30u16 {
        let (key, shown) = [("2", "LATENCY"), ("1", RUNNING)][usize::from(round % 2)];
        for step in 0..10 {
            demo.pty.resize(110 + step, 30 + step);
        }
        demo.pty.keys(key);
        demo.pty.wait_text(shown);
    }
}

/// More than the library reads at once (1,024 bytes) and less than a terminal keeps (4,096).
#[test]
fn keys_that_come_in_a_burst_all_arrive_at_once() {
    let mut demo = Demo::start((120, 40));
    demo.pty.wait_text(RUNNING);
    for (key, shown) in [("2", "LATENCY"), ("1", RUNNING), ("2", "LATENCY")] {
        demo.pty.keys(&format!("{}{key}", "jk".repeat(1500)));
        demo.pty.wait_text(shown);
    }
}

#[test]
fn an_action_by_key_shows_its_plan_and_is_recorded() {
    let mut demo = Demo::start((140, 40));
    demo.pty.wait_text(RUNNING);
    demo.pty.keys("/name:vpn\r");
    demo.pty.wait_for("one VM", |screen| {
        screen.contains("1 of ") && screen.contains("vpn") && !screen.contains(RUNNING)
    });
    demo.pty.keys("F");
    demo.pty.wait_text("destroy");
    demo.pty.keys("\r");
    demo.pty.wait_for("the dialog gone after Enter", |screen| {
        !screen.contains("destroy")
    });
    // A production VM: its name has to be typed.
    demo.pty.keys("F");
    demo.pty.wait_text("destroy");
    demo.pty.keys("vpn\r");
    demo.pty.wait_text("stopped");
    demo.pty.keys("5");
    demo.pty.wait_for("the record of it", |screen| {
        screen.contains("confirmed") && screen.contains("force-off")
    });
    demo.pty.keys("qq");
    demo.assert_restored();
}

/// Whether `yes` has written more than a few lines.
fn is_flooded(screen: &str) -> bool {
    screen.lines().filter(|line| line.trim() == "y").count() > 3
}

#[test]
fn the_console_and_the_screen_of_a_vm_open_over_the_table() {
    let mut demo = Demo::start((120, 40));
    demo.pty.wait_text(RUNNING);
    demo.pty.keys("/name:build-01\r");
    demo.pty.wait_text("1 of ");
    demo.pty.keys("a");
    demo.pty.wait_text("live");
    demo.pty.keys("\r");
    demo.pty.wait_text("root@build-01:~# ");
    demo.pty.keys("yes\r");
    demo.pty.wait_for("a flood", is_flooded);
    // Keys get through a flood, and so does the one that leaves.
    demo.pty.keys("\x03");
    demo.pty.keys("echo over it\r");
    demo.pty.wait_text("over it");
    demo.pty.keys("yes\r");
    demo.pty.wait_for("a flood", is_flooded);
    demo.pty.keys("\x1d");
    demo.pty.wait_text("NAME");
    demo.pty.keys("i");
    demo.pty.wait_for("a picture", |screen| {
        screen.contains("screen of build-01") && screen.contains('▀')
    });
    demo.pty.keys("\x1b");
    demo.pty.wait_text("NAME");
    demo.pty.keys("v");
    let screen = demo.pty.wait_text("vnc://127.0.0.1:");
    let (_, address) = screen.split_once("vnc://").unwrap();
    let is_other = |c: char| !c.is_ascii_digit() && !".:".contains(c);
    let address = address.split(is_other).next().unwrap();
    let mut viewer = TcpStream::connect(address).unwrap();
    let mut banner = [0; 12];
    viewer.read_exact(&mut banner).unwrap();
    assert_eq!(&banner, b"RFB 003.008\n");
    demo.pty.keys("\x1b");
    demo.pty
        .wait_for("the dialog gone", |screen| !screen.contains("vnc://"));
    demo.pty.keys("q");
    demo.assert_restored();
}

#[test]
fn the_mouse_is_listened_to_where_it_is_wanted_and_given_back() {
    let mut demo = Demo::configured((120, 40), "[tui]\nmouse = true\n");
    // The cursor stays on its VM when others come above it: all of them are there first.
    let shown = demo.pty.wait_text("/74 ");
    assert!(demo.pty.takes_mouse());
    // Below the titles and the row that the cursor begins on.
    let row = 3 + shown
        .lines()
        .position(|line| line.contains("UPTIME"))
        .unwrap();
    let has_cursor = |screen: &str| screen.lines().nth(row).is_some_and(|it| it.contains('▌'));
    assert!(!has_cursor(&shown));
    // xterm's report of a press of the left button, one-based.
    demo.pty.keys(&format!("\x1b[<0;20;{}M", row + 1));
    demo.pty.wait_for("the cursor on that row", has_cursor);
    demo.pty.keys("q");
    demo.assert_restored();
    assert!(!demo.pty.takes_mouse(), "the mouse is still taken");
}

#[test]
fn a_vm_of_the_demo_lets_somebody_in_and_runs_programs() {
    let mut demo = Demo::start((120, 40));
    demo.pty.wait_text(RUNNING);
    demo.pty.keys("/name:cache-1\r");
    demo.pty.wait_for("the VM alone", |screen| {
        screen.contains("1 of ") && screen.contains("cache-1")
    });
    demo.pty.keys("e");
    demo.pty.wait_text("Shell in cache-1");
    // Its address may be there already: addresses are read last.
    demo.pty.keys("root\r\r\x1510.0.3.31\r");
    let dialog = demo.pty.wait_text("of the fingerprint:");
    let (_, print) = dialog.split_once("SHA256:").expect("a fingerprint");
    let print: String = print.chars().take_while(|c| !c.is_whitespace()).collect();
    let (_, tail) = print.split_at(print.len() - 6);
    demo.pty.keys(&format!("{tail}\r"));
    demo.pty.wait_text("root@cache-1:~#");
    demo.pty.keys("exit\r");
    demo.pty.wait_text("the shell ended (exit 0)");
    demo.pty.keys("\x1b");
    demo.pty.wait_text("NAME");
    demo.pty.keys("x");
    demo.pty.wait_text("Run a program in cache-1");
    demo.pty.keys("uname -a\r");
    demo.pty.wait_text("guest-exec");
    // On a host of tier `prod` its name is wanted.
    demo.pty.keys("cache-1\r");
    demo.pty.wait_text("Linux cache-1");
    demo.pty.keys("\x1b");
    demo.pty.wait_text("NAME");
    demo.pty.keys("q");
    demo.assert_restored();
}
