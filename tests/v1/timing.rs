//! What time tells: measurements with a bound, for a machine that does nothing else. They are no part of
//! a usual run; `tests/campaign timing` runs and prints them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use axum::http::Method;
use vmdeck::accounts::token;

use crate::matrix::Tenants;
use crate::support::campaign::{figure, rounds};

/// Mean, median and variance of some figures.
struct Spread {
    mean: f64,
    median: f64,
    variance: f64,
    count: f64,
}

impl Spread {
    /// Describes figures, the slowest hundredth left out: those were somebody else's.
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        times.truncate(times.len() * 99 / 100);
        #[expect(clippy::cast_precision_loss, reason = "counts of a measurement")]
        let count = times.len() as f64;
        let mean = times.iter().sum::<f64>() / count;
        let squares: f64 = times.iter().map(|time| (time - mean).powi(2)).sum();
        Self {
            mean,
            median: times[times.len() / 2],
            variance: squares / (count - 1.0),
            count,
        }
    }
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}

/// Which of two is asked: turn by turn, and which one goes first changes from pair to pair.
const fn turn(number: usize) -> usize {
    (number + number / 2) % 2
}

/// 20,000 calls for each question, turn by turn: about another's thing, and about nobody's.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn absent_and_anothers_take_the_same_time() {
    /// Calls before the first that counts: caches, allocators and branch predictors have settled.
    const WARM_UP: usize = 500;
    let calls = rounds(20_000);
    let tenants = Tenants::start().await;
    let absent: String = tenants.operation.chars().rev().collect();
    let vm = "/v1/vms/kvm1/canary-db".to_owned();
    let no_vm = "/v1/vms/kvm9/canary-db".to_owned();
    let mut worst = 0.0_f64;
    for (kind, theirs, nobodys) in [
        ("other", vm.clone(), no_vm.clone()),
        ("host", vm, no_vm),
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
        for call in 0..WARM_UP + calls {
            let at = turn(call);
            let path = [&theirs, &nobodys][at];
            let began = Instant::now();
            let answer = tenants.ask(kind, Method::GET, path, None).await;
            let took = micros(began.elapsed());
            assert_eq!(answer.status, 404);
            if call >= WARM_UP {
                times[at].push(took);
            }
        }
        let [one, none] = times.map(Spread::of);
        let difference = (one.mean - none.mean).abs() / none.mean * 100.0;
        worst = worst.max(difference);
        figure(
            "timing",
            &format!("{theirs} of another, with the key of `{kind}`"),
            format!(
                "mean {:.1} us, median {:.1}; absent {:.1} and {:.1}; means {difference:.2} % apart",
                one.mean, one.median, none.mean, none.median
            ),
        );
    }
    assert!(worst < 5.0, "{worst:.2} %");
    tenants.serving.end().await;
}

/// Welch's t-test on 200,000 comparisons of digests: right but for the last byte against wrong from the
/// first. A comparison that stops at the first difference shows that this would be seen.
#[test]
#[ignore = "a measurement"]
fn a_comparison_takes_as_long_however_much_is_right() {
    let ours = compared("64 comparisons", token::same);
    let stops_early = |one: &[u8], other: &[u8]| {
        for (one, other) in one.iter().zip(other) {
            if one != other {
                return false;
            }
        }
        one.len() == other.len()
    };
    let peer = compared("64 that stop at the first difference", stops_early);
    assert!(peer.abs() > 45.0, "nothing would be seen: {peer:.2}");
    assert!(ours.abs() < 4.5, "{ours:.2}");
}

/// Measures a comparison both ways; returns Welch's t.
fn compared(what: &str, same: impl Fn(&[u8], &[u8]) -> bool) -> f64 {
    const COMPARISONS: usize = 200_000;
    /// Comparisons between two looks at the clock, which is coarser than one of them.
    const AT_ONCE: usize = 64;
    const WARM_UP: usize = 200;
    let right = [0x5a_u8; 32];
    let (mut early, mut late) = (right, right);
    early[0] ^= 1;
    late[31] ^= 1;
    let mut given = right;
    let mut times = [Vec::new(), Vec::new()];
    for number in 0..WARM_UP + COMPARISONS / AT_ONCE * 2 {
        let at = turn(number);
        // Both from the same place: what a place costs is no matter of what stands there.
        black_box(&mut given).copy_from_slice([&early, &late][at]);
        let began = Instant::now();
        for _ in 0..AT_ONCE {
            assert!(!black_box(same(black_box(&right), black_box(&given))));
        }
        let took = micros(began.elapsed());
        if number >= WARM_UP {
            times[at].push(took);
        }
    }
    let [early, late] = times.map(Spread::of);
    let error = early.variance / early.count + late.variance / late.count;
    let t = (early.mean - late.mean) / error.sqrt();
    figure(
        "timing",
        what,
        format!(
            "wrong from the first byte {:.4} us, from the last {:.4} us, t = {t:.2}",
            early.mean, late.mean
        ),
    );
    t
}
