//! One part of a list: filtered rows are ordered, the wanted part is cut out, and where the next one
//! begins is written down.

use std::cmp::Ordering;

use serde::Deserialize;
use utoipa::IntoParams;

use super::cursor::Cursor;
use super::key::Key;
use crate::domain::error_kind::{ErrorKind, Failure};

/// Rows of a part when nobody says how many.
pub(in crate::serve) const USUAL_LIMIT: u32 = 100;

/// Most rows of a part.
pub(in crate::serve) const MAX_LIMIT: u32 = 1000;

/// What a list is asked.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::serve) struct ListQuery {
    /// Only rows that match. VMs and hosts: the filter grammar of the dashboard and of `--once`
    /// (`state:running host:kvm* cpu>80`); hosts are those that could have such a VM. Operations and
    /// audit: words, and `member:value|value` with `*`; `!` before a term turns it round.
    #[param(max_length = 1024)]
    pub(in crate::serve) filter: Option<String>,
    /// Member to order by; `-` before it turns the order round.
    #[param(max_length = 64)]
    pub(in crate::serve) sort: Option<String>,
    /// Members to send, separated by commas; all without it.
    #[param(max_length = 1024)]
    pub(in crate::serve) fields: Option<String>,
    /// Most rows to send; 100 without it.
    #[param(minimum = 1, maximum = 1000)]
    pub(in crate::serve) limit: Option<u32>,
    /// Where to go on: `next_cursor` of the part before.
    #[param(max_length = 1024)]
    pub(in crate::serve) cursor: Option<String>,
}

/// A member that a list can be ordered by.
pub(in crate::serve) struct Column<R> {
    /// Its name on the wire.
    pub(in crate::serve) id: &'static str,
    /// What a row has there.
    pub(in crate::serve) key: fn(&R) -> Key,
}

/// What is known about a kind of list.
pub(in crate::serve) struct Table<R> {
    /// Its name.
    pub(in crate::serve) name: &'static str,
    /// What it can be ordered by.
    pub(in crate::serve) columns: Vec<Column<R>>,
    /// What tells a row from all others.
    pub(in crate::serve) identity: fn(&R) -> String,
    /// Whether a row is that one.
    pub(in crate::serve) is: fn(&R, &str) -> bool,
}

/// A part of a list.
#[derive(Debug)]
pub(in crate::serve) struct Part<R> {
    /// The rows.
    pub(in crate::serve) rows: Vec<R>,
    /// How many the whole list has.
    pub(in crate::serve) total: usize,
    /// Where the next part begins.
    pub(in crate::serve) next: Option<String>,
}

impl ListQuery {
    /// Returns how many rows are wanted.
    pub(in crate::serve) fn rows(&self) -> Result<usize, Failure> {
        let limit = self.limit.unwrap_or(USUAL_LIMIT);
        if (1..=MAX_LIMIT).contains(&limit) {
            Ok(usize::try_from(limit).unwrap_or(usize::MAX))
        } else {
            let message = format!("`limit` is a number from 1 to {MAX_LIMIT}");
            Err(Failure::new(ErrorKind::Usage, message))
        }
    }

    /// Returns the members that are wanted, in their order; `None` for all.
    pub(in crate::serve) fn members(
        &self,
        known: impl FnOnce() -> Vec<String>,
    ) -> Result<Option<Vec<String>>, Failure> {
        let Some(text) = &self.fields else {
            return Ok(None);
        };
        let known = known();
        let mut chosen: Vec<String> = Vec::new();
        for name in text.split(',').map(str::trim) {
            let Some(member) = known.iter().find(|member| *member == name) else {
                let message = format!("`fields`: there is no member `{}`", shortened(name));
                let hint = format!("members are {}", known.join(", "));
                return Err(Failure::new(ErrorKind::Usage, message).with_hint(hint));
            };
            if !chosen.contains(member) {
                chosen.push(member.clone());
            }
        }
        Ok(Some(chosen))
    }
}

/// Quotes what a client sent, cut.
fn shortened(text: &str) -> String {
    crate::domain::text::RemoteText::new(text).fit(40)
}

struct Order<R> {
    key: fn(&R) -> Key,
    descending: bool,
}

fn order_of<R>(table: &Table<R>, sort: Option<&str>) -> Result<Option<Order<R>>, Failure> {
    let Some(sort) = sort else { return Ok(None) };
    let (name, descending) = match sort.strip_prefix('-') {
        Some(name) => (name, true),
        None => (sort, false),
    };
    let found = table.columns.iter().find(|column| column.id == name);
    found
        .map(|column| {
            Some(Order {
                key: column.key,
                descending,
            })
        })
        .ok_or_else(|| {
            let known: Vec<&str> = table.columns.iter().map(|column| column.id).collect();
            let message = format!("`sort`: `{}` is nothing to order by", shortened(name));
            let hint = format!("order by one of {}", known.join(", "));
            Failure::new(ErrorKind::Usage, message).with_hint(hint)
        })
}

/// A row with what it is ordered by, and its place among all.
type Keyed<R> = (Key, usize, R);

/// Compares what two rows are ordered by.
fn by_key<R>(order: Option<&Order<R>>, one: &Key, other: &Key) -> Ordering {
    order.map_or(Ordering::Equal, |order| one.order(other, order.descending))
}

/// Compares two rows; no two are equal.
fn by_place<R>(order: Option<&Order<R>>, one: &Keyed<R>, other: &Keyed<R>) -> Ordering {
    by_key(order, &one.0, &other.0).then(one.1.cmp(&other.1))
}

/// Returns how many rows come before those that follow a cursor.
fn begin<R>(
    table: &Table<R>,
    cursor: &Cursor,
    rows: &[Keyed<R>],
    order: Option<&Order<R>>,
) -> usize {
    if let Some(last) = rows.iter().find(|(_, _, row)| (table.is)(row, &cursor.row)) {
        let not_after = |row: &&Keyed<R>| by_place(order, row, last).is_le();
        return rows.iter().filter(not_after).count();
    }
    if order.is_none() {
        return cursor.place;
    }
    // Among its equals it was where it was.
    let how = |key: &Key| by_key(order, key, &cursor.key);
    let lowest = rows.iter().filter(|(key, _, _)| how(key).is_lt()).count();
    let highest = rows.iter().filter(|(key, _, _)| how(key).is_le()).count();
    cursor.place.clamp(lowest, highest)
}

/// Leaves the rows that have `start` others before them, in their order, and so many at the most.
fn cut<R>(
    mut rows: Vec<Keyed<R>>,
    start: usize,
    wanted: usize,
    order: Option<&Order<R>>,
) -> Vec<Keyed<R>> {
    let end = start.saturating_add(wanted);
    if start >= rows.len() {
        return Vec::new();
    }
    if end < rows.len() {
        rows.select_nth_unstable_by(end, |one, other| by_place(order, one, other));
        rows.truncate(end);
    }
    if start > 0 {
        rows.select_nth_unstable_by(start, |one, other| by_place(order, one, other));
        rows.drain(..start);
    }
    rows.sort_unstable_by(|one, other| by_place(order, one, other));
    rows
}

/// Cuts the wanted part out of the rows that match. Rows that are equal keep their order. Only the rows of
/// the part are put in order; of the others it is known on which side of it they are.
pub(in crate::serve) fn part<R>(
    table: &Table<R>,
    query: &ListQuery,
    rows: impl IntoIterator<Item = R>,
) -> Result<Part<R>, Failure> {
    let wanted = query.rows()?;
    let order = order_of(table, query.sort.as_deref())?;
    let list = Cursor::list_of(&[
        table.name,
        query.filter.as_deref().unwrap_or_default(),
        query.sort.as_deref().unwrap_or_default(),
    ]);
    let after = query
        .cursor
        .as_deref()
        .map(|text| Cursor::read(text, &list))
        .transpose()?;
    let mut rows = rows.into_iter().enumerate().map(|(place, row)| {
        let key = order.as_ref().map(|order| (order.key)(&row));
        (key.unwrap_or(Key::Unknown), place, row)
    });
    let (shown, start, total) = match (&order, &after) {
        (None, None) => {
            let shown: Vec<Keyed<R>> = rows.by_ref().take(wanted).collect();
            let total = shown.len() + rows.count();
            (shown, 0, total)
        }
        (order, after) => {
            let all: Vec<Keyed<R>> = rows.collect();
            let total = all.len();
            let start = after
                .as_ref()
                .map_or(0, |cursor| begin(table, cursor, &all, order.as_ref()));
            (cut(all, start, wanted, order.as_ref()), start, total)
        }
    };
    let more = total > start.saturating_add(wanted);
    let next = shown.last().filter(|_| more).map(|(key, _, row)| {
        let cursor = Cursor {
            list,
            row: (table.identity)(row),
            key: key.clone(),
            place: start + shown.len() - 1,
        };
        cursor.write()
    });
    Ok(Part {
        rows: shown.into_iter().map(|(_, _, row)| row).collect(),
        total,
        next,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers() -> Table<u32> {
        Table {
            name: "numbers",
            columns: vec![
                Column {
                    id: "tens",
                    key: |row| Key::whole(*row / 10),
                },
                Column {
                    id: "odd",
                    key: |row| Key::of(row.checked_rem(2).filter(|odd| *odd == 1), Key::whole),
                },
            ],
            identity: u32::to_string,
            is: |row, text| row.to_string() == text,
        }
    }

    fn query(sort: Option<&str>, limit: u32, cursor: Option<String>) -> ListQuery {
        ListQuery {
            sort: sort.map(str::to_owned),
            limit: Some(limit),
            cursor,
            ..ListQuery::default()
        }
    }

    fn walk(rows: &[u32], sort: Option<&str>, limit: u32) -> Vec<u32> {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let asked = query(sort, limit, cursor);
            let part = part(&numbers(), &asked, rows.to_vec()).unwrap();
            assert_eq!(part.total, rows.len());
            all.extend(part.rows);
            cursor = part.next;
            if cursor.is_none() {
                return all;
            }
        }
    }

    #[test]
    fn the_parts_together_are_the_list() {
        let rows: Vec<u32> = (0..57).rev().collect();
        for limit in [1, 2, 7, 56, 57, 1000] {
            assert_eq!(walk(&rows, None, limit), rows);
            let mut tens = rows.clone();
            tens.sort_by_key(|row| row / 10);
            assert_eq!(walk(&rows, Some("tens"), limit), tens);
            tens.sort_by_key(|row| std::cmp::Reverse(row / 10));
            assert_eq!(walk(&rows, Some("-tens"), limit), tens);
        }
        for sort in ["odd", "-odd"] {
            let sorted = walk(&rows, Some(sort), 5);
            assert!(sorted.iter().take(28).all(|row| row % 2 == 1), "{sort}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_parts_of_any_list_are_the_list(rows in proptest::collection::btree_set(0_u32..500, 0..60), limit in 1_u32..70, sort in 0_usize..5) {
            let rows: Vec<u32> = rows.into_iter().collect();
            let sort = [None, Some("tens"), Some("-tens"), Some("odd"), Some("-odd")][sort];
            let whole = walk(&rows, sort, MAX_LIMIT);
            proptest::prop_assert_eq!(walk(&rows, sort, limit), whole.clone());
            let mut sorted = whole;
            sorted.sort_unstable();
            proptest::prop_assert_eq!(sorted, rows);
        }
    }

    #[test]
    fn a_part_goes_on_though_its_last_row_is_gone() {
        let rows: Vec<u32> = (0..40).collect();
        for sort in [None, Some("tens")] {
            let first = part(&numbers(), &query(sort, 10, None), rows.clone()).unwrap();
            let left: Vec<u32> = rows.iter().copied().filter(|row| *row != 9).collect();
            let next = part(&numbers(), &query(sort, 10, first.next), left).unwrap();
            assert_eq!(next.rows.first().copied(), Some(10), "{sort:?}");
        }
    }

    #[test]
    fn bad_questions_are_refused_with_what_is_possible() {
        for bad in [0, 1001, u32::MAX] {
            assert!(part(&numbers(), &query(None, bad, None), vec![1]).is_err());
        }
        let failure = part(&numbers(), &query(Some("size"), 1, None), vec![1]).unwrap_err();
        assert!(failure.hint.unwrap().0.contains("tens, odd"));
        let known = || vec!["name".to_owned(), "id".to_owned()];
        let fields = |text: &str| {
            let query = ListQuery {
                fields: Some(text.to_owned()),
                ..ListQuery::default()
            };
            query.members(known)
        };
        assert_eq!(fields("id, name,id").unwrap().unwrap(), ["id", "name"]);
        assert!(fields("id,secret").is_err());
        assert!(fields("").is_err());
        let first = part(&numbers(), &query(None, 1, None), vec![1, 2]).unwrap();
        let other = query(Some("tens"), 1, first.next);
        assert!(part(&numbers(), &other, vec![1, 2]).is_err());
    }
}
