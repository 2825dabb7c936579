//! A passage that takes frames as the camera gives them.

use std::fmt;
use std::time::{Duration, Instant};

use clearlane_embed::Frame;

use super::{Compared, Lane, guarded};
use crate::capture::{Sight, Watch};
use crate::decision::{Passage, StageTimes};
use crate::evidence::{Evidence, Face};
use crate::reason::Reason;

mod guidance;

pub use guidance::Guidance;

/// How long a session waits for good frames, where the host says nothing: what Shenzhen Bay's lanes published for a passage.
const PATIENCE: Duration = Duration::from_secs(10);

/// Frames with a face after which a session decides with what it has: a bound on memory and work for whoever stands there.
const MOST_FACES: usize = 1024;

/// Searches of one session. Each has an equal share of the false positive identification rate that the policy allows for the
/// passage, so that looking more than once does not admit more people wrongly (Bonferroni's inequality).
const SEARCHES: usize = 4;

/// One traveller before the camera, from [`Lane::passage`]: give it each frame as it comes, and show the traveller what it
/// says, until it has decided.
///
/// ```no_run
/// # use clearlane::{Frame, Language, Lane, Passage, PassageStep};
/// fn traveller(lane: &Lane, mut camera: impl Iterator<Item = Frame<'static>>) -> Passage {
///     let mut session = lane.passage();
///     while let Some(frame) = camera.next() {
///         match session.frame(&frame) {
///             PassageStep::Decided(passage) => return *passage,
///             PassageStep::Continue(guidance) => println!("{}", guidance.phrase(Language::Chinese)),
///         }
///     }
///     session.finish()
/// }
/// ```
///
/// The face is followed from frame to frame. Once the frames that the policy asks for are good enough, the gallery is
/// searched, and the session decides if nothing is missing for an admission; if something is, it goes on with better frames
/// until its patience ends. A further face that is too large, two good frames of different people and a failed presentation
/// attack detection refer the traveller at once: no later frame makes up for them. Where the policy needs another matcher's
/// score, [`PassageSession::evidence`] brings it.
///
/// A session that is dropped before it has decided records nothing.
pub struct PassageSession {
    lane: Lane,
    patience: Duration,
    /// When the first frame came.
    began: Option<Instant>,
    watch: Option<Watch>,
    evidence: Vec<Evidence>,
    times: StageTimes,
    searches: usize,
    /// An identification that only lacks another matcher's score.
    held: Option<Compared>,
    decided: Option<Passage>,
}

/// What came of a frame.
#[derive(Clone, Debug, PartialEq)]
pub enum PassageStep {
    /// Nothing is decided yet: what to tell the traveller meanwhile.
    Continue(Guidance),
    /// The passage is decided and recorded.
    Decided(Box<Passage>),
}

impl PassageSession {
    pub(super) fn new(lane: Lane) -> Self {
        Self {
            lane,
            patience: PATIENCE,
            began: None,
            watch: None,
            evidence: Vec::new(),
            times: StageTimes::default(),
            searches: 0,
            held: None,
            decided: None,
        }
    }

    /// How long after its first frame the session decides with what it has (default: 10 s). The time of one decision is
    /// bounded by the policy's budget besides.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Takes the next frame. Frames after the decision change nothing.
    pub fn frame(&mut self, frame: &Frame<'_>) -> PassageStep {
        if let Some(passage) = &self.decided {
            return PassageStep::Decided(Box::new(passage.clone()));
        }
        let _span = self.lane.span("session");
        let began = *self.began.get_or_insert_with(Instant::now);
        if began.elapsed() >= self.patience {
            return self.decide();
        }
        match guarded("capture", || self.watch_frame(frame)) {
            Err(reasons) => self.conclude(Compared::refused(reasons)),
            Ok(sight) => self.after(&sight, began),
        }
    }

    /// Takes another matcher's score for whom the traveller turns out to be.
    pub fn evidence(&mut self, evidence: Evidence) -> Option<PassageStep> {
        self.evidence.push(evidence);
        let held = self.held.take_if(|held| admits(&self.lane, held, &self.evidence))?;
        Some(self.conclude(held))
    }

    /// Decides with the frames that came: the traveller went away, or nothing better is to come.
    pub fn finish(mut self) -> Passage {
        if let Some(passage) = self.decided {
            return passage;
        }
        let _span = self.lane.span("session");
        match self.decide() {
            PassageStep::Decided(passage) => *passage,
            // `decide` has decided; a referral is right where a defect made it not.
            PassageStep::Continue(_) => {
                let refused = Compared::refused(vec![Reason::InternalError { stage: "session" }]);
                self.passage(refused)
            }
        }
    }

    fn watch_frame(&mut self, frame: &Frame<'_>) -> Result<Sight, Vec<Reason>> {
        let (lane, times) = (&self.lane, &mut self.times);
        let rule = &lane.rules.policy.capture;
        let watch = match &mut self.watch {
            Some(watch) => watch,
            none => none.insert(Watch::of_stream(lane.agreement()?)),
        };
        let sight = watch.frame(lane.extractor()?, frame, rule, times)?;
        // Each frame's score counts, so that one which fails cannot be made up for.
        match rule.pad_refuses(watch.pad(rule)).filter(|_| watch.faces() > 0) {
            Some(reason) => Err(vec![reason]),
            None => Ok(sight),
        }
    }

    /// What to do after a frame that refers nobody by itself.
    fn after(&mut self, sight: &Sight, began: Instant) -> PassageStep {
        if self.held.is_some() {
            return match began.elapsed() >= self.patience || self.is_full() {
                true => self.decide(),
                false => PassageStep::Continue(Guidance::OtherCheck),
            };
        }
        if matches!(sight, Sight::Good) && self.is_time_to_search() {
            if let Some(step) = self.search() {
                return step;
            }
        }
        if began.elapsed() >= self.patience || self.is_full() {
            return self.decide();
        }
        PassageStep::Continue(match sight {
            _ if self.held.is_some() => Guidance::OtherCheck,
            Sight::NoFace => Guidance::ShowFace,
            Sight::Poor(reasons) => Guidance::of(reasons),
            Sight::Good => Guidance::HoldStill,
        })
    }

    fn is_full(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.faces() >= MOST_FACES)
    }

    /// At once, two and four times the number of good frames that the policy makes a probe of.
    fn is_time_to_search(&self) -> bool {
        let wanted = self.lane.rules.policy.capture.best_frames.max(1) << self.searches;
        self.searches + 1 < SEARCHES && self.watch.as_ref().is_some_and(|watch| watch.good() >= wanted)
    }

    /// The rate of one search, and whether it is one of several. A calibration that does not reach down to a share has the
    /// whole rate in one search, with the number of frames that the policy asks for.
    fn rate(&self) -> (f64, bool) {
        let (whole, entries) = (self.lane.fpir(), self.lane.port.references.len());
        let share = whole / SEARCHES as f64;
        match self.lane.rules.calibration.threshold_for_fpir(share, entries) {
            Ok(_) => (share, true),
            Err(_) => (whole, false),
        }
    }

    /// Searches with the best frames so far; decides if that is enough, or if it is the only search.
    fn search(&mut self) -> Option<PassageStep> {
        let (rate, again) = self.rate();
        // Frames that do not agree yet may be spoken for by the next good one.
        let compared = guarded("search", || self.compare(rate));
        if !again && self.searches == 0 {
            return Some(self.conclude(compared.unwrap_or_else(Compared::refused)));
        }
        let Ok(compared) = compared else { return None };
        self.searches += 1;
        if admits(&self.lane, &compared, &self.evidence) {
            return Some(self.conclude(compared));
        }
        self.held = Some(compared).filter(|compared| compared.comparison.is_some() && compared.reasons.is_empty());
        None
    }

    fn compare(&mut self, rate: f64) -> Result<Compared, Vec<Reason>> {
        let watch = self.watch.as_ref().ok_or_else(|| vec![Reason::NoFace])?;
        let capture = watch.capture(&self.lane.rules.policy.capture, self.times)?;
        let mut course = self.lane.start(None);
        let compared = self.lane.identify(&capture, rate, &mut course);
        self.times.search += course.times.search;
        Ok(compared)
    }

    /// The last search, where nobody is held, and the decision.
    fn decide(&mut self) -> PassageStep {
        let compared = match self.held.take() {
            Some(held) => held,
            None => {
                let (share, _) = self.rate();
                let rate = if self.searches == 0 { self.lane.fpir() } else { share };
                guarded("search", || self.compare(rate)).unwrap_or_else(Compared::refused)
            }
        };
        self.conclude(compared)
    }

    fn conclude(&mut self, compared: Compared) -> PassageStep {
        let passage = self.passage(compared);
        self.watch = None;
        self.decided = Some(passage.clone());
        PassageStep::Decided(Box::new(passage))
    }

    fn passage(&self, compared: Compared) -> Passage {
        let mut course = self.lane.start(None);
        course.began = self.began.unwrap_or(course.began);
        course.times = self.times;
        self.lane.conclude(course, compared, &self.evidence)
    }
}

/// Whether nothing but the register's verdict is missing for an admission.
fn admits(lane: &Lane, compared: &Compared, evidence: &[Evidence]) -> bool {
    let Some(comparison) = &compared.comparison else { return false };
    let face = Face { subject: comparison.subject, score: comparison.score, threshold: comparison.threshold };
    compared.reasons.is_empty()
        && guarded("evidence", || Ok(lane.rules.policy.fusion.judge(&face, evidence).is_empty())).unwrap_or(false)
}

impl fmt::Debug for PassageSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassageSession")
            .field("lane", &self.lane)
            .field("decided", &self.decided)
            .finish_non_exhaustive()
    }
}
