//! A lane whose gallery is kept elsewhere decides as one on a register does, and refers where the answer is not whole or too old.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use clearlane::{
    ClaimIssuer, Decision, Direction, EnrolError, Passage, PortBuilder, PortError, Reason, RemoteAnswer, RemoteGallery,
    RemoteIncomplete, RemoteQuestion,
};
use clearlane_match::Candidate;
use clearlane_store::{Details, RecordQuery};
use clearlane_template::{ModelId, SubjectId, Template, TemplateId};
use common::{Port, capture_of, eligible, face, finger, model, now, policy};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

/// A naive gallery: every subject compared, everything as of a time that the test sets.
struct Elsewhere {
    subjects: Mutex<Vec<(SubjectId, Details, Template)>>,
    model: ModelId,
    as_of: Mutex<Timestamp>,
    fault: Mutex<Fault>,
    asked: Mutex<Option<RemoteQuestion>>,
}

#[derive(Clone, Copy)]
enum Fault {
    None,
    /// A partition is missing.
    Incomplete,
    /// The details of the last candidate are missing.
    Bare,
    Panics,
    /// It answers after so long.
    Late(Duration),
}

impl Elsewhere {
    fn with(travellers: u64) -> Arc<Self> {
        let subjects = (0..travellers).map(|n| (subject(n), eligible(), face(n))).collect();
        Arc::new(Self {
            subjects: Mutex::new(subjects),
            model: model(),
            as_of: Mutex::new(now()),
            fault: Mutex::new(Fault::None),
            asked: Mutex::default(),
        })
    }
}

/// The subjects' ids are those of another register: far from any that the lane's own has.
fn subject(n: u64) -> SubjectId {
    SubjectId(1_000_000 + n)
}

impl RemoteGallery for Elsewhere {
    fn model(&self) -> ModelId {
        self.model
    }

    fn templates(&self) -> usize {
        self.subjects.lock().len()
    }

    fn search(&self, probe: &Template, question: &RemoteQuestion) -> Result<RemoteAnswer, RemoteIncomplete> {
        *self.asked.lock() = Some(*question);
        let mut found: Vec<_> = self.subjects.lock().clone();
        found.sort_by(|a, b| b.2.score(probe).unwrap().total_cmp(&a.2.score(probe).unwrap()));
        found.retain(|(_, _, template)| template.score(probe).unwrap() >= question.threshold);
        found.truncate(question.k);
        let candidates = found.iter().map(|(subject, _, template)| Candidate {
            subject: *subject,
            template: TemplateId(subject.0),
            score: template.score(probe).unwrap(),
        });
        let mut answer = RemoteAnswer {
            candidates: candidates.collect(),
            details: found.iter().map(|(_, details, _)| details.clone()).collect(),
            templates: self.templates(),
            as_of: *self.as_of.lock(),
        };
        match *self.fault.lock() {
            Fault::None => {}
            Fault::Incomplete => {
                return Err(RemoteIncomplete { why: "partition 1: no node answers for it".to_owned() });
            }
            Fault::Bare => _ = answer.details.pop(),
            Fault::Panics => panic!("a defect of the host's"),
            Fault::Late(wait) => std::thread::sleep(wait),
        }
        Ok(answer)
    }
}

/// A port whose gallery is elsewhere.
fn builder(port: &Port, elsewhere: &Arc<Elsewhere>) -> PortBuilder {
    port.builder(policy("")).remote_gallery(elsewhere.clone())
}

fn pass(port: &Port, elsewhere: &Arc<Elsewhere>, traveller: u64) -> Passage {
    let lane = common::lane(builder(port, elsewhere), "lane 1");
    lane.pass_capture(&capture_of(traveller, 0.8), &finger(subject(traveller)), None)
}

fn codes(passage: &Passage) -> Vec<&'static str> {
    passage.decision.reasons().iter().map(Reason::code).collect()
}

#[test]
fn a_traveller_of_a_gallery_elsewhere_is_admitted_and_recorded_here() {
    let (port, elsewhere) = (Port::with(0), Elsewhere::with(20));
    let passage = pass(&port, &elsewhere, 3);
    assert_eq!(passage.decision, Decision::Admit { subject: subject(3) });
    let comparison = passage.comparison.unwrap();
    assert!((comparison.score - 0.8).abs() < 1e-4 && comparison.margin.unwrap() >= 0.05);
    let records = port.register.records(RecordQuery::default()).collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].seq, records[0].passage.subject), (passage.record.unwrap(), Some(subject(3))));
    // It is asked for the runner-up too, for no longer than the budget, and no older than the policy says.
    let asked = elsewhere.asked.lock().unwrap();
    assert!(asked.k >= 2 && asked.threshold < comparison.threshold && asked.deadline.unwrap() > Instant::now());
    assert_eq!(asked.max_age, SignedDuration::from_secs(5));
}

#[test]
fn the_decision_is_the_one_of_a_port_that_has_the_gallery_itself() {
    let (remote, elsewhere) = (Port::with(0), Elsewhere::with(20));
    let local = Port::with(20);
    let lane = local.lane();
    for (traveller, score) in (0..25).flat_map(|traveller| [(traveller, 0.8), (traveller, 0.45), (traveller, 0.3)]) {
        let capture = capture_of(traveller, score);
        let known = local.register.subject(&format!("traveller {traveller}")).unwrap().map(|subject| subject.id);
        let here = lane.pass_capture(&capture, &known.map(finger).unwrap_or_default(), None);
        let there = common::lane(builder(&remote, &elsewhere), "lane 1");
        let there = there.pass_capture(&capture, &finger(subject(traveller)), None);
        assert_eq!(codes(&here), codes(&there), "traveller {traveller} at {score}");
        assert_eq!(here.decision.is_admission(), there.decision.is_admission());
        // The register's protection of templates rounds.
        let alike = match (here.comparison, there.comparison) {
            (Some(here), Some(there)) => (here.score - there.score).abs() < 1e-5 && here.threshold == there.threshold,
            (here, there) => here.is_none() && there.is_none(),
        };
        assert!(alike, "{here:?} and {there:?}");
    }
}

#[test]
fn rules_apply_to_what_the_gallery_says_of_the_traveller() {
    let (port, elsewhere) = (Port::with(0), Elsewhere::with(20));
    elsewhere.subjects.lock()[3].1.birth = Some("2024-01-01".parse().unwrap());
    elsewhere.subjects.lock()[4].1.consent = None;
    assert_eq!(codes(&pass(&port, &elsewhere, 3)), ["under-age"]);
    assert_eq!(codes(&pass(&port, &elsewhere, 4)), ["no-consent"]);
    // Nothing is said of somebody who was not found.
    elsewhere.subjects.lock()[5].1.consent = None;
    let lane = common::lane(builder(&port, &elsewhere), "lane 1");
    assert_eq!(codes(&lane.pass_capture(&capture_of(5, 0.3), &[], None)), ["no-candidate"]);
}

#[test]
fn an_answer_that_is_not_whole_refers() {
    let (port, elsewhere) = (Port::with(0), Elsewhere::with(20));
    let cases = [
        (Fault::Incomplete, &["gallery-incomplete"][..], None),
        (Fault::Bare, &["gallery-incomplete"], None),
        (Fault::Panics, &["internal-error"], None),
        (Fault::Late(Duration::from_millis(60)), &["budget-exceeded"], Some(Duration::from_millis(50))),
    ];
    for (fault, expected, budget) in cases {
        *elsewhere.fault.lock() = fault;
        let lane = common::lane(builder(&port, &elsewhere), "lane 1");
        let passage = lane.pass_capture(&capture_of(3, 0.8), &finger(subject(3)), budget);
        assert_eq!(codes(&passage), expected);
        assert!(passage.record.is_some(), "a referral is recorded as well");
    }
    *elsewhere.fault.lock() = Fault::Incomplete;
    let passage = pass(&port, &elsewhere, 3);
    let Decision::Refer { reasons, .. } = &passage.decision else { panic!("admitted") };
    let why = "partition 1: no node answers for it".to_owned();
    assert_eq!(reasons[..], [Reason::GalleryIncomplete { why }]);
}

#[test]
fn an_answer_that_is_older_than_the_policy_bears_when_it_is_decided_refers() {
    let (port, elsewhere) = (Port::with(0), Elsewhere::with(20));
    for (age, admitted) in [(4_500, true), (5_050, false), (3_600_000, false), (-300, true)] {
        *elsewhere.as_of.lock() = now() - SignedDuration::from_millis(age);
        let passage = pass(&port, &elsewhere, 3);
        assert_eq!(passage.decision.is_admission(), admitted, "{age} ms old: {passage:?}");
        assert!(admitted || codes(&passage) == ["gallery-outdated"], "{passage:?}");
    }
    // It grows old while the decision is made.
    *elsewhere.as_of.lock() = now() - SignedDuration::from_millis(4_960);
    *elsewhere.fault.lock() = Fault::Late(Duration::from_millis(80));
    assert_eq!(codes(&pass(&port, &elsewhere, 3)), ["gallery-outdated"]);
}

#[test]
fn a_gallery_that_has_grown_asks_for_more() {
    let (port, elsewhere) = (Port::with(0), Elsewhere::with(2));
    let few = pass(&port, &elsewhere, 1).comparison.unwrap().threshold;
    let others = (100..300).map(|n| (subject(n), eligible(), face(n)));
    elsewhere.subjects.lock().extend(others);
    let many = pass(&port, &elsewhere, 1).comparison.unwrap().threshold;
    assert!(many > few, "{many} among 202, {few} among 2");
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let (port, elsewhere) = (Port::with(0), Elsewhere::with(1));
    let silent = policy("gallery-age-ms = 5000 => # no gallery elsewhere");
    let built = port.builder(silent).remote_gallery(elsewhere.clone()).build();
    assert_eq!(built.unwrap_err(), PortError::NoGalleryAge);
    let other = Elsewhere { model: ModelId::digest([b"another".as_slice()]), ..Arc::into_inner(elsewhere).unwrap() };
    let other = Arc::new(other);
    let built = builder(&port, &other).build();
    assert!(matches!(built.unwrap_err(), PortError::GalleryModel { gallery, .. } if gallery == other.model));
}

#[test]
fn nobody_is_enrolled_where_the_gallery_is_kept_elsewhere() {
    let (port, elsewhere) = (Port::with(0), Elsewhere::with(1));
    let port = builder(&port, &elsewhere).build().unwrap();
    assert!(matches!(port.enroller().map(drop), Err(EnrolError::RemoteGallery)));
    assert!(port.lane("lane 1", Direction::Exit).is_ok());
}

#[test]
fn nobody_is_compared_one_to_one_with_a_register_that_cannot_know_of_revocations() {
    let (port, elsewhere) = (Port::with(5), Elsewhere::with(20));
    let issuer = ClaimIssuer::generate().unwrap();
    let claim = || {
        let places = ["shenzhen-bay".parse().unwrap()];
        issuer.issue(port.register.id(), port.subject(3), &places, now(), Duration::from_mins(5)).unwrap()
    };
    let lane = |builder: PortBuilder| common::lane(builder.claims(issuer.verifier()), "lane 1");
    let pass = |lane: clearlane::Lane| {
        lane.verify_claim_capture(claim().text(), &capture_of(3, 0.9), &finger(port.subject(3)), None)
    };
    assert!(pass(lane(port.builder(policy("")))).decision.is_admission(), "the same port without a gallery elsewhere");
    assert_eq!(codes(&pass(lane(builder(&port, &elsewhere)))), ["gallery-incomplete"]);
}

#[test]
fn an_unsound_register_here_opens_no_lane() {
    let (port, elsewhere) = (Port::with(0), Elsewhere::with(20));
    let unchecked = clearlane::References::load(port.register.clone(), model(), |_, _| {}).unwrap();
    let builder = clearlane::Port::builder(unchecked).policy(policy("")).port("shenzhen-bay".parse().unwrap());
    let builder = builder.calibration(common::calibration()).clock(now).remote_gallery(elsewhere.clone());
    let passage = common::lane(builder, "lane 1").pass_capture(&capture_of(3, 0.8), &finger(subject(3)), None);
    assert_eq!(codes(&passage), ["register-not-sound"]);
}
