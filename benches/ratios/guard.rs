//! The gate's small version of the ratios: it fails when one got worse by half against the ratio that is kept
//! in `benches/ratios/kept.txt`. Both sides of a ratio are measured in the same run, in pairs, and the median
//! of the pairs counts, so that a busy machine slows both; one that is too high is measured again twice before
//! it counts.
//!
//! `cargo bench --all-features --profile dev --bench ratios -- guard` (less than a minute; in the build of the tests,
//! so that nothing else is compiled). With `keep` behind it the ratios of this run become the kept ones: only when they
//! changed for a reason that is wanted. Never called by the tests: what takes how long is no test.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use crate::{Pairs, fleet, once, print, tick};

/// How much worse a ratio may be than the kept one.
const WORSE: f64 = 1.5;

/// How often a ratio is measured before it is too high.
const TRIES: usize = 3;

type Row = (&'static str, fn() -> Pairs);

const ROWS: [Row; 3] = [
    ("tick", || tick(100, 40)),
    ("once", || once(7)),
    ("fleet", || fleet(6, 3)),
];

/// Measures every row; ends with a failure when one is worse by half.
pub(crate) fn run(words: &[String]) {
    let began = Instant::now();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/ratios/kept.txt");
    if words.iter().any(|word| word == "keep") {
        let mut kept = String::new();
        for (name, measure) in ROWS {
            writeln!(kept, "{name} {:.2}", shown(measure).ratio).expect("written");
        }
        return std::fs::write(file, kept).expect("the kept ratios");
    }
    let kept = std::fs::read_to_string(file).expect("the kept ratios");
    let mut worse = Vec::new();
    for (name, measure) in ROWS {
        let kept = kept_ratio(&kept, name);
        let most = kept * WORSE;
        let least = best_of(most, measure);
        println!("{name}: {least:.2}, kept {kept:.2}, at most {most:.2}");
        if least > most {
            worse.push(name);
        }
    }
    println!("measured for {:.0} s", began.elapsed().as_secs_f64());
    assert!(
        worse.is_empty(),
        "worse by half against the peer of the same run: {worse:?}"
    );
}

fn shown(measure: fn() -> Pairs) -> Pairs {
    let pairs = measure();
    print(&pairs);
    pairs
}

/// The first ratio that is low enough, else the lowest.
fn best_of(most: f64, measure: fn() -> Pairs) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..TRIES {
        least = least.min(shown(measure).ratio);
        if least <= most {
            break;
        }
    }
    least
}

fn kept_ratio(kept: &str, name: &str) -> f64 {
    kept.lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        .unwrap_or_else(|| panic!("no kept ratio of {name}"))
}
