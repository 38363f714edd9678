//! The grammar of `x-timestamp`: exactly two forms, nothing else. Pure.
//!
//! Strict for a reason: the signature covers the body followed by the timestamp without anything
//! between them. If a timestamp could lose or gain characters at its front, characters could move from
//! the one to the other and the signature would still hold.

use jiff::Timestamp;

/// Seconds: ten digits, which covers 2001 to 2286.
const SECOND_DIGITS: usize = 10;

/// Milliseconds: thirteen digits, the same years.
const MILLI_DIGITS: usize = 13;

/// Reads Unix seconds (`1735732800`, `1735732800.25`) or ISO 8601 in UTC (`2025-01-01T12:00:00Z`, with
/// up to six digits of a second, `Z` or `+00:00`). Everything else is no timestamp.
pub fn parse(text: &str) -> Option<Timestamp> {
    // Not even looked at when it is longer than the longest of its kind.
    if text.len() > "2025-01-01T12:00:00.123456+00:00".len() || !text.is_ascii() {
        return None;
    }
    seconds(text).or_else(|| iso(text))
}

/// Reads Unix milliseconds: exactly thirteen digits.
pub fn parse_millis(text: &str) -> Option<Timestamp> {
    if text.len() != MILLI_DIGITS || !all_digits(text) || text.starts_with('0') {
        return None;
    }
    Timestamp::from_millisecond(text.parse().ok()?).ok()
}

fn seconds(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, micros(fraction)?),
        None => (text, 0),
    };
    if whole.len() != SECOND_DIGITS || !all_digits(whole) || whole.starts_with('0') {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    Timestamp::from_microsecond(whole.checked_mul(1_000_000)?.checked_add(fraction)?).ok()
}

fn iso(text: &str) -> Option<Timestamp> {
    let local = text
        .strip_suffix('Z')
        .or_else(|| text.strip_suffix("+00:00"))?;
    let (whole, fraction) = match local.split_once('.') {
        Some((whole, fraction)) => (whole, Some(micros(fraction)?)),
        None => (local, None),
    };
    let shape = "dddd-dd-ddTdd:dd:dd";
    let fits = whole.len() == shape.len()
        && whole
            .bytes()
            .zip(shape.bytes())
            .all(|(byte, wanted)| match wanted {
                b'd' => byte.is_ascii_digit(),
                mark => byte == mark,
            });
    if !fits {
        return None;
    }
    // What remains can be wrong only by value: a month 13, an hour 25. A leap second counts as the next.
    let whole: Timestamp = format!("{whole}Z").parse().ok()?;
    let micros = jiff::SignedDuration::from_micros(fraction.unwrap_or(0));
    whole.checked_add(micros).ok()
}

/// Reads one to six digits after the point as microseconds.
fn micros(fraction: &str) -> Option<i64> {
    if !(1..=6).contains(&fraction.len()) || !all_digits(fraction) {
        return None;
    }
    format!("{fraction:0<6}").parse().ok()
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_two_forms_are_read() {
        for (text, micros) in [
            ("1735732800", 1_735_732_800_000_000),
            ("1735732800.5", 1_735_732_800_500_000),
            ("1735732800.123456", 1_735_732_800_123_456),
            ("2025-01-01T12:00:00Z", 1_735_732_800_000_000),
            ("2025-01-01T12:00:00+00:00", 1_735_732_800_000_000),
            ("2025-01-01T12:00:00.25Z", 1_735_732_800_250_000),
            ("2025-01-01T12:00:00.123456+00:00", 1_735_732_800_123_456),
        ] {
            assert_eq!(
                parse(text).map(Timestamp::as_microsecond),
                Some(micros),
                "{text}"
            );
        }
        assert_eq!(
            parse_millis("1735732800123").map(Timestamp::as_millisecond),
            Some(1_735_732_800_123)
        );
    }

    #[test]
    fn nothing_else_is() {
        let long = "1".repeat(10_240);
        for text in [
            "",
            " ",
            "0",
            "NaN",
            "inf",
            "-1735732800",
            "+1735732800",
            "173573280",
            "17357328000",
            "1735732800.",
            "1735732800.1234567",
            "1735732800.1e3",
            "1.7357328e9",
            "0x6774f100aa",
            "1735732800 ",
            " 1735732800",
            "1735732800,5",
            "١٧٣٥٧٣٢٨٠٠",
            "2025-01-01",
            "2025-01-01T12:00:00",
            "2025-01-01 12:00:00Z",
            "2025-01-01t12:00:00z",
            "2025-01-01T12:00Z",
            "2025-01-01T12:00:00+01:00",
            "2025-01-01T12:00:00-00:00",
            "2025-01-01T12:00:00.Z",
            "2025-01-01T12:00:00.1234567Z",
            "2025-13-01T12:00:00Z",
            "2025-02-30T12:00:00Z",
            "2025-01-01T25:00:00Z",
            "+2025-01-01T12:00:00Z",
            "20250101T120000Z",
            "9999-99-99T99:99:99Z",
            long.as_str(),
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        for text in [
            "1735732800",
            "1735732800.123",
            "17357328001234",
            "-173573280012",
            "173573280012x",
        ] {
            assert_eq!(parse_millis(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_number_is_written_in_one_way() {
        assert_eq!(parse("0735732800"), None);
        assert_eq!(parse("0735732800.5"), None);
        assert_eq!(parse_millis("0735732800000"), None);
        assert!(parse("1000000000").is_some() && parse_millis("9999999999999").is_some());
    }

    #[test]
    fn the_last_year_there_is_reads_and_is_merely_late() {
        let far = parse("9999-12-30T12:00:00Z").unwrap();
        assert!(far > parse("2025-01-01T12:00:00Z").unwrap());
    }

    proptest! {
        /// The point of the grammar: of all ways to cut `body || timestamp` in two, one is a timestamp,
        /// unless the body itself ends in what makes another one.
        #[test]
        fn characters_cannot_move_between_body_and_timestamp(body in "\\{[a-z\":,]*\\}", seconds in 1_000_000_000u64..9_999_999_999, micros in proptest::option::of(0u32..1_000_000)) {
            let stamp = match micros {
                Some(micros) => format!("{seconds}.{micros:06}"),
                None => seconds.to_string(),
            };
            let joined = format!("{body}{stamp}");
            let cuts = (0..joined.len()).filter(|at| joined.get(*at..).and_then(parse).is_some()).count();
            prop_assert_eq!(cuts, 1);
        }

        #[test]
        fn no_input_makes_it_fall_over(text in "\\PC{0,60}|[0-9T:.Z+-]{0,40}") {
            let _read = parse(&text);
            let _read = parse_millis(&text);
        }
    }
}
