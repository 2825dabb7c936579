//! A node without a kernel: a graph of its own, run by tract.

use std::sync::Arc;

use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    tensor_proto::DataType, tensor_shape_proto, type_proto,
};

use super::{Form, Lowering, input};
use crate::InferError;
use crate::graph::Graph;
use crate::kernel::program::Fallback;
use crate::plan::layer::{Kind, Layer};
use crate::reference::Runnable;

impl<'a> Lowering<'a> {
    /// Lets tract run a node.
    pub(super) fn fall_back(&mut self, index: usize, node: &'a NodeProto) -> Result<(), InferError> {
        let lost = || InferError::Graph {
            detail: format!(
                "node `{}` ({}): expected inputs and outputs of known shapes and types",
                node.name, node.op_type
            ),
        };
        let mut names: Vec<&'a str> = Vec::new();
        for name in node.input.iter().map(String::as_str).filter(|name| !name.is_empty()) {
            if !self.graph.is_constant(name) && !names.contains(&name) {
                names.push(name);
            }
        }
        let from = names.iter().map(|name| self.flat(name)).collect::<Option<Vec<_>>>().ok_or_else(lost)?;
        let alone = alone(self.graph, node, &names).ok_or_else(lost)?;
        let shapes: Vec<_> = names.iter().filter_map(|name| self.graph.shape(name)).map(<[usize]>::to_vec).collect();
        let runnable = Runnable::new(self.graph.onnx.clone(), &alone, &shapes)?;
        let mut to = Vec::new();
        for name in node.output.iter().map(String::as_str).filter(|name| !name.is_empty()) {
            let shape = self.graph.shape(name).filter(|_| self.graph.is_float(name)).ok_or_else(lost)?;
            let tensor = self.layers.tensor(1, [1, 1, shape.iter().product()]);
            self.bind(name, Form::Tensor(tensor));
            to.push(tensor);
        }
        let kind = Kind::Fallback(Arc::new(Node { runnable, shapes }));
        self.layers.order.push(Layer { kind, from, to, nodes: vec![index] });
        Ok(())
    }
}

/// A model of this one node: what varies as inputs, the rest as constants.
fn alone(graph: &Graph<'_>, node: &NodeProto, varying: &[&str]) -> Option<ModelProto> {
    let value = |name: &str| {
        let dims = graph.shape(name)?.iter().map(|&extent| tensor_shape_proto::Dimension {
            value: Some(tensor_shape_proto::dimension::Value::DimValue(extent as i64)),
            ..Default::default()
        });
        let shape = TensorShapeProto { dim: dims.collect() };
        let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(shape) };
        let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
        graph.is_float(name).then(|| ValueInfoProto { name: name.into(), r#type: Some(r#type), ..Default::default() })
    };
    let constant = |name: &str| {
        let mut proto = TensorProto { name: name.into(), ..Default::default() };
        proto.dims = graph.shape(name)?.iter().map(|&extent| extent as i64).collect();
        if graph.is_float(name) {
            proto.data_type = DataType::Float as i32;
            proto.float_data = graph.floats(name)?.into_owned();
        } else {
            proto.data_type = DataType::Int64 as i32;
            proto.int64_data = graph.ints(name)?;
        }
        Some(proto)
    };
    let constants = (0..node.input.len()).filter_map(|position| input(node, position));
    let constants = constants.filter(|name| !varying.contains(name)).map(constant);
    let outputs = node.output.iter().filter(|name| !name.is_empty()).map(|name| value(name));
    let proto = GraphProto {
        node: vec![node.clone()],
        name: node.name.clone(),
        initializer: constants.collect::<Option<_>>()?,
        input: varying.iter().map(|name| value(name)).collect::<Option<_>>()?,
        output: outputs.collect::<Option<_>>()?,
        ..Default::default()
    };
    Some(ModelProto { graph: Some(proto), opset_import: graph.model.opset_import.clone(), ..Default::default() })
}

/// The node, ready to run on flat lists.
struct Node {
    runnable: Runnable,
    shapes: Vec<Vec<usize>>,
}

impl Fallback for Node {
    fn run(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) -> Result<(), InferError> {
        let inputs: Vec<_> = self.shapes.iter().map(Vec::as_slice).zip(inputs.iter().copied()).collect();
        self.runnable.run(&inputs, outputs)
    }
}
