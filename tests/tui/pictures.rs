//! The pictures in the docs are frames of the program: `VMDECK_UPDATE_PICTURES=1` writes them anew, any
//! other run compares.

use std::path::Path;

use vmdeck::tui::picture::{Scene, film, svg};
use vmdeck::tui::theme::{ColourDepth, Theme};

use crate::harness::Screen;

async fn check(name: &str, theme: &str, keys: &str, size: (u16, u16)) {
    let mut screen = Screen::small(size);
    screen.theme = Theme::built_in(theme, ColourDepth::Full).unwrap();
    screen.keys(keys).await;
    compare(name, &svg(&screen.frame(), &screen.theme));
}

fn compare(name: &str, picture: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs/pictures")
        .join(name);
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch of this test, not of the program"
    )]
    if std::env::var_os("VMDECK_UPDATE_PICTURES").is_some() {
        std::fs::write(&path, picture).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == picture,
        "{} is not what the program draws now; run the tests with VMDECK_UPDATE_PICTURES=1",
        path.display()
    );
}

#[tokio::test]
async fn the_table() {
    check("table.svg", "dark", "j j j", (120, 19)).await;
}

#[tokio::test]
async fn the_form_of_a_vm() {
    check("edit.svg", "dark", "j E", (100, 20)).await;
}

#[tokio::test]
async fn the_table_on_light() {
    check("table-light.svg", "light", "j j j", (120, 19)).await;
}

#[tokio::test]
async fn the_hosts() {
    check("hosts.svg", "dark", "2 j j j", (120, 14)).await;
}

#[tokio::test]
async fn the_snapshots_of_the_fleet() {
    check("snapshots.svg", "dark", "3 j", (120, 14)).await;
}

#[tokio::test]
async fn storage_and_networks() {
    check("storage.svg", "dark", "4 j j enter", (120, 24)).await;
}

#[tokio::test]
async fn the_details() {
    check("details.svg", "light", "enter", (100, 26)).await;
}

#[tokio::test]
async fn the_metrics() {
    check(
        "metrics.svg",
        "dark",
        "/ \"build\" enter enter tab",
        (100, 36),
    )
    .await;
}

#[tokio::test]
async fn the_confirm_dialog() {
    check("confirm.svg", "dark", "/ \"db-main\" enter F", (120, 24)).await;
}

#[tokio::test]
async fn the_disks() {
    check(
        "disks.svg",
        "dark",
        "/ \"db-main\" enter enter tab tab",
        (100, 22),
    )
    .await;
}

#[tokio::test]
async fn the_definition() {
    check("definition.svg", "dark", "y", (100, 24)).await;
}

#[tokio::test]
async fn the_operations() {
    check("operations.svg", "dark", "5", (120, 18)).await;
}

#[tokio::test]
async fn the_profile() {
    check("profile.svg", "dark", "6", (120, 12)).await;
}

#[tokio::test]
async fn the_filter() {
    check(
        "filter.svg",
        "dark",
        "/ \"state:running cpu>10\"",
        (120, 14),
    )
    .await;
}

#[tokio::test]
async fn the_help() {
    check("help.svg", "dark", "? \"copy\"", (100, 22)).await;
}

#[tokio::test]
async fn many_at_once() {
    check("many.svg", "dark", "* S", (120, 24)).await;
}

/// The film of the tour: what was pressed, why, and for how many tenths of a second it is shown.
const TOUR: &[(&str, &str, u32)] = &[
    ("", "every VM of every host, live", 40),
    ("o j j j", "o: what is the table sorted by?", 25),
    ("enter", "the busiest first, with its last minutes", 35),
    (
        "/ \"state:running host:kvm*\"",
        "/ finds: by words, states, hosts, figures",
        35,
    ),
    ("enter esc", "esc shows all again", 20),
    ("enter", "enter: what is it made of?", 35),
    ("tab", "tab: its last 15 minutes", 40),
    (
        "esc S",
        "S: shut down. These are the exact commands, and the rule that asks",
        45,
    ),
    (
        "esc * S",
        "* marks all that are shown: one plan for many",
        45,
    ),
    ("esc u 2", "2: how every host is", 35),
    ("3", "3: the snapshots of the whole fleet, by age", 35),
    ("4", "4: pools, volumes, networks", 35),
    ("5", "5: who did what, when, and how it ended", 45),
];

#[tokio::test]
async fn the_tour() {
    let mut screen = Screen::small((110, 24));
    let mut scenes = Vec::new();
    for (keys, caption, tenths) in TOUR {
        screen.keys(keys).await;
        scenes.push(Scene {
            frame: screen.frame(),
            caption: (*caption).to_owned(),
            tenths: *tenths,
        });
    }
    compare("tour.svg", &film(&scenes, &screen.theme));
}
