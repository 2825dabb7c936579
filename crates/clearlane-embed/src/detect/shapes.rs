//! A detector's networks for frames of different shapes. A wide frame fills the upper part of a square input only; a network
//! that is made for that part alone finds the same faces in less time.

use std::sync::OnceLock;

use clearlane_infer::{InferError, Network, Options};

use crate::manifest::InputSpec;

/// Inputs are multiples of the coarsest grid's stride.
const STEP: usize = super::STRIDES[2];

/// A network and what it takes.
pub(super) struct Shape {
    pub(super) network: Network,
    pub(super) input: InputSpec,
}

/// The network of the model's own input, and those of lower and of narrower ones, each made when the first frame asks.
pub(super) struct Shapes {
    own: Shape,
    onnx: Box<[u8]>,
    /// By height in steps, less one.
    lower: Box<[OnceLock<Option<Shape>>]>,
    /// By width in steps, less one.
    narrower: Box<[OnceLock<Option<Shape>>]>,
}

impl Shape {
    fn new(onnx: &[u8], input: InputSpec, options: &Options) -> Result<Self, InferError> {
        let network = Network::with_options(onnx, [3, input.height, input.width], options)?;
        Ok(Self { network, input })
    }
}

impl Shapes {
    pub(super) fn new(onnx: &[u8], input: &InputSpec) -> Result<Self, InferError> {
        let steps = |side: usize| (1..side.div_ceil(STEP)).map(|_| OnceLock::new()).collect();
        let own = Shape::new(onnx, input.clone(), &Options::default())?;
        Ok(Self { own, onnx: onnx.into(), lower: steps(input.height), narrower: steps(input.width) })
    }

    /// The model's own.
    pub(super) fn own(&self) -> &Shape {
        &self.own
    }

    /// The smallest that holds this many pixels and satisfies `sound`; the model's own where there is no smaller one.
    pub(super) fn holding(&self, width: usize, height: usize, sound: impl Fn(&Shape) -> bool) -> &Shape {
        let own = &self.own.input;
        let (columns, rows) = (width.next_multiple_of(STEP), height.next_multiple_of(STEP));
        let (slot, input) = if rows < own.height {
            (&self.lower[rows / STEP - 1], InputSpec { height: rows, ..own.clone() })
        } else if columns < own.width {
            (&self.narrower[columns / STEP - 1], InputSpec { width: columns, ..own.clone() })
        } else {
            return &self.own;
        };
        let make = || Shape::new(&self.onnx, input, &Options::default().refitted()).ok().filter(sound);
        slot.get_or_init(make).as_ref().unwrap_or(&self.own)
    }
}
