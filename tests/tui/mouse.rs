//! Clicks and the wheel: what they are aimed at, and that they do no more than keys do.

use vmdeck::tui::app::Screen as Shown;
use vmdeck::tui::column::ColumnId;
use vmdeck::tui::event::{Input, Pointer};
use vmdeck::tui::pointer;

use crate::harness::Screen;

/// Clicks on the first place where a text is shown; returns whether anything was hit.
async fn click(screen: &mut Screen, text: &str) -> bool {
    let shown = screen.text();
    let (line, before) = shown
        .lines()
        .enumerate()
        .find_map(|(n, line)| Some((n, line.split_once(text)?.0)))
        .unwrap_or_else(|| panic!("no {text} in:\n{shown}"));
    let column = unicode_width::UnicodeWidthStr::width(before);
    let at = (u16::try_from(column).unwrap(), u16::try_from(line).unwrap());
    let hit = pointer::hit(&screen.app, &screen.state, at);
    if let Some(hit) = hit {
        screen.send(Input::Pointer(Pointer::Press(hit))).await;
    }
    hit.is_some()
}

fn under_cursor(screen: &Screen) -> String {
    let id = screen.app.vms.cursor.id().unwrap();
    screen
        .app
        .snapshot
        .vm(id)
        .unwrap()
        .1
        .name
        .shown()
        .to_owned()
}

#[tokio::test]
async fn a_click_selects_a_row_and_the_wheel_goes_on_from_there() {
    let mut screen = Screen::small((120, 30));
    assert!(click(&mut screen, "legacy").await);
    assert_eq!(under_cursor(&screen), "legacy");
    screen.send(Input::Pointer(Pointer::WheelDown)).await;
    assert_eq!(under_cursor(&screen), "old-wiki");
    screen.keys("2").await;
    assert!(click(&mut screen, "kvm2").await);
    assert_eq!(screen.app.hosts.cursor.index(), 2);
    screen.keys("5").await;
    assert!(click(&mut screen, "reset").await);
}

#[tokio::test]
async fn a_click_on_a_title_sorts_and_the_next_turns_the_order_around() {
    let mut screen = Screen::small((120, 30));
    assert!(click(&mut screen, "CPU%").await);
    let sort = screen.app.vms.sort;
    assert_eq!(sort.column, ColumnId::Cpu);
    assert!(click(&mut screen, "CPU%").await);
    assert_eq!(screen.app.vms.sort.descending, !sort.descending);
}

#[tokio::test]
async fn a_click_on_a_key_of_the_footer_asks_as_the_key_does() {
    let mut screen = Screen::small((120, 30));
    assert!(click(&mut screen, "force off").await);
    assert!(screen.text().contains("Force off build-07?"));
    // Nothing below the dialog is hit, and its own keys are typed.
    assert!(!click(&mut screen, "ci-runner-1").await);
    assert_eq!(
        screen
            .asked()
            .iter()
            .filter(|it| it.starts_with("submit"))
            .count(),
        0
    );
    screen.keys("enter").await;
    assert!(click(&mut screen, "? ").await || click(&mut screen, "help").await);
}

#[tokio::test]
async fn nothing_is_hit_beside_the_rows() {
    let mut screen = Screen::small((120, 30));
    drop(screen.frame());
    for at in [(0, 0), (60, 25), (119, 28), (500, 500)] {
        assert_eq!(pointer::hit(&screen.app, &screen.state, at), None, "{at:?}");
    }
    assert_eq!(screen.app.screen, Shown::Vms);
}

#[tokio::test]
async fn storage_and_networks_are_clicked_each_in_its_own_list() {
    let mut screen = Screen::small((120, 30));
    screen.keys("4").await;
    let text = screen.text();
    let network = text
        .lines()
        .skip_while(|line| !line.contains("NETWORK"))
        .nth(1)
        .and_then(|line| {
            line.split_whitespace()
                .find(|word| word.chars().all(char::is_alphanumeric))
        })
        .unwrap()
        .to_owned();
    let at = text
        .lines()
        .position(|line| line.contains("NETWORK"))
        .unwrap()
        + 1;
    let hit = pointer::hit(&screen.app, &screen.state, (10, u16::try_from(at).unwrap()));
    assert_eq!(hit, Some(pointer::Hit::Network(0)), "{network} in:\n{text}");
    screen
        .send(Input::Pointer(Pointer::Press(hit.unwrap())))
        .await;
    assert!(screen.app.stores.in_networks);
    let titles = text
        .lines()
        .position(|line| line.contains("STORAGE"))
        .unwrap();
    let second = (10, u16::try_from(titles + 2).unwrap());
    let hit = pointer::hit(&screen.app, &screen.state, second);
    assert_eq!(hit, Some(pointer::Hit::Row(1)));
    screen
        .send(Input::Pointer(Pointer::Press(hit.unwrap())))
        .await;
    assert!(!screen.app.stores.in_networks);
    let line = screen.text().lines().nth(titles + 2).unwrap().to_owned();
    assert!(line.contains('▌'), "{line}");
}

#[tokio::test]
async fn an_item_of_a_menu_is_chosen_by_the_second_click_on_it() {
    let mut screen = Screen::small((120, 30));
    screen.keys("m").await;
    assert!(click(&mut screen, "describe").await);
    assert!(
        screen.text().contains("copy name"),
        "the menu is still there"
    );
    assert!(click(&mut screen, "describe").await);
    assert!(!screen.text().contains("copy name"), "{}", screen.text());
    assert!(screen.text().contains("hypervisor"), "{}", screen.text());
    // Beside the menu nothing is hit, not even what lies below it.
    screen.keys("esc m").await;
    drop(screen.frame());
    assert_eq!(pointer::hit(&screen.app, &screen.state, (2, 8)), None);
}
