//! What time tells: measurements with a bound, for a machine that does nothing else. They are no part of
//! a usual run; `cargo test --release --test v1 timing -- --ignored --nocapture --test-threads 1` prints them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use axum::http::Method;
use vmdeck::accounts::token;

use crate::matrix::Tenants;

/// Mean and variance of some figures, the slowest hundredth left out: those were somebody else's.
fn mean_and_variance(mut times: Vec<f64>) -> (f64, f64, f64) {
    times.sort_by(f64::total_cmp);
    times.truncate(times.len() * 99 / 100);
    #[expect(clippy::cast_precision_loss, reason = "counts of a measurement")]
    let count = times.len() as f64;
    let mean = times.iter().sum::<f64>() / count;
    let squares: f64 = times.iter().map(|time| (time - mean).powi(2)).sum();
    (mean, squares / (count - 1.0), count)
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}

/// 20,000 calls for each question, turn by turn: about another's thing, and about nobody's.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn absent_and_anothers_take_the_same_time() {
    const CALLS: usize = 20_000;
    let tenants = Tenants::start().await;
    let absent: String = tenants.operation.chars().rev().collect();
    let mut worst = 0.0_f64;
    for (kind, theirs, nobodys) in [
        (
            "other",
            "/v1/vms/kvm1/canary-db".to_owned(),
            "/v1/vms/kvm9/canary-db".to_owned(),
        ),
        (
            "host",
            "/v1/vms/kvm1/canary-db".to_owned(),
            "/v1/vms/kvm9/canary-db".to_owned(),
        ),
        (
            "other",
            format!("/v1/operations/{}", tenants.operation),
            format!("/v1/operations/{absent}"),
        ),
        (
            "other",
            format!("/agents/{}", tenants.agent),
            "/agents/9".to_owned(),
        ),
        (
            "other",
            format!("/agents/{}/vms", tenants.agent),
            "/agents/9/vms".to_owned(),
        ),
    ] {
        let mut times = [Vec::new(), Vec::new()];
        for call in 0..CALLS {
            // Which one goes first changes from pair to pair.
            let at = (call + call / 2) % 2;
            let path = [&theirs, &nobodys][at];
            let began = Instant::now();
            let answer = tenants.ask(kind, Method::GET, path, None).await;
            times[at].push(micros(began.elapsed()));
            assert_eq!(answer.status, 404);
        }
        let [one, none] = times.map(|times| mean_and_variance(times).0);
        let difference = (one - none).abs() / none * 100.0;
        worst = worst.max(difference);
        println!(
            "{kind} {theirs}: another's {one:.1} us, nobody's {none:.1} us, {difference:.2} % apart"
        );
    }
    assert!(worst < 5.0, "{worst:.2} %");
    tenants.serving.end().await;
}

/// Welch's t-test on 200,000 comparisons of digests: right but for the last byte against wrong from the
/// first.
#[test]
#[ignore = "a measurement"]
fn a_comparison_takes_as_long_however_much_is_right() {
    const COMPARISONS: usize = 200_000;
    /// Comparisons between two looks at the clock, which is coarser than one of them.
    const AT_ONCE: usize = 64;
    let right = [0x5a_u8; 32];
    let (mut early, mut late) = (right, right);
    early[0] ^= 1;
    late[31] ^= 1;
    let mut times = [Vec::new(), Vec::new()];
    for turn in 0..COMPARISONS / AT_ONCE * 2 {
        let at = (turn + turn / 2) % 2;
        let given = [&early, &late][at];
        let began = Instant::now();
        for _ in 0..AT_ONCE {
            assert!(!black_box(token::same(black_box(&right), black_box(given))));
        }
        times[at].push(micros(began.elapsed()));
    }
    let [(early, early_variance, n), (late, late_variance, m)] = times.map(mean_and_variance);
    let t = (early - late) / (early_variance / n + late_variance / m).sqrt();
    println!(
        "wrong from the first byte {early:.4} us, from the last {late:.4} us for {AT_ONCE}, t = {t:.2}"
    );
    assert!(t.abs() < 4.5, "{t:.2}");
}
