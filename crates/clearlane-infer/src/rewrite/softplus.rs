//! `Softplus` in operators that do not overflow: tract computes ln(1 + eˣ) as it is written, which is infinite from 89 on.

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

use super::node;
use crate::names::Names;

/// ln(1 + eˣ) = max(x, 0) + ln(1 + e⁻ˡˣˡ).
pub(super) fn stabilise(graph: &mut GraphProto, names: &mut Names) {
    let mut nodes = Vec::with_capacity(graph.node.len());
    for old in std::mem::take(&mut graph.node) {
        let standard = matches!(old.domain.as_str(), "" | "ai.onnx");
        let ([from], [to], "Softplus", true) = (&old.input[..], &old.output[..], old.op_type.as_str(), standard) else {
            nodes.push(old);
            continue;
        };
        let one = names.fresh(to, "one");
        let mut make = |operator: &str, inputs: Vec<String>| {
            let name = names.fresh(to, operator);
            nodes.push(node(operator, inputs, &name));
            name
        };
        let size = make("Abs", vec![from.clone()]);
        let below = make("Neg", vec![size]);
        let power = make("Exp", vec![below]);
        let sum = make("Add", vec![power, one.clone()]);
        let log = make("Log", vec![sum]);
        let positive = make("Relu", vec![from.clone()]);
        nodes.push(NodeProto { name: old.name.clone(), ..node("Add", vec![positive, log], to) });
        graph.initializer.push(TensorProto {
            name: one,
            data_type: DataType::Float as i32,
            float_data: vec![1.0],
            ..Default::default()
        });
    }
    graph.node = nodes;
}
