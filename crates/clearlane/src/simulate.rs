//! A simulated day at a port: made-up templates instead of pictures, through the real search, rules, decision and records.
//!
//! Templates are random directions, so the exact false match rate of every threshold is known ([`calibration`]); what it
//! shows is the lane's own work, not a face model's accuracy.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clearlane_store::{
    Category, Consent, ConsentScope, Details, Direction, Document, DocumentKind, Enrolment, Key, Keyring, NumberDigest,
    Register, StoreError,
};
use clearlane_template::{ModelId, SubjectId, Template, TemplateError};
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, StandardNormal};
use serde::Serialize;

use crate::capture::Capture;
use crate::decision::Decision;
use crate::lane::{Lane, LaneError};
use crate::metrics::{Metrics, MetricsSnapshot};
use crate::policy::Policy;
use crate::port::PortError;
use crate::references::{References, ReferencesError};
use crate::threshold::{Calibration, CalibrationError, CalibrationPoint};

/// What kind of day it is.
#[derive(Clone, Debug, PartialEq)]
pub struct DayPlan {
    /// Travellers who are enrolled.
    pub enrolled: u64,
    /// Passages of the day.
    pub passages: u64,
    /// The share of passages by people who are not enrolled, in [0, 1].
    pub strangers: f64,
    /// Lanes, each on a thread of its own; they share one register and one gallery.
    pub lanes: usize,
    /// Values of a template.
    pub dimension: usize,
    /// Mean and standard deviation of mated comparison scores.
    pub mated: (f32, f32),
    /// Decides everything that is random.
    pub seed: u64,
}

/// How the day went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DayReport {
    /// Passages that the lanes decided on.
    pub passages: u64,
    /// Of these, by strangers.
    pub strangers: u64,
    /// Enrolled travellers who were admitted as themselves.
    pub admitted: u64,
    /// Enrolled travellers who were referred: the false negative identifications.
    pub mated_referred: u64,
    /// Strangers who were admitted as somebody, and travellers who were admitted as somebody else.
    pub wrong_admissions: u64,
    /// The threshold that the policy's rate gave for this gallery.
    pub threshold: f32,
    /// Crossing records at the end of the day.
    pub records: u64,
    /// Whether their chain, and the whole register, was found sound.
    pub sound: bool,
    /// From the first passage to the last.
    #[serde(serialize_with = "seconds")]
    pub elapsed: Duration,
    /// Passages a second, all lanes together.
    pub rate: f64,
    /// What the lanes counted.
    pub metrics: MetricsSnapshot,
}

/// Why the day could not be simulated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulationError {
    /// The plan has no travellers, no lanes, or a share outside of [0, 1].
    #[error("a day needs enrolled travellers, lanes, a dimension, and a share of strangers in [0, 1]")]
    Plan,
    /// The register failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The gallery failed.
    #[error(transparent)]
    References(#[from] ReferencesError),
    /// The policy's rates are beyond the calibration.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// The port could not be built.
    #[error(transparent)]
    Port(#[from] PortError),
    /// It has no such lane.
    #[error(transparent)]
    Lane(#[from] LaneError),
    /// A made-up template is none.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The system gave no key.
    #[error(transparent)]
    Key(#[from] clearlane_store::KeyError),
}

impl Default for DayPlan {
    /// The pilot's published peak day: 46,000 passages, here with 5 % strangers, on four lanes.
    fn default() -> Self {
        let mated = (0.75, 0.07);
        Self { enrolled: 20_000, passages: 46_000, strangers: 0.05, lanes: 4, dimension: 128, mated, seed: 20_241_120 }
    }
}

/// What one lane saw.
#[derive(Clone, Copy, Default)]
struct Tally {
    passages: u64,
    strangers: u64,
    admitted: u64,
    mated_referred: u64,
    wrong: u64,
}

impl DayPlan {
    /// Lives through the day in a new register at `path`. The face decides alone: no other matcher catches what the search
    /// lets through. `progress` is told, from the lanes' threads, how many passages are done.
    pub fn run(
        &self,
        path: &Path,
        policy: Policy,
        progress: impl Fn(u64) + Sync,
    ) -> Result<DayReport, SimulationError> {
        let share = (0.0..=1.0).contains(&self.strangers);
        if self.enrolled == 0 || self.lanes == 0 || self.dimension < 4 || !share {
            return Err(SimulationError::Plan);
        }
        let policy = Arc::new(policy.face_only());
        let register = Arc::new(Register::create(path, Keyring::new(Key::random()?))?);
        let subjects = self.enrol(&register, policy.opening())?;
        let references = Arc::new(References::load(register, model(), |_, _| {})?);
        references.check(|_, _| {})?;
        let calibration = calibration(self.dimension)?;
        let threshold = calibration.threshold_for_fpir(policy.comparison.fpir, references.len())?;
        let metrics = Arc::new(Metrics::default());
        let lanes = self.lanes(&policy, &references, &calibration, &metrics)?;
        let (begun, next) = (Instant::now(), AtomicU64::new(0));
        let staff = |lane: &Lane| self.staff(lane, &subjects, &next, &progress);
        let tallies = std::thread::scope(|scope| {
            let threads: Vec<_> = lanes.iter().map(|lane| scope.spawn(move || staff(lane))).collect();
            // A lane never panics; if it did, its passages would be missing from the report.
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or(Ok(Tally::default())))
                .collect::<Result<Vec<_>, _>>()
        })?;
        let elapsed = begun.elapsed();
        let tally = tallies.into_iter().fold(Tally::default(), Tally::plus);
        let report = references.check(|_, _| {})?;
        Ok(DayReport {
            passages: tally.passages,
            strangers: tally.strangers,
            admitted: tally.admitted,
            mated_referred: tally.mated_referred,
            wrong_admissions: tally.wrong,
            threshold,
            records: report.records,
            sound: report.is_sound(),
            elapsed,
            rate: tally.passages as f64 / elapsed.as_secs_f64(),
            metrics: metrics.snapshot(),
        })
    }

    fn enrol(&self, register: &Register, opening: Timestamp) -> Result<Vec<SubjectId>, SimulationError> {
        let mut subjects = Vec::new();
        for first in (0..self.enrolled).step_by(BATCH as usize) {
            let batch = (first..self.enrolled.min(first + BATCH)).map(|n| {
                let enrolment = Enrolment::new(format!("traveller {n}")).with_details(eligible(opening));
                Ok(enrolment.with_template(Template::normalised(model(), self.direction(n))?))
            });
            for enrolled in register.enrol_all(&batch.collect::<Result<Vec<_>, SimulationError>>()?)? {
                subjects.push(enrolled?.0);
            }
        }
        Ok(subjects)
    }

    fn lanes(
        &self,
        policy: &Arc<Policy>,
        references: &Arc<References>,
        calibration: &Calibration,
        metrics: &Arc<Metrics>,
    ) -> Result<Vec<Lane>, SimulationError> {
        let ports: Vec<_> = policy.ports().keys().cloned().collect();
        // One clock for all lanes, from midnight on at an even pace, so that the day is over by the next; records of lanes that
        // overtake each other lie no more than some seconds apart.
        let (opening, step) = (policy.opening(), (86_400_000 / self.passages.max(1)).min(2_000));
        let passages = Arc::new(AtomicU64::new(0));
        let lane = |number: usize| {
            let passages = Arc::clone(&passages);
            let clock = move || {
                let since = passages.fetch_add(1, Ordering::Relaxed) * step;
                opening.saturating_add(SignedDuration::from_millis(since as i64)).unwrap_or(opening)
            };
            let lane = crate::Port::builder(references.clone())
                .policy(policy.clone())
                .port(ports[number % ports.len()].clone())
                .calibration(calibration.clone())
                .metrics(metrics.clone())
                .clock(clock)
                .build()?
                .lane(format!("lane {}", number + 1), Direction::Exit)?;
            Ok(lane)
        };
        (0..self.lanes).map(lane).collect()
    }

    /// Lets travellers through one lane until the day is over.
    fn staff(
        &self,
        lane: &Lane,
        subjects: &[SubjectId],
        next: &AtomicU64,
        progress: &(impl Fn(u64) + Sync),
    ) -> Result<Tally, SimulationError> {
        let mut tally = Tally::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= self.passages {
                return Ok(tally);
            }
            let mut random = self.random(self.enrolled + number);
            let traveller = (!random.random_bool(self.strangers)).then(|| random.random_range(0..self.enrolled));
            let probe = match traveller {
                Some(traveller) => self.mated_probe(traveller, &mut random),
                None => normal(&mut random, self.dimension),
            };
            let capture = Capture::new(Template::normalised(model(), probe)?, Some(1.0));
            let decision = lane.pass_capture(&capture, &[], None).decision;
            tally.count(traveller.map(|traveller| subjects[traveller as usize]), &decision);
            progress(number + 1);
        }
    }

    /// Another capture of an enrolled face: at the drawn score from its reference, in a direction of its own.
    fn mated_probe(&self, traveller: u64, random: &mut StdRng) -> Vec<f32> {
        let reference = self.direction(traveller);
        let (mean, deviation) = self.mated;
        let drawn: f32 = StandardNormal.sample(random);
        let score = (mean + deviation * drawn).clamp(-1.0, 1.0);
        let away = normal(random, self.dimension);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let length = dot(&reference, &reference).sqrt();
        let along = dot(&away, &reference) / (length * length);
        let across: Vec<f32> = away.iter().zip(&reference).map(|(a, r)| a - along * r).collect();
        let width = dot(&across, &across).sqrt();
        let sine = (1.0 - score * score).max(0.0).sqrt();
        reference.iter().zip(&across).map(|(r, a)| score * r / length + sine * a / width).collect()
    }

    fn direction(&self, traveller: u64) -> Vec<f32> {
        normal(&mut self.random(traveller), self.dimension)
    }

    fn random(&self, stream: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(stream))
    }
}

impl Tally {
    fn count(&mut self, traveller: Option<SubjectId>, decision: &Decision) {
        self.passages += 1;
        self.strangers += u64::from(traveller.is_none());
        match (traveller, decision) {
            (Some(traveller), Decision::Admit { subject }) if *subject == traveller => self.admitted += 1,
            (_, Decision::Admit { .. }) => self.wrong += 1,
            (Some(_), Decision::Refer { .. }) => self.mated_referred += 1,
            (None, Decision::Refer { .. }) => {}
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            passages: self.passages + other.passages,
            strangers: self.strangers + other.strangers,
            admitted: self.admitted + other.admitted,
            mated_referred: self.mated_referred + other.mated_referred,
            wrong: self.wrong + other.wrong,
        }
    }
}

/// The exact calibration of random directions of `dimension` values, down to a false match rate of 1e-15 or so: the cosine
/// of two has the density (1 − x²)^((D − 3)/2) up to a factor, integrated by Simpson's rule.
pub fn calibration(dimension: usize) -> Result<Calibration, CalibrationError> {
    let density = |x: f64| (1.0 - x * x).max(0.0).powf((dimension as f64 - 3.0) / 2.0);
    let tail = |from: f64| {
        let step = (1.0 - from) / (2.0 * PANELS as f64);
        let weighted = |i: u32| {
            let weight = if i == 0 || i == 2 * PANELS {
                1.0
            } else if i % 2 == 1 {
                4.0
            } else {
                2.0
            };
            weight * density(from + f64::from(i) * step)
        };
        (0..=2 * PANELS).map(weighted).sum::<f64>() * step / 3.0
    };
    let whole = 2.0 * tail(0.0);
    let points = (0..200).map(|step| {
        let threshold = f64::from(step) / 200.0;
        CalibrationPoint { fmr: tail(threshold) / whole, threshold: threshold as f32 }
    });
    let points = points.take_while(|point| point.fmr > 1e-15).collect();
    Calibration::new(model(), points, format!("the exact distribution of random directions in {dimension} dimensions"))
}

/// Panels of Simpson's rule.
const PANELS: u32 = 2_000;

/// Subjects that are enrolled in one transaction.
const BATCH: u64 = 1_024;

fn model() -> ModelId {
    ModelId::digest([b"clearlane simulation: random directions".as_slice()])
}

fn normal(random: &mut StdRng, dimension: usize) -> Vec<f32> {
    (0..dimension).map(|_| StandardNormal.sample(random)).collect()
}

/// A Hong Kong resident who may pass on the day.
fn eligible(opening: Timestamp) -> Details {
    let day = opening.to_zoned(jiff::tz::TimeZone::UTC).date();
    Details {
        category: Some(Category::HongKongResident),
        birth: Some(day.saturating_sub(jiff::Span::new().years(40))),
        documents: vec![Document {
            kind: DocumentKind::MainlandTravelPermitHkMacao,
            number_digest: NumberDigest([0; 32]),
            valid_from: None,
            expires: day.saturating_add(jiff::Span::new().years(5)),
            endorsements: Vec::new(),
        }],
        consent: Some(Consent {
            given: opening.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(opening),
            scope: ConsentScope { face: true, fingerprint: true },
            withdrawn: None,
        }),
        ..Details::default()
    }
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}
