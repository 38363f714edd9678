//! Newtypes for quantities, so that KiB never meets bytes by accident.
//!
//! Formatting here is for people (binary units, one decimal); JSON carries plain numbers.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A number of bytes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    /// Converts from KiB (libvirt's unit for memory); saturates.
    pub const fn from_kib(kib: u64) -> Self {
        Self(kib.saturating_mul(1024))
    }

    /// Converts from MiB (Hyper-V's unit in CIM); saturates.
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib.saturating_mul(1024 * 1024))
    }

    /// Returns the share of `whole` in percent, or `None` when `whole` is zero.
    pub fn percent_of(self, whole: Self) -> Option<Percent> {
        (whole.0 > 0).then(|| Percent::new(self.as_f64() / whole.as_f64() * 100.0))
    }

    /// Returns the number as a float for ratios; exact below 2^53.
    #[expect(
        clippy::cast_precision_loss,
        reason = "ratios for display; exact below 8 PiB"
    )]
    pub fn as_f64(self) -> f64 {
        self.0 as f64
    }
}

impl fmt::Display for Bytes {
    /// Prints at most six columns: `14.2 G`, `512 M`, `0 B`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["B", "K", "M", "G", "T", "P"];
        let mut value = self.as_f64();
        let mut unit = 0;
        while value >= 1000.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let name = UNITS.get(unit).copied().unwrap_or("P");
        if unit == 0 || value >= 99.95 {
            f.pad(&format!("{value:.0} {name}"))
        } else {
            f.pad(&format!("{value:.1} {name}"))
        }
    }
}

/// A share in percent; may exceed 100 where the source does. Never NaN or negative.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percent(f64);

impl Percent {
    /// Takes a figure; NaN, infinities and negatives become 0.
    pub fn new(value: f64) -> Self {
        Self(if value.is_finite() {
            value.max(0.0)
        } else {
            0.0
        })
    }

    /// Returns the figure.
    pub const fn value(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.0}", self.0))
    }
}

/// A length of time in at most four columns: `9s`, `12m`, `3h`, `44d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(pub Duration);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        f.pad(&match seconds {
            0..=119 => format!("{seconds}s"),
            120..=7199 => format!("{}m", seconds / 60),
            7200..=172_799 => format!("{}h", seconds / 3600),
            _ => format!("{}d", seconds / 86_400),
        })
    }
}

/// A span of time in words: `15 minutes`, `90 seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (count, unit) = if seconds > 0 && seconds.is_multiple_of(60) {
            (seconds / 60, "minute")
        } else {
            (seconds, "second")
        };
        let plural = if count == 1 { "" } else { "s" };
        f.pad(&format!("{count} {unit}{plural}"))
    }
}

/// Reads a size with its unit: `4G`, `1536M`, `2.5 GiB`.
pub fn read_size(text: &str) -> Result<Bytes, String> {
    let wrong = || format!("`{text}` is no size (like `4G` or `1536M`)");
    let bare = text.trim();
    let digits = bare
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(bare.len());
    let (number, unit) = bare.split_at_checked(digits).ok_or_else(wrong)?;
    let unit = unit.trim().to_ascii_uppercase();
    let unit = unit.strip_suffix("IB").unwrap_or(&unit);
    let shift: u32 = match unit {
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(wrong()),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let has_part = number.contains('.');
    if part.len() > 6 || (has_part && part.is_empty()) {
        return Err(wrong());
    }
    let whole: u128 = whole.parse().ok().ok_or_else(wrong)?;
    let below: u128 = if part.is_empty() {
        0
    } else {
        part.parse().ok().ok_or_else(wrong)?
    };
    let ten = 10_u128.pow(u32::try_from(part.len()).unwrap_or_default());
    let unit = 1_u128 << shift;
    let scaled = whole
        .checked_mul(ten)
        .and_then(|all| all.checked_add(below))
        .and_then(|all| all.checked_mul(unit))
        .ok_or_else(wrong)?;
    u64::try_from(scaled / ten)
        .map(Bytes)
        .map_err(|_too_large| wrong())
}

/// Writes a size so that [`read_size`] reads the same again, as far as its units go.
pub fn written_size(size: Bytes) -> String {
    let units = [(40, 'T'), (30, 'G'), (20, 'M'), (10, 'K')];
    units
        .into_iter()
        .find(|(shift, _)| size.0 > 0 && size.0.is_multiple_of(1_u64 << shift))
        .map_or_else(
            || format!("{} B", size.0),
            |(shift, unit)| format!("{}{unit}", size.0 >> shift),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_print_short() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 K"),
            (16 * 1024 * 1024 * 1024, "16.0 G"),
            (100 * 1024 * 1024, "100 M"),
            (u64::MAX, "16384 P"),
        ];
        for (bytes, text) in cases {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }

    #[test]
    fn a_span_is_told_in_the_unit_it_was_meant_in() {
        let cases = [
            (0, "0 seconds"),
            (1, "1 second"),
            (60, "1 minute"),
            (90, "90 seconds"),
            (900, "15 minutes"),
        ];
        for (seconds, text) in cases {
            assert_eq!(Span(Duration::from_secs(seconds)).to_string(), text);
        }
    }

    #[test]
    fn a_share_of_nothing_is_unknown() {
        assert_eq!(Bytes(5).percent_of(Bytes(0)), None);
        assert_eq!(Bytes(5).percent_of(Bytes(10)), Some(Percent::new(50.0)));
    }

    #[test]
    fn a_figure_that_is_no_figure_is_zero() {
        assert!(Percent::new(f64::NAN).value().abs() < f64::EPSILON);
        assert!(Percent::new(-3.0).value().abs() < f64::EPSILON);
    }

    #[test]
    fn ages_change_unit_where_they_stay_readable() {
        let cases = [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7200, "2h"),
            (172_800, "2d"),
        ];
        for (seconds, text) in cases {
            assert_eq!(Age(Duration::from_secs(seconds)).to_string(), text);
        }
    }

    #[test]
    fn sizes_are_written_so_that_they_are_read_again() {
        for (text, mib) in [
            ("4G", 4096),
            ("1536M", 1536),
            ("2.5 GiB", 2560),
            ("1T", 1 << 20),
            ("2048k", 2),
        ] {
            let size = read_size(text).unwrap();
            assert_eq!(size, Bytes::from_mib(mib), "{text}");
            assert_eq!(read_size(&written_size(size)), Ok(size), "{text}");
        }
        for wrong in [
            "",
            "4",
            "G",
            "-1G",
            "1.G",
            "4GB",
            "99999999999999T",
            "1.5.5G",
            "٣G",
        ] {
            assert!(read_size(wrong).is_err(), "{wrong}");
        }
        assert_eq!(written_size(Bytes::from_kib(1025)), "1025K");
    }
}
