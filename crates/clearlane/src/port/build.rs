//! A port of parts that the host made itself.

use std::sync::Arc;

use clearlane_embed::Extractor;
use clearlane_match::Mode;
use jiff::Timestamp;

use super::{Parts, Port, PortError, Rules};
use crate::claim::ClaimVerifier;
use crate::metrics::Metrics;
use crate::policy::{Policy, PortId};
use crate::references::References;
use crate::remote::RemoteGallery;
use crate::threshold::Calibration;
use crate::upgrade::ModelChoice;

/// Settings of a [`Port`], from [`Port::builder`].
#[must_use]
pub struct PortBuilder {
    policy: Option<Arc<Policy>>,
    parts: Parts,
}

impl PortBuilder {
    pub(super) fn new(references: Arc<References>) -> Self {
        let parts = Parts {
            rules: None,
            id: None,
            references,
            remote: None,
            calibration: None,
            extractor: None,
            claims: ClaimVerifier::default(),
            metrics: Arc::default(),
            mode: Mode::Certified,
            parallel: false,
            choice: None,
            clock: Box::new(Timestamp::now),
        };
        Self { policy: None, parts }
    }

    /// The rules. A port without rules has no lanes.
    pub fn policy(mut self, policy: impl Into<Arc<Policy>>) -> Self {
        self.policy = Some(policy.into());
        self
    }

    /// Which of the policy's ports this is. It may be left out where the policy has one only, or where no lane is made.
    pub fn port(mut self, port: PortId) -> Self {
        self.parts.id = Some(port);
        self
    }

    /// Which comparison score gives which false match rate, and among whom. Rules need one for each population that they serve,
    /// and use no other.
    pub fn calibration(mut self, calibration: Calibration) -> Self {
        self.parts.calibration = Some(calibration);
        self
    }

    /// What makes templates of frames. Lanes of a port without one take captures only.
    pub fn extractor(mut self, extractor: Extractor) -> Self {
        self.parts.extractor = Some(extractor);
        self
    }

    /// Whose claims are believed (default: nobody's).
    pub fn claims(mut self, claims: ClaimVerifier) -> Self {
        self.parts.claims = claims;
        self
    }

    /// A gallery that is kept elsewhere, to be searched in place of the references (default: none). Lanes record their passages
    /// in the references' register. They compare nobody one to one, and nobody is enrolled through this port. A
    /// policy has to say `comparison.gallery-age-ms`.
    pub fn remote_gallery(mut self, gallery: Arc<dyn RemoteGallery>) -> Self {
        self.parts.remote = Some(gallery);
        self
    }

    /// Counters and histograms to share with other ports (default: the port's own).
    pub fn metrics(mut self, metrics: Arc<Metrics>) -> Self {
        self.parts.metrics = metrics;
        self
    }

    /// By which contract searches may skip references (default: [`Mode::Certified`]).
    pub fn mode(mut self, mode: Mode) -> Self {
        self.parts.mode = mode;
        self
    }

    /// Whether one search uses all threads of the current thread pool (default: the calling thread only, which serves
    /// several lanes best).
    pub fn parallel(mut self, parallel: bool) -> Self {
        self.parts.parallel = parallel;
        self
    }

    /// Why the port uses its model, for the host to see (default: nothing is said).
    pub fn model_choice(mut self, choice: ModelChoice) -> Self {
        self.parts.choice = Some(choice);
        self
    }

    /// Where the time of a passage comes from (default: the system's clock).
    pub fn clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.parts.clock = Box::new(clock);
        self
    }

    /// The port, if its parts fit together.
    pub fn build(self) -> Result<Port, PortError> {
        let mut parts = self.parts;
        let references = parts.references.model();
        let extractor = parts.extractor.as_ref().map(|extractor| extractor.embedder().model_id());
        if let Some(extractor) = extractor.filter(|model| *model != references) {
            return Err(PortError::ExtractorModel { extractor, references });
        }
        let calibration = parts.calibration.as_ref().map(Calibration::model);
        if let Some(calibration) = calibration.filter(|model| *model != references) {
            return Err(PortError::CalibrationModel { calibration, references });
        }
        let gallery = parts.remote.as_ref().map(|remote| remote.model());
        if let Some(gallery) = gallery.filter(|model| *model != references) {
            return Err(PortError::GalleryModel { gallery, references });
        }
        if let Some(policy) = self.policy {
            if parts.remote.is_some() && policy.gallery_age().is_none() {
                return Err(PortError::NoGalleryAge);
            }
            let known: Vec<_> = policy.ports().keys().cloned().collect();
            parts.id = match (parts.id, &known[..]) {
                (Some(port), known) if known.contains(&port) => Some(port),
                (Some(port), _) => return Err(PortError::UnknownPort { port, known }),
                (None, [only]) => Some(only.clone()),
                (None, _) => None,
            };
            if let Some(extractor) = &parts.extractor {
                Policy::assessed(policy.capture.quality.iter().chain(&policy.enrolment.quality), extractor)?;
            }
            // From here on nobody knows of a threshold for others than those whom the policy serves.
            let calibration = parts.calibration.as_ref().ok_or(PortError::NoCalibration)?.for_policy(&policy)?;
            calibration.serves(&policy, parts.templates())?;
            parts.calibration = Some(calibration.clone());
            parts.rules = Some(Rules { policy, calibration });
        }
        Ok(Port(Arc::new(parts)))
    }
}
