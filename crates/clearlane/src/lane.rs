//! The lane: frames and evidence in, one decision out, recorded.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clearlane_embed::{Extractor, Frame};
use clearlane_store::{Direction, NumberDigest};
use clearlane_template::TemplateId;
use jiff::Timestamp;
use tracing::{Span, debug_span};

use crate::capture::{Capture, Watch};
use crate::claim::Claim;
use crate::compare::IdentifyOptions;
use crate::decision::{Comparison, Passage, StageTimes};
use crate::evidence::{Evidence, Face};
use crate::policy::PortId;
use crate::port::{Parts, Port, Rules, listed};
use crate::proof::reaches;
use crate::reason::Reason;
use crate::remote::{Searched, Word};

mod session;
mod verdict;
mod verify;

use verdict::Case;

pub use session::{Guidance, PassageSession, PassageStep};
pub use verify::ShownDocument;

/// One lane of a [`Port`](crate::Port), from [`Port::lane`](crate::Port::lane): it says of each traveller whether the gate
/// opens, and records it.
///
/// One lane may serve several threads. No call fails or panics: whatever goes wrong inside of a passage is a reason to refer
/// the traveller to an officer.
#[derive(Clone)]
pub struct Lane {
    name: String,
    id: PortId,
    direction: Direction,
    port: Arc<Parts>,
    rules: Rules,
}

/// Why a port has no such lane.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaneError {
    /// The lane's name is empty, longer than 64 bytes or has control characters.
    #[error("expected a lane's name of 1 to 64 bytes without control characters, got {} bytes", name.len())]
    Name {
        /// What was given.
        name: String,
    },
    /// The port was opened without a policy: no rule says who may pass.
    #[error("the port was opened without a policy, so it has no lanes: open it with one")]
    NoPolicy,
    /// The policy has several ports, and none was chosen.
    #[error("the policy has several ports: choose one of {}", listed(known))]
    WhichPort {
        /// The policy's ports.
        known: Vec<PortId>,
    },
}

/// No passage takes longer, whatever budget it is given.
const LONGEST_BUDGET: Duration = Duration::from_hours(1);

/// A passage on its way to a decision.
#[derive(Clone)]
struct Course {
    /// When the first frame, or the call, came.
    began: Instant,
    /// When the work on the decision began: the budget counts from here.
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
    times: StageTimes,
}

/// What a comparison came to, before evidence and rules.
struct Compared {
    comparison: Option<Comparison>,
    /// The template in the register that the candidate was found by.
    template: Option<TemplateId>,
    /// What a gallery that is kept elsewhere says of the candidate.
    word: Option<Word>,
    reasons: Vec<Reason>,
}

impl Lane {
    pub(crate) fn new(port: Arc<Parts>, name: String, direction: Direction) -> Result<Self, LaneError> {
        if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
            return Err(LaneError::Name { name });
        }
        let rules = port.rules.clone().ok_or(LaneError::NoPolicy)?;
        let known = || rules.policy.ports().keys().cloned().collect();
        let id = port.id.clone().ok_or_else(|| LaneError::WhichPort { known: known() })?;
        Ok(Self { name, id, direction, port, rules })
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
            Ok(self.identify(&capture, self.fpir(), &mut course))
        });
        self.conclude(course, compared.unwrap_or_else(Compared::refused), evidence)
    }

    /// As [`Lane::pass`], from a capture that was made elsewhere.
    pub fn pass_capture(&self, capture: &Capture, evidence: &[Evidence], budget: Option<Duration>) -> Passage {
        let mut course = self.start(budget);
        let _span = self.span("pass");
        course.times = capture.times;
        let compared = guarded("search", || Ok(self.identify(capture, self.fpir(), &mut course)));
        self.conclude(course, compared.unwrap_or_else(Compared::refused), evidence)
    }

    /// The port that the lane is of.
    #[must_use]
    pub fn port(&self) -> Port {
        Port::from(Arc::clone(&self.port))
    }

    /// A passage that takes frames one by one, as the camera gives them, and decides as soon as it may.
    #[must_use]
    pub fn passage(&self) -> PassageSession {
        PassageSession::new(self.clone())
    }

    /// The lane's name in crossing records.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Seen from the mainland, the way that travellers take through it.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    fn start(&self, budget: Option<Duration>) -> Course {
        let (started, budget) = (Instant::now(), budget.unwrap_or(self.rules.policy.budget()).min(LONGEST_BUDGET));
        let deadline = started + budget;
        // A clock that fails is a reason to refer; the record needs a time all the same.
        let (time, failed) = match guarded("clock", || Ok((self.port.clock)())) {
            Ok(time) => (time, Vec::new()),
            Err(reasons) => (Timestamp::now(), reasons),
        };
        Course {
            began: started,
            started,
            deadline,
            budget,
            time,
            failed,
            claim: None,
            document: None,
            times: StageTimes::default(),
        }
    }

    /// Spans and events name the lane and never the traveller.
    fn span(&self, kind: &'static str) -> tracing::span::EnteredSpan {
        tracing::info_span!("passage", kind, port = %self.id, lane = self.name.as_str()).entered()
    }

    fn fpir(&self) -> f64 {
        self.rules.policy.comparison.fpir
    }

    fn extractor(&self) -> Result<&Extractor, Vec<Reason>> {
        self.port.extractor.as_ref().ok_or_else(|| vec![Reason::InternalError { stage: "extractor".into() }])
    }

    /// The score at which two frames show one person.
    fn agreement(&self) -> Result<f32, Vec<Reason>> {
        let agreement = self.rules.calibration.threshold_for_fmr(self.rules.policy.capture.agreement_fmr);
        agreement.map_err(|_| vec![Reason::ThresholdUnknown { entries: 1 }])
    }

    fn capture(&self, frames: &[Frame<'_>], course: &mut Course) -> Result<Capture, Vec<Reason>> {
        let _span = debug_span!("capture", frames = frames.len()).entered();
        let (rule, extractor) = (&self.rules.policy.capture, self.extractor()?);
        let mut watch = Watch::of_stills(self.agreement()?);
        for (index, frame) in frames.iter().enumerate() {
            if index > 0 && Instant::now() >= course.deadline {
                break;
            }
            watch.frame(extractor, frame, rule, &mut course.times)?;
        }
        watch.capture(rule, course.times)
    }

    /// Searches for whoever was captured, at the false positive identification rate `fpir`.
    fn identify(&self, capture: &Capture, fpir: f64, course: &mut Course) -> Compared {
        let mut reasons: Vec<_> = self.rules.policy.capture.pad_refuses(capture.pad).into_iter().collect();
        let rule = &self.rules.policy.comparison;
        let entries = self.port.templates();
        let Ok(threshold) = self.rules.calibration.threshold_for_fpir(fpir, entries) else {
            reasons.push(Reason::ThresholdUnknown { entries });
            return Compared::refused(reasons);
        };
        let options = IdentifyOptions {
            mode: self.port.mode,
            deadline: Some(course.deadline),
            parallel: self.port.parallel,
            // The rule of fusion may take a face under the face's own threshold, and says so when it judges.
            ..IdentifyOptions::new(self.rules.policy.fusion.search_threshold(threshold), rule.margin)
        };
        let found = timed(debug_span!("search", entries), &mut course.times.search, || {
            self.port.identify(&capture.probe, &options)
        });
        match found {
            Ok(Searched { found, word, templates }) => {
                reasons.extend(found.reasons);
                // Who was searched is who was there in the end: with more of them, the face has to reach more.
                let searched = self.rules.calibration.threshold_for_fpir(fpir, templates.max(entries));
                let Ok(threshold) = searched else {
                    reasons.push(Reason::ThresholdUnknown { entries });
                    return Compared::refused(reasons);
                };
                let comparison = found.candidates.first().filter(|best| reaches(best.score, options.threshold));
                // Of whoever did not reach the threshold nothing is said.
                let word = comparison.and(word);
                let template = comparison.map(|best| best.template).filter(|_| word.is_none());
                let comparison = comparison.map(|best| Comparison {
                    subject: best.subject,
                    score: best.score,
                    threshold,
                    margin: found.margin,
                });
                Compared { comparison, template, word, reasons }
            }
            Err(error) => {
                tracing::error!(%error, "the search failed");
                reasons.push(Reason::InternalError { stage: "search".into() });
                Compared::refused(reasons)
            }
        }
    }

    /// The one place where a decision is made: whoever is to pass has a comparison and no reason against it, after evidence
    /// here, and rules, the register's state, the clock and the budget at the moment of the record have had their say.
    fn conclude(&self, mut course: Course, compared: Compared, evidence: &[Evidence]) -> Passage {
        let Compared { comparison, template, word, mut reasons } = compared;
        reasons.append(&mut course.failed);
        timed(debug_span!("rules"), &mut course.times.rules, || match &comparison {
            Some(comparison) => {
                let face =
                    Face { subject: comparison.subject, score: comparison.score, threshold: comparison.threshold };
                reasons.extend(
                    guarded("evidence", || Ok(self.rules.policy.fusion.judge(&face, evidence)))
                        .unwrap_or_else(|reasons| reasons),
                );
            }
            None if reasons.is_empty() => reasons.push(Reason::InternalError { stage: "comparison".into() }),
            None => {}
        });
        let case = Arc::new(self.case(&course, Compared { comparison, template, word, reasons }));
        let span = debug_span!("record");
        let (decision, record) = timed(span, &mut course.times.record, || self.decide(&case, course.deadline));
        // The capture of `pass_capture` took its time before the call.
        course.times.total = course.began.elapsed().max(course.times.capture());
        self.port.metrics.count(&decision, &course.times);
        let codes: Vec<_> = decision.reasons().iter().map(Reason::code).collect();
        let total_us = course.times.total.as_micros() as u64;
        tracing::info!(admitted = decision.is_admission(), reasons = ?codes, total_us, "decided");
        Passage { decision, comparison, time: course.time, record, times: course.times }
    }

    fn case(&self, course: &Course, compared: Compared) -> Case {
        let Compared { comparison, template, word, reasons } = compared;
        Case {
            policy: Arc::clone(&self.rules.policy),
            port: self.id.clone(),
            lane: self.name.clone(),
            direction: self.direction,
            model: self.port.references.model(),
            time: course.time,
            started: course.started,
            deadline: course.deadline,
            budget: course.budget,
            claim: course.claim.clone(),
            document: course.document,
            template,
            comparison,
            word,
            reasons,
            checked: self.port.references.is_sound(),
            verdict: Mutex::default(),
        }
    }
}

impl Compared {
    fn refused(reasons: Vec<Reason>) -> Self {
        Self { comparison: None, template: None, word: None, reasons }
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("name", &self.name)
            .field("port", &self.id)
            .field("direction", &self.direction)
            .finish_non_exhaustive()
    }
}

/// Runs a stage whose dependencies may have defects: one that panics is a reason to refer.
fn guarded<T>(stage: &'static str, work: impl FnOnce() -> Result<T, Vec<Reason>>) -> Result<T, Vec<Reason>> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        tracing::error!(stage, "a stage panicked");
        Err(vec![Reason::InternalError { stage: stage.into() }])
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
