//! A policy's floors for covered faces: who wears sunglasses is told so, and neither enrolled nor let through with them. On a
//! fictional person, one of whose captures has them.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clearlane::{
    Application, Calibration, Decision, Direction, EnrolmentOutcome, Extractor, Guidance, Language, NotAssessed,
    PassageStep, Picture, Policy, Port, PortError, Reason, References,
};
use clearlane_embed::{Component, DecodeLimits, Frame, Models};
use clearlane_store::Enrolment;
use common::{eligible, now};

const TRAVELLER: &str = "f0006";

/// The demonstration's policy, which lets covered faces through to the comparison, and asks enrolments for free ones.
const LENIENT: &str = "";

/// The same with the pilot's floors for lanes.
const STRICT: &str =
    "quality = { InterEyeDistance = 20 } => quality = { EyesVisible = 90, MouthOcclusionPrevention = 50 }";

struct Gate {
    extractor: Extractor,
    calibration: Calibration,
    references: Arc<References>,
    _register: common::Port,
}

impl Gate {
    fn open() -> Self {
        let (extractor, calibration) = common::builtin();
        let template = extractor.extract(&picture("enrol")).unwrap().template;
        let model = template.model();
        let register = common::Port::with(0);
        let enrolment = Enrolment::new(TRAVELLER).with_details(eligible()).with_template(template);
        register.register.enrol(&enrolment).unwrap();
        let references = Arc::new(References::load(register.register.clone(), model, |_, _| {}).unwrap());
        references.check(|_, _| {}).unwrap();
        Self { extractor, calibration, references, _register: register }
    }

    fn assessing(&self) -> Extractor {
        self.extractor.clone().with_occlusion(Models::builtin().unwrap().any_occlusion().unwrap().unwrap())
    }

    fn port(&self, extractor: Extractor, changes: &str) -> Result<Port, PortError> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/demonstration.toml");
        let policy: Policy = common::changed(&std::fs::read_to_string(path).unwrap(), changes);
        Port::builder(self.references.clone())
            .policy(policy)
            .port("shenzhen-bay".parse().unwrap())
            .calibration(self.calibration.clone())
            .extractor(extractor)
            .clock(now)
            .build()
    }
}

fn picture(name: &str) -> Frame<'static> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/fictional/enrolled");
    Frame::open(folder.join(TRAVELLER).join(format!("{name}.jpg")), &DecodeLimits::default()).unwrap()
}

/// That the eyes were covered and nothing else was wrong, in both languages.
fn eyes_covered(reasons: &[Reason]) {
    let [Reason::QualityTooLow { measure: Component::EyesVisible, value, .. }] = reasons else { panic!("{reasons:?}") };
    assert!(*value < 20.0, "{value}");
    assert_eq!(reasons[0].phrase(Language::English), "eyes covered");
    assert_eq!(reasons[0].phrase(Language::Chinese), "眼部被遮挡");
}

#[test]
fn whoever_wears_sunglasses_is_asked_to_take_them_off_and_passes_without() {
    let gate = Gate::open();
    let lane = gate.port(gate.assessing(), STRICT).unwrap().lane("lane 1", Direction::Exit).unwrap();
    let mut session = lane.passage().with_patience(Duration::from_mins(10));
    let covered = picture("hard-covered");
    for _ in 0..3 {
        assert_eq!(session.frame(&covered), PassageStep::Continue(Guidance::TakeOffSunglasses));
    }
    let PassageStep::Decided(passage) = session.frame(&picture("plain-1")) else { panic!("nothing is missing") };
    assert!(matches!(passage.decision, Decision::Admit { .. }), "{:?}", passage.decision);
    assert_eq!(Guidance::TakeOffSunglasses.phrase(Language::Chinese), "请摘下墨镜");

    let Decision::Refer { reasons, .. } = lane.pass(&[covered], &[], None).decision else { panic!("passed") };
    eyes_covered(&reasons);
}

#[test]
fn a_policy_without_such_a_floor_refuses_nobody_for_a_cover() {
    let gate = Gate::open();
    let lane = gate.port(gate.assessing(), LENIENT).unwrap().lane("lane 1", Direction::Exit).unwrap();
    let Decision::Refer { reasons, .. } = lane.pass(&[picture("hard-covered")], &[], None).decision else { return };
    let codes: Vec<_> = reasons.iter().map(Reason::code).collect();
    assert_eq!(codes, ["no-candidate"]);
}

#[test]
fn a_covered_face_is_not_enrolled() {
    let gate = Gate::open();
    let enroller = gate.port(gate.assessing(), LENIENT).unwrap().enroller().unwrap();
    let pictures = vec![Picture { frame: picture("hard-covered"), source: None }];
    let application = Application { key: "somebody else".to_owned(), details: eligible(), pictures };
    match enroller.enrol(&application, now()).unwrap() {
        EnrolmentOutcome::Refer { reasons } => eyes_covered(&reasons),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_port_whose_models_cannot_see_what_its_policy_asks_for_is_not_opened() {
    let gate = Gate::open();
    let error = gate.port(gate.extractor.clone(), STRICT).map(drop).unwrap_err();
    let expected = NotAssessed { component: Component::EyesVisible };
    assert_eq!(error, PortError::NotAssessed(expected));
    assert!(error.to_string().contains("EyesVisible"), "{error}");
}
