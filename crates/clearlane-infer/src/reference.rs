//! Models through tract: the reference that the kernels are tested against, and their fallback.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::Onnx;
use tract_onnx::pb::{ModelProto, TensorProto, tensor_proto::DataType};
use tract_onnx::prelude::{
    DatumExt, DatumType, Framework, InferenceModelExt, IntoRunnable, IntoTensor, TValue, TVec, Tensor, TractResult,
    TypedRunnableModel,
};
use tract_onnx::tract_core::internal::ensure;
use tract_onnx::tract_core::plan::eval;

use crate::InferError;
use crate::network::OutputInfo;
use crate::proto::root_cause;
use crate::wiped::wipe;

/// Whether tract's optimiser (0.23.9) may change what a graph computes. It folds a constant that is less a convolution's sums, or over
/// them, as if it came second; and where it has a slice's step done by the convolution it forgets an odd start. Such a graph runs as it
/// stands: slowly, and right.
fn spoilt_by_optimisation(model: &ModelProto) -> bool {
    let Some(graph) = &model.graph else { return false };
    let mut constants: BTreeMap<&str, &TensorProto> =
        graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    // What depends on no image, whether or not its values are known here.
    let mut fixed: BTreeSet<&str> = constants.keys().copied().collect();
    for node in &graph.node {
        if node.input.iter().all(|name| name.is_empty() || fixed.contains(name.as_str())) {
            fixed.extend(node.output.iter().map(String::as_str));
        }
        let value = node.attribute.iter().find_map(|attribute| attribute.t.as_ref());
        if let ("Constant", Some(value), [output]) = (node.op_type.as_str(), value, &node.output[..]) {
            constants.insert(output, value);
        }
        let is_spoilt = match node.op_type.as_str() {
            "Sub" | "Div" => node.input.first().is_some_and(|name| fixed.contains(name.as_str())),
            "Slice" => node.input.get(4).is_some_and(|steps| {
                !steps.is_empty() && !constants.get(steps.as_str()).is_some_and(|steps| is_ones(steps))
            }),
            _ => false,
        };
        if is_spoilt && !node.output.iter().all(|name| fixed.contains(name.as_str())) {
            return true;
        }
    }
    false
}

/// Whether a tensor of integers holds nothing but ones.
fn is_ones(tensor: &TensorProto) -> bool {
    let (wide, narrow) = (1_i64.to_le_bytes(), 1_i32.to_le_bytes());
    let one: &[u8] = if tensor.data_type == DataType::Int64 as i32 { &wide } else { &narrow };
    tensor.int64_data.iter().all(|step| *step == 1)
        && tensor.int32_data.iter().all(|step| *step == 1)
        && tensor.raw_data.chunks(one.len()).all(|step| step == one)
}

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
            let graph = graph.into_typed()?;
            if spoilt_by_optimisation(model) { graph.into_runnable() } else { graph.into_optimized()?.into_runnable() }
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
                    let detail = format!("output `{name}`: expected a fixed shape, got {:?}", fact.shape);
                    return Err(InferError::Graph { detail });
                };
                Ok(OutputInfo::new(name.clone(), shape))
            })
            .collect()
    }

    /// Runs on inputs given as shape and values, in the shapes that the plan was made for, into the outputs' slices. What
    /// tract computes on the way is wiped; only its operators' own scratch is out of reach.
    pub(crate) fn run(&self, inputs: &[(&[usize], &[f32])], outputs: &mut [&mut [f32]]) -> Result<(), InferError> {
        let run = || {
            // Dropped last, when no operator holds a value any more.
            let mut values = Values::default();
            let mut given = TVec::new();
            for (shape, input) in inputs {
                given.push(values.watch(Tensor::from_shape(shape, input)?.into()));
            }
            let mut state = self.plan.spawn()?;
            let made = state.run_plan_with_eval(given, |context, state, node, inputs| {
                let made = eval(context, state, node, inputs)?;
                values.sweep();
                made.iter().for_each(|value| drop(values.watch(value.clone())));
                TractResult::Ok(made)
            })?;
            ensure!(made.len() == outputs.len(), "expected {} outputs, got {}", outputs.len(), made.len());
            for (made, output) in made.iter().zip(outputs.iter_mut()) {
                let made = made.try_as_plain_ram()?.as_slice::<f32>()?;
                ensure!(
                    made.len() == output.len(),
                    "expected an output of {} values, got {}",
                    output.len(),
                    made.len()
                );
                output.copy_from_slice(made);
            }
            Ok(())
        };
        guarded(run).map_err(|detail| InferError::Run { detail })
    }
}

/// The values of one run of tract: each is wiped once no operator holds it. Since they are held here as well, no operator
/// frees or reuses one unseen.
#[derive(Default)]
struct Values(Vec<TValue>);

impl Values {
    fn watch(&mut self, value: TValue) -> TValue {
        self.0.push(value.clone());
        value
    }

    /// Wipes what no operator needs any more.
    fn sweep(&mut self) {
        for value in self.0.extract_if(.., |value| value.is_exclusive()) {
            let mut tensor = value.into_tensor();
            if let Some(mut plain) = tensor.as_plain_ram_mut() {
                wipe(plain.as_bytes_mut());
            }
        }
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        self.sweep();
    }
}

/// Runs tract; its panics, which some corrupt graphs cause, become errors.
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
            .unwrap_or("tract panicked without a message")
            .to_owned()),
    }
}
