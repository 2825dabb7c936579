//! The pixels of a JPEG, made when they are looked at: a small picture to find faces in, one part as sharp as the camera saw it, or
//! all of them.

use std::sync::OnceLock;

use clearlane_infer::Wiped;

use crate::decode::{JpegPicture, Reduction};

/// A JPEG as packed RGB, of which nothing is made that nobody looks at.
pub(crate) struct Deferred {
    picture: JpegPicture,
    part: OnceLock<Part>,
    whole: OnceLock<Wiped<u8>>,
}

/// What was made of the picture before all of it had to be.
struct Part {
    first: [usize; 2],
    size: [usize; 2],
    rgb: Wiped<u8>,
}

impl Deferred {
    /// Whether a picture of this size is worth it: detectors look at half of 640 pixels and fewer. Beyond 2^25 pixels the coefficients
    /// would take more memory than is saved.
    pub(crate) fn pays([width, height]: [u32; 2]) -> bool {
        width.min(height) >= 640 && u64::from(width) * u64::from(height) <= 1 << 25
    }

    pub(crate) fn new(picture: JpegPicture) -> Self {
        Self { picture, part: OnceLock::new(), whole: OnceLock::new() }
    }

    pub(super) fn bytes(&self) -> usize {
        3 * self.picture.width() as usize * self.picture.height() as usize
    }

    #[cfg(test)]
    pub(super) fn is_made(&self) -> bool {
        self.whole.get().is_some()
    }

    /// All pixels.
    pub(super) fn whole(&self) -> &[u8] {
        self.whole.get_or_init(|| self.picture.rgb(Reduction::None).1)
    }

    /// All pixels, in memory that nobody else has.
    pub(super) fn into_whole(self) -> Wiped<u8> {
        self.whole.into_inner().unwrap_or_else(|| self.picture.rgb(Reduction::None).1)
    }

    /// The whole picture in no fewer than `size` pixels, and not in many more: as small as the inverse DCT can make it. None where it
    /// has to be taken as it is. The same whatever was made before, so that the same file gives the same template.
    pub(super) fn reduced(&self, size: [usize; 2]) -> Option<([u32; 2], Wiped<u8>)> {
        let own = [self.picture.width(), self.picture.height()];
        // Sides that do not divide would be rounded up, and what is found there would be moved.
        let fits =
            |side: u32, least: usize, factor: u32| side.is_multiple_of(factor) && (side / factor) as usize >= least;
        let reductions = [(8, Reduction::Eighth), (4, Reduction::Quarter), (2, Reduction::Half)];
        let (_, reduction) =
            reductions.into_iter().find(|&(factor, _)| (0..2).all(|axis| fits(own[axis], size[axis], factor)))?;
        Some(self.picture.rgb(reduction))
    }

    /// Makes a part of the picture, within it, unless all of it was made: it is what will be looked at. Only the first part is kept.
    pub(super) fn make(&self, first: [u32; 2], size: [u32; 2]) {
        if self.whole.get().is_none() {
            self.part.get_or_init(|| Part {
                first: first.map(|side| side as usize),
                size: size.map(|side| side as usize),
                rgb: self.picture.rgb_of(first, size),
            });
        }
    }

    /// Some pixels of a row, where only a part was made and it has them.
    #[inline]
    pub(super) fn row(&self, y: usize, x: usize, count: usize) -> Option<&[[u8; 3]]> {
        let Part { first, size, rgb } = self.part.get().filter(|_| self.whole.get().is_none())?;
        let (row, column) = (y.checked_sub(first[1])?, x.checked_sub(first[0])?);
        let row = rgb.as_chunks().0.chunks_exact(size[0]).nth(row)?;
        row.get(column..column.checked_add(count)?)
    }
}
