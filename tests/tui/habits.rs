//! What is set up on the screen: columns, themes, filters under a name, and that it is kept.

use vmdeck::tui::effect::Local;

use crate::harness::Screen;

fn titles(screen: &mut Screen) -> String {
    let text = screen.text();
    let line = text.lines().find(|line| line.contains("NAME")).unwrap();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn columns_are_chosen_moved_and_kept() {
    let mut screen = Screen::small((120, 24));
    screen.keys(", space j K esc").await;
    let shown = titles(&mut screen);
    assert!(!shown.contains(" HV "), "{shown}");
    let remembered = screen.asked();
    assert!(
        remembered
            .iter()
            .any(|asked| asked.starts_with("remember vms.columns = Some(\"cpu")),
        "{remembered:?}"
    );
    screen.keys(", u esc").await;
    assert!(titles(&mut screen).contains(" HV "));
}

#[tokio::test]
async fn the_column_under_the_cursor_stays_under_it_while_it_moves() {
    let mut screen = Screen::small((120, 24));
    // The processor's load goes to the front, then out, then in again at the end.
    screen.keys(", j K esc").await;
    let shown = titles(&mut screen);
    assert!(shown.find("CPU%") < shown.find(" HV"), "{shown}");
    screen.keys(", space space esc").await;
    let shown = titles(&mut screen);
    assert!(shown.find("CPU%") > shown.find("SNAP"), "{shown}");
}

#[tokio::test]
async fn a_filter_is_kept_under_a_name_and_shown_again() {
    let mut screen = Screen::small((120, 24));
    screen
        .keys("/ \"state:stopped\" enter K \"resting ones\" enter")
        .await;
    let remembered = screen.asked();
    let wanted = "remember vms.filter:resting ones = Some(\"state:stopped\")";
    assert!(
        remembered.iter().any(|asked| asked == wanted),
        "{remembered:?}"
    );
    screen.keys("esc").await;
    assert_eq!(screen.app.vms.filter.text(), "");
    screen.keys("f 1").await;
    assert_eq!(screen.app.vms.filter.text(), "state:stopped");
}

#[tokio::test]
async fn nothing_is_kept_without_a_filter_or_without_a_name() {
    let mut screen = Screen::small((120, 24));
    screen.keys("K").await;
    assert!(screen.text().contains("there is no filter to keep"));
    screen.keys("/ \"web\" enter K enter").await;
    assert!(screen.text().contains("type a name"));
    screen.keys("esc").await;
    assert!(screen.app.vms.kept.is_empty());
}

#[tokio::test]
async fn a_kept_filter_can_be_the_first_one_and_can_be_forgotten() {
    let mut screen = Screen::small((120, 24));
    screen
        .keys("/ \"web\" enter K \"w\" enter : \"begin with\" enter enter")
        .await;
    assert_eq!(screen.app.vms.first.as_deref(), Some("w"));
    screen.keys(": \"forget a kept\" enter enter").await;
    assert!(screen.app.vms.kept.is_empty());
    assert_eq!(screen.app.vms.first, None);
    let forgotten = screen.asked();
    for gone in [
        "remember vms.filter:w = None",
        "remember vms.first-filter = None",
    ] {
        assert!(forgotten.iter().any(|asked| asked == gone), "{forgotten:?}");
    }
}

#[tokio::test]
async fn themes_are_seen_before_they_are_taken() {
    let mut screen = Screen::small((120, 24));
    screen.keys("ctrl-t j j").await;
    let shown = |name: &str| Local::Theme(Some(name.to_owned()));
    assert_eq!(screen.local, [shown("light"), shown("high-contrast")]);
    screen.keys("esc").await;
    assert_eq!(screen.local.last(), Some(&Local::Theme(None)), "as it was");
    assert!(!screen.asked().iter().any(|asked| asked.contains("theme")));
    screen.keys("ctrl-t j enter").await;
    assert_eq!(screen.local.last(), Some(&shown("light")));
    let remembered = screen.asked();
    let wanted = "remember theme = Some(\"light\")";
    assert!(
        remembered.iter().any(|asked| asked == wanted),
        "{remembered:?}"
    );
}
