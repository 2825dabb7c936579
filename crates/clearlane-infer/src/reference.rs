//! Models through tract: the reference that the fast path is held to, and its fallback.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ndarray::{ArrayD, IxDyn};
use tract_onnx::Onnx;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{
    DatumExt, DatumType, Framework, InferenceModelExt, IntoRunnable, TValue, TVec, Tensor, TractResult,
    TypedRunnableModel,
};

use crate::InferError;
use crate::network::OutputInfo;
use crate::proto::root_cause;

/// A model optimised and planned by tract.
pub(crate) struct Runnable {
    plan: Arc<TypedRunnableModel>,
}

impl Runnable {
    /// Readies a model for inputs of these shapes.
    pub(crate) fn new(onnx: Onnx, model: &ModelProto, inputs: &[Vec<usize>]) -> Result<Self, InferError> {
        let build = || {
            let mut graph =
                onnx.with_ignore_output_shapes(true).with_ignore_value_info(true).model_for_proto_model(model)?;
            for (index, shape) in inputs.iter().enumerate() {
                graph.set_input_fact(index, f32::fact(shape.as_slice()).into())?;
            }
            graph.into_optimized()?.into_runnable()
        };
        let plan = guarded(build).map_err(|detail| InferError::Graph { detail })?;
        Ok(Self { plan })
    }

    /// The outputs of one image by name; an extent of 1 at the front is the batch.
    pub(crate) fn outputs(&self, names: &[String]) -> Result<Vec<OutputInfo>, InferError> {
        let model = self.plan.model();
        let facts = model.outputs.iter().map(|&outlet| model.outlet_fact(outlet));
        names
            .iter()
            .zip(facts)
            .map(|(name, fact)| {
                let fact = fact.map_err(|error| InferError::Graph { detail: root_cause(&error) })?;
                if fact.datum_type != DatumType::F32 {
                    let found = format!("{:?}", fact.datum_type);
                    return Err(InferError::OutputType { output: name.clone(), found });
                }
                let Some(shape) = fact.shape.as_concrete() else {
                    let detail = format!("the shape of output `{name}` is not known: {:?}", fact.shape);
                    return Err(InferError::Graph { detail });
                };
                Ok(OutputInfo::new(name.clone(), shape))
            })
            .collect()
    }

    /// Runs on inputs given as shape and values, in the shapes that the plan was made for.
    pub(crate) fn run(&self, inputs: &[(&[usize], &[f32])]) -> Result<Vec<ArrayD<f32>>, InferError> {
        let outputs = guarded(|| {
            let tensors = inputs.iter().map(|(shape, values)| Ok(Tensor::from_shape(shape, values)?.into()));
            self.plan.run(tensors.collect::<TractResult<TVec<TValue>>>()?)
        })
        .map_err(|detail| InferError::Run { detail })?;
        let array = |tensor: &TValue| {
            let values = guarded(|| Ok(tensor.try_as_plain_ram()?.as_slice::<f32>()?.to_vec()))?;
            ArrayD::from_shape_vec(IxDyn(tensor.shape()), values).map_err(|error| error.to_string())
        };
        outputs.iter().map(|tensor| array(tensor).map_err(|detail| InferError::Run { detail })).collect()
    }
}

/// tract answers some corrupt graphs with a panic; here that is an error like any other.
pub(crate) fn guarded<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
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
