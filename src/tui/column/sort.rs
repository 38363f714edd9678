//! How rows compare: numbers in names count as numbers, and what nobody knows comes last.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::domain::units::Bytes;

/// What rows are ordered by. Unknown comes last in either direction.
#[derive(Debug, Clone, PartialEq)]
pub enum SortKey<'a> {
    /// A figure.
    Number(f64),
    /// A text; case does not count, and digits in it count as numbers. It is in lower case unless it is ASCII, so that
    /// the usual name costs no copy.
    Text(Cow<'a, str>),
    /// Nobody knows.
    Unknown,
}

impl SortKey<'_> {
    /// Compares two keys in a direction.
    pub fn compare(&self, other: &SortKey<'_>, descending: bool) -> Ordering {
        let turn = |order: Ordering| if descending { order.reverse() } else { order };
        match (self, other) {
            (Self::Number(a), SortKey::Number(b)) => turn(a.total_cmp(b)),
            (Self::Text(a), SortKey::Text(b)) => turn(natural(a, b)),
            (Self::Unknown, SortKey::Unknown) => Ordering::Equal,
            (Self::Unknown, _) | (Self::Text(_), SortKey::Number(_)) => Ordering::Greater,
            (_, SortKey::Unknown) | (Self::Number(_), SortKey::Text(_)) => Ordering::Less,
        }
    }
}

/// Compares texts so that `web-2` comes before `web-10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        match (a.first(), b.first()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (left, rest_a) = digits(a);
                let (right, rest_b) = digits(b);
                let order = left.len().cmp(&right.len()).then_with(|| left.cmp(right));
                if order != Ordering::Equal {
                    return order;
                }
                (a, b) = (rest_a, rest_b);
            }
            (Some(x), Some(y)) => {
                let order = x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase());
                if order != Ordering::Equal {
                    return order;
                }
                a = a.get(1..).unwrap_or_default();
                b = b.get(1..).unwrap_or_default();
            }
        }
    }
}

/// Splits off leading digits, without their zeros.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    let zeros = number.iter().take_while(|byte| **byte == b'0').count();
    (number.get(zeros..).unwrap_or_default(), rest)
}

pub(in crate::tui) fn number(value: Option<f64>) -> SortKey<'static> {
    value.map_or(SortKey::Unknown, SortKey::Number)
}

pub(in crate::tui) fn bytes_key(value: Option<Bytes>) -> SortKey<'static> {
    number(value.map(Bytes::as_f64))
}

pub(super) fn sum_key(a: Option<Bytes>, b: Option<Bytes>) -> SortKey<'static> {
    match (a, b) {
        (None, None) => SortKey::Unknown,
        (a, b) => SortKey::Number(a.unwrap_or_default().as_f64() + b.unwrap_or_default().as_f64()),
    }
}

pub(in crate::tui) fn text_key<'a>(text: Option<impl Into<Cow<'a, str>>>) -> SortKey<'a> {
    text.map_or(SortKey::Unknown, |text| {
        let text = text.into();
        SortKey::Text(if text.is_ascii() {
            text
        } else {
            text.to_lowercase().into()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names = [
            "web-10", "web-2", "web-02b", "Web-1", "web", "Ärger", "ähnlich",
        ]
        .map(|name| text_key(Some(name)));
        names.sort_by(|a, b| a.compare(b, false));
        let order = names.map(|key| match key {
            SortKey::Text(text) => text.into_owned(),
            other => panic!("{other:?}"),
        });
        assert_eq!(
            order,
            [
                "web", "Web-1", "web-2", "web-02b", "web-10", "ähnlich", "ärger"
            ]
        );
    }

    #[test]
    fn unknown_comes_last_in_both_directions() {
        for descending in [false, true] {
            let known = SortKey::Number(1.0);
            assert_eq!(known.compare(&SortKey::Unknown, descending), Ordering::Less);
        }
    }
}
