//! A part of a frame, converted to RGB once and sampled between its pixels many times.

use clearlane_infer::{Loops, Wiped, vectorised};

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
    pixels: Wiped<[u8; 4]>,
}

/// Where in a patch some points of one row lie.
#[derive(Default)]
pub(crate) struct Places {
    /// The pixels up and to the left of them.
    starts: Vec<u32>,
    /// How far they are to the right of it and below.
    right: Vec<f32>,
    below: Vec<f32>,
}

impl Patch {
    /// What the points of a rectangle depend on that `source` sends into a frame as it lies in memory.
    pub(crate) fn new(frame: &Frame<'_>, source: &Similarity, rectangle: BoundingBox) -> Self {
        let bounds = source.bounds(&rectangle);
        let size = frame.size_in_memory().map(i64::from);
        // From one pixel before the frame to two behind it, where all is black; a cast of NaN gives 0.
        let range = |from: f32, to: f32, side: i64| {
            let [least, most] = [from, to].map(|value| (value.floor() as i64).clamp(-1, side));
            // A pixel more than the last sample's neighbour, for positions that rounding pushes over it.
            (least, (most - least + 3) as usize)
        };
        let ((left, width), (top, height)) =
            (range(bounds.x0, bounds.x1, size[0]), range(bounds.y0, bounds.y1, size[1]));
        // Pairs of pixels share their chroma, so that a patch begins with a pair.
        let odd = left.rem_euclid(2);
        let (left, width) = (left - odd, width + odd as usize);
        let pixels = vectorised(Conversion { frame, left, top, width, height });
        let last = [(width - 2) as f32, (height - 2) as f32];
        Self { left: left as f32, top: top as f32, width, last, pixels }
    }

    /// Where `source` sends the points of these columns and one row.
    #[inline(always)]
    pub(crate) fn locate(&self, source: &Similarity, columns: &[f32], y: f32, places: &mut Places) {
        let Places { starts, right, below } = places;
        starts.resize(columns.len(), 0);
        right.resize(columns.len(), 0.0);
        below.resize(columns.len(), 0.0);
        for (((start, right), below), &x) in starts.iter_mut().zip(right).zip(below).zip(columns) {
            let at = source.apply(Point::new(x, y));
            let (x, y) = ((at.x - self.left).max(0.0).min(self.last[0]), (at.y - self.top).max(0.0).min(self.last[1]));
            // The pixel before, or at whole numbers one of the two that are as good.
            let (column, row) = (rounded((x - 0.5).max(0.0)), rounded((y - 0.5).max(0.0)));
            (*right, *below) = (x - column as f32, y - row as f32);
            *start = row * self.width as u32 + column;
        }
    }

    /// Red, green and blue at one of the places, between the pixels by bilinear weights, in 0–255.
    #[inline(always)]
    pub(crate) fn sample(&self, places: &Places, index: usize) -> [f32; 4] {
        let start = places.starts[index] as usize;
        let (Some(&[a, b]), Some(&[c, d])) =
            (self.pixels[start..].first_chunk(), self.pixels[start + self.width..].first_chunk())
        else {
            return [0.0; 4];
        };
        let [a, b, c, d] = [a, b, c, d].map(floats);
        let right = places.right[index];
        between(between(a, b, right), between(c, d, right), places.below[index])
    }
}

/// The whole number next to a value between 0 and 2²², in code that the compiler vectorises: a cast, which has to look out for
/// what does not fit, it does not.
#[inline(always)]
pub(crate) fn rounded(value: f32) -> u32 {
    /// Floats of this size are whole numbers, and have them in their lowest bits.
    const UNITS: f32 = 8_388_608.0;
    (value + UNITS).to_bits() & 0x007F_FFFF
}

#[inline(always)]
fn floats(pixel: [u8; 4]) -> [f32; 4] {
    let mut floats = [0.0; 4];
    for (float, value) in floats.iter_mut().zip(pixel) {
        *float = f32::from(value);
    }
    floats
}

#[inline(always)]
fn between(from: [f32; 4], to: [f32; 4], part: f32) -> [f32; 4] {
    let mut between = [0.0; 4];
    for ((between, from), to) in between.iter_mut().zip(from).zip(to) {
        *between = from + (to - from) * part;
    }
    between
}

/// The conversion of a patch, which may reach beyond the frame.
struct Conversion<'a> {
    frame: &'a Frame<'a>,
    left: i64,
    top: i64,
    width: usize,
    height: usize,
}

impl Loops for Conversion<'_> {
    type Output = Wiped<[u8; 4]>;

    #[inline(always)]
    fn run(self) -> Wiped<[u8; 4]> {
        let Self { frame, left, top, width, height } = self;
        let mut pixels = Wiped::zeroed(width * height);
        let [frame_width, frame_height] = frame.size_in_memory().map(i64::from);
        let columns = left.max(0)..(left + width as i64).min(frame_width);
        for (row, y) in pixels.chunks_exact_mut(width).zip(top..) {
            if (0..frame_height).contains(&y) && !columns.is_empty() {
                let inside = (columns.start - left) as usize..(columns.end - left) as usize;
                frame.row(y as usize, columns.start as usize, &mut row[inside]);
            }
        }
        pixels
    }
}
