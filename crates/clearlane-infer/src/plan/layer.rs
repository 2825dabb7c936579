//! A network as layers over tensors that have a layout but no place yet.

use std::sync::Arc;

use crate::kernel::convolution::Convolution;
use crate::kernel::epilogue::Activation;
use crate::kernel::integer::{Quantisation, Rescale};
use crate::kernel::lists::ListOperator;
use crate::kernel::product::{Extents, Weights};
use crate::kernel::program::Fallback;
use crate::kernel::rowwise::{Reduction, Window};

/// An index into [`Layers::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TensorId(pub(crate) usize);

/// A tensor's extents and layout.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    /// 16 for the blocked layout, 1 for plain C x H x W and flat lists.
    pub(crate) lanes: usize,
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// How many pixels around each plane convolutions read.
    pub(crate) halo: usize,
    /// What the halo holds, once a convolution has asked for it: a value a channel, or zeros.
    pub(crate) fill: Option<Fill>,
    /// Another tensor whose memory this is, read with other extents.
    pub(crate) alias: Option<TensorId>,
    /// What its values stand for, where it is quantised.
    pub(crate) quantisation: Option<Quantisation>,
    /// More than one reader, or readers that need the values themselves.
    pub(crate) shared: bool,
}

/// What a halo holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fill {
    Zeros,
    Values(Vec<f32>),
}

/// What a layer does, without its tensors, which [`Layer`] names.
pub(crate) enum Kind<'a> {
    /// The convolution of the first tensor; the second, if any, is added.
    Convolution {
        convolution: Convolution<'a>,
        activation: Activation,
        add_first: bool,
    },
    /// The convolution of the first tensor, which is quantised; the second, if any, is added as the rescaling says.
    Integer {
        convolution: Convolution<'a, i8, i32>,
        rescale: Rescale,
    },
    /// Quantises or dequantises.
    Recode,
    /// The tiles of the tensor, transformed: see [`crate::kernel::winograd`].
    TileInput,
    /// The products of transformed tiles with this convolution's weights.
    TileProducts(Convolution<'a>),
    /// The transformation back of such products; the second tensor, if any, is added.
    TileOutput {
        bias: Vec<f32>,
        activation: Activation,
        add_first: bool,
    },
    Activate(Activation),
    Add(Activation),
    Multiply(Activation),
    Affine {
        scale: Vec<f32>,
        shift: Vec<f32>,
        activation: Activation,
    },
    Pool {
        window: Window,
        reduction: Reduction,
    },
    Resize {
        rows: Vec<usize>,
        columns: Vec<usize>,
    },
    /// The tensors' channels one after the other.
    Concat,
    /// The tensor's channels from one on, as many as the output has.
    Channels {
        first: usize,
    },
    /// Some channels as a flat list, pixel by pixel, through a sigmoid where `sigmoid` says so.
    ToRows {
        skip: usize,
        count: usize,
        sigmoid: bool,
    },
    /// An operator on flat lists.
    Lists(Arc<ListOperator>),
    /// The product of the first list with the weights, to which the second, if any, is added; or with the second.
    Product {
        extents: Extents,
        weights: Option<Weights<'a>>,
    },
    Fallback(Arc<dyn Fallback>),
}

/// An operator before it is packed.
pub(crate) struct Layer<'a> {
    pub(crate) kind: Kind<'a>,
    pub(crate) from: Vec<TensorId>,
    pub(crate) to: Vec<TensorId>,
    /// The graph's nodes that it runs.
    pub(crate) nodes: Vec<usize>,
}

/// A network between the graph and the program.
#[derive(Default)]
pub(crate) struct Layers<'a> {
    pub(crate) tensors: Vec<Tensor>,
    /// The layers in the order in which they run.
    pub(crate) order: Vec<Layer<'a>>,
    pub(crate) outputs: Vec<TensorId>,
}

impl<'a> Layers<'a> {
    pub(crate) fn tensor(&mut self, lanes: usize, [channels, height, width]: [usize; 3]) -> TensorId {
        let tensor = Tensor {
            lanes,
            channels,
            height,
            width,
            halo: 0,
            fill: None,
            alias: None,
            quantisation: None,
            shared: false,
        };
        self.tensors.push(tensor);
        TensorId(self.tensors.len() - 1)
    }

    /// A quantised tensor.
    pub(crate) fn quantised(&mut self, lanes: usize, extents: [usize; 3], quantisation: Quantisation) -> TensorId {
        let id = self.tensor(lanes, extents);
        self.tensors[id.0].quantisation = Some(quantisation);
        id
    }

    /// The same memory with other extents.
    pub(crate) fn alias(&mut self, of: TensorId, lanes: usize, extents: [usize; 3]) -> TensorId {
        let id = self.tensor(lanes, extents);
        self.tensors[id.0].alias = Some(self.root(of));
        id
    }

    /// The tensor that owns the memory.
    pub(crate) fn root(&self, tensor: TensorId) -> TensorId {
        self.tensors[tensor.0].alias.unwrap_or(tensor)
    }

    pub(crate) fn get(&self, tensor: TensorId) -> &Tensor {
        &self.tensors[tensor.0]
    }

    pub(crate) fn push(&mut self, kind: Kind<'a>, from: Vec<TensorId>, to: TensorId, node: Option<usize>) {
        self.order.push(Layer { kind, from, to: vec![to], nodes: node.into_iter().collect() });
    }

    /// The layer that writes a tensor.
    pub(crate) fn producer(&self, tensor: TensorId) -> Option<usize> {
        self.order.iter().position(|layer| layer.to.contains(&tensor))
    }

    /// Requests a halo around a tensor; `false` if it has one with other values, or cannot have one.
    pub(crate) fn ask_halo(&mut self, tensor: TensorId, halo: usize, fill: Fill) -> bool {
        if halo == 0 {
            return true;
        }
        let is_aliased = self.tensors.iter().any(|other| other.alias == Some(tensor));
        // What is plain is written as a list, but for the image itself and for copies.
        let is_copy = |layer: usize| matches!(self.order[layer].kind, Kind::Concat);
        let is_list = self.get(tensor).lanes == 1 && !self.producer(tensor).is_none_or(is_copy);
        let entry = &mut self.tensors[tensor.0];
        let agrees = entry.fill.as_ref().is_none_or(|existing| *existing == fill);
        if entry.alias.is_some() || is_aliased || is_list || !agrees {
            return false;
        }
        entry.fill = Some(fill);
        entry.halo = entry.halo.max(halo);
        true
    }
}
