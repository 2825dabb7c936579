//! Where the pixels of a picture belong that was taken with the camera on its side or its head.

use image::metadata::Orientation;

/// A picture's orientation, and its size as it is stored.
#[derive(Clone, Copy)]
pub(super) struct Upright {
    orientation: Orientation,
    width: usize,
    height: usize,
}

impl Upright {
    pub(super) fn new(orientation: Orientation, [width, height]: [usize; 2]) -> Self {
        Self { orientation, width, height }
    }

    /// Whether it is stored as it is seen.
    pub(super) fn keeps(self) -> bool {
        self.orientation == Orientation::NoTransforms
    }

    /// Width and height as stored.
    pub(super) fn stored_size(self) -> [usize; 2] {
        [self.width, self.height]
    }

    /// Width and height when it is upright.
    pub(super) fn size(self) -> [usize; 2] {
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        match self.orientation {
            Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH => [self.height, self.width],
            _ => [self.width, self.height],
        }
    }

    /// Puts a row of stored pixels where they belong in the upright picture.
    pub(super) fn put<T: Copy>(self, upright: &mut [T], y: usize, row: &[T]) {
        let across = self.size()[0];
        match self.orientation {
            Orientation::NoTransforms => upright[y * across..][..row.len()].copy_from_slice(row),
            _ => {
                for (x, &pixel) in row.iter().enumerate() {
                    let [column, row] = self.place([x, y]);
                    upright[row * across + column] = pixel;
                }
            }
        }
    }

    /// The place in the upright picture, column and row, of a stored pixel.
    fn place(self, [x, y]: [usize; 2]) -> [usize; 2] {
        let (right, bottom) = (self.width - 1, self.height - 1);
        match self.orientation {
            Orientation::NoTransforms => [x, y],
            Orientation::FlipHorizontal => [right - x, y],
            Orientation::FlipVertical => [x, bottom - y],
            Orientation::Rotate180 => [right - x, bottom - y],
            Orientation::Rotate90 => [bottom - y, x],
            Orientation::Rotate270 => [y, right - x],
            Orientation::Rotate90FlipH => [y, x],
            Orientation::Rotate270FlipH => [bottom - y, right - x],
        }
    }

    /// The stored pixel that belongs at this column and row of the upright picture.
    pub(super) fn stored(self, [column, row]: [usize; 2]) -> [usize; 2] {
        let (right, bottom) = (self.width - 1, self.height - 1);
        match self.orientation {
            // To and fro are one.
            Orientation::Rotate90 => [row, bottom - column],
            Orientation::Rotate270 => [right - row, column],
            Orientation::Rotate90FlipH => [row, column],
            Orientation::Rotate270FlipH => [right - row, bottom - column],
            _ => self.place([column, row]),
        }
    }
}
