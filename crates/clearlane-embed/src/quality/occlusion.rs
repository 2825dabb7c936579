//! What covers a face, by a network that looks at the aligned face.

use clearlane_infer::Network;

use super::{Component, Measure, measure};
use crate::align::AlignedFace;
use crate::error::ModelError;
use crate::manifest::{InputSpec, ModelEntry, Task};
use crate::models::digest;
use crate::tensor::{Input, batch};

/// Estimates how much of a face something covers. `Send + Sync`; any number of threads may share one.
pub struct Occlusion {
    name: String,
    network: Network,
    input: InputSpec,
    components: Vec<Component>,
    /// What its values depend on beside the face.
    recipe: String,
}

impl Occlusion {
    /// Loads the model from its manifest entry and its ONNX bytes. It is run once, so that one whose outputs do not fit the
    /// entry is refused here.
    pub fn new(entry: &ModelEntry, onnx: &[u8]) -> Result<Self, ModelError> {
        let Task::Occlusion { components } = &entry.task else { return Err(entry.not_for(Task::OCCLUSION)) };
        let network = Network::from_onnx(onnx, [3, entry.input.height, entry.input.width])
            .map_err(|source| ModelError::Network { name: entry.name.clone(), source })?;
        let (name, input, components) = (entry.name.clone(), entry.input.clone(), components.clone());
        let recipe = format!("{} {input:?} {components:?}", digest(onnx));
        let model = Self { name, network, input, components, recipe };
        model.shares(&Input::zeroed(1, &model.input))?;
        Ok(model)
    }

    /// The model's name in its manifest.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn recipe(&self) -> &str {
        &self.recipe
    }

    /// What it assesses, in the order of its outputs.
    #[must_use]
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// The covered share that each component is of, as its native value; of nothing covered the component value is 100.
    pub fn assess(&self, face: &AlignedFace) -> Result<Vec<Measure>, ModelError> {
        let shares = self.shares(&batch(std::iter::once(face.as_rgb8()), &self.input))?;
        let measured = |(&component, share)| measure(component, share, 100.0 * (1.0 - share));
        Ok(self.components.iter().zip(shares).map(measured).collect())
    }

    /// One share for each component.
    fn shares(&self, input: &Input) -> Result<Vec<f32>, ModelError> {
        let run = self.network.run(input.view());
        let outputs = run.map_err(|source| ModelError::Network { name: self.name.clone(), source })?;
        let shares: Vec<f32> = outputs.first().map(|output| output.iter().copied().collect()).unwrap_or_default();
        let unfit = |problem| ModelError::Outputs { name: self.name.clone(), problem };
        if shares.len() != self.components.len() {
            return Err(unfit(format!("expected {} shares, got {} values", self.components.len(), shares.len())));
        }
        match shares.iter().find(|share| !(0.0..=1.0).contains(*share)) {
            Some(share) => Err(unfit(format!("expected shares within [0, 1], got {share}"))),
            None => Ok(shares),
        }
    }
}

impl std::fmt::Debug for Occlusion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Occlusion")
            .field("name", &self.name)
            .field("components", &self.components)
            .finish_non_exhaustive()
    }
}
