//! The whole model through tract: the reference that the fast path is held to, and its fallback.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ndarray::{ArrayD, IxDyn};
use tract_onnx::Onnx;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{
    DatumExt, DatumType, Framework, InferenceModelExt, IntoRunnable, Tensor, TractResult, TypedModel,
    TypedRunnableModel, tvec,
};

use crate::InferError;
use crate::network::OutputInfo;
use crate::proto::root_cause;

pub(crate) struct Reference {
    runnable: Arc<TypedRunnableModel>,
    input: [usize; 3],
}

impl Reference {
    pub(crate) fn new(onnx: Onnx, model: &ModelProto, input: [usize; 3]) -> Result<Self, InferError> {
        let [c, h, w] = input;
        let build = || -> TractResult<TypedModel> {
            onnx.with_ignore_output_shapes(true)
                .with_ignore_value_info(true)
                .model_for_proto_model(model)?
                .with_input_fact(0, f32::fact([1, c, h, w]).into())?
                .into_optimized()
        };
        let optimised = guarded(build).map_err(|detail| InferError::Graph { detail })?;
        let runnable = guarded(|| optimised.into_runnable()).map_err(|detail| InferError::Graph { detail })?;
        Ok(Self { runnable, input })
    }

    /// The graph's outputs by name; an extent of 1 at the front is the batch.
    pub(crate) fn outputs(&self, names: &[String]) -> Result<Vec<OutputInfo>, InferError> {
        let model = self.runnable.model();
        let facts = model.outputs.iter().map(|&outlet| model.outlet_fact(outlet));
        names
            .iter()
            .zip(facts)
            .map(|(name, fact)| {
                let fact = fact.map_err(|error| InferError::Graph { detail: root_cause(&error) })?;
                if fact.datum_type != DatumType::F32 {
                    return Err(InferError::OutputType {
                        output: name.clone(),
                        found: format!("{:?}", fact.datum_type),
                    });
                }
                let Some(shape) = fact.shape.as_concrete() else {
                    return Err(InferError::Graph {
                        detail: format!("the shape of output `{name}` is not known: {:?}", fact.shape),
                    });
                };
                Ok(OutputInfo::new(name.clone(), without_batch(shape).to_vec()))
            })
            .collect()
    }

    /// Runs one image, given as its plain C x H x W values.
    pub(crate) fn run(&self, image: &[f32]) -> Result<Vec<ArrayD<f32>>, InferError> {
        let [c, h, w] = self.input;
        let outputs = guarded(|| {
            let input = Tensor::from_shape(&[1, c, h, w], image)?;
            self.runnable.run(tvec![input.into()])
        })
        .map_err(|detail| InferError::Run { detail })?;
        outputs
            .iter()
            .map(|tensor| {
                let values = guarded(|| Ok(tensor.try_as_plain_ram()?.as_slice::<f32>()?.to_vec()))
                    .map_err(|detail| InferError::Run { detail })?;
                ArrayD::from_shape_vec(IxDyn(without_batch(tensor.shape())), values)
                    .map_err(|error| InferError::Run { detail: error.to_string() })
            })
            .collect()
    }
}

fn without_batch(shape: &[usize]) -> &[usize] {
    shape.strip_prefix(&[1]).unwrap_or(shape)
}

/// tract answers some corrupt graphs with a panic; here that is an error like any other.
fn guarded<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| {
            let outer = error.to_string();
            let root = root_cause(&error);
            if outer == root { root } else { format!("{outer}: {root}") }
        }),
        Err(panic) => Err(panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("the graph could not be processed")
            .to_owned()),
    }
}
