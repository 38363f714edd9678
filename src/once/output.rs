//! Rows in a format. Each format's own grammar is escaped here: what a spreadsheet would run as a
//! formula, what Markdown would read as markup, what a terminal would act on.

use unicode_width::UnicodeWidthStr;

use super::field::{Field, Record};
use crate::domain::text::fit_middle;

/// How data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated, with a header line.
    Csv,
    /// A Markdown table.
    Markdown,
}

impl Format {
    /// Returns true when errors are objects as well.
    pub const fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Ndjson)
    }

    /// Returns true when only the columns that people look at are written, unless others are named.
    const fn is_for_people(self) -> bool {
        matches!(self, Self::Table | Self::Markdown)
    }
}

/// Columns of the terminal that one column of a table may take; programs read the other formats.
const WIDEST: usize = 40;

/// What stands where a value is not known.
const UNKNOWN: &str = "–";

/// Writes rows in a format; `chosen` empty = the columns usual for it.
pub(super) fn rows<T>(
    format: Format,
    all: &[Field<T>],
    chosen: &[&Field<T>],
    rows: &[T],
) -> String {
    let usual: Vec<&Field<T>>;
    let fields = if chosen.is_empty() {
        usual = all
            .iter()
            .filter(|field| field.usual || !format.is_for_people())
            .collect();
        usual.as_slice()
    } else {
        chosen
    };
    match format {
        Format::Table => table(fields, rows),
        Format::Json => json(fields, rows),
        Format::Ndjson => rows.iter().map(|row| line(fields, row)).collect(),
        Format::Csv => csv(fields, rows),
        Format::Markdown => markdown(fields, rows),
    }
}

fn json<T>(fields: &[&Field<T>], rows: &[T]) -> String {
    let records: Vec<Record<'_, T>> = rows.iter().map(|row| Record { row, fields }).collect();
    let mut text = crate::json::to_pretty(&records).unwrap_or_default();
    text.push('\n');
    text
}

fn line<T>(fields: &[&Field<T>], row: &T) -> String {
    let mut text = crate::json::to_line(&Record { row, fields }).unwrap_or_default();
    text.push('\n');
    text
}

fn table<T>(fields: &[&Field<T>], rows: &[T]) -> String {
    let shown: Vec<Vec<String>> = rows
        .iter()
        .map(|row| narrowed(for_people(fields, row)))
        .collect();
    let mut widths: Vec<usize> = fields.iter().map(|field| field.title.width()).collect();
    for row in &shown {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = (*width).max(text.width());
        }
    }
    let titles: Vec<String> = fields.iter().map(|field| field.title.to_owned()).collect();
    let mut text = aligned(&titles, &widths);
    for row in &shown {
        text.push_str(&aligned(row, &widths));
    }
    text
}

/// Cuts cells that would push the others off the screen; the last column may be as long as it is.
fn narrowed(mut cells: Vec<String>) -> Vec<String> {
    if let Some((_, before)) = cells.split_last_mut() {
        for cell in before {
            *cell = fit_middle(cell, WIDEST);
        }
    }
    cells
}

fn for_people<T>(fields: &[&Field<T>], row: &T) -> Vec<String> {
    fields
        .iter()
        .map(|field| field.for_people(row).unwrap_or_else(|| UNKNOWN.to_owned()))
        .collect()
}

fn aligned(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        line.push_str(cell);
        line.extend(std::iter::repeat_n(
            ' ',
            width.saturating_sub(cell.width()) + 2,
        ));
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

fn csv<T>(fields: &[&Field<T>], rows: &[T]) -> String {
    let header: Vec<String> = fields.iter().map(|field| field.id.to_owned()).collect();
    let mut text = header.join(",");
    text.push_str("\r\n");
    for row in rows {
        let cells: Vec<String> = fields
            .iter()
            .map(|field| csv_cell(&(field.cell)(row).plain()))
            .collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

/// Quotes a cell where RFC 4180 asks for it, and puts `'` before what a spreadsheet would run.
pub(super) fn csv_cell(text: &str) -> String {
    let harmless = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if harmless.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", harmless.replace('"', "\"\""))
    } else {
        harmless
    }
}

fn markdown<T>(fields: &[&Field<T>], rows: &[T]) -> String {
    let row_of = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let titles: Vec<String> = fields.iter().map(|field| field.title.to_owned()).collect();
    let rules: Vec<String> = fields.iter().map(|_| "---".to_owned()).collect();
    let mut text = row_of(&titles);
    text.push_str(&row_of(&rules));
    for row in rows {
        let cells: Vec<String> = for_people(fields, row)
            .iter()
            .map(|cell| markdown_cell(cell))
            .collect();
        text.push_str(&row_of(&cells));
    }
    text
}

/// Escapes what Markdown would read as markup.
pub(super) fn markdown_cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '\\' | '`' | '*' | '[' | ']' | '<' | '>' => cell.extend(['\\', c]),
            _ => cell.push(c),
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::super::cell::Cell;
    use super::*;

    struct Pair(&'static str, Option<u64>);

    const FIELDS: [Field<Pair>; 2] = [
        Field {
            id: "name",
            aliases: &[],
            title: "NAME",
            about: "",
            usual: true,
            cell: |pair| Cell::Remote(pair.0.into()),
            shown: None,
        },
        Field {
            id: "count",
            aliases: &["n"],
            title: "N",
            about: "",
            usual: true,
            cell: |pair| Cell::of(pair.1, Cell::Count),
            shown: None,
        },
    ];

    fn written(format: Format) -> String {
        let pairs = [
            Pair("=cmd|' /C calc'!A0", Some(3)),
            Pair("日本", None),
            Pair("a\u{1b}[31m\u{9b}2J\u{202e}", Some(1)),
        ];
        rows(format, &FIELDS, &[], &pairs)
    }

    #[test]
    fn no_format_lets_a_terminal_act() {
        for format in [
            Format::Table,
            Format::Json,
            Format::Ndjson,
            Format::Csv,
            Format::Markdown,
        ] {
            let text = written(format);
            let hostile = |c: char| crate::domain::text::is_hostile(c) && c != '\n' && c != '\r';
            assert!(!text.chars().any(hostile), "{text:?}");
        }
    }

    #[test]
    fn a_table_is_aligned_by_columns_of_the_terminal() {
        let text = written(Format::Table);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "NAME                N");
        assert_eq!(lines[1], "=cmd|' /C calc'!A0  3");
        assert_eq!(lines[2], "日本                –");
    }

    #[test]
    fn a_long_name_does_not_push_the_others_away() {
        let long = "a-name-".repeat(30).leak();
        let pairs = [Pair(long, Some(1))];
        let text = rows(Format::Table, &FIELDS, &[], &pairs);
        assert!(text.lines().all(|line| line.width() <= 43), "{text}");
        assert!(rows(Format::Csv, &FIELDS, &[], &pairs).contains(&*long));
    }

    #[test]
    fn a_spreadsheet_runs_nothing() {
        let text = written(Format::Csv);
        assert!(text.contains("\r\n'=cmd|' /C calc'!A0,3\r\n"), "{text}");
        assert!(text.contains("\r\n日本,\r\n"), "{text}");
        assert_eq!(csv_cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(csv_cell("-1"), "'-1");
    }

    #[test]
    fn markdown_stays_a_table() {
        let text = written(Format::Markdown);
        assert!(text.contains("| =cmd\\|' /C calc'!A0 | 3 |"), "{text}");
    }

    #[test]
    fn json_keeps_the_raw_name_and_null() {
        let text = written(Format::Json);
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read[1]["count"], serde_json::Value::Null);
        assert_eq!(read[2]["name"], "a\u{1b}[31m\u{9b}2J\u{202e}");
    }
}
