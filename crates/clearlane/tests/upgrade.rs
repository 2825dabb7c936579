//! Going over to a new model: templates of two side by side, made of pictures that are supplied again, and lanes that change
//! when the policy says so. On the fictional people, with the built-in embedder and the same network fed otherwise, which is
//! another model.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clearlane::{
    BulkReport, BulkStop, Calibration, ChoiceReason, Decision, Direction, EnrolError, Enroller, ModelChoice, Picture,
    Policy, Reason, Reembedder, References, TemplateMaker,
};
use clearlane_embed::{Component, DecodeLimits, Embedder, Extractor, Frame, Models, Orientation, Selection, Task};
use clearlane_store::{Coverage, Enrolment, ImageDigest, Key, Keyring, NewTemplate, Register};
use common::{SERVES_FICTIONAL_PEOPLE, eligible, finger, now, policy};
use jiff::Timestamp;

const PEOPLE: [&str; 4] = ["f0000", "f0001", "f0003", "f0004"];

#[test]
fn a_lane_goes_over_to_a_new_model_when_it_covers_what_the_policy_asks() {
    let port = Port::open();
    let policy = rules("coverage = 0.999 => coverage = 0.75");
    let reembedder = port.comparing();
    let choice = || ModelChoice::make(port.newer(), &port.models, &port.register, &policy).unwrap();

    let (embedder, chosen) = choice();
    let nobody = Coverage { covered: 0, subjects: 4 };
    assert_eq!((embedder.name(), chosen.model), (port.old().name(), port.old().model_id()));
    assert_eq!(chosen.reason, ChoiceReason::NotYet { wanted: "next".to_owned(), wanted_coverage: nobody });
    assert_eq!(port.all_pass_a_lane_of(embedder, &chosen, &policy), [true; 4]);

    let done = reembed(&reembedder, supply(&PEOPLE[..2]));
    assert_eq!((done.progress.enrolled, done.progress.templates), (2, 2));
    assert!(matches!(choice().1.reason, ChoiceReason::NotYet { .. }), "two of four are too few");

    // A second run passes over those who have theirs.
    let done = reembed(&reembedder, supply(&PEOPLE[..3]));
    assert_eq!((done.progress.already, done.progress.enrolled), (2, 1));
    let (embedder, chosen) = choice();
    assert_eq!((chosen.model, &chosen.reason), (port.newer().model_id(), &ChoiceReason::Covers));
    assert_eq!(chosen.coverage, Coverage { covered: 3, subjects: 4 });
    // Templates of different models are never compared: who has none of this one is not found.
    assert_eq!(port.all_pass_a_lane_of(embedder, &chosen, &policy), [true, true, true, false]);

    let (_, chosen) = ModelChoice::make(port.newer(), &Models::builtin().unwrap(), &port.register, &rules("")).unwrap();
    assert!(matches!(chosen.reason, ChoiceReason::NotYet { .. }), "all four have one of the old model");
}

#[test]
fn where_no_model_at_hand_has_templates_no_lane_opens_and_where_none_covers_more_the_wanted_one_does() {
    let port = Port::open();
    let only_new = port.only_new();
    let error = ModelChoice::make(port.newer(), &only_new, &port.register, &rules("")).unwrap_err();
    assert!(error.to_string().contains("no template of model"), "{error}");
    reembed(&port.reembedder(), supply(&PEOPLE[..1]));
    let (_, chosen) = ModelChoice::make(port.newer(), &only_new, &port.register, &rules("")).unwrap();
    assert_eq!((chosen.reason, chosen.coverage.covered), (ChoiceReason::NoneCoversMore, 1));
}

#[test]
fn a_picture_must_be_shown_to_be_the_subjects() {
    let port = Port::open();
    let compared = || port.comparing();
    // Somebody else's picture under the name: the model that knows the subject tells.
    let swapped = || vec![supplied("f0000", "f0001/enrol.jpg")];
    assert_eq!(stops(&reembed(&compared(), swapped())), [("f0000", "not-matched")]);
    // Without that model only a picture that was enrolled from will do.
    let another = || vec![supplied("f0000", "f0000/plain-1.jpg")];
    assert_eq!(stops(&reembed(&port.reembedder(), swapped())), [("f0000", "picture-unproven")]);
    assert_eq!(stops(&reembed(&port.reembedder(), another())), [("f0000", "picture-unproven")]);
    assert_eq!(reembed(&compared(), another()).progress.enrolled, 1);
    assert_eq!(reembed(&port.reembedder(), supply(&["f0001"])).progress.enrolled, 1);
}

#[test]
fn floors_that_were_raised_since_an_enrolment_take_nobody_out() {
    let port = Port::open();
    let strict = || port.maker_by(rules_with_floors("Sharpness = 100", ""));
    assert_ne!(strict().digest(), port.maker().digest());
    let reembedder = || Reembedder::new(port.register.clone(), strict());
    let comparing = || strict().with_earlier(port.old(), &calibration(&port.old())).unwrap();
    // Another picture of the same person has to reach them, though the old model knows who it is.
    let compared = Reembedder::new(port.register.clone(), comparing());
    let another = reembed(&compared, vec![supplied("f0000", "f0000/plain-1.jpg")]);
    assert_eq!(stops(&another), [("f0000", "quality-too-low")]);
    // So has one that was made elsewhere, by somebody who was not told that it is what the person was enrolled from.
    let elsewhere = |enrolled: &[ImageDigest]| {
        let pictures = readers(supply(&["f0000"])).remove(0).1().unwrap();
        let made = comparing().make(&pictures, enrolled, true).unwrap();
        let mut report = BulkReport::default();
        compared.take_in(vec![("f0000".to_owned(), Ok(made))], now(), &mut report).unwrap();
        report
    };
    assert_eq!(stops(&elsewhere(&[])), [("f0000", "quality-too-low")]);
    assert_eq!(elsewhere(&compared.enrolled_from("f0000").unwrap()).progress.enrolled, 1);
    assert_eq!(compared.enrolled_from("nobody").unwrap(), []);
    assert_eq!(reembed(&reembedder(), supply(&PEOPLE)).progress.enrolled, 3);
    assert_eq!(port.register.coverage(port.newer().model_id()).unwrap().share(), 1.0);
}

#[test]
fn who_gets_no_templates_is_reported_with_the_reason_and_the_others_get_theirs() {
    let port = Port::open();
    let withdrawn = port.register.subject("f0003").unwrap().unwrap().id;
    port.register.withdraw_consent(withdrawn, Timestamp::UNIX_EPOCH).unwrap();
    let mut supply = supply(&["f0000", "f0003", "f0004"]);
    supply.push(supplied("nobody", "f0001/enrol.jpg"));
    supply.push(("f0001".to_owned(), PathBuf::from("missing.jpg")));
    let done = reembed(&port.reembedder(), supply);
    assert_eq!((done.progress.done, done.progress.enrolled, done.progress.unfinished), (5, 2, 3));
    assert_eq!(stops(&done), [("f0003", "consent-withdrawn"), ("nobody", "not-enrolled"), ("f0001", "unreadable")]);
    assert_eq!(port.register.coverage(port.newer().model_id()).unwrap().covered, 2);
}

#[test]
fn nobody_is_enrolled_by_a_model_that_would_miss_their_face_under_another_name() {
    let port = Port::open();
    reembed(&port.reembedder(), supply(&PEOPLE[..3]));
    let enroller = || {
        let references = References::load(port.register.clone(), port.newer().model_id(), |_, _| {}).unwrap();
        Enroller::new(rules("").into(), references.into(), port.extractor(port.newer()), &calibration(&port.newer()))
    };
    assert!(matches!(enroller(), Err(EnrolError::CoversFewer { covered: 3, other: 4 })));
    reembed(&port.reembedder(), supply(&PEOPLE));
    enroller().unwrap();
}

#[test]
fn a_re_embedding_that_was_stopped_goes_on() {
    let port = Port::open();
    let stop = |_: &clearlane::BulkProgress| ControlFlow::Break(());
    let first = port.reembedder().reembed_many(readers(supply(&PEOPLE[..2])), now(), stop).unwrap();
    assert!(first.stopped);
    let second = reembed(&port.reembedder(), supply(&PEOPLE));
    assert_eq!((second.stopped, second.progress.already, second.progress.enrolled), (false, 2, 2));
    assert!(port.register.check(|_, _| {}).unwrap().is_sound());
    assert_eq!(port.register.coverage(port.newer().model_id()).unwrap().share(), 1.0);
}

#[test]
fn templates_that_were_made_elsewhere_are_judged_as_those_that_are_made_here() {
    let port = Port::open();
    let withdrawn = port.register.subject("f0003").unwrap().unwrap().id;
    port.register.withdraw_consent(withdrawn, Timestamp::UNIX_EPOCH).unwrap();
    let mut supply = supply(&["f0000", "f0001", "f0003"]);
    supply.push(supplied("f0004", "f0001/enrol.jpg"));
    supply.push(supplied("nobody", "f0001/enrol.jpg"));
    let here = Port::open();
    let other = here.register.subject("f0003").unwrap().unwrap().id;
    here.register.withdraw_consent(other, Timestamp::UNIX_EPOCH).unwrap();
    let expected = reembed(&here.comparing(), supply.clone());

    let (reembedder, elsewhere) = (port.comparing(), port.comparing_maker());
    assert_eq!(reembedder.maker().digest(), elsewhere.digest());
    assert_ne!(reembedder.maker().digest(), port.maker().digest(), "one that compares nothing makes something else");
    let tries_all_ways = port.extractor(port.newer()).with_orientation(Orientation::Auto);
    let other = TemplateMaker::new(rules("").into(), tries_all_ways, &calibration(&port.newer())).unwrap();
    assert_ne!(port.maker().digest(), other.digest(), "one that finds other faces makes something else");
    let needed: Vec<_> = supply.iter().map(|(key, _)| reembedder.needs_pictures(key).unwrap()).collect();
    assert_eq!(needed, [true, true, true, true, false]);
    let made = || {
        let make = |(key, read): (String, Reader)| {
            let made = read().map(|pictures| elsewhere.make(&pictures, &[], true).unwrap());
            (key, made.map_err(BulkStop::Unreadable))
        };
        readers(supply.clone()).into_iter().map(make).collect::<Vec<_>>()
    };
    let mut report = BulkReport::default();
    reembedder.take_in(made(), now(), &mut report).unwrap();
    assert_eq!(stops(&report), [("f0003", "consent-withdrawn"), ("f0004", "not-matched"), ("nobody", "not-enrolled")]);
    // Scores are taken under each register's own key, and differ in their last bit.
    assert_eq!((stops(&report), report.progress), (stops(&expected), expected.progress));

    // A second time it counts as there already, and nothing is written twice.
    reembedder.take_in(made(), now(), &mut report).unwrap();
    assert_eq!((report.progress.enrolled, report.progress.templates, report.progress.already), (2, 2, 2));
    assert_eq!(port.register.coverage(port.newer().model_id()).unwrap().covered, 2);
    assert!(!reembedder.needs_pictures("f0000").unwrap());
}

#[test]
fn reasons_are_read_as_they_were_written() {
    let reasons = [
        Reason::NoFace,
        Reason::QualityTooLow { measure: Component::EyesVisible, value: 12.5, floor: 50.0 },
        Reason::FramesDisagree { score: -0.25, threshold: 0.4 },
        Reason::InternalError { stage: "embed".into() },
    ];
    for reason in reasons {
        let written = serde_json::to_string(&reason).unwrap();
        assert_eq!(serde_json::from_str::<Reason>(&written).unwrap(), reason, "{written}");
    }
}

struct Port {
    folder: tempfile::TempDir,
    models: Models,
    register: Arc<Register>,
}

impl Port {
    /// A register with [`PEOPLE`], each of one picture, by the built-in embedder; and beside it the model `next`.
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        next_model(folder.path());
        let mut models = Models::builtin().unwrap();
        models.add_folder(folder.path()).unwrap();
        let keys = Keyring::new(Key::random().unwrap());
        let register = Arc::new(Register::create(folder.path().join("port.register"), keys).unwrap());
        let port = Self { folder, models, register };
        let extractor = port.extractor(port.old());
        for person in PEOPLE {
            let path = picture(&format!("{person}/enrol.jpg"));
            let template = extractor.extract(&frame(&path)).unwrap().template;
            let source = Some(ImageDigest::of(&std::fs::read(&path).unwrap()));
            let mut enrolment = Enrolment::new(person).with_details(eligible());
            enrolment.templates.push(NewTemplate { template, source });
            port.register.enrol(&enrolment).unwrap();
        }
        port
    }

    fn old(&self) -> Embedder {
        self.models.embedder(self.models.default_embedder().unwrap()).unwrap()
    }

    fn newer(&self) -> Embedder {
        self.models.embedder("next").unwrap()
    }

    fn only_new(&self) -> Models {
        let mut models = Models::default();
        models.add_folder(self.folder.path()).unwrap();
        models
    }

    fn extractor(&self, embedder: Embedder) -> Extractor {
        let detector = self.models.detector(self.models.default_detector().unwrap()).unwrap();
        Extractor::new(detector, embedder).with_selection(Selection::Largest)
    }

    fn maker(&self) -> TemplateMaker {
        self.maker_by(rules(""))
    }

    fn maker_by(&self, policy: Policy) -> TemplateMaker {
        TemplateMaker::new(policy.into(), self.extractor(self.newer()), &calibration(&self.newer())).unwrap()
    }

    /// As [`Self::maker`], with the old model's templates beside.
    fn comparing_maker(&self) -> TemplateMaker {
        self.maker().with_earlier(self.old(), &calibration(&self.old())).unwrap()
    }

    fn reembedder(&self) -> Reembedder {
        Reembedder::new(self.register.clone(), self.maker())
    }

    fn comparing(&self) -> Reembedder {
        Reembedder::new(self.register.clone(), self.comparing_maker())
    }

    /// Whether each of [`PEOPLE`] passes with the picture that they were enrolled from.
    fn all_pass_a_lane_of(&self, embedder: Embedder, choice: &ModelChoice, policy: &Policy) -> Vec<bool> {
        let calibration = calibration(&embedder);
        let references = References::load(self.register.clone(), embedder.model_id(), |_, _| {}).unwrap();
        references.check(|_, _| {}).unwrap();
        let lane = clearlane::Port::builder(references)
            .policy(policy.clone())
            .port("shenzhen-bay".parse().unwrap())
            .calibration(calibration)
            .extractor(self.extractor(embedder))
            .model_choice(choice.clone())
            .clock(now)
            .build()
            .unwrap()
            .lane("lane 1", Direction::Exit)
            .unwrap();
        assert_eq!(lane.port().model_choice(), Some(choice));
        let pass = |person: &str| {
            let subject = self.register.subject(person).unwrap().unwrap().id;
            let frame = frame(&picture(&format!("{person}/enrol.jpg")));
            let passage = lane.pass(&[frame], &finger(subject), Some(Duration::from_mins(1)));
            let admitted = passage.decision == Decision::Admit { subject };
            let codes: Vec<_> = passage.decision.reasons().iter().map(Reason::code).collect();
            assert!(admitted || codes == ["no-candidate"], "{person}: {passage:?}");
            admitted
        };
        PEOPLE.map(pass).to_vec()
    }
}

/// The built-in embedder's network with another mean, as a model of its own in `folder`.
fn next_model(folder: &Path) {
    let models = Models::builtin().unwrap();
    let (entry, _) = models.get(models.default_embedder().unwrap()).unwrap();
    std::fs::write(folder.join(&entry.file), models.read(&entry.name).unwrap()).unwrap();
    let mut next = entry.clone();
    "next".clone_into(&mut next.name);
    next.input.mean[0] += 1.0;
    assert!(matches!(next.task, Task::Embedding { .. }));
    let manifest = clearlane_embed::Manifest { models: vec![next] };
    std::fs::write(folder.join("manifest.toml"), toml::to_string(&manifest).unwrap()).unwrap();
}

fn calibration(embedder: &Embedder) -> Calibration {
    Calibration::from_manifest(embedder.model_id(), embedder.calibrations()).unwrap()
}

/// The shipped policy without quality floors and PAD, with other changes.
fn rules(changes: &str) -> Policy {
    rules_with_floors("", changes)
}

/// The same with floors of an enrolment's pictures.
fn rules_with_floors(floors: &str, changes: &str) -> Policy {
    policy(&format!(
        "quality = {{ InterEyeDistance = 20, HeadPoseYaw = 20, HeadPosePitch = 20, Sharpness = 20, EyesVisible = 90, MouthOcclusionPrevention = 50 }} => quality = {{}}
         quality = {{ SingleFacePresent = 80, InterEyeDistance = 40, HeadPoseYaw = 40, HeadPosePitch = 40, Sharpness = 40, EyesVisible = 98, MouthOcclusionPrevention = 60, FaceOcclusionPrevention = 60 }} => quality = {{{floors}}}
         pad = \"required\" => pad = \"off\"
         {SERVES_FICTIONAL_PEOPLE}
         {changes}"
    ))
}

fn picture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/fictional/enrolled").join(path)
}

fn frame(path: &Path) -> Frame<'static> {
    Frame::open(path, &DecodeLimits::default()).unwrap()
}

/// A picture under a name.
fn supplied(key: &str, path: &str) -> (String, PathBuf) {
    (key.to_owned(), picture(path))
}

/// The pictures that these people were enrolled from.
fn supply(people: &[&str]) -> Vec<(String, PathBuf)> {
    people.iter().map(|person| supplied(person, &format!("{person}/enrol.jpg"))).collect()
}

type Reader = Box<dyn FnOnce() -> Result<Vec<Picture<'static>>, String> + Send>;

fn readers(supply: Vec<(String, PathBuf)>) -> Vec<(String, Reader)> {
    let reader = |path: PathBuf| -> Reader {
        Box::new(move || {
            let bytes = std::fs::read(&path).map_err(|error| error.to_string())?;
            let frame = Frame::decode(&bytes, &DecodeLimits::default()).map_err(|error| error.to_string())?;
            Ok(vec![Picture { frame, source: Some(ImageDigest::of(&bytes)) }])
        })
    };
    supply.into_iter().map(|(key, path)| (key, reader(path))).collect()
}

fn reembed(reembedder: &Reembedder, supply: Vec<(String, PathBuf)>) -> BulkReport {
    reembedder.reembed_many(readers(supply), now(), |_| ControlFlow::Continue(())).unwrap()
}

/// Who got no templates, and the one reason.
fn stops(report: &BulkReport) -> Vec<(&str, &str)> {
    let code = |stop: &BulkStop| match stop {
        BulkStop::Refer(reasons) => {
            assert_eq!(reasons.len(), 1, "{reasons:?}");
            reasons[0].code()
        }
        BulkStop::Unreadable(_) => "unreadable",
        BulkStop::Failed(_) => "failed",
    };
    report.unfinished.iter().map(|unfinished| (unfinished.key.as_str(), code(&unfinished.stop))).collect()
}
