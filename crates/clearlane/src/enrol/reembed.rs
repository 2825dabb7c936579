//! A new model's templates for those who are enrolled, from pictures that are supplied: the register keeps none.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use clearlane_embed::{Embedder, Extractor};
use clearlane_store::{NewTemplate, Register, Subject};
use clearlane_template::{ModelId, SubjectId};
use jiff::Timestamp;

use super::batches::{self, BulkProgress, BulkReport, BulkStop, Prepared, Written, written};
use super::portrait::{Chooser, Portrait, templates};
use super::{EnrolError, Picture};
use crate::policy::Policy;
use crate::proof::reaches;
use crate::reason::Reason;
use crate::references::best_score;
use crate::threshold::{Calibration, CalibrationError};

/// Gives those who are enrolled templates of a new model, beside those that they have, by the rules of a policy.
///
/// A register holds no pictures, so they are supplied again, and must be shown to be the subject's: by the model of which
/// the register has templates, where [`Reembedder::with_earlier`] gives one, and else by their digests, which the register
/// keeps of the pictures that it enrolled from. A picture under the wrong name would otherwise let one pass as another.
pub struct Reembedder {
    register: Arc<Register>,
    policy: Arc<Policy>,
    chooser: Chooser,
    model: ModelId,
    earlier: Option<Earlier>,
}

/// The model that knows the subjects already.
struct Earlier {
    embedder: Embedder,
    /// The threshold at which two pictures show one person.
    threshold: f32,
}

/// Whose templates, and which.
type Ready = (SubjectId, Vec<NewTemplate>);

impl Reembedder {
    /// Re-embeds with the model of `extractor`, of which `calibration` is, for those at the least whom the policy serves.
    pub fn new(
        policy: Arc<Policy>,
        register: Arc<Register>,
        extractor: Extractor,
        calibration: &Calibration,
    ) -> Result<Self, EnrolError> {
        let model = extractor.embedder().model_id();
        of_model("calibration", calibration, model)?;
        let calibration = calibration.for_policy(&policy).map_err(CalibrationError::from)?;
        let chooser = Chooser::new(Arc::clone(&policy), extractor, &calibration)?;
        Ok(Self { register, policy, chooser, model, earlier: None })
    }

    /// The same, comparing each picture with the subject's templates of an earlier model.
    pub fn with_earlier(mut self, embedder: Embedder, calibration: &Calibration) -> Result<Self, EnrolError> {
        of_model("earlier calibration", calibration, embedder.model_id())?;
        let calibration = calibration.for_policy(&self.policy).map_err(CalibrationError::from)?;
        let threshold = calibration.threshold_for_fmr(self.policy.enrolment.agreement_fmr)?;
        self.earlier = Some(Earlier { embedder, threshold });
        Ok(self)
    }

    /// Re-embeds all subjects of `supplied`: each yields the key of an enrolled subject and a reader of its pictures, which
    /// runs on any thread of the current rayon pool.
    ///
    /// `progress` is called after each batch, when all that it counts is on disk; it stops by `ControlFlow::Break`. A second
    /// run over the same goes on where the first stopped, since those who have templates of the model are skipped without
    /// reading their pictures. Who gets none is in the report, and the others go on; an error of the register ends it all,
    /// and what was counted until then is on disk.
    pub fn reembed_many<R>(
        &self,
        supplied: impl IntoIterator<Item = (String, R)>,
        now: Timestamp,
        progress: impl FnMut(&BulkProgress) -> ControlFlow<()>,
    ) -> Result<BulkReport, EnrolError>
    where
        R: FnOnce() -> Result<Vec<Picture<'static>>, String> + Send,
    {
        let prepare = |key: &str, read: R| self.prepare(key, read, now);
        batches::run(supplied, prepare, |ready| self.write(ready), progress)
    }

    fn prepare<R>(&self, key: &str, read: R, now: Timestamp) -> Result<Prepared<Ready>, EnrolError>
    where
        R: FnOnce() -> Result<Vec<Picture<'static>>, String>,
    {
        let Some(subject) = self.register.subject(key)? else {
            return Ok(Prepared::refer(vec![Reason::NotEnrolled]));
        };
        let models = self.register.models_of(subject.id)?;
        if models.contains(&self.model) {
            return Ok(Prepared::Already);
        }
        let pictures = match read() {
            Ok(pictures) => pictures,
            Err(words) => return Ok(Prepared::Stopped(BulkStop::Unreadable(words))),
        };
        let (portraits, unused) = match self.chooser.portraits(&subject.details, &pictures, now) {
            Ok(Ok(found)) => found,
            Ok(Err(reasons)) => return Ok(Prepared::refer(reasons)),
            Err(error) => return Prepared::failed(error),
        };
        match self.unproven(&subject, &models, &portraits)? {
            Some(reason) => Ok(Prepared::refer(vec![reason])),
            None => Ok(Prepared::Ready((subject.id, templates(portraits)), unused)),
        }
    }

    /// Why the portraits are not shown to be the subject's.
    fn unproven(
        &self,
        subject: &Subject,
        models: &[ModelId],
        portraits: &[Portrait],
    ) -> Result<Option<Reason>, EnrolError> {
        if let Some(Earlier { embedder, threshold }) =
            self.earlier.as_ref().filter(|earlier| models.contains(&earlier.embedder.model_id()))
        {
            for portrait in portraits {
                let probe = embedder.embed(&portrait.extraction.aligned).map_err(EnrolError::Extract)?;
                let score = best_score(&self.register, embedder.model_id(), subject.id, &probe)?.unwrap_or(-1.0);
                if !reaches(score, *threshold) {
                    return Ok(Some(Reason::NotMatched { score, threshold: *threshold }));
                }
            }
            return Ok(None);
        }
        let known = self.register.sources(subject.id)?;
        let all = portraits.iter().all(|portrait| portrait.source.is_some_and(|source| known.contains(&source)));
        Ok((!all).then_some(Reason::PictureUnproven))
    }

    fn write(&self, ready: Vec<(String, Ready)>) -> Result<Vec<Written>, EnrolError> {
        let (keys, ready): (Vec<_>, Vec<_>) = ready.into_iter().unzip();
        let added = self.register.add_missing_templates(self.model, &ready)?;
        let count = |added: Result<Vec<_>, _>| added.map(|templates| templates.len());
        Ok(keys.into_iter().zip(added).map(|(key, added)| written(key, count(added))).collect())
    }
}

impl fmt::Debug for Reembedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reembedder").field("model", &self.model).finish_non_exhaustive()
    }
}

fn of_model(part: &'static str, calibration: &Calibration, model: ModelId) -> Result<(), EnrolError> {
    match calibration.model() {
        found if found == model => Ok(()),
        found => Err(EnrolError::OtherModel { part, found, wanted: model }),
    }
}
