//! Fuzz targets of what a list is asked: filters, order, cursors. See `crate::testing::fuzz`.

use super::cursor::Cursor;
use super::{Column, Key, ListQuery, Table, Terms, part};
use crate::testing::fuzz::invariant::{parts, told};

const MEMBERS: &[&str] = &["name", "host", "action"];

/// A filter over members.
pub(crate) fn terms(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Terms::parse(Some(&text), MEMBERS) {
        Ok(terms) => {
            terms.fit(MEMBERS, |member| member.repeat(8));
        }
        Err(failure) => told(&failure),
    }
}

fn table() -> Table<u32> {
    Table {
        name: "numbers",
        columns: vec![
            Column {
                id: "half",
                key: |row| Key::whole(row / 2),
            },
            Column {
                id: "word",
                key: |row| Key::of(row.checked_sub(5), |row| Key::text(&row.to_string())),
            },
        ],
        identity: ToString::to_string,
        is: |row, text| row.to_string() == text,
    }
}

/// A cursor, an order, a filter and members: rows come in parts of a list, or the question is refused.
pub(crate) fn lists(data: &[u8]) {
    let parts = parts(data);
    let of = |index: usize| {
        let part = parts.get(index);
        part.map(|part| String::from_utf8_lossy(part).into_owned())
    };
    let query = ListQuery {
        cursor: of(0),
        sort: of(1),
        filter: of(2),
        fields: of(3),
        limit: of(4).and_then(|text| text.parse().ok()),
    };
    let known = || MEMBERS.iter().map(|name| (*name).to_owned()).collect();
    if let Err(failure) = query.members(known) {
        told(&failure);
    }
    match part(&table(), &query, 0..20) {
        Ok(part) => {
            assert_eq!(part.total, 20);
            assert!(part.rows.len() <= 20);
            if let Some(next) = part.next {
                assert!(next.len() <= 1024);
                let further = ListQuery {
                    cursor: Some(next),
                    ..query
                };
                assert!(super::part(&table(), &further, 0..20).is_ok());
            }
        }
        Err(failure) => told(&failure),
    }
}

/// The inside of a cursor, as only we should write it.
pub(crate) fn cursors(data: &[u8]) {
    let Ok(cursor) = serde_json::from_slice::<Cursor>(data) else {
        return;
    };
    let list = cursor.list.clone();
    let written = cursor.write();
    if written.len() <= 1024 {
        assert!(Cursor::read(&written, &list).is_ok_and(|read| read == cursor));
        for sort in [None, Some("half"), Some("-word")] {
            let query = ListQuery {
                cursor: Some(of_list(&cursor, sort)),
                sort: sort.map(str::to_owned),
                ..ListQuery::default()
            };
            drop(part(&table(), &query, 0..20));
        }
    }
}

/// The same place in the list of numbers.
fn of_list(cursor: &Cursor, sort: Option<&str>) -> String {
    Cursor {
        list: Cursor::list_of(&["numbers", "", sort.unwrap_or_default()]),
        ..cursor.clone()
    }
    .write()
}
