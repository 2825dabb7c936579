//! What JPEG's blocks leave in a face: steps at every eighth pixel that the picture has nowhere else.

use std::ops::Range;

use clearlane_infer::{Loops, Wiped, vectorised};

use super::{Component, Measure, measure, sigmoid};
use crate::align::{ALIGNED_SIDE, FacePatch};
use crate::frame::Frame;
use crate::geometry::Point;

/// A block's side in pixels (ITU-R T.81, A.1.1).
const BLOCK: usize = 8;

/// The least and the largest side of the part of a face that is looked at, in pixels.
const LEAST: usize = 4 * BLOCK;
const MOST: usize = 32 * BLOCK;

/// What a step counts at most: an edge of the face is no block's.
const MOST_STEP: i16 = 32;

/// What is added to both steps that are compared, so that grain of less than a level is none.
const NO_STEP: f32 = 0.5;

/// `None` of a face of fewer pixels than a few blocks have.
pub(super) fn assess(frame: &Frame<'_>, patch: &FacePatch) -> Option<Measure> {
    let half = ALIGNED_SIDE as f32 / 2.0;
    let (centre, half) = (patch.source.apply(Point::new(half, half)), half * patch.source.scale());
    let half = half.min(MOST as f32 / 2.0);
    let [width, height] = frame.size_in_memory().map(|side| side as usize);
    // A cast gives 0 for what is less; pairs of pixels share their chroma.
    let within = |middle: f32, side: usize| (middle - half) as usize / 2 * 2..((middle + half) as usize).min(side);
    let (columns, rows) = (within(centre.x, width), within(centre.y, height));
    if columns.len() < LEAST || rows.len() < LEAST {
        return None;
    }
    let [between, inside] = vectorised(Steps { frame, columns, rows });
    let ratio = (between + NO_STEP) / (inside + NO_STEP);
    Some(measure(Component::CompressionArtifacts, ratio, 100.0 * (1.0 - sigmoid(ratio, 2.8, 0.5))))
}

/// The mean steps of the luminance between blocks and inside of them.
///
/// A step is how far the difference of two neighbours is from those before and behind it, in half levels. Where the blocks begin
/// is not known of a picture that was cut or turned: it is where the steps are largest.
struct Steps<'a> {
    frame: &'a Frame<'a>,
    columns: Range<usize>,
    rows: Range<usize>,
}

impl Loops for Steps<'_> {
    type Output = [f32; 2];

    #[inline(always)]
    fn run(self) -> [f32; 2] {
        let Self { frame, columns, rows } = self;
        let (width, height) = (columns.len(), rows.len());
        let (mut pixels, mut luminance) = (Wiped::zeroed(width), Wiped::zeroed(width * height));
        for (out, y) in luminance.chunks_exact_mut(width).zip(rows) {
            frame.row(y, columns.start, &mut pixels);
            for (out, &[r, g, b, _]) in out.iter_mut().zip(&*pixels) {
                // The weights of ITU-R BT.709.
                *out = ((54 * u32::from(r) + 183 * u32::from(g) + 19 * u32::from(b)) >> 8) as i16;
            }
        }
        let mut to_the_right = vec![0; width - 3];
        for row in luminance.chunks_exact(width) {
            let four = row.iter().zip(&row[1..]).zip(&row[2..]).zip(&row[3..]);
            for (sum, (((a, b), c), d)) in to_the_right.iter_mut().zip(four) {
                *sum += u32::from(step(*a, *b, *c, *d));
            }
        }
        let row = |y: usize| &luminance[y * width..][..width];
        let down: Vec<u32> = (0..height - 3)
            .map(|y| {
                let four = row(y).iter().zip(row(y + 1)).zip(row(y + 2)).zip(row(y + 3));
                four.map(|(((a, b), c), d)| u32::from(step(*a, *b, *c, *d))).sum()
            })
            .collect();
        let (right, down) = (by_phase(&to_the_right, height), by_phase(&down, width));
        std::array::from_fn(|at| f32::midpoint(right[at], down[at]))
    }
}

/// The step from `b` to `c`.
#[inline(always)]
fn step(a: i16, b: i16, c: i16, d: i16) -> u16 {
    (3 * (c - b) + a - d).abs().min(MOST_STEP).cast_unsigned()
}

/// The mean step where it is largest of the places a block apart, and at all others. Each sum is of `count` steps.
fn by_phase(sums: &[u32], count: usize) -> [f32; 2] {
    let mean = |phase: usize| {
        let of_phase = sums.iter().skip(phase).step_by(BLOCK);
        of_phase.clone().sum::<u32>() as f32 / (of_phase.len() * count) as f32
    };
    let means: [f32; BLOCK] = std::array::from_fn(mean);
    let largest = means.iter().copied().fold(0.0, f32::max);
    [largest, (means.iter().sum::<f32>() - largest) / (BLOCK - 1) as f32]
}
