//! Pages of the log: joined together they are the whole log, whatever is in it.

use super::{intent, open};
use crate::audit::AuditOptions;
use crate::audit::log::AuditLog;
use crate::audit::page::PageWish;
use crate::clock::Clock;
use crate::domain::audit::{AuditEntry, AuditPage, AuditPlace};
use crate::private_file;

async fn all_pages(log: &AuditLog, wish: PageWish) -> (Vec<u64>, usize) {
    let mut seqs = Vec::new();
    let mut before = None;
    let mut pages = 0;
    loop {
        let page: AuditPage = log
            .page(PageWish {
                before,
                ..wish.clone()
            })
            .await
            .unwrap();
        pages += 1;
        assert!(page.records.len() <= wish.limit);
        let mut found: Vec<u64> = page.records.iter().map(|record| record.seq).collect();
        found.append(&mut seqs);
        seqs = found;
        before = page.before;
        if before.is_none() {
            return (seqs, pages);
        }
    }
}

fn about(vm: &str, host: &str, details: &str) -> AuditEntry {
    AuditEntry {
        vm_id: Some(vm.to_owned()),
        host: Some(host.to_owned()),
        details: details.to_owned(),
        ..intent(details)
    }
}

#[tokio::test]
async fn pages_over_many_segments_are_the_whole_log() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let options = AuditOptions {
        rotate_bytes: 4 * 1024,
    };
    let (log, _) = AuditLog::open_with(&dir, Clock::system(), options)
        .await
        .unwrap();
    for n in 0..60 {
        let vm = if n % 7 == 3 { "vm-a" } else { "vm-b" };
        let host = if n % 14 == 3 { "kvm1" } else { "kvm2" };
        log.append(about(vm, host, &"x\u{1b}[2J".repeat(n % 9)))
            .await
            .unwrap();
    }
    let wish = |limit, vm: Option<&str>, host: Option<&str>| PageWish {
        limit,
        vm_id: vm.map(str::to_owned),
        host: host.map(str::to_owned),
        before: None,
    };
    let everything: Vec<u64> = (1..=60).collect();
    for limit in [1, 7, 59, 60, 61, 1000] {
        let (seqs, _) = all_pages(&log, wish(limit, None, None)).await;
        assert_eq!(seqs, everything, "{limit}");
    }
    let of_a: Vec<u64> = (0..60).filter(|n| n % 7 == 3).map(|n| n + 1).collect();
    assert_eq!(all_pages(&log, wish(3, Some("vm-a"), None)).await.0, of_a);
    let there: Vec<u64> = (0..60).filter(|n| n % 14 == 3).map(|n| n + 1).collect();
    let found = all_pages(&log, wish(3, Some("vm-a"), Some("kvm1"))).await.0;
    assert_eq!(found, there);
    assert_eq!(
        all_pages(&log, wish(3, Some("vm-c"), None)).await.0,
        Vec::<u64>::new()
    );
}

#[tokio::test]
async fn rubbish_between_records_and_a_torn_end_are_left_out() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let log = open(&dir).await;
    for n in 0..5 {
        log.append(intent(&n.to_string())).await.unwrap();
    }
    drop(log);
    let path = crate::audit::chain::segment_path(&dir, 1);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.splice(0..0, b"no record\n\n\xff\xfe\n".iter().copied());
    bytes.extend_from_slice(b"{\"v\":1,\"seq\":6,\"torn");
    private_file::write_atomic(&path, &bytes).unwrap();
    let wish = PageWish {
        limit: 2,
        ..PageWish::default()
    };
    let mut seqs = Vec::new();
    let mut before = None;
    loop {
        let page = crate::audit::page::page(
            &dir,
            &PageWish {
                before,
                ..wish.clone()
            },
        )
        .unwrap();
        seqs.extend(page.records.iter().rev().map(|record| record.seq));
        before = page.before;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seqs, [5, 4, 3, 2, 1]);
}

#[tokio::test]
async fn a_long_log_gives_its_end_without_being_read() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let log = open(&dir).await;
    log.append(about("vm-a", "kvm1", "first")).await.unwrap();
    log.append(about("vm-b", "kvm1", "then")).await.unwrap();
    drop(log);
    // 200,000 lines about something else: as many as one page looks through, and more.
    let path = crate::audit::chain::segment_path(&dir, 1);
    let mut bytes = std::fs::read(&path).unwrap();
    let of_b = bytes
        .split_inclusive(|byte| *byte == b'\n')
        .nth(1)
        .unwrap()
        .to_vec();
    for _ in 0..200_000 {
        bytes.extend_from_slice(&of_b);
    }
    private_file::write_atomic(&path, &bytes).unwrap();
    let wish = PageWish {
        limit: 100,
        ..PageWish::default()
    };
    let end = crate::audit::page::page(&dir, &wish).unwrap();
    assert_eq!(end.records.len(), 100);
    // One block was enough for it.
    let place = end.before.unwrap();
    assert!(bytes.len() as u64 - place.offset < 256 * 1024);
    let mut wish = PageWish {
        vm_id: Some("vm-a".to_owned()),
        ..wish
    };
    let (mut pages, mut end) = (1, bytes.len() as u64);
    let found = loop {
        let page = crate::audit::page::page(&dir, &wish).unwrap();
        if !page.records.is_empty() {
            break page;
        }
        // Nothing yet, and it says where to go on: behind the line in which the last block began.
        let place = page.before.unwrap();
        let searched = end - place.offset;
        let given_up = 16 * 1024 * 1024;
        assert!(searched <= given_up && searched > given_up - of_b.len() as u64);
        end = place.offset;
        wish.before = Some(place);
        pages += 1;
    };
    assert!(pages > 2, "{pages}");
    assert_eq!(found.records[0].entry.details, "first");
}

#[test]
fn a_page_that_is_given_up_with_a_segment_goes_on_in_the_one_before_it() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    let of_a = crate::audit::line::render(None, &about("vm-a", "kvm1", "first"), None).unwrap();
    let put = |segment, bytes: &[u8]| {
        let path = crate::audit::chain::segment_path(dir, segment);
        private_file::write_atomic(&path, bytes).unwrap();
    };
    put(1, format!("{of_a}\n").as_bytes());
    // As much as one page looks through, to the byte.
    let mut line = vec![b'x'; 16 * 1024 - 1];
    line.push(b'\n');
    put(2, &line.repeat(1024));
    let wish = PageWish {
        vm_id: Some("vm-a".to_owned()),
        limit: 5,
        ..PageWish::default()
    };
    let nothing = crate::audit::page::page(dir, &wish).unwrap();
    assert!(nothing.records.is_empty());
    let place = AuditPlace {
        segment: 2,
        offset: 0,
    };
    assert_eq!(nothing.before, Some(place));
    let before = nothing.before;
    let found = crate::audit::page::page(dir, &PageWish { before, ..wish }).unwrap();
    assert_eq!(found.records.len(), 1);
    assert_eq!(found.before, None);
    // Before the first segment there is nothing to go on with.
    put(1, &line.repeat(1024));
    let begin = crate::audit::page::page(dir, &wish_behind(2)).unwrap();
    assert!(begin.records.is_empty());
    assert_eq!(begin.before, None);
}

fn wish_behind(segment: u32) -> PageWish {
    PageWish {
        before: Some(AuditPlace { segment, offset: 0 }),
        limit: 5,
        ..PageWish::default()
    }
}

#[test]
fn records_that_lie_across_two_blocks_are_on_the_pages_once() {
    let root = tempfile::tempdir().unwrap();
    let mut bytes = Vec::new();
    let written: Vec<String> = (0..4_000).map(|n| format!("order {n}")).collect();
    for details in &written {
        let line = crate::audit::line::render(None, &about("vm-a", "kvm1", details), None).unwrap();
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }
    // Several blocks, none of which ends with a line.
    assert!(bytes.len() > 3 * 256 * 1024);
    private_file::write_atomic(&crate::audit::chain::segment_path(root.path(), 1), &bytes).unwrap();
    let mut found = Vec::new();
    let mut before = None;
    loop {
        let wish = PageWish {
            before,
            limit: 1_500,
            ..PageWish::default()
        };
        let page = crate::audit::page::page(root.path(), &wish).unwrap();
        found.extend(page.records.into_iter().rev().map(|one| one.entry.details));
        before = page.before;
        if before.is_none() {
            break;
        }
    }
    found.reverse();
    assert_eq!(found, written);
}
