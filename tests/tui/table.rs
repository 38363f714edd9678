//! The VM table and the other views, at three sizes.

use std::sync::Arc;

use vmdeck::domain::inventory::{FleetSnapshot, HostSnapshot};
use vmdeck::domain::operation::{Phase, Progress};
use vmdeck::domain::text::RemoteText;
use vmdeck::testing::fleet;
use vmdeck::tui::effect::Local;
use vmdeck::tui::event::Input;
use vmdeck::tui::theme::{ColourDepth, Theme};

use crate::harness::{Screen, styles_of};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (40, 10)];

async fn snapshot(name: &str, keys: &str) {
    for (width, height) in SIZES {
        let mut screen = Screen::small((width, height));
        screen.keys(keys).await;
        insta::assert_snapshot!(format!("{name}_{width}x{height}"), screen.text());
    }
}

#[tokio::test]
async fn the_table_at_three_sizes() {
    snapshot("table", "j j").await;
}

#[tokio::test]
async fn the_wide_table_scrolled_sideways() {
    snapshot("wide", "w l l l l").await;
}

#[tokio::test]
async fn the_hosts_at_three_sizes() {
    snapshot("hosts", "2 j").await;
}

#[tokio::test]
async fn operations_and_audit_at_three_sizes() {
    snapshot("operations", "5").await;
}

#[tokio::test]
async fn hosts_are_read_less_often_while_another_window_has_the_focus() {
    let mut screen = Screen::small((80, 24));
    screen.send(Input::Focus(true)).await;
    assert!(screen.asked().is_empty(), "it had the focus before");
    screen.send(Input::Focus(false)).await;
    screen.send(Input::Focus(false)).await;
    screen.send(Input::Focus(true)).await;
    assert_eq!(screen.asked(), ["focus Only([])", "focus All"]);
}

#[tokio::test]
async fn the_profile() {
    let mut screen = Screen::small((80, 24));
    screen.keys("6").await;
    insta::assert_snapshot!(screen.text());
}

#[tokio::test]
async fn the_styles_of_the_table() {
    let mut screen = Screen::small((80, 24));
    screen.keys("j space space j").await;
    insta::assert_snapshot!(styles_of(&screen.frame()));
}

#[tokio::test]
async fn the_styles_without_colours_and_with_sixteen() {
    for depth in [ColourDepth::None, ColourDepth::Sixteen] {
        let mut screen = Screen::small((80, 16));
        screen.theme = Theme::built_in("dark", depth).unwrap();
        insta::assert_snapshot!(format!("styles_{depth:?}"), styles_of(&screen.frame()));
    }
}

#[tokio::test]
async fn ascii_mode_draws_only_ascii() {
    let mut screen = Screen::small((100, 24));
    screen.app.settings.ascii = true;
    let text = screen.text();
    assert!(text.is_ascii(), "{text}");
    assert!(
        text.contains("* running") && text.contains("o stopped"),
        "{text}"
    );
}

#[tokio::test]
async fn a_filter_is_applied_while_it_is_typed() {
    let mut screen = Screen::small((80, 24));
    screen.keys("/ \"web-\"").await;
    let text = screen.text();
    assert!(
        text.contains("web-1") && !text.contains("db-main"),
        "{text}"
    );
    assert!(text.contains("2 of 13"), "{text}");
    screen.keys("enter j").await;
    assert!(screen.text().contains("/web"));
    screen.keys("esc").await;
    assert!(screen.text().contains("13 VMs"));
}

#[tokio::test]
async fn a_filter_that_cannot_be_read_keeps_the_rows_and_says_why() {
    let mut screen = Screen::small((100, 24));
    screen.keys("/ \"web- (cpu>\"").await;
    let text = screen.text();
    assert!(
        text.contains("web-1") && !text.contains("db-main"),
        "{text}"
    );
    insta::assert_snapshot!(text.lines().rev().nth(1).unwrap());
}

#[tokio::test]
async fn escape_takes_the_prompt_then_the_filter_then_the_marks() {
    let mut screen = Screen::small((80, 24));
    screen.keys("space / \"web\" enter / \"-1\"").await;
    let marked = |screen: &Screen| screen.app.vms.marks.len();
    screen.keys("esc").await;
    assert_eq!((screen.app.vms.filter.text(), marked(&screen)), ("web", 1));
    screen.keys("esc").await;
    assert_eq!((screen.app.vms.filter.text(), marked(&screen)), ("", 1));
    screen.keys("esc").await;
    assert_eq!(marked(&screen), 0);
    assert!(screen.local.is_empty());
    screen.keys("2 esc").await;
    assert!(screen.text().contains("13 VMs"));
}

#[tokio::test]
async fn letters_in_the_prompt_are_text_and_not_commands() {
    let mut screen = Screen::small((80, 24));
    screen.keys("/ \"SFRq\"").await;
    assert_eq!(screen.app.vms.filter.text(), "SFRq");
    assert!(screen.asked().is_empty() && screen.local.is_empty());
}

#[tokio::test]
async fn pasted_text_is_never_read_as_keys() {
    let mut screen = Screen::small((80, 24));
    screen.send(Input::Paste("Sy".to_owned())).await;
    assert!(screen.asked().is_empty());
    screen.keys("/").await;
    screen.send(Input::Paste("web\u{1b}[2J\n".to_owned())).await;
    assert_eq!(screen.app.vms.filter.text(), "web[2J");
}

#[tokio::test]
async fn the_cursor_sticks_to_its_vm_when_rows_move() {
    let mut screen = Screen::small((80, 24));
    screen.keys("j j j").await;
    let vm = screen.app.vms.cursor.id().cloned();
    screen.keys("= o G enter <").await;
    assert_eq!(screen.app.vms.cursor.id().cloned(), vm);
    let mut state = fleet::small();
    state.hosts.retain(|host| host.spec.name.as_str() != "kvm1");
    screen.send(Input::Snapshot(Arc::new(state))).await;
    assert_eq!(screen.app.vms.cursor.id().cloned(), vm);
}

fn changed(change: impl Fn(&mut HostSnapshot)) -> FleetSnapshot {
    let mut state = fleet::small();
    for host in &mut state.hosts {
        change(Arc::make_mut(host));
    }
    state
}

#[tokio::test]
async fn columns_do_not_move_when_values_change() {
    let titles = |screen: &mut Screen| screen.text().lines().nth(2).unwrap().to_owned();
    let mut screen = Screen::small((120, 24));
    let before = titles(&mut screen);
    let state = changed(|host| {
        let inventory = Arc::make_mut(host.inventory.as_mut().unwrap());
        for vm in &mut inventory.vms {
            let vm = Arc::make_mut(vm);
            vm.name = "a-name-that-is-much-longer-than-anything-before".into();
            vm.stats = vmdeck::domain::vm::VmStats::default();
        }
    });
    screen.send(Input::Snapshot(Arc::new(state))).await;
    assert_eq!(titles(&mut screen), before);
}

#[tokio::test]
async fn the_cursor_stays_on_top_until_a_key_is_pressed() {
    let with_first = |name: &str| {
        let mut state = fleet::small();
        let host = Arc::make_mut(&mut state.hosts[0]);
        let inventory = Arc::make_mut(host.inventory.as_mut().unwrap());
        let mut vm = vmdeck::domain::vm::Vm::clone(&inventory.vms[0]);
        vm.id = fleet::vm_id(1, 99);
        vm.name = name.into();
        inventory.vms.push(Arc::new(vm));
        Input::Snapshot(Arc::new(state))
    };
    let mut screen = Screen::small((80, 24));
    screen.send(with_first("aaa")).await;
    assert_eq!(screen.app.vms.cursor.index(), 0);
    screen.keys("j k").await;
    screen.send(Input::Snapshot(Arc::new(fleet::small()))).await;
    screen.send(with_first("aaa")).await;
    assert_eq!(screen.app.vms.cursor.index(), 1, "it sticks to its VM");
}

#[tokio::test]
async fn the_header_says_how_many_hosts_are_how_at_every_width() {
    for width in [64, 80, 100, 120] {
        let mut screen = Screen::small((width, 24));
        let first = screen.text().lines().next().unwrap().to_owned();
        for part in ["3 up", "1 slow", "1 down"] {
            assert!(first.contains(part), "{width}: {first}");
        }
        assert_eq!(first.contains("kvm4"), width >= 80, "{width}: {first}");
        assert_eq!(first.contains("kvm3"), width >= 80, "{width}: {first}");
    }
}

#[tokio::test]
async fn a_host_is_up_in_the_header_once_it_has_been_read_in_this_run() {
    let state = changed(|host| host.from_cache = true);
    let mut screen = Screen::new(state, (160, 24));
    let first = screen.text().lines().next().unwrap().to_owned();
    assert!(
        first.contains("0 up") && first.contains("3 being read"),
        "{first}"
    );
    screen.send(Input::Snapshot(Arc::new(fleet::small()))).await;
    let first = screen.text().lines().next().unwrap().to_owned();
    assert!(
        first.contains("3 up") && !first.contains("being read"),
        "{first}"
    );
}

#[tokio::test]
async fn an_error_of_a_host_names_the_host_and_stays_in_the_header() {
    use vmdeck::domain::error_kind::{ErrorKind, Failure};
    use vmdeck::domain::event::{Fact, FleetEvent};
    let mut screen = Screen::small((120, 24));
    let event = FleetEvent {
        generation: 1,
        at: fleet::now(),
        fact: Fact::ErrorOccurred {
            host: Some("kvm4".parse().unwrap()),
            cause: Failure::new(ErrorKind::Timeout, "reading took too long".to_owned()),
        },
    };
    screen.send(Input::Fact(Box::new(event))).await;
    let mut state = (*screen.app.snapshot).clone();
    state.errors = 1;
    screen.send(Input::Snapshot(Arc::new(state))).await;
    let said = "kvm4: reading took too long";
    assert_eq!(screen.text().matches(said).count(), 2, "{}", screen.text());
    screen.later(60).await;
    assert_eq!(screen.text().matches(said).count(), 1, "{}", screen.text());
    screen.keys("!").await;
    assert!(!screen.text().contains(said));
}

#[tokio::test]
async fn old_rows_say_how_old_they_are() {
    let mut screen = Screen::small((80, 24));
    let line = |screen: &mut Screen, name: &str| {
        let text = screen.text();
        text.lines()
            .find(|line| line.contains(name))
            .unwrap()
            .to_owned()
    };
    assert!(!line(&mut screen, "web-1").ends_with('s'));
    assert!(line(&mut screen, "legacy").ends_with("2m"));
    screen.later(29).await;
    assert!(line(&mut screen, "web-1").ends_with("30s"));
}

#[tokio::test]
async fn a_range_is_marked_and_counted() {
    let mut screen = Screen::small((80, 24));
    screen.keys("space j j V").await;
    assert_eq!(screen.app.vms.marks.len(), 4);
    screen.keys("* ").await;
    assert!(screen.text().contains("13 marked"));
    screen.keys("u").await;
    assert!(screen.app.vms.marks.is_empty());
}

#[tokio::test]
async fn quick_filters_and_one_host() {
    let mut screen = Screen::small((80, 24));
    screen.keys("f p").await;
    assert!(screen.text().contains("only problems"));
    assert!(screen.text().contains("fuzzer") && !screen.text().contains("build-07"));
    screen.keys("f p 2 g enter").await;
    assert!(screen.text().contains("host hv1") && screen.text().contains("2 of 13"));
    screen.keys("0").await;
    assert!(screen.text().contains("13 VMs"));
}

#[tokio::test]
async fn names_and_cells_are_copied_only_when_asked() {
    let mut screen = Screen::small((80, 24));
    screen.keys("g c Y j j enter").await;
    let copied = [Local::Copy("build-07".into()), Local::Copy("kvm1".into())];
    assert_eq!(screen.local, copied);
}

#[tokio::test]
async fn leaving_asks_while_something_is_under_way() {
    let mut screen = Screen::small((80, 24));
    screen.keys("q").await;
    assert!(screen.local.is_empty());
    assert!(screen.text().contains("1 operation is under way"));
    screen.keys("enter").await;
    assert!(screen.local.is_empty());
    screen.keys("q y").await;
    assert_eq!(screen.local, [Local::Quit]);
}

#[tokio::test]
async fn an_operation_shows_how_far_the_hypervisor_is_in_its_own_word() {
    let mut state = fleet::small();
    for operation in &mut state.operations {
        let operation = Arc::make_mut(operation);
        if !operation.is_finished() {
            operation.phase = Phase::Sending;
            let doing = Some(RemoteText::new("Speichern\u{1b}[2J"));
            operation.progress = Some(Progress::new(Some(42), doing));
        }
    }
    let mut screen = Screen::new(state, (120, 24));
    let table = screen.text();
    assert!(table.contains("stopping 42%"), "{table}");
    screen.keys("5").await;
    let operations = screen.text();
    assert!(operations.contains("sending 42%"), "{operations}");
    assert!(operations.contains("  Speicher"), "{operations}");
    assert!(!operations.contains('\u{1b}'));
}
