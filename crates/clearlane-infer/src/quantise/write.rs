//! The quantised graph.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{
    AttributeProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, attribute_proto::AttributeType,
    tensor_proto::DataType,
};

use super::select::{Operator, Selection};
use crate::error::QuantiseError;
use crate::kernel::integer::Quantisation;
use crate::names::Names;

/// The first operator set whose `DequantizeLinear` knows a scale a channel.
const OPERATOR_SET: i64 = 13;

/// Operators that changed from earlier operator sets to that one.
const CHANGED: [&str; 16] = [
    "Clip",
    "Dropout",
    "Hardmax",
    "LogSoftmax",
    "Pad",
    "ReduceSum",
    "Resize",
    "Scatter",
    "Slice",
    "Softmax",
    "Split",
    "Squeeze",
    "TopK",
    "Unsqueeze",
    "Upsample",
    "Loop",
];

/// Of those, the ones that have been as they are since operator set 11.
const SINCE_11: [&str; 5] = ["Clip", "Pad", "Resize", "Slice", "TopK"];

/// Rewrites the model so that the selected values have these quantisations.
pub(super) fn write(
    model: &mut ModelProto,
    selection: &Selection,
    quantisations: &[Quantisation],
) -> Result<(), QuantiseError> {
    raise_operator_set(model)?;
    let Some(graph) = &mut model.graph else { return Ok(()) };
    let mut writer = Writer { names: Names::of(graph), initializers: Vec::new() };
    let mut nodes = Vec::new();
    let mut quantised: HashMap<&str, (String, Quantisation)> = HashMap::new();
    let mut made: HashMap<&str, Vec<NodeProto>> = HashMap::new();
    for (value, quantisation) in selection.values.iter().zip(quantisations) {
        let (pair, dequantised) = writer.pair(value, *quantisation);
        made.insert(value, pair);
        quantised.insert(value, (dequantised, *quantisation));
    }
    for input in &graph.input {
        nodes.extend(made.remove(input.name.as_str()).unwrap_or_default());
    }
    let operators: HashMap<usize, &Operator> =
        selection.operators.iter().map(|operator| (operator.node, operator)).collect();
    for (index, node) in graph.node.iter().enumerate() {
        let mut node = node.clone();
        if let Some(operator) = operators.get(&index)
            && let Some((_, input)) = node.input.first().and_then(|input| quantised.get(input.as_str()))
        {
            let weights = writer.weights(&mut node, operator, *input);
            nodes.extend(weights);
        }
        for input in &mut node.input {
            if let Some((dequantised, _)) = quantised.get(input.as_str()) {
                input.clone_from(dequantised);
            }
        }
        let outputs = node.output.clone();
        nodes.push(node);
        for output in outputs {
            nodes.extend(made.remove(output.as_str()).unwrap_or_default());
        }
    }
    graph.node = nodes;
    graph.initializer.append(&mut writer.initializers);
    let read: HashSet<&String> = graph.node.iter().flat_map(|node| &node.input).collect();
    graph.initializer.retain(|tensor| read.contains(&tensor.name));
    let kept: HashSet<&String> = graph.initializer.iter().map(|tensor| &tensor.name).collect();
    graph.input.retain(|input| read.contains(&input.name) || kept.contains(&input.name));
    Ok(())
}

fn raise_operator_set(model: &mut ModelProto) -> Result<(), QuantiseError> {
    let is_default = |set: &&mut OperatorSetIdProto| set.domain.is_empty() || set.domain == "ai.onnx";
    let Some(set) = model.opset_import.iter_mut().find(is_default) else { return Ok(()) };
    if set.version >= OPERATOR_SET {
        return Ok(());
    }
    let changed = |node: &&NodeProto| {
        let operator = node.op_type.as_str();
        CHANGED.contains(&operator) && !(set.version >= 11 && SINCE_11.contains(&operator)) || set.version < 9
    };
    if let Some(node) = model.graph.iter().flat_map(|graph| &graph.node).find(changed) {
        return Err(QuantiseError::OperatorSet { version: set.version, operator: node.op_type.clone() });
    }
    set.version = OPERATOR_SET;
    // The file format that came with this operator set.
    model.ir_version = model.ir_version.max(7);
    Ok(())
}

struct Writer {
    names: Names,
    initializers: Vec<TensorProto>,
}

impl Writer {
    fn initializer(&mut self, name: &str, data_type: DataType, dims: Vec<i64>, raw_data: Vec<u8>) {
        let (name, data_type) = (name.to_owned(), data_type as i32);
        self.initializers.push(TensorProto { name, data_type, dims, raw_data, ..Default::default() });
    }

    /// The nodes that quantise and dequantise a value, and the name of what comes out.
    fn pair(&mut self, value: &str, quantisation: Quantisation) -> (Vec<NodeProto>, String) {
        let [scale, zero, quantised, dequantised] =
            ["scale", "zero_point", "quantised", "dequantised"].map(|what| self.names.fresh(value, what));
        self.initializer(&scale, DataType::Float, Vec::new(), quantisation.scale.to_le_bytes().to_vec());
        self.initializer(&zero, DataType::Uint8, Vec::new(), vec![quantisation.zero]);
        let node = |operator: &str, from: &str, to: &str| NodeProto {
            name: to.to_owned(),
            op_type: operator.to_owned(),
            input: [from, &scale, &zero].map(str::to_owned).to_vec(),
            output: vec![to.to_owned()],
            ..Default::default()
        };
        let nodes = vec![node("QuantizeLinear", value, &quantised), node("DequantizeLinear", &quantised, &dequantised)];
        (nodes, dequantised)
    }

    /// Gives an operator quantised weights; returns the nodes that dequantise them.
    fn weights(&mut self, node: &mut NodeProto, operator: &Operator, input: Quantisation) -> Vec<NodeProto> {
        let of = node.output.first().cloned().unwrap_or_default();
        let weights = &operator.weights;
        let outputs = weights.extents.get(operator.axis).map_or(0, |&outputs| outputs as usize);
        // From one index of the outputs' axis to the next.
        let step: usize = weights.extents[operator.axis + 1..].iter().map(|&extent| extent as usize).product();
        let channel = |index: usize| index / step % outputs;
        let mut largest = vec![0.0_f32; outputs];
        for (index, weight) in weights.values.iter().enumerate() {
            let largest = &mut largest[channel(index)];
            *largest = largest.max(weight.abs());
        }
        let scales: Vec<f32> = largest
            .iter()
            .enumerate()
            .map(|(output, largest)| {
                // Coarse enough for the bias to fit in 30 bits of the sums' scale.
                let bias = operator.bias.as_ref().map_or(0.0, |bias| bias.values[output].abs());
                let scale = (largest / 127.0).max(bias / (input.scale * (1 << 30) as f32));
                if scale.is_normal() { scale } else { 1.0 }
            })
            .collect();
        let byte = |(index, weight): (usize, &f32)| {
            (weight / scales[channel(index)]).round_ties_even().clamp(-127.0, 127.0) as i8 as u8
        };
        let bytes = weights.values.iter().enumerate().map(byte).collect();
        let axis = operator.axis as i64;
        let (dequantise, name) =
            self.dequantised(&of, "weights", (DataType::Int8, weights.extents.clone(), bytes), &scales, axis);
        node.input[1] = name;
        let mut nodes = vec![dequantise];
        if let Some(bias) = &operator.bias {
            let units: Vec<f32> = scales.iter().map(|scale| input.scale * scale).collect();
            let whole = bias
                .values
                .iter()
                .zip(&units)
                .map(|(&bias, &unit)| (f64::from(bias) / f64::from(unit)).round_ties_even() as i32);
            let bytes = whole.flat_map(i32::to_le_bytes).collect();
            let (dequantise, name) =
                self.dequantised(&of, "bias", (DataType::Int32, vec![outputs as i64], bytes), &units, 0);
            node.input[2] = name;
            nodes.push(dequantise);
        }
        nodes
    }

    /// A node that dequantises a constant with a scale for each index of an axis, and the name of what comes out.
    fn dequantised(
        &mut self,
        of: &str,
        what: &str,
        (data_type, extents, bytes): (DataType, Vec<i64>, Vec<u8>),
        scales: &[f32],
        axis: i64,
    ) -> (NodeProto, String) {
        let [scale, zero, quantised, dequantised] = ["scale", "zero_point", "quantised", "dequantised"]
            .map(|part| self.names.fresh(of, &format!("{what}.{part}")));
        let width = if data_type == DataType::Int32 { 4 } else { 1 };
        self.initializer(&quantised, data_type, extents, bytes);
        let floats = scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
        self.initializer(&scale, DataType::Float, vec![scales.len() as i64], floats);
        self.initializer(&zero, data_type, vec![scales.len() as i64], vec![0; width * scales.len()]);
        let r#type = AttributeType::Int as i32;
        let node = NodeProto {
            name: dequantised.clone(),
            op_type: "DequantizeLinear".to_owned(),
            input: vec![quantised, scale, zero],
            output: vec![dequantised.clone()],
            attribute: vec![AttributeProto { name: "axis".to_owned(), r#type, i: axis, ..Default::default() }],
            ..Default::default()
        };
        (node, dequantised)
    }
}
