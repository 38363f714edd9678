//! Pictures of a VM's screen as hypervisors give them: PNG, PPM, RGB565. Hostile input: sizes are bounded
//! before anything is allocated, nothing is inflated beyond what the size says, a part of a picture is
//! refused.

#[cfg(feature = "testing")]
pub(crate) mod fuzz;
mod png;
mod ppm;

use std::fmt;

use thiserror::Error;

use crate::domain::error_kind::{Classify, ErrorKind, Hint};
use crate::domain::picture::{MOST_PIXELS, Picture};

/// A picture as a host sent it.
#[derive(Clone, PartialEq, Eq)]
pub enum RawPicture {
    /// A file, with what a tool said before or after it.
    File(Vec<u8>),
    /// Two bytes a pixel.
    Rgb565 {
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
        /// Its pixels.
        bytes: Vec<u8>,
    },
}

impl fmt::Debug for RawPicture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, bytes) = match self {
            Self::File(bytes) => ("File", bytes),
            Self::Rgb565 { bytes, .. } => ("Rgb565", bytes),
        };
        write!(f, "{kind}({} bytes)", bytes.len())
    }
}

impl RawPicture {
    /// Unpacks it. A large one takes longer than a task may hold its thread.
    pub fn unpack(&self) -> Result<Picture, PictureError> {
        match self {
            Self::File(bytes) => decode(bytes),
            Self::Rgb565 {
                width,
                height,
                bytes,
            } => rgb565(*width, *height, bytes),
        }
    }
}

/// Why bytes are no picture that can be shown.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PictureError {
    /// Neither PNG nor PPM.
    #[error("the host sent no picture that is known here")]
    Unknown,
    /// Too large.
    #[error("the picture is {width} x {height}, which is more than is shown")]
    TooLarge {
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
    },
    /// A part is missing.
    #[error("the picture is cut off")]
    CutOff,
    /// Something in it contradicts something else.
    #[error("the picture is damaged: {0}")]
    Damaged(&'static str),
    /// A kind that screens are not sent in.
    #[error("the picture is of a kind that is not read here: {0}")]
    Unsupported(&'static str),
}

impl Classify for PictureError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Protocol
    }

    fn hint(&self) -> Option<Hint> {
        None
    }
}

/// Decodes a picture; what a tool says before or after it is skipped.
fn decode(bytes: &[u8]) -> Result<Picture, PictureError> {
    if let Some(at) = find(bytes, png::MAGIC) {
        return png::decode(bytes.get(at..).unwrap_or_default());
    }
    match find(bytes, ppm::MAGIC) {
        Some(at) => ppm::decode(bytes.get(at..).unwrap_or_default()),
        None => Err(PictureError::Unknown),
    }
}

/// Decodes what Hyper-V gives: two bytes a pixel, little end first, five bits red, six green, five blue.
fn rgb565(width: u32, height: u32, bytes: &[u8]) -> Result<Picture, PictureError> {
    let count = pixels(width, height)?;
    if bytes.len() < count * 2 {
        return Err(PictureError::CutOff);
    }
    let mut rgb = Vec::with_capacity(count * Picture::DEPTH);
    for pair in bytes.chunks_exact(2).take(count) {
        let value = pair.try_into().map(u16::from_le_bytes).unwrap_or_default();
        let scale = |bits: u16, most: u16| u8::try_from(bits * 255 / most).unwrap_or(u8::MAX);
        rgb.extend([
            scale(value >> 11, 31),
            scale((value >> 5) & 63, 63),
            scale(value & 31, 31),
        ]);
    }
    Picture::new(width, height, rgb).ok_or(PictureError::Damaged("its size"))
}

/// Returns how many pixels a size has, if that is not too many.
fn pixels(width: u32, height: u32) -> Result<usize, PictureError> {
    let count = u64::from(width) * u64::from(height);
    if count > MOST_PIXELS {
        return Err(PictureError::TooLarge { width, height });
    }
    if count == 0 {
        return Err(PictureError::Damaged("it has no pixels"));
    }
    usize::try_from(count).map_err(|_too_many| PictureError::TooLarge { width, height })
}

/// How far into the output a picture may begin: after a banner, not after a book.
const SEARCHED: usize = 64 * 1024;

fn find(bytes: &[u8], magic: &[u8]) -> Option<usize> {
    let searched = bytes.get(..SEARCHED).unwrap_or(bytes);
    searched.windows(magic.len()).position(|part| part == magic)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rgb565_is_read_little_end_first() {
        let picture = rgb565(3, 1, &[0x00, 0xf8, 0xe0, 0x07, 0x1f, 0x00]).unwrap();
        assert_eq!(picture.pixel(0, 0), [255, 0, 0]);
        assert_eq!(picture.pixel(1, 0), [0, 255, 0]);
        assert_eq!(picture.pixel(2, 0), [0, 0, 255]);
        assert_eq!(rgb565(3, 1, &[0; 5]), Err(PictureError::CutOff));
        assert!(matches!(
            rgb565(20_000, 20_000, &[]),
            Err(PictureError::TooLarge { .. })
        ));
    }

    #[test]
    fn words_around_a_picture_are_skipped() {
        let bytes = b"Welcome\nP6\n1 1\n255\nabcScreenshot saved to /proc/self/fd/1";
        assert_eq!(decode(bytes).unwrap().pixel(0, 0), *b"abc");
        assert_eq!(decode(b"error: no screens"), Err(PictureError::Unknown));
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..400), png in any::<bool>()) {
            let mut all = if png { png::MAGIC.to_vec() } else { b"P6 9 9 255 ".to_vec() };
            all.extend(bytes);
            drop(decode(&all));
        }
    }
}
