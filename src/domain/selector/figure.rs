//! Figures and the amounts they are compared with: `cpu>80`, `mem>=4G`, `up<1h30m`.
//!
//! A figure that is not known compares with nothing. Sizes are binary, times may be joined.

use std::fmt;
use std::time::Duration;

use super::matching::Row;
use crate::domain::snapshot;
use crate::domain::units::{Bytes, Percent};

/// A figure of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    Cpu,
    Vcpus,
    Memory,
    Disk,
    Uptime,
    Snapshots,
    SnapshotAge,
    Age,
}

/// What an amount of a figure is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    Percent,
    Size,
    Time,
    Count,
}

/// How to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Less,
    AtMost,
    More,
    AtLeast,
    Equal,
}

/// A comparison as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Comparison {
    figure: Figure,
    relation: Relation,
    /// The amount as typed, for printing.
    typed: String,
    amount: f64,
    measure: Measure,
}

impl Figure {
    pub(super) const NAMES: [(&'static str, Self); 9] = [
        ("cpu", Self::Cpu),
        ("vcpu", Self::Vcpus),
        ("vcpus", Self::Vcpus),
        ("mem", Self::Memory),
        ("disk", Self::Disk),
        ("up", Self::Uptime),
        ("snap", Self::Snapshots),
        ("snapage", Self::SnapshotAge),
        ("age", Self::Age),
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::NAMES
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, figure)| figure)
    }

    fn name(self) -> &'static str {
        Self::NAMES
            .into_iter()
            .find(|(_, figure)| *figure == self)
            .map_or("", |(name, _)| name)
    }

    /// Says how to write an amount of it.
    const fn expects(self) -> &'static str {
        match self {
            Self::Cpu => "a percentage, like cpu>80",
            Self::Vcpus => "a number, like vcpu>=4",
            Self::Memory => "a percentage or a size, like mem>90% or mem>4G",
            Self::Disk => "a percentage or a size, like disk>80% or disk>100G",
            Self::Uptime => "a time, like up<1h",
            Self::Snapshots => "a number, like snap>3",
            Self::SnapshotAge => "a time, like snapage>30d",
            Self::Age => "a time, like age>30s",
        }
    }

    fn read(self, measure: Measure, row: &Row<'_>) -> Option<f64> {
        let stats = &row.vm.stats;
        let share = |used: Option<Bytes>, whole: Option<Bytes>| match measure {
            Measure::Percent => Some(used?.percent_of(whole?)?.value()),
            Measure::Size | Measure::Time | Measure::Count => Some(used?.as_f64()),
        };
        match self {
            Self::Cpu => stats.cpu.map(Percent::value),
            Self::Vcpus => stats.vcpus.map(f64::from),
            Self::Memory => share(stats.memory_used, stats.memory_assigned),
            Self::Disk => share(stats.disk_allocated, stats.disk_capacity),
            Self::Uptime => stats.uptime.as_ref().map(Duration::as_secs_f64),
            Self::Snapshots => row.vm.facts.snapshots.map(f64::from),
            // The oldest one's: what a person wants to find is what nobody has cleaned up.
            Self::SnapshotAge => {
                let tree = row.vm.facts.snapshot_tree.as_deref()?;
                let age = Duration::try_from(row.now - snapshot::oldest(tree)?);
                Some(age.unwrap_or_default().as_secs_f64())
            }
            Self::Age => row.host.age(row.now).map(|age| age.as_secs_f64()),
        }
    }
}

impl Relation {
    const SIGNS: [(&'static str, Self); 5] = [
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("<", Self::Less),
        (">", Self::More),
        ("=", Self::Equal),
    ];

    /// Every sign, longest first.
    pub(super) fn signs() -> impl Iterator<Item = (&'static str, Self)> {
        Self::SIGNS.into_iter()
    }

    fn sign(self) -> &'static str {
        Self::SIGNS
            .into_iter()
            .find(|(_, relation)| *relation == self)
            .map_or("=", |(sign, _)| sign)
    }
}

impl Comparison {
    /// Reads the amount; the error says how it is written.
    pub(super) fn new(figure: Figure, relation: Relation, typed: &str) -> Result<Self, String> {
        let (amount, measure) = match figure {
            Figure::Cpu => (percent(typed), Measure::Percent),
            Figure::Vcpus | Figure::Snapshots => (count(typed), Measure::Count),
            Figure::Memory | Figure::Disk if typed.ends_with('%') => {
                (percent(typed), Measure::Percent)
            }
            Figure::Memory | Figure::Disk => (size(typed), Measure::Size),
            Figure::Uptime | Figure::SnapshotAge | Figure::Age => (time(typed), Measure::Time),
        };
        let amount = amount
            .filter(|amount| amount.is_finite())
            .ok_or_else(|| format!("`{}` is compared with {}", figure.name(), figure.expects()))?;
        Ok(Self {
            figure,
            relation,
            typed: typed.to_owned(),
            amount,
            measure,
        })
    }

    /// Returns true when the figure is a difference between two reads.
    pub(super) const fn is_rate(&self) -> bool {
        matches!(self.figure, Figure::Cpu)
    }

    /// Compares; `None` when the figure is not known.
    pub(super) fn decide(&self, row: &Row<'_>) -> Option<bool> {
        let value = self.figure.read(self.measure, row)?;
        Some(match self.relation {
            Relation::Less => value < self.amount,
            Relation::AtMost => value <= self.amount,
            Relation::More => value > self.amount,
            Relation::AtLeast => value >= self.amount,
            // Shown figures are rounded; half a unit is as equal as a person can mean.
            Relation::Equal => (value - self.amount).abs() < 0.5,
        })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}{}",
            self.figure.name(),
            self.relation.sign(),
            self.typed
        )
    }
}

/// Splits a number from what follows it.
fn number(text: &str) -> Option<(f64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

fn percent(text: &str) -> Option<f64> {
    match number(text)? {
        (value, "" | "%") => Some(value),
        _ => None,
    }
}

fn count(text: &str) -> Option<f64> {
    match number(text)? {
        (value, "") => Some(value),
        _ => None,
    }
}

fn size(text: &str) -> Option<f64> {
    let (value, unit) = number(text)?;
    let unit = unit.to_ascii_lowercase();
    let letter = unit
        .strip_suffix("ib")
        .or_else(|| unit.strip_suffix('b'))
        .unwrap_or(&unit);
    let power = match (letter, unit.as_str()) {
        ("", "b") => 0,
        ("k", _) => 1,
        ("m", _) => 2,
        ("g", _) => 3,
        ("t", _) => 4,
        ("p", _) => 5,
        _ => return None,
    };
    Some(value * 1024_f64.powi(power))
}

/// Reads a length of time as filters write it: `30s`, `12h`, `30d`, `1w2d`.
pub fn long_time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no length of time (like `12h`, `30d` or `1w2d`)");
    let seconds = time(text).ok_or_else(wrong)?;
    Duration::try_from_secs_f64(seconds).map_err(|_too_long| wrong())
}

fn time(text: &str) -> Option<f64> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let (value, after) = number(rest)?;
        let mut units = after.chars();
        total += value
            * match units.next()?.to_ascii_lowercase() {
                's' => 1.0,
                'm' => 60.0,
                'h' => 3600.0,
                'd' => 86_400.0,
                'w' => 604_800.0,
                _ => return None,
            };
        rest = units.as_str();
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        assert_eq!(size("4G"), Some(4.0 * 1024.0 * 1024.0 * 1024.0));
        assert_eq!(size("1.5k"), Some(1536.0));
        assert_eq!(size("2MiB"), Some(2.0 * 1024.0 * 1024.0));
        assert_eq!(size("7b"), Some(7.0));
        assert_eq!(size("7"), None);
        assert_eq!(size("ib"), None);
        assert_eq!(time("1h30m"), Some(5400.0));
        assert_eq!(time("90"), None);
        assert_eq!(time(""), None);
        assert_eq!(percent("80%"), Some(80.0));
        assert_eq!(percent("."), None);
        assert_eq!(count("3x"), None);
    }

    #[test]
    fn a_wrong_amount_says_how_it_is_written() {
        let error = Comparison::new(Figure::Memory, Relation::More, "90").unwrap_err();
        assert!(error.contains("mem>90% or mem>4G"), "{error}");
    }
}
