//! Writes a picture as a file: PNG (W3C, "Portable Network Graphics", third edition; 8 bits a sample, RGB),
//! or PPM. A leaf utility; reading pictures of strangers is another matter (`hypervisor/picture`).

use std::io::{self, Write};

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

use crate::domain::picture::Picture;

const MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Colour type 2: red, green, blue.
const RGB: u8 = 2;

/// Returns the bytes of a PNG file.
pub fn encode(picture: &Picture) -> io::Result<Vec<u8>> {
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
    for line in picture.lines() {
        // No filter: screens are flat areas, which pack well as they are.
        packer.write_all(&[0])?;
        packer.write_all(line)?;
    }
    let mut head = picture.width().to_be_bytes().to_vec();
    head.extend(picture.height().to_be_bytes());
    head.extend([8, RGB, 0, 0, 0]);
    let mut file = MAGIC.to_vec();
    chunk(&mut file, *b"IHDR", &head)?;
    chunk(&mut file, *b"IDAT", &packer.finish()?)?;
    chunk(&mut file, *b"IEND", &[])?;
    Ok(file)
}

fn chunk(file: &mut Vec<u8>, kind: [u8; 4], body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut sum = Crc::new();
    sum.update(&kind);
    sum.update(body);
    file.extend(length.to_be_bytes());
    file.extend(kind);
    file.extend(body);
    file.extend(sum.sum().to_be_bytes());
    Ok(())
}

/// Returns the bytes of a PPM file (netpbm's ppm(5), raw).
pub fn ppm(picture: &Picture) -> Vec<u8> {
    let mut file = format!("P6\n{} {}\n255\n", picture.width(), picture.height()).into_bytes();
    file.extend_from_slice(picture.bytes());
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_framed_with_its_size_and_its_end() {
        let picture = Picture::new(3, 2, (0..18).collect()).unwrap();
        let file = encode(&picture).unwrap();
        assert!(file.starts_with(MAGIC) && file.ends_with(b"IEND\xaeB`\x82"));
        assert_eq!(&file[16..26], [0, 0, 0, 3, 0, 0, 0, 2, 8, 2]);
        assert_eq!(&ppm(&picture)[..11], b"P6\n3 2\n255\n");
    }
}
