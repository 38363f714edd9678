//! A shell in a VM: how to log in is asked once, and found again.

use crate::harness::Screen;

fn opened(screen: &Screen) -> Vec<String> {
    let mut asked = screen.asked();
    asked.retain(|one| one.starts_with("console of"));
    asked
}

#[tokio::test]
async fn how_to_log_in_is_asked_once() {
    let mut screen = Screen::small((100, 28));
    screen.keys("/ \"web-1\" enter e").await;
    insta::assert_snapshot!(screen.text());
    screen.keys("\"root\" enter \"web key\" enter enter").await;
    assert!(
        screen.text().contains("no credential's name"),
        "{}",
        screen.text()
    );
    assert!(opened(&screen).is_empty());
    screen.keys("shift-tab ctrl-u \"web-key\" tab enter").await;
    let login = "as root at 10.0.3.21 with Credential(CredentialName(\"web-key\"))";
    assert!(opened(&screen)[0].ends_with(login), "{:?}", opened(&screen));
    assert!(screen.text().contains("shell in web-1 on kvm2 as root"));
    let kept: Vec<String> = screen
        .asked()
        .into_iter()
        .filter(|one| one.starts_with("remember shell.login:"))
        .collect();
    assert_eq!(kept.len(), 2, "for the VM and for its host: {kept:?}");
    screen.keys("ctrl-5 e").await;
    assert_eq!(opened(&screen).len(), 2, "and it asks nothing");
}

#[tokio::test]
async fn nobody_logs_in_to_a_vm_that_is_off() {
    let mut screen = Screen::small((100, 28));
    screen.keys("/ \"state:stopped\" enter e").await;
    assert!(
        screen.text().contains("nobody can log in"),
        "{}",
        screen.text()
    );
    assert!(screen.app.overlays.is_empty());
}
