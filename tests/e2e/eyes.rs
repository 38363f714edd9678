//! What is seen in a part of the screen: in a dialog and not behind it, in one cell of a table.

use crate::support::pty::Pty;

/// Waits until a dialog that asks is there as a whole, and returns the screen: what is drawn last is how it is left.
pub(crate) fn asked(pty: &Pty, title: &str) -> String {
    pty.wait_for(&format!("the dialog {title:?}"), |screen| {
        dialog(screen, title).contains("cancel")
    })
}

/// Returns the text inside the frame with this title, line by line; nothing where there is no such frame.
pub(crate) fn dialog(screen: &str, title: &str) -> String {
    let lines: Vec<Vec<char>> = screen.lines().map(|line| line.chars().collect()).collect();
    let Some((top, left, right)) = frame(screen, title) else {
        return String::new();
    };
    let mut inside = String::new();
    for line in lines.iter().skip(top + 1) {
        if line.get(left) != Some(&'│') {
            break;
        }
        let within = line.get(left + 1..right).unwrap_or_default();
        let text: String = within.iter().collect();
        inside.push_str(text.trim());
        inside.push('\n');
    }
    inside
}

/// Returns the same as one line: what was broken into lines to fit is whole again.
pub(crate) fn sentence(screen: &str, title: &str) -> String {
    let inside = dialog(screen, title);
    inside.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the line of a dialog that begins with this word.
pub(crate) fn line_of<'a>(dialog: &'a str, word: &str) -> &'a str {
    let begins = |line: &&str| line.split_whitespace().next() == Some(word);
    dialog.lines().find(begins).unwrap_or_default()
}

/// Returns what stands in a column of a table whose figures end at its right edge, in the row that has this word.
pub(crate) fn figure(screen: &str, title: &str, row: &str) -> String {
    let mut lines = screen.lines();
    let heading = lines.find(|line| line.contains("NAME") && line.contains(title));
    let line = lines.find(|line| line.split_whitespace().any(|word| word == row));
    let (Some(heading), Some(line)) = (heading, line) else {
        return String::new();
    };
    let (before, _) = heading.split_once(title).expect("the title");
    let end = before.chars().count() + title.chars().count();
    let shown: Vec<char> = line.chars().take(end).collect();
    let mut figure: Vec<char> = shown
        .iter()
        .rev()
        .take_while(|c| !c.is_whitespace())
        .copied()
        .collect();
    figure.reverse();
    figure.into_iter().collect()
}

/// Where a frame with this title is: its first line, its left and its right edge, in characters.
fn frame(screen: &str, title: &str) -> Option<(usize, usize, usize)> {
    screen.lines().enumerate().find_map(|(top, line)| {
        let (before, behind) = line.split_once(title)?;
        let (outside, edge) = before.rsplit_once('╭')?;
        let (bar, _) = behind.split_once('╮')?;
        let left = outside.chars().count();
        let width = [edge, title, bar].map(|part| part.chars().count());
        Some((top, left, left + 1 + width.iter().sum::<usize>()))
    })
}
