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
        let ready = self.doubts().is_empty();
        let held = self.held.take_if(|held| ready && admits(&self.lane, held, &self.evidence))?;
        Some(self.conclude(held))
    }

    /// What was decided; or the decision with the frames that came, where the traveller went away or nothing better is to come.
    pub fn finish(mut self) -> Passage {
        if let Some(passage) = self.decided.take() {
            return passage;
        }
        let _span = self.lane.span("session");
        let compared = self.last();
        self.passage(compared)
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
        let due = self.held.is_none() && matches!(sight, Sight::Good) && self.is_time_to_search();
        if let Some(step) = due.then(|| self.search()).flatten() {
            return step;
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

    /// The rate of one of several searches.
    fn share(&self) -> f64 {
        self.lane.fpir() / SEARCHES as f64
    }

    /// Whether there is a threshold for a share of the rate. Where there is none, the session has one search, at the whole
    /// rate and with the number of frames that the policy asks for.
    fn may_search_again(&self) -> bool {
        let entries = self.lane.port.references.len();
        self.lane.rules.calibration.threshold_for_fpir(self.share(), entries).is_ok()
    }

    /// Searches with the best frames so far; decides if that is enough, or if it is the only search.
    fn search(&mut self) -> Option<PassageStep> {
        if self.searches == 0 && !self.may_search_again() {
            return Some(self.decide());
        }
        // Frames that do not agree yet may be spoken for by the next good one.
        let compared = self.compared(self.share()).ok()?;
        self.searches += 1;
        if admits(&self.lane, &compared, &self.evidence) {
            return Some(self.conclude(compared));
        }
        self.held = Some(compared).filter(|compared| compared.comparison.is_some() && compared.reasons.is_empty());
        None
    }

    fn compared(&mut self, rate: f64) -> Result<Compared, Vec<Reason>> {
        let (compared, spent) = guarded("search", || self.compare(rate))?;
        self.times.search += spent;
        Ok(compared)
    }

    fn compare(&self, rate: f64) -> Result<(Compared, Duration), Vec<Reason>> {
        let watch = self.watch.as_ref().ok_or_else(|| vec![Reason::NoFace])?;
        let capture = watch.capture(&self.lane.rules.policy.capture, self.times)?;
        let mut course = self.lane.start(None);
        let compared = self.lane.identify(&capture, rate, &mut course);
        Ok((compared, course.times.search))
    }

    fn decide(&mut self) -> PassageStep {
        let compared = self.last();
        self.conclude(compared)
    }

    /// Whoever is held, or else what the last search finds.
    fn last(&mut self) -> Compared {
        if let Some(mut held) = self.held.take() {
            held.reasons.extend(self.doubts());
            return held;
        }
        let rate = if self.searches == 0 { self.lane.fpir() } else { self.share() };
        self.compared(rate).unwrap_or_else(Compared::refused)
    }

    /// What the frames since somebody was identified say against the passage.
    fn doubts(&self) -> Vec<Reason> {
        let rule = &self.lane.rules.policy.capture;
        self.watch.as_ref().and_then(|watch| watch.capture(rule, self.times).err()).unwrap_or_default()
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
