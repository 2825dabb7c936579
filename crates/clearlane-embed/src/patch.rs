//! A part of a frame, converted to RGB once and sampled between its pixels many times.

use crate::frame::Frame;
use crate::geometry::{BoundingBox, Point, Similarity};

/// The pixels that a warped rectangle depends on, black where they lie outside of the frame.
pub(crate) struct Patch {
    /// The frame's column and row of the first pixel: at least -2 and -1.
    left: f32,
    top: f32,
    width: usize,
    /// The largest position from the first pixel on that has a neighbour to its right and one below.
    last: [f32; 2],
    /// Rows of red, green, blue and nothing.
    pixels: Vec<[u8; 4]>,
}

impl Patch {
    /// What the points of a rectangle depend on that `source` sends into a frame.
    pub(crate) fn new(frame: &Frame<'_>, source: &Similarity, rectangle: BoundingBox) -> Self {
        let BoundingBox { x0, y0, x1, y1 } = rectangle;
        let corners = [(x0, y0), (x0, y1), (x1, y0), (x1, y1)].map(|(x, y)| {
            let at = source.apply(Point::new(x, y));
            [at.x, at.y]
        });
        let size = [frame.width() as i64, frame.height() as i64];
        // From one pixel before the frame to two behind it, where all is black; a cast of NaN gives 0.
        let range = |axis: usize| {
            let inside = |value: f32| (value.floor() as i64).clamp(-1, size[axis]);
            let least = corners.iter().map(|corner| inside(corner[axis])).min().unwrap_or(0);
            let most = corners.iter().map(|corner| inside(corner[axis])).max().unwrap_or(0);
            // A pixel more than the last sample's neighbour, for positions that rounding pushes over it.
            (least, (most - least + 3) as usize)
        };
        let ((left, width), (top, height)) = (range(0), range(1));
        // Pairs of pixels share their chroma, so that a patch begins with a pair.
        let odd = left.rem_euclid(2);
        let (left, width) = (left - odd, width + odd as usize);
        let mut pixels = vec![[0; 4]; width * height];
        let columns = left.max(0)..(left + width as i64).min(size[0]);
        for (row, y) in pixels.chunks_exact_mut(width).zip(top..) {
            if (0..size[1]).contains(&y) && !columns.is_empty() {
                let inside = (columns.start - left) as usize..(columns.end - left) as usize;
                frame.row(y as usize, columns.start as usize, &mut row[inside]);
            }
        }
        let last = [(width - 2) as f32, (height - 2) as f32];
        Self { left: left as f32, top: top as f32, width, last, pixels }
    }

    /// Red, green and blue at a point of the frame, between its pixels by bilinear weights, in 0–255.
    #[inline]
    pub(crate) fn sample(&self, at: Point) -> [f32; 4] {
        let (x, y) = ((at.x - self.left).clamp(0.0, self.last[0]), (at.y - self.top).clamp(0.0, self.last[1]));
        let (column, row) = (x as i32, y as i32);
        let (fx, fy) = (x - column as f32, y - row as f32);
        let start = row as usize * self.width + column as usize;
        let (Some(&[a, b]), Some(&[c, d])) =
            (self.pixels[start..].first_chunk(), self.pixels[start + self.width..].first_chunk())
        else {
            return [0.0; 4];
        };
        let between = |a: [f32; 4], b: [f32; 4], part: f32| std::array::from_fn(|i| a[i] + (b[i] - a[i]) * part);
        let [a, b, c, d] = [a, b, c, d].map(|pixel: [u8; 4]| pixel.map(f32::from));
        between(between(a, b, fx), between(c, d, fx), fy)
    }
}
