//! The ONNX graph with what tract's analysis finds out about each value: its shape, and its contents where they do
//! not depend on the input. Weights are kept from the analysis, which would copy and dequantise them: it needs only their
//! shapes.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tract_onnx::Onnx;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    tensor_proto::DataType, tensor_shape_proto, type_proto,
};
use tract_onnx::prelude::{Datum, DatumExt, DatumType, InferenceModelExt, Tensor, TractResult};
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::DimLike;

use crate::InferError;
use crate::dequantised::Dequantised;
use crate::reference::guarded;

/// The most elements that one value may have: 1 GiB of floats.
const LARGEST: usize = 1 << 28;

/// A graph whose values' shapes are known.
pub(crate) struct Graph<'a> {
    pub(crate) onnx: &'a Onnx,
    pub(crate) model: &'a ModelProto,
    pub(crate) proto: &'a GraphProto,
    /// The name of the image input.
    pub(crate) input: &'a str,
    values: HashMap<String, Value>,
    weights: HashMap<&'a str, &'a TensorProto>,
    dequantised: HashMap<&'a str, Dequantised<'a>>,
    uses: HashMap<&'a str, usize>,
}

/// What is known of a value; the batch is one image.
struct Value {
    shape: Vec<usize>,
    float: bool,
    constant: Option<Arc<Tensor>>,
}

impl<'a> Graph<'a> {
    pub(crate) fn analyse(
        onnx: &'a Onnx,
        model: &'a ModelProto,
        proto: &'a GraphProto,
        input: &'a str,
        [c, h, w]: [usize; 3],
    ) -> Result<Self, InferError> {
        let weights = weights(proto);
        let dequantised = Dequantised::all(proto);
        let light = light(model, proto, input, &weights, &dequantised);
        let values = guarded(|| {
            let mut parsed = onnx.parse(&light, None)?;
            parsed.model.set_input_fact(0, f32::fact([1, c, h, w]).into())?;
            parsed.model.analyse(false)?;
            let known = parsed.outlets_by_name.iter().filter_map(|(name, &outlet)| {
                let fact = parsed.model.outlet_fact(outlet).ok()?;
                let constant = fact.value.concretize();
                let shape = if let Some(tensor) = &constant {
                    tensor.shape().to_vec()
                } else {
                    let dims = fact.shape.concretize()?;
                    dims.iter().map(|dim| dim.to_usize().ok()).collect::<Option<Vec<_>>>()?
                };
                let float = fact.datum_type.concretize() == Some(DatumType::F32);
                Some((name.clone(), Value { shape, float, constant }))
            });
            TractResult::Ok(known.collect())
        })
        .map_err(|detail| InferError::Graph { detail })?;
        let mut uses = HashMap::new();
        let outputs = proto.output.iter().map(|output| &output.name);
        for name in proto.node.iter().flat_map(|node| &node.input).chain(outputs) {
            *uses.entry(name.as_str()).or_default() += 1;
        }
        Ok(Self { onnx, model, proto, input, values, weights, dequantised, uses })
    }

    /// Checks that no value is larger than a network may take: [`LARGEST`] elements.
    pub(crate) fn check_sizes(&self) -> Result<(), InferError> {
        let fits = |shape: &[usize]| {
            // An extent of 0 hides no other: parameters are as many as the others say.
            let elements = shape.iter().try_fold(1_usize, |product, &extent| product.checked_mul(extent.max(1)));
            elements.is_some_and(|elements| elements <= LARGEST)
        };
        // Of several, always the same one is named.
        match self.values.iter().filter(|(_, value)| !fits(&value.shape)).min_by_key(|(name, _)| *name) {
            Some((name, value)) => Err(InferError::TooLarge { value: name.clone(), extents: value.shape.clone() }),
            None => Ok(()),
        }
    }

    /// A value's shape, batch included, where the analysis found it.
    pub(crate) fn shape(&self, value: &str) -> Option<&[usize]> {
        self.values.get(value).map(|value| value.shape.as_slice())
    }

    /// A value's shape as one image of channels, height and width, none of which is 0.
    pub(crate) fn image(&self, value: &str) -> Option<[usize; 3]> {
        match *self.shape(value)? {
            [1, c, h, w] if c > 0 && h > 0 && w > 0 => Some([c, h, w]),
            _ => None,
        }
    }

    pub(crate) fn is_float(&self, value: &str) -> bool {
        self.values.get(value).is_some_and(|value| value.float)
    }

    /// How many nodes and outputs read a value.
    pub(crate) fn uses(&self, value: &str) -> usize {
        self.uses.get(value).copied().unwrap_or(0)
    }

    /// A constant that the analysis saw: any but weights.
    pub(crate) fn constant(&self, value: &str) -> Option<&Arc<Tensor>> {
        self.values.get(value)?.constant.as_ref()
    }

    /// Whether a value does not depend on the input.
    pub(crate) fn is_constant(&self, value: &str) -> bool {
        let weight = self.weights.contains_key(value) || self.dequantised.contains_key(value);
        weight || self.constant(value).is_some()
    }

    /// A constant's values: of a weight those in the file, without a copy where they can be read there.
    pub(crate) fn floats(&self, value: &str) -> Option<Cow<'a, [f32]>> {
        match self.weights.get(value) {
            Some(weights) => Some(floats_of(weights)),
            None => match self.dequantised.get(value) {
                Some(weights) => Some(weights.floats().into()),
                None => self.elements(value).map(Cow::Owned),
            },
        }
    }

    pub(crate) fn ints(&self, value: &str) -> Option<Vec<i64>> {
        self.elements(value)
    }

    /// INT8 weights of the file, by the value that they are dequantised to.
    pub(crate) fn dequantised(&self, value: &str) -> Option<&Dequantised<'a>> {
        self.dequantised.get(value)
    }

    fn elements<T: Datum + Copy>(&self, value: &str) -> Option<Vec<T>> {
        let tensor = self.constant(value)?;
        guarded(|| Ok(tensor.cast_to::<T>()?.try_as_plain_ram()?.as_slice::<T>()?.to_vec())).ok()
    }
}

/// A float tensor's values, without a copy where they can be read as they are.
pub(crate) fn floats_of(tensor: &TensorProto) -> Cow<'_, [f32]> {
    let TensorProto { raw_data, float_data, .. } = tensor;
    if raw_data.is_empty() {
        return float_data.into();
    }
    match bytemuck::try_cast_slice(raw_data) {
        Ok(values) if cfg!(target_endian = "little") => Cow::Borrowed(values),
        // ONNX stores raw data in little-endian order.
        _ => raw_data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
    }
}

/// The initializers that only ever are a convolution's or a matrix product's second operand. One whose values do not lie
/// where those of a float tensor belong is left to the analysis, which refuses it.
fn weights(proto: &GraphProto) -> HashMap<&str, &TensorProto> {
    let whole = |tensor: &&TensorProto| {
        let stored = if tensor.raw_data.is_empty() { tensor.float_data.len() } else { tensor.raw_data.len() / 4 };
        tensor.data_type == DataType::Float as i32 && tensor.dims.iter().product::<i64>() == stored as i64
    };
    let floats = proto.initializer.iter().filter(whole);
    let mut weights: HashMap<_, _> = floats.map(|tensor| (tensor.name.as_str(), tensor)).collect();
    keep_second_operands(proto, &mut weights);
    weights
}

/// Keeps of some named values those that only ever are the second operand of a convolution or a matrix product whose first
/// depends on the image's values. Where it does not, as with position embeddings that are computed, the analysis needs both.
pub(crate) fn keep_second_operands<T>(proto: &GraphProto, values: &mut HashMap<&str, T>) {
    let fixed = independent(proto);
    for node in &proto.node {
        let sums = ["Conv", "Gemm", "MatMul"].contains(&node.op_type.as_str())
            && node.input.first().is_some_and(|first| !fixed.contains(first.as_str()));
        for (position, name) in node.input.iter().enumerate() {
            if !(sums && position == 1) {
                values.remove(name.as_str());
            }
        }
    }
    proto.output.iter().for_each(|output| {
        values.remove(output.name.as_str());
    });
}

/// The values that depend on no more of the image than its shape.
fn independent(proto: &GraphProto) -> HashSet<&str> {
    let mut fixed: HashSet<&str> = proto.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    for node in &proto.node {
        let of_shape = matches!(node.op_type.as_str(), "Shape" | "Size" | "Constant");
        let given =
            node.input.iter().map(String::as_str).filter(|name| !name.is_empty()).all(|name| fixed.contains(name));
        // A subgraph may read what its node does not name; a random value is none that is fixed.
        let closed = !node.input.is_empty() && node.attribute.iter().all(|attribute| attribute.g.is_none());
        if of_shape || given && closed {
            fixed.extend(node.output.iter().map(String::as_str));
        }
    }
    fixed
}

/// The constants of a graph, by the names that nodes read them by.
pub(crate) fn constants(proto: &GraphProto) -> HashMap<&str, &TensorProto> {
    let nodes = proto.node.iter().filter(|node| node.op_type == "Constant").filter_map(|node| {
        let tensor = node.attribute("value")?.t.as_ref()?;
        Some((node.output.first()?.as_str(), tensor))
    });
    proto.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).chain(nodes).collect()
}

/// The model with its weights as inputs of their shapes, after the image.
fn light(
    model: &ModelProto,
    proto: &GraphProto,
    image: &str,
    weights: &HashMap<&str, &TensorProto>,
    dequantised: &HashMap<&str, Dequantised<'_>>,
) -> ModelProto {
    let input = |name: &str, tensor: &TensorProto| {
        let dim = |&extent: &i64| tensor_shape_proto::Dimension {
            value: Some(tensor_shape_proto::dimension::Value::DimValue(extent)),
            ..Default::default()
        };
        let shape = Some(TensorShapeProto { dim: tensor.dims.iter().map(dim).collect() });
        let value = type_proto::Value::TensorType(type_proto::Tensor { elem_type: DataType::Float as i32, shape });
        let r#type = Some(TypeProto { value: Some(value), ..Default::default() });
        ValueInfoProto { name: name.into(), r#type, ..Default::default() }
    };
    let given = weights.iter().map(|(name, tensor)| input(name, tensor));
    let given = given.chain(dequantised.iter().map(|(name, weights)| input(name, weights.tensor)));
    let made = |node: &&NodeProto| node.output.first().is_some_and(|name| dequantised.contains_key(name.as_str()));
    let nodes: Vec<NodeProto> = proto.node.iter().filter(|node| !made(node)).cloned().collect();
    let read: HashSet<&str> = nodes.iter().flat_map(|node| &node.input).map(String::as_str).collect();
    let outputs: HashSet<&str> = proto.output.iter().map(|output| output.name.as_str()).collect();
    let kept = proto.initializer.iter().filter(|tensor| {
        let name = tensor.name.as_str();
        !weights.contains_key(name) && (read.contains(name) || outputs.contains(name))
    });
    let graph = GraphProto {
        initializer: kept.cloned().collect(),
        node: nodes,
        name: proto.name.clone(),
        input: proto.input.iter().filter(|value| value.name == image).cloned().chain(given).collect(),
        output: proto.output.clone(),
        value_info: proto.value_info.clone(),
        ..Default::default()
    };
    ModelProto {
        ir_version: model.ir_version,
        opset_import: model.opset_import.clone(),
        graph: Some(graph),
        ..Default::default()
    }
}

/// A node's attributes by name.
pub(crate) trait Attributes {
    fn attribute(&self, name: &str) -> Option<&AttributeProto>;

    fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name).map(|attribute| attribute.i)
    }

    fn float(&self, name: &str) -> Option<f32> {
        self.attribute(name).map(|attribute| attribute.f)
    }

    fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(&self.attribute(name)?.s).ok()
    }

    /// A list of lengths; `None` if one is negative, the default where there is no such attribute.
    fn lengths(&self, name: &str, default: &[usize]) -> Option<Vec<usize>> {
        match self.attribute(name) {
            None => Some(default.to_vec()),
            Some(attribute) => attribute.ints.iter().map(|&length| length.try_into().ok()).collect(),
        }
    }

    /// Two lengths, for height and width.
    fn pair(&self, name: &str, default: usize) -> Option<[usize; 2]> {
        self.lengths(name, &[default, default])?.try_into().ok()
    }
}

impl Attributes for NodeProto {
    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|attribute| attribute.name == name)
    }
}
