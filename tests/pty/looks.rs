//! How it looks is a person's own: themes that are shown as they are written, mistakes in them and in the keys, very
//! small and very wide terminals, columns, plain ASCII.

use std::fs;

use tempfile::TempDir;

use crate::support::pty::{GREEN, RED, shows};
use crate::support::write;
use crate::{Demo, RUNNING};

/// A theme whose accent is this colour.
pub(crate) fn theme(accent: &str) -> String {
    format!("inherits = \"dark\"\n\n[palette]\naccent = \"{accent}\"\n")
}

#[test]
fn a_theme_is_shown_as_it_is_written_and_a_mistake_in_it_changes_nothing() {
    let home = TempDir::new().unwrap();
    fs::create_dir(home.path().join("themes")).unwrap();
    let file = home.path().join("themes/mine.toml");
    write(&file, theme("#ff0000"));
    let mut demo = Demo::start_in(home, (140, 40), "[tui]\ntheme = \"mine\"\n", "");
    demo.pty.wait_text(RUNNING);
    demo.pty
        .wait_cells("its colour", |screen| shows(screen, RED));
    write(&file, theme("#00ff00"));
    demo.pty.wait_cells("the new colour", |screen| {
        shows(screen, GREEN) && !shows(screen, RED)
    });
    write(&file, "inherits = \"dark\"\n\n[palette]\naccent = \n");
    demo.pty.wait_for("the mistake with its line", |screen| {
        screen.contains("mine") && screen.contains("line 4")
    });
    demo.pty
        .wait_cells("what held before", |screen| shows(screen, GREEN));
    write(&file, theme("#ff0000"));
    demo.pty
        .wait_cells("what is mended", |screen| shows(screen, RED));

    // The picker begins with the one in use, and shows each one that the cursor comes to.
    demo.pty.keys("\x14");
    demo.pty.wait_text("Theme");
    demo.pty
        .wait_cells("the one in use", |screen| shows(screen, RED));
    demo.pty.keys("g");
    demo.pty
        .wait_cells("another one", |screen| !shows(screen, RED));
    demo.pty.keys("\x1b");
    demo.pty.wait_cells("the one of before", |screen| {
        shows(screen, RED) && !screen.contents().contains("Theme")
    });
    demo.pty.keys("\x14");
    demo.pty.wait_text("Theme");
    demo.pty.keys("\r");
    demo.pty.wait_cells("no other one", |screen| {
        shows(screen, RED) && !screen.contents().contains("Theme")
    });
    demo.pty.keys("\x14");
    demo.pty.wait_text("Theme");
    demo.pty.keys("g\r");
    demo.pty.wait_cells("the one that was taken", |screen| {
        !shows(screen, RED) && !screen.contents().contains("Theme")
    });
    demo.pty.keys("q");
    demo.assert_restored();
}

#[test]
fn a_theme_and_keys_with_mistakes_are_named_and_those_of_the_program_hold() {
    let home = TempDir::new().unwrap();
    fs::create_dir(home.path().join("themes")).unwrap();
    write(
        home.path().join("themes/mine.toml"),
        "inherits = \"dark\"\n[palette\n",
    );
    let mut demo = Demo::start_in(home, (160, 40), "[tui]\ntheme = \"mine\"\n", "");
    demo.pty.wait_text(RUNNING);
    // It is told for a moment, and found again where all errors are.
    demo.pty.keys("!");
    demo.pty.wait_text("theme mine: line 2");
    demo.pty.keys("q");
    demo.pty.wait_for("the table", |screen| {
        screen.contains(RUNNING) && !screen.contains("Errors")
    });
    demo.pty.keys("q");
    demo.assert_restored();

    let keys = "[tui.keys]\n\"act.force-off\" = [\"S\"]\n";
    let mut demo = Demo::configured((160, 40), keys);
    demo.pty.wait_text(RUNNING);
    demo.pty.keys("!");
    demo.pty.wait_for("both commands", |screen| {
        screen.contains("act.shutdown")
            && screen.contains("act.force-off")
            && screen.contains("the default keys hold")
    });
    demo.pty.keys("q");
    demo.pty.wait_for("the table", |screen| {
        screen.contains(RUNNING) && !screen.contains("Errors")
    });
    demo.pty.keys("/name:vpn\r");
    demo.pty.wait_text("1 of ");
    demo.pty.keys("F");
    demo.pty.wait_text("destroy");
    demo.pty.keys("\x1b");
    demo.pty
        .wait_for("the dialog gone", |screen| !screen.contains("destroy"));
    demo.pty.keys("q");
    demo.assert_restored();
}

#[test]
fn every_view_opens_in_the_smallest_and_in_a_very_wide_terminal() {
    for size in [(30, 8), (300, 60)] {
        let mut demo = Demo::start(size);
        demo.pty.wait_text("NAME");
        for view in ["3", "4", "5", "6", "2"] {
            let before = demo.pty.screen();
            demo.pty.keys(view);
            let shown = demo
                .pty
                .wait_for("another view", |screen| screen != before.as_str());
            let fits = |line: &str| line.chars().count() <= usize::from(size.0);
            assert!(shown.lines().all(fits), "{shown}");
        }
        demo.pty.keys("?");
        demo.pty.wait_text("type to sear");
        demo.pty.keys("\x1b");
        demo.pty
            .wait_for("the help gone", |screen| !screen.contains("type to sear"));
        demo.pty.keys("1");
        demo.pty.wait_text("NAME▴");
        // A terminal of a watch: what is needed is said, keys do what they do, and the rest comes back.
        demo.pty.resize(20, 5);
        demo.pty.wait_text("too small");
        demo.pty.keys("2?");
        demo.pty.resize(size.0, size.1);
        demo.pty
            .wait_for("all of it again", |screen| !screen.contains("too small"));
        demo.pty.keys("\x03");
        demo.assert_restored();
    }
}

#[test]
fn columns_are_hidden_and_moved_while_the_table_shows_it() {
    let mut demo = Demo::start((160, 40));
    demo.pty.wait_text(RUNNING);
    let place = |screen: &str, title: &str| {
        let line = screen.lines().find(|line| line.contains("NAME"));
        line.and_then(|line| line.find(title))
    };
    demo.pty.keys(",");
    demo.pty.wait_text("Columns");
    // The cursor begins on the kind of hypervisor.
    demo.pty.keys(" ");
    demo.pty
        .wait_for("it hidden", |screen| place(screen, " HV ").is_none());
    demo.pty.keys(" J");
    demo.pty.wait_for("it further to the right", |screen| {
        let places = place(screen, "CPU%").zip(place(screen, " HV "));
        places.is_some_and(|(load, kind)| load < kind)
    });
    demo.pty.keys("u");
    demo.pty.wait_for("it back", |screen| {
        place(screen, " HV ") < place(screen, "CPU%")
    });
    demo.pty.keys("\x1b");
    demo.pty
        .wait_for("the list gone", |screen| !screen.contains("Columns"));
    demo.pty.keys("q");
    demo.assert_restored();
}

#[test]
fn plain_ascii_is_kept_to_and_production_has_a_frame_of_its_own() {
    let mut demo = Demo::configured((140, 40), "[tui]\nascii = true\n");
    demo.pty.wait_text(RUNNING);
    demo.pty.keys("/name:vpn\r");
    demo.pty.wait_text("1 of ");
    demo.pty.keys("F");
    demo.pty.wait_text("PRODUCTION");
    let screen = demo.pty.still();
    assert!(screen.is_ascii(), "{screen}");
    demo.pty.keys("\x1b");
    demo.pty
        .wait_for("the dialog gone", |screen| !screen.contains("destroy"));
    demo.pty.keys("q");
    demo.assert_restored();
}
