//! A VM's screen as pixels.

use std::ops::Range;

/// Most pixels of a picture: 4096 x 4096, more than any screen a hypervisor emulates.
pub const MOST_PIXELS: u64 = 4096 * 4096;

/// Pixels each way that are looked at for one pixel of a smaller picture.
const SAMPLES: usize = 8;

/// Pixels, three bytes each: red, green, blue; line by line from the top left.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Picture")
            .field("width", &self.width)
            .field("height", &self.height)
            .finish_non_exhaustive()
    }
}

impl Default for Picture {
    /// One black pixel: the smallest there is.
    fn default() -> Self {
        Self {
            width: 1,
            height: 1,
            pixels: vec![0; Self::DEPTH],
        }
    }
}

impl Picture {
    /// Bytes of one pixel.
    pub const DEPTH: usize = 3;

    /// Takes pixels; `None` when there are none, too many, or not as many as the size says.
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Option<Self> {
        let count = u64::from(width) * u64::from(height);
        let fits = count > 0
            && count <= MOST_PIXELS
            && u64::try_from(pixels.len()).is_ok_and(|len| len == count * Self::DEPTH as u64);
        fits.then_some(Self {
            width,
            height,
            pixels,
        })
    }

    /// Returns its width in pixels.
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Returns its height in pixels.
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// Returns its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.pixels
    }

    /// Returns its lines.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.pixels.chunks_exact(self.width as usize * Self::DEPTH)
    }

    /// Returns one pixel; black outside.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        if x >= self.width || y >= self.height {
            return [0; 3];
        }
        let at = (y as usize * self.width as usize + x as usize) * Self::DEPTH;
        self.pixels
            .get(at..at + Self::DEPTH)
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or([0; 3])
    }

    /// Returns the largest size of the same shape within some room, at least one pixel each way; never
    /// larger than it is.
    pub fn fit(&self, width: u32, height: u32) -> (u32, u32) {
        let (w, h) = (u64::from(self.width), u64::from(self.height));
        let (room_w, room_h) = (u64::from(width.max(1)), u64::from(height.max(1)));
        let (fit_w, fit_h) = if w <= room_w && h <= room_h {
            (w, h)
        } else if w * room_h >= h * room_w {
            (room_w, h * room_w / w)
        } else {
            (w * room_h / h, room_h)
        };
        let small = |side: u64| u32::try_from(side.max(1)).unwrap_or(u32::MAX);
        (small(fit_w), small(fit_h))
    }

    /// Returns it in another size: each new pixel is the mean of those it stands for.
    #[must_use]
    pub fn scaled(&self, width: u32, height: u32) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        let mut pixels = Vec::with_capacity(width as usize * height as usize * Self::DEPTH);
        for y in 0..height {
            let rows = span(y, height, self.height);
            for x in 0..width {
                let columns = span(x, width, self.width);
                pixels.extend(self.mean(&columns, &rows));
            }
        }
        Self {
            width,
            height,
            pixels,
        }
    }

    fn mean(&self, columns: &Range<u32>, rows: &Range<u32>) -> [u8; 3] {
        let mut sums = [0u64; 3];
        let mut count = 0;
        for y in sampled(rows) {
            for x in sampled(columns) {
                for (sum, value) in sums.iter_mut().zip(self.pixel(x, y)) {
                    *sum += u64::from(value);
                }
                count += 1;
            }
        }
        sums.map(|sum| u8::try_from(sum / count.max(1)).unwrap_or(u8::MAX))
    }
}

/// Returns some steps of a span, spread over it: few enough that making a picture small costs as much
/// as the small one is, however large the large one was.
fn sampled(span: &Range<u32>) -> impl Iterator<Item = u32> + use<> {
    let step = span.len().div_ceil(SAMPLES).max(1);
    span.clone().step_by(step)
}

/// Returns which of `from` old steps the `at`th of `to` new ones stands for; never none.
fn span(at: u32, to: u32, from: u32) -> Range<u32> {
    let edge = |n: u32| u64::from(n) * u64::from(from) / u64::from(to.max(1));
    let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let start = small(edge(at));
    start..small(edge(at.saturating_add(1))).max(start.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_by_two() -> Picture {
        let pixels = vec![255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255];
        Picture::new(2, 2, pixels).unwrap()
    }

    #[test]
    fn a_picture_has_as_many_pixels_as_it_says() {
        assert!(Picture::new(2, 2, vec![0; 11]).is_none());
        assert!(Picture::new(0, 2, Vec::new()).is_none());
        assert!(Picture::new(20_000, 20_000, Vec::new()).is_none());
        assert_eq!(two_by_two().pixel(1, 0), [0, 255, 0]);
        assert_eq!(two_by_two().pixel(9, 9), [0; 3]);
    }

    #[test]
    fn it_is_scaled_by_means_and_keeps_its_shape() {
        let small = two_by_two().scaled(1, 1);
        assert_eq!(small.pixel(0, 0), [127, 127, 127]);
        let large = two_by_two().scaled(4, 4);
        assert_eq!(large.pixel(3, 0), [0, 255, 0]);
        assert_eq!(large.pixel(0, 3), [0, 0, 255]);
        let screen = Picture::new(720, 400, vec![0; 720 * 400 * 3]).unwrap();
        assert_eq!(screen.fit(100, 54), (97, 54));
        assert_eq!(screen.fit(60, 200), (60, 33));
        assert_eq!(screen.fit(2000, 2000), (720, 400));
        assert_eq!(screen.fit(1, 1), (1, 1));
    }
}
