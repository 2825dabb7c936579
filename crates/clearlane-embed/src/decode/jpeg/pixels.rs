//! Pixels out of planes: components at one size, and red, green and blue of them.

use clearlane_infer::{Loops, Wiped};

use super::planes::{Plane, Planes, Ratio};

/// What a JPEG's components are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Grey,
    Rgb,
    YCbCr,
    /// Inverted, as every writer of it does.
    Cmyk,
    Ycck,
}

/// Rows of packed RGB, `columns` of each row of a window's pixels, handed to `put` one by one.
pub(super) struct Rows<'a, P> {
    pub(super) planes: &'a Planes,
    pub(super) colour: Colour,
    pub(super) columns: std::ops::Range<usize>,
    pub(super) lines: std::ops::Range<usize>,
    pub(super) put: P,
}

impl<P: FnMut(usize, &[[u8; 3]])> Loops for Rows<'_, P> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let planes = &self.planes.planes;
        let width = self.planes.size[0];
        let mut scratch: Vec<_> = planes.iter().map(Scratch::new).collect();
        let mut rgb = Wiped::zeroed(3 * self.columns.len());
        for y in self.lines.clone() {
            let mut rows = [&[][..]; 4];
            for ((row, plane), scratch) in rows.iter_mut().zip(planes).zip(&mut scratch) {
                *row = &scratch.row(plane, y, width)[self.columns.clone()];
            }
            let pixels = rgb.as_chunks_mut().0;
            convert(self.colour, rows, pixels);
            (self.put)(y - self.lines.start, pixels);
        }
    }
}

/// Memory for a row of one component.
struct Scratch {
    sums: Wiped<u16>,
    row: Wiped<u8>,
}

impl Scratch {
    fn new(plane: &Plane) -> Self {
        let [across, _] = plane.ratios;
        let pixels = (plane.size[0] * across.pixels).div_ceil(across.samples) + across.pixels;
        Self { sums: Wiped::zeroed(plane.size[0]), row: Wiped::zeroed(pixels) }
    }

    /// Row `y` of the component at the picture's size: interpolated where it has half as many samples as the picture has pixels
    /// (libjpeg's "fancy upsampling"), else its nearest sample.
    #[inline(always)]
    fn row<'a>(&'a mut self, plane: &'a Plane, y: usize, width: usize) -> &'a [u8] {
        let [samples, rows] = plane.size;
        let line = |y: usize| &plane.samples[y.min(rows - 1) * plane.stride..][..samples];
        let [across, down] = plane.ratios;
        let near = line(y * down.samples / down.pixels);
        let far = || {
            let near = y / 2;
            line(if y.is_multiple_of(2) { near.saturating_sub(1) } else { near + 1 })
        };
        match (across.whole(), down.whole()) {
            (Some(1), Some(2)) if plane.smooth => {
                let bias = 1 + y as u16 % 2;
                for ((out, &near), &far) in self.row.iter_mut().zip(near).zip(far()) {
                    *out = ((3 * u16::from(near) + u16::from(far) + bias) >> 2) as u8;
                }
            }
            (Some(1), _) => return &near[..width],
            (Some(2), Some(1)) if plane.smooth && samples > 2 => {
                for (sum, &near) in self.sums.iter_mut().zip(near) {
                    *sum = u16::from(near);
                }
                doubled::<2, 1>(&self.sums, &mut self.row, 2);
            }
            (Some(2), Some(2)) if plane.smooth && samples > 2 => {
                for ((sum, &near), &far) in self.sums.iter_mut().zip(near).zip(far()) {
                    *sum = 3 * u16::from(near) + u16::from(far);
                }
                doubled::<7, 8>(&self.sums, &mut self.row, 4);
            }
            (Some(factor), _) => {
                for (out, &near) in self.row.chunks_exact_mut(factor).zip(near) {
                    out.fill(near);
                }
            }
            (None, _) => {
                let Ratio { pixels, samples: of } = across;
                for (x, out) in self.row[..width].iter_mut().enumerate() {
                    *out = near[(x * of / pixels).min(samples - 1)];
                }
            }
        }
        &self.row[..width]
    }
}

/// Twice as many samples: each is three parts of the nearer one and one part of the farther, in sums with so many bits to drop.
#[inline(always)]
fn doubled<const RIGHT: u16, const LEFT: u16>(sums: &[u16], out: &mut [u8], bits: u32) {
    let (pairs, last) = (out.as_chunks_mut::<2>().0, sums.len() - 1);
    let left = |own: u16, other: u16| ((3 * own + other + LEFT) >> bits) as u8;
    let right = |own: u16, other: u16| ((3 * own + other + RIGHT) >> bits) as u8;
    pairs[0] = [left(sums[0], sums[0]), right(sums[0], sums[1])];
    for (pair, neighbours) in pairs[1..last].iter_mut().zip(sums.windows(3)) {
        *pair = [left(neighbours[1], neighbours[0]), right(neighbours[1], neighbours[2])];
    }
    pairs[last] = [left(sums[last], sums[last - 1]), right(sums[last], sums[last])];
}

#[inline(always)]
fn convert(colour: Colour, [first, second, third, fourth]: [&[u8]; 4], out: &mut [[u8; 3]]) {
    let three = first.iter().zip(second).zip(third);
    match colour {
        Colour::Grey => {
            for (out, &grey) in out.iter_mut().zip(first) {
                *out = [grey; 3];
            }
        }
        Colour::Rgb => {
            for (out, ((&r, &g), &b)) in out.iter_mut().zip(three) {
                *out = [r, g, b];
            }
        }
        Colour::YCbCr => {
            // Levels of a block first and then pixels, so that the compiler computes them side by side.
            let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
            let done = BLOCK * blocks.len();
            let three = first.as_chunks().0.iter().zip(second.as_chunks().0).zip(third.as_chunks().0);
            for (out, ((y, cb), cr)) in blocks.iter_mut().zip(three) {
                let levels = rgb_of_block(y, cb, cr);
                for (x, out) in out.iter_mut().enumerate() {
                    *out = [levels[0][x], levels[1][x], levels[2][x]];
                }
            }
            for (x, out) in (done..).zip(rest) {
                *out = rgb(first[x], second[x], third[x]);
            }
        }
        Colour::Cmyk => {
            for ((out, ((&c, &m), &y)), &k) in out.iter_mut().zip(three).zip(fourth) {
                *out = [c, m, y].map(|ink| under_black(ink, k));
            }
        }
        // What would be red, green and blue is the inverse of the inks, which are inverted.
        Colour::Ycck => {
            for ((out, ((&y, &cb), &cr)), &k) in out.iter_mut().zip(three).zip(fourth) {
                *out = rgb(y, cb, cr).map(|level| under_black(255 - level, k));
            }
        }
    }
}

/// Pixels that are converted side by side.
const BLOCK: usize = 32;

#[inline(always)]
fn rgb_of_block(y: &[u8; BLOCK], cb: &[u8; BLOCK], cr: &[u8; BLOCK]) -> [[u8; BLOCK]; 3] {
    let mut levels = [[0; BLOCK]; 3];
    for x in 0..BLOCK {
        let [red, green, blue] = rgb(y[x], cb[x], cr[x]);
        levels[0][x] = red;
        levels[1][x] = green;
        levels[2][x] = blue;
    }
    levels
}

/// ITU-T T.871, clause 7, with 16 fractional bits, rounded as libjpeg does.
#[inline(always)]
fn rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let half = 1 << 15;
    let level = |value: i32| value.clamp(0, 255) as u8;
    [
        level(y + ((91_881 * cr + half) >> 16)),
        level(y + ((-22_554 * cb - 46_802 * cr + half) >> 16)),
        level(y + ((116_130 * cb + half) >> 16)),
    ]
}

/// A colour that so much light is left of, in 255ths.
#[inline(always)]
fn under_black(colour: u8, left: u8) -> u8 {
    ((u16::from(colour) * u16::from(left) + 127) / 255) as u8
}
