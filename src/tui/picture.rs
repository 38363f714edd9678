//! A frame as an SVG picture, and several as one that moves, so that the pictures in the docs are made by the
//! program itself. Pure.

use std::collections::HashMap;
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
    let page = theme.page();
    let mut out = opening(buf.area.width, buf.area.height, page.0);
    for y in 0..buf.area.height {
        draw_line(&mut out, buf, y, line_top(y), page);
    }
    out.push_str("</svg>\n");
    out
}

/// A frame that is shown for a while, and what is told below it.
#[derive(Debug, Clone)]
pub struct Scene {
    /// What the terminal shows.
    pub frame: Buffer,
    /// What was pressed, and why, in one line.
    pub caption: String,
    /// How long it is shown, in tenths of a second.
    pub tenths: u32,
}

/// Renders scenes one after another, for ever, as one picture that moves. Lines that scenes have in common
/// are in it once. Where pictures do not move, the first scene is shown.
pub fn film(scenes: &[Scene], theme: &Theme) -> String {
    let page = theme.page();
    let width = scenes.iter().map(|scene| scene.frame.area.width).max();
    let height = scenes.iter().map(|scene| scene.frame.area.height).max();
    let (width, height) = (width.unwrap_or_default(), height.unwrap_or_default());
    let total: u32 = scenes.iter().map(|scene| scene.tenths).sum();
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut lines = String::new();
    let mut shown = String::new();
    let mut from = 0;
    for (at, scene) in scenes.iter().enumerate() {
        let until = from + scene.tenths;
        push(
            &mut shown,
            format_args!(
                "<g visibility=\"{}\">",
                if at == 0 { "visible" } else { "hidden" }
            ),
        );
        push_timing(&mut shown, (from, until), total);
        for y in 0..scene.frame.area.height {
            let mut line = String::new();
            draw_line(&mut line, &scene.frame, y, 0.0, page);
            if line.is_empty() {
                continue;
            }
            let next = known.len();
            let number = *known.entry(line.clone()).or_insert(next);
            if number == next {
                push(
                    &mut lines,
                    format_args!("<g id=\"l{number}\">\n{line}</g>\n"),
                );
            }
            push(
                &mut shown,
                format_args!("<use href=\"#l{number}\" y=\"{}\"/>", line_top(y)),
            );
        }
        let caption = Look {
            fg: hex(page.1, "#ffffff"),
            bg: None,
            bold: true,
            underlined: false,
            faint: false,
        };
        let columns = u16::try_from(scene.caption.width()).unwrap_or(width);
        shown.push('\n');
        draw_run(
            &mut shown,
            &scene.caption,
            (1, columns),
            line_top(height + 1),
            &caption,
        );
        shown.push_str("</g>\n");
        from = until;
    }
    let mut out = opening(width, height + 2, page.0);
    push(
        &mut out,
        format_args!("<defs>\n{lines}</defs>\n{shown}</svg>\n"),
    );
    out
}

/// When a scene is seen: discrete steps of one animation that all of them share.
fn push_timing(out: &mut String, (from, until): (u32, u32), total: u32) {
    let part = |tenths: u32| f64::from(tenths) / f64::from(total.max(1));
    let (mut values, mut times) = (String::new(), String::new());
    if from > 0 {
        values.push_str("hidden;");
        times.push_str("0;");
    }
    push(&mut values, format_args!("visible"));
    push(&mut times, format_args!("{:.4}", part(from)));
    if until < total {
        values.push_str(";hidden");
        push(&mut times, format_args!(";{:.4}", part(until)));
    }
    push(
        out,
        format_args!(
            "<animate attributeName=\"visibility\" calcMode=\"discrete\" values=\"{values}\" \
             keyTimes=\"{times}\" dur=\"{:.1}s\" repeatCount=\"indefinite\"/>",
            f64::from(total) / 10.0
        ),
    );
}

/// The head of a picture of so many cells, with its ground.
fn opening(columns: u16, lines: u16, background: Color) -> String {
    let width = f64::from(columns) * CELL + 2.0 * MARGIN;
    let height = f64::from(lines) * LINE + 2.0 * MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\" font-size=\"14\" \
         font-family=\"'DejaVu Sans Mono','Cascadia Mono',Menlo,Consolas,monospace\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{}\"/>\n",
        hex(background, "#000000"),
    )
}

/// Where a line begins.
fn line_top(y: u16) -> f64 {
    MARGIN + f64::from(y) * LINE
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

fn draw_line(out: &mut String, buf: &Buffer, y: u16, top: f64, page: (Color, Color)) {
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
        draw_run(out, &text, (start, x - start), top, &look);
    }
}

fn draw_run(out: &mut String, text: &str, (x, columns): (u16, u16), top: f64, look: &Look) {
    let left = MARGIN + f64::from(x) * CELL;
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

    #[test]
    fn a_film_shows_each_scene_once_and_holds_a_common_line_once() {
        let theme = Theme::built_in("dark", ColourDepth::Full).unwrap();
        let scene = |second: &str| {
            let mut frame = Buffer::empty(Rect::new(0, 0, 20, 2));
            frame.set_string(0, 0, "in common", Style::new());
            frame.set_string(0, 1, second, Style::new());
            Scene {
                frame,
                caption: format!("{second} <is> told"),
                tenths: 15,
            }
        };
        let picture = film(&[scene("one"), scene("two"), scene("three")], &theme);
        let parsed = roxmltree::Document::parse(&picture).unwrap();
        assert_eq!(picture.matches("in common").count(), 1);
        let times: Vec<_> = parsed
            .descendants()
            .filter(|node| node.has_tag_name("animate"))
            .map(|node| {
                (
                    node.attribute("values").unwrap(),
                    node.attribute("keyTimes").unwrap(),
                )
            })
            .collect();
        assert_eq!(
            times,
            [
                ("visible;hidden", "0.0000;0.3333"),
                ("hidden;visible;hidden", "0;0.3333;0.6667"),
                ("hidden;visible", "0;0.6667"),
            ]
        );
        assert_eq!(picture.matches("dur=\"4.5s\"").count(), 3);
    }
}
