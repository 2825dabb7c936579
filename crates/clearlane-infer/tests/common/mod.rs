//! ONNX graphs written in the test itself, and the models of others where the machine has them.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "helpers of tests, of which each file takes what it needs"
)]

use std::path::PathBuf;

use clearlane_infer::{Backend, Isa, Network, NodeBackend, Options, Outputs};
use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, attribute_proto::AttributeType, tensor_proto::DataType, tensor_shape_proto, type_proto,
};

/// A graph under construction, with one image as input.
pub struct Graph {
    proto: GraphProto,
    random: u64,
}

impl Graph {
    /// `extents` of the input, batch first; 0 leaves one open.
    pub fn new(extents: &[i64]) -> Self {
        let proto = GraphProto { name: "test".into(), input: vec![value("input", extents)], ..Default::default() };
        Self { proto, random: 0x9E37_79B9_7F4A_7C15 }
    }

    /// Adds a node with one output; gives the output's name.
    pub fn node(&mut self, operator: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let output = format!("{operator}_{}", self.proto.node.len());
        self.proto.node.push(NodeProto {
            name: output.clone(),
            op_type: operator.into(),
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![output.clone()],
            attribute: attributes,
            ..Default::default()
        });
        output
    }

    /// Adds a constant; gives its name.
    pub fn constant(&mut self, extents: &[usize], values: Vec<f32>) -> String {
        let name = format!("constant_{}", self.proto.initializer.len());
        self.proto.initializer.push(TensorProto {
            name: name.clone(),
            data_type: DataType::Float as i32,
            dims: extents.iter().map(|&extent| extent as i64).collect(),
            float_data: values,
            ..Default::default()
        });
        name
    }

    /// Adds a constant of integers; gives its name.
    pub fn integers(&mut self, values: &[i64]) -> String {
        let name = format!("constant_{}", self.proto.initializer.len());
        self.proto.initializer.push(TensorProto {
            name: name.clone(),
            data_type: DataType::Int64 as i32,
            dims: vec![values.len() as i64],
            int64_data: values.to_vec(),
            ..Default::default()
        });
        name
    }

    /// Adds a constant of another element type, from its bytes; gives its name.
    pub fn raw(&mut self, data_type: DataType, extents: &[usize], raw_data: Vec<u8>) -> String {
        let name = format!("constant_{}", self.proto.initializer.len());
        self.proto.initializer.push(TensorProto {
            name: name.clone(),
            data_type: data_type as i32,
            dims: extents.iter().map(|&extent| extent as i64).collect(),
            raw_data,
            ..Default::default()
        });
        name
    }

    /// Quantises a value to unsigned bytes and dequantises it again; gives the names of both outputs.
    pub fn quantised(&mut self, value: &str, scale: f32, zero: u8) -> [String; 2] {
        let scale = self.constant(&[], vec![scale]);
        let zero = self.raw(DataType::Uint8, &[], vec![zero]);
        let bytes = self.node("QuantizeLinear", &[value, &scale, &zero], vec![]);
        let floats = self.node("DequantizeLinear", &[&bytes, &scale, &zero], vec![]);
        [bytes, floats]
    }

    /// Adds a dequantised constant of signed bytes, with a scale for each index of an axis; gives its name.
    pub fn weights(&mut self, extents: &[usize], values: &[i8], scales: &[f32], axis: i64) -> String {
        let bytes = self.raw(DataType::Int8, extents, values.iter().map(|&value| value as u8).collect());
        let zeros = self.raw(DataType::Int8, &[scales.len()], vec![0; scales.len()]);
        let scales = self.constant(&[scales.len()], scales.to_vec());
        self.node("DequantizeLinear", &[&bytes, &scales, &zeros], vec![int("axis", axis)])
    }

    /// Adds a dequantised constant of 32-bit integers, with a scale for each; gives its name.
    pub fn bias(&mut self, values: &[i32], scales: &[f32]) -> String {
        let whole = self.raw(DataType::Int32, &[values.len()], values.iter().flat_map(|v| v.to_le_bytes()).collect());
        let zeros = self.raw(DataType::Int32, &[values.len()], vec![0; 4 * values.len()]);
        let scales = self.constant(&[scales.len()], scales.to_vec());
        self.node("DequantizeLinear", &[&whole, &scales, &zeros], vec![int("axis", 0)])
    }

    /// Adds a constant of values in ±`range`.
    pub fn random(&mut self, extents: &[usize], range: f32) -> String {
        let values = (0..extents.iter().product()).map(|_| self.uniform() * range).collect();
        self.constant(extents, values)
    }

    /// A value in ±1.
    pub fn uniform(&mut self) -> f32 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    /// Ends the graph with these outputs.
    pub fn onnx(self, outputs: &[&str]) -> Vec<u8> {
        self.onnx_of(13, outputs)
    }

    /// The same with a version of ONNX's operators.
    pub fn onnx_of(mut self, version: i64, outputs: &[&str]) -> Vec<u8> {
        self.proto.output = outputs.iter().map(|name| value(name, &[])).collect();
        let opset = OperatorSetIdProto { version, ..Default::default() };
        ModelProto { ir_version: 8, opset_import: vec![opset], graph: Some(self.proto), ..Default::default() }
            .encode_to_vec()
    }

    /// The graph itself, for tests that spoil it.
    pub fn proto(&mut self) -> &mut GraphProto {
        &mut self.proto
    }
}

fn value(name: &str, extents: &[i64]) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let dim = |&extent: &i64| Dimension {
        value: Some(if extent > 0 { Value::DimValue(extent) } else { Value::DimParam("open".into()) }),
        ..Default::default()
    };
    let shape = (!extents.is_empty()).then(|| TensorShapeProto { dim: extents.iter().map(dim).collect() });
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: name.into(), r#type: Some(r#type), ..Default::default() }
}

/// An attribute of integers.
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    let r#type = AttributeType::Ints as i32;
    AttributeProto { name: name.into(), r#type, ints: values.to_vec(), ..Default::default() }
}

/// An attribute of one integer.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i: value, ..Default::default() }
}

/// An attribute of one float.
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Float as i32, f: value, ..Default::default() }
}

/// An attribute of text.
pub fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::String as i32, s: value.into(), ..Default::default() }
}

/// A model of others, where `CLEARLANE_MODELS` names the folder they are in.
pub fn model(file: &str) -> Option<Vec<u8>> {
    let folder = std::env::var_os("CLEARLANE_MODELS").map(PathBuf::from);
    let bytes = folder.and_then(|folder| std::fs::read(folder.join(file)).ok());
    if bytes.is_none() {
        println!("skipped {file}: CLEARLANE_MODELS does not name a folder that holds it");
    }
    bytes
}

/// Images of values in ±1, always the same.
pub fn images(shape: [usize; 4]) -> ndarray::Array4<f32> {
    let mut state = 1_u64;
    ndarray::Array4::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    })
}

/// The backends that the CPU has, tract not among them.
pub fn backends() -> Vec<Backend> {
    std::iter::once(Backend::Auto).chain(Isa::available().into_iter().map(Backend::Kernels)).collect()
}

/// A network's outputs on every backend that the CPU has.
pub fn on_every_backend(bytes: &[u8], image: ndarray::ArrayView4<'_, f32>) -> Vec<(Backend, Outputs)> {
    let (_, c, h, w) = image.dim();
    let run = |backend| {
        let network = Network::with_options(bytes, [c, h, w], &Options::on(backend)).unwrap();
        (backend, network.run(image).unwrap())
    };
    backends().into_iter().map(run).collect()
}

/// Asserts that kernels run every node of a graph.
pub fn assert_fused(bytes: &[u8], input: [usize; 3]) {
    let network = Network::from_onnx(bytes, input).expect("the graph is sound");
    let left: Vec<_> = network.nodes().iter().filter(|node| node.backend != NodeBackend::Kernels).collect();
    assert!(left.is_empty(), "left to tract: {left:?}");
}

/// Asserts that every backend that the CPU has agrees with tract: relative to an output's largest value within 1e-4, and
/// in direction within a cosine of 0.99999.
pub fn assert_every_backend_agrees(what: &str, bytes: &[u8], image: ndarray::ArrayView4<'_, f32>) {
    let (_, c, h, w) = image.dim();
    let reference = Network::with_options(bytes, [c, h, w], &Options::on(Backend::Tract)).unwrap();
    let expected = reference.run(image).unwrap();
    for backend in backends() {
        let network = Network::with_options(bytes, [c, h, w], &Options::on(backend)).unwrap();
        assert_eq!(network.outputs(), reference.outputs(), "{what} on {backend:?}");
        let given = network.run(image).unwrap();
        for (output, (given, expected)) in network.outputs().iter().zip(given.iter().zip(&expected)) {
            let largest = expected.iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
            let error = given.iter().zip(expected).map(|(a, b)| (a - b).abs() / largest).fold(0.0, f32::max);
            assert!(error <= 1e-4, "{what} on {backend:?}, output {}: relative error {error:e}", output.name());
            let (mut dot, mut norms) = (0.0_f64, [0.0_f64; 2]);
            for (&a, &b) in given.iter().zip(expected) {
                dot += f64::from(a) * f64::from(b);
                norms[0] += f64::from(a).powi(2);
                norms[1] += f64::from(b).powi(2);
            }
            let cosine = if norms[1] > 0.0 { dot / (norms[0] * norms[1]).sqrt() } else { 1.0 };
            assert!(cosine >= 0.999_99, "{what} on {backend:?}, output {}: cosine {cosine}", output.name());
        }
    }
}
