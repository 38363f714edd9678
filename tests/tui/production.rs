//! What is about production is unmistakable: by lines, a sign and a word, whatever colours there are.

use vmdeck::tui::theme::{ColourDepth, Theme};

use crate::harness::Screen;

async fn confirm(screen: &mut Screen, filter: &str) -> String {
    screen.keys(&format!("/ \"{filter}\" enter S")).await;
    screen.text()
}

#[tokio::test]
async fn a_dialog_about_production_has_another_frame_and_says_so() {
    let mut screen = Screen::small((100, 30));
    let text = confirm(&mut screen, "name:web-1").await;
    assert!(
        text.contains("╔") && text.contains("▲ PRODUCTION"),
        "{text}"
    );
    let mut screen = Screen::small((100, 30));
    let text = confirm(&mut screen, "name:build-07").await;
    assert!(
        !text.contains("╔") && !text.contains("PRODUCTION"),
        "{text}"
    );
}

#[tokio::test]
async fn it_is_told_without_any_colour_and_in_ascii() {
    let mut screen = Screen::small((100, 30));
    screen.app.settings.ascii = true;
    screen.theme = Theme::built_in("dark", ColourDepth::None).unwrap();
    let text = confirm(&mut screen, "name:web-1").await;
    assert!(
        text.contains("^ PRODUCTION") && text.contains("####"),
        "{text}"
    );
    assert!(text.is_ascii(), "{text}");
}

#[tokio::test]
async fn an_order_about_many_says_how_many_of_them_are_in_production() {
    let mut screen = Screen::small((100, 30));
    screen
        .keys(r#"/ "state:running name:web-1|name:build-07" enter * S"#)
        .await;
    let text = screen.text();
    assert!(text.contains("1 of 2 are in production"), "{text}");
}

#[tokio::test]
async fn menus_details_and_the_line_below_the_table_tell_it_too() {
    let mut screen = Screen::small((100, 30));
    screen.keys(r#"/ "name:web-1" enter"#).await;
    assert!(screen.text().contains("▲ PRODUCTION"));
    screen.keys("P").await;
    assert!(screen.text().contains("╔"), "{}", screen.text());
    screen.keys("esc enter").await;
    assert!(screen.text().contains("╔"), "{}", screen.text());
}
