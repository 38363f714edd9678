//! The graphics protocol of kitty (<https://sw.kovidgoyal.net/kitty/graphics-protocol/>): a PNG file in base64, in
//! pieces, scaled by the terminal to the cells it is given.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Placed;
use crate::domain::picture::Picture;

/// Most bytes of a piece, as the protocol has it.
const PIECE: usize = 4096;

/// Most pixels each way that are sent: more than a terminal's window has is only weight.
const WIDEST: (u32, u32) = (1920, 1200);

/// The number of our one picture; a new one under it takes the place of the old. Any number that nobody else uses.
const ID: &str = "860117";

/// Takes our picture away, its data too (`q=2`: the terminal does not answer).
pub(super) fn hide() -> Vec<u8> {
    format!("\x1b_Ga=d,d=I,i={ID},q=2\x1b\\").into_bytes()
}

pub(super) fn show(placed: &Placed) -> Vec<u8> {
    let Ok(file) = crate::png::encode(&narrowed(&placed.picture)) else {
        return Vec::new();
    };
    let text = STANDARD.encode(file);
    let mut out = Vec::with_capacity(text.len() + 256);
    // C=1: the cursor stays; z=1: above the cells.
    let mut head = format!(
        "a=T,f=100,i={ID},p=1,q=2,C=1,z=1,c={},r={},",
        placed.area.width, placed.area.height
    );
    let mut pieces = text.as_bytes().chunks(PIECE).peekable();
    while let Some(piece) = pieces.next() {
        let more = u8::from(pieces.peek().is_some());
        out.extend(format!("\x1b_G{head}m={more};").bytes());
        out.extend_from_slice(piece);
        out.extend(b"\x1b\\");
        head.clear();
    }
    out
}

fn narrowed(picture: &Picture) -> Picture {
    let (width, height) = picture.fit(WIDEST.0, WIDEST.1);
    if (width, height) == (picture.width(), picture.height()) {
        picture.clone()
    } else {
        picture.scaled(width, height)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ratatui::layout::Rect;

    use super::*;

    #[test]
    fn a_picture_is_sent_whole_in_pieces_that_a_terminal_takes() {
        // Noise, so that it does not pack into one piece.
        let mut seed = 1_u32;
        let pixels = (0..100 * 60 * 3).map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_be_bytes()[0]
        });
        let picture = Picture::new(100, 60, pixels.collect()).unwrap();
        let placed = Placed {
            area: Rect::new(3, 1, 40, 12),
            picture: Arc::new(picture.clone()),
        };
        let sent = String::from_utf8(show(&placed)).unwrap();
        let pieces: Vec<(&str, &str)> = sent
            .split_terminator("\x1b\\")
            .map(|piece| {
                piece
                    .strip_prefix("\x1b_G")
                    .unwrap()
                    .split_once(';')
                    .unwrap()
            })
            .collect();
        assert!(pieces.len() > 2);
        let (first, last) = (pieces[0].0, pieces[pieces.len() - 1].0);
        assert!(
            first.contains("c=40,r=12,") && first.ends_with("m=1"),
            "{first}"
        );
        assert_eq!(last, "m=0");
        assert!(pieces.iter().all(|(_, data)| data.len() <= PIECE));
        let text: String = pieces.iter().map(|(_, data)| *data).collect();
        let file = STANDARD.decode(text).unwrap();
        assert_eq!(file, crate::png::encode(&picture).unwrap());
    }

    #[test]
    fn a_picture_larger_than_any_window_is_made_smaller() {
        let picture = Picture::new(4000, 10, vec![7; 4000 * 10 * 3]).unwrap();
        assert_eq!(narrowed(&picture).width(), WIDEST.0);
    }
}
