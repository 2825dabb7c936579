//! Whether a face has the colours of skin.

use super::{Component, Measure, measure, sigmoid};
use crate::align::{ALIGNED_SIDE, AlignedFace, REFERENCE_LANDMARKS};

/// a* and b* of skin in natural light, and the distance from it of what is green or blue (OFIQ 1.0, `NaturalColour`).
const A: (f32, f32) = (5.0, 25.0);
const B: (f32, f32) = (5.0, 35.0);
const NOT_SKIN: f32 = 100.0;

pub(super) fn assess(face: &AlignedFace) -> Measure {
    let pixels = face.as_rgb8().as_chunks::<3>().0;
    let grey = pixels.iter().all(|[r, g, b]| r == g && g == b);
    let distance = if grey { 0.0 } else { from_skin(a_and_b(cheeks(pixels))) };
    measure(Component::NaturalColour, distance, 200.0 * (1.0 - sigmoid(distance, 0.0, 10.0)))
}

/// How far a colour is from those of skin, in CIELAB.
fn from_skin((a, b): (f32, f32)) -> f32 {
    let outside = |value: f32, (least, most): (f32, f32)| (least - value).max(value - most).max(0.0);
    if a < 0.0 || b < 0.0 { NOT_SKIN } else { outside(a, A).hypot(outside(b, B)) }
}

/// The mean colour of both cheeks, each channel in [0, 1]. A cheek is a square of 0.3 eye distances below an eye, half-way to the mouth.
fn cheeks(pixels: &[[u8; 3]]) -> [f32; 3] {
    let [left_eye, right_eye, _, left_mouth, right_mouth] = REFERENCE_LANDMARKS;
    let half = 0.15 * left_eye.distance(right_eye);
    let y = left_eye.middle(right_eye).middle(left_mouth.middle(right_mouth)).y;
    let range = |middle: f32| (middle - half) as usize..(middle + half) as usize;
    let squares = [left_eye.x, right_eye.x].map(range);
    let rows = range(y).flat_map(|row| squares.clone().map(|square| &pixels[row * ALIGNED_SIDE..][square]));
    let (mut sum, mut count) = ([0; 3], 0);
    for pixel in rows.flatten() {
        count += 1;
        sum.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += u32::from(value));
    }
    sum.map(|sum| sum as f32 / (255 * count) as f32)
}

/// CIELAB's a* and b* of an sRGB colour (IEC 61966-2-1; its primaries adapted to D50 by Bradford's matrix, which is the white of
/// CIE 15 that the standard takes).
fn a_and_b(colour: [f32; 3]) -> (f32, f32) {
    let [r, g, b] =
        colour.map(|value| if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) });
    let x = (0.43605 * r + 0.38508 * g + 0.14309 * b) / 0.964_221;
    let y = 0.22249 * r + 0.71689 * g + 0.06062 * b;
    let z = (0.01393 * r + 0.09710 * g + 0.71419 * b) / 0.825_211;
    let [x, y, z] = [x, y, z]
        .map(|value| if value > 216.0 / 24_389.0 { value.cbrt() } else { (24_389.0 / 27.0 * value + 16.0) / 116.0 });
    (500.0 * (x - y), 200.0 * (y - z))
}
