//! A VM's graphics as the screen shows them, with what becomes of a display put in its mouth.

use vmdeck::domain::error_kind::{ErrorKind, Failure};
use vmdeck::tui::event::{Answer, Input};
use vmdeck::tui::graphics::GraphicsNews;
use vmdeck::tui::overlay::Overlay;

use crate::harness::Screen;

const ADDRESS: &str = "vnc://127.0.0.1:40001";

async fn hears(screen: &mut Screen, news: GraphicsNews) {
    let ticket = *screen.app.displays.keys().last().expect("a display");
    screen
        .send(Input::Answer(Answer::Graphics(ticket, news)))
        .await;
}

async fn open() -> Screen {
    let mut screen = Screen::small((90, 24));
    screen.keys("/ \"web-1\" enter").await;
    // As `v` does it, without the answer of the fake fleet.
    drop(vmdeck::tui::overlay::graphics::open(&mut screen.app));
    screen
}

fn by_hand(exposed: Option<&str>) -> GraphicsNews {
    GraphicsNews::ByHand {
        why: "no viewer is installed here (remote-viewer, vncviewer)".to_owned(),
        address: ADDRESS.to_owned(),
        exposed: exposed.map(str::to_owned),
    }
}

#[tokio::test]
async fn without_a_viewer_the_address_is_shown_until_it_is_closed() {
    let mut screen = open().await;
    hears(&mut screen, by_hand(Some("port 5999 of every address"))).await;
    let text = screen.text();
    for words in [
        "Display of web-1",
        ADDRESS,
        "no viewer is installed here",
        "without SSH",
        "nobody is connected",
        "close it",
    ] {
        assert!(text.contains(words), "{words} is missing:\n{text}");
    }
    hears(&mut screen, GraphicsNews::Connected(1, None)).await;
    assert!(screen.text().contains("1 connection"));
    let cause = Failure::new(ErrorKind::Remote, "nothing listens there on the host");
    hears(&mut screen, GraphicsNews::Connected(0, Some(cause))).await;
    assert!(screen.text().contains("nothing listens there"));
    screen.keys("esc").await;
    assert!(screen.app.overlays.is_empty() && screen.app.displays.is_empty());
}

#[tokio::test]
async fn a_viewer_is_told_and_so_is_its_end() {
    let mut screen = open().await;
    let news = GraphicsNews::Viewer {
        program: "remote-viewer".to_owned(),
        address: ADDRESS.to_owned(),
        exposed: None,
    };
    hears(&mut screen, news).await;
    assert!(screen.text().contains("remote-viewer shows web-1"));
    assert!(screen.app.overlays.is_empty(), "the table stays in use");
    hears(&mut screen, GraphicsNews::Closed(None)).await;
    assert!(screen.text().contains("the display of web-1 is closed"));
    assert!(screen.app.displays.is_empty());
}

#[tokio::test]
async fn a_display_that_ends_by_itself_takes_its_dialog_along() {
    let mut screen = open().await;
    hears(&mut screen, by_hand(None)).await;
    assert!(matches!(
        screen.app.overlays.last(),
        Some(Overlay::Graphics(_))
    ));
    let cause = Failure::new(ErrorKind::Unreachable, "the connection is gone");
    hears(&mut screen, GraphicsNews::Closed(Some(cause))).await;
    assert!(screen.app.overlays.is_empty());
    assert!(screen.text().contains("the connection is gone"));
}

#[tokio::test]
async fn what_cannot_be_opened_is_said() {
    let mut screen = Screen::small((90, 24));
    screen.keys("/ \"web-1\" enter v").await;
    assert!(
        screen.text().contains("no graphical display"),
        "{}",
        screen.text()
    );
    assert!(screen.app.displays.is_empty());
}
