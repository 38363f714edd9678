//! Fuzz target of pictures. See `crate::testing::fuzz`.

use super::{PictureError, RawPicture};
use crate::domain::picture::{MOST_PIXELS, Picture};

/// A file as a host sends it, and the same bytes as bare pixels, whose size they begin with.
pub(crate) fn pictures(data: &[u8]) {
    check(&RawPicture::File(data.to_vec()).unpack());
    let Some((&[w, x, h, y], bytes)) = data.split_first_chunk::<4>() else {
        return;
    };
    let raw = RawPicture::Rgb565 {
        width: u16::from_be_bytes([w, x]).into(),
        height: u16::from_be_bytes([h, y]).into(),
        bytes: bytes.to_vec(),
    };
    check(&raw.unpack());
}

fn check(unpacked: &Result<Picture, PictureError>) {
    let Ok(picture) = unpacked else { return };
    let pixels = u64::from(picture.width()) * u64::from(picture.height());
    assert!((1..=MOST_PIXELS).contains(&pixels));
    let bytes = u64::try_from(picture.bytes().len()).unwrap_or(u64::MAX);
    assert_eq!(bytes, pixels * 3);
    let (width, height) = picture.fit(80, 44);
    assert!((1..=80).contains(&width) && (1..=44).contains(&height));
    let small = picture.scaled(width, height);
    assert_eq!((small.width(), small.height()), (width, height));
}
