//! INT8 weights that a file dequantises for a convolution or a matrix product. Kernels take them as they are; floats are
//! made of them only where no kernel does.

use std::borrow::Cow;
use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

use crate::graph::{Attributes, constants, floats_of, keep_second_operands};

/// An INT8 constant, with a scale for all or one for each index of an axis.
pub(crate) struct Dequantised<'a> {
    pub(crate) tensor: &'a TensorProto,
    scales: Cow<'a, [f32]>,
    zeros: Cow<'a, [i8]>,
    axis: usize,
}

impl<'a> Dequantised<'a> {
    /// All of a graph, by the names of the values that they become.
    pub(crate) fn all(proto: &'a GraphProto) -> HashMap<&'a str, Self> {
        let constants = constants(proto);
        let by = |node: &'a NodeProto| Some((node.output.first()?.as_str(), Self::by(node, &constants)?));
        let mut all = proto.node.iter().filter_map(by).collect();
        keep_second_operands(proto, &mut all);
        all
    }

    /// What a node dequantises, if its extents agree.
    fn by(node: &NodeProto, constants: &HashMap<&str, &'a TensorProto>) -> Option<Self> {
        let constant = |position: usize, data_type: DataType| {
            let tensor = *constants.get(node.input.get(position)?.as_str())?;
            (tensor.data_type == data_type as i32).then_some(tensor)
        };
        if node.op_type != "DequantizeLinear" || is_grouped(node) {
            return None;
        }
        let (tensor, scales) = (constant(0, DataType::Int8)?, constant(1, DataType::Float)?);
        let zeros = match node.input.get(2) {
            Some(name) if !name.is_empty() => Some(constant(2, DataType::Int8)?),
            _ => None,
        };
        let axis = node.int("axis").unwrap_or(1);
        let axis = usize::try_from(if axis < 0 { axis + tensor.dims.len() as i64 } else { axis }).ok()?;
        let agrees = match &scales.dims[..] {
            [] | [1] => true,
            [count] => tensor.dims.get(axis) == Some(count),
            _ => false,
        };
        let dequantised =
            Self { tensor, scales: floats_of(scales), zeros: zeros.map(bytes_of).unwrap_or_default(), axis };
        let full = |tensor: &TensorProto, stored: usize| i64::try_from(stored) == Ok(tensor.dims.iter().product());
        let sound = agrees
            && full(tensor, dequantised.bytes().len())
            && full(scales, dequantised.scales.len())
            && zeros.is_none_or(|zeros| zeros.dims == scales.dims && full(zeros, dequantised.zeros.len()));
        sound.then_some(dequantised)
    }

    pub(crate) fn bytes(&self) -> Cow<'a, [i8]> {
        bytes_of(self.tensor)
    }

    /// The scale of each of `outputs`, which lie along an axis; `None` where there are zero points, which no kernel supports.
    pub(crate) fn scales(&self, axis: usize, outputs: usize) -> Option<Vec<f32>> {
        if self.zeros.iter().any(|&zero| zero != 0) {
            return None;
        }
        match self.scales[..] {
            [scale] => Some(vec![scale; outputs]),
            _ => (self.axis == axis && self.scales.len() == outputs).then(|| self.scales.to_vec()),
        }
    }

    /// `(byte - zero) * scale` of each value.
    pub(crate) fn floats(&self) -> Vec<f32> {
        let inner: usize = self.tensor.dims.iter().skip(self.axis + 1).map(|&extent| extent as usize).product();
        let float = |(index, byte): (usize, &i8)| {
            let at = index / inner % self.scales.len();
            (f32::from(*byte) - f32::from(self.zeros.get(at).copied().unwrap_or(0))) * self.scales[at]
        };
        self.bytes().iter().enumerate().map(float).collect()
    }
}

/// Whether a scale holds for a run of values along an axis, which no kernel supports.
pub(crate) fn is_grouped(node: &NodeProto) -> bool {
    node.int("block_size").unwrap_or(0) != 0
}

/// An INT8 tensor's values, without a copy where they can be read as they are.
fn bytes_of(tensor: &TensorProto) -> Cow<'_, [i8]> {
    if tensor.raw_data.is_empty() {
        return tensor.int32_data.iter().map(|&value| value as i8).collect();
    }
    bytemuck::cast_slice(&tensor.raw_data).into()
}
