//! What of a graph is quantised.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

use crate::error::QuantiseError;
use crate::graph::{Attributes, constants};

/// The operators to quantise, and the values.
pub(super) struct Selection {
    pub(super) operators: Vec<Operator>,
    /// In the order in which the graph makes them.
    pub(super) values: Vec<String>,
}

/// A convolution or matrix product with constant weights.
pub(super) struct Operator {
    /// Its position among the graph's nodes.
    pub(super) node: usize,
    pub(super) weights: Constant,
    /// The axis of the weights that indexes the outputs.
    pub(super) axis: usize,
    pub(super) bias: Option<Constant>,
}

/// A constant of floats.
#[derive(Clone)]
pub(super) struct Constant {
    pub(super) extents: Vec<i64>,
    pub(super) values: Vec<f32>,
}

pub(super) fn select(graph: &GraphProto) -> Result<Selection, QuantiseError> {
    let quantised = |node: &&NodeProto| node.op_type.contains("QuantizeLinear") || node.op_type.ends_with("Integer");
    let quantised = |node: &&NodeProto| quantised(node) || node.op_type.starts_with("QLinear");
    if let Some(node) = graph.node.iter().find(quantised) {
        return Err(QuantiseError::AlreadyQuantised { operator: node.op_type.clone(), node: node.name.clone() });
    }
    let constants = constants(graph);
    let operator = |(index, node)| operator(index, node, &constants);
    let operators: Vec<Operator> = graph.node.iter().enumerate().filter_map(operator).collect();
    if operators.is_empty() {
        return Err(QuantiseError::NothingToQuantise);
    }
    let mut chosen: HashSet<&str> = operators.iter().filter_map(|operator| data(&graph.node[operator.node])).collect();
    // What a quantised operator makes, as it is, activated, or summed up.
    let mut made: HashSet<&str> = HashSet::new();
    let mut next = operators.iter().map(|operator| operator.node).peekable();
    for (index, node) in graph.node.iter().enumerate() {
        let inputs: Vec<&str> = node.input.iter().map(String::as_str).collect();
        let makes = match (node.op_type.as_str(), &inputs[..]) {
            _ if next.next_if_eq(&index).is_some() => true,
            ("Relu" | "Clip" | "PRelu" | "LeakyRelu" | "BatchNormalization", [value, ..]) => made.contains(value),
            ("Add", [a, b]) if made.contains(a) && made.contains(b) => {
                chosen.extend([a, b]);
                true
            }
            _ => false,
        };
        if makes {
            made.extend(node.output.iter().map(String::as_str));
        }
    }
    let inputs = graph.input.iter().map(|input| &input.name);
    let order = inputs.chain(graph.node.iter().flat_map(|node| &node.output));
    let values = order.filter(|value| chosen.contains(value.as_str())).cloned().collect();
    Ok(Selection { operators, values })
}

/// The value that a quantised operator reads.
fn data(node: &NodeProto) -> Option<&str> {
    node.input.first().map(String::as_str)
}

fn operator(index: usize, node: &NodeProto, constants: &HashMap<&str, &TensorProto>) -> Option<Operator> {
    let constant = |position: usize| constant(constants.get(node.input.get(position)?.as_str())?);
    let bias = match node.input.get(2) {
        Some(name) if !name.is_empty() => Some(constant(2)?),
        _ => None,
    };
    if constants.contains_key(data(node)?) {
        return None;
    }
    let weights = constant(1)?;
    let (axis, outputs) = match (node.op_type.as_str(), &weights.extents[..]) {
        ("Conv", &[outputs, each, _, _]) => {
            let group = node.int("group").unwrap_or(1);
            if !(group == 1 || each == 1 && group == outputs) {
                return None;
            }
            (0, outputs)
        }
        ("Gemm", &[rows, columns]) => {
            let plain = ["alpha", "beta"].iter().all(|name| node.float(name).is_none_or(|factor| factor == 1.0));
            if !plain || node.int("transA").unwrap_or(0) != 0 {
                return None;
            }
            if node.int("transB").unwrap_or(0) != 0 { (0, rows) } else { (1, columns) }
        }
        ("MatMul", &[_, columns]) => (1, columns),
        _ => return None,
    };
    let fits = |bias: &Constant| i64::try_from(bias.values.len()) == Ok(outputs);
    let sound = outputs > 0 && !weights.values.is_empty() && bias.as_ref().is_none_or(fits);
    sound.then_some(Operator { node: index, weights, axis, bias })
}

/// A tensor of finite floats.
fn constant(tensor: &TensorProto) -> Option<Constant> {
    if tensor.data_type != DataType::Float as i32 {
        return None;
    }
    let values = if tensor.raw_data.is_empty() {
        tensor.float_data.clone()
    } else {
        let bytes = tensor.raw_data.chunks_exact(4).map(|bytes| bytes.try_into().map(f32::from_le_bytes));
        bytes.collect::<Result<_, _>>().ok()?
    };
    values.iter().all(|value| value.is_finite()).then(|| Constant { extents: tensor.dims.clone(), values })
}
