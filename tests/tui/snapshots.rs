//! VM snapshots on the screen: of one VM, of the fleet, and what the keys there do.

use crate::harness::Screen;

#[tokio::test]
async fn the_fleets_snapshots_stand_oldest_first_with_age_and_depth() {
    let mut screen = Screen::small((120, 24));
    screen.keys("3").await;
    insta::assert_snapshot!(screen.text());
}

#[tokio::test]
async fn a_vms_snapshots_are_a_tree() {
    let mut screen = Screen::small((100, 24));
    screen.keys("/ \"build-07\" enter t").await;
    insta::assert_snapshot!(screen.text());
    screen.keys("0").await;
    assert!(screen.text().contains("schema 41"), "{}", screen.text());
}

#[tokio::test]
async fn a_quick_snapshot_shows_its_plan_though_nothing_has_to_be_agreed_to() {
    let mut screen = Screen::small((100, 24));
    screen.keys("/ \"web-1\" enter T").await;
    insta::assert_snapshot!(screen.text());
    screen.keys("enter").await;
    assert_eq!(screen.asked().len(), 1, "Enter is the safe choice");
    screen.keys("T y").await;
    let asked = screen.asked();
    let last = asked.last().unwrap();
    assert!(
        last.starts_with("submit snapshot-create (snapshot vmdeck-2") && last.contains("web-1"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_new_snapshot_is_described_in_a_form_that_checks_itself() {
    let mut screen = Screen::small((100, 24));
    screen.keys("/ \"build-07\" enter t N").await;
    screen
        .keys("ctrl-u \"a/b\" tab \"for the move\" tab space tab space tab enter")
        .await;
    insta::assert_snapshot!(screen.text());
    screen.keys("ctrl-u \"moved\" tab tab tab tab enter").await;
    let text = screen.text();
    assert!(text.contains("--disk-only"), "{text}");
    screen.keys("y").await;
    let asked = screen.asked();
    assert!(
        asked
            .last()
            .unwrap()
            .contains("snapshot-create (snapshot moved) build-07"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_revert_says_what_is_lost_and_wants_the_name_typed() {
    let mut screen = Screen::small((100, 24));
    screen.keys("/ \"build-07\" enter t j R").await;
    insta::assert_snapshot!(screen.text());
    screen.keys("\"build-07\" enter").await;
    let asked = screen.asked();
    assert_eq!(
        asked.last().unwrap(),
        "submit snapshot-revert (snapshot toolchain) build-07 (TypedName(\"build-07\"), 1)"
    );
}

#[tokio::test]
async fn what_is_old_is_marked_and_deleted_with_one_plan() {
    let mut screen = Screen::small((110, 30));
    screen.keys("3 o D").await;
    insta::assert_snapshot!(screen.text());
    screen.keys("y").await;
    let submitted: Vec<String> = screen
        .asked()
        .into_iter()
        .filter(|asked| asked.starts_with("submit"))
        .collect();
    assert_eq!(
        submitted,
        [
            "submit snapshot-delete (snapshot clean) build-07 (Confirmed, 2)",
            "submit snapshot-delete (snapshot schema 41) db-main (Confirmed, 2)"
        ]
    );
    let text = screen.text();
    assert!(text.contains("─ delete 2 snapshots ─"), "{text}");
}

#[tokio::test]
async fn several_snapshots_of_one_vm_are_of_one_vm() {
    let mut screen = Screen::small((110, 36));
    screen.keys("3 o j j space D").await;
    let text = screen.text();
    assert!(text.contains("Delete 3 snapshots?"), "{text}");
    assert!(text.contains("3 commands to 2 VMs"), "{text}");
}

#[tokio::test]
async fn a_deletion_with_children_names_them() {
    let mut screen = Screen::small((100, 24));
    screen.keys("/ \"build-07\" enter t X").await;
    let text = screen.text();
    assert!(text.contains("--children"), "{text}");
    assert!(text.contains("toolchain, before upgrade"), "{text}");
}
