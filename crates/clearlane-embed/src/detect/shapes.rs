//! A detector's networks for frames of different shapes. A wide frame fills the upper part of a square input only; a network
//! that is made for that part alone finds the same faces in less time.

use std::sync::OnceLock;

use clearlane_infer::{InferError, Network, Options};

use super::STRIDES;
use crate::error::ModelError;
use crate::manifest::InputSpec;

/// An input of another shape is so many fifths of the model's own, rounded up to the coarsest grid's stride: three for frames
/// of 16 : 9, four for 4 : 3. A camera needs one of them, and there are never more than eight.
const PARTS: usize = 5;

fn step(side: usize) -> usize {
    side.div_ceil(PARTS).next_multiple_of(STRIDES[2])
}

/// A network and what it takes.
pub(super) struct Shape {
    pub(super) network: Network,
    pub(super) input: InputSpec,
}

/// The network of the model's own input, and those of lower and of narrower ones, each made when the first frame asks. Which
/// serves a frame depends on its shape alone.
pub(super) struct Shapes {
    own: Shape,
    onnx: Box<[u8]>,
    /// By height in steps, less one.
    lower: [OnceLock<Option<Shape>>; PARTS - 1],
    /// By width in steps, less one.
    narrower: [OnceLock<Option<Shape>>; PARTS - 1],
}

impl Shape {
    pub(super) fn new(onnx: &[u8], input: InputSpec, options: &Options) -> Result<Self, InferError> {
        let network = Network::with_options(onnx, [3, input.height, input.width], options)?;
        Ok(Self { network, input })
    }
}

impl Shapes {
    pub(super) fn new(onnx: &[u8], input: &InputSpec) -> Result<Self, InferError> {
        let own = Shape::new(onnx, input.clone(), &Options::default())?;
        Ok(Self { own, onnx: onnx.into(), lower: Default::default(), narrower: Default::default() })
    }

    /// The model's own.
    pub(super) fn own(&self) -> &Shape {
        &self.own
    }

    /// The smallest that holds this many pixels, made by `make` from the model's bytes; the model's own where there is no
    /// smaller one.
    pub(super) fn holding(
        &self,
        width: usize,
        height: usize,
        make: impl FnOnce(&[u8], InputSpec) -> Result<Shape, ModelError>,
    ) -> &Shape {
        let own = &self.own.input;
        let steps = [height.div_ceil(step(own.height)), width.div_ceil(step(own.width))];
        let (rows, columns) = (steps[0] * step(own.height), steps[1] * step(own.width));
        let (slot, input) = if rows < own.height {
            (&self.lower[steps[0] - 1], InputSpec { height: rows, ..own.clone() })
        } else if columns < own.width {
            (&self.narrower[steps[1] - 1], InputSpec { width: columns, ..own.clone() })
        } else {
            return &self.own;
        };
        let made = slot.get_or_init(|| {
            let made = make(&self.onnx, input);
            made.inspect_err(|error| tracing::warn!(%error, "frames of this shape take the model's whole input")).ok()
        });
        made.as_ref().unwrap_or(&self.own)
    }
}
