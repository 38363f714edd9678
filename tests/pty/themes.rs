//! Themes of one's own are files beside the configuration: one that is new is offered at once and shown before it is
//! taken, one that goes is no longer offered; keys with mistakes are told with the line they stand on.

use std::fs;

use tempfile::TempDir;

use crate::looks::theme;
use crate::support::pty::{RED, shows};
use crate::support::write;
use crate::{Demo, RUNNING};

#[test]
fn a_theme_that_is_new_is_offered_at_once_and_one_that_goes_no_longer() {
    let home = TempDir::new().unwrap();
    let mut demo = Demo::start_in(home, (140, 40), "", "");
    demo.pty.wait_text(RUNNING);
    demo.pty.keys("\x14");
    demo.pty.wait_text("solarized");
    // The folder itself is new as well. Whole in its place, as editors write.
    let folder = demo.home.path().join("themes");
    fs::create_dir(&folder).unwrap();
    write(demo.home.path().join("new"), theme("#ff0000"));
    fs::rename(demo.home.path().join("new"), folder.join("zz-mine.toml")).unwrap();
    demo.pty.wait_text("zz-mine");
    demo.pty.keys("G");
    demo.pty
        .wait_cells("its colour", |screen| shows(screen, RED));
    demo.pty.keys("\r");
    demo.pty.wait_cells("it taken", |screen| {
        shows(screen, RED) && !screen.contents().contains("solarized")
    });
    // It goes: those who look through the themes see it go, and what is shown stays.
    demo.pty.keys("\x14");
    demo.pty.wait_text("zz-mine");
    fs::remove_file(folder.join("zz-mine.toml")).unwrap();
    let listed = |screen: &str| {
        let mut lines = screen.lines();
        lines.any(|line| line.contains("zz-mine") && line.contains('│'))
    };
    demo.pty
        .wait_for("it gone from the list", |screen| !listed(screen));
    demo.pty.keys("\x1b");
    demo.pty
        .wait_for("the picker gone", |screen| !screen.contains("solarized"));
    demo.pty.keys("q");
    demo.assert_restored();
}

#[test]
fn keys_with_a_mistake_are_told_with_their_line() {
    let keys = "[tui]\nascii = false\n\n[tui.keys]\n\"vms.wide\" = \"ctrl-w\"\n\"act.force-off\" = [\"S\"]\n";
    let mut demo = Demo::configured((200, 40), keys);
    demo.pty.wait_text(RUNNING);
    demo.pty.keys("!");
    demo.pty.wait_for("the line and both commands", |screen| {
        let line = screen
            .lines()
            .find(|line| line.contains("test.toml:6:1: `S`"));
        line.is_some_and(|line| line.contains("act.shutdown") && line.contains("act.force-off"))
    });
    demo.pty.keys("q");
    demo.pty
        .wait_for("the table", |screen| !screen.contains("Errors"));
    demo.pty.keys("q");
    demo.assert_restored();
}
