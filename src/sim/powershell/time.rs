//! `System.DateTime` and `System.TimeSpan` as .NET counts them: ticks of 100 ns. Knows no clock.

use jiff::Timestamp;
use jiff::civil;

/// Ticks in a second.
pub(in crate::sim) const TICKS: i64 = 10_000_000;
/// Ticks in a day.
const DAY: i64 = 86_400 * TICKS;
/// Ticks between 0001-01-01 and 1970-01-01 (.NET: `DateTime.UnixEpoch.Ticks`).
const EPOCH: i64 = 621_355_968_000_000_000;

/// What a time of day means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Kind {
    Unspecified,
    Utc,
    /// Of the machine; its distance from UTC in seconds.
    Local(i32),
}

/// A date and time.
#[derive(Debug, Clone, Copy)]
pub(in crate::sim) struct DateTime {
    /// Since 0001-01-01 00:00.
    pub(in crate::sim) ticks: i64,
    pub(in crate::sim) kind: Kind,
}

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sim) struct TimeSpan {
    pub(in crate::sim) ticks: i64,
}

impl DateTime {
    /// Makes the UTC time of an instant.
    pub(in crate::sim) fn utc(at: Timestamp) -> Self {
        let ticks = i64::try_from(at.as_nanosecond() / 100).unwrap_or_default();
        Self {
            ticks: EPOCH.saturating_add(ticks),
            kind: Kind::Utc,
        }
    }

    /// Makes the local time of an instant, `offset` seconds east of UTC.
    pub(in crate::sim) fn local(at: Timestamp, offset: i32) -> Self {
        Self::utc(at).to_local(offset)
    }

    /// Makes a time without a kind from a civil one.
    pub(in crate::sim) fn from_civil(at: civil::DateTime, kind: Kind) -> Self {
        let nanoseconds = at
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map_or(0, |zoned| zoned.timestamp().as_nanosecond());
        Self {
            ticks: EPOCH.saturating_add(i64::try_from(nanoseconds / 100).unwrap_or_default()),
            kind,
        }
    }

    /// Returns it as a civil time, whatever its kind.
    pub(in crate::sim) fn civil(self) -> civil::DateTime {
        let since = i128::from(self.ticks.saturating_sub(EPOCH)) * 100;
        Timestamp::from_nanosecond(since)
            .map(|at| at.to_zoned(jiff::tz::TimeZone::UTC).datetime())
            .unwrap_or_default()
    }

    /// Returns the UTC time; a time without a kind is taken for a local one (as .NET does).
    pub(in crate::sim) fn to_utc(self, offset: i32) -> Self {
        let ticks = match self.kind {
            Kind::Utc => self.ticks,
            Kind::Local(own) => self.ticks.saturating_sub(i64::from(own) * TICKS),
            Kind::Unspecified => self.ticks.saturating_sub(i64::from(offset) * TICKS),
        };
        Self {
            ticks,
            kind: Kind::Utc,
        }
    }

    /// Returns the local time; a time without a kind is taken for a UTC one (as .NET does).
    pub(in crate::sim) fn to_local(self, offset: i32) -> Self {
        match self.kind {
            Kind::Local(_) => self,
            Kind::Utc | Kind::Unspecified => Self {
                ticks: self.ticks.saturating_add(i64::from(offset) * TICKS),
                kind: Kind::Local(offset),
            },
        }
    }

    /// Returns the milliseconds since 1970, as JSON of 5.1 writes them.
    pub(in crate::sim) fn unix_milliseconds(self, offset: i32) -> i64 {
        self.to_utc(offset).ticks.saturating_sub(EPOCH) / 10_000
    }

    /// Makes the UTC time of milliseconds since 1970.
    pub(in crate::sim) const fn from_unix_milliseconds(milliseconds: i64) -> Self {
        Self {
            ticks: EPOCH.saturating_add(milliseconds.saturating_mul(10_000)),
            kind: Kind::Utc,
        }
    }

    /// Returns the fraction of the second in ticks.
    pub(in crate::sim) const fn fraction(self) -> i64 {
        self.ticks.rem_euclid(TICKS)
    }
}

impl TimeSpan {
    /// Makes a span from seconds.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cast of floats saturates, and .NET refuses such spans"
    )]
    pub(in crate::sim) fn from_seconds(seconds: f64) -> Self {
        Self {
            // .NET rounds to whole milliseconds.
            ticks: ((seconds * 1000.0).round() as i64).saturating_mul(10_000),
        }
    }

    /// Makes a span from milliseconds.
    pub(in crate::sim) const fn from_milliseconds(milliseconds: i64) -> Self {
        Self {
            ticks: milliseconds.saturating_mul(10_000),
        }
    }

    /// Returns the parts: days, hours, minutes, seconds, milliseconds.
    pub(in crate::sim) const fn parts(self) -> [i64; 5] {
        let ticks = self.ticks;
        [
            ticks / DAY,
            ticks / (3600 * TICKS) % 24,
            ticks / (60 * TICKS) % 60,
            ticks / TICKS % 60,
            ticks / 10_000 % 1000,
        ]
    }

    /// Returns the span in units of so many ticks.
    #[expect(
        clippy::cast_precision_loss,
        reason = "as .NET's TotalX properties, which are doubles too"
    )]
    pub(in crate::sim) fn total(self, unit: i64) -> f64 {
        self.ticks as f64 / unit as f64
    }
}

impl std::fmt::Display for TimeSpan {
    /// Writes .NET's constant form: `[-][d.]hh:mm:ss[.fffffff]`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let positive = Self {
            ticks: self.ticks.saturating_abs(),
        };
        let [days, hours, minutes, seconds, _] = positive.parts();
        if self.ticks < 0 {
            f.write_str("-")?;
        }
        if days != 0 {
            write!(f, "{days}.")?;
        }
        write!(f, "{hours:02}:{minutes:02}:{seconds:02}")?;
        match positive.ticks % TICKS {
            0 => Ok(()),
            fraction => write!(f, ".{fraction:07}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_in_dotnet() {
        for (ticks, text) in [
            (0, "00:00:00"),
            (913_040_130_000, "1.01:21:44.0130000"),
            (-TICKS, "-00:00:01"),
        ] {
            assert_eq!(TimeSpan { ticks }.to_string(), text);
        }
    }

    #[test]
    fn dates_count_from_year_one() {
        let start = DateTime::utc(Timestamp::UNIX_EPOCH);
        assert_eq!(start.ticks, EPOCH);
        assert_eq!(start.civil().to_string(), "1970-01-01T00:00:00");
        let local = start.to_local(7200);
        assert_eq!(local.civil().hour(), 2);
        assert_eq!(local.to_utc(0).ticks, EPOCH);
        assert_eq!(DateTime::from_civil(start.civil(), Kind::Utc).ticks, EPOCH);
    }
}
