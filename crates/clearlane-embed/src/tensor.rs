//! From pixels to a network's input: normalised planes.

use clearlane_infer::vectorised;
use ndarray::Array4;

use crate::frame::Frame;
use crate::manifest::{ColourOrder, InputSpec};
use crate::resize::{Ramp, Scaling};

/// Where a frame comes to lie in a network's input: scaled, in the upper left corner; the rest is black.
pub(crate) struct Letterbox {
    /// Input pixels a row of the frame takes.
    pub(crate) width: usize,
    /// Input rows that the frame takes.
    pub(crate) height: usize,
    /// Input pixels a frame pixel.
    pub(crate) scale: f32,
}

impl Letterbox {
    /// The largest that fits.
    pub(crate) fn new(frame: &Frame<'_>, spec: &InputSpec) -> Self {
        let scale = (spec.width as f32 / frame.width() as f32).min(spec.height as f32 / frame.height() as f32);
        let fitted = |side: u32, limit: usize| ((side as f32 * scale).round() as usize).clamp(1, limit);
        Self { width: fitted(frame.width(), spec.width), height: fitted(frame.height(), spec.height), scale }
    }

    /// 1 × 3 × height × width of a network's input that holds the frame.
    pub(crate) fn input(&self, frame: &Frame<'_>, spec: &InputSpec) -> Array4<f32> {
        scaled(frame, self.width, self.height, spec)
    }
}

/// A frame stretched over the whole of a network's input.
pub(crate) fn stretched(frame: &Frame<'_>, spec: &InputSpec) -> Array4<f32> {
    scaled(frame, spec.width, spec.height, spec)
}

fn scaled(frame: &Frame<'_>, width: usize, height: usize, spec: &InputSpec) -> Array4<f32> {
    let mut planes = vec![0.0; 3 * spec.width * spec.height];
    for (plane, ramp) in planes.chunks_exact_mut(spec.width * spec.height).zip(Ramp::of_planes(spec)) {
        let black = ramp.at(0.0);
        plane[height * spec.width..].fill(black);
        plane.chunks_exact_mut(spec.width).take(height).for_each(|row| row[width..].fill(black));
    }
    vectorised(Scaling { frame, width, height, spec, planes: &mut planes });
    Array4::from_shape_vec((1, 3, spec.height, spec.width), planes).expect("three planes of the input's size were made")
}

/// Packed RGB pictures of the network's own size as one batch.
pub(crate) fn batch<'a>(pictures: impl ExactSizeIterator<Item = &'a [u8]>, spec: &InputSpec) -> Array4<f32> {
    // Every byte's value exactly as divided: templates are compared to those of other machines.
    let table: [[f32; 256]; 3] =
        std::array::from_fn(|plane| std::array::from_fn(|value| (value as f32 - spec.mean[plane]) / spec.std[plane]));
    let mut input = Array4::zeros((pictures.len(), 3, spec.height, spec.width));
    for (mut item, rgb) in input.outer_iter_mut().zip(pictures) {
        for (channel, mut plane) in item.outer_iter_mut().enumerate() {
            let source = match spec.colour {
                ColourOrder::Rgb => channel,
                ColourOrder::Bgr => 2 - channel,
            };
            for (out, pixel) in plane.iter_mut().zip(rgb.chunks_exact(3)) {
                *out = table[channel][usize::from(pixel[source])];
            }
        }
    }
    input
}
