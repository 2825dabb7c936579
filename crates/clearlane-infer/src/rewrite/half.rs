//! Half precision (float16 and bfloat16), computed in single: processors have no arithmetic for it, and other runtimes widen
//! each operator's inputs too, only to round what it makes. Values are rounded where the graph casts to half precision.

use half::{bf16, f16};
use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, tensor_proto::DataType, type_proto,
};

use super::int;
use crate::graph::Attributes;

/// The attribute of a cast that stands for one to half precision: its data type.
const ROUNDING: &str = "clearlane_rounding";

const HALVES: [DataType; 2] = [DataType::Float16, DataType::Bfloat16];

/// The type of half precision that values of a node are rounded to, if they are.
pub(crate) fn is_rounding(node: &NodeProto) -> Option<fn(f32) -> f32> {
    let rounding: fn(f32) -> f32 = match half(node.int(ROUNDING)? as i32)? {
        DataType::Float16 => |value| f16::from_f32(value).to_f32(),
        _ => |value| bf16::from_f32(value).to_f32(),
    };
    Some(rounding)
}

/// Makes casts that round plain ones, for a graph that others read: they do not know of rounding without a type for it.
pub(crate) fn forget_rounding(graph: &mut GraphProto) {
    for node in &mut graph.node {
        node.attribute.retain(|attribute| attribute.name != ROUNDING);
    }
}

/// Makes everything of half precision in a graph single: weights, constants, declared types, and what casts cast to.
pub(super) fn widen(graph: &mut GraphProto) {
    graph.initializer.iter_mut().for_each(widen_tensor);
    let declared = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    declared.for_each(widen_declared);
    for node in &mut graph.node {
        node.attribute.iter_mut().filter_map(|attribute| attribute.t.as_mut()).for_each(widen_tensor);
        let target = match node.op_type.as_str() {
            "Cast" => "to",
            "EyeLike" | "RandomNormal" | "RandomUniform" => "dtype",
            _ => continue,
        };
        let rounding = node.attribute.iter_mut().find(|attribute| attribute.name == target).and_then(widen_target);
        node.attribute.extend(rounding);
    }
}

fn half(data_type: i32) -> Option<DataType> {
    HALVES.into_iter().find(|half| *half as i32 == data_type)
}

/// Makes a cast's target single, and gives the attribute that keeps what it was.
fn widen_target(target: &mut AttributeProto) -> Option<AttributeProto> {
    let was = half(target.i as i32)?;
    target.i = DataType::Float as i64;
    Some(int(ROUNDING, was as i64))
}

fn widen_declared(value: &mut ValueInfoProto) {
    let tensor = value.r#type.as_mut().and_then(|declared| declared.value.as_mut());
    if let Some(type_proto::Value::TensorType(tensor)) = tensor
        && half(tensor.elem_type).is_some()
    {
        tensor.elem_type = DataType::Float as i32;
    }
}

/// A tensor whose values do not lie where they belong keeps its type, and is refused for it.
fn widen_tensor(tensor: &mut TensorProto) {
    let Some(was) = half(tensor.data_type) else { return };
    let widened = |bits: u16| match was {
        DataType::Float16 => f16::from_bits(bits).to_f32(),
        _ => bf16::from_bits(bits).to_f32(),
    };
    let values: Vec<f32> = if tensor.raw_data.is_empty() {
        tensor.int32_data.iter().map(|&bits| widened(bits as u16)).collect()
    } else {
        let (pairs, rest) = tensor.raw_data.as_chunks();
        if !rest.is_empty() {
            return;
        }
        pairs.iter().map(|&pair| widened(u16::from_le_bytes(pair))).collect()
    };
    tensor.raw_data.clear();
    tensor.int32_data.clear();
    tensor.float_data = values;
    tensor.data_type = DataType::Float as i32;
}
