//! The pictures in the docs are frames of the program: `VMDECK_UPDATE_PICTURES=1` writes them anew, any
//! other run compares.

use std::path::Path;

use vmdeck::tui::picture::svg;
use vmdeck::tui::theme::{ColourDepth, Theme};

use crate::harness::Screen;

async fn check(name: &str, theme: &str, keys: &str, size: (u16, u16)) {
    let mut screen = Screen::small(size);
    screen.theme = Theme::built_in(theme, ColourDepth::Full).unwrap();
    screen.keys(keys).await;
    let picture = svg(&screen.frame(), &screen.theme);
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs/pictures")
        .join(name);
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch of this test, not of the program"
    )]
    if std::env::var_os("VMDECK_UPDATE_PICTURES").is_some() {
        std::fs::write(&path, &picture).unwrap();
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
