//! Sixel graphics (DEC, "VT330/VT340 Programmer Reference Manual", volume 2, chapter 14): bands of six lines, one
//! pass a colour, in colours of a cube of 6 x 6 x 6.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use super::Placed;
use crate::domain::picture::Picture;

/// Steps of each part of a colour: 216 colours, where every terminal has 256.
const STEPS: u32 = 6;

/// Lines of a band.
const BAND: u32 = 6;

/// Returns the picture in as many pixels as its cells have.
pub(super) fn show(placed: &Placed, (cell_width, cell_height): (u16, u16)) -> Vec<u8> {
    let room = (
        u32::from(placed.area.width) * u32::from(cell_width),
        u32::from(placed.area.height) * u32::from(cell_height),
    );
    let (mut width, mut height) = placed.picture.fit(room.0, room.1);
    // A picture that is smaller than its cells grows by whole pixels, or the blank around it would be cut off.
    let times = (room.0 / width).min(room.1 / height).max(1);
    (width, height) = (width * times, height * times);
    encode(&placed.picture.scaled(width, height))
}

fn encode(picture: &Picture) -> Vec<u8> {
    let (width, height) = (picture.width(), picture.height());
    let mut out = Vec::new();
    // Second parameter 1: what no colour is said for stays as it is.
    put(&mut out, format_args!("\x1bP0;1;0q\"1;1;{width};{height}"));
    let mut known = BTreeSet::new();
    for top in (0..height).step_by(BAND as usize) {
        for (colour, columns) in band(picture, top) {
            if known.insert(colour) {
                define(&mut out, colour);
            }
            put(&mut out, format_args!("#{colour}"));
            put_columns(&mut out, &columns);
            out.push(b'$');
        }
        out.push(b'-');
    }
    out.extend(b"\x1b\\");
    out
}

/// The colours of a band, each with the bits of its lines in every column.
fn band(picture: &Picture, top: u32) -> BTreeMap<u32, Vec<u8>> {
    let mut colours: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    for line in 0..(picture.height() - top).min(BAND) {
        for x in 0..picture.width() {
            let columns = colours
                .entry(colour(picture.pixel(x, top + line)))
                .or_insert_with(|| vec![0; picture.width() as usize]);
            if let Some(bits) = columns.get_mut(x as usize) {
                *bits |= 1 << line;
            }
        }
    }
    colours
}

/// A sign for every column, equal ones in a row counted; nothing at the end of a line is not said.
fn put_columns(out: &mut Vec<u8>, columns: &[u8]) {
    let mut runs = columns.chunk_by(|a, b| a == b).peekable();
    while let Some(run) = runs.next() {
        let bits = run.first().copied().unwrap_or_default();
        if bits != 0 || runs.peek().is_some() {
            put_run(out, b'?' + bits, run.len());
        }
    }
}

fn put_run(out: &mut Vec<u8>, sign: u8, count: usize) {
    if count > 3 {
        put(out, format_args!("!{count}"));
        out.push(sign);
    } else {
        out.extend(std::iter::repeat_n(sign, count));
    }
}

/// The nearest colour of the cube.
fn colour([red, green, blue]: [u8; 3]) -> u32 {
    let step = |part: u8| (u32::from(part) * (STEPS - 1) + 127) / 255;
    (step(red) * STEPS + step(green)) * STEPS + step(blue)
}

/// Says what a colour is, in parts of a hundred.
fn define(out: &mut Vec<u8>, colour: u32) {
    let part = |step: u32| step % STEPS * 100 / (STEPS - 1);
    put(
        out,
        format_args!(
            "#{colour};2;{};{};{}",
            part(colour / STEPS / STEPS),
            part(colour / STEPS),
            part(colour)
        ),
    );
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // A vector takes everything.
    out.write_fmt(text).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a terminal would show: the colour of each pixel by its number in the cube, and what each number is.
    #[derive(Default)]
    struct Shown {
        pixels: BTreeMap<(u32, u32), u32>,
        colours: BTreeMap<u32, Vec<u32>>,
    }

    fn decoded(bytes: &[u8]) -> Shown {
        let text = std::str::from_utf8(bytes).unwrap();
        let body = text.strip_prefix("\x1bP0;1;0q").unwrap();
        let mut rest = body.strip_suffix("\x1b\\").unwrap().chars().peekable();
        let mut shown = Shown::default();
        let (mut x, mut top, mut now, mut repeat) = (0, 0, 0, 1);
        while let Some(sign) = rest.next() {
            let mut digits = String::new();
            while matches!(sign, '"' | '#' | '!')
                && let Some(c) = rest.next_if(|c| c.is_ascii_digit() || *c == ';')
            {
                digits.push(c);
            }
            let numbers = || {
                digits
                    .split(';')
                    .map(|n| n.parse().unwrap())
                    .collect::<Vec<u32>>()
            };
            match sign {
                '"' => {}
                '#' => {
                    let said = numbers();
                    now = said[0];
                    if said.len() > 1 {
                        shown.colours.insert(now, said[2..].to_vec());
                    }
                }
                '!' => repeat = numbers()[0],
                '$' => x = 0,
                '-' => (x, top) = (0, top + 6),
                sign => {
                    let bits = u32::from(sign) - 63;
                    for _ in 0..std::mem::replace(&mut repeat, 1) {
                        for line in (0..6).filter(|line| bits & (1 << line) != 0) {
                            shown.pixels.insert((x, top + line), now);
                        }
                        x += 1;
                    }
                }
            }
        }
        shown
    }

    #[test]
    fn what_a_terminal_reads_is_the_picture() {
        let (width, height) = (23, 15);
        let pixels = (0..width * height).flat_map(|n: u32| {
            let n = n.to_le_bytes()[0];
            [n, n.wrapping_mul(7), 255 - n]
        });
        let picture = Picture::new(width, height, pixels.collect()).unwrap();
        let shown = decoded(&encode(&picture));
        assert_eq!(shown.pixels.len(), 23 * 15);
        for (at, number) in shown.pixels {
            assert_eq!(number, colour(picture.pixel(at.0, at.1)), "{at:?}");
            assert_eq!(shown.colours[&number].len(), 3);
        }
    }

    #[test]
    fn black_and_white_are_what_they_are() {
        let picture = Picture::new(2, 1, vec![0, 0, 0, 255, 255, 255]).unwrap();
        let text = String::from_utf8(encode(&picture)).unwrap();
        assert!(
            text.contains("#0;2;0;0;0") && text.contains("#215;2;100;100;100"),
            "{text}"
        );
    }
}
