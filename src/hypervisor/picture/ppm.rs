//! PPM, the raw kind (`P6`, netpbm's ppm(5)): what older versions of QEMU write.

use super::{PictureError, pixels};
use crate::domain::picture::Picture;

/// How it begins.
pub(super) const MAGIC: &[u8] = b"P6";

/// Decodes one.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture, PictureError> {
    let mut rest = bytes.get(MAGIC.len()..).unwrap_or_default();
    let width = number(&mut rest)?;
    let height = number(&mut rest)?;
    let count = pixels(width, height)?;
    if number(&mut rest)? != 255 {
        return Err(PictureError::Unsupported("more than 8 bits a colour"));
    }
    // Exactly one blank before the pixels.
    let body = rest.get(1..).ok_or(PictureError::CutOff)?;
    let body = body
        .get(..count * Picture::DEPTH)
        .ok_or(PictureError::CutOff)?;
    Picture::new(width, height, body.to_vec()).ok_or(PictureError::Damaged("its size"))
}

/// Reads a number of the head, after blanks and comments.
fn number(rest: &mut &[u8]) -> Result<u32, PictureError> {
    loop {
        match rest.first() {
            Some(b'#') => {
                let end = rest.iter().position(|byte| *byte == b'\n');
                let end = end.ok_or(PictureError::CutOff)?;
                *rest = rest.get(end..).unwrap_or_default();
            }
            Some(byte) if byte.is_ascii_whitespace() => {
                *rest = rest.get(1..).unwrap_or_default();
            }
            Some(_) => break,
            None => return Err(PictureError::CutOff),
        }
    }
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, after) = rest.split_at(digits);
    *rest = after;
    std::str::from_utf8(number)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(PictureError::Damaged("its head"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_with_a_comment_is_read() {
        let picture = decode(b"P6 # made by\n 2 1\n255\nabcdef").unwrap();
        assert_eq!((picture.width(), picture.height()), (2, 1));
        assert_eq!(picture.pixel(1, 0), *b"def");
    }

    #[test]
    fn what_is_too_large_or_too_short_is_refused() {
        assert_eq!(
            decode(b"P6 20000 20000 255 "),
            Err(PictureError::TooLarge {
                width: 20_000,
                height: 20_000
            })
        );
        assert_eq!(decode(b"P6 2 2 255 abc"), Err(PictureError::CutOff));
        assert_eq!(decode(b"P6 2"), Err(PictureError::CutOff));
        assert!(matches!(
            decode(b"P6 -2 2 255 "),
            Err(PictureError::Damaged(_))
        ));
        assert!(matches!(
            decode(b"P6 99999999999 1 255 "),
            Err(PictureError::Damaged(_))
        ));
    }
}
