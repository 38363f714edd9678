//! A frame as an SVG picture, so that the pictures in the docs are made by the program itself. Pure.

use std::fmt::Write;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

use super::theme::Theme;

/// Width of a cell in the picture.
const CELL: f64 = 8.4;
/// Height of a line.
const LINE: f64 = 18.0;
/// Room around the frame.
const MARGIN: f64 = 12.0;

/// Renders a frame.
pub fn svg(buf: &Buffer, theme: &Theme) -> String {
    let (background, foreground) = theme.page();
    let width = f64::from(buf.area.width) * CELL + 2.0 * MARGIN;
    let height = f64::from(buf.area.height) * LINE + 2.0 * MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\" font-size=\"14\" \
         font-family=\"'DejaVu Sans Mono','Cascadia Mono',Menlo,Consolas,monospace\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{}\"/>\n",
        hex(background, "#000000"),
    );
    for y in 0..buf.area.height {
        draw_line(&mut out, buf, y, (background, foreground));
    }
    out.push_str("</svg>\n");
    out
}

/// How a run of cells looks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Look {
    fg: String,
    bg: Option<String>,
    bold: bool,
    underlined: bool,
    faint: bool,
}

impl Look {
    fn of(cell: &Cell, (background, foreground): (Color, Color)) -> Self {
        let page = hex(background, "#000000");
        let ink = hex(foreground, "#ffffff");
        let mut fg = hex(cell.fg, &ink);
        let mut bg = match cell.bg {
            Color::Reset => None,
            other => Some(hex(other, &page)),
        };
        if cell.modifier.contains(Modifier::REVERSED) {
            let swapped = bg.unwrap_or(page);
            bg = Some(std::mem::replace(&mut fg, swapped));
        }
        Self {
            fg,
            bg,
            bold: cell.modifier.contains(Modifier::BOLD),
            underlined: cell.modifier.contains(Modifier::UNDERLINED),
            faint: cell.modifier.contains(Modifier::DIM),
        }
    }
}

fn draw_line(out: &mut String, buf: &Buffer, y: u16, page: (Color, Color)) {
    let mut x = 0;
    while x < buf.area.width {
        let Some(first) = buf.cell((x, y)) else {
            return;
        };
        let look = Look::of(first, page);
        let start = x;
        let mut text = String::new();
        while let Some(cell) = buf.cell((x, y)) {
            if x >= buf.area.width || Look::of(cell, page) != look {
                break;
            }
            text.push_str(cell.symbol());
            // The cell behind a wide character is a blank that is not shown.
            x += u16::try_from(cell.symbol().width().max(1)).unwrap_or(1);
        }
        draw_run(out, &text, (start, x - start, y), &look);
    }
}

fn draw_run(out: &mut String, text: &str, (x, columns, y): (u16, u16, u16), look: &Look) {
    let left = MARGIN + f64::from(x) * CELL;
    let top = MARGIN + f64::from(y) * LINE;
    let width = f64::from(columns) * CELL;
    if let Some(bg) = &look.bg {
        push(
            out,
            format_args!(
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{LINE}\" fill=\"{bg}\"/>\n"
            ),
        );
    }
    if text.trim().is_empty() {
        return;
    }
    let mut style = String::new();
    for (on, text) in [
        (look.bold, " font-weight=\"bold\""),
        (look.underlined, " text-decoration=\"underline\""),
        (look.faint, " opacity=\"0.6\""),
    ] {
        if on {
            style.push_str(text);
        }
    }
    push(
        out,
        format_args!(
            "<text x=\"{left:.1}\" y=\"{:.1}\" fill=\"{}\"{style} textLength=\"{width:.1}\" \
             xml:space=\"preserve\">{}</text>\n",
            top + LINE * 0.74,
            look.fg,
            escape(text)
        ),
    );
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).unwrap_or_default();
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn hex(colour: Color, default: &str) -> String {
    match colour {
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
        Color::Black => "#1c2128".to_owned(),
        Color::Red => "#cf222e".to_owned(),
        Color::Green => "#3fb950".to_owned(),
        Color::Yellow => "#d29922".to_owned(),
        Color::Blue => "#388bfd".to_owned(),
        Color::Magenta => "#a371f7".to_owned(),
        Color::Cyan => "#39c5cf".to_owned(),
        Color::Gray => "#b1bac4".to_owned(),
        Color::DarkGray => "#6e7681".to_owned(),
        Color::LightRed => "#ff7b72".to_owned(),
        Color::White => "#f0f6fc".to_owned(),
        _ => default.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;
    use crate::tui::theme::ColourDepth;

    #[test]
    fn a_picture_is_well_formed_and_holds_the_text() {
        let theme = Theme::built_in("dark", ColourDepth::Full).unwrap();
        let mut buf = Buffer::empty(Rect::new(0, 0, 20, 2));
        buf.set_string(0, 0, "a<b>&日本", Style::new().fg(Color::Red));
        let picture = svg(&buf, &theme);
        let parsed = roxmltree::Document::parse(&picture).unwrap();
        let text: String = parsed
            .descendants()
            .filter(roxmltree::Node::is_text)
            .filter_map(|node| node.text())
            .collect();
        assert!(text.contains("a<b>&日本"), "{text}");
    }
}
