//! PNG as screens are sent in: 8 bits a sample, not interlaced (W3C, "Portable Network Graphics", third
//! edition; sections 5, 9 and 11).

use std::io::Read;

use flate2::Crc;
use flate2::read::ZlibDecoder;

use super::{PictureError, pixels};
use crate::domain::picture::Picture;

/// How it begins.
pub(super) const MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Head and tail of a chunk: length, type, check sum.
const FRAME: usize = 12;

/// What the head says.
#[derive(Debug, Clone, Copy)]
struct Head {
    width: u32,
    height: u32,
    colour: Colour,
}

/// What the samples of a pixel are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    Grey,
    Rgb,
    Palette,
    GreyAlpha,
    RgbAlpha,
}

impl Colour {
    const fn samples(self) -> usize {
        match self {
            Self::Grey | Self::Palette => 1,
            Self::GreyAlpha => 2,
            Self::Rgb => 3,
            Self::RgbAlpha => 4,
        }
    }
}

/// Decodes one.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture, PictureError> {
    let mut rest = bytes.get(MAGIC.len()..).unwrap_or_default();
    let (kind, body) = chunk(&mut rest)?;
    if kind != *b"IHDR" {
        return Err(PictureError::Damaged("it has no head"));
    }
    let head = head(body)?;
    let count = pixels(head.width, head.height)?;
    let mut packed: Vec<u8> = Vec::new();
    let mut palette: &[u8] = &[];
    loop {
        let (kind, body) = chunk(&mut rest)?;
        match &kind {
            b"IDAT" => packed.extend_from_slice(body),
            b"PLTE" => palette = body,
            b"IEND" => break,
            _ => {}
        }
    }
    let line = head.width as usize * head.colour.samples();
    let raw = inflate(&packed, (line + 1) * head.height as usize)?;
    let mut rgb = Vec::with_capacity(count * Picture::DEPTH);
    let mut above = vec![0; line];
    for filtered in raw.chunks_exact(line + 1) {
        let current = unfilter(filtered, &above, head.colour.samples())?;
        colours(&current, head.colour, palette, &mut rgb);
        above = current;
    }
    Picture::new(head.width, head.height, rgb).ok_or(PictureError::Damaged("its lines"))
}

/// Takes the next chunk, its check sum verified.
fn chunk<'a>(rest: &mut &'a [u8]) -> Result<([u8; 4], &'a [u8]), PictureError> {
    let word = |at: usize| -> Option<[u8; 4]> { rest.get(at..at + 4)?.try_into().ok() };
    let length = word(0).map(u32::from_be_bytes);
    let length = length.ok_or(PictureError::CutOff)? as usize;
    let kind = word(4).ok_or(PictureError::CutOff)?;
    let end = length
        .checked_add(FRAME)
        .filter(|end| *end <= rest.len())
        .ok_or(PictureError::CutOff)?;
    let said = word(end - 4).map(u32::from_be_bytes);
    let (whole, after) = rest.split_at(end);
    let mut sum = Crc::new();
    sum.update(whole.get(4..end - 4).unwrap_or_default());
    if said != Some(sum.sum()) {
        return Err(PictureError::Damaged("a check sum"));
    }
    *rest = after;
    Ok((kind, whole.get(8..end - 4).unwrap_or_default()))
}

fn head(body: &[u8]) -> Result<Head, PictureError> {
    let damaged = PictureError::Damaged("its head");
    let Some((width, rest)) = body.split_first_chunk::<4>() else {
        return Err(damaged);
    };
    let Some((height, rest)) = rest.split_first_chunk::<4>() else {
        return Err(damaged);
    };
    // Compression and filter method 0: there is no other.
    let &[bits, colour, 0, 0, interlace] = rest else {
        return Err(damaged);
    };
    let colour = match (bits, colour, interlace) {
        (_, _, 1) => return Err(PictureError::Unsupported("interlaced")),
        (8, 0, _) => Colour::Grey,
        (8, 2, _) => Colour::Rgb,
        (8, 3, _) => Colour::Palette,
        (8, 4, _) => Colour::GreyAlpha,
        (8, 6, _) => Colour::RgbAlpha,
        _ => return Err(PictureError::Unsupported("other than 8 bits a sample")),
    };
    Ok(Head {
        width: u32::from_be_bytes(*width),
        height: u32::from_be_bytes(*height),
        colour,
    })
}

/// Inflates exactly as much as the picture has.
fn inflate(packed: &[u8], wanted: usize) -> Result<Vec<u8>, PictureError> {
    let mut raw = Vec::with_capacity(wanted);
    let limit = u64::try_from(wanted).unwrap_or(u64::MAX);
    let read = ZlibDecoder::new(packed).take(limit).read_to_end(&mut raw);
    match read {
        Ok(count) if count == wanted => Ok(raw),
        Ok(_) => Err(PictureError::CutOff),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(PictureError::CutOff)
        }
        Err(_) => Err(PictureError::Damaged("what is packed in it")),
    }
}

/// Undoes the filter of a line; `step` is the distance to the pixel on the left.
fn unfilter(filtered: &[u8], above: &[u8], step: usize) -> Result<Vec<u8>, PictureError> {
    let Some((filter, bytes)) = filtered.split_first() else {
        return Err(PictureError::CutOff);
    };
    let mut line: Vec<u8> = Vec::with_capacity(bytes.len());
    for (at, (byte, up)) in bytes.iter().zip(above).enumerate() {
        let before = |values: &[u8]| {
            at.checked_sub(step)
                .and_then(|left| values.get(left).copied())
                .unwrap_or(0)
        };
        let left = before(&line);
        let predicted = match filter {
            0 => 0,
            1 => left,
            2 => *up,
            3 => left.midpoint(*up),
            4 => paeth(left, *up, before(above)),
            _ => return Err(PictureError::Damaged("a line's filter")),
        };
        line.push(byte.wrapping_add(predicted));
    }
    Ok(line)
}

/// The neighbour that is nearest to left + above - corner (section 9.4).
fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let estimate = i16::from(left) + i16::from(up) - i16::from(corner);
    let far = |value: u8| estimate.abs_diff(i16::from(value));
    if far(left) <= far(up) && far(left) <= far(corner) {
        left
    } else if far(up) <= far(corner) {
        up
    } else {
        corner
    }
}

/// Adds a line's pixels; what is transparent is shown as if it were not.
fn colours(line: &[u8], colour: Colour, palette: &[u8], rgb: &mut Vec<u8>) {
    for pixel in line.chunks_exact(colour.samples()) {
        match (colour, pixel) {
            (Colour::Grey, &[grey]) | (Colour::GreyAlpha, &[grey, _]) => rgb.extend([grey; 3]),
            (Colour::Palette, &[index]) => {
                let at = usize::from(index) * Picture::DEPTH;
                let known = palette.get(at..at + Picture::DEPTH);
                rgb.extend_from_slice(known.unwrap_or(&[0; 3]));
            }
            (_, &[r, g, b, ..]) => rgb.extend([r, g, b]),
            _ => rgb.extend([0; 3]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    fn chunk_of(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        let mut sum = Crc::new();
        sum.update(&kind);
        sum.update(body);
        bytes.extend(kind);
        bytes.extend(body);
        bytes.extend(sum.sum().to_be_bytes());
        bytes
    }

    /// A picture of this size and kind whose filtered lines are these.
    fn png(width: u32, height: u32, colour: u8, lines: &[u8]) -> Vec<u8> {
        let mut head = width.to_be_bytes().to_vec();
        head.extend(height.to_be_bytes());
        head.extend([8, colour, 0, 0, 0]);
        let mut packer = ZlibEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(lines).unwrap();
        let mut bytes = MAGIC.to_vec();
        bytes.extend(chunk_of(*b"IHDR", &head));
        bytes.extend(chunk_of(*b"PLTE", &[9, 9, 9, 1, 2, 3]));
        bytes.extend(chunk_of(*b"IDAT", &packer.finish().unwrap()));
        bytes.extend(chunk_of(*b"IEND", &[]));
        bytes
    }

    #[test]
    fn every_filter_is_undone() {
        let lines = [
            [0, 10, 20, 30, 40, 50, 60],
            [1, 1, 1, 1, 1, 1, 1],
            [2, 1, 1, 1, 1, 1, 1],
            [3, 1, 1, 1, 1, 1, 1],
            [4, 1, 1, 1, 1, 1, 1],
        ]
        .concat();
        let picture = decode(&png(2, 5, 2, &lines)).unwrap();
        let seen: Vec<[u8; 3]> = (0..5).map(|y| picture.pixel(1, y)).collect();
        assert_eq!(
            seen,
            [[40, 50, 60], [2, 2, 2], [3, 3, 3], [3, 3, 3], [4, 4, 4]]
        );
    }

    #[test]
    fn every_kind_of_colour_is_read() {
        let one = |colour, samples: &[u8]| {
            let line = [&[0][..], samples].concat();
            decode(&png(1, 1, colour, &line)).unwrap().pixel(0, 0)
        };
        assert_eq!(one(0, &[7]), [7, 7, 7]);
        assert_eq!(one(2, &[1, 2, 3]), [1, 2, 3]);
        assert_eq!(one(3, &[1]), [1, 2, 3]);
        assert_eq!(one(3, &[200]), [0, 0, 0]);
        assert_eq!(one(4, &[7, 0]), [7, 7, 7]);
        assert_eq!(one(6, &[1, 2, 3, 0]), [1, 2, 3]);
    }

    #[test]
    fn a_part_of_a_picture_is_refused() {
        let whole = png(2, 1, 2, &[0, 1, 2, 3, 4, 5, 6]);
        assert!(decode(&whole).is_ok());
        for length in MAGIC.len()..whole.len() {
            assert!(decode(&whole[..length]).is_err(), "{length}");
        }
        let short = png(2, 2, 2, &[0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(decode(&short), Err(PictureError::CutOff));
    }

    #[test]
    fn a_picture_that_lies_about_its_size_costs_nothing() {
        let huge = png(20_000, 20_000, 2, &[0; 100]);
        assert_eq!(
            decode(&huge),
            Err(PictureError::TooLarge {
                width: 20_000,
                height: 20_000
            })
        );
        // More is packed than the head says: it is not unpacked.
        let bomb = png(1, 1, 2, &vec![0; 10_000_000]);
        assert!(decode(&bomb).is_ok());
    }

    #[test]
    fn damage_is_noticed() {
        let mut bytes = png(1, 1, 2, &[0, 1, 2, 3]);
        bytes[20] ^= 1;
        assert_eq!(decode(&bytes), Err(PictureError::Damaged("a check sum")));
        assert_eq!(
            decode(&png(1, 1, 2, &[9, 1, 2, 3])),
            Err(PictureError::Damaged("a line's filter"))
        );
    }
}
