//! A graph that fixes its input's height and width, adapted to others.

use tract_onnx::Onnx;
use tract_onnx::pb::{
    ModelProto, NodeProto, TensorProto, TensorShapeProto, ValueInfoProto, tensor_proto::DataType,
    tensor_shape_proto::dimension::Value, type_proto,
};

use crate::graph::{Attributes, Graph};
use crate::proto;

/// Gives the image input this height and width. Sizes that a resize states become the scales that they amount to, and
/// declared shapes of other values are dropped, since they hold for the old size only. Everything else is left as it
/// is; where that no longer fits, building the graph says so.
pub(crate) fn refit(onnx: &Onnx, model: &mut ModelProto, [_, height, width]: [usize; 3]) {
    let scales = resize_scales(onnx, model).unwrap_or_default();
    let Some(graph) = &mut model.graph else { return };
    let Ok(image) = proto::only_input(graph).map(|image| image.name.clone()) else { return };
    for (index, scales) in scales {
        let name = format!("{}:scales", graph.node[index].output[0]);
        graph.node[index].input.truncate(2);
        graph.node[index].input.push(name.clone());
        graph.initializer.push(TensorProto {
            name,
            dims: vec![4],
            data_type: DataType::Float as i32,
            float_data: scales.to_vec(),
            ..Default::default()
        });
    }
    graph.value_info.clear();
    for shape in graph.output.iter_mut().filter_map(declared_shape) {
        *shape = None;
    }
    let input = graph.input.iter_mut().find(|input| input.name == image).and_then(declared_shape);
    if let Some(Some(TensorShapeProto { dim })) = input
        && let [_, _, rows, columns] = &mut dim[..]
    {
        rows.value = Some(Value::DimValue(height as i64));
        columns.value = Some(Value::DimValue(width as i64));
    }
}

fn declared_shape(value: &mut ValueInfoProto) -> Option<&mut Option<TensorShapeProto>> {
    let type_proto::Value::TensorType(tensor) = value.r#type.as_mut()?.value.as_mut()?;
    Some(&mut tensor.shape)
}

/// The scales of each resize that states sizes, with the node's position.
fn resize_scales(onnx: &Onnx, model: &ModelProto) -> Option<Vec<(usize, [f32; 4])>> {
    let graph = model.graph.as_ref()?;
    let states_sizes = |node: &NodeProto| node.op_type == "Resize" && node.input.len() == 4;
    if !graph.node.iter().any(states_sizes) {
        return None;
    }
    let image = proto::only_input(graph).ok()?;
    let graph = Graph::analyse(onnx, model, graph, &image.name, proto::fixed_extents(image)?).ok()?;
    let scales = |(index, node): (usize, &NodeProto)| {
        let [from, _, _, sizes] = &node.input[..] else { return None };
        if !states_sizes(node) || sizes.is_empty() || node.attribute("axes").is_some() {
            return None;
        }
        let ([_, height, width], [_, out_height, out_width]) = (graph.image(from)?, graph.image(node.output.first()?)?);
        Some((index, [1.0, 1.0, out_height as f32 / height as f32, out_width as f32 / width as f32]))
    };
    Some(graph.proto.node.iter().enumerate().filter_map(scales).collect())
}
