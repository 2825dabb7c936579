//! A small port for tests: a register in a temporary folder, made-up travellers with made-up templates, and lanes.
#![allow(dead_code, clippy::unwrap_used)]

use std::sync::Arc;

use clearlane::{Calibration, CalibrationPoint, Capture, Direction, Evidence, Lane, Policy, PortBuilder, References};
use clearlane_embed::{Extractor, Models, Selection};
use clearlane_store::{
    Category, Consent, ConsentScope, Details, Document, DocumentKind, Enrolment, Key, Keyring, NumberDigest, Register,
};
use clearlane_template::{ModelId, SubjectId, Template};
use jiff::Timestamp;

/// Enough for random templates to be far from each other: their scores have a standard deviation of 0.09.
pub(crate) const DIMENSION: usize = 128;

/// The population that the shipped policy serves. The made-up travellers stand for it.
pub(crate) const POPULATION: &str = "east-asian-adults";

/// The change that lets the shipped policy serve the people that the built-in embedder was calibrated on.
pub(crate) const SERVES_FICTIONAL_PEOPLE: &str =
    "populations = [\"east-asian-adults\"] => populations = [\"fictional-people\"]";

/// An extractor of the built-in detector and embedder, which sees nothing of what covers a face, with the embedder's calibration.
pub(crate) fn builtin() -> (Extractor, Calibration) {
    let models = Models::builtin().unwrap();
    let embedder = models.embedder(models.default_embedder().unwrap()).unwrap();
    let calibration = Calibration::from_manifest(embedder.model_id(), embedder.calibrations()).unwrap();
    let detector = models.detector(models.default_detector().unwrap()).unwrap();
    (Extractor::new(detector, embedder).with_selection(Selection::Largest), calibration)
}

pub(crate) struct Port {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) key: Key,
    pub(crate) register: Arc<Register>,
    pub(crate) references: Arc<References>,
}

impl Port {
    /// A port with `travellers` enrolled: traveller `n` has the template of [`face`]`(n)` and may pass everywhere.
    pub(crate) fn with(travellers: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::random().unwrap();
        let register = Register::create(folder.path().join("port.register"), Keyring::new(key.clone())).unwrap();
        let register = Arc::new(register);
        let enrolments: Vec<_> = (0..travellers).map(|n| enrolment(n, eligible())).collect();
        for enrolled in register.enrol_all(&enrolments).unwrap() {
            enrolled.unwrap();
        }
        let references = Arc::new(References::load(register.clone(), model(), |_, _| {}).unwrap());
        references.check(|_, _| {}).unwrap();
        Self { folder, key, register, references }
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("port.register")
    }

    /// The register as another process has it open.
    pub(crate) fn another(&self) -> Register {
        Register::open(self.path(), Keyring::new(self.key.clone())).unwrap()
    }

    pub(crate) fn subject(&self, n: u64) -> SubjectId {
        self.register.subject(&format!("traveller {n}")).unwrap().unwrap().id
    }

    /// Changes what is known of a traveller.
    pub(crate) fn change(&self, n: u64, change: impl FnOnce(&mut Details)) {
        let mut subject = self.register.subject(&format!("traveller {n}")).unwrap().unwrap();
        change(&mut subject.details);
        self.register.update(subject.id, subject.details).unwrap();
    }

    pub(crate) fn lane(&self) -> Lane {
        self.lane_by(policy(""))
    }

    pub(crate) fn lane_by(&self, policy: Policy) -> Lane {
        lane(self.builder(policy), "lane 1")
    }

    pub(crate) fn builder(&self, policy: Policy) -> PortBuilder {
        self.builder_at("shenzhen-bay", policy)
    }

    pub(crate) fn builder_at(&self, place: &str, policy: Policy) -> PortBuilder {
        let builder = clearlane::Port::builder(self.references.clone());
        builder.policy(policy).port(place.parse().unwrap()).calibration(calibration()).clock(now)
    }
}

/// A lane out of the mainland.
pub(crate) fn lane(port: PortBuilder, name: &str) -> Lane {
    port.build().unwrap().lane(name, Direction::Exit).unwrap()
}

pub(crate) fn now() -> Timestamp {
    "2025-03-10T04:00:00Z".parse().unwrap()
}

pub(crate) fn model() -> ModelId {
    ModelId::digest([b"made up".as_slice()])
}

pub(crate) fn enrolment(n: u64, details: Details) -> Enrolment {
    Enrolment::new(format!("traveller {n}")).with_details(details).with_template(face(n))
}

/// A Hong Kong resident who may pass.
pub(crate) fn eligible() -> Details {
    Details {
        category: Some(Category::HongKongResident),
        birth: Some("1990-06-15".parse().unwrap()),
        documents: vec![Document {
            kind: DocumentKind::MainlandTravelPermitHkMacao,
            number_digest: NumberDigest([7; 32]),
            valid_from: None,
            expires: "2029-12-31".parse().unwrap(),
            endorsements: Vec::new(),
        }],
        consent: Some(Consent {
            given: "2024-11-25T00:00:00Z".parse().unwrap(),
            scope: ConsentScope { face: true, fingerprint: true },
            withdrawn: None,
        }),
        ..Details::default()
    }
}

/// Somebody's face: a random direction, the same for the same number.
pub(crate) fn face(n: u64) -> Template {
    Template::normalised(model(), direction(n)).unwrap()
}

/// The same face in another capture: its score with [`face`] is `score`, up to rounding.
pub(crate) fn capture_of(n: u64, score: f32) -> Capture {
    Capture::new(near(n, score, 1), Some(0.99))
}

/// A template that scores `score` with the face, in a direction of its own.
pub(crate) fn near(n: u64, score: f32, noise: u64) -> Template {
    let face = face(n);
    let away = direction(1_000_000_007 * noise + n);
    let along: f32 = face.as_slice().iter().zip(&away).map(|(a, b)| a * b).sum();
    let away: Vec<f32> = away.iter().zip(face.as_slice()).map(|(b, a)| b - along * a).collect();
    let length = away.iter().map(|value| value * value).sum::<f32>().sqrt();
    let across = (1.0 - score * score).sqrt() / length;
    let values = face.as_slice().iter().zip(&away).map(|(a, b)| score * a + across * b).collect();
    Template::normalised(model(), values).unwrap()
}

/// A fingerprint that fits.
pub(crate) fn finger(subject: SubjectId) -> Vec<Evidence> {
    vec![Evidence { matcher: "fingerprint".to_owned(), subject, score: 0.9 }]
}

/// The shipped policy with `changes` of the form `from => to`, one a line.
pub(crate) fn policy(changes: &str) -> Policy {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/shenzhen-bay-and-gongbei.toml");
    changed(&std::fs::read_to_string(path).unwrap(), changes)
}

/// A shipped policy's text with such changes.
pub(crate) fn changed(text: &str, changes: &str) -> Policy {
    let mut text = text.to_owned();
    for change in changes.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (from, to) = change.split_once(" => ").unwrap();
        let (from, to) = (from.replace("\\n", "\n"), to.replace("\\n", "\n"));
        assert!(text.contains(&from), "the shipped policy has no `{from}`");
        text = text.replacen(&from, &to, 1);
    }
    Policy::from_toml(&text).unwrap()
}

/// The exact calibration of random directions: the cosine of two in D dimensions has the density (1 − x²)^((D − 3)/2)
/// up to a factor. Integrated numerically.
pub(crate) fn calibration() -> Calibration {
    let step = 1e-4;
    let density = |x: f64| (1.0 - x * x).powf((DIMENSION as f64 - 3.0) / 2.0);
    let tail = |from: f64| {
        (0..10_000).map(|i| from + (f64::from(i) + 0.5) * step).take_while(|x| *x < 1.0).map(density).sum::<f64>()
    };
    let whole = 2.0 * tail(0.0);
    let points = (5..=90).map(|hundredths| {
        let threshold = f64::from(hundredths) / 100.0;
        CalibrationPoint { fmr: tail(threshold) / whole, threshold: threshold as f32 }
    });
    Calibration::new(model(), POPULATION.parse().unwrap(), points.collect(), "exact").unwrap()
}

/// Normally distributed values, by `SplitMix64` and Box and Muller's transform.
fn direction(seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    let mut uniform = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    };
    let normal = (0..DIMENSION).map(|_| {
        let radius = (-2.0 * (1.0 - uniform()).ln()).sqrt();
        (radius * (std::f64::consts::TAU * uniform()).cos()) as f32
    });
    normal.collect()
}
