//! Operators on quantised tensors (`QLinearConv`, `QLinearMatMul`, and those that ONNX Runtime's quantiser makes in its own
//! domain, such as `QLinearAdd`), as what they are defined by: `DequantizeLinear`, the operator on floats, `QuantizeLinear`.
//! From there the kernels for integers find their way: see `lower/quantised.rs`.

use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

use super::{int, node};
use crate::graph::{constants, floats_of};
use crate::names::Names;

/// Where a quantised tensor, its scale and its zero point stand among a node's inputs.
type Triple = [usize; 3];

/// What is taken apart: more of these than any network has would take memory that the file does not.
const MOST_OPERANDS: usize = 256;
const LONGEST_NAME: usize = 1024;
const MOST_SCALES: usize = 1 << 22;

/// An operator on quantised tensors.
struct Form {
    /// The operator on floats.
    operator: &'static str,
    /// The tensors that it reads.
    operands: Vec<Triple>,
    /// The scale and the zero point of what it makes.
    made: [usize; 2],
    /// A bias in 32-bit integers, in units of both operands' scales together.
    bias: Option<usize>,
    /// The axis along which the second operand may have a scale for each index.
    axis: Option<i64>,
}

impl Form {
    /// The form of a node, `None` where it is no such operator or does not have its inputs.
    fn of(node: &NodeProto) -> Option<Self> {
        let [one, two] = [[0, 1, 2], [3, 4, 5]];
        let binary = |operator| Self { operator, operands: vec![one, two], made: [6, 7], bias: None, axis: None };
        let unary = |operator| Self { operator, operands: vec![one], made: [3, 4], bias: None, axis: None };
        let form = match node.op_type.as_str() {
            "QLinearConv" => Self { bias: Some(8), axis: Some(0), ..binary("Conv") },
            "QLinearMatMul" => Self { axis: Some(-1), ..binary("MatMul") },
            "QGemm" => Self { bias: Some(6), made: [7, 8], axis: Some(gemm_axis(node)), ..binary("Gemm") },
            "QLinearAdd" => binary("Add"),
            "QLinearMul" => binary("Mul"),
            "QLinearLeakyRelu" => unary("LeakyRelu"),
            "QLinearSigmoid" => unary("Sigmoid"),
            "QLinearAveragePool" => unary("AveragePool"),
            "QLinearGlobalAveragePool" => unary("GlobalAveragePool"),
            "QLinearConcat" => {
                let operands = (2..node.input.len().saturating_sub(2)).step_by(3).map(|at| [at, at + 1, at + 2]);
                Self { operands: operands.collect(), made: [0, 1], ..unary("Concat") }
            }
            _ => return None,
        };
        let last_channels =
            node.attribute.iter().any(|attribute| attribute.name == "channels_last" && attribute.i != 0);
        let given = |at: &usize| node.input.get(*at).is_some_and(|name| !name.is_empty());
        let complete =
            form.operands.iter().all(|[tensor, scale, _]| given(tensor) && given(scale)) && form.made.iter().all(given);
        let whole = form.operator != "Concat" || node.input.len().saturating_sub(2).is_multiple_of(3);
        let small = form.operands.len() <= MOST_OPERANDS && node.output.iter().all(|name| name.len() <= LONGEST_NAME);
        // A bias counts in units that alpha does not scale alike.
        let scaled = node
            .attribute
            .iter()
            .any(|attribute| attribute.name == "alpha" && attribute.f.to_bits() != 1.0_f32.to_bits());
        let sound = whole && small && !(scaled && form.operator == "Gemm");
        (complete && sound && !form.operands.is_empty() && !last_channels && node.output.len() == 1).then_some(form)
    }
}

/// The axis of the outputs of a `Gemm`'s second operand.
fn gemm_axis(node: &NodeProto) -> i64 {
    i64::from(!node.attribute.iter().any(|attribute| attribute.name == "transB" && attribute.i != 0))
}

/// Takes operators on quantised tensors apart.
pub(super) fn separate(graph: &mut GraphProto, names: &mut Names) {
    let mut scales = Vec::new();
    let parts = {
        let constants = constants(graph);
        graph
            .node
            .iter()
            .map(|node| Form::of(node).and_then(|form| parts(node, &form, &constants, names, &mut scales)))
            .collect::<Vec<_>>()
    };
    let nodes = std::mem::take(&mut graph.node);
    graph.node = nodes.into_iter().zip(parts).flat_map(|(node, parts)| parts.unwrap_or_else(|| vec![node])).collect();
    graph.initializer.extend(scales);
}

/// The nodes that a node is made of. `scales` gets the units of its bias.
fn parts(
    quantised: &NodeProto,
    form: &Form,
    constants: &HashMap<&str, &TensorProto>,
    names: &mut Names,
    scales: &mut Vec<TensorProto>,
) -> Option<Vec<NodeProto>> {
    let made = &quantised.output[0];
    let input = |at: usize| quantised.input.get(at).filter(|name| !name.is_empty()).cloned();
    // Of operands that are no weights, a scale holds for the whole.
    let of_whole = |(position, [_, scale, _]): (usize, &Triple)| {
        let scale = input(*scale).and_then(|name| constants.get(name.as_str()).copied());
        (form.axis.is_some() && position == 1) || scale.is_none_or(|scale| scale.dims.iter().product::<i64>() == 1)
    };
    if !form.operands.iter().enumerate().all(of_whole) {
        return None;
    }
    let mut parts = Vec::new();
    let mut floats = Vec::new();
    for (position, [tensor, scale, zero]) in form.operands.iter().enumerate() {
        let name = names.fresh(made, &format!("operand{position}"));
        let inputs = [input(*tensor), input(*scale), input(*zero)].into_iter().flatten().collect();
        let mut part = node("DequantizeLinear", inputs, &name);
        part.attribute.extend(form.axis.filter(|_| position == 1).map(|axis| int("axis", axis)));
        parts.push(part);
        floats.push(name);
    }
    if let Some(bias) = form.bias.and_then(input) {
        let [name, unit] = ["bias", "bias_scale"].map(|what| names.fresh(made, what));
        let scale = |operand: usize| Some(floats_of(constants.get(input(form.operands[operand][1])?.as_str())?));
        let (inputs, weights) = (scale(0)?, scale(1)?);
        let [one] = inputs[..] else { return None };
        let made_before: usize = scales.iter().map(|scale| scale.float_data.len()).sum();
        if made_before + weights.len() > MOST_SCALES {
            return None;
        }
        scales.push(TensorProto {
            name: unit.clone(),
            dims: if weights.len() == 1 { Vec::new() } else { vec![weights.len() as i64] },
            data_type: DataType::Float as i32,
            float_data: weights.iter().map(|weight| one * weight).collect(),
            ..Default::default()
        });
        let mut part = node("DequantizeLinear", vec![bias, unit], &name);
        part.attribute.push(int("axis", 0));
        parts.push(part);
        floats.push(name);
    }
    let sum = names.fresh(made, "float");
    let mut operator = node(form.operator, floats, &sum);
    operator.name.clone_from(&quantised.name);
    operator.attribute.clone_from(&quantised.attribute);
    parts.push(operator);
    let quantised = [Some(sum), input(form.made[0]), input(form.made[1])].into_iter().flatten().collect();
    parts.push(node("QuantizeLinear", quantised, made));
    Some(parts)
}
