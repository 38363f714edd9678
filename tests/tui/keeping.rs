//! Hosts and credentials: findings with what mends them, keys and passwords that are typed and never shown.

use std::sync::Arc;

use jiff::SignedDuration;
use vmdeck::domain::host::HostId;
use vmdeck::domain::inventory::{FleetSnapshot, Lift, LockState};
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
    screen
        .keys("\"right, and long\" enter \"right, and long\" enter")
        .await;
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

#[tokio::test]
async fn a_rotation_shows_its_plan_and_does_nothing_without_a_yes() {
    let mut screen = Screen::small((100, 30));
    screen.keys("6 j R").await;
    insta::assert_snapshot!("rotation", screen.text());
    screen.keys("enter").await;
    assert!(screen.app.overlays.is_empty());
    assert_eq!(screen.asked(), ["plan the rotation of ops"]);
}

#[tokio::test]
async fn a_host_that_refuses_keeps_the_old_key_everywhere_and_the_rest_can_go_on() {
    let mut screen = Screen::small((100, 30));
    screen.keys("6 j R y").await;
    let text = screen.text();
    assert!(
        text.contains("kvm2: the new key is not let in by kvm2"),
        "{text}"
    );
    assert!(
        text.contains("kvm2 still log in with the old key"),
        "{text}"
    );
    assert_eq!(
        screen.asked()[1..],
        ["move 1", "move 2", "finish, keep the old one: false"]
    );
    screen.keys("y").await;
    assert_eq!(screen.asked().len(), 4, "it is over");
    screen.keys("esc R y").await;
    assert!(
        screen.text().contains("Take the old key off kvm1, kvm2?"),
        "{}",
        screen.text()
    );
    screen.keys("y").await;
    insta::assert_snapshot!("rotated", screen.text());
    assert_eq!(
        screen.asked()[7..],
        [
            "retire on 1",
            "retire on 2",
            "finish, keep the old one: false"
        ]
    );
}

#[tokio::test]
async fn a_no_to_the_second_question_keeps_the_old_key() {
    let mut screen = Screen::small((100, 30));
    screen.keys("6 j R y esc R y enter").await;
    let text = screen.text();
    assert!(text.contains("kept as ops.old"), "{text}");
    assert!(!screen.asked().iter().any(|line| line.starts_with("retire")));
}

#[tokio::test]
async fn nothing_is_rotated_while_the_profile_is_locked_or_the_program_read_only() {
    for (lock, read_only, reason) in [
        (LockState::Locked, false, "the profile is locked"),
        (LockState::Unlocked, true, "read-only"),
    ] {
        let mut state = fleet::small();
        (state.lock, state.read_only) = (lock, read_only);
        let mut screen = Screen::new(state, (100, 24));
        screen.keys("esc 6 j R").await;
        assert!(screen.text().contains(reason), "{}", screen.text());
        assert!(screen.asked().is_empty());
    }
}

#[tokio::test]
async fn hosts_of_the_ssh_client_are_chosen_and_added() {
    let mut screen = Screen::small((110, 24));
    screen.keys("2 I").await;
    insta::assert_snapshot!("import", screen.text());
    screen.keys("A").await;
    assert!(
        screen.text().contains("nothing is chosen"),
        "{}",
        screen.text()
    );
    screen.keys("j space").await;
    assert!(
        screen.text().contains("is there already"),
        "{}",
        screen.text()
    );
    screen.keys("* A").await;
    assert_eq!(
        screen.asked(),
        ["save host inner at inner", "save host outer at outer"]
    );
    assert!(screen.app.overlays.is_empty());
    assert!(screen.text().contains("added 2 hosts"), "{}", screen.text());
}

#[tokio::test]
async fn enter_adds_no_hosts() {
    let mut screen = Screen::small((110, 24));
    screen.keys("2 I space enter").await;
    assert!(screen.app.overlays.is_empty() && screen.asked().is_empty());
}

#[tokio::test]
async fn another_profile_is_chosen_and_work_under_way_is_asked_about() {
    let mut screen = Screen::small((100, 24));
    screen.keys("6 P").await;
    let text = screen.text();
    assert!(
        text.contains("Go on with profile") && text.contains("home"),
        "{text}"
    );
    // One operation is under way in this fleet.
    screen.keys("enter").await;
    assert!(
        screen.text().contains("Switch to home?"),
        "{}",
        screen.text()
    );
    screen.keys("enter").await;
    assert!(screen.local.is_empty());
    screen.keys("P enter y").await;
    assert_eq!(screen.local, [Local::Switch("home".to_owned())]);
}

/// The first host is read-only and of the tier `prod`.
fn guarded() -> (FleetSnapshot, HostId) {
    let mut state = fleet::small();
    let host = Arc::make_mut(&mut state.hosts[0]);
    let spec = Arc::make_mut(&mut host.spec);
    (spec.read_only, spec.tier) = (true, Some("prod".parse().unwrap()));
    let id = spec.id;
    (state, id)
}

#[tokio::test]
async fn read_only_of_a_tier_is_lifted_by_typing_it() {
    let (state, id) = guarded();
    for (typed, asked) in [
        ("rw prod", Some(900)),
        ("rw prod 30", Some(1800)),
        ("rw hv1 5m", Some(300)),
        ("ro prod", Some(0)),
        ("rw prod soon", None),
        ("rw nowhere", None),
    ] {
        let mut screen = Screen::new(state.clone(), (110, 24));
        screen.keys(&format!(": \"{typed}\" enter")).await;
        let expected: Vec<String> = asked
            .iter()
            .map(|s| format!("lift [{id:?}] for {s} s"))
            .collect();
        assert_eq!(screen.asked(), expected, "{typed}");
        assert!(screen.app.overlays.is_empty());
    }
    let mut screen = Screen::new(state, (110, 24));
    screen.keys(": \"rw pro\"").await;
    assert!(
        screen.text().contains("changes allowed for 15 min"),
        "{}",
        screen.text()
    );
}

#[tokio::test]
async fn a_lift_is_counted_down_in_the_header_and_nothing_lifts_a_read_only_program() {
    let (mut state, host) = guarded();
    let until = fleet::now() + SignedDuration::from_secs(90);
    state.lifts = Arc::from([Lift { host, until }]);
    let mut screen = Screen::new(state.clone(), (140, 24));
    assert!(screen.text().contains("RW hv1 90s"), "{}", screen.text());
    screen.later(60).await;
    assert!(screen.text().contains("RW hv1 30s"), "{}", screen.text());
    screen.later(30).await;
    assert!(!screen.text().contains("RW hv1"), "{}", screen.text());
    state.read_only = true;
    let mut screen = Screen::new(state, (140, 24));
    screen.keys(": \"rw prod\" enter").await;
    assert!(screen.asked().is_empty() && screen.text().contains("the program is read-only"));
}
