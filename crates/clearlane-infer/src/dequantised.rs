//! Weights that a file keeps as signed bytes and dequantises for a convolution or a matrix product. Kernels take the bytes;
//! floats are only made of them where no kernel does.

use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

use crate::graph::{Attributes, floats_of};

/// A constant of signed bytes, with a scale for all or one for each index of an axis.
pub(crate) struct Dequantised<'a> {
    pub(crate) bytes: &'a TensorProto,
    scales: &'a TensorProto,
    zeros: Option<&'a TensorProto>,
    axis: usize,
}

impl<'a> Dequantised<'a> {
    /// All of a graph, by the names of the values that they become.
    pub(crate) fn all(proto: &'a GraphProto) -> HashMap<&'a str, Self> {
        let initializers: HashMap<&str, &TensorProto> =
            proto.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
        let made =
            proto.node.iter().filter_map(|node| Some((node.output.first()?.as_str(), Self::by(node, &initializers)?)));
        let mut all: HashMap<&str, Self> = made.collect();
        for node in &proto.node {
            let sums = ["Conv", "Gemm", "MatMul"].contains(&node.op_type.as_str());
            for (position, name) in node.input.iter().enumerate() {
                if !(sums && position == 1) {
                    all.remove(name.as_str());
                }
            }
        }
        proto.output.iter().for_each(|output| {
            all.remove(output.name.as_str());
        });
        all
    }

    /// What a node dequantises, if its extents agree.
    fn by(node: &NodeProto, initializers: &HashMap<&str, &'a TensorProto>) -> Option<Self> {
        let initializer = |position: usize| initializers.get(node.input.get(position)?.as_str()).copied();
        let (bytes, scales) = (initializer(0)?, initializer(1)?);
        let zeros = match node.input.get(2) {
            Some(name) if !name.is_empty() => Some(initializer(2)?),
            _ => None,
        };
        let axis = node.int("axis").unwrap_or(1);
        let axis = usize::try_from(if axis < 0 { axis + bytes.dims.len() as i64 } else { axis }).ok()?;
        let dequantised = Self { bytes, scales, zeros, axis };
        (node.op_type == "DequantizeLinear" && dequantised.is_sound()).then_some(dequantised)
    }

    fn is_sound(&self) -> bool {
        let Self { bytes, scales, zeros, axis } = self;
        let of = |tensor: &TensorProto, data_type: DataType| tensor.data_type == data_type as i32;
        let full = |tensor: &TensorProto, stored: usize| i64::try_from(stored) == Ok(tensor.dims.iter().product());
        let along = match &scales.dims[..] {
            [] | [1] => true,
            [count] => bytes.dims.get(*axis) == Some(count),
            _ => false,
        };
        let like_scales = |zeros: &TensorProto| {
            of(zeros, DataType::Int8) && zeros.dims == scales.dims && full(zeros, bytes_of(zeros).len())
        };
        along
            && of(bytes, DataType::Int8)
            && full(bytes, bytes_of(bytes).len())
            && of(scales, DataType::Float)
            && full(scales, floats_of(scales).len())
            && zeros.is_none_or(like_scales)
    }

    /// `(byte - zero) * scale` of each value.
    pub(crate) fn floats(&self) -> Vec<f32> {
        let (scales, zeros) = (floats_of(self.scales), self.zeros.map(bytes_of).unwrap_or_default());
        let inner: usize = self.bytes.dims.iter().skip(self.axis + 1).map(|&extent| extent as usize).product();
        let float = |(index, byte): (usize, i8)| {
            let at = index / inner % scales.len();
            (f32::from(byte) - f32::from(zeros.get(at).copied().unwrap_or(0))) * scales[at]
        };
        bytes_of(self.bytes).into_iter().enumerate().map(float).collect()
    }
}

/// A tensor's signed bytes.
fn bytes_of(tensor: &TensorProto) -> Vec<i8> {
    if tensor.raw_data.is_empty() {
        return tensor.int32_data.iter().map(|&value| value as i8).collect();
    }
    tensor.raw_data.iter().map(|&byte| byte as i8).collect()
}
