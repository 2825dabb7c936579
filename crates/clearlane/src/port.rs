//! An opened port: models, register, gallery, rules and counters, which all of its lanes share.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use clearlane_embed::{Extractor, Frame};
use clearlane_match::Mode;
use clearlane_store::{Direction, Register, Report};
use clearlane_template::Template;
use jiff::{SignedDuration, Timestamp};

use crate::claim::ClaimVerifier;
use crate::compare::{Identification, IdentifyOptions};
use crate::enrol::{EnrolError, Enroller};
use crate::lane::{Lane, LaneError};
use crate::metrics::{Metrics, Page};
use crate::policy::{Policy, PortId};
use crate::references::{References, ReferencesError, Refreshed};
use crate::remote::{self, RemoteGallery, Searched};
use crate::threshold::{Calibration, CalibrationError};
use crate::upgrade::ModelChoice;

mod build;
mod error;
mod options;
mod records;
mod refresher;

pub use build::PortBuilder;
pub(crate) use error::listed;
pub use error::{IdentifyError, OpenError, PortError};
pub use options::{OpenStage, PortOptions};
pub use records::Records;
pub use refresher::Refresher;

/// An opened port. [`Port::open`] makes it of files, [`Port::builder`] of parts that the host made itself.
///
/// Lanes, enrollers and clones of a port are cheap: they share one gallery in memory, one register, one set of models and one
/// set of counters. All of it may be used from any number of threads at once.
#[derive(Clone)]
pub struct Port(Arc<Parts>);

/// What the lanes of a port share.
pub(crate) struct Parts {
    /// `None` for a port that only identifies.
    pub(crate) rules: Option<Rules>,
    /// Which of the policy's ports it is; `None` where that was not said and there are several.
    pub(crate) id: Option<PortId>,
    pub(crate) references: Arc<References>,
    /// The gallery that is searched in place of the references, where it is kept elsewhere.
    pub(crate) remote: Option<Arc<dyn RemoteGallery>>,
    pub(crate) calibration: Option<Calibration>,
    pub(crate) extractor: Option<Extractor>,
    pub(crate) claims: ClaimVerifier,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) mode: Mode,
    pub(crate) parallel: bool,
    pub(crate) choice: Option<ModelChoice>,
    pub(crate) clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

/// How old the answer of a gallery may be that is kept elsewhere, where no policy says it: nothing is opened by it.
const GALLERY_AGE: Duration = Duration::from_secs(5);

impl Parts {
    /// How many templates a search goes over, as far as is known.
    pub(crate) fn templates(&self) -> usize {
        self.remote.as_ref().map_or_else(|| self.references.len(), |remote| remote.templates())
    }

    /// What makes templates for an enrolment here.
    fn enrols(&self) -> Result<Extractor, EnrolError> {
        if self.remote.is_some() {
            return Err(EnrolError::RemoteGallery);
        }
        self.extractor.clone().ok_or(EnrolError::NoExtractor)
    }

    /// Says who a probe is of, by the gallery that the port has.
    pub(crate) fn identify(&self, probe: &Template, options: &IdentifyOptions) -> Result<Searched, ReferencesError> {
        if let Some(remote) = &self.remote {
            let max_age = self.rules.as_ref().and_then(|rules| rules.policy.gallery_age()).unwrap_or(GALLERY_AGE);
            let max_age = SignedDuration::try_from(max_age).unwrap_or(SignedDuration::MAX);
            return Ok(remote::identify(&**remote, probe, options, max_age));
        }
        let found = self.references.identify(probe, options)?;
        Ok(Searched { found, word: None, templates: self.references.len() })
    }
}

/// The rules that the lanes of a port work by.
#[derive(Clone)]
pub(crate) struct Rules {
    pub(crate) policy: Arc<Policy>,
    pub(crate) calibration: Calibration,
}

impl Port {
    /// Opens everything that `options` name, loads the references and checks the register.
    ///
    /// A register that fails its check gives a port whose lanes refer everybody: see [`Port::is_sound`].
    pub fn open(options: PortOptions) -> Result<Self, OpenError> {
        Self::open_with(options, |_, _, _| {})
    }

    /// As [`Port::open`]. `progress` is told the stage, and how many of how many rows are done.
    pub fn open_with(
        options: PortOptions,
        progress: impl FnMut(OpenStage, u64, u64) + Send,
    ) -> Result<Self, OpenError> {
        options.open(progress)
    }

    /// Settings for a port of parts that the host made itself.
    pub fn builder(references: impl Into<Arc<References>>) -> PortBuilder {
        PortBuilder::new(references.into())
    }

    /// A lane of this port: `name` is 1 to 64 bytes without control characters and stands in the crossing records.
    pub fn lane(&self, name: impl Into<String>, direction: Direction) -> Result<Lane, LaneError> {
        Lane::new(Arc::clone(&self.0), name.into(), direction)
    }

    /// Enrols by the rules of the port's policy: consent, quality, one person, and no face that is enrolled already.
    pub fn enroller(&self) -> Result<Enroller, EnrolError> {
        let rules = self.0.rules.clone().ok_or(EnrolError::NoPolicy)?;
        let extractor = self.0.enrols()?;
        Enroller::new(rules.policy, Arc::clone(&self.0.references), extractor, &rules.calibration)
    }

    /// Enrols without any rule, for tests and evaluations: see [`Enroller::without_rules`].
    pub fn enroller_without_rules(&self) -> Result<Enroller, EnrolError> {
        let extractor = self.0.enrols()?;
        Enroller::without_rules(Arc::clone(&self.0.references), extractor)
    }

    /// Says whom a frame shows (1:N), without opening a gate: nothing is recorded and no rule is asked.
    pub fn identify(&self, frame: &Frame<'_>, options: &IdentifyOptions) -> Result<Identification, IdentifyError> {
        let extraction = self.extractor()?.extract(frame)?;
        let mut found = self.0.identify(&extraction.template, options)?.found;
        found.times.extraction += extraction.timings;
        found.quality = Some(extraction.quality);
        Ok(found)
    }

    /// How [`Port::identify`] searches with a false positive identification rate of `fpir`, in (0, 1), in the gallery as it
    /// is, and a lead of `margin` over the next subject. The threshold is the strictest of the populations that the policy
    /// serves; of a port without one, of all on whom the model was measured.
    pub fn identify_options(&self, fpir: f64, margin: f32) -> Result<IdentifyOptions, IdentifyError> {
        let calibration = self.0.calibration.as_ref().ok_or(CalibrationError::NoPoints)?;
        let threshold = calibration.threshold_for_fpir(fpir, self.0.templates())?;
        Ok(IdentifyOptions { mode: self.0.mode, parallel: self.0.parallel, ..IdentifyOptions::new(threshold, margin) })
    }

    /// The crossing records.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records::new(&self.0)
    }

    /// Brings in what this or another process changed in the register. Costs microseconds where nothing did; call it every
    /// second or so, or let [`Port::refresh_every`] do it.
    pub fn poll(&self) -> Result<Refreshed, ReferencesError> {
        self.0.references.refresh()
    }

    /// Calls [`Port::poll`] on a thread of its own, a millisecond apart at the least, until the [`Refresher`] is dropped. An
    /// error where the system gives no thread.
    pub fn refresh_every(&self, period: Duration) -> io::Result<Refresher> {
        Refresher::start(Arc::downgrade(&self.0), period)
    }

    /// Checks the whole register: see [`References::check`]. `progress` is told how many of how many rows are done.
    pub fn check(&self, progress: impl FnMut(u64, u64)) -> Result<Report, ReferencesError> {
        self.0.references.check(progress)
    }

    /// Whether the register passed its last check, and nothing was found wrong since. Lanes refer everybody until then.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.0.references.is_sound()
    }

    /// What the lanes counted and how long their stages took.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// What the lanes counted, and what is known of the port, in Prometheus' text format (version 0.0.4): see
    /// [`Metrics::to_prometheus`]. Beside that, whether the register is sound and its witness follows, and how many templates
    /// and subjects the gallery has. It costs microseconds and asks nothing of the register's file.
    #[must_use]
    pub fn to_prometheus(&self) -> String {
        let mut page = Page { text: self.metrics().to_prometheus() };
        let references = self.references();
        let yes = |yes: bool| f64::from(u8::from(yes));
        let gauges = [
            (
                "clearlane_register_sound",
                "Whether the register passed its last check and nothing was found wrong since: lanes refer everybody at 0.",
                yes(self.is_sound()),
            ),
            (
                "clearlane_register_witnessed",
                "Whether the witness, where there is one, took over the newest state that this process wrote.",
                yes(self.register().is_witnessed()),
            ),
            ("clearlane_gallery_templates", "Templates in the gallery.", self.0.templates() as f64),
            ("clearlane_gallery_subjects", "Subjects with a template in the gallery.", references.subjects() as f64),
        ];
        for (name, help, value) in gauges {
            page.family(name, "gauge", help);
            page.sample(name, &[], value);
        }
        page.text
    }

    /// The rules; `None` for a port that was opened without.
    #[must_use]
    pub fn policy(&self) -> Option<&Arc<Policy>> {
        self.0.rules.as_ref().map(|rules| &rules.policy)
    }

    /// Which port of the policy it is; `None` without a policy, or where it has several and none was chosen.
    #[must_use]
    pub fn id(&self) -> Option<&PortId> {
        self.0.id.as_ref()
    }

    /// Which comparison score gives which false match rate, and among whom: with a policy, those whom it serves, and without
    /// one, all on whom the model was measured. `None` for a port without a policy whose model was never calibrated.
    #[must_use]
    pub fn calibration(&self) -> Option<&Calibration> {
        self.0.calibration.as_ref()
    }

    /// The gallery that follows the register.
    #[must_use]
    pub fn references(&self) -> &Arc<References> {
        &self.0.references
    }

    /// The register.
    #[must_use]
    pub fn register(&self) -> &Arc<Register> {
        self.0.references.register()
    }

    /// The time by the port's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0.clock)()
    }

    /// What makes templates of frames.
    pub fn extractor(&self) -> Result<&Extractor, PortError> {
        self.0.extractor.as_ref().ok_or(PortError::NoExtractor)
    }

    /// Which of several models the port uses, and why; `None` where its builder was not told.
    #[must_use]
    pub fn model_choice(&self) -> Option<&ModelChoice> {
        self.0.choice.as_ref()
    }
}

impl From<Arc<Parts>> for Port {
    fn from(parts: Arc<Parts>) -> Self {
        Self(parts)
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("id", &self.id()).field("references", &self.0.references).finish_non_exhaustive()
    }
}
