//! One part of a list: filtered rows are ordered, the wanted part is cut out, and where the next one
//! begins is written down.

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
        known: &[String],
    ) -> Result<Option<Vec<String>>, Failure> {
        let Some(text) = &self.fields else {
            return Ok(None);
        };
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

/// Cuts the wanted part out of the rows that match. Rows that are equal keep their order.
pub(in crate::serve) fn part<R>(
    table: &Table<R>,
    query: &ListQuery,
    rows: Vec<R>,
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
    let total = rows.len();
    let key_of = |row: &R| {
        order
            .as_ref()
            .map_or(Key::Unknown, |order| (order.key)(row))
    };
    let descending = order.as_ref().is_some_and(|order| order.descending);
    let mut keyed: Vec<(Key, R)> = rows.into_iter().map(|row| (key_of(&row), row)).collect();
    if order.is_some() {
        keyed.sort_by(|(a, _), (b, _)| a.order(b, descending));
    }
    let start = after.map_or(0, |cursor| {
        let same = |(_, row): &(Key, R)| (table.is)(row, &cursor.row);
        match keyed.iter().position(same) {
            Some(at) => at + 1,
            // Among its equals it was where it was.
            None if order.is_some() => {
                let how = |key: &Key| key.order(&cursor.key, descending);
                let lowest = keyed.partition_point(|(key, _)| how(key).is_lt());
                let highest = keyed.partition_point(|(key, _)| how(key).is_le());
                cursor.place.clamp(lowest, highest)
            }
            None => cursor.place,
        }
    });
    let more = total > start.saturating_add(wanted);
    let shown: Vec<(Key, R)> = keyed.into_iter().skip(start).take(wanted).collect();
    let next = shown.last().filter(|_| more).map(|(key, row)| {
        let cursor = Cursor {
            list,
            row: (table.identity)(row),
            key: key.clone(),
            place: start + shown.len() - 1,
        };
        cursor.write()
    });
    Ok(Part {
        rows: shown.into_iter().map(|(_, row)| row).collect(),
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
        let known = ["name".to_owned(), "id".to_owned()];
        let fields = |text: &str| {
            let query = ListQuery {
                fields: Some(text.to_owned()),
                ..ListQuery::default()
            };
            query.members(&known)
        };
        assert_eq!(fields("id, name,id").unwrap().unwrap(), ["id", "name"]);
        assert!(fields("id,secret").is_err());
        assert!(fields("").is_err());
        let first = part(&numbers(), &query(None, 1, None), vec![1, 2]).unwrap();
        let other = query(Some("tens"), 1, first.next);
        assert!(part(&numbers(), &other, vec![1, 2]).is_err());
    }
}
