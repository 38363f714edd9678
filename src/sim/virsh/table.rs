//! Tables as `virsh` prints them: columns as wide as their widest cell, three blanks between them,
//! headings only where it is not quiet. Pure.

use unicode_width::UnicodeWidthStr;

use super::said::put_line;

/// Renders rows; `quiet` leaves the headings out.
pub(super) fn render(head: &[&str], rows: &[Vec<String>], quiet: bool) -> String {
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let heading: &[Vec<String>] = if quiet { &[] } else { &[head] };
    let all = || heading.iter().chain(rows);
    let columns = all().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            all()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.width())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for (number, row) in all().enumerate() {
        put_line!(&mut text, "{}", line(row, &widths));
        if number == 0 && !quiet {
            let across: usize = widths.iter().map(|width| width + 3).sum();
            put_line!(&mut text, "{}", "-".repeat(across));
        }
    }
    text
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut text = String::from(" ");
    for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
        text.push_str(cell);
        if column + 1 < row.len() {
            let blanks = width + 3 - cell.width().min(*width);
            text.push_str(&" ".repeat(blanks));
        }
    }
    text
}

/// Shows text as a table does: under a locale without UTF-8, bytes it cannot show become `\xff`.
pub(super) fn shown(text: &str, utf8: bool) -> String {
    if utf8 {
        return text.to_owned();
    }
    text.bytes()
        .map(|byte| {
            if byte.is_ascii() && !byte.is_ascii_control() {
                char::from(byte).to_string()
            } else if byte.is_ascii() {
                format!("\\x{byte:02x}")
            } else {
                "\\xff".to_owned()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_that_of_virsh() {
        let rows = [
            vec!["1".to_owned(), "g1".to_owned(), "running".to_owned()],
            vec!["-".to_owned(), "вм-é".to_owned(), "shut off".to_owned()],
        ];
        let rows = rows.map(|mut row| {
            row[1] = shown(&row[1], false);
            row
        });
        assert_eq!(
            render(&["Id", "Name", "State"], &rows, false),
            " Id   Name                        State\n\
             --------------------------------------------\n \
             1    g1                          running\n \
             -    \\xff\\xff\\xff\\xff-\\xff\\xff   shut off\n"
        );
        assert_eq!(
            render(&["Id", "Name", "State"], &rows[..1], true),
            " 1   g1   running\n"
        );
    }

    #[test]
    fn an_empty_table_has_a_heading_only() {
        assert_eq!(
            render(&["Name", "Creation Time", "State"], &[], false),
            " Name   Creation Time   State\n-------------------------------\n"
        );
        assert_eq!(render(&["Name"], &[], true), "");
    }
}
