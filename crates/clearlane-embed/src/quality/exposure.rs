//! How the face is lit and how sharp it is, measured on the aligned face at twice the embedder's resolution.

use super::{Component, Measure, measure, sigmoid};
use crate::align::{ALIGNED_SIDE, AlignError, REFERENCE_LANDMARKS, warp};
use crate::frame::Frame;
use crate::geometry::{Point, Similarity};

/// Measured pixels an aligned pixel.
const ZOOM: f32 = 2.0;
const SIDE: usize = 2 * ALIGNED_SIDE;

/// The face within an aligned picture: an ellipse from the brows to the chin, in aligned pixels.
const FACE_CENTRE: Point = Point::new(56.0, 72.0);
const FACE_RADII: (f32, f32) = (34.0, 38.0);

/// Levels of the histograms that are compared between the cheeks.
const CHEEK_LEVELS: usize = 32;

pub(super) fn assess(frame: &Frame<'_>, landmarks: &[Point; 5]) -> Result<[Measure; 7], AlignError> {
    let zoomed = REFERENCE_LANDMARKS.map(|point| Point::new(ZOOM * point.x, ZOOM * point.y));
    let onto = Similarity::fit(landmarks, &zoomed).ok_or(AlignError { landmarks: *landmarks })?;
    let from = onto.inverse();
    let luminance = luminance(&warp(frame, &from, SIDE));
    let inside = |point: Point| {
        let at = from.apply(point);
        (0.0..frame.width() as f32).contains(&at.x) && (0.0..frame.height() as f32).contains(&at.y)
    };
    let face: Vec<(usize, usize)> = pixels().filter(|&(x, y)| in_face(x, y) && inside(centre_of(x, y))).collect();
    let histogram = histogram::<256>(face.iter().map(|&(x, y)| luminance[y * SIDE + x]));

    let mean: f32 = histogram.iter().enumerate().map(|(level, part)| part * level as f32 / 255.0).sum();
    let deviations = histogram.iter().enumerate().map(|(level, part)| part * (level as f32 / 255.0 - mean).powi(2));
    let variance: f32 = deviations.sum();
    let dark: f32 = histogram[..=25].iter().sum();
    let bright: f32 = histogram[247..].iter().sum();
    let entropy: f32 = -histogram.iter().filter(|part| **part > 0.0).map(|part| part * part.log2()).sum::<f32>();
    let sharpness = laplacian_variance(&luminance, &face);
    let uniformity = uniformity(&luminance);

    let mean_value = 100.0 * sigmoid(mean, 0.2, 0.05) * (1.0 - sigmoid(mean, 0.8, 0.05));
    let variance_value = 100.0 * (60.0 * variance / (60.0 * variance + 1.0) * std::f32::consts::PI).sin();
    Ok([
        measure(Component::Sharpness, sharpness, 100.0 * sigmoid(sharpness.max(1e-3).ln(), 100f32.ln(), 0.7)),
        measure(Component::LuminanceMean, mean, mean_value),
        measure(Component::LuminanceVariance, variance, variance_value),
        measure(Component::UnderExposurePrevention, dark, 120.0 * (0.832 - sigmoid(dark, 0.92, 0.05))),
        measure(Component::OverExposurePrevention, bright, 1.0 / (bright + 0.01)),
        measure(Component::DynamicRange, entropy, 12.5 * entropy),
        measure(Component::IlluminationUniformity, uniformity, 100.0 * uniformity.powf(0.3)),
    ])
}

/// Luminance of RGB pixels with the weights of ITU-R BT.709, in 0–255.
fn luminance(rgb: &[u8]) -> Vec<u8> {
    let of = |pixel: &[u8]| {
        let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
        (0.2126 * r + 0.7152 * g + 0.0722 * b + 0.5) as u8
    };
    rgb.chunks_exact(3).map(of).collect()
}

fn pixels() -> impl Iterator<Item = (usize, usize)> {
    (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x, y)))
}

fn centre_of(x: usize, y: usize) -> Point {
    Point::new(x as f32, y as f32)
}

fn in_face(x: usize, y: usize) -> bool {
    let dx = (x as f32 / ZOOM - FACE_CENTRE.x) / FACE_RADII.0;
    let dy = (y as f32 / ZOOM - FACE_CENTRE.y) / FACE_RADII.1;
    dx * dx + dy * dy <= 1.0
}

/// The parts of the values that fall into each of `LEVELS` equal ranges; they sum to 1, or to 0 without values.
fn histogram<const LEVELS: usize>(values: impl Iterator<Item = u8>) -> [f32; LEVELS] {
    let mut counts = [0u32; LEVELS];
    values.for_each(|value| counts[usize::from(value) * LEVELS / 256] += 1);
    let total = counts.iter().sum::<u32>().max(1) as f32;
    counts.map(|count| count as f32 / total)
}

/// The variance of the four-neighbour Laplacian over the face's pixels (Pech-Pacheco et al., ICPR 2000).
fn laplacian_variance(luminance: &[u8], face: &[(usize, usize)]) -> f32 {
    let at = |x: usize, y: usize| f32::from(luminance[y * SIDE + x]);
    // The ellipse ends at row 220 of 224, so that every pixel of it has four neighbours.
    let laplacian =
        |&(x, y): &(usize, usize)| at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1) - 4.0 * at(x, y);
    let count = face.len().max(1) as f32;
    let mean = face.iter().map(laplacian).sum::<f32>() / count;
    face.iter().map(|pixel| (laplacian(pixel) - mean).powi(2)).sum::<f32>() / count
}

/// The common part of both cheeks' histograms. Each cheek is a square of 0.3 eye distances below an eye, half-way to the
/// mouth.
fn uniformity(luminance: &[u8]) -> f32 {
    let [left_eye, right_eye, _, left_mouth, right_mouth] = REFERENCE_LANDMARKS;
    let half = 0.15 * ZOOM * left_eye.distance(right_eye);
    let y = ZOOM * left_eye.middle(right_eye).middle(left_mouth.middle(right_mouth)).y;
    let cheek = |x: f32| {
        let (x, rows) = (ZOOM * x, (y - half) as usize..(y + half) as usize);
        histogram::<CHEEK_LEVELS>(
            rows.flat_map(|row| &luminance[row * SIDE..][(x - half) as usize..(x + half) as usize]).copied(),
        )
    };
    let (left, right) = (cheek(left_eye.x), cheek(right_eye.x));
    left.iter().zip(&right).map(|(l, r)| l.min(*r)).sum()
}
