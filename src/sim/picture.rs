//! What is on the screen of a simulated VM, drawn from its seed: half of them show the text of a boot, half a
//! desktop, so that VMs can be told apart. Every key that is typed leaves a trace. Not a screen that
//! anybody could read.

use super::load::mix;
use crate::domain::picture::Picture;

/// Size of every simulated screen.
pub(super) const WIDTH: u32 = 640;
/// The same, from top to bottom.
pub(super) const HEIGHT: u32 = 400;

/// Size of a character of the text.
const CELL: (u32, u32) = (8, 16);

type Colour = [u8; 3];

const BLACK: Colour = [0, 0, 0];
const GREY: Colour = [170, 170, 170];
const GREEN: Colour = [85, 255, 85];
const WHITE: Colour = [255, 255, 255];

/// Draws the screen of the VM with this seed, into which so many keys were typed.
pub(super) fn screen(seed: u64, typed: u32) -> Picture {
    let mut canvas = Canvas::new();
    if seed.is_multiple_of(2) {
        boot(&mut canvas, seed, typed);
    } else {
        desktop(&mut canvas, seed, typed);
    }
    canvas.into_picture()
}

/// Lines of words, most of them about something that went well.
fn boot(canvas: &mut Canvas, seed: u64, typed: u32) {
    let lines = HEIGHT / CELL.1 - 1;
    for line in 0..lines {
        let mut column = 0;
        if !roll(seed, line, 5).is_multiple_of(4) {
            canvas.word((1, line), 6, GREEN);
            column = 8;
        }
        for word in 0..2 + roll(seed, line, 6) % 6 {
            let letters = 2 + roll(seed, line, 100 + word) % 9;
            canvas.word((column, line), letters, GREY);
            column += letters + 1;
        }
    }
    let prompt = 12;
    canvas.word((0, lines), prompt, WHITE);
    let room = WIDTH / CELL.0 - prompt - 2;
    let letters = typed.min(room);
    canvas.word((prompt + 1, lines), letters, WHITE);
    let cursor = (prompt + 1 + letters) * CELL.0;
    canvas.fill((cursor, lines * CELL.1 + 12), (CELL.0, 3), WHITE);
}

/// A background, two windows, a bar.
fn desktop(canvas: &mut Canvas, seed: u64, typed: u32) {
    let [red, green, blue, ..] = mix(seed, 7).to_le_bytes();
    for y in 0..HEIGHT {
        let light = |part: u8| u8::try_from(u32::from(part) * (HEIGHT - y / 2) / HEIGHT / 2);
        let colour = [red, green, blue].map(|part| light(part).unwrap_or(part));
        canvas.fill((0, y), (WIDTH, 1), colour);
    }
    for window in 0..2 {
        let at = (
            30 + roll(seed, window, 8) % 250,
            20 + roll(seed, window, 9) % 120,
        );
        canvas.fill(at, (300, 190), [240, 240, 240]);
        canvas.fill(at, (300, 20), [40, 70, 130]);
        for line in 0..8 {
            let long = 80 + roll(seed, line, 10 + window) % 190;
            canvas.fill((at.0 + 12, at.1 + 34 + line * 18), (long, 6), [90, 90, 90]);
        }
    }
    canvas.fill((0, HEIGHT - 28), (WIDTH, 28), [25, 25, 30]);
    canvas.fill((6, HEIGHT - 22), (16, 16), [80, 160, 255]);
    canvas.fill((40, HEIGHT - 20), (typed.min(70) * 8, 12), WHITE);
}

fn roll(seed: u64, line: u32, what: u32) -> u32 {
    let mixed = mix(seed, u64::from(line) << 32 | u64::from(what));
    u32::try_from(mixed >> 40).unwrap_or_default()
}

struct Canvas(Vec<u8>);

impl Canvas {
    fn new() -> Self {
        Self(vec![0; (WIDTH * HEIGHT) as usize * Picture::DEPTH])
    }

    fn fill(&mut self, (left, top): (u32, u32), (wide, high): (u32, u32), colour: Colour) {
        let line = WIDTH as usize * Picture::DEPTH;
        let from = left.min(WIDTH) as usize * Picture::DEPTH;
        let to = left.saturating_add(wide).min(WIDTH) as usize * Picture::DEPTH;
        let lines = self.0.chunks_exact_mut(line);
        for pixels in lines.skip(top as usize).take(high as usize) {
            for pixel in pixels
                .get_mut(from..to)
                .unwrap_or_default()
                .chunks_exact_mut(Picture::DEPTH)
            {
                pixel.copy_from_slice(&colour);
            }
        }
    }

    /// Draws something as wide as a word, with the gaps of letters in it.
    fn word(&mut self, (column, line): (u32, u32), letters: u32, colour: Colour) {
        for letter in column..column.saturating_add(letters) {
            let (x, y) = (letter * CELL.0, line * CELL.1);
            self.fill((x + 1, y + 4), (5, 9), colour);
            self.fill((x + 3, y + 6), (2, 3), BLACK);
        }
    }

    fn into_picture(self) -> Picture {
        Picture::new(WIDTH, HEIGHT, self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vms_can_be_told_apart_and_keys_leave_a_trace() {
        for seed in 0..6 {
            assert_eq!(screen(seed, 3), screen(seed, 3));
            assert_ne!(screen(seed, 3), screen(seed, 4));
            assert_ne!(screen(seed, 3), screen(seed + 6, 3));
        }
    }
}
