//! The ONNX file: decoded, and checked for what the graph builder takes for granted.

use std::collections::HashSet;

use prost::Message;
use tract_onnx::Onnx;
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, tensor_proto, tensor_shape_proto, type_proto,
};

use crate::InferError;
use crate::rewrite::rewrite;

/// The most that a window's size, stride, dilation or padding may be: far more than image networks use.
const LARGEST_WINDOW: u64 = 1 << 12;

/// Decodes a model, brings its graph to the forms that are known here ([`rewrite`]) and checks that it can be built: known
/// operators, edges that lead somewhere, tensors whose bytes are there.
pub(crate) fn decode(onnx: &Onnx, bytes: &[u8]) -> Result<ModelProto, InferError> {
    let mut model = ModelProto::decode(bytes).map_err(|error| InferError::Decode { detail: error.to_string() })?;
    let Some(graph) = &mut model.graph else {
        return Err(InferError::Decode { detail: "it holds no graph".into() });
    };
    rewrite(graph);
    check(onnx, graph)?;
    Ok(model)
}

/// The graph's only input that no initializer fills.
pub(crate) fn only_input(graph: &GraphProto) -> Result<&ValueInfoProto, InferError> {
    let filled: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let open: Vec<_> = graph.input.iter().filter(|input| !filled.contains(input.name.as_str())).collect();
    match open[..] {
        [input] => Ok(input),
        _ => Err(InferError::InputCount { found: open.len() }),
    }
}

/// Checks that the declared input may be `1 x expected`: a fixed extent has to agree, an open one takes the expected size.
pub(crate) fn check_input(input: &ValueInfoProto, expected: [usize; 3]) -> Result<(), InferError> {
    let declared = declared_extents(input);
    let agrees = |(extent, expected): (&Option<i64>, i64)| extent.is_none_or(|extent| extent == expected);
    let [c, h, w] = expected.map(|extent| i64::try_from(extent).unwrap_or(i64::MAX));
    let fits = match &declared {
        None => true,
        Some(extents) => extents.len() == 4 && extents.iter().zip([1, c, h, w]).all(agrees),
    };
    if fits && expected.iter().all(|&extent| extent > 0) {
        return Ok(());
    }
    let names = declared.unwrap_or_default();
    let names: Vec<_> =
        names.iter().map(|extent| extent.map_or_else(|| "?".into(), |extent| extent.to_string())).collect();
    Err(InferError::DeclaredInput { declared: format!("[{}]", names.join(", ")), expected })
}

/// The declared channels, height and width, where all of them are fixed.
pub(crate) fn fixed_extents(input: &ValueInfoProto) -> Option<[usize; 3]> {
    match declared_extents(input)?[..] {
        [_, Some(c), Some(h), Some(w)] => Some([c.try_into().ok()?, h.try_into().ok()?, w.try_into().ok()?]),
        _ => None,
    }
}

/// The declared extents, `None` for an open one; `None` altogether where the model declares no shape.
pub(crate) fn declared_extents(input: &ValueInfoProto) -> Option<Vec<Option<i64>>> {
    let type_proto::Value::TensorType(tensor) = input.r#type.as_ref()?.value.as_ref()?;
    let extents = tensor.shape.as_ref()?.dim.iter().map(|dim| match dim.value {
        Some(tensor_shape_proto::dimension::Value::DimValue(extent)) if extent > 0 => Some(extent),
        _ => None,
    });
    Some(extents.collect())
}

fn check(onnx: &Onnx, graph: &GraphProto) -> Result<(), InferError> {
    for node in &graph.node {
        let default_domain = node.domain.is_empty() || node.domain == "ai.onnx";
        if !onnx.op_register.0.contains_key(&node.op_type) {
            let operator =
                if default_domain { node.op_type.clone() } else { format!("{}.{}", node.domain, node.op_type) };
            return Err(InferError::UnknownOperator { operator, node: node.name.clone() });
        }
        node.attribute.iter().filter_map(|attribute| attribute.t.as_ref()).try_for_each(check_tensor)?;
        check_window(node)?;
        check_order(node)?;
    }
    graph.initializer.iter().try_for_each(check_tensor)?;
    let made: HashSet<&str> = graph
        .node
        .iter()
        .flat_map(|node| &node.output)
        .chain(graph.initializer.iter().map(|tensor| &tensor.name))
        .chain(graph.input.iter().map(|input| &input.name))
        .map(String::as_str)
        .collect();
    let read = graph.node.iter().flat_map(|node| &node.input).chain(graph.output.iter().map(|output| &output.name));
    match read.filter(|name| !name.is_empty()).find(|name| !made.contains(name.as_str())) {
        Some(name) => Err(InferError::Graph { detail: format!("no node makes the value `{name}`") }),
        None if graph.output.is_empty() => Err(InferError::Graph { detail: "it has no output".into() }),
        None => Ok(()),
    }
}

/// Limits a window's numbers: tract and the kernels allocate by them.
fn check_window(node: &NodeProto) -> Result<(), InferError> {
    const NAMES: [&str; 4] = ["kernel_shape", "strides", "dilations", "pads"];
    let named = node.attribute.iter().filter(|attribute| NAMES.contains(&attribute.name.as_str()));
    match named.flat_map(|attribute| &attribute.ints).find(|number| number.unsigned_abs() > LARGEST_WINDOW) {
        Some(number) => Err(InferError::Window { node: node.name.clone(), number: *number, limit: LARGEST_WINDOW }),
        None => Ok(()),
    }
}

/// Checks that a transposition names every axis once: tract never returns from one that does not.
fn check_order(node: &NodeProto) -> Result<(), InferError> {
    let Some(order) = node.attribute.iter().find(|attribute| attribute.name == "perm") else { return Ok(()) };
    let mut axes = order.ints.clone();
    axes.sort_unstable();
    if axes.iter().zip(0..).all(|(&axis, place)| axis == place) {
        return Ok(());
    }
    Err(InferError::Graph {
        detail: format!("node `{}`: expected a permutation of its axes, got {:?}", node.name, order.ints),
    })
}

/// Checks that the file holds the data that a tensor's extents ask for.
fn check_tensor(tensor: &TensorProto) -> Result<(), InferError> {
    use tensor_proto::{DataLocation, DataType};
    if tensor.data_location == Some(DataLocation::External as i32) || !tensor.external_data.is_empty() {
        return Err(InferError::ExternalData { tensor: tensor.name.clone() });
    }
    let stored = |bytes_each: usize| {
        let typed = tensor.float_data.len().max(tensor.int32_data.len()).max(tensor.int64_data.len());
        let typed = typed.max(tensor.double_data.len()).max(tensor.uint64_data.len()).max(tensor.string_data.len());
        if tensor.raw_data.is_empty() { typed } else { tensor.raw_data.len() / bytes_each }
    };
    let bytes_each = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float | DataType::Int32 | DataType::Uint32) => 4,
        Ok(DataType::Double | DataType::Int64 | DataType::Uint64 | DataType::Complex64) => 8,
        Ok(DataType::Float16 | DataType::Bfloat16 | DataType::Int16 | DataType::Uint16) => 2,
        _ => 1,
    };
    let expected =
        tensor.dims.iter().try_fold(1_usize, |product, &extent| product.checked_mul(extent.try_into().ok()?));
    if expected == Some(stored(bytes_each)) {
        Ok(())
    } else {
        Err(InferError::TensorSize { tensor: tensor.name.clone(), extents: tensor.dims.clone() })
    }
}

/// The innermost cause, which says what is wrong, in one line.
pub(crate) fn root_cause(error: &tract_onnx::prelude::TractError) -> String {
    error.root_cause().to_string().lines().next().unwrap_or("unknown").to_owned()
}
