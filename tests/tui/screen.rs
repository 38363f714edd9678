//! The picture of a VM's screen, and typing into it.

use vmdeck::tui::event::Input;
use vmdeck::tui::pixels::PictureWay;
use vmdeck::tui::theme::{ColourDepth, Theme};

use crate::harness::{Screen, styles_of};

async fn open(size: (u16, u16)) -> Screen {
    let mut screen = Screen::small(size);
    screen.keys("/ \"web-1\" enter i").await;
    screen
}

#[tokio::test]
async fn a_screen_is_drawn_with_two_pixels_a_cell() {
    let mut screen = open((40, 14)).await;
    assert_eq!(screen.asked(), ["screen of 6c090002"]);
    insta::assert_snapshot!(screen.text());
    insta::assert_snapshot!(styles_of(&screen.frame()));
}

#[tokio::test]
async fn without_colours_it_is_drawn_in_shades() {
    let mut screen = open((40, 14)).await;
    screen.theme = Theme::built_in("dark", ColourDepth::None).unwrap();
    insta::assert_snapshot!(screen.text());
}

#[tokio::test]
async fn where_pixels_can_be_shown_the_cells_are_left_to_them() {
    let mut screen = open((40, 14)).await;
    screen.state.pictures = PictureWay::Kitty;
    let blank = screen.text();
    assert!(!blank.contains('▀'), "{blank}");
    let placed = screen.state.picture.clone().unwrap();
    assert!(
        placed.area.y >= 1 && placed.area.bottom() <= 12,
        "{placed:?}"
    );

    // Sixels need to know how large a cell is.
    screen.state.pictures = PictureWay::Sixel;
    assert!(screen.text().contains('▀') && screen.state.picture.is_none());
    screen.state.cell = Some((8, 16));
    assert!(!screen.text().contains('▀') && screen.state.picture.is_some());

    // A question lies over cells, not over pixels.
    screen.keys("D").await;
    assert!(screen.text().contains('▀') && screen.state.picture.is_none());
    screen.keys("esc esc").await;
    assert!(!screen.text().contains('▀') && screen.state.picture.is_none());
}

#[tokio::test]
async fn pictures_follow_each_other_while_somebody_looks() {
    let mut screen = open((60, 20)).await;
    screen.later(1).await;
    assert_eq!(screen.asked().len(), 1, "not yet");
    screen.later(1).await;
    assert_eq!(screen.asked().len(), 2);
    screen.keys("esc").await;
    assert!(screen.app.overlays.is_empty());
    screen.later(10).await;
    assert_eq!(screen.asked().len(), 2, "nobody looks any more");
}

#[tokio::test]
async fn it_fits_whatever_room_there_is() {
    let mut screen = open((60, 20)).await;
    for size in [(300, 100), (30, 8), (20, 5)] {
        screen.app.size = size;
        screen.send(Input::Resize(size.0, size.1)).await;
        assert!(!screen.text().trim().is_empty(), "{size:?}");
    }
}

#[tokio::test]
async fn text_is_typed_into_the_vm() {
    let mut screen = open((80, 24)).await;
    screen.keys("T \"root\"").await;
    assert!(screen.text().contains("type into the VM: root"));
    screen.keys("enter").await;
    assert_eq!(screen.asked().last().unwrap(), "5 keys into 6c090002");
    screen.keys("T \"x\" esc").await;
    assert_eq!(screen.asked().last().unwrap(), "5 keys into 6c090002");
}

#[tokio::test]
async fn ctrl_alt_del_asks_first() {
    let mut screen = open((80, 24)).await;
    screen.keys("D enter").await;
    assert_eq!(screen.asked().len(), 1, "Enter is the safe choice");
    screen.keys("D y").await;
    assert_eq!(screen.asked().last().unwrap(), "ctrl-alt-del into 6c090002");
}
