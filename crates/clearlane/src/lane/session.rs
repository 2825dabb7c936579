//! A passage that takes frames as the camera gives them.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use clearlane_embed::Frame;

use super::{Compared, Course, Lane, guarded, milliseconds};
use crate::capture::{Capture, Sight, Watch};
use crate::decision::{Passage, StageTimes};
use crate::evidence::{Evidence, Face};
use crate::reason::Reason;

mod guidance;

pub use guidance::Guidance;

/// How long a session waits for good frames, where the host says nothing: what Shenzhen Bay's lanes published for a passage.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long before an admission the traveller was seen at most. Whoever stands before the camera later may be somebody else.
const LAST_SEEN: Duration = Duration::from_secs(3);

/// Frames with a face after which a session decides with what it has: a bound on memory and work for whoever stands there.
const MOST_FACES: usize = 1024;

/// Scores of other matchers that a session takes.
const MOST_EVIDENCE: usize = 64;

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
/// score, [`PassageSession::evidence`] brings it: give frames meanwhile, since nobody is admitted who was not seen in the last
/// three seconds.
///
/// A session that is dropped before it has decided records nothing.
pub struct PassageSession {
    lane: Lane,
    patience: Duration,
    /// When the first frame with a face came.
    began: Option<Instant>,
    /// When the traveller was last seen, by two clocks: one stands still while the machine sleeps, the other may be set.
    seen: Option<(Instant, SystemTime)>,
    watch: Option<Watch>,
    evidence: Vec<Evidence>,
    times: StageTimes,
    searches: usize,
    /// The frames by which somebody was identified for whom only another matcher's score is missing.
    held: Option<Capture>,
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
            seen: None,
            watch: None,
            evidence: Vec::new(),
            times: StageTimes::default(),
            searches: 0,
            held: None,
            decided: None,
        }
    }

    /// How long after its first frame with a face the session decides with what it has (default: 10 s). The time of one
    /// decision, from the frame to the answer, is bounded by the policy's budget besides.
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
        let (_span, mut course) = (self.lane.span("session"), self.lane.start(None));
        match guarded("capture", || self.watch_frame(frame)) {
            Err(reasons) => self.conclude(course, Compared::refused(reasons)),
            Ok(sight) => self.after(&sight, &mut course),
        }
    }

    /// Takes another matcher's score for whom the traveller turns out to be. `None` while nothing is decided.
    pub fn evidence(&mut self, evidence: Evidence) -> Option<PassageStep> {
        if let Some(passage) = &self.decided {
            return Some(PassageStep::Decided(Box::new(passage.clone())));
        }
        let (_span, mut course) = (self.lane.span("session"), self.lane.start(None));
        if self.evidence.len() >= MOST_EVIDENCE {
            let refused = Compared::refused(vec![Reason::EvidenceInvalid { matcher: evidence.matcher }]);
            return Some(self.conclude(course, refused));
        }
        self.evidence.push(evidence);
        if self.is_over() { Some(self.decide(course)) } else { self.admit_held(&mut course) }
    }

    /// What was decided; or the decision with the frames that came, where the traveller went away or nothing better is to come.
    pub fn finish(mut self) -> Passage {
        if let Some(passage) = self.decided.take() {
            return passage;
        }
        let (_span, mut course) = (self.lane.span("session"), self.lane.start(None));
        let compared = self.last(&mut course);
        self.passage(course, compared)
    }

    fn watch_frame(&mut self, frame: &Frame<'_>) -> Result<Sight, Vec<Reason>> {
        let (lane, times) = (&self.lane, &mut self.times);
        let rule = &lane.rules.policy.capture;
        let watch = match &mut self.watch {
            Some(watch) => watch,
            none => none.insert(Watch::of_stream(lane.agreement()?)),
        };
        let sight = watch.frame(lane.extractor()?, frame, rule, times)?;
        if let Sight::NoFace = sight {
            return Ok(sight);
        }
        self.began.get_or_insert_with(Instant::now);
        if watch.good() > 0 && !watch.doubts() {
            self.seen = Some((Instant::now(), SystemTime::now()));
        }
        // Each frame's score counts, so that one which fails cannot be made up for.
        match rule.pad_refuses(watch.pad(rule)) {
            Some(reason) => Err(vec![reason]),
            None => Ok(sight),
        }
    }

    /// What to do after a frame that refers nobody by itself.
    fn after(&mut self, sight: &Sight, course: &mut Course) -> PassageStep {
        if let Sight::Good = sight {
            // A good frame may have spoken for poor ones, or be one of enough to search with.
            let due = self.is_time_to_search();
            let step = self.admit_held(course).or_else(|| due.then(|| self.search(course)).flatten());
            if let Some(step) = step {
                return step;
            }
        }
        if self.is_over() {
            return self.decide(course.clone());
        }
        PassageStep::Continue(match sight {
            Sight::NoFace => Guidance::ShowFace,
            _ if self.held.is_some() => Guidance::OtherCheck,
            Sight::Poor(reasons) => Guidance::of(reasons),
            Sight::Good => Guidance::HoldStill,
        })
    }

    /// Whether the patience has ended, or as many faces came as a session takes.
    fn is_over(&self) -> bool {
        self.began.is_some_and(|began| began.elapsed() >= self.patience)
            || self.watch.as_ref().is_some_and(|watch| watch.faces() >= MOST_FACES)
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
        // A gallery that is kept elsewhere is the host's.
        let Ok(entries) = guarded("gallery", || Ok(self.lane.port.templates())) else { return false };
        self.lane.rules.calibration.threshold_for_fpir(self.share(), entries).is_ok()
    }

    /// Searches with the best frames so far; decides if that is enough, or if it is the only search.
    fn search(&mut self, course: &mut Course) -> Option<PassageStep> {
        // Frames that do not agree yet may be spoken for by the next good one.
        let capture = self.capture().ok()?;
        if self.searches == 0 && !self.may_search_again() {
            return Some(self.decide(course.clone()));
        }
        let compared = self.compare(&capture, self.share(), course);
        self.searches += 1;
        if self.admits(&compared) {
            return Some(self.conclude(course.clone(), compared));
        }
        if compared.comparison.is_some() && compared.reasons.is_empty() {
            self.held = Some(capture);
        }
        None
    }

    /// Decides if whoever is held has all that an admission needs. The same frames are compared with the gallery as it is now,
    /// so that this is no further search.
    fn admit_held(&mut self, course: &mut Course) -> Option<PassageStep> {
        self.capture().ok()?;
        let held = self.held.take()?;
        let compared = self.compare(&held, self.share(), course);
        if self.admits(&compared) {
            return Some(self.conclude(course.clone(), compared));
        }
        self.held = Some(held);
        None
    }

    /// Whoever is held, or else what the last search finds.
    fn last(&mut self, course: &mut Course) -> Compared {
        let rate = if self.searches == 0 { self.lane.fpir() } else { self.share() };
        let newest = match self.capture() {
            Ok(capture) => capture,
            // With whatever the frames say against the passage nobody is admitted, whoever is held.
            Err(reasons) => return Compared::refused(reasons),
        };
        let capture = self.held.take().unwrap_or(newest);
        self.compare(&capture, rate, course)
    }

    /// How long ago the traveller was last seen.
    fn unseen(&self) -> Duration {
        self.seen.map_or(Duration::MAX, |(instant, time)| {
            instant.elapsed().max(time.elapsed().unwrap_or_else(|step_back| step_back.duration()))
        })
    }

    fn capture(&self) -> Result<Capture, Vec<Reason>> {
        let watch = self.watch.as_ref().ok_or_else(|| vec![Reason::NoFace])?;
        watch.capture(&self.lane.rules.policy.capture, self.times)
    }

    fn compare(&mut self, capture: &Capture, rate: f64, course: &mut Course) -> Compared {
        course.times.search = Duration::ZERO;
        let compared = guarded("search", || Ok(self.lane.identify(capture, rate, course)));
        self.times.search += course.times.search;
        let mut compared = compared.unwrap_or_else(Compared::refused);
        let unseen = self.unseen();
        if unseen > LAST_SEEN {
            compared.reasons.push(Reason::TravellerGone { seen_ms: milliseconds(unseen) });
        }
        compared
    }

    /// Whether nothing but the register's verdict is missing for an admission.
    fn admits(&self, compared: &Compared) -> bool {
        let Some(comparison) = &compared.comparison else { return false };
        let face = Face { subject: comparison.subject, score: comparison.score, threshold: comparison.threshold };
        let fusion = &self.lane.rules.policy.fusion;
        compared.reasons.is_empty()
            && guarded("evidence", || Ok(fusion.judge(&face, &self.evidence).is_empty())).unwrap_or(false)
    }

    fn decide(&mut self, mut course: Course) -> PassageStep {
        let compared = self.last(&mut course);
        self.conclude(course, compared)
    }

    fn conclude(&mut self, course: Course, compared: Compared) -> PassageStep {
        let passage = self.passage(course, compared);
        self.watch = None;
        self.held = None;
        self.decided = Some(passage.clone());
        PassageStep::Decided(Box::new(passage))
    }

    fn passage(&self, mut course: Course, compared: Compared) -> Passage {
        course.began = self.began.unwrap_or(course.began);
        course.times = self.times;
        self.lane.conclude(course, compared, &self.evidence)
    }
}

impl fmt::Debug for PassageSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassageSession")
            .field("lane", &self.lane)
            .field("decided", &self.decided)
            .finish_non_exhaustive()
    }
}
