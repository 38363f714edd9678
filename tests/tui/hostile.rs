//! 1,200 names that mean harm, in every place of the dashboard: cells, titles, menus, dialogs, details,
//! operations, messages, and what is copied.

use vmdeck::domain::host::HypervisorKind;
use vmdeck::domain::text::is_hostile;
use vmdeck::domain::vm::{PowerState, Vm};
use vmdeck::testing::{fleet, names};
use vmdeck::tui::effect::Local;

use crate::harness::Screen;

/// VMs on one screen.
const AT_ONCE: usize = 20;

/// Keys that bring a name into every place there is.
const PLACES: [&str; 12] = [
    "S",
    "esc F",
    "esc enter",
    "tab",
    "esc m",
    "esc Y",
    "esc c",
    "esc w",
    "5",
    "1 * S",
    "esc /",
    "\"a\" esc",
];

#[tokio::test]
async fn no_name_comes_raw_to_any_place_of_the_screen() {
    let mut copies = 0;
    for (page, chunk) in names::hostile().chunks(AT_ONCE).enumerate() {
        let vms = chunk.iter().enumerate().map(|(n, name)| {
            Vm::new(
                fleet::vm_id(1, n),
                name.as_str().into(),
                PowerState::Running,
            )
        });
        let spec = fleet::host_spec(1, "kvm1", Some("prod"), &[]);
        let host = fleet::host(spec, HypervisorKind::Libvirt, vms.collect());
        let mut screen = Screen::new(fleet::state(vec![host]), (100, 40));
        harmless(&mut screen, page, "first");
        for (step, keys) in PLACES.iter().enumerate() {
            // Another VM for every place and page, so that each name comes to each place.
            let down = "j ".repeat((step + page) % AT_ONCE);
            screen.keys(keys).await;
            harmless(&mut screen, page, keys);
            screen.keys(&format!("esc esc g {down}")).await;
        }
        for local in &screen.local {
            let Local::Copy(text) = local else { continue };
            // Lines of a document are lines there as well; a name is on one.
            assert!(
                !text.chars().any(|c| is_hostile(c) && c != '\n'),
                "{text:?}"
            );
            copies += 1;
        }
    }
    assert!(copies >= names::COUNT / AT_ONCE, "{copies} copies");
}

fn harmless(screen: &mut Screen, page: usize, keys: &str) {
    for cell in &screen.frame().content {
        let symbol = cell.symbol();
        assert!(
            !symbol.chars().any(is_hostile),
            "{symbol:?} on page {page} after {keys:?}"
        );
    }
}
