//! Power cuts and rubbish: no record is ever thrown away, and the log goes on.

use std::path::Path;

use proptest::test_runner::{Config as ProptestConfig, RngAlgorithm, TestRng, TestRunner};
use rand::rand_core::Rng as _;

use super::{intent, open};
use crate::audit::verify::{Problem, verify};
use crate::audit::{chain, line};
use crate::private_file;

/// Returns the complete lines of the first segment that are records.
fn records_of(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines
        .filter(|line| line.ends_with(b"\n"))
        .map(|line| line[..line.len() - 1].to_vec())
        .filter(|line| line::parse(line).is_some())
        .collect()
}

/// Opens and closes a log and waits until its thread has let go of it.
async fn reopen(dir: &Path) {
    let log = open(dir).await;
    log.append(intent("after")).await.unwrap();
    drop(log);
}

#[tokio::test]
async fn after_a_power_cut_in_the_middle_of_a_batch_what_was_acknowledged_is_there() {
    cut_the_power(60).await;
}

#[tokio::test]
#[ignore = "a thousand orders of unsynced writes: tests/campaign durability"]
async fn after_a_thousand_power_cuts_what_was_acknowledged_is_there() {
    cut_the_power(1000).await;
}

/// Cuts the power at every length of an unsynced batch, and `losses` times with random parts of it lost.
async fn cut_the_power(losses: usize) {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let log = open(&dir).await;
    for number in 0..3 {
        log.append(intent(&format!("durable-{number}")))
            .await
            .unwrap();
    }
    let path = chain::segment_path(&dir, 1);
    let durable = std::fs::read(&path).unwrap();
    let batch: Vec<_> = (0..4).map(|n| intent(&format!("lost-{n}"))).collect();
    futures_util::future::join_all(batch.into_iter().map(|entry| log.append(entry))).await;
    drop(log);
    let all = std::fs::read(&path).unwrap();
    let unsynced = &all[durable.len()..];
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[5; 32]);
    // Any length of what was written, as bytes and as blocks that were never filled, and random
    // sectors missing in the middle.
    let prefixes = (0..=unsynced.len())
        .step_by(11)
        .map(|end| unsynced[..end].to_vec());
    let holes = (0..=unsynced.len()).step_by(61).map(|end| vec![0; end]);
    let sectors = (0..losses).map(|_| {
        let mut bytes = unsynced.to_vec();
        for sector in bytes.chunks_mut(64) {
            if rng.next_u32().is_multiple_of(3) {
                sector.fill(0);
            }
        }
        bytes
    });
    for (case, rest) in prefixes.chain(holes).chain(sectors).enumerate() {
        std::fs::remove_dir_all(&dir).unwrap();
        private_file::ensure_dir(&dir).unwrap();
        private_file::write_atomic(&path, &[durable.as_slice(), &rest].concat()).unwrap();
        let before = records_of(&path);
        reopen(&dir).await;
        let after = records_of(&path);
        assert!(
            after.starts_with(&before),
            "case {case}: a record was thrown away"
        );
        assert!(before.len() >= 3, "case {case}");
        let result = verify(&dir, None, None).unwrap();
        // A hole with records after it stays, and is reported; everything else is mended.
        let hole = |problem: &Problem| {
            !matches!(
                problem,
                Problem::OutOfOrder { .. } | Problem::TornTail { .. }
            )
        };
        assert!(
            result.findings.iter().all(|finding| hole(&finding.problem)),
            "case {case}: {result:?}"
        );
        if !rest.contains(&0) {
            assert_eq!(result.findings, [], "case {case}");
        }
    }
}

#[test]
fn whatever_stands_at_the_end_the_log_goes_on_after_it() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(reopen(&dir));
    let path = chain::segment_path(&dir, 1);
    let good = std::fs::read(&path).unwrap();
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases((ProptestConfig::default().cases / 8).max(256))
    });
    let pieces = [
        "\n",
        "\0",
        "{",
        "}",
        "\"seq\":7",
        "{\"v\":1,\"seq\":3,\"prev\":0}",
        "{\"v\":1,\"seq\":18446744073709551615,\"prev\":0}",
        "x",
        ",",
        "\u{feff}",
        "[[[",
    ];
    let rubbish = proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..12);
    runner
        .run(&rubbish, |pieces| {
            let bytes = [good.as_slice(), pieces.concat().as_bytes()].concat();
            private_file::write_atomic(&path, &bytes).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            std::thread::scope(|scope| {
                scope
                    .spawn(|| runtime.block_on(reopen(&dir)))
                    .join()
                    .unwrap();
            });
            let after = records_of(&path);
            proptest::prop_assert!(after.len() >= 2);
            let last = line::parse(after.last().unwrap()).unwrap();
            proptest::prop_assert_eq!(last.entry.operation.as_deref(), Some("after"));
            Ok(())
        })
        .unwrap();
}
