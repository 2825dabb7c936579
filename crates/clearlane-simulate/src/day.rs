//! A simulated day at a port: synthetic templates instead of pictures, through the real search, rules, decision and records.
//!
//! Templates are random directions, so the exact false match rate of every threshold is known ([`calibration`]); what it
//! shows is the lane's own work, not a face model's accuracy.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clearlane::{
    Calibration, CalibrationError, Capture, Decision, Lane, LaneError, Metrics, MetricsSnapshot, Policy, Port,
    PortError, References, ReferencesError,
};
use clearlane_store::{Direction, Enrolment, Key, KeyError, Keyring, Register, StoreError};
use clearlane_template::{ModelId, SubjectId, Template, TemplateError, shown};
use jiff::SignedDuration;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, StandardNormal};
use serde::Serialize;

use crate::calibration::calibration;
use crate::soak::SoakPlan;
use crate::subjects::{eligible, enrol};
use crate::vectors::{at_score, normal, template};

/// What kind of day it is.
#[derive(Clone, Debug, PartialEq)]
pub struct DayPlan {
    /// Travellers who are enrolled.
    pub enrolled: u64,
    /// Passages of the day.
    pub passages: u64,
    /// The share of passages by non-enrolled subjects, in [0, 1].
    pub non_enrolled: f64,
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
    /// Of these, by non-enrolled subjects.
    pub non_enrolled: u64,
    /// Enrolled travellers who were admitted as themselves.
    pub admitted: u64,
    /// Enrolled travellers who were referred: the false negative identifications.
    pub mated_referred: u64,
    /// Passages that admitted a non-enrolled subject, or a traveller as somebody else: the false positive identifications.
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
    /// The plan has no travellers, no lanes, templates of fewer than 4 values, or a share outside of [0, 1].
    #[error(
        "expected a plan with 1 or more enrolled travellers, 1 or more lanes, 4 or more values a template and a share of \
         non-enrolled subjects in [0, 1], got {}, {}, {} and {}", .0.enrolled, .0.lanes, .0.dimension, .0.non_enrolled
    )]
    Plan(DayPlan),
    /// A soak that cannot be: no travellers, no lanes, templates of fewer than 4 values, a share of non-enrolled subjects outside
    /// of [0, 0.5], a rate that is not above 0, or something that is to be done every 0 seconds.
    #[error(
        "expected a soak with 1 or more enrolled travellers, 1 or more lanes, 4 or more values a template, a share of \
         non-enrolled subjects in [0, 0.5], a rate above 0 and intervals above 0, got {}, {}, {}, {}, {} and {:?}",
        .0.enrolled, .0.lanes, .0.dimension, .0.non_enrolled, .0.rate, .0.every
    )]
    Soak(Box<SoakPlan>),
    /// The ledger of what was acknowledged cannot be written or read.
    #[error("the ledger {path}: {source}", path = shown(path))]
    Ledger {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gave no thread.
    #[error("the system gives no thread: {source}")]
    Thread {
        /// What it said.
        source: std::io::Error,
    },
    /// A thread panicked; what it was about is on standard error.
    #[error("a thread of the simulation panicked: standard error says where")]
    Panicked,
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
    /// The drawn values make no template.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The system gave no key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Default for DayPlan {
    /// The pilot's published peak day: 46,000 passages, here with 5 % by non-enrolled subjects, on four lanes.
    fn default() -> Self {
        let mated = (0.75, 0.07);
        Self {
            enrolled: 20_000,
            passages: 46_000,
            non_enrolled: 0.05,
            lanes: 4,
            dimension: 128,
            mated,
            seed: 20_241_120,
        }
    }
}

/// What one lane saw.
#[derive(Clone, Copy, Default)]
struct Tally {
    passages: u64,
    non_enrolled: u64,
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
        let share = (0.0..=1.0).contains(&self.non_enrolled);
        if self.enrolled == 0 || self.lanes == 0 || self.dimension < 4 || !share {
            return Err(SimulationError::Plan(self.clone()));
        }
        let policy = Arc::new(policy.face_only());
        let register = Arc::new(Register::create(path, Keyring::new(Key::random()?))?);
        let details = eligible(policy.opening());
        let traveller = |number: u64| {
            let template = template(model(), self.dimension, self.seed_of(number))?;
            Ok(Enrolment::new(format!("traveller {number}")).with_details(details.clone()).with_template(template))
        };
        let subjects = enrol(&register, self.enrolled, traveller, |_| {})?;
        let references = Arc::new(References::load(register, model(), |_, _| {})?);
        references.check(|_, _| {})?;
        let calibration = calibration(model(), self.dimension, policy.populations())?;
        let threshold = calibration.threshold_for_fpir(policy.fpir(), references.len())?;
        let metrics = Arc::new(Metrics::default());
        let lanes = self.lanes(&policy, &references, &calibration, &metrics)?;
        let (begun, next) = (Instant::now(), AtomicU64::new(0));
        let staff = |lane: &Lane| self.staff(lane, &subjects, &next, &progress);
        let staff = &staff;
        let tallies = thread::scope(|scope| {
            let start = |lane| {
                thread::Builder::new().spawn_scoped(scope, move || staff(lane)).map_err(|source| {
                    // The lanes that are there already end.
                    next.store(self.passages, Ordering::Relaxed);
                    SimulationError::Thread { source }
                })
            };
            let threads = lanes.iter().map(start).collect::<Result<Vec<_>, _>>()?;
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
            non_enrolled: tally.non_enrolled,
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
            let lane = Port::builder(references.clone())
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
            let traveller = (!random.random_bool(self.non_enrolled)).then(|| random.random_range(0..self.enrolled));
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
        let reference = normal(&mut self.random(traveller), self.dimension);
        let (mean, deviation) = self.mated;
        let drawn: f32 = StandardNormal.sample(random);
        let score = (mean + deviation * drawn).clamp(-1.0, 1.0);
        at_score(&reference, &normal(random, self.dimension), score)
    }

    /// The generator of a stream: the enrolled travellers' templates first, then the passages.
    fn random(&self, stream: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed_of(stream))
    }

    fn seed_of(&self, stream: u64) -> u64 {
        self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(stream)
    }
}

impl Tally {
    fn count(&mut self, traveller: Option<SubjectId>, decision: &Decision) {
        self.passages += 1;
        self.non_enrolled += u64::from(traveller.is_none());
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
            non_enrolled: self.non_enrolled + other.non_enrolled,
            admitted: self.admitted + other.admitted,
            mated_referred: self.mated_referred + other.mated_referred,
            wrong: self.wrong + other.wrong,
        }
    }
}

fn model() -> ModelId {
    ModelId::digest([b"clearlane simulation: random directions".as_slice()])
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}
