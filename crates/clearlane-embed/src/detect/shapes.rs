//! A detector's networks for inputs of different shapes. A wide frame fills the upper part of a square input only; a network
//! that is made for that part alone finds the same faces in less time.

use std::sync::{Arc, PoisonError, RwLock};

use clearlane_infer::{InferError, Network, Options};

use super::STRIDES;
use crate::error::ModelError;
use crate::manifest::InputSpec;
use crate::tensor::KeptInputs;

/// An input of another shape is so many fifths of the model's own, rounded up to the coarsest grid's stride: three for frames
/// of 16 : 9, four for 4 : 3.
const PARTS: usize = 5;

/// Networks that are kept. A camera needs its frames' shape and one or two finer ones; frames of all shapes would otherwise fill
/// the memory.
const KEPT: usize = 12;

/// A network and what it takes.
pub(super) struct Shape {
    pub(super) network: Network,
    pub(super) input: InputSpec,
    pub(super) kept: KeptInputs,
}

/// The network of the model's own input, and those of other shapes, each made when the first frame asks.
pub(super) struct Shapes {
    own: Arc<Shape>,
    onnx: Box<[u8]>,
    /// By width and height, the newest last; None where the graph cannot be made over for it.
    others: RwLock<Vec<Tried>>,
}

/// A width and height, and the network of this input where it could be made.
type Tried = ([usize; 2], Option<Arc<Shape>>);

impl Shape {
    pub(super) fn new(onnx: &[u8], input: InputSpec, options: &Options) -> Result<Self, InferError> {
        let network = Network::with_options(onnx, [3, input.height, input.width], options)?;
        Ok(Self { network, input, kept: KeptInputs::default() })
    }

    /// Whether a picture of this size fits into the input.
    pub(super) fn holds(&self, [width, height]: [usize; 2]) -> bool {
        width <= self.input.width && height <= self.input.height
    }
}

impl Shapes {
    pub(super) fn new(onnx: &[u8], input: &InputSpec) -> Result<Self, InferError> {
        let own = Arc::new(Shape::new(onnx, input.clone(), &Options::default())?);
        Ok(Self { own, onnx: onnx.into(), others: RwLock::default() })
    }

    /// The same model with another input as its own.
    pub(super) fn resized(&self, input: InputSpec) -> Result<Self, InferError> {
        let own = Arc::new(Shape::new(&self.onnx, input, &Options::default().refitted())?);
        Ok(Self { own, onnx: self.onnx.clone(), others: RwLock::default() })
    }

    /// The model's own.
    pub(super) fn own(&self) -> &Arc<Shape> {
        &self.own
    }

    /// The shape for pictures of this size: the smallest that is a part of the model's own input where they fit into that, and
    /// else the next whole number of the coarsest grid's cells.
    pub(super) fn for_picture(&self, [width, height]: [usize; 2]) -> [usize; 2] {
        let own = [self.own.input.width, self.own.input.height];
        let parts =
            |side: usize, own: usize| side.next_multiple_of(own.div_ceil(PARTS).next_multiple_of(STRIDES[2])).min(own);
        if width > own[0] || height > own[1] {
            [width, height].map(|side| side.next_multiple_of(STRIDES[2]))
        } else if parts(height, own[1]) < own[1] {
            [own[0], parts(height, own[1])]
        } else {
            [parts(width, own[0]), own[1]]
        }
    }

    /// The network of this width and height, made by `make` from the model's bytes where there is none yet. None where it cannot
    /// be made, which is told once.
    pub(super) fn get(
        &self,
        size: [usize; 2],
        make: impl FnOnce(&[u8], InputSpec) -> Result<Shape, ModelError>,
    ) -> Option<Arc<Shape>> {
        if size == [self.own.input.width, self.own.input.height] {
            return Some(Arc::clone(&self.own));
        }
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, shape)) = others.iter().find(|(of, _)| *of == size) {
            return shape.clone();
        }
        drop(others);
        // Two threads may make the same; the frames of others go on meanwhile.
        let [width, height] = size;
        let made = make(&self.onnx, InputSpec { width, height, ..self.own.input.clone() })
            .inspect_err(|error| tracing::warn!(%error, width, height, "the detector runs on its own input alone"))
            .ok()
            .map(Arc::new);
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        if !others.iter().any(|(of, _)| *of == size) {
            if others.len() == KEPT {
                others.remove(0);
            }
            others.push((size, made.clone()));
        }
        made
    }
}
