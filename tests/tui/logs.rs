//! The lists of what happened: errors, commands, activity. Rows come as answers of the fleet; what is copied
//! and written is looked at as it leaves.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::SignedDuration;
use tempfile::TempDir;
use vmdeck::domain::audit::{AuditEntry, AuditPage, AuditPhase, AuditPlace, AuditRecord};
use vmdeck::domain::error_kind::{ErrorKind, Failure};
use vmdeck::domain::event::CommandRecord;
use vmdeck::domain::operation::{Actor, Door};
use vmdeck::domain::text::is_hostile;
use vmdeck::fleet::request::ErrorRecord;
use vmdeck::testing::fleet;
use vmdeck::tui::effect::Local;
use vmdeck::tui::event::{Answer, Input};
use vmdeck::tui::overlay::Overlay;

use crate::harness::Screen;

fn command(n: i64) -> CommandRecord {
    CommandRecord {
        at: fleet::now() + SignedDuration::from_secs(n),
        host: format!("kvm{}", n % 3).parse().unwrap(),
        command: format!("virsh domstats --vcpu vm-{n}").into(),
        status: if n % 10 == 7 { "exit 1" } else { "ok" }.into(),
        elapsed_ms: 12,
        bytes: (n % 2 == 0).then_some(4096),
        changes: n % 5 == 0,
        times: 1,
    }
}

fn commands(count: i64) -> Vec<CommandRecord> {
    (0..count).map(command).collect()
}

async fn with_commands(size: (u16, u16), records: Vec<CommandRecord>) -> Screen {
    let mut screen = Screen::small(size);
    screen.keys("@").await;
    take(&mut screen, records).await;
    screen
}

async fn take(screen: &mut Screen, records: Vec<CommandRecord>) {
    let answer = Answer::Commands(Ok(records));
    screen.send(Input::Answer(answer)).await;
}

fn copied(screen: &mut Screen) -> String {
    match screen.local.pop() {
        Some(Local::Copy(text)) => text,
        other => panic!("nothing was copied but {other:?}"),
    }
}

/// The row with the cursor.
fn selected(text: &str) -> String {
    let line = text.lines().find(|line| line.contains('▌'));
    line.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_end_is_followed_until_somebody_moves_away_from_it() {
    let mut screen = with_commands((120, 30), commands(100)).await;
    let text = screen.text();
    assert!(selected(&text).contains("vm-99"), "{text}");
    assert!(text.contains("100  live"), "{text}");
    // The whole text of the row stands below the list.
    assert!(
        text.contains("part of") || text.contains("command       virsh"),
        "{text}"
    );
    take(&mut screen, commands(101)).await;
    assert!(selected(&screen.text()).contains("vm-100"));
    screen.keys("k k").await;
    take(&mut screen, commands(140)).await;
    let text = screen.text();
    assert!(selected(&text).contains("vm-98"), "{text}");
    assert!(text.contains("G follows the end"), "{text}");
    screen.keys("G").await;
    take(&mut screen, commands(141)).await;
    assert!(selected(&screen.text()).contains("vm-140"));
}

#[tokio::test]
async fn a_command_that_repeats_is_the_same_row_at_another_place() {
    let mut records = commands(10);
    let mut screen = with_commands((120, 30), records.clone()).await;
    screen.keys("g j").await;
    assert!(selected(&screen.text()).contains("vm-1"));
    let mut again = records.remove(1);
    again.times = 7;
    again.at += SignedDuration::from_secs(60);
    records.push(again);
    take(&mut screen, records).await;
    let row = selected(&screen.text());
    assert!(row.contains("vm-1") && row.contains("ok x7"), "{row}");
}

#[tokio::test]
async fn rows_are_filtered_with_the_words_of_every_filter() {
    let mut screen = with_commands((140, 40), commands(100)).await;
    for (filter, count) in [
        ("kvm1", "33 of 100"),
        ("host:kvm1 status:ok", "29 of 100"),
        ("!host:kvm1", "67 of 100"),
        ("kind:change", "20 of 100"),
        ("/vm-9[0-4]$/", "5 of 100"),
        ("\"exit 1\"|vm-12", "11 of 100"),
        ("nothing-like-it", "0 of 100"),
    ] {
        screen.keys("/").await;
        screen
            .keys(&format!("\"{}\"", filter.replace('"', "'")))
            .await;
        screen.keys("enter").await;
        let text = screen.text();
        assert!(text.contains(count), "{filter}: {text}");
        assert!(
            text.contains(&format!("/{}", filter.replace('"', "'"))),
            "{text}"
        );
        screen.keys("esc").await;
        assert!(screen.text().contains("100  live"));
    }
    // A mistake says where, and hides nothing.
    screen.keys("/ \"kvm1\" enter / \" (\"").await;
    let text = screen.text();
    assert!(
        text.contains("not closed") && text.contains("33 of 100"),
        "{text}"
    );
    screen.keys("esc").await;
    assert!(screen.text().contains("/kvm1"));
    screen.keys("/").await;
    screen.keys("backspace backspace backspace backspace").await;
    screen.keys("\"tag:x\"").await;
    assert!(screen.text().contains("is no field"), "{}", screen.text());
}

#[tokio::test]
async fn a_row_is_shown_whole_and_copied_and_so_are_all() {
    let long = CommandRecord {
        command: format!("virsh {} end", "argument ".repeat(80)).into(),
        changes: true,
        ..command(3)
    };
    let mut screen = with_commands((100, 30), vec![command(1), long]).await;
    screen.keys("enter").await;
    let text = screen.text();
    assert!(
        text.contains(" end ") && text.contains("an action"),
        "{text}"
    );
    assert!(!text.contains("vm-1"), "{text}");
    // Enter goes back, and so does Escape.
    screen.keys("enter").await;
    assert!(screen.text().contains("vm-1"));
    screen.keys("k c").await;
    let one = copied(&mut screen);
    assert!(one.contains("virsh domstats --vcpu vm-1") && one.lines().count() == 1);
    screen.keys("Y").await;
    let all = copied(&mut screen);
    assert_eq!(all.lines().count(), 2);
    assert!(all.contains("argument  end"));
    screen.keys("/ \"vm-1\" enter Y").await;
    assert_eq!(copied(&mut screen).lines().count(), 1);
}

#[tokio::test]
async fn what_is_too_long_for_the_clipboard_says_so_and_is_not_copied() {
    let mut screen = with_commands((120, 30), commands(2000)).await;
    screen.keys("Y").await;
    assert_eq!(screen.local, []);
    let text = screen.text();
    assert!(
        text.contains("2000 rows are too long for the clipboard"),
        "{text}"
    );
    assert!(text.contains("X writes them"), "{text}");
}

async fn export(screen: &mut Screen, path: &Path) {
    screen.keys("X ctrl-u").await;
    for _ in 0..60 {
        screen.keys("backspace").await;
    }
    screen.keys(&format!("\"{}\" enter", path.display())).await;
}

#[tokio::test]
async fn what_is_shown_is_written_into_a_new_file_of_ours_alone() {
    let home = TempDir::new().unwrap();
    let mut screen = with_commands((140, 40), commands(50)).await;
    screen.keys("X").await;
    let text = screen.text();
    assert!(
        text.contains("vmdeck-commands-") && text.contains(".jsonl"),
        "{text}"
    );
    screen.keys("esc / \"host:kvm2\" enter").await;
    let path = home.path().join("kvm2.jsonl");
    export(&mut screen, &path).await;
    let text = screen.text();
    assert!(text.contains("wrote 16 rows to"), "{text}");
    let written = std::fs::read_to_string(&path).unwrap();
    let rows: Vec<CommandRecord> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let expected: Vec<CommandRecord> = (0..50).filter(|n| n % 3 == 2).map(command).collect();
    assert_eq!(rows, expected);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Never over a file that is there; the name can be typed anew.
    export(&mut screen, &path).await;
    assert!(screen.text().contains("already"), "{}", screen.text());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written);
    screen.keys("esc").await;
    let plain = home.path().join("kvm2.txt");
    export(&mut screen, &plain).await;
    let text = std::fs::read_to_string(&plain).unwrap();
    assert_eq!(text.lines().count(), 16);
    assert!(text.contains("\tkvm2\t") && !text.contains('{'), "{text}");
    // A place that cannot be written says why, and the dialog stays.
    export(&mut screen, &home.path().join("no/such/place.jsonl")).await;
    assert!(
        screen.text().contains("could not create"),
        "{}",
        screen.text()
    );
    assert!(matches!(
        screen.app.overlays.last(),
        Some(Overlay::Export(_))
    ));
    export_nowhere(&mut screen).await;
}

async fn export_nowhere(screen: &mut Screen) {
    screen.keys("esc").await;
    export(screen, Path::new("/proc/nothing.jsonl")).await;
    assert!(
        screen.text().contains("could not create"),
        "{}",
        screen.text()
    );
    screen.keys("esc esc esc").await;
    assert!(screen.app.overlays.is_empty());
}

#[tokio::test]
async fn errors_have_their_kind_their_count_and_what_to_do() {
    let mut screen = Screen::small((120, 30));
    screen.keys("!").await;
    let cause = Failure::new(ErrorKind::Auth, "kvm2 refused the key \u{1b}[2J")
        .with_hint("ssh-add, then press r");
    let mut record = ErrorRecord::new(fleet::now(), "kvm2".parse().ok(), cause);
    record.times = 12;
    record.last = fleet::now() + SignedDuration::from_secs(60);
    let answer = Answer::Errors(Ok(vec![record]));
    screen.send(Input::Answer(answer)).await;
    let text = screen.text();
    let row = selected(&text);
    assert!(row.contains("kvm2") && row.contains("12"), "{row}");
    assert!(text.contains("ssh-add, then press r"), "{text}");
    screen.keys("c").await;
    let text = copied(&mut screen);
    assert!(
        text.contains("(ssh-add") && !text.chars().any(|c| c == '\u{1b}'),
        "{text:?}"
    );
    assert_eq!(screen.app.unseen_errors(), 0);
}

fn record(seq: u64, vm: &str) -> AuditRecord {
    AuditRecord {
        v: 1,
        seq,
        prev: String::new(),
        entry: AuditEntry {
            phase: AuditPhase::Outcome,
            host: Some("kvm1".to_owned()),
            vm: Some(vm.into()),
            actor: Some(Actor {
                door: Door::Serve,
                user: format!("user-{}", seq % 3),
                key: Some("key-1".to_owned()),
                client_ip: Some("10.0.0.9".to_owned()),
            }),
            plan: vec![format!("virsh reboot {vm}")],
            elapsed_ms: Some(seq),
            ..AuditEntry::note("reboot", "ok", format!("record {seq}"), fleet::now())
        },
        mac: None,
    }
}

fn page(seqs: std::ops::RangeInclusive<u64>, before: Option<u64>) -> AuditPage {
    AuditPage {
        records: seqs.map(|seq| record(seq, "web-1")).collect(),
        before: before.map(|offset| AuditPlace { segment: 1, offset }),
    }
}

async fn take_page(screen: &mut Screen, before: Option<u64>, page: AuditPage) {
    let before = before.map(|offset| AuditPlace { segment: 1, offset });
    let answer = Answer::AuditPage(None, before, Ok(page));
    screen.send(Input::Answer(answer)).await;
}

#[tokio::test]
async fn the_audit_log_is_read_page_by_page_and_goes_on_by_itself() {
    let mut screen = Screen::small((160, 40));
    screen.keys("5 L").await;
    take_page(&mut screen, None, page(501..=1000, Some(77))).await;
    let text = screen.text();
    assert!(selected(&text).contains("record 1000"), "{text}");
    assert!(selected(&text).contains("user-1@serve"), "{text}");
    assert!(text.contains("500+  live"), "{text}");
    // New ones are added, and those that are known are not doubled.
    take_page(&mut screen, None, page(503..=1002, Some(99))).await;
    assert!(screen.text().contains("502+  live"), "{}", screen.text());
    screen.keys("/ \"by:user-1 by:serve\" enter").await;
    assert!(screen.text().contains("167 of 502+"), "{}", screen.text());
    screen.keys("esc enter").await;
    let text = screen.text();
    for fact in [
        "virsh reboot web-1",
        "key-1",
        "10.0.0.9",
        "serve",
        "1002 ms",
    ] {
        assert!(text.contains(fact), "{fact}: {text}");
    }
    screen.keys("esc g").await;
    // The harness answers the question for older ones with none: the beginning is reached.
    let text = screen.text();
    assert!(selected(&text).contains("record 501"), "{text}");
    assert!(text.contains("502  G follows"), "{text}");
    take_page(&mut screen, Some(77), page(1..=500, None)).await;
    let text = screen.text();
    assert!(selected(&text).contains("record 501"), "{text}");
    assert!(text.contains("1002  G follows"), "{text}");
    // A gap: what is there now begins anew.
    take_page(&mut screen, None, page(5000..=5499, Some(7))).await;
    assert!(screen.text().contains("500+"), "{}", screen.text());
}

#[tokio::test]
async fn the_activity_of_a_vm_is_asked_for_under_its_name() {
    let mut screen = Screen::small((120, 30));
    screen.keys("L").await;
    let text = screen.text();
    assert!(
        text.contains("Activity of") && text.contains("Nothing yet"),
        "{text}"
    );
    screen.keys("q").await;
    assert!(screen.app.overlays.is_empty());
}

#[tokio::test]
async fn a_failed_read_is_said_and_keeps_what_is_there() {
    let mut screen = with_commands((120, 30), commands(3)).await;
    let cause = Failure::new(ErrorKind::Busy, "the fleet is too busy");
    screen
        .send(Input::Answer(Answer::Commands(Err(cause.clone()))))
        .await;
    let text = screen.text();
    assert!(text.contains("too busy") && text.contains("vm-2"), "{text}");
    let mut screen = Screen::small((120, 30));
    screen.keys("5 L").await;
    let failed = Answer::AuditPage(None, None, Err(cause));
    screen.send(Input::Answer(failed)).await;
    assert!(screen.text().contains("too busy"), "{}", screen.text());
}

#[tokio::test]
async fn a_hundred_thousand_rows_of_hostile_text_are_a_list_like_any_other() {
    let (ascii, wild) = (
        "\u{1b}]0;x\u{7}\u{1b}[2J\r\n",
        "\u{202e}\u{200b}\u{9b}31m\t日本",
    );
    let records = (0..100_000).map(|n| {
        let hostile = if n % 1000 == 777 { wild } else { ascii };
        CommandRecord {
            command: format!("{hostile} {n}").into(),
            status: hostile.to_owned().into(),
            ..command(n)
        }
    });
    let mut screen = with_commands((20, 5), records.collect()).await;
    assert!(screen.text().contains("too small"));
    for size in [(30, 8), (31, 9), (47, 12), (80, 24), (300, 90)] {
        screen.send(Input::Resize(size.0, size.1)).await;
        screen.keys("g").await;
        let buf = screen.frame();
        let acts = buf
            .content
            .iter()
            .any(|cell| cell.symbol().contains(is_hostile));
        assert!(!acts, "{size:?}");
        screen.keys("G enter").await;
        screen.frame();
        screen.keys("pgdn pgup enter").await;
    }
    screen.keys("/ \"77777\" enter").await;
    assert!(screen.text().contains("1 of 100000"), "{}", screen.text());
    screen.keys("c").await;
    let text = copied(&mut screen);
    // Between columns stands a tab; none is in the text of one.
    let is_wild = |c: char| c != '\t' && is_hostile(c);
    assert!(
        !text.contains(is_wild) && text.contains("77777"),
        "{text:?}"
    );
    assert_eq!(text.matches('\t').count(), 5, "{text:?}");
}
