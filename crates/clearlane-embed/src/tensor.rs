//! From pixels to a network's input: normalised planes.

use std::sync::{Mutex, PoisonError};

use clearlane_infer::{Wiped, vectorised, wipe};
use ndarray::ArrayView4;

use crate::frame::Frame;
use crate::manifest::{ColourOrder, InputSpec};
use crate::resize::{Ramp, Scaling};
use crate::rotation::Rotation;

/// A batch of a network's input, wiped when it is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    shape: [usize; 4],
    values: Wiped<f32>,
}

impl Input {
    /// So many pictures of zeros.
    pub(crate) fn zeroed(pictures: usize, spec: &InputSpec) -> Self {
        let shape = [pictures, 3, spec.height, spec.width];
        Self { shape, values: Wiped::zeroed(shape.iter().product()) }
    }

    pub(crate) fn view(&self) -> ArrayView4<'_, f32> {
        ArrayView4::from_shape(self.shape, &self.values).expect("there are as many values as the shape says")
    }

    /// Appends the pictures of another batch for the same network.
    pub(crate) fn append(&mut self, other: &Self) {
        self.values.extend_from_slice(&other.values);
        self.shape[0] += other.shape[0];
    }

    pub(crate) fn pictures(&self) -> usize {
        self.shape[0]
    }

    /// Each picture's three planes.
    fn planes(&mut self) -> impl Iterator<Item = &mut [f32]> {
        let [_, _, height, width] = self.shape;
        self.values.chunks_exact_mut((height * width).max(1))
    }
}

/// Inputs of one shape, kept from one picture to the next and wiped in between. Buffers of their size that come and go with each
/// picture leave holes in the heap of every thread that takes one.
#[derive(Default)]
pub(crate) struct KeptInputs(Mutex<Vec<Input>>);

impl KeptInputs {
    /// Does some work with an input of one picture, whose values may be any.
    pub(crate) fn with<T>(&self, spec: &InputSpec, work: impl FnOnce(&mut Input) -> T) -> T {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut input = kept.unwrap_or_else(|| Input::zeroed(1, spec));
        let done = work(&mut input);
        wipe(&mut input.values);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(input);
        done
    }
}

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
    pub(crate) fn input(&self, frame: &Frame<'_>, spec: &InputSpec) -> Input {
        scaled(frame, self.width, self.height, spec)
    }
}

/// A frame stretched over the whole of a network's input.
pub(crate) fn stretched(frame: &Frame<'_>, spec: &InputSpec) -> Input {
    scaled(frame, spec.width, spec.height, spec)
}

/// The upright frame in `width` × `height` pixels.
fn scaled(frame: &Frame<'_>, width: usize, height: usize, spec: &InputSpec) -> Input {
    let mut input = Input::zeroed(1, spec);
    scale_into(&mut input, frame, [width, height], spec);
    input
}

/// Writes the upright frame in `width` × `height` pixels over all of an input of one picture.
pub(crate) fn scale_into(input: &mut Input, frame: &Frame<'_>, [width, height]: [usize; 2], spec: &InputSpec) {
    let rotation = frame.rotation();
    for (plane, ramp) in input.planes().zip(Ramp::of_planes(spec)) {
        let black = ramp.at(0.0);
        plane[height * spec.width..].fill(black);
        plane.chunks_exact_mut(spec.width).take(height).for_each(|row| row[width..].fill(black));
    }
    if rotation == Rotation::None {
        vectorised(Scaling { frame, width, height, spec, planes: &mut input.values });
        return;
    }
    // Few pixels are left to turn once the frame is scaled.
    let [width_there, height_there] = rotation.inverse().turned([width, height]);
    let there = InputSpec { width: width_there, height: height_there, ..spec.clone() };
    let mut scaled = Input::zeroed(1, &there);
    vectorised(Scaling { frame, width: width_there, height: height_there, spec: &there, planes: &mut scaled.values });
    for (plane, scaled) in input.planes().zip(scaled.planes()) {
        let mut upright = plane.chunks_exact_mut(spec.width).flat_map(|row| &mut row[..width]);
        rotation.upright(scaled, [width_there, height_there], |value| {
            if let Some(out) = upright.next() {
                *out = value;
            }
        });
    }
}

/// Packed RGB pictures of the network's own size as one batch.
pub(crate) fn batch<'a>(pictures: impl ExactSizeIterator<Item = &'a [u8]>, spec: &InputSpec) -> Input {
    // Every byte's value exactly as divided: templates are compared to those of other machines.
    let table: [[f32; 256]; 3] =
        std::array::from_fn(|plane| std::array::from_fn(|value| (value as f32 - spec.mean[plane]) / spec.std[plane]));
    let mut input = Input::zeroed(pictures.len(), spec);
    let mut planes = input.planes();
    for rgb in pictures {
        for (channel, plane) in planes.by_ref().take(3).enumerate() {
            let source = match spec.colour {
                ColourOrder::Rgb => channel,
                ColourOrder::Bgr => 2 - channel,
            };
            for (out, pixel) in plane.iter_mut().zip(rgb.chunks_exact(3)) {
                *out = table[channel][usize::from(pixel[source])];
            }
        }
    }
    drop(planes);
    input
}
