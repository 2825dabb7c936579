//! `Upsample`, which `Resize` took the place of: with its scales as an attribute (opset 7) or as an input (opset 9).

use tract_onnx::Onnx;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, TensorProto, attribute_proto::AttributeType, tensor_proto::DataType,
};
use tract_onnx::prelude::TractResult;
use tract_onnx::tract_hir::infer::InferenceOp;
use tract_onnx::tract_hir::internal::format_err;

use crate::graph::Attributes;
use crate::names::Names;

/// The first opset of `Resize`, whose way of counting coordinates is that of `Upsample`.
const RESIZE: i64 = 10;

/// Makes scales that are an attribute an input.
pub(super) fn give_scales(graph: &mut GraphProto, names: &mut Names) {
    let old = |node: &&mut NodeProto| node.op_type == "Upsample" && node.input.len() == 1;
    for node in graph.node.iter_mut().filter(old) {
        let Some(scales) = node.attribute("scales").map(|scales| scales.floats.clone()) else { continue };
        let Some(output) = node.output.first() else { continue };
        let name = names.fresh(output, "scales");
        node.input.push(name.clone());
        graph.initializer.push(TensorProto {
            name,
            dims: vec![scales.len() as i64],
            data_type: DataType::Float as i32,
            float_data: scales,
            ..Default::default()
        });
    }
}

pub(super) fn register(onnx: &mut Onnx) {
    onnx.op_register.0.insert("Upsample".into(), upsample);
}

/// The resize that an `Upsample` is.
fn upsample(context: &ParsingContext<'_>, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let resize = context.framework.op_register.0.get("Resize").ok_or_else(|| format_err!("no operator Resize"))?;
    let mut node = node.clone();
    node.attribute.push(AttributeProto {
        name: "nearest_mode".into(),
        s: b"floor".to_vec(),
        r#type: AttributeType::String as i32,
        ..Default::default()
    });
    resize(&ParsingContext { onnx_operator_set_version: RESIZE, ..context.clone() }, &node)
}
