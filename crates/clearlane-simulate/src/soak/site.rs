//! What the threads of a soak share: the register, the lanes that are open, and who is where.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use clearlane::{Lane, Metrics, Policy, Port, References, Refresher};
use clearlane_store::{
    Details, Direction, Enrolment, Key, KeyError, KeyId, KeySource, Register, RegisterOptions, WitnessFile,
};
use clearlane_template::{ModelId, SubjectId, Template, TemplateError};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::judge::Standing;
use super::ledger::Ledger;
use super::sample::{Latencies, Sample};
use super::{Done, Process, SoakFault, SoakPlan};
use crate::SimulationError;
use crate::calibration::calibration;
use crate::subjects::{eligible, enrol};
use crate::vectors::{normal, template};

/// How often the port follows the register.
const REFRESH: Duration = Duration::from_millis(500);

/// The most faults that are kept; all are counted.
const MOST_FAULTS: usize = 100;

pub(super) struct Site<'p> {
    pub(super) plan: &'p SoakPlan,
    pub(super) folder: PathBuf,
    pub(super) policy: Arc<Policy>,
    pub(super) register: Arc<Register>,
    pub(super) keys: Keys,
    pub(super) details: Details,
    pub(super) metrics: Arc<Metrics>,
    pub(super) ledger: Ledger,
    pub(super) people: Mutex<People>,
    /// The models that who is enrolled now gets templates of, the newest last: one, or two while the lanes go over. Whoever
    /// enrols holds it for reading until the enrolment is acknowledged.
    generations: RwLock<Vec<u64>>,
    open_port: RwLock<Arc<OpenPort>>,
    pub(super) latencies: Latencies,
    tally: Mutex<Tally>,
    /// The highest number of a crossing record that was acknowledged.
    pub(super) newest: AtomicU64,
    /// The number of the next passage.
    pub(super) next: AtomicU64,
}

/// An open port with its lanes, all of one model.
pub(super) struct OpenPort {
    pub(super) generation: u64,
    pub(super) port: Port,
    pub(super) lanes: Vec<Lane>,
    _refresher: Refresher,
}

/// What is left when the lanes, the port and the register are closed.
pub(super) struct Closed {
    pub(super) folder: PathBuf,
    /// The register's file.
    pub(super) path: PathBuf,
    pub(super) keys: Keys,
    pub(super) policy: Arc<Policy>,
    pub(super) details: Details,
    pub(super) ledger: Ledger,
    pub(super) tally: Tally,
    pub(super) standing: Standing,
}

/// Who is enrolled, and who left.
#[derive(Default)]
pub(super) struct People {
    pub(super) enrolled: Vec<Person>,
    pub(super) left: Vec<Person>,
    /// Everybody's number, by which their templates are drawn.
    pub(super) numbers: HashMap<SubjectId, u64>,
    pub(super) next_number: u64,
}

#[derive(Clone, Copy)]
pub(super) struct Person {
    pub(super) number: u64,
    pub(super) subject: SubjectId,
}

#[derive(Default)]
pub(super) struct Tally {
    pub(super) done: Done,
    pub(super) wrong_admissions: u64,
    pub(super) failed: BTreeMap<String, u64>,
    pub(super) faults: Vec<SoakFault>,
    pub(super) fault_count: u64,
}

/// All keys that the register ever had, the current one first. Clones share them.
#[derive(Clone)]
pub(super) struct Keys(Arc<RwLock<Vec<Key>>>);

impl Keys {
    /// A new key, which is the current one from now on.
    pub(super) fn renew(&self) -> Result<Key, KeyError> {
        let key = Key::random()?;
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(0, key.clone());
        Ok(key)
    }
}

impl KeySource for Keys {
    fn key(&self, id: Option<KeyId>) -> Result<Option<Key>, KeyError> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Ok(keys.iter().find(|key| id.is_none_or(|id| key.id() == id)).cloned())
    }
}

impl<'p> Site<'p> {
    /// A new register with the travellers of the beginning, and the lanes open.
    pub(super) fn new(plan: &'p SoakPlan, folder: &Path, policy: Policy) -> Result<Self, SimulationError> {
        let policy = Arc::new(policy.face_only());
        let keys = Keys(Arc::new(RwLock::new(vec![Key::random()?])));
        let register = Arc::new(witnessed(folder).create(folder.join("soak.register"), keys.clone())?);
        let details = eligible(policy.opening());
        let ledger = Ledger::create(&super::ledger_in(folder))?;
        let metrics = Arc::default();
        let traveller = |number: u64| {
            let template = plan.template(0, number)?;
            Ok(Enrolment::new(key_of(number)).with_details(details.clone()).with_template(template))
        };
        let subjects = enrol(&register, plan.enrolled, traveller, |_| {})?;
        let mut people = People { next_number: plan.enrolled, ..People::default() };
        for (number, subject) in (0..).zip(subjects) {
            people.numbers.insert(subject, number);
            people.enrolled.push(Person { number, subject });
            ledger.enrolled(number, subject)?;
        }
        let open_port = OpenPort::open(plan, &register, &policy, &metrics, 0)?;
        let tally = Tally { done: Done { enrolments: plan.enrolled, ..Done::default() }, ..Tally::default() };
        Ok(Self {
            plan,
            folder: folder.to_owned(),
            policy,
            register,
            keys,
            details,
            metrics,
            ledger,
            people: Mutex::new(people),
            generations: RwLock::new(vec![0]),
            open_port: RwLock::new(Arc::new(open_port)),
            latencies: Latencies::default(),
            tally: Mutex::new(tally),
            newest: AtomicU64::new(0),
            next: AtomicU64::new(0),
        })
    }

    /// The lanes that are open at this moment.
    pub(super) fn open_port(&self) -> Arc<OpenPort> {
        Arc::clone(&self.open_port.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets travellers go to the lanes of another port from now on. Returns the port before.
    pub(super) fn go_over_to(&self, open_port: OpenPort) -> Arc<OpenPort> {
        let mut open = self.open_port.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *open, Arc::new(open_port))
    }

    pub(super) fn open(&self, generation: u64) -> Result<OpenPort, SimulationError> {
        OpenPort::open(self.plan, &self.register, &self.policy, &self.metrics, generation)
    }

    pub(super) fn generations(&self) -> RwLockReadGuard<'_, Vec<u64>> {
        self.generations.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_generations(&self, generations: Vec<u64>) {
        *self.generations.write().unwrap_or_else(PoisonError::into_inner) = generations;
    }

    pub(super) fn people(&self) -> MutexGuard<'_, People> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fault(&self, fault: SoakFault) {
        self.tally().fault(fault);
    }

    /// What was asked for, was not done, and is not acknowledged.
    pub(super) fn failed(&self, what: &str, error: &dyn std::fmt::Display) {
        *self.tally().failed.entry(format!("{what}: {error}")).or_default() += 1;
    }

    pub(super) fn acknowledged(&self, record: u64) {
        self.newest.fetch_max(record, Ordering::AcqRel);
    }

    /// Closes everything.
    pub(super) fn close(self) -> Closed {
        let standing = Standing::of(&self);
        let Self { folder, policy, register, keys, details, ledger, open_port, tally, .. } = self;
        drop(open_port);
        Closed {
            folder,
            path: register.path().to_owned(),
            keys,
            policy,
            details,
            ledger,
            tally: tally.into_inner().unwrap_or_else(PoisonError::into_inner),
            standing,
        }
    }

    /// The process and the files as they are now, with the latencies since the last sample.
    pub(super) fn sample(&self, at: Duration) -> Sample {
        let bytes = |path: &Path| std::fs::metadata(path).ok().map(|file| file.len());
        let mut log = self.register.path().as_os_str().to_owned();
        log.push("-wal");
        let mut sample = self.latencies.take(at);
        sample.process = Process::now();
        sample.templates = self.open_port().port.references().len() as u64;
        sample.register_bytes = bytes(self.register.path());
        sample.log_bytes = bytes(Path::new(&log));
        sample
    }
}

impl OpenPort {
    fn open(
        plan: &SoakPlan,
        register: &Arc<Register>,
        policy: &Arc<Policy>,
        metrics: &Arc<Metrics>,
        generation: u64,
    ) -> Result<Self, SimulationError> {
        let model = model(generation);
        let references = Arc::new(References::load(Arc::clone(register), model, |_, _| {})?);
        references.check(|_, _| {})?;
        let calibration = calibration(model, plan.dimension, policy.populations())?;
        let mut builder =
            Port::builder(references).policy(Arc::clone(policy)).calibration(calibration).metrics(Arc::clone(metrics));
        if let Some(id) = policy.ports().keys().next() {
            builder = builder.port(id.clone());
        }
        let port = builder.build()?;
        let lanes = (1..=plan.lanes).map(|number| port.lane(format!("lane {number}"), Direction::Exit));
        let lanes = lanes.collect::<Result<_, _>>()?;
        let refresher = port.refresh_every(REFRESH).map_err(|source| SimulationError::Thread { source })?;
        Ok(Self { generation, port, lanes, _refresher: refresher })
    }
}

impl Tally {
    pub(super) fn fault(&mut self, fault: SoakFault) {
        self.fault_count += 1;
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(fault);
        }
    }
}

impl SoakPlan {
    /// The template of a traveller in a generation of models.
    pub(super) fn template(&self, generation: u64, number: u64) -> Result<Template, TemplateError> {
        template(model(generation), self.dimension, self.seed_of(generation, number))
    }

    /// The values that [`Self::template`] is made of.
    pub(super) fn reference(&self, generation: u64, number: u64) -> Vec<f32> {
        normal(&mut StdRng::seed_from_u64(self.seed_of(generation, number)), self.dimension)
    }

    fn seed_of(&self, generation: u64, number: u64) -> u64 {
        let stream = self.seed.wrapping_add(generation.wrapping_mul(0xd1b5_4a32_d192_ed03));
        stream.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number)
    }
}

/// A model of its own for each generation.
pub(super) fn model(generation: u64) -> ModelId {
    ModelId::digest([b"clearlane soak: random directions".as_slice(), &generation.to_le_bytes()])
}

/// Under which key a traveller is enrolled.
pub(super) fn key_of(number: u64) -> String {
    format!("traveller {number}")
}

/// As a port has it: with a witness.
pub(super) fn witnessed(folder: &Path) -> RegisterOptions {
    RegisterOptions::new().witness(WitnessFile::new(folder.join("soak.roots")))
}

/// Sleeps until `due`, or until it is over.
pub(super) fn sleep_until(due: Instant, over: &dyn Fn() -> bool) {
    const NAP: Duration = Duration::from_millis(50);
    while !over() {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(NAP));
    }
}
