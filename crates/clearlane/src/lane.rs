//! The lane: frames and evidence in, one decision out, recorded.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clearlane_embed::{Extractor, Frame};
use clearlane_match::Mode;
use clearlane_store::{Direction, NumberDigest};
use clearlane_template::TemplateId;
use jiff::Timestamp;
use tracing::{Span, debug_span};

use crate::capture::Capture;
use crate::claim::{Claim, ClaimVerifier};
use crate::compare::IdentifyOptions;
use crate::decision::{Comparison, Passage, StageTimes};
use crate::evidence::{Evidence, Face};
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::port::PortId;
use crate::proof::reaches;
use crate::reason::Reason;
use crate::references::References;
use crate::threshold::Calibration;
use crate::upgrade::ModelChoice;

mod build;
mod verdict;
mod verify;

use verdict::Case;

pub use build::{LaneBuilder, LaneError};
pub use verify::ShownDocument;

/// One lane of a port: it says of each traveller whether the gate opens, and records it.
///
/// Any number of lanes share one [`References`], and one lane may serve several threads. No call fails or panics: whatever
/// goes wrong inside of a passage is a reason to refer the traveller to an officer.
pub struct Lane {
    name: String,
    port: PortId,
    direction: Direction,
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

/// No passage takes longer, whatever budget it is given.
const LONGEST_BUDGET: Duration = Duration::from_hours(1);

/// A passage on its way to a decision.
struct Course {
    started: Instant,
    deadline: Instant,
    budget: Duration,
    time: Timestamp,
    /// What went wrong before the passage began.
    failed: Vec<Reason>,
    /// The claim that the traveller showed, found good, and used up with the record.
    claim: Option<Claim>,
    /// The document that the traveller showed.
    document: Option<NumberDigest>,
    /// The template that the candidate was found by.
    template: Option<TemplateId>,
    times: StageTimes,
}

/// What a comparison came to, before evidence and rules.
struct Compared {
    comparison: Option<Comparison>,
    reasons: Vec<Reason>,
}

impl Lane {
    /// Settings for a lane of `policy` that searches `references`.
    pub fn builder(policy: Arc<Policy>, references: Arc<References>, calibration: Calibration) -> LaneBuilder {
        LaneBuilder::new(policy, references, calibration)
    }

    /// The traveller shows nothing (1:N): who stands before the camera, and may they pass?
    ///
    /// `frames` are those of one passage, one or several. `evidence` are scores of other matchers for the subject that
    /// the traveller turns out to be. `budget` is the time until the answer, the policy's where it is `None`.
    pub fn pass(&self, frames: &[Frame<'_>], evidence: &[Evidence], budget: Option<Duration>) -> Passage {
        let mut course = self.start(budget);
        let _span = self.span("pass");
        let compared = guarded("capture", || {
            let capture = self.capture(frames, &mut course)?;
            Ok(self.identify(&capture, &mut course))
        });
        self.conclude(course, compared.unwrap_or_else(Compared::refused), evidence)
    }

    /// As [`Lane::pass`], from a capture that was made elsewhere.
    pub fn pass_capture(&self, capture: &Capture, evidence: &[Evidence], budget: Option<Duration>) -> Passage {
        let mut course = self.start(budget);
        let _span = self.span("pass");
        course.times = capture.times;
        let compared = guarded("search", || Ok(self.identify(capture, &mut course)));
        self.conclude(course, compared.unwrap_or_else(Compared::refused), evidence)
    }

    /// What the lane counted and how long its stages took.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The rules.
    #[must_use]
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// What the lane searches.
    #[must_use]
    pub fn references(&self) -> &Arc<References> {
        &self.references
    }

    /// Which of several models the lane uses, and why; `None` where its builder was not told.
    #[must_use]
    pub fn model_choice(&self) -> Option<&ModelChoice> {
        self.choice.as_ref()
    }

    /// The lane's name in crossing records.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn start(&self, budget: Option<Duration>) -> Course {
        let (started, budget) = (Instant::now(), budget.unwrap_or(self.policy.budget()).min(LONGEST_BUDGET));
        let deadline = started + budget;
        // A clock that fails is a reason to refer; the record needs a time all the same.
        let (time, failed) = match guarded("clock", || Ok((self.clock)())) {
            Ok(time) => (time, Vec::new()),
            Err(reasons) => (Timestamp::now(), reasons),
        };
        Course {
            started,
            deadline,
            budget,
            time,
            failed,
            claim: None,
            document: None,
            template: None,
            times: StageTimes::default(),
        }
    }

    /// Spans and events name the lane and never the traveller.
    fn span(&self, kind: &'static str) -> tracing::span::EnteredSpan {
        tracing::info_span!("passage", kind, port = %self.port, lane = self.name.as_str()).entered()
    }

    fn capture(&self, frames: &[Frame<'_>], course: &mut Course) -> Result<Capture, Vec<Reason>> {
        let Some(extractor) = &self.extractor else {
            return Err(vec![Reason::InternalError { stage: "extractor" }]);
        };
        let _span = debug_span!("capture", frames = frames.len()).entered();
        let rule = &self.policy.capture;
        let agreement = self.calibration.threshold_for_fmr(rule.agreement_fmr);
        let agreement = agreement.map_err(|_| vec![Reason::ThresholdUnknown { entries: 1 }])?;
        Capture::take(extractor, frames, rule, agreement, course.deadline, &mut course.times)
    }

    fn identify(&self, capture: &Capture, course: &mut Course) -> Compared {
        let mut reasons: Vec<_> = self.policy.capture.pad_refuses(capture.pad).into_iter().collect();
        let rule = &self.policy.comparison;
        let entries = self.references.len();
        let Ok(threshold) = self.calibration.threshold_for_fpir(rule.fpir, entries) else {
            reasons.push(Reason::ThresholdUnknown { entries });
            return Compared { comparison: None, reasons };
        };
        let options = IdentifyOptions {
            mode: self.mode,
            deadline: Some(course.deadline),
            parallel: self.parallel,
            // The rule of fusion may take a face under the face's own threshold, and says so when it judges.
            ..IdentifyOptions::new(self.policy.fusion.search_threshold(threshold), rule.margin)
        };
        let found = timed(debug_span!("search", entries), &mut course.times.search, || {
            self.references.identify(&capture.probe, &options)
        });
        match found {
            Ok(found) => {
                reasons.extend(found.reasons);
                // Who was searched is who was there in the end: with more of them, the face has to reach more.
                let searched = self.calibration.threshold_for_fpir(rule.fpir, self.references.len().max(entries));
                let Ok(threshold) = searched else {
                    reasons.push(Reason::ThresholdUnknown { entries });
                    return Compared { comparison: None, reasons };
                };
                let comparison = found.candidates.first().filter(|best| reaches(best.score, options.threshold));
                course.template = comparison.map(|best| best.template);
                let comparison = comparison.map(|best| Comparison {
                    subject: best.subject,
                    score: best.score,
                    threshold,
                    margin: found.margin,
                });
                Compared { comparison, reasons }
            }
            Err(error) => {
                tracing::error!(%error, "the search failed");
                reasons.push(Reason::InternalError { stage: "search" });
                Compared { comparison: None, reasons }
            }
        }
    }

    /// The one place where a decision is made: whoever is to pass has a comparison and no reason against it, after evidence
    /// here, and rules, the register's state, the clock and the budget at the moment of the record have had their say.
    fn conclude(&self, mut course: Course, compared: Compared, evidence: &[Evidence]) -> Passage {
        let Compared { comparison, mut reasons } = compared;
        reasons.append(&mut course.failed);
        timed(debug_span!("rules"), &mut course.times.rules, || match &comparison {
            Some(comparison) => {
                let face =
                    Face { subject: comparison.subject, score: comparison.score, threshold: comparison.threshold };
                reasons.extend(
                    guarded("evidence", || Ok(self.policy.fusion.judge(&face, evidence)))
                        .unwrap_or_else(|reasons| reasons),
                );
            }
            None if reasons.is_empty() => reasons.push(Reason::InternalError { stage: "comparison" }),
            None => {}
        });
        let case = Arc::new(self.case(&course, comparison, reasons));
        let span = debug_span!("record");
        let (decision, record) = timed(span, &mut course.times.record, || self.decide(&case, course.deadline));
        // The capture of `pass_capture` took its time before the call.
        course.times.total = course.started.elapsed().max(course.times.capture());
        self.metrics.count(&decision, &course.times);
        let codes: Vec<_> = decision.reasons().iter().map(Reason::code).collect();
        let total_us = course.times.total.as_micros() as u64;
        tracing::info!(admitted = decision.is_admission(), reasons = ?codes, total_us, "decided");
        Passage { decision, comparison, time: course.time, record, times: course.times }
    }

    fn case(&self, course: &Course, comparison: Option<Comparison>, reasons: Vec<Reason>) -> Case {
        Case {
            policy: Arc::clone(&self.policy),
            port: self.port.clone(),
            lane: self.name.clone(),
            direction: self.direction,
            model: self.references.model(),
            time: course.time,
            started: course.started,
            deadline: course.deadline,
            budget: course.budget,
            claim: course.claim.clone(),
            document: course.document,
            template: course.template,
            comparison,
            reasons,
            checked: self.references.is_sound(),
            verdict: Mutex::default(),
        }
    }
}

impl Compared {
    fn refused(reasons: Vec<Reason>) -> Self {
        Self { comparison: None, reasons }
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("name", &self.name)
            .field("port", &self.port)
            .field("direction", &self.direction)
            .finish_non_exhaustive()
    }
}

/// Runs a stage whose dependencies may have defects: one that panics is a reason to refer.
fn guarded<T>(stage: &'static str, work: impl FnOnce() -> Result<T, Vec<Reason>>) -> Result<T, Vec<Reason>> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        tracing::error!(stage, "a stage panicked");
        Err(vec![Reason::InternalError { stage }])
    })
}

/// Runs a stage within its span, and adds the time that it took.
fn timed<T>(span: Span, spent: &mut Duration, work: impl FnOnce() -> T) -> T {
    let _entered = span.entered();
    let start = Instant::now();
    let result = work();
    *spent = spent.saturating_add(start.elapsed());
    result
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
