//! The tab of figures: a quarter of an hour of each, drawn in eighths of a line. Where nothing was known the
//! chart is empty; a zero stands on the ground line.

use jiff::Timestamp;

use crate::domain::inventory::HostSnapshot;
use crate::domain::metrics::{Metric, SLOTS, VmMetrics};
use crate::domain::units::{Age, Bytes};
use crate::domain::vm::{Vm, VmRef};
use crate::tui::app::App;
use crate::tui::glyph;
use crate::tui::overlay::document::Line;
use crate::tui::theme::Role;

/// Lines that a chart has at the most.
const TALLEST: usize = 6;

/// Returns the lines for a room of this size.
pub(super) fn lines(
    app: &App,
    vm: &VmRef,
    metrics: Option<&VmMetrics>,
    (width, height): (usize, usize),
) -> Vec<Line> {
    let Some(metrics) = metrics else {
        let text = "nothing was known of it in the last 15 minutes";
        return vec![vec![(text.to_owned(), Role::Dim)]];
    };
    let found = app.snapshot.vm(vm);
    let mut lines = vec![age(metrics, app.now)];
    let each = height.saturating_sub(2) / Metric::ALL.len();
    let tall = each.saturating_sub(1).clamp(1, TALLEST);
    let columns = columns_in(width);
    for metric in Metric::ALL {
        let series = metrics.series(metric, app.now);
        let now = found.and_then(|(host, vm)| current(metric, host, vm, app.now));
        lines.push(figures(metric, now, &series, width));
        let top = top(metric, &series, found.map(|(_, vm)| &**vm));
        for line in chart(&in_columns(&series, columns), top, tall) {
            lines.push(vec![(line, Role::Accent)]);
        }
    }
    lines.push(vec![(axis(columns), Role::Dim)]);
    lines
}

/// What the last read said; nothing once that is old.
fn current(metric: Metric, host: &HostSnapshot, vm: &Vm, now: Timestamp) -> Option<f64> {
    metric.of(&vm.stats).filter(|_| !host.is_stale(now))
}

fn age(metrics: &VmMetrics, now: Timestamp) -> Line {
    let age = std::time::Duration::try_from(now - metrics.last()).ok();
    let text = age.map_or_else(
        || "the clock was set back since the last figure".to_owned(),
        |age| format!("last figure {} ago", Age(age)),
    );
    vec![(text, Role::Dim)]
}

/// One column for each slot or two, or as many as there is room for.
fn columns_in(width: usize) -> usize {
    match width {
        wide if wide >= SLOTS * 2 => SLOTS * 2,
        narrow => narrow.clamp(1, SLOTS),
    }
}

/// Spreads the slots over the columns; of several in one column the highest counts.
fn in_columns(series: &[Option<f64>], columns: usize) -> Vec<Option<f64>> {
    let count = series.len();
    (0..columns)
        .map(|column| {
            let from = column * count / columns;
            let to = ((column + 1) * count / columns).max(from + 1);
            let figures = series.get(from..to).unwrap_or_default();
            figures.iter().flatten().copied().reduce(f64::max)
        })
        .collect()
}

/// What the top of a chart stands for: all of it where there is such a thing, else the highest figure.
fn top(metric: Metric, series: &[Option<f64>], vm: Option<&Vm>) -> f64 {
    let highest = series.iter().flatten().copied().fold(0.0, f64::max);
    let whole = match metric {
        Metric::Cpu => Some(100.0),
        Metric::Memory => vm.and_then(|vm| vm.stats.memory_assigned.map(Bytes::as_f64)),
        Metric::DiskRead | Metric::DiskWrite | Metric::NetRx | Metric::NetTx => None,
    };
    whole.map_or(highest, |whole| whole.max(highest))
}

fn figures(metric: Metric, now: Option<f64>, series: &[Option<f64>], width: usize) -> Line {
    let shown = |figure: Option<f64>| {
        figure.map_or_else(|| glyph::UNKNOWN.to_owned(), |it| metric.shown(it))
    };
    let known = || series.iter().flatten().copied();
    let (low, high) = (known().reduce(f64::min), known().reduce(f64::max));
    let role = if now.is_some() {
        Role::Strong
    } else {
        Role::Dim
    };
    let rest = if width < 52 {
        format!("  {} .. {}", shown(low), shown(high))
    } else {
        format!("   min {:<9} max {}", shown(low), shown(high))
    };
    vec![
        (format!("{:<11}", metric.title()), Role::Text),
        (format!("{:>9}", shown(now)), role),
        (rest, Role::Dim),
    ]
}

/// Draws figures as lines of eighths, the uppermost first.
fn chart(columns: &[Option<f64>], top: f64, tall: usize) -> Vec<String> {
    (0..tall)
        .rev()
        .map(|level| {
            columns
                .iter()
                .map(|figure| figure.map_or(" ", |figure| eighth(figure, top, (level, tall))))
                .collect()
        })
        .collect()
}

/// Returns the piece of a column at one level; the lowest always has one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a few dozen eighths, clamped first"
)]
fn eighth(figure: f64, top: f64, (level, tall): (usize, usize)) -> &'static str {
    let share = if top > 0.0 {
        (figure / top).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let eighths = (share * (tall * 8) as f64).round() as usize;
    let here = eighths.saturating_sub(level * 8).min(8);
    match here {
        0 if level > 0 => " ",
        _ => glyph::SPARKS
            .get(here.saturating_sub(1))
            .copied()
            .unwrap_or(" "),
    }
}

fn axis(columns: usize) -> String {
    let (old, new) = ("15m ago", "now");
    let between = columns.saturating_sub(old.len() + new.len());
    format!("{old}{:between$}{new}", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_empty_and_a_zero_is_not() {
        let chart = chart(&[None, Some(0.0), Some(50.0), Some(100.0)], 100.0, 2);
        assert_eq!(chart, ["   █", " ▁██"]);
    }

    #[test]
    fn a_chart_of_nothing_but_zeros_stays_on_the_ground() {
        assert_eq!(chart(&[Some(0.0), Some(0.0)], 0.0, 1), ["▁▁"]);
    }

    #[test]
    fn slots_share_a_column_by_their_peak_and_none_is_lost() {
        let series: Vec<Option<f64>> = (0..90).map(|n| (n != 40).then_some(f64::from(n))).collect();
        for columns in [1, 7, 45, 90, 180] {
            let joined = in_columns(&series, columns);
            assert_eq!(joined.len(), columns);
            assert_eq!(joined.last(), Some(&Some(89.0)));
            assert_eq!(
                joined.iter().any(Option::is_none),
                columns >= 90,
                "{columns}"
            );
        }
    }
}
