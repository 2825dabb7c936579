//! Endurance: lanes at an even pace, with enrolments, removals, sweeps, new keys, backups and changes of model beside them, for
//! as long as is asked for.
//!
//! What is acknowledged is written into a ledger. In the end the register is opened anew, checked, and compared with it: whoever
//! was enrolled is there with a template that is theirs, whoever left is gone, every record is as it was answered. Meanwhile
//! the process is looked at every so often: resident memory, handles, threads, latency, and the size of the files.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clearlane::{Extractor, Frame, MetricsSnapshot, Policy};
use clearlane_template::SubjectId;
use serde::{Serialize, Serializer};

use crate::SimulationError;

mod judge;
mod keeper;
mod ledger;
mod passages;
mod process;
mod sample;
mod site;

pub use process::Process;
pub use sample::{Drift, Sample};

use judge::judge;
use passages::Pictures;
use sample::drifts;
use site::Site;

/// What goes on, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct SoakPlan {
    /// For how long travellers come.
    pub duration: Duration,
    /// Lanes, each on a thread of its own; they share one register and one gallery.
    pub lanes: usize,
    /// Travellers who are enrolled when it begins.
    pub enrolled: u64,
    /// Values of a template.
    pub dimension: usize,
    /// Passages a second, all lanes together.
    pub rate: f64,
    /// The share of passages by non-enrolled subjects, in [0, 1]; as many come who were taken out.
    pub non_enrolled: f64,
    /// How often what is done beside the passages.
    pub every: Intervals,
    /// Decides everything that is random; what comes when is the threads' own.
    pub seed: u64,
}

/// How often something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// A traveller is enrolled.
    pub enrolment: Duration,
    /// A traveller leaves: revoked, consent withdrawn, or the enrolment ended, in turn.
    pub removal: Duration,
    /// Those who withdrew or whose enrolment ended are swept out.
    pub sweep: Duration,
    /// The register gets a new key.
    pub rekey: Duration,
    /// A backup is made, opened, checked and compared.
    pub backup: Duration,
    /// Everybody gets templates of another model, and the lanes go over to it.
    pub model: Duration,
    /// The process is looked at.
    pub sample: Duration,
}

/// Pictures that go from detection to template between the passages: the same picture gives the same template, however long
/// the lanes have run.
#[derive(Clone, Debug)]
pub struct Camera<'f> {
    /// What makes templates of them.
    pub extractor: Extractor,
    /// The pictures, taken in turn.
    pub pictures: Vec<Frame<'f>>,
    /// One picture after so many passages, at least 1.
    pub every: u64,
}

impl Camera<'_> {
    /// Takes as many pictures at once as there are lanes: what the models keep for each is there before drift is looked for, not
    /// when two lanes first happen to look at the same time.
    fn warm_up(&self, lanes: usize) {
        thread::scope(|scope| {
            for _ in 0..lanes {
                scope.spawn(|| {
                    for picture in &self.pictures {
                        // Whoever has no usable face has none later either: that is counted then.
                        let _ = self.extractor.extract(picture);
                    }
                });
            }
        });
    }
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SoakReport {
    /// From the first passage to the last.
    #[serde(serialize_with = "seconds")]
    pub elapsed: Duration,
    /// What was done and acknowledged.
    pub done: Done,
    /// What was asked for and not done, by what it was and why: nothing of it may be in the register.
    pub failed: BTreeMap<String, u64>,
    /// Passages that admitted a non-enrolled subject, or a traveller as somebody else. The policy's rate allows for a few.
    pub wrong_admissions: u64,
    /// The most that the policy's rate explains.
    pub allowed_wrong_admissions: u64,
    /// Crossing records in the end.
    pub records: u64,
    /// Subjects who are enrolled in the end.
    pub enrolled: u64,
    /// Whether the register, opened anew, was found sound with the chain of its records.
    pub sound: bool,
    /// What was acknowledged and is not so, the first hundred.
    pub faults: Vec<SoakFault>,
    /// How many there are.
    pub fault_count: u64,
    /// The process, every so often.
    pub samples: Vec<Sample>,
    /// The last tenth of the time beside the second tenth.
    pub drift: Vec<Drift>,
    /// What the lanes counted.
    pub metrics: MetricsSnapshot,
}

/// What was done and acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Passages that were decided on.
    pub passages: u64,
    /// Enrolled travellers who were admitted as themselves.
    pub admitted: u64,
    /// Enrolled travellers who were referred to an officer.
    pub enrolled_referred: u64,
    /// Travellers who had left, and were referred.
    pub left_referred: u64,
    /// Passages without a crossing record, all of them referred.
    pub not_recorded: u64,
    /// Pictures that a template was made of.
    pub pictures: u64,
    /// Enrolments, those of the beginning included.
    pub enrolments: u64,
    /// Revocations.
    pub revocations: u64,
    /// Consents that were withdrawn.
    pub withdrawals: u64,
    /// Enrolments that ended.
    pub expiries: u64,
    /// Sweeps.
    pub sweeps: u64,
    /// Whom they took out.
    pub swept: u64,
    /// New keys.
    pub rekeys: u64,
    /// Backups, each opened, checked and compared.
    pub backups: u64,
    /// Changes of model.
    pub model_changes: u64,
}

/// Something that was acknowledged and is not so, or that must never happen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SoakFault {
    /// A passage was admitted and has no crossing record.
    AdmittedUnrecorded {
        /// The lane.
        lane: String,
    },
    /// Somebody was admitted after it was acknowledged that they left.
    AdmittedAfterLeaving {
        /// Who.
        subject: SubjectId,
        /// The crossing record.
        record: Option<u64>,
    },
    /// An enrolment was acknowledged, and the subject is not there as enrolled.
    EnrolmentLost {
        /// Who.
        subject: SubjectId,
        /// In which file.
        of: Place,
        /// What is there instead.
        why: &'static str,
    },
    /// It was acknowledged that a subject left, and it is there as if enrolled.
    RemovalLost {
        /// Who.
        subject: SubjectId,
        /// In which file.
        of: Place,
    },
    /// The register holds more or fewer enrolled subjects than were acknowledged.
    Enrolled {
        /// How many should be enrolled.
        expected: u64,
        /// How many are.
        found: u64,
    },
    /// A crossing record was acknowledged and is not there.
    RecordLost {
        /// Its number.
        record: u64,
        /// In which file.
        of: Place,
    },
    /// A crossing record says something else than the lane answered.
    RecordDiffers {
        /// Its number.
        record: u64,
    },
    /// A crossing record that no lane answered, and that none takes back.
    RecordUnasked {
        /// Its number.
        record: u64,
    },
    /// A file is not sound.
    NotSound {
        /// Which.
        of: Place,
        /// The first problem.
        problem: String,
    },
    /// A file could not be opened or read.
    Unreadable {
        /// Which.
        of: Place,
        /// What was wrong.
        error: String,
    },
    /// A picture gave another template than at first, or none.
    PictureDiffers {
        /// Its place among the pictures.
        picture: usize,
    },
}

/// The register, or a backup of it by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The register, opened anew in the end.
    Register,
    /// A backup, counted from 1.
    Backup(u64),
}

impl SoakPlan {
    /// The defaults for `duration`: what is seldom done comes several times in a short one too.
    #[must_use]
    pub fn new(duration: Duration) -> Self {
        Self {
            duration,
            lanes: 4,
            enrolled: 2_000,
            dimension: 128,
            rate: 50.0,
            non_enrolled: 0.05,
            every: Intervals::within(duration),
            seed: 20_241_120,
        }
    }

    /// Runs it on a new register in `folder`, which holds the register, its ledger and its backups, until the time is over or
    /// `stop` says so. `progress` is told how much of the time is gone.
    pub fn run(
        &self,
        folder: &Path,
        policy: Policy,
        camera: Option<&Camera<'_>>,
        stop: &(dyn Fn() -> bool + Sync),
        progress: &(dyn Fn(Duration) + Sync),
    ) -> Result<SoakReport, SimulationError> {
        let share = (0.0..=0.5).contains(&self.non_enrolled);
        let paced = self.rate.is_finite() && self.rate > 0.0;
        if self.enrolled == 0 || self.lanes == 0 || self.dimension < 4 || !share || !paced || self.every.has_zero() {
            return Err(SimulationError::Soak(Box::new(self.clone())));
        }
        let site = Site::new(self, folder, policy)?;
        let first = Pictures::of(camera);
        let camera = camera.map(|camera| (camera, &first));
        if let Some((camera, _)) = camera {
            camera.warm_up(self.lanes);
        }
        let ended = AtomicBool::new(false);
        let begun = Instant::now();
        let until = begun + self.duration;
        let over = || ended.load(Ordering::Relaxed) || stop() || Instant::now() >= until;
        let mut samples = Vec::new();
        thread::scope(|scope| -> Result<(), SimulationError> {
            let (site, over) = (&site, &over);
            let no_thread = |source| {
                ended.store(true, Ordering::Relaxed);
                SimulationError::Thread { source }
            };
            let mut threads = Vec::new();
            for lane in 0..self.lanes {
                let staff = move || passages::staff(site, lane, camera, begun, over);
                threads.push(thread::Builder::new().spawn_scoped(scope, staff).map_err(no_thread)?);
            }
            for job in keeper::JOBS {
                let keep = move || keeper::keep(site, job, over);
                threads.push(thread::Builder::new().spawn_scoped(scope, keep).map_err(no_thread)?);
            }
            let mut due = begun;
            while !over() && !threads.iter().any(thread::ScopedJoinHandle::is_finished) {
                due += self.every.sample;
                site::sleep_until(due, over);
                samples.push(site.sample(begun.elapsed()));
                progress(begun.elapsed().min(self.duration));
            }
            // A thread that ended early failed: the others need not go on.
            ended.store(true, Ordering::Relaxed);
            threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| SimulationError::Panicked)?)
        })?;
        let elapsed = begun.elapsed();
        let drift = drifts(&samples, elapsed);
        let mut report = SoakReport {
            elapsed,
            done: Done::default(),
            failed: BTreeMap::new(),
            wrong_admissions: 0,
            allowed_wrong_admissions: 0,
            records: 0,
            enrolled: 0,
            sound: false,
            faults: Vec::new(),
            fault_count: 0,
            samples,
            drift,
            metrics: site.metrics.snapshot(),
        };
        judge(self, site.close(), &mut report)?;
        Ok(report)
    }
}

impl SoakReport {
    /// Whether nothing that was acknowledged was lost, the register is sound, and nobody was admitted who should not have
    /// been, but for as many as the policy's rate explains.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.sound && self.fault_count == 0 && self.wrong_admissions <= self.allowed_wrong_admissions
    }
}

impl Intervals {
    /// For a run of `duration`: what is done every minute or so where there is time, and a few times in a short one.
    #[must_use]
    pub fn within(duration: Duration) -> Self {
        let of = |longest: u64, times: u32| {
            Duration::from_secs(longest).min(duration / times).max(Duration::from_millis(10))
        };
        Self {
            enrolment: of(1, 40),
            removal: of(1, 40),
            sweep: of(20, 7),
            rekey: of(300, 4),
            backup: of(120, 5),
            model: of(420, 3),
            sample: of(10, 100),
        }
    }

    fn has_zero(&self) -> bool {
        let Self { enrolment, removal, sweep, rekey, backup, model, sample } = self;
        [enrolment, removal, sweep, rekey, backup, model, sample].into_iter().any(Duration::is_zero)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register => f.write_str("the register"),
            Self::Backup(number) => write!(f, "backup {number}"),
        }
    }
}

impl fmt::Display for SoakFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AdmittedUnrecorded { lane } => write!(f, "{lane} admitted somebody without a crossing record"),
            Self::AdmittedAfterLeaving { subject, record } => {
                let record = record.map_or_else(|| "none".to_owned(), |record| record.to_string());
                write!(f, "subject {subject} was admitted after leaving (crossing record {record})")
            }
            Self::EnrolmentLost { subject, of, why } => {
                write!(f, "{of}: subject {subject} was enrolled, and {why}")
            }
            Self::RemovalLost { subject, of } => write!(f, "{of}: subject {subject} left, and is enrolled"),
            Self::Enrolled { expected, found } => {
                write!(f, "{found} subjects are enrolled where {expected} were acknowledged")
            }
            Self::RecordLost { record, of } => write!(f, "{of}: crossing record {record} is missing"),
            Self::RecordDiffers { record } => {
                write!(f, "crossing record {record} says something else than its lane answered")
            }
            Self::RecordUnasked { record } => write!(f, "crossing record {record} is no lane's answer"),
            Self::NotSound { of, problem } => write!(f, "{of} is not sound: {problem}"),
            Self::Unreadable { of, error } => write!(f, "{of} could not be read: {error}"),
            Self::PictureDiffers { picture } => write!(f, "picture {picture} gave another template than at first"),
        }
    }
}

impl Serialize for SoakFault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The ledger of a soak in `folder`.
#[must_use]
pub fn ledger_in(folder: &Path) -> PathBuf {
    folder.join("ledger.txt")
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}
