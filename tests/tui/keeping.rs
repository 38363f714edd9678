//! Hosts and credentials: findings with what mends them, keys and passwords that are typed and never shown.

use vmdeck::domain::inventory::LockState;
use vmdeck::testing::fleet;
use vmdeck::tui::effect::Local;

use crate::harness::Screen;

#[tokio::test]
async fn findings_are_a_list_with_the_command_that_mends_each() {
    let mut screen = Screen::small((100, 24));
    screen.keys("2 G i").await;
    // The first problem is what one came for.
    insta::assert_snapshot!("doctor", screen.text());
    screen.keys("c").await;
    assert_eq!(
        screen.local,
        [Local::Copy(
            "vmdeck host edit kvm4 --address HOST:PORT".to_owned()
        )]
    );
    screen.keys("g c").await;
    assert!(
        screen.text().contains("nothing to be mended"),
        "{}",
        screen.text()
    );
    assert_eq!(screen.local.len(), 1);
    screen.keys("Y").await;
    let Some(Local::Copy(all)) = screen.local.last() else {
        panic!("{:?}", screen.local);
    };
    assert!(all.contains("problem") && all.contains("do: "), "{all}");
}

#[tokio::test]
async fn a_check_can_be_repeated_and_what_is_known_stays() {
    let mut screen = Screen::small((100, 24));
    screen.keys("2 G i j").await;
    let before = screen.text();
    let looked = |text: &str| {
        text.lines()
            .find(|line| line.contains("looked at"))
            .map(str::to_owned)
    };
    screen.later(61).await;
    assert_eq!(looked(&screen.text()), looked(&before));
    screen.keys("r").await;
    let text = screen.text();
    assert!(
        looked(&text).is_some() && looked(&text) != looked(&before),
        "{text}"
    );
    assert!(text.contains("not reached"), "{text}");
    assert_eq!(screen.asked().len(), 2, "{:?}", screen.asked());
    screen.keys("esc").await;
    assert!(screen.app.overlays.is_empty());
}

#[tokio::test]
async fn credentials_are_shown_with_their_public_half_only() {
    let mut screen = Screen::small((100, 24));
    screen.keys("6 j").await;
    insta::assert_snapshot!("credentials", screen.text());
    screen.keys("enter").await;
    insta::assert_snapshot!("credential", screen.text());
    screen.keys("esc c").await;
    assert!(matches!(&screen.local[..], [Local::Copy(key)] if key.starts_with("ssh-ed25519 ")));
}

#[tokio::test]
async fn a_credential_that_hosts_use_is_not_removed() {
    let mut screen = Screen::small((100, 24));
    screen.keys("6 j D").await;
    assert!(
        screen.text().contains("used by kvm1, kvm2"),
        "{}",
        screen.text()
    );
    assert!(screen.app.overlays.is_empty());
    screen.keys("k D").await;
    assert!(screen.text().contains("Remove credential old-root?"));
    screen.keys("enter").await;
    assert!(screen.asked().is_empty());
    screen.keys("D y").await;
    assert_eq!(screen.asked(), ["remove old-root"]);
}

#[tokio::test]
async fn a_password_is_typed_masked_and_handed_over() {
    let mut screen = Screen::small((100, 24));
    screen
        .keys("6 A \"root\" tab left left tab \"hunter2\"")
        .await;
    let text = screen.text();
    assert!(
        text.contains("•••••••") && !text.contains("hunter2"),
        "{text}"
    );
    insta::assert_snapshot!("credential_form", text);
    screen.keys("tab enter").await;
    assert_eq!(screen.asked(), ["add root: a password (7)"]);
    assert!(screen.app.overlays.is_empty());
    assert!(screen.text().contains("added"), "{}", screen.text());
}

#[tokio::test]
async fn a_refused_credential_keeps_its_form_but_not_its_secret() {
    let mut screen = Screen::small((100, 24));
    screen
        .keys("6 A \"ops\" tab left left tab \"hunter2\" enter enter")
        .await;
    let text = screen.text();
    assert!(
        text.contains("there is a credential `ops` already"),
        "{text}"
    );
    assert!(!text.contains("•"), "{text}");
    screen.keys("esc").await;
    assert!(screen.app.overlays.is_empty());
}

#[tokio::test]
async fn the_first_credential_sets_the_passphrase_first() {
    let mut state = fleet::small();
    state.lock = LockState::Empty;
    let mut screen = Screen::new(state, (100, 24));
    screen.keys("6 A").await;
    assert!(
        screen.text().contains("Set a passphrase"),
        "{}",
        screen.text()
    );
    screen.keys("\"right\" enter \"right\" enter").await;
    assert_eq!(screen.asked().first().map(String::as_str), Some("unlock"));
    assert!(
        screen.text().contains("Add a credential"),
        "{}",
        screen.text()
    );
}

#[tokio::test]
async fn the_profile_is_locked_and_unlocked_from_its_view() {
    let mut screen = Screen::small((100, 24));
    screen.keys("6").await;
    assert!(
        screen.text().contains("Profile lab is unlocked"),
        "{}",
        screen.text()
    );
    screen.keys("x").await;
    assert_eq!(screen.asked(), ["lock"]);
    let mut state = fleet::small();
    state.lock = LockState::Locked;
    let mut screen = Screen::new(state, (100, 24));
    screen.keys("esc 6 u").await;
    assert!(screen.text().contains("Unlock lab"), "{}", screen.text());
}
