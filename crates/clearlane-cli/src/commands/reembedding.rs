//! What the commands share that give a register templates of a new embedder: who makes them, and what came of it.

use std::fmt::Write as _;
use std::sync::Arc;

use clearlane::{BulkProgress, ModelChoice, Policy, TemplateMaker};
use clearlane_embed::{Embedder, Extractor};
use clearlane_store::{Coverage, Register};
use serde::Serialize;

use super::enrol::supplied::Failed;
use crate::failure::Result;
use crate::models::ModelArgs;
use crate::output::Output;
use crate::thresholds;

/// What a re-embedding did.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    subjects: usize,
    reembedded: u64,
    templates: u64,
    /// Subjects that had templates of the embedder before.
    passed_over: u64,
    failed: Vec<Failed>,
    pub(super) interrupted: bool,
    seconds: f64,
    coverage: Coverage,
    /// What a lane that is opened now uses.
    lane: ModelChoice,
}

impl Report {
    /// What became of `subjects`, and of the register.
    pub(super) fn new(
        subjects: usize,
        done: &BulkProgress,
        failed: Vec<Failed>,
        (seconds, interrupted): (f64, bool),
        (models, register, policy): (&ModelArgs, &Register, &Policy),
    ) -> Result<Self> {
        let embedder = models.load_embedder()?;
        Ok(Self {
            subjects,
            reembedded: done.enrolled,
            templates: done.templates,
            passed_over: done.already,
            failed,
            interrupted,
            seconds,
            coverage: register.coverage(embedder.model_id())?,
            lane: ModelChoice::make(embedder, &models.available()?, register, policy)?.1,
        })
    }

    /// Whether everybody has templates of the embedder now.
    pub(super) fn is_whole(&self) -> bool {
        self.failed.is_empty()
    }

    pub(super) fn text(&self) -> String {
        let Self { subjects, reembedded, templates, passed_over, failed, interrupted, seconds, lane, .. } = self;
        let mut text = format!("{reembedded} of {subjects} subjects got {templates} templates in {seconds:.1} s\n");
        // Writing to a String cannot fail.
        if *passed_over > 0 {
            let _ = writeln!(text, "{passed_over} had theirs before");
        }
        if !failed.is_empty() {
            let _ = writeln!(text, "{} got none, or a picture of theirs could not be used:", failed.len());
            for failed in failed {
                text.extend(["  ", &failed.line(), "\n"]);
            }
        }
        let _ = writeln!(text, "a lane that is opened now uses {lane}");
        if *interrupted {
            text.push_str("interrupted; run the same command again to go on\n");
        }
        text
    }
}

/// The embedder that knows the register's subjects, where it is available.
pub(super) fn earlier(
    extractor: &Extractor,
    models: &ModelArgs,
    register: &Register,
    output: &Output,
) -> Result<Option<Embedder>> {
    let name = extractor.embedder().name();
    let Some((earlier, coverage)) = ModelChoice::earlier(extractor.embedder(), &models.available()?, register)? else {
        output.note(&format!(
            "no embedder but {name} is available that the register has templates of: pictures are known by their digests"
        ));
        return Ok(None);
    };
    let Coverage { covered, subjects } = coverage;
    output.note(&format!(
        "pictures are compared with templates of {} ({covered} of {subjects} subjects)",
        earlier.name()
    ));
    Ok(Some(earlier))
}

/// Makes templates by the policy's rules, and those of an earlier embedder beside them.
pub(super) fn maker(policy: Arc<Policy>, extractor: Extractor, earlier: Option<Embedder>) -> Result<TemplateMaker> {
    let calibration = thresholds::calibration(extractor.embedder())?;
    let maker = TemplateMaker::new(policy, extractor, &calibration)?;
    let Some(earlier) = earlier else { return Ok(maker) };
    let known = thresholds::calibration(&earlier)?;
    Ok(maker.with_earlier(earlier, &known)?)
}
