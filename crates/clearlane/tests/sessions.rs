//! Sessions: frames as a camera gives them, of fictional people drawn before it, and what is decided when.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;
#[path = "../examples/sessions/scene.rs"]
mod scene;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clearlane::store::{Enrolment, RecordQuery};
use clearlane::{
    Calibration, Decision, Direction, Evidence, Extractor, Guidance, Lane, Language, Passage, PassageSession,
    PassageStep, Policy, Reason, References, SubjectId,
};
use clearlane_embed::{DecodeLimits, Frame, Models, Stage};
use common::{Port, eligible, now};
use scene::{Portrait, Stand};

const TRAVELLER: &str = "enrolled/f0000";
const OTHER: &str = "enrolled/f0003";
const UNKNOWN: &str = "unknown/u2093";

/// Good frames that make a probe: what the policies of these tests ask for.
const BEST: usize = 3;

#[test]
fn a_session_decides_as_soon_as_the_policy_has_its_frames_and_records_once() {
    let gate = Gate::open();
    let (portrait, mut session) = (Portrait::open(TRAVELLER, "plain-1"), gate.session(""));
    let frame = scene::frame(&[Stand::before_camera(&portrait)]);
    for _ in 1..BEST {
        assert_eq!(session.frame(&frame), PassageStep::Continue(Guidance::HoldStill));
    }
    let passage = decided(session.frame(&frame));
    assert_eq!(passage.decision, Decision::Admit { subject: gate.traveller });
    // Later frames, of whomever, change nothing.
    let other = Portrait::open(OTHER, "plain-1");
    assert_eq!(decided(session.frame(&scene::frame(&[Stand::before_camera(&other)]))), passage);
    assert_eq!(session.finish(), passage);
    let records: Vec<_> = gate.port.register.records(RecordQuery::default()).collect::<Result<_, _>>().unwrap();
    assert_eq!(records.iter().map(|record| Some(record.seq)).collect::<Vec<_>>(), [passage.record]);
    // The same frames all at once come to the same.
    let at_once = gate.lane("").pass(&[frame.clone(), frame.clone(), frame], &[], None);
    assert_eq!(at_once.decision, passage.decision);
    assert_eq!(at_once.comparison.unwrap().score, passage.comparison.unwrap().score);
}

#[test]
fn whoever_walks_up_is_told_to_come_closer_and_costs_no_template_until_near() {
    let gate = Gate::open();
    let portrait = Portrait::open(TRAVELLER, "plain-1");
    let at = |height: f32| scene::frame(&[Stand { height, ..Stand::before_camera(&portrait) }]);
    let mut session = gate.session("");
    for height in [0.25, 0.27, 0.29] {
        assert_eq!(session.frame(&at(height)), PassageStep::Continue(Guidance::ComeCloser), "{height}");
    }
    let away = gate.session_after(&[at(0.25), at(0.27)]).finish();
    assert_eq!(codes(&away), ["quality-too-low"]);
    assert_eq!(away.times.extraction[Stage::Embed], Duration::ZERO);
    assert!(away.times.extraction[Stage::Detect] > Duration::ZERO);
    let near = (0..BEST).map(|_| session.frame(&at(0.8))).last().unwrap();
    assert_eq!(decided(near).decision, Decision::Admit { subject: gate.traveller });
}

#[test]
fn a_second_person_refers_the_traveller_at_once() {
    let gate = Gate::open();
    let (traveller, other) = (Portrait::open(TRAVELLER, "plain-1"), Portrait::open(OTHER, "plain-1"));
    let (alone, replaced) = (Stand::before_camera(&traveller), Stand::before_camera(&other));
    let left = Stand { at: (0.3, 0.5), height: 0.6, ..alone };
    let right = Stand { at: (0.72, 0.5), height: 0.55, ..replaced };

    let mut beside = gate.session("");
    assert!(matches!(beside.frame(&scene::frame(&[left])), PassageStep::Continue(_)));
    assert_eq!(codes(&decided(beside.frame(&scene::frame(&[right, left])))), ["several-faces"]);

    let mut swapped = gate.session("");
    assert!(matches!(swapped.frame(&scene::frame(&[alone])), PassageStep::Continue(_)));
    assert_eq!(codes(&decided(swapped.frame(&scene::frame(&[replaced])))), ["frames-disagree"]);
}

#[test]
fn poor_frames_of_another_person_are_vouched_for_by_nobody() {
    let gate = Gate::open();
    let (traveller, other) = (Portrait::open(TRAVELLER, "plain-1"), Portrait::open(OTHER, "plain-1"));
    let good = scene::frame(&[Stand::before_camera(&traveller)]);
    let poor_other = scene::frame(&[Stand { blur: BLUR, ..Stand::before_camera(&other) }]);
    let poor_own = scene::frame(&[Stand { blur: BLUR, ..Stand::before_camera(&traveller) }]);
    // Another stands where the traveller stood, and is the last who is seen.
    let replaced = gate.session_after(&[good.clone(), good.clone(), poor_other.clone()]).finish();
    assert_eq!(codes(&replaced), ["frames-disagree"]);
    // As little where they stand elsewhere, after a frame without a face, or are sharp and far away: nobody leads there from
    // the traveller.
    let elsewhere = Stand { at: (0.2, 0.4), height: 0.4, blur: BLUR, ..Stand::before_camera(&other) };
    let far = Stand { height: 0.27, ..Stand::before_camera(&other) };
    for others in [vec![scene::frame(&[elsewhere])], vec![scene::frame(&[]), poor_other], vec![scene::frame(&[far]); 4]]
    {
        let mut frames = vec![good.clone(), good.clone()];
        frames.extend(others);
        assert_eq!(codes(&gate.session_after(&frames).finish()), ["frames-disagree"]);
    }
    // A small face beside the traveller's, which the policy allows, is compared once it is alone.
    let small = Stand { at: (0.85, 0.4), height: 0.25, ..Stand::before_camera(&other) };
    let both = scene::frame(&[small, Stand { at: (0.35, 0.5), height: 0.7, ..Stand::before_camera(&traveller) }]);
    let alone = scene::frame(&[Stand { at: (0.8, 0.45), height: 0.29, ..Stand::before_camera(&other) }]);
    assert_eq!(codes(&gate.session_after(&[both.clone(), both, alone]).finish()), ["frames-disagree"]);
    // One who leaves before the traveller comes is no matter, in another place and while nothing was good.
    let aside = Stand { at: (0.2, 0.4), height: 0.4, blur: BLUR, ..Stand::before_camera(&other) };
    let mut passed_by = gate.session_after(&[scene::frame(&[aside])]);
    let last = (0..BEST).map(|_| passed_by.frame(&good)).last().unwrap();
    assert_eq!(decided(last).decision, Decision::Admit { subject: gate.traveller });
    // The traveller's own poor frames do no harm, wherever they come.
    let mut moving = gate.session_after(&[poor_own.clone(), good.clone(), poor_own.clone(), good.clone(), poor_own]);
    assert_eq!(decided(moving.frame(&good)).decision, Decision::Admit { subject: gate.traveller });
}

#[test]
fn whoever_is_not_enrolled_is_referred_however_long_they_stand_there() {
    let gate = Gate::open();
    let portrait = Portrait::open(UNKNOWN, "plain-1");
    let frames: Vec<_> = (0..12)
        .map(|number| {
            let at = (0.45 + 0.01 * number as f32, 0.5);
            scene::frame(&[Stand { at, ..Stand::before_camera(&portrait) }])
        })
        .collect();
    let session = gate.session_after(&frames);
    assert_eq!(codes(&session.finish()), ["no-candidate"]);
}

#[test]
fn the_patience_and_the_searches_of_a_session_end() {
    let gate = Gate::open();
    let portrait = Portrait::open(UNKNOWN, "plain-1");
    let frame = scene::frame(&[Stand::before_camera(&portrait)]);
    // The patience counts from the first face: nobody waits for nobody.
    let mut session = gate.session("").with_patience(Duration::ZERO);
    assert_eq!(session.frame(&scene::frame(&[])), PassageStep::Continue(Guidance::ShowFace));
    assert_eq!(codes(&decided(session.frame(&frame))), ["no-candidate"]);
    // Nobody is asked to wait for a search that the policy does not allow: the calibration reaches the whole rate only.
    let rates = "fpir = 2e-2 => fpir = 2e-3\nfmr = 1e-6 => fmr = 1e-3";
    let mut once = gate.lane_with(&gate.calibration_to_one_in_a_thousand(), rates).passage();
    let last = (0..BEST).map(|_| once.frame(&frame)).last().unwrap();
    assert_eq!(codes(&decided(last)), ["no-candidate"]);
    // That one search waits as well while frames do not agree.
    let other = Portrait::open(OTHER, "plain-1");
    let elsewhere = Stand { at: (0.2, 0.4), height: 0.4, blur: BLUR, ..Stand::before_camera(&other) };
    let mut doubtful = gate.lane_with(&gate.calibration_to_one_in_a_thousand(), rates).passage();
    for frame in [&frame, &scene::frame(&[elsewhere]), &frame, &frame] {
        assert!(matches!(doubtful.frame(frame), PassageStep::Continue(_)));
    }
    assert_eq!(codes(&doubtful.finish()), ["frames-disagree"]);
}

#[test]
fn the_frame_that_ends_the_patience_is_judged_and_who_was_not_seen_lately_is_gone() {
    let gate = Gate::open();
    let (traveller, other) = (Portrait::open(TRAVELLER, "plain-1"), Portrait::open(OTHER, "plain-1"));
    let good = scene::frame(&[Stand::before_camera(&traveller)]);
    let next = scene::frame(&[Stand::before_camera(&other)]);
    // The next in the queue comes before the camera of a session that the host did not end.
    let mut session = gate.session("").with_patience(Duration::from_millis(200));
    assert!(matches!(session.frame(&good), PassageStep::Continue(_)));
    std::thread::sleep(Duration::from_millis(250));
    assert_eq!(codes(&decided(session.frame(&next))), ["frames-disagree"]);
    // Nobody was seen for longer than the traveller's finger takes.
    let (mut waiting, stale) = (gate.session(BOTH), gate.session_after(&[good.clone(), good.clone()]));
    for _ in 0..BEST {
        waiting.frame(&good);
    }
    std::thread::sleep(Duration::from_millis(3_100));
    assert_eq!(waiting.evidence(gate.finger(0.9)), None);
    assert_eq!(codes(&waiting.finish()), ["traveller-gone"]);
    assert_eq!(codes(&stale.finish()), ["traveller-gone"]);
}

#[test]
fn whoever_is_held_is_compared_with_the_gallery_as_it_is_in_the_end() {
    let gate = Gate::open();
    let portrait = Portrait::open(TRAVELLER, "plain-1");
    let frame = scene::frame(&[Stand::before_camera(&portrait)]);
    let held = || {
        let mut session = gate.session(BOTH);
        (0..BEST).for_each(|_| _ = session.frame(&frame));
        session
    };
    // Somebody as alike is enrolled meanwhile; then both are revoked.
    let mut session = held();
    let picture = scene::folder().join(TRAVELLER).join("enrol.jpg");
    let template = gate.extractor.extract(&Frame::open(picture, &DecodeLimits::default()).unwrap()).unwrap().template;
    let twin = Enrolment::new("twin").with_details(eligible()).with_template(template);
    let twin = gate.port.register.enrol(&twin).unwrap().0;
    gate.references.refresh().unwrap();
    assert_eq!(session.evidence(gate.finger(0.9)), None);
    assert_eq!(codes(&session.finish()), ["margin-too-small"]);
    let _ = gate.port.register.revoke(twin, "test").unwrap();
    gate.references.refresh().unwrap();
    let mut session = held();
    let _ = gate.port.register.revoke(gate.traveller, "test").unwrap();
    let decided = decided(session.evidence(gate.finger(0.9)).unwrap());
    assert_eq!(codes(&decided), ["not-enrolled"]);
}

#[test]
fn each_search_of_a_session_has_its_share_of_the_rate() {
    let gate = Gate::open();
    let portrait = Portrait::open(TRAVELLER, "plain-1");
    let frame = scene::frame(&[Stand::before_camera(&portrait)]);
    let mut session = gate.session("");
    let passage = decided((0..BEST).map(|_| session.frame(&frame)).last().unwrap());
    let share = gate.calibration.threshold_for_fpir(2e-2 / 4.0, gate.references.len()).unwrap();
    assert_eq!(passage.comparison.unwrap().threshold, share);
    let whole = gate.calibration.threshold_for_fpir(2e-2, gate.references.len()).unwrap();
    let at_once = gate.session_after(&[frame]).finish();
    assert_eq!(at_once.comparison.unwrap().threshold, whole);
}

#[test]
fn a_session_waits_for_another_matcher_where_the_policy_does() {
    let gate = Gate::open();
    let portrait = Portrait::open(TRAVELLER, "plain-1");
    let frame = scene::frame(&[Stand::before_camera(&portrait)]);
    let finger = |subject, score| Evidence { matcher: "fingerprint".to_owned(), subject, score };
    let waiting = || {
        let mut session = gate.session(BOTH);
        let step = (0..BEST + 2).map(|_| session.frame(&frame)).last();
        assert_eq!(step, Some(PassageStep::Continue(Guidance::OtherCheck)));
        session
    };
    let step = waiting().evidence(finger(gate.traveller, 0.9)).unwrap();
    assert_eq!(decided(step).decision, Decision::Admit { subject: gate.traveller });
    // Evidence of another person, or too weak, opens nothing; without any the traveller is referred in the end.
    let mut another = waiting();
    assert_eq!(another.evidence(finger(SubjectId(99), 0.9)), None);
    assert_eq!(codes(&another.finish()), ["evidence-of-another"]);
    let mut weak = waiting();
    assert_eq!(weak.evidence(finger(gate.traveller, 0.1)), None);
    assert_eq!(codes(&weak.finish()), ["evidence-too-low"]);
    assert_eq!(codes(&waiting().finish()), ["evidence-missing"]);
    // Somebody else in the meantime, whom only poor frames show, does not pass with the traveller's finger.
    let other = Portrait::open(OTHER, "plain-1");
    let mut replaced = waiting();
    replaced.frame(&scene::frame(&[Stand { blur: BLUR, ..Stand::before_camera(&other) }]));
    assert_eq!(replaced.evidence(finger(gate.traveller, 0.9)), None);
    assert_eq!(codes(&replaced.finish()), ["frames-disagree"]);
}

#[test]
fn a_session_without_frames_or_faces_is_a_referral() {
    let gate = Gate::open();
    assert_eq!(codes(&gate.session("").finish()), ["no-face"]);
    let mut empty = gate.session("");
    assert_eq!(empty.frame(&scene::frame(&[])), PassageStep::Continue(Guidance::ShowFace));
    assert_eq!(codes(&empty.finish()), ["no-face"]);
    assert_eq!(Guidance::ShowFace.phrase(Language::Chinese), "请面向摄像头");
}

/// The face and a fingerprint.
const BOTH: &str = "[fusion] => [[evidence]]\\nmatcher = \"fingerprint\"\\nthreshold = 0.5\\nsource = \"\"\\n\\n[fusion]\nrule = \"face-only\" => rule = \"both\"";

/// Pixels of sideways motion that make a frame poor by the floor of sharpness of [`Gate::lane`].
const BLUR: usize = 24;

/// A port with the traveller and another person enrolled.
struct Gate {
    port: Port,
    extractor: Extractor,
    calibration: Calibration,
    references: Arc<References>,
    traveller: SubjectId,
}

impl Gate {
    fn open() -> Self {
        let (extractor, calibration) = common::builtin();
        let extractor = extractor.with_occlusion(Models::builtin().unwrap().any_occlusion().unwrap().unwrap());
        let port = Port::with(0);
        let enrol = |person: &str| {
            let picture = scene::folder().join(person).join("enrol.jpg");
            let template =
                extractor.extract(&Frame::open(picture, &DecodeLimits::default()).unwrap()).unwrap().template;
            port.register.enrol(&Enrolment::new(person).with_details(eligible()).with_template(template)).unwrap().0
        };
        let traveller = enrol(TRAVELLER);
        enrol(OTHER);
        let model = extractor.embedder().model_id();
        let references = Arc::new(References::load(port.register.clone(), model, |_, _| {}).unwrap());
        references.check(|_, _| {}).unwrap();
        Self { port, extractor, calibration, references, traveller }
    }

    fn lane(&self, changes: &str) -> Lane {
        self.lane_with(&self.calibration, changes)
    }

    fn lane_with(&self, calibration: &Calibration, changes: &str) -> Lane {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/demonstration.toml");
        // The drawn faces are smooth: they have a sharpness of 67 and more where they stand still, and less where they move.
        let floors = "quality = { InterEyeDistance = 20 } => quality = { InterEyeDistance = 30, Sharpness = 67 }";
        let changes = format!("best-frames = 1 => best-frames = {BEST}\n{floors}\n{changes}");
        let policy: Policy = common::changed(&std::fs::read_to_string(path).unwrap(), &changes);
        clearlane::Port::builder(self.references.clone())
            .policy(policy)
            .port("shenzhen-bay".parse().unwrap())
            .calibration(calibration.clone())
            .extractor(self.extractor.clone())
            .clock(now)
            .build()
            .unwrap()
            .lane("lane 1", Direction::Exit)
            .unwrap()
    }

    /// The calibration as far as 1e-3, which is the rate of 2e-3 in a gallery of two.
    fn calibration_to_one_in_a_thousand(&self) -> Calibration {
        let [known] = self.calibration.populations() else { panic!("one population") };
        let points = known.points().iter().filter(|point| point.fmr >= 1e-3).copied().collect();
        Calibration::new(self.calibration.model(), known.population().clone(), points, "cut").unwrap()
    }

    /// The traveller's finger.
    fn finger(&self, score: f64) -> Evidence {
        Evidence { matcher: "fingerprint".to_owned(), subject: self.traveller, score }
    }

    fn session(&self, changes: &str) -> PassageSession {
        self.lane(changes).passage().with_patience(Duration::from_mins(10))
    }

    /// A session that has not decided after these frames.
    fn session_after(&self, frames: &[Frame<'_>]) -> PassageSession {
        let mut session = self.session("");
        for frame in frames {
            let step = session.frame(frame);
            assert!(matches!(step, PassageStep::Continue(_)), "{step:?}");
        }
        session
    }
}

fn decided(step: PassageStep) -> Passage {
    match step {
        PassageStep::Decided(passage) => *passage,
        PassageStep::Continue(guidance) => panic!("nothing is decided: {guidance:?}"),
    }
}

fn codes(passage: &Passage) -> Vec<&'static str> {
    passage.decision.reasons().iter().map(Reason::code).collect()
}
