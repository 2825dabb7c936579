//! Forms of a graph that say the same, brought to the one that the rest of this crate knows: half precision as single,
//! operators on quantised tensors as operators between `DequantizeLinear` and `QuantizeLinear`, old resizes as scales that
//! are an input, what overflows where it need not as what does not, and a function that is spelled out as itself.

mod gelu;
mod half;
mod quantised;
mod softplus;
mod upsample;

use tract_onnx::Onnx;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, attribute_proto::AttributeType};

use crate::names::Names;

pub(crate) use half::{forget_rounding, is_rounding};

/// Brings a graph to the forms that are known. A node that does not have the inputs that its operator asks for is left as
/// it is; building the graph says so.
pub(crate) fn rewrite(graph: &mut GraphProto) {
    let mut names = Names::of(graph);
    half::widen(graph);
    quantised::separate(graph, &mut names);
    upsample::give_scales(graph, &mut names);
    softplus::stabilise(graph, &mut names);
    gelu::join(graph);
}

/// tract, with the operators that are left and that it does not know by itself.
pub(crate) fn framework() -> Onnx {
    let mut onnx = tract_onnx::onnx();
    upsample::register(&mut onnx);
    onnx
}

/// An attribute that is a whole number.
fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i: value, r#type: AttributeType::Int as i32, ..Default::default() }
}

/// A node of the default domain with one output.
fn node(operator: &str, inputs: Vec<String>, output: &str) -> NodeProto {
    NodeProto {
        name: output.into(),
        op_type: operator.into(),
        input: inputs,
        output: vec![output.into()],
        ..Default::default()
    }
}
