//! Dates and spans from text and by format strings.

use jiff::civil;

use super::text::{general_date, offset_text, round_trip};
use super::time::{DateTime, Kind, TICKS, TimeSpan};

/// English names of months.
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Reads a date: ISO 8601 with or without a zone (which makes it local), or `month/day/year`.
pub(super) fn parse(text: &str, offset: i32) -> Option<DateTime> {
    let text = text.trim();
    let (date, time) = text
        .split_once(['T', ' '])
        .map_or((text, ""), |(date, time)| (date, time.trim()));
    let date = parse_date(date)?;
    let (time, zone) = split_zone(time);
    let (time, fraction) = parse_time(time)?;
    let at = DateTime::from_civil(date.to_datetime(time), Kind::Unspecified);
    let at = DateTime {
        ticks: at.ticks.saturating_add(fraction),
        ..at
    };
    Some(match zone {
        None => at,
        // A text with a zone becomes local time, as DateTime.Parse does it.
        Some(seconds) => DateTime {
            ticks: at.ticks.saturating_sub(i64::from(seconds) * TICKS),
            kind: Kind::Utc,
        }
        .to_local(offset),
    })
}

fn parse_date(text: &str) -> Option<civil::Date> {
    if let Some((year, rest)) = text.split_once('-') {
        let (month, day) = rest.split_once('-')?;
        return civil::Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok();
    }
    let (month, rest) = text.split_once('/')?;
    let (day, year) = rest.split_once('/')?;
    civil::Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

fn split_zone(text: &str) -> (&str, Option<i32>) {
    if let Some(time) = text.strip_suffix(['Z', 'z']) {
        return (time, Some(0));
    }
    if let Some(place) = text.rfind(['+', '-'])
        && let Some((time, zone)) = text.split_at_checked(place)
        && let Some((hours, minutes)) = zone.get(1..).and_then(|zone| zone.split_once(':'))
        && let (Ok(hours), Ok(minutes)) = (hours.parse::<i32>(), minutes.parse::<i32>())
    {
        let seconds = hours * 3600 + minutes * 60;
        return (
            time,
            Some(if zone.starts_with('-') {
                -seconds
            } else {
                seconds
            }),
        );
    }
    (text, None)
}

fn parse_time(text: &str) -> Option<(civil::Time, i64)> {
    if text.is_empty() {
        return Some((civil::Time::midnight(), 0));
    }
    let (clock, half) = match text.rsplit_once(' ') {
        Some((clock, half)) => (clock, half.to_ascii_uppercase()),
        None => (text, String::new()),
    };
    let mut parts = clock.split(':');
    let mut hour: i8 = parts.next()?.parse().ok()?;
    let minute = parts.next()?.parse().ok()?;
    let (second, fraction) = match parts.next() {
        None => (0, 0),
        Some(second) => {
            let (whole, fraction) = second.split_once('.').unwrap_or((second, ""));
            let digits: String = format!("{fraction:0<7}").chars().take(7).collect();
            (whole.parse().ok()?, digits.parse().ok()?)
        }
    };
    match half.as_str() {
        "" => {}
        "AM" => hour %= 12,
        "PM" => hour = hour % 12 + 12,
        _ => return None,
    }
    Some((civil::Time::new(hour, minute, second, 0).ok()?, fraction))
}

/// Reads a span: `[-][d.]hh:mm[:ss[.fffffff]]` or a number of days.
pub(super) fn parse_span(text: &str) -> Option<TimeSpan> {
    let text = text.trim();
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let mut ticks: i64 = 0;
    if !text.contains(':') {
        ticks = text.parse::<i64>().ok()?.checked_mul(86_400 * TICKS)?;
        return Some(TimeSpan {
            ticks: sign * ticks,
        });
    }
    let (days, clock) = match text.split_once('.') {
        Some((days, clock)) if !days.contains(':') => (days.parse::<i64>().ok()?, clock),
        _ => (0, text),
    };
    let (time, fraction) = parse_time(clock)?;
    let seconds =
        i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    ticks = ticks
        .checked_add(days.checked_mul(86_400 * TICKS)?)?
        .checked_add(seconds * TICKS + fraction)?;
    Some(TimeSpan {
        ticks: sign * ticks,
    })
}

/// Writes a date by a format string: the standard ones `o s u G`, or a pattern.
pub(super) fn format(at: DateTime, pattern: &str, german: bool) -> String {
    let civil = at.civil();
    match pattern {
        "o" | "O" => return round_trip(at),
        "s" => return format(at, "yyyy-MM-ddTHH:mm:ss", german),
        "u" => return format(at, "yyyy-MM-dd HH:mm:ssZ", german),
        "" | "G" => return general_date(at, german),
        "d" if german => return format(at, "dd.MM.yyyy", german),
        "d" => return format(at, "M/d/yyyy", german),
        _ => {}
    }
    let mut written = String::new();
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '\'' || c == '"' {
            while let Some(inner) = rest.next_if(|inner| *inner != c) {
                written.push(inner);
            }
            rest.next();
            continue;
        }
        if c == '\\' {
            written.extend(rest.next());
            continue;
        }
        let mut count = 1_usize;
        while rest.next_if_eq(&c).is_some() {
            count += 1;
        }
        match c {
            'y' if count <= 2 => written.push_str(&padded(i64::from(civil.year()) % 100, count)),
            'y' => written.push_str(&padded(i64::from(civil.year()), count)),
            'M' if count >= 3 => {
                let place = usize::try_from(civil.month() - 1).unwrap_or(0);
                let name = MONTHS.get(place).copied().unwrap_or_default();
                written.extend(name.chars().take(if count == 3 { 3 } else { 20 }));
            }
            'M' => written.push_str(&padded(i64::from(civil.month()), count)),
            'd' => written.push_str(&padded(i64::from(civil.day()), count)),
            'H' => written.push_str(&padded(i64::from(civil.hour()), count)),
            'h' => written.push_str(&padded((i64::from(civil.hour()) + 11) % 12 + 1, count)),
            'm' => written.push_str(&padded(i64::from(civil.minute()), count)),
            's' => written.push_str(&padded(i64::from(civil.second()), count)),
            'f' => {
                let digits = format!("{:07}", at.fraction());
                written.extend(digits.chars().take(count));
            }
            't' => {
                let half = if civil.hour() < 12 { "AM" } else { "PM" };
                written.extend(half.chars().take(count));
            }
            'z' | 'K' => match at.kind {
                Kind::Local(offset) => written.push_str(&offset_text(offset)),
                Kind::Utc if c == 'K' => written.push('Z'),
                Kind::Unspecified if c == 'K' => {}
                _ => written.push_str("+00:00"),
            },
            other => written.extend(std::iter::repeat_n(other, count)),
        }
    }
    written
}

fn padded(number: i64, width: usize) -> String {
    format!("{number:0width$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_written() {
        for (text, offset, written) in [
            ("2026-03-04T05:06:07", 0, "2026-03-04T05:06:07.0000000"),
            (
                "2026-03-04T05:06:07.25Z",
                7200,
                "2026-03-04T07:06:07.2500000+02:00",
            ),
            ("2026-03-04", 0, "2026-03-04T00:00:00.0000000"),
            ("3/4/2026 5:06:07 PM", 0, "2026-03-04T17:06:07.0000000"),
            (
                "2026-03-04T05:06:07+01:00",
                0,
                "2026-03-04T04:06:07.0000000+00:00",
            ),
        ] {
            assert_eq!(round_trip(parse(text, offset).unwrap()), written, "{text}");
        }
        assert!(parse("soon", 0).is_none());
        let at = parse("2026-03-04T05:06:07.25", 0).unwrap();
        assert_eq!(
            format(at, "yyyyMMdd'T'HHmmss.fff d MMM yy", false),
            "20260304T050607.250 4 Mar 26"
        );
        assert_eq!(format(at, "G", true), "04.03.2026 05:06:07");
    }

    #[test]
    fn spans_are_read() {
        for (text, written) in [
            ("01:02:03", "01:02:03"),
            ("1.02:03:04.5", "1.02:03:04.5000000"),
            ("2", "2.00:00:00"),
            ("-00:01:00", "-00:01:00"),
        ] {
            assert_eq!(parse_span(text).unwrap().to_string(), written);
        }
    }
}
