//! Settings of a lane.

use std::sync::Arc;

use clearlane_embed::Extractor;
use clearlane_match::Mode;
use clearlane_store::Direction;
use clearlane_template::ModelId;
use jiff::Timestamp;

use super::Lane;
use crate::claim::ClaimVerifier;
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::port::PortId;
use crate::references::References;
use crate::threshold::{Calibration, CalibrationShortfall};
use crate::upgrade::ModelChoice;

/// Settings of a [`Lane`], from [`Lane::builder`].
#[must_use]
pub struct LaneBuilder {
    policy: Arc<Policy>,
    references: Arc<References>,
    calibration: Calibration,
    extractor: Option<Extractor>,
    claims: ClaimVerifier,
    metrics: Arc<Metrics>,
    mode: Mode,
    parallel: bool,
    choice: Option<ModelChoice>,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

/// Why a lane's parts do not fit together.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LaneError {
    /// The policy does not name the port.
    #[error("the policy has no port `{port}`; it has {}", known.iter().map(PortId::as_str).collect::<Vec<_>>().join(", "))]
    UnknownPort {
        /// The port.
        port: PortId,
        /// The policy's ports.
        known: Vec<PortId>,
    },
    /// The lane's name is empty, longer than 64 bytes or has control characters.
    #[error("a lane's name has 1 to 64 bytes and no control characters")]
    Name,
    /// The extractor makes templates of another model than the references.
    #[error("the extractor's model is {extractor:.12}, that of the references {references:.12}")]
    ExtractorModel {
        /// The extractor's model.
        extractor: ModelId,
        /// The references' model.
        references: ModelId,
    },
    /// The calibration is of another model than the references.
    #[error("the calibration is of model {calibration:.12}, the references are of {references:.12}")]
    CalibrationModel {
        /// The calibration's model.
        calibration: ModelId,
        /// The references' model.
        references: ModelId,
    },
    /// The calibration does not reach a rate that the policy asks for: no threshold would be known, and nobody could pass.
    #[error(transparent)]
    Uncalibrated(#[from] CalibrationShortfall),
}

impl LaneBuilder {
    pub(super) fn new(policy: Arc<Policy>, references: Arc<References>, calibration: Calibration) -> Self {
        Self {
            policy,
            references,
            calibration,
            extractor: None,
            claims: ClaimVerifier::default(),
            metrics: Arc::default(),
            mode: Mode::Certified,
            parallel: false,
            choice: None,
            clock: Box::new(Timestamp::now),
        }
    }

    /// What makes templates of frames. A lane without one takes captures only.
    pub fn extractor(mut self, extractor: Extractor) -> Self {
        self.extractor = Some(extractor);
        self
    }

    /// Whose claims are believed (default: nobody's).
    pub fn claims(mut self, claims: ClaimVerifier) -> Self {
        self.claims = claims;
        self
    }

    /// Counters and histograms to share with other lanes (default: the lane's own).
    pub fn metrics(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// By which contract searches may skip references (default: [`Mode::Certified`]).
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether one search uses all threads of the current rayon pool (default: the calling thread only, which serves
    /// several lanes best).
    pub fn parallel(mut self, parallel: bool) -> Self {
        self.parallel = parallel;
        self
    }

    /// Why the lane uses its model, for the host to see (default: nothing is said).
    pub fn model_choice(mut self, choice: ModelChoice) -> Self {
        self.choice = Some(choice);
        self
    }

    /// Where the time of a passage comes from (default: the system's clock).
    pub fn clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// The lane `name` at `port`, in `direction`.
    pub fn build(self, port: PortId, direction: Direction, name: impl Into<String>) -> Result<Lane, LaneError> {
        let name = name.into();
        if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
            return Err(LaneError::Name);
        }
        if !self.policy.ports().contains_key(&port) {
            return Err(LaneError::UnknownPort { port, known: self.policy.ports().keys().cloned().collect() });
        }
        let references = self.references.model();
        if self.calibration.model() != references {
            return Err(LaneError::CalibrationModel { calibration: self.calibration.model(), references });
        }
        let extractor = self.extractor.as_ref().map(|extractor| extractor.embedder().model_id());
        if let Some(extractor) = extractor.filter(|model| *model != references) {
            return Err(LaneError::ExtractorModel { extractor, references });
        }
        self.calibration.serves(&self.policy, self.references.len())?;
        Ok(Lane {
            name,
            port,
            direction,
            policy: self.policy,
            references: self.references,
            calibration: self.calibration,
            extractor: self.extractor,
            claims: self.claims,
            metrics: self.metrics,
            mode: self.mode,
            parallel: self.parallel,
            choice: self.choice,
            clock: self.clock,
        })
    }
}
