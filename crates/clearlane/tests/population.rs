//! A threshold names its people: nothing opens with a model that was not calibrated on everybody whom the policy serves, by
//! whichever way, and what opens uses the thresholds of those people and of nobody else.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use clearlane::{
    Calibration, CalibrationError, CalibrationPoint, Decision, Direction, EnrolError, Enroller, Extractor, Keyring,
    MissingPopulation, OpenError, Policy, Population, PopulationCalibration, Port, PortError, PortOptions, References,
    TemplateMaker,
};
use clearlane_embed::{Embedder, Models};
use clearlane_store::{Key, Register};
use common::{capture_of, finger, now};

/// The built-in embedder's population, and two that it was not calibrated on.
const KNOWN: &str = "fictional-people";
const UNKNOWN: [&str; 2] = ["east-asian-adults", "elders"];

type Way = fn(&World, Policy) -> Result<(), MissingPopulation>;

/// All ways in which something comes to be that decides by a policy.
const WAYS: [(&str, Way); 6] = [
    ("Port::open", World::open),
    ("Port::builder", World::build),
    ("Port::enroller", World::port_enroller),
    ("Enroller::new", World::enroller),
    ("TemplateMaker::new", |_, policy| template_maker(policy)),
    ("TemplateMaker::with_earlier", |_, policy| earlier(policy)),
];

#[test]
fn nothing_opens_that_was_not_calibrated_on_everybody_whom_the_policy_serves() {
    let world = World::new();
    let [one, other] = UNKNOWN;
    for (way, open) in WAYS {
        assert_eq!(open(&world, serving(&[KNOWN])), Ok(()), "{way}");
        for served in [&[one][..], &[one, other], &[KNOWN, one], &[other, KNOWN, one]] {
            let refused = open(&world, serving(served)).expect_err(way);
            let missing: Vec<_> = served.iter().filter(|name| **name != KNOWN).map(|name| people(name)).collect();
            assert_eq!((&refused.missing, &refused.known), (&missing, &vec![people(KNOWN)]), "{way}: {served:?}");
            let message = refused.to_string();
            for word in missing.iter().map(Population::as_str).chain([KNOWN, "clearlane calibrate"]) {
                assert!(message.contains(word), "{way}: {message}");
            }
        }
    }
}

#[test]
fn a_port_that_is_refused_leaves_no_register_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.register");
    let options = |served: &[&str]| {
        let keys = Keyring::new(Key::random().unwrap());
        PortOptions::new(&path).keys(keys).create().policy(serving(served))
    };
    assert!(matches!(Port::open(options(&UNKNOWN)), Err(OpenError::Population { .. })));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    Port::open(options(&[KNOWN])).unwrap();
    assert!(path.exists());
}

#[test]
fn of_several_populations_the_strictest_threshold_counts_and_of_those_who_are_not_served_none() {
    let port = common::Port::with(3);
    let subject = port.subject(0);
    let points = |add: f32| {
        let point = |(fmr, threshold): (f64, f32)| CalibrationPoint { fmr, threshold: threshold + add };
        [(1e-1, 0.1), (1e-4, 0.4), (1e-9, 0.5)].map(point).to_vec()
    };
    let of = |name, add| Calibration::new(common::model(), people(name), points(add), "by hand").unwrap();
    let all = of("lenient", 0.0).and(of("middling", 0.1)).unwrap().and(of("strict", 0.4)).unwrap();
    for (served, add) in [
        (&["lenient"][..], 0.0),
        (&["middling"], 0.1),
        (&["strict"], 0.4),
        (&["lenient", "middling"], 0.1),
        (&["strict", "lenient", "middling"], 0.4),
    ] {
        let opened = Port::builder(port.references.clone())
            .policy(shipped(served))
            .port("shenzhen-bay".parse().unwrap())
            .calibration(all.clone())
            .clock(now)
            .build()
            .unwrap();
        let used: Vec<_> =
            opened.calibration().unwrap().populations().iter().map(PopulationCalibration::population).collect();
        assert_eq!(used, served.iter().map(|name| people(name)).collect::<Vec<_>>().iter().collect::<Vec<_>>());
        let alone = of("alone", add);
        let expected = alone.threshold_for_fpir(opened.policy().unwrap().fpir(), 3).unwrap();
        assert_eq!(opened.identify_options(opened.policy().unwrap().fpir(), 0.05).unwrap().threshold, expected);
        let lane = opened.lane("lane 1", Direction::Exit).unwrap();
        for (score, passes) in [(expected + 0.01, true), (expected - 0.01, false)] {
            let passage = lane.pass_capture(&capture_of(0, score), &finger(subject), None);
            assert_eq!(passage.decision == Decision::Admit { subject }, passes, "{served:?}: {passage:?}");
            assert!(passage.comparison.is_none_or(|comparison| comparison.threshold == expected), "{served:?}");
        }
    }
}

/// The built-in models, and a register without anybody.
struct World {
    folder: tempfile::TempDir,
    keys: Keyring,
    references: Arc<References>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keyring::new(Key::random().unwrap());
        let register = Arc::new(Register::create(folder.path().join("port.register"), keys.clone()).unwrap());
        let references = Arc::new(References::load(register, embedder().model_id(), |_, _| {}).unwrap());
        Self { folder, keys, references }
    }

    fn open(&self, policy: Policy) -> Result<(), MissingPopulation> {
        let options = PortOptions::new(self.folder.path().join("port.register")).keys(self.keys.clone()).policy(policy);
        match Port::open(options) {
            Ok(port) => {
                port.lane("lane 1", Direction::Exit).unwrap();
                Ok(())
            }
            Err(OpenError::Population { embedder, source }) if embedder == self::embedder().name() => Err(source),
            Err(error) => panic!("{error:?}"),
        }
    }

    fn build(&self, policy: Policy) -> Result<(), MissingPopulation> {
        self.built(policy).map(|port| drop(port.lane("lane 1", Direction::Exit).unwrap()))
    }

    fn port_enroller(&self, policy: Policy) -> Result<(), MissingPopulation> {
        self.built(policy).map(|port| drop(port.enroller().unwrap()))
    }

    fn built(&self, policy: Policy) -> Result<Port, MissingPopulation> {
        let builder = Port::builder(self.references.clone()).policy(policy).extractor(extractor());
        match builder.calibration(calibration()).build() {
            Ok(port) => Ok(port),
            Err(PortError::Population(missing)) => Err(missing),
            Err(error) => panic!("{error:?}"),
        }
    }

    fn enroller(&self, policy: Policy) -> Result<(), MissingPopulation> {
        missing(Enroller::new(policy.into(), self.references.clone(), extractor(), &calibration()))
    }
}

fn template_maker(policy: Policy) -> Result<(), MissingPopulation> {
    missing(TemplateMaker::new(policy.into(), extractor(), &calibration()))
}

/// Of the model before, a calibration for everybody is needed as well.
fn earlier(policy: Policy) -> Result<(), MissingPopulation> {
    let known = calibration();
    let points = known.populations()[0].points().to_vec();
    let new = |name: &&str| Calibration::new(known.model(), people(name), points.clone(), "a test").unwrap();
    let everybody = UNKNOWN.iter().map(new).fold(known.clone(), |all, next| all.and(next).unwrap());
    let maker = TemplateMaker::new(policy.into(), extractor(), &everybody).unwrap();
    missing(maker.with_earlier(embedder(), &known))
}

fn missing<T>(made: Result<T, EnrolError>) -> Result<(), MissingPopulation> {
    match made.map(drop) {
        Err(EnrolError::Calibration(CalibrationError::Population(missing))) => Err(missing),
        Err(error) => panic!("{error:?}"),
        Ok(()) => Ok(()),
    }
}

fn embedder() -> Embedder {
    let models = Models::builtin().unwrap();
    models.embedder(models.default_embedder().unwrap()).unwrap()
}

fn extractor() -> Extractor {
    let models = Models::builtin().unwrap();
    let extractor = Extractor::new(models.detector(models.default_detector().unwrap()).unwrap(), embedder());
    extractor.with_occlusion(models.any_occlusion().unwrap().unwrap())
}

fn calibration() -> Calibration {
    let embedder = embedder();
    Calibration::from_manifest(embedder.model_id(), embedder.calibrations()).unwrap()
}

/// The demonstration's policy for these populations.
fn serving(populations: &[&str]) -> Policy {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/demonstration.toml");
    let change = format!("populations = [\"{KNOWN}\"] => populations = {populations:?}");
    common::changed(&std::fs::read_to_string(path).unwrap(), &change)
}

/// The pilot's policy for these populations.
fn shipped(populations: &[&str]) -> Policy {
    common::policy(&format!("populations = [\"{}\"] => populations = {populations:?}", common::POPULATION))
}

fn people(name: &str) -> Population {
    name.parse().unwrap()
}
