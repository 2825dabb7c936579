//! Going over to another face model: which one a lane uses while templates of several stand side by side, and why.

use std::fmt;

use clearlane_embed::{Embedder, ModelError, Models, Task};
use clearlane_store::{Coverage, Register, Stats, StoreError};
use clearlane_template::ModelId;
use serde::Serialize;

use crate::policy::Policy;
use crate::proof::reaches;

/// Which model a lane uses, and why. Templates of different models are never compared: a subject without a template of
/// this model is not found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelChoice {
    /// The embedder's name in its manifest.
    pub embedder: String,
    /// The model.
    pub model: ModelId,
    /// How many of the enrolled have a template of it.
    pub coverage: Coverage,
    /// The share that the policy asks for before a lane goes over to a model, in (0, 1].
    pub required: f64,
    /// Why it was chosen.
    #[serde(flatten)]
    pub reason: ChoiceReason,
}

/// Why a lane uses a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
#[non_exhaustive]
pub enum ChoiceReason {
    /// It is the one that was asked for, and covers as many as the policy asks.
    Covers,
    /// It is the one that was asked for and covers fewer than the policy asks, but no other available model covers more.
    NoneCoversMore,
    /// The one that was asked for covers fewer than the policy asks, and fewer than this one.
    NotYet {
        /// The embedder that was asked for.
        wanted: String,
        /// How many of the enrolled have a template of it.
        wanted_coverage: Coverage,
    },
}

/// Why no model could be chosen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChoiceError {
    /// The register failed, or all its templates are of models that are not available.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl ModelChoice {
    /// Chooses between `wanted` and the other embedders of `models` by the register's coverage: `wanted` as soon as it
    /// covers the share that the policy asks for, and until then whichever covers most. The others are loaded only where
    /// that has to be known.
    ///
    /// A lane keeps its model for as long as it is open. It costs a count of the register's templates to ask again
    /// whether it is time to go over.
    pub fn make(
        wanted: Embedder,
        models: &Models,
        register: &Register,
        policy: &Policy,
    ) -> Result<(Embedder, Self), ChoiceError> {
        let required = policy.upgrade_coverage();
        let choice = |embedder: &Embedder, coverage, reason| Self {
            embedder: embedder.name().to_owned(),
            model: embedder.model_id(),
            coverage,
            required,
            reason,
        };
        let coverage = register.coverage(wanted.model_id())?;
        if reaches(coverage.share(), required) {
            let choice = choice(&wanted, coverage, ChoiceReason::Covers);
            return Ok((wanted, choice));
        }
        let stats = register.stats()?;
        if let Some((embedder, other)) = fullest_other(&wanted, models, register, &stats)?
            && other.covered > coverage.covered
        {
            let reason = ChoiceReason::NotYet { wanted: wanted.name().to_owned(), wanted_coverage: coverage };
            let choice = choice(&embedder, other, reason);
            return Ok((embedder, choice));
        }
        if coverage.covered == 0 && stats.templates > 0 {
            let present = stats.models.iter().map(|model| model.id).collect();
            return Err(StoreError::OtherModel { wanted: wanted.model_id(), present }.into());
        }
        let choice = choice(&wanted, coverage, ChoiceReason::NoneCoversMore);
        Ok((wanted, choice))
    }

    /// The embedder of `models`, other than `embedder`, of which most subjects have a template, and how many: the one that
    /// a register goes over from. `None` where there is none.
    pub fn earlier(
        embedder: &Embedder,
        models: &Models,
        register: &Register,
    ) -> Result<Option<(Embedder, Coverage)>, ChoiceError> {
        fullest_other(embedder, models, register, &register.stats()?)
    }
}

/// The available embedder, other than `wanted`, of which most subjects have a template.
fn fullest_other(
    wanted: &Embedder,
    models: &Models,
    register: &Register,
    stats: &Stats,
) -> Result<Option<(Embedder, Coverage)>, ChoiceError> {
    let mut fullest: Option<(Embedder, Coverage)> = None;
    for (entry, _) in models.iter().filter(|(entry, _)| entry.name != wanted.name()) {
        // A model is known by its bytes and its preprocessing; its dimension alone can rule it out without loading it.
        let Task::Embedding { dimension, .. } = &entry.task else { continue };
        if !stats.models.iter().any(|model| model.dimension == *dimension && model.templates > 0) {
            continue;
        }
        let embedder = models.embedder(&entry.name)?;
        if embedder.model_id() == wanted.model_id() {
            continue;
        }
        let coverage = register.coverage(embedder.model_id())?;
        if coverage.covered > fullest.as_ref().map_or(0, |(_, fullest)| fullest.covered) {
            fullest = Some((embedder, coverage));
        }
    }
    Ok(fullest)
}

impl fmt::Display for ModelChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { embedder, coverage, required, reason, .. } = self;
        let share = |coverage: &Coverage| {
            let Coverage { covered, subjects } = coverage;
            format!("{covered} of {subjects} subjects ({:.2} %)", 100.0 * coverage.share())
        };
        let asked = 100.0 * required;
        write!(f, "`{embedder}`, which covers {}", share(coverage))?;
        match reason {
            ChoiceReason::Covers => write!(f, "; the policy asks for {asked} %"),
            ChoiceReason::NoneCoversMore => {
                write!(f, "; the policy asks for {asked} %, but no available model covers more")
            }
            ChoiceReason::NotYet { wanted, wanted_coverage } => {
                write!(f, "; `{wanted}` covers {} as yet, and the policy asks for {asked} %", share(wanted_coverage))
            }
        }
    }
}
