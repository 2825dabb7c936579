//! The whole way on real pictures: enrolment, the lane, documents and claims. Needs research data, which is not part of
//! the project: see `research_data`.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clearlane::{
    Application, BulkStop, Calibration, CalibrationPoint, ClaimIssuer, Decision, Direction, Enroller, EnrolmentOutcome,
    Lane, Picture, PortBuilder, Reason, References, ShownDocument,
};
use clearlane_embed::{Component, DecodeLimits, Extractor, Frame, Models, PixelFormat, Selection};
use clearlane_store::{DocumentKind, Key, Keyring, Register};
use clearlane_template::SubjectId;
use common::{eligible, finger, now, policy};
use jiff::Timestamp;

/// LFW people with two pictures or three, on which nobody else stands beside them.
const PEOPLE: [&str; 6] =
    ["Aaron_Peirsol", "Abdullah_Gul", "Alan_Ball", "Albert_Costa", "Alejandro_Toledo", "Ali_Naimi"];

#[test]
fn a_face_that_was_enrolled_from_one_picture_passes_with_others() {
    let Some(port) = Gate::open() else { return };
    let subjects = port.enrol_everybody();
    let lane = port.lane();
    for (person, subject) in PEOPLE.into_iter().zip(&subjects) {
        let there = [2, 3].into_iter().filter(|&number| port.path(person, number).exists());
        let frames: Vec<_> = there.map(|number| port.picture(person, number)).collect();
        let passage = lane.pass(&frames, &finger(*subject), Some(Duration::from_mins(1)));
        assert_eq!(passage.decision, Decision::Admit { subject: *subject }, "{person}: {passage:?}");
        assert!(passage.times.capture() > Duration::ZERO && passage.times.total >= passage.times.capture());
    }
    let unknown = port.picture("Aaron_Eckhart", 1);
    let passage = lane.pass(&[unknown], &[], Some(Duration::from_mins(1)));
    assert_eq!(codes(&passage), ["no-candidate"]);
}

#[test]
fn frames_of_two_people_are_no_passage() {
    let Some(port) = Gate::open() else { return };
    port.enrol_everybody();
    let frames = [port.picture(PEOPLE[0], 2), port.picture(PEOPLE[1], 2)];
    let passage = port.lane().pass(&frames, &[], Some(Duration::from_mins(1)));
    assert_eq!(codes(&passage), ["frames-disagree"]);
}

#[test]
fn frames_without_a_face_are_referred() {
    let Some(port) = Gate::open() else { return };
    let grey = Frame::new(PixelFormat::Gray8, 250, 250, 250, vec![128; 250 * 250]).unwrap();
    assert_eq!(codes(&port.lane().pass(&[grey], &[], None)), ["no-face"]);
    assert_eq!(codes(&port.lane().pass(&[], &[], None)), ["no-face"]);
}

#[test]
fn a_lane_that_requires_pad_refers_where_nothing_assessed_it() {
    let Some(port) = Gate::open() else { return };
    let subjects = port.enrol_everybody();
    let lane = Gate::lane_by(port.builder(""));
    let passage = lane.pass(&[port.picture(PEOPLE[0], 2)], &finger(subjects[0]), Some(Duration::from_mins(1)));
    assert_eq!(codes(&passage), ["pad-not-assessed"]);
}

#[test]
fn a_quality_floor_that_no_frame_reaches_refers_with_the_measure() {
    let Some(port) = Gate::open() else { return };
    port.enrol_everybody();
    let lane = Gate::lane_by(
        port.builder("pad = \"required\" => pad = \"off\"\nInterEyeDistance = 5 => InterEyeDistance = 100"),
    );
    let passage = lane.pass(&[port.picture(PEOPLE[0], 2)], &[], Some(Duration::from_mins(1)));
    assert!(
        matches!(passage.decision.reasons(), [Reason::QualityTooLow { measure: Component::InterEyeDistance, value, floor: 100.0 }] if *value < 100.0),
        "{passage:?}"
    );
}

#[test]
fn an_application_without_consent_with_two_faces_or_with_none_is_referred() {
    let Some(port) = Gate::open() else { return };
    let enroller = port.enroller();
    let refused = |application: &Application<'_>| match enroller.enrol(application, now()).unwrap() {
        EnrolmentOutcome::Refer { reasons } => reasons.iter().map(Reason::code).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let mut application = port.application(PEOPLE[0], &[1]);
    application.details.consent = None;
    assert_eq!(refused(&application), ["no-consent"]);
    application.details = eligible();
    application.pictures = vec![side_by_side(&port.picture(PEOPLE[0], 1), &port.picture(PEOPLE[1], 1))];
    assert_eq!(refused(&application), ["several-faces"]);
    application.pictures = vec![picture(Frame::new(PixelFormat::Gray8, 250, 250, 250, vec![128; 250 * 250]).unwrap())];
    assert_eq!(refused(&application), ["no-face"]);
    application.pictures = vec![picture(port.picture(PEOPLE[0], 1)), picture(port.picture(PEOPLE[1], 1))];
    assert_eq!(refused(&application), ["frames-disagree"]);
    assert!(port.references.is_empty());
}

#[test]
fn the_same_face_under_another_name_goes_to_an_officer() {
    let Some(port) = Gate::open() else { return };
    let enroller = port.enroller();
    let EnrolmentOutcome::Enrolled { subject, .. } = enroller.enrol(&port.application(PEOPLE[0], &[1]), now()).unwrap()
    else {
        panic!("not enrolled")
    };
    let again = enroller.enrol(&port.application(PEOPLE[0], &[2]), now()).unwrap();
    assert_eq!(again, EnrolmentOutcome::AlreadyEnrolled { subject });
    let renamed = Application { key: "somebody else".to_owned(), ..port.application(PEOPLE[0], &[2]) };
    let EnrolmentOutcome::Refer { reasons } = enroller.enrol(&renamed, now()).unwrap() else {
        panic!("enrolled twice")
    };
    assert!(matches!(reasons[..], [Reason::DuplicateFace { subject: found, .. }] if found == subject), "{reasons:?}");
}

#[test]
fn a_bulk_enrolment_reports_resumes_and_finds_duplicates_within_itself() {
    let Some(port) = Gate::open() else { return };
    let enroller = port.enroller();
    let applications = || {
        let good = PEOPLE.map(|person| (person.to_owned(), (person, 1)));
        let twin = ("twin".to_owned(), (PEOPLE[0], 2));
        let unreadable = ("unreadable".to_owned(), ("", 0));
        good.into_iter().chain([twin, unreadable]).map(|(key, (person, number))| {
            let read = {
                let (key, port) = (key.clone(), &port);
                move || match person {
                    "" => Err("no such file".to_owned()),
                    person => Ok(Application { key, ..port.application(person, &[number]) }),
                }
            };
            (key, read)
        })
    };
    let first = enroller.enrol_many(applications(), now(), |_| std::ops::ControlFlow::Break(())).unwrap();
    assert!(first.stopped);
    assert_eq!((first.progress.done, first.progress.enrolled, first.progress.already), (8, 6, 0));
    let stops: Vec<_> = first.unfinished.iter().map(|unfinished| (unfinished.key.as_str(), &unfinished.stop)).collect();
    assert!(
        matches!(
            stops[..],
            [("twin", BulkStop::Refer(reasons)), ("unreadable", BulkStop::Unreadable(words))]
                if matches!(&reasons[..], [Reason::DuplicateApplication { key }] if key == PEOPLE[0]) && words == "no such file"
        ),
        "{stops:?}"
    );
    let second = enroller.enrol_many(applications(), now(), |_| std::ops::ControlFlow::Continue(())).unwrap();
    assert_eq!((second.stopped, second.progress.enrolled, second.progress.already), (false, 0, 6));
    assert!(matches!(&second.unfinished[0].stop, BulkStop::Refer(reasons) if reasons[0].code() == "duplicate-face"));
}

#[test]
fn a_shown_document_admits_the_one_of_its_portrait() {
    let Some(port) = Gate::open() else { return };
    let kind = DocumentKind::MainlandTravelPermitHkMacao;
    let mut application = port.application(PEOPLE[0], &[1]);
    application.details.documents[0].number_digest = port.register.number_digest(kind, "H1234567890").unwrap();
    let EnrolmentOutcome::Enrolled { subject, .. } = port.enroller().enrol(&application, now()).unwrap() else {
        panic!("not enrolled")
    };
    let portrait = port.picture(PEOPLE[0], 1);
    let show = |number, frame: Frame<'static>| {
        let document = ShownDocument { kind, number, portrait: &portrait };
        port.lane().verify_document(&document, &[frame], &finger(subject), Some(Duration::from_mins(1)))
    };
    assert_eq!(show("H 1234567890", port.picture(PEOPLE[0], 2)).decision, Decision::Admit { subject });
    assert_eq!(codes(&show("H1234567890", port.picture(PEOPLE[1], 2))), ["not-matched"]);
    assert_eq!(codes(&show("H1234567891", port.picture(PEOPLE[0], 2))), ["not-enrolled"]);
}

#[test]
fn a_claim_in_a_frame_admits_its_subject() {
    let Some(port) = Gate::open() else { return };
    let subjects = port.enrol_everybody();
    let issuer = ClaimIssuer::generate().unwrap();
    let lane = Gate::lane_by(port.builder(NO_PAD).claims(issuer.verifier()).clock(Timestamp::now));
    let claim = issuer
        .issue(
            port.register.id(),
            subjects[0],
            &["shenzhen-bay".parse().unwrap()],
            Timestamp::now(),
            Duration::from_mins(1),
        )
        .unwrap();
    let phone = Frame::decode(&claim.to_png(3).unwrap(), &DecodeLimits::default()).unwrap();
    let budget = Some(Duration::from_mins(1));
    let face = [port.picture(PEOPLE[0], 2)];
    let passage = lane.verify_claim(&[phone], &face, &finger(subjects[0]), budget);
    assert_eq!(passage.decision, Decision::Admit { subject: subjects[0] });
    assert_eq!(codes(&lane.verify_claim(&face, &face, &[], budget)), ["no-claim"]);
}

const SERVES_LFW: &str = "populations = [\"east-asian-adults\"] => populations = [\"lfw\"]";
const NO_PAD: &str = "pad = \"required\" => pad = \"off\"";

struct Gate {
    lfw: PathBuf,
    extractor: Extractor,
    register: Arc<Register>,
    references: Arc<References>,
    calibration: Calibration,
    _folder: tempfile::TempDir,
}

impl Gate {
    fn open() -> Option<Self> {
        let (models, datasets) = research_data()?;
        let mut at_hand = Models::builtin().unwrap();
        at_hand.add_folder(models).unwrap();
        let embedder = at_hand.embedder("mobilefacenet").unwrap();
        let model = embedder.model_id();
        let extractor = Extractor::new(at_hand.detector("scrfd-500m-320").unwrap(), embedder);
        // Rough, and lenient enough for six people: what is tested is the lane, not the model.
        let points = [(1e-2, 0.25), (1e-4, 0.415), (1e-6, 0.5), (1e-9, 0.6)];
        let points = points.map(|(fmr, threshold)| CalibrationPoint { fmr, threshold });
        let calibration = Calibration::new(model, "lfw".parse().unwrap(), points.to_vec(), "by eye").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let keys = Keyring::new(Key::random().unwrap());
        let register = Arc::new(Register::create(folder.path().join("port.register"), keys).unwrap());
        let references = Arc::new(References::load(register.clone(), model, |_, _| {}).unwrap());
        references.check(|_, _| {}).unwrap();
        let lfw = datasets.join("lfw");
        let extractor = extractor.with_selection(Selection::Largest);
        Some(Self { lfw, extractor, register, references, calibration, _folder: folder })
    }

    fn path(&self, person: &str, number: u32) -> PathBuf {
        self.lfw.join(person).join(format!("{person}_{number:04}.jpg"))
    }

    fn picture(&self, person: &str, number: u32) -> Frame<'static> {
        let path = self.path(person, number);
        Frame::open(&path, &DecodeLimits::default()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn application(&self, person: &str, numbers: &[u32]) -> Application<'static> {
        let pictures = numbers.iter().map(|&number| picture(self.picture(person, number))).collect();
        Application { key: person.to_owned(), details: eligible(), pictures }
    }

    fn enroller(&self) -> Enroller {
        // The pictures are of the press, smaller and less frontal than those of a collection point.
        let policy = policy(&format!("{ENROLMENT_FLOORS}\n{SERVES_LFW}"));
        Enroller::new(policy.into(), self.references.clone(), self.extractor.clone(), &self.calibration).unwrap()
    }

    fn enrol_everybody(&self) -> Vec<SubjectId> {
        let enroller = self.enroller();
        let enrol = |person| match enroller.enrol(&self.application(person, &[1]), now()).unwrap() {
            EnrolmentOutcome::Enrolled { subject, .. } => subject,
            other => panic!("{person}: {other:?}"),
        };
        PEOPLE.into_iter().map(enrol).collect()
    }

    fn builder(&self, changes: &str) -> PortBuilder {
        let floors = "quality = { InterEyeDistance = 20, HeadPoseYaw = 20, HeadPosePitch = 20, Sharpness = 20, EyesVisible = 90, MouthOcclusionPrevention = 50 } => quality = { InterEyeDistance = 5 }\nfpir = 1e-5 => fpir = 1e-3";
        let policy = policy(&format!("{floors}\n{ENROLMENT_FLOORS}\n{SERVES_LFW}\n{changes}"));
        clearlane::Port::builder(self.references.clone())
            .policy(policy)
            .port("shenzhen-bay".parse().unwrap())
            .calibration(self.calibration.clone())
            .extractor(self.extractor.clone())
            .clock(now)
    }

    fn lane(&self) -> Lane {
        Self::lane_by(self.builder(NO_PAD))
    }

    fn lane_by(builder: PortBuilder) -> Lane {
        builder.build().unwrap().lane("lane 1", Direction::Exit).unwrap()
    }
}

/// No floors for enrolments: the research models have none that sees what covers a face.
const ENROLMENT_FLOORS: &str = "quality = { SingleFacePresent = 80, InterEyeDistance = 40, HeadPoseYaw = 40, HeadPosePitch = 40, Sharpness = 40, EyesVisible = 98, MouthOcclusionPrevention = 60, FaceOcclusionPrevention = 60 } => quality = {}";

/// Where the research models and LFW are; `None`, said on one line, where they are not.
fn research_data() -> Option<(PathBuf, PathBuf)> {
    let folder = |variable: &str| env::var_os(variable).map(PathBuf::from).filter(|path| path.is_dir());
    let found = folder("CLEARLANE_MODELS").zip(folder("CLEARLANE_DATASETS"));
    let whole = found.filter(|(_, datasets)| Path::is_dir(&datasets.join("lfw")));
    if whole.is_none() {
        println!("skipped: CLEARLANE_MODELS and CLEARLANE_DATASETS (with lfw) are not set");
    }
    whole
}

fn picture(frame: Frame<'static>) -> Picture<'static> {
    Picture { frame, source: None }
}

fn side_by_side(left: &Frame<'_>, right: &Frame<'_>) -> Picture<'static> {
    let (width, height) = (left.width() as usize, left.height() as usize);
    let (left, right) = (left.to_rgb8(), right.to_rgb8());
    let rows = left.chunks_exact(3 * width).zip(right.chunks_exact(3 * width));
    let pixels: Vec<u8> = rows.flat_map(|(left, right)| left.iter().chain(right)).copied().collect();
    picture(Frame::rgb8(2 * width as u32, height as u32, pixels).unwrap())
}

fn codes(passage: &clearlane::Passage) -> Vec<&'static str> {
    passage.decision.reasons().iter().map(Reason::code).collect()
}
