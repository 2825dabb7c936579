//! How even the background is: the luminance's gradient above the head and beside it.

use clearlane_infer::Wiped;

use super::{Component, Measure, measure, sigmoid};
use crate::align::{FacePatch, REFERENCE_LANDMARKS};
use crate::frame::Frame;
use crate::geometry::{BoundingBox, Point, Similarity};

/// Gradients are taken between samples of which 81.3 lie between the eyes, as in the standard's picture of 354 × 292.
const SAMPLES_BETWEEN_EYES: f32 = 81.3;

/// Every so many samples along both axes a gradient is taken: a mean needs no more.
const STEP: f32 = 12.0;

/// The part that the standard looks at, in eye distances from the middle between the eyes: to each side, above and below.
const REACH: (f32, f32, f32) = (2.18, 2.41, 1.19);

/// Half an ellipse that holds a head with its hair, and how wide the hair falls under it. In eye distances: a head is 155 mm
/// wide and 115 mm high above the eyes, which are 63 mm apart (Farkas, Anthropometry of the Head and Face, 1994); the rest is hair.
const HEAD: (f32, f32) = (1.7, 2.2);

/// The part of the background that must be in the frame.
const LEAST_SEEN: f32 = 0.25;

/// `None` where the frame shows hardly any background.
pub(super) fn assess(frame: &Frame<'_>, patch: &FacePatch) -> Option<Measure> {
    let [left_eye, right_eye, ..] = REFERENCE_LANDMARKS;
    let (eyes, distance) = (left_eye.middle(right_eye), left_eye.distance(right_eye));
    let mut gradients = Gradients::new(frame, &patch.source, distance / SAMPLES_BETWEEN_EYES)?;
    let (mut places, mut seen, mut sum) = (0, 0, 0.0);
    for (x, y) in background() {
        places += 1;
        let place = Point::new(eyes.x + x * distance, eyes.y + y * distance);
        if let Some(gradient) = gradients.at(patch.source.apply(place)) {
            seen += 1;
            sum += gradient;
        }
    }
    (seen as f32 >= LEAST_SEEN * places as f32).then(|| {
        let mean = sum / seen as f32;
        measure(Component::BackgroundUniformity, mean, 190.0 * (1.0 - sigmoid(mean, 10.0, 100.0)))
    })
}

/// All that is looked at, in an aligned face's coordinates: the places, and two samples around each for its gradient.
pub(super) fn seen() -> BoundingBox {
    let [left_eye, right_eye, ..] = REFERENCE_LANDMARKS;
    let (eyes, distance) = (left_eye.middle(right_eye), left_eye.distance(right_eye));
    let (aside, above, below) = REACH;
    let [aside, above, below] = [aside, above, below].map(|reach| (reach + 2.0 / SAMPLES_BETWEEN_EYES) * distance);
    BoundingBox { x0: eyes.x - aside, y0: eyes.y - above, x1: eyes.x + aside, y1: eyes.y + below }
}

/// Where gradients are taken, in eye distances from the middle between the eyes.
fn background() -> impl Iterator<Item = (f32, f32)> {
    let step = STEP / SAMPLES_BETWEEN_EYES;
    let (aside, above, below) = REACH;
    let range = move |from: f32, to: f32| {
        (0..).map(move |index: u16| from + step * f32::from(index)).take_while(move |&at| at <= to)
    };
    let behind = |x: f32, y: f32| (x / HEAD.0).powi(2) + (y.min(0.0) / HEAD.1).powi(2) > 1.0;
    range(-above, below)
        .flat_map(move |y| range(-aside, aside).map(move |x| (x, y)))
        .filter(move |&(x, y)| behind(x, y))
}

/// Gradients of a frame's luminance between places a sample apart.
struct Gradients<'a> {
    frame: &'a Frame<'a>,
    /// From one sample to the next, in the frame as it lies in memory.
    right: Point,
    down: Point,
    /// From the middle sample to the border of the square that holds all nine.
    reach: f32,
    /// The pixels of that square, in rows of a pixel more: pairs of pixels share their chroma.
    side: usize,
    pixels: Wiped<[u8; 4]>,
}

impl<'a> Gradients<'a> {
    /// `None` where the frame has no room for the square.
    fn new(frame: &'a Frame<'a>, source: &Similarity, pitch: f32) -> Option<Self> {
        let (a, b) = (pitch * source.a, pitch * source.b);
        let reach = a.abs() + b.abs();
        let side = ((2.0 * reach).ceil() as usize).saturating_add(2);
        let room = frame.size_in_memory().iter().all(|&length| length as usize > side);
        room.then(|| {
            let pixels = Wiped::zeroed(side * (side + 1));
            Self { frame, right: Point::new(a, b), down: Point::new(-b, a), reach, side, pixels }
        })
    }

    /// The gradient's length by Sobel's operator, in 8-bit levels; `None` at the frame's border and outside of it.
    fn at(&mut self, middle: Point) -> Option<f32> {
        let Self { frame, right, down, reach, side, ref mut pixels } = *self;
        let [width, height] = frame.size_in_memory().map(|side| side as usize);
        let (left, top) = (middle.x - reach, middle.y - reach);
        let inside = (0.0..(width - side) as f32).contains(&left) && (0.0..(height - side) as f32).contains(&top);
        if !inside {
            return None;
        }
        let (left, top) = (left as usize / 2 * 2, top as usize);
        for (y, row) in (top..).zip(pixels.chunks_exact_mut(side + 1)) {
            frame.row(y, left, row);
        }
        let level = |x: usize, y: usize| {
            let [r, g, b, _] = pixels[y * (side + 1) + x].map(f32::from);
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        let sample = |column: f32, row: f32| {
            let x = middle.x + column * right.x + row * down.x - left as f32;
            let y = middle.y + column * right.y + row * down.y - top as f32;
            let (column, row) = ((x as usize).min(side - 1), (y as usize).min(side - 2));
            let (x, y) = (x - column as f32, y - row as f32);
            let between = |y: usize| level(column, y) * (1.0 - x) + level(column + 1, y) * x;
            between(row) * (1.0 - y) + between(row + 1) * y
        };
        let row = |y: f32| [sample(-1.0, y), sample(0.0, y), sample(1.0, y)];
        let (above, beside, below) = (row(-1.0), row(0.0), row(1.0));
        let across = (above[2] - above[0]) + 2.0 * (beside[2] - beside[0]) + (below[2] - below[0]);
        let along = (below[0] - above[0]) + 2.0 * (below[1] - above[1]) + (below[2] - above[2]);
        Some(across.hypot(along))
    }
}
