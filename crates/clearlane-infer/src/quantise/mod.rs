//! Static quantisation: from a model on floats to an INT8 model, by what its values are on calibration images.
//!
//! The result is an ONNX model in QDQ form, which any runtime can run: every value to quantise goes through a
//! `QuantizeLinear` and a `DequantizeLinear`, as UINT8 with one scale and zero point; weights are INT8 with a scale an
//! output channel, biases 32-bit integers in the scale of their sums. Activations stay between a convolution
//! and its `QuantizeLinear`, so that they cost no accuracy of their own.

mod range;
mod select;
mod write;

use ndarray::ArrayView4;
use prost::Message;

use crate::error::{InferError, QuantiseError};
use crate::proto;
use crate::rewrite::{forget_rounding, framework};

/// A quantised model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantised {
    /// The model, as ONNX.
    pub onnx: Vec<u8>,
    /// How many convolutions and matrix products are quantised.
    pub operators: usize,
    /// How many values between them are quantised.
    pub values: usize,
}

/// Quantises a model by some hundred images of the kind that it will see: N x C x H x W, normalised as the model's input
/// is. `input` is the shape of one image, as for [`Network::from_onnx`](crate::Network::from_onnx).
///
/// Convolutions, dense or depthwise, and products with a constant matrix are quantised where their weights are constants
/// of the model; other operators run on floats.
#[expect(clippy::needless_pass_by_value, reason = "a view is a reference")]
pub fn quantise(onnx: &[u8], input: [usize; 3], images: ArrayView4<'_, f32>) -> Result<Quantised, QuantiseError> {
    let (n, c, h, w) = images.dim();
    if [c, h, w] != input {
        return Err(InferError::InputShape { expected: input, given: [n, c, h, w] }.into());
    }
    if n == 0 {
        return Err(QuantiseError::NoImages);
    }
    let mut model = proto::decode(&framework(), onnx)?;
    let Some(graph) = &model.graph else {
        return Err(InferError::Decode { detail: "it holds no graph".into() }.into());
    };
    let image = proto::only_input(graph)?.name.clone();
    let selection = select::select(graph)?;
    let quantisations = range::quantisations(&model, &image, &selection.values, input, &images)?;
    let (operators, values) = (selection.operators.len(), selection.values.len());
    write::write(&mut model, &selection, &quantisations)?;
    model.graph.as_mut().into_iter().for_each(forget_rounding);
    Ok(Quantised { onnx: model.encode_to_vec(), operators, values })
}
