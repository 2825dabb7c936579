//! From the graph's nodes to layers: each operator that a kernel exists for becomes a layer or joins the one before
//! it, and any other falls back to tract.

mod cast;
mod elementwise;
mod fallback;
mod lists;
mod product;
mod quantised;
mod shape;
mod sum;
mod window;

use std::collections::HashMap;

use tract_onnx::pb::NodeProto;

use crate::InferError;
use crate::graph::Graph;
use crate::kernel::vector::LANES;
use crate::plan::layer::{Kind, Layers, TensorId};

/// What became of a graph.
pub(crate) struct Lowered<'a> {
    pub(crate) layers: Layers<'a>,
    pub(crate) input: TensorId,
    /// For each node of the graph, whether kernels of this crate run it.
    pub(crate) own: Vec<bool>,
}

/// Turns the graph into layers. A node that neither a kernel nor tract can run is an error.
pub(crate) fn lower<'a>(graph: &'a Graph<'a>, image: [usize; 3]) -> Result<Lowered<'a>, InferError> {
    let mut layers = Layers::default();
    let input = layers.tensor(1, image);
    let mut lowering =
        Lowering { graph, layers, forms: HashMap::new(), flats: HashMap::new(), quantised: HashMap::new() };
    lowering.bind(graph.input, Form::Tensor(input));
    let mut own = Vec::new();
    for (index, node) in graph.proto.node.iter().enumerate() {
        let folded = node.output.iter().all(|output| graph.is_constant(output));
        let done = folded || lowering.node(index, node).or_else(|| lowering.on_lists(index, node)).is_some();
        if !done {
            lowering.fall_back(index, node)?;
        }
        own.push(done);
    }
    for output in &graph.proto.output {
        let _ = lowering.dequantised(&output.name);
        let flat = lowering.flat(&output.name).ok_or_else(|| InferError::Graph {
            detail: format!("output `{}` does not depend on the input", output.name),
        })?;
        lowering.layers.outputs.push(flat);
    }
    Ok(Lowered { layers: lowering.layers, input, own })
}

/// The layers so far, and the form in which each value of the graph is available.
struct Lowering<'a> {
    graph: &'a Graph<'a>,
    layers: Layers<'a>,
    forms: HashMap<&'a str, Form>,
    /// Values that have been written out as flat lists.
    flats: HashMap<&'a str, TensorId>,
    /// Quantised values, and dequantised ones that have not been made; in the same forms.
    quantised: HashMap<&'a str, Form>,
}

/// How a value is kept. Moves are put off until an operator needs them, and often never made.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// As it is: blocked or plain.
    Tensor(TensorId),
    /// The flat list of a blocked tensor, channel by channel.
    Flattened(TensorId),
    /// The flat list of a blocked tensor, pixel by pixel.
    Rows(TensorId),
}

impl Form {
    fn tensor(self) -> TensorId {
        match self {
            Self::Tensor(tensor) | Self::Flattened(tensor) | Self::Rows(tensor) => tensor,
        }
    }

    fn with(self, tensor: TensorId) -> Self {
        match self {
            Self::Tensor(_) => Self::Tensor(tensor),
            Self::Flattened(_) => Self::Flattened(tensor),
            Self::Rows(_) => Self::Rows(tensor),
        }
    }
}

impl<'a> Lowering<'a> {
    /// Lowers one node; `None`, and nothing done, if no kernel exists for it.
    fn node(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        match node.op_type.as_str() {
            "QuantizeLinear" => return self.quantise(index, node),
            "DequantizeLinear" => return self.dequantise(node),
            _ if self.integer(index, node).is_some() => return Some(()),
            _ => {}
        }
        for value in node.input.iter().filter(|value| self.graph.is_float(value)) {
            // A value without a form is a constant, or the operator that reads it finds it missing.
            let _ = self.dequantised(value);
        }
        match node.op_type.as_str() {
            "Add" | "Sub" | "Mul" | "Div" if self.reads_lists(node) => None,
            "Conv" => self.conv(index, node),
            "Gemm" => self.gemm(index, node),
            "MatMul" => self.matmul(index, node),
            "BatchNormalization" => self.batch_norm(index, node),
            "Relu" | "Clip" | "PRelu" | "LeakyRelu" | "Sigmoid" | "Tanh" | "Erf" | "Gelu" | "HardSigmoid"
            | "HardSwish" | "Sqrt" | "Abs" | "Pow" => self.activation(index, node),
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(index, node),
            "MaxPool" | "AveragePool" | "GlobalAveragePool" => self.pool(index, node),
            "ReduceMean" if self.reduced_axes(node)? == [2, 3] => self.pool(index, node),
            "Resize" | "Upsample" => self.resize(index, node),
            "Concat" => self.concat(index, node),
            "Slice" => self.channels(index, node),
            "Transpose" => self.transpose(node),
            "Cast" => self.cast(index, node),
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Identity" | "Dropout" => self.reshape(node),
            _ => None,
        }
    }

    /// Whether all that a node reads, constants apart, are lists that layers made.
    fn reads_lists(&self, node: &NodeProto) -> bool {
        let mut varying = node.input.iter().filter(|value| !self.graph.is_constant(value));
        varying.all(|value| self.made_list(value).is_some())
    }

    /// Records the form in which a value is available.
    fn bind(&mut self, value: &'a str, form: Form) {
        self.forms.insert(value, form);
        if self.graph.uses(value) != 1 {
            self.layers.tensors[form.tensor().0].shared = true;
        }
    }

    /// A value in the blocked layout; a row of numbers counts as the channels of one pixel.
    fn blocked(&mut self, value: &'a str) -> Option<TensorId> {
        let extents = match *self.graph.shape(value)? {
            [1, channels] => [channels, 1, 1],
            _ => self.graph.image(value)?,
        };
        match *self.forms.get(value)? {
            Form::Tensor(tensor) if self.layers.get(tensor).lanes == LANES => Some(tensor),
            Form::Flattened(tensor) if self.extents(tensor) == extents && extents[1] * extents[2] == 1 => Some(tensor),
            _ => {
                let flat = self.flat(value)?;
                if extents[1] * extents[2] == 1 {
                    return Some(self.layers.alias(flat, LANES, extents));
                }
                let plain = self.layers.alias(flat, 1, extents);
                let blocked = self.layers.tensor(LANES, extents);
                self.layers.push(Kind::Concat, vec![plain], blocked, None);
                Some(blocked)
            }
        }
    }

    /// A value as a flat list in the order of its axes.
    fn flat(&mut self, value: &'a str) -> Option<TensorId> {
        if let Some(&flat) = self.flats.get(value) {
            return Some(flat);
        }
        let form = *self.forms.get(value)?;
        let tensor = form.tensor();
        let [channels, height, width] = self.extents(tensor);
        let entry = self.layers.get(tensor);
        let in_order = entry.lanes == 1 || height * width == 1;
        let flat = if in_order && entry.halo == 0 {
            // Readers of the flat list rely on there being no halo.
            let flat = self.layers.alias(tensor, 1, [channels, height, width]);
            self.layers.tensors[tensor.0].shared = true;
            flat
        } else {
            let flat = self.layers.tensor(1, [channels, height, width]);
            let kind = match form {
                Form::Rows(_) => Kind::ToRows { skip: 0, count: channels, sigmoid: false },
                _ => Kind::Concat,
            };
            self.layers.push(kind, vec![tensor], flat, None);
            flat
        };
        self.flats.insert(value, flat);
        Some(flat)
    }

    fn extents(&self, tensor: TensorId) -> [usize; 3] {
        let tensor = self.layers.get(tensor);
        [tensor.channels, tensor.height, tensor.width]
    }
}

/// A node's input by position, `None` where it is left out.
fn input(node: &NodeProto, position: usize) -> Option<&str> {
    node.input.get(position).map(String::as_str).filter(|name| !name.is_empty())
}

/// The only output of a node.
fn output(node: &NodeProto) -> Option<&str> {
    match &node.output[..] {
        [output] => Some(output),
        _ => None,
    }
}
