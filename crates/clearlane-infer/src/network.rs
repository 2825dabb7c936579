use ndarray::{ArrayD, ArrayView4, Axis};

use crate::InferError;
use crate::proto;
use crate::reference::Reference;

/// An ONNX model ready to run.
///
/// It is `Send + Sync`; [`run`](Self::run) takes `&self` and may be called from many threads at once.
pub struct Network {
    input: [usize; 3],
    outputs: Vec<OutputInfo>,
    reference: Reference,
}

/// One output of a [`Network`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputInfo {
    name: String,
    shape: Vec<usize>,
}

impl OutputInfo {
    pub(crate) fn new(name: String, shape: Vec<usize>) -> Self {
        Self { name, shape }
    }

    /// The output's name in the graph.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shape of one input's output, batch excluded.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }
}

impl Network {
    /// Reads an ONNX model and readies it for inputs of one shape.
    ///
    /// `input` is the shape of one image, batch excluded: channels, height, width, e.g. `[3, 112, 112]`. Where the
    /// graph fixes an extent it has to agree; extents that the graph leaves open are fixed to it.
    pub fn from_onnx(bytes: &[u8], input: [usize; 3]) -> Result<Self, InferError> {
        let onnx = tract_onnx::onnx();
        let model = proto::decode(&onnx, bytes)?;
        let Some(graph) = &model.graph else {
            return Err(InferError::Decode { detail: "it holds no graph".into() });
        };
        proto::check_input(proto::only_input(graph)?, input)?;
        let names: Vec<String> = graph.output.iter().map(|output| output.name.clone()).collect();
        let reference = Reference::new(onnx, &model, input)?;
        let outputs = reference.outputs(&names)?;
        Ok(Self { input, outputs, reference })
    }

    /// The shape of one image, batch excluded: channels, height, width.
    #[must_use]
    pub fn input_shape(&self) -> [usize; 3] {
        self.input
    }

    /// The outputs, in the graph's order.
    #[must_use]
    pub fn outputs(&self) -> &[OutputInfo] {
        &self.outputs
    }

    /// Runs a batch of images, N x C x H x W with N at least 1. Gives each output, in the graph's order, with the batch
    /// as its first axis.
    pub fn run(&self, input: ArrayView4<'_, f32>) -> Result<Vec<ArrayD<f32>>, InferError> {
        let (n, c, h, w) = input.dim();
        if n == 0 || [c, h, w] != self.input {
            return Err(InferError::InputShape { expected: self.input, given: [n, c, h, w] });
        }
        let mut outputs: Vec<ArrayD<f32>> =
            self.outputs.iter().map(|output| ArrayD::zeros([&[n], output.shape()].concat())).collect();
        for (index, image) in input.outer_iter().enumerate() {
            let image = image.as_standard_layout();
            let values = image.as_slice().unwrap_or_default();
            for (output, one) in outputs.iter_mut().zip(self.reference.run(values)?) {
                let mut row = output.index_axis_mut(Axis(0), index);
                if row.shape() != one.shape() {
                    let detail = format!("an output of shape {:?} came out as {:?}", row.shape(), one.shape());
                    return Err(InferError::Run { detail });
                }
                row.assign(&one);
            }
        }
        Ok(outputs)
    }
}
