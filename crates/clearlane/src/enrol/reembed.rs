//! A new model's templates for those who are enrolled, from pictures that are supplied: the register keeps none.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use clearlane_store::{ImageDigest, NewTemplate, Register, Subject};
use clearlane_template::{ModelId, SubjectId};
use jiff::Timestamp;

use super::batches::{self, BulkProgress, BulkReport, BulkStop, Prepared, Written, written};
use super::maker::{MadeTemplate, MadeTemplates, TemplateMaker};
use super::portrait::Unused;
use super::{EnrolError, Picture};
use crate::proof::reaches;
use crate::reason::Reason;
use crate::references::best_score;

/// Gives those who are enrolled templates of a new model, beside those that they have, by the rules of a policy.
///
/// A register holds no pictures, so they are supplied again, and must be shown to be the subject's: by the model of which
/// the register has templates, where [`TemplateMaker::with_earlier`] gives one, and else by their digests, which the register
/// keeps of the pictures that it enrolled from. A picture under the wrong name would otherwise let one pass as another. Of a picture
/// that the subject was enrolled from no quality is asked again, by whatever rules that was.
pub struct Reembedder {
    register: Arc<Register>,
    maker: Arc<TemplateMaker>,
}

/// Whose templates, and which.
type Ready = (SubjectId, Vec<NewTemplate>);

impl Reembedder {
    /// Re-embeds those in `register` with what `maker` makes.
    pub fn new(register: Arc<Register>, maker: impl Into<Arc<TemplateMaker>>) -> Self {
        Self { register, maker: maker.into() }
    }

    /// Whose subjects are re-embedded.
    #[must_use]
    pub fn register(&self) -> &Arc<Register> {
        &self.register
    }

    /// What makes the templates.
    #[must_use]
    pub fn maker(&self) -> &Arc<TemplateMaker> {
        &self.maker
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
        let prepare = |key: &str, read: R| {
            self.prepare(key, now, |subject, models| {
                let pictures = match read() {
                    Ok(pictures) => pictures,
                    Err(why) => return Ok(Err(BulkStop::Unreadable(why))),
                };
                let enrolled = self.register.sources(subject.id)?;
                let compared = self.maker.earlier_model().is_some_and(|earlier| models.contains(&earlier));
                Ok(self.maker.make(&pictures, &enrolled, compared).map_err(|error| BulkStop::of(&error)))
            })
        };
        batches::run(supplied, prepare, |ready| self.write(ready), progress)
    }

    /// Whether somebody is enrolled under this key and has no template of the model: only then are pictures of use.
    pub fn needs_pictures(&self, key: &str) -> Result<bool, EnrolError> {
        let Some(subject) = self.register.subject(key)? else { return Ok(false) };
        Ok(!self.register.models_of(subject.id)?.contains(&self.maker.model()))
    }

    /// The pictures that this subject was enrolled from, as far as the register knows: none where nobody is enrolled under the key.
    pub fn enrolled_from(&self, key: &str) -> Result<Vec<ImageDigest>, EnrolError> {
        let Some(subject) = self.register.subject(key)? else { return Ok(Vec::new()) };
        Ok(self.register.sources(subject.id)?)
    }

    /// Judges what was made elsewhere, by a [`TemplateMaker`] with the same [digest](TemplateMaker::digest), writes what can be used
    /// in one transaction, and adds all of it to the report: what it counts is on disk. Each subject is named once.
    pub fn take_in(
        &self,
        made: Vec<(String, Result<MadeTemplates, BulkStop>)>,
        now: Timestamp,
        report: &mut BulkReport,
    ) -> Result<(), EnrolError> {
        let prepared = made.into_iter().map(|(key, made)| {
            let prepared = self.prepare(&key, now, |_, _| Ok(made));
            (key, prepared)
        });
        batches::one(prepared.collect(), &mut |ready| self.write(ready), report)
    }

    fn prepare(
        &self,
        key: &str,
        now: Timestamp,
        make: impl FnOnce(&Subject, &[ModelId]) -> Result<Result<MadeTemplates, BulkStop>, EnrolError>,
    ) -> Result<Prepared<Ready>, EnrolError> {
        let Some(subject) = self.register.subject(key)? else {
            return Ok(Prepared::refer(vec![Reason::NotEnrolled]));
        };
        let models = self.register.models_of(subject.id)?;
        if models.contains(&self.maker.model()) {
            return Ok(Prepared::Already);
        }
        let made = match make(&subject, &models)? {
            Ok(made) => made,
            Err(stop) => return Ok(Prepared::Stopped(stop)),
        };
        let mut reasons = self.maker.policy().consent_refuses(subject.details.consent.as_ref(), now);
        let (templates, unused) = match made {
            MadeTemplates::Usable { templates, unused } if reasons.is_empty() => (templates, unused),
            MadeTemplates::Usable { .. } => return Ok(Prepared::refer(reasons)),
            MadeTemplates::Refer(others) => {
                reasons.extend(others);
                return Ok(Prepared::refer(reasons));
            }
        };
        if let Some(reason) = self.unproven(&subject, &models, &templates)? {
            return Ok(Prepared::refer(vec![reason]));
        }
        let ready = (subject.id, templates.into_iter().map(MadeTemplate::into_new).collect());
        Ok(Prepared::Ready(ready, unused.into_iter().map(Unused::from).collect()))
    }

    /// Why the templates are not shown to be of the subject.
    fn unproven(
        &self,
        subject: &Subject,
        models: &[ModelId],
        templates: &[MadeTemplate],
    ) -> Result<Option<Reason>, EnrolError> {
        let earlier = self.maker.earlier_model().filter(|earlier| models.contains(earlier));
        if let Some((earlier, threshold)) = earlier.zip(self.maker.earlier_threshold()) {
            for made in templates {
                let score = match &made.earlier {
                    Some(probe) => best_score(&self.register, earlier, subject.id, probe)?,
                    None => None,
                };
                let score = score.unwrap_or(-1.0);
                if !reaches(score, threshold) {
                    return Ok(Some(Reason::NotMatched { score, threshold }));
                }
            }
            return Ok(None);
        }
        let known = self.register.sources(subject.id)?;
        let all = templates.iter().all(|made| made.source.is_some_and(|source| known.contains(&source)));
        Ok((!all).then_some(Reason::PictureUnproven))
    }

    fn write(&self, ready: Vec<(String, Ready)>) -> Result<Vec<Written>, EnrolError> {
        let (keys, ready): (Vec<_>, Vec<_>) = ready.into_iter().unzip();
        let added = self.register.add_missing_templates(self.maker.model(), &ready)?;
        let count = |added: Result<Vec<_>, _>| added.map(|templates| templates.len());
        Ok(keys.into_iter().zip(added).map(|(key, added)| written(key, count(added))).collect())
    }
}

impl fmt::Debug for Reembedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reembedder").field("maker", &self.maker).finish_non_exhaustive()
    }
}
