//! The form that changes what a VM is set up with.

use vmdeck::domain::edit::VmSettings;
use vmdeck::domain::text::RemoteText;
use vmdeck::domain::units::Bytes;

use crate::harness::Screen;

/// What the fake engine says of every VM.
pub(crate) fn settings() -> VmSettings {
    VmSettings {
        vcpus: Some(4),
        vcpus_max: Some(4),
        memory: Some(Bytes::from_mib(16_384)),
        memory_max: Some(Bytes::from_mib(16_384)),
        memory_min: None,
        autostart: Some(true),
        title: Some(RemoteText::new("")),
        description: Some(RemoteText::new("shop front\nask Ann \u{1b}[2J")),
    }
}

#[tokio::test]
async fn the_form_holds_what_the_vm_is_set_up_with() {
    let mut screen = Screen::small((100, 24));
    screen.keys("/ \"web-1\" enter E").await;
    assert!(
        screen
            .asked()
            .iter()
            .any(|one| one.starts_with("settings of")),
        "{:?}",
        screen.asked()
    );
    insta::assert_snapshot!(screen.text());
}

#[tokio::test]
async fn what_differs_is_planned_with_its_commands_and_what_they_mean() {
    let mut screen = Screen::small((100, 30));
    screen.keys("/ \"web-1\" enter E").await;
    screen
        .keys("ctrl-u \"24\" tab ctrl-u \"32G\" tab space tab \"shop\" tab tab enter")
        .await;
    insta::assert_snapshot!(screen.text());
    screen.keys("y").await;
    let asked = screen.asked();
    let last = asked.last().unwrap();
    assert!(
        last.starts_with(
            "submit edit (vCPUs 4 to 24, memory 16G to 32G, autostart on to off, title) web-1"
        ) && last.contains("Confirmed"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn the_form_checks_itself_and_goes_to_what_is_wrong() {
    let mut screen = Screen::small((100, 24));
    screen.keys("/ \"web-1\" enter E").await;
    let button = "tab tab tab tab tab enter";
    screen.keys(button).await;
    let text = screen.text();
    assert!(text.contains("nothing to change"), "{text}");
    screen.keys("tab ctrl-u \"0\"").await;
    screen.keys(button).await;
    let text = screen.text();
    assert!(text.contains("at least one vCPU"), "{text}");
    screen
        .keys("ctrl-u \"2\" tab ctrl-u \"1K\" tab tab tab tab enter")
        .await;
    let text = screen.text();
    assert!(text.contains("at least 8M"), "{text}");
    screen.keys("ctrl-u \"much\" tab tab tab tab enter").await;
    let text = screen.text();
    assert!(text.contains("`much` is no size"), "{text}");
    screen.keys("esc").await;
    let asked = screen.asked();
    assert!(
        !asked.iter().any(|one| one.starts_with("plan")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn words_that_are_not_touched_stay_as_they_are_and_lines_are_typed() {
    let mut screen = Screen::small((120, 30));
    screen.keys("/ \"web-1\" enter enter E").await;
    screen
        .keys("tab tab tab tab ctrl-u \"one\\ntwo\" tab enter")
        .await;
    let text = screen.text();
    assert!(text.contains("--new-desc"), "{text}");
    screen.keys("y").await;
    let asked = screen.asked();
    assert!(
        asked
            .last()
            .unwrap()
            .starts_with("submit edit (description) web-1"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_read_only_deck_opens_no_form() {
    let mut snapshot = vmdeck::testing::fleet::small();
    snapshot.read_only = true;
    let mut screen = Screen::new(snapshot, (100, 24));
    screen.keys("/ \"web-1\" enter E").await;
    let text = screen.text();
    assert!(text.contains("read-only"), "{text}");
    assert!(!screen.asked().iter().any(|one| one.starts_with("settings")));
}
