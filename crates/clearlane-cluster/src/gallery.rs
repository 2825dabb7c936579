//! What is fixed about a gallery in a cluster, and the names of its streams and subjects.

use clearlane_template::{MAX_DIMENSION, ModelId};
use std::fmt;

use crate::ClusterError;
use crate::keys::{ClusterKey, Keys, Purpose};
use crate::partition::MAX_PARTITIONS;
use crate::seal::{Place, VERSION};
use crate::wire::{Reader, Writer};

/// The stream of states and heads.
pub(crate) const GALLERY_STREAM: &str = "CLEARLANE_GALLERY";
/// Everything in it.
pub(crate) const GALLERY_SUBJECTS: &str = "gallery.>";
/// What is fixed about it: its first message.
pub(crate) const CONFIG_SUBJECT: &str = "gallery.config";
/// The queue group that answers for a partition.
pub(crate) const QUEUE: &str = "nodes";
/// Where nodes are asked how they are.
pub(crate) const STATUS_SUBJECT: &str = "status.nodes";
/// The stream of crossing records.
pub(crate) const RECORDS_STREAM: &str = "CLEARLANE_RECORDS";
/// Everything in it.
pub(crate) const RECORDS_SUBJECTS: &str = "records.>";
/// The stream of blocks that wait for a worker.
pub(crate) const WORK_STREAM: &str = "CLEARLANE_WORK";
/// Everything in it.
pub(crate) const WORK_SUBJECTS: &str = "work.>";
/// The stream of jobs and their results.
pub(crate) const RESULTS_STREAM: &str = "CLEARLANE_RESULTS";
/// The jobs in it.
pub(crate) const JOB_SUBJECTS: &str = "jobs.*";
/// The results in it.
pub(crate) const RESULT_SUBJECTS: &str = "results.>";

/// Where a subject's latest state stands.
pub(crate) fn state_subject(partition: u32, subject: u64) -> String {
    format!("gallery.{partition}.{subject}")
}

/// Where the latest head of a partition stands.
pub(crate) fn head_subject(partition: u32) -> String {
    format!("gallery.{partition}.head")
}

/// Where a partition is asked.
pub(crate) fn ask_subject(partition: u32) -> String {
    format!("ask.{partition}")
}

/// What a message in the gallery's stream is, by its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    State { partition: u32, subject: u64 },
    Head { partition: u32 },
}

impl Slot {
    /// `None` for what no registrar publishes; the configuration, which is read by itself, among it.
    pub(crate) fn of(subject: &str) -> Option<Self> {
        let (partition, last) = subject.strip_prefix("gallery.")?.split_once('.')?;
        let partition = partition.parse().ok()?;
        let (slot, written) = match last {
            "head" => (Self::Head { partition }, head_subject(partition)),
            last => {
                let number = last.parse().ok()?;
                (Self::State { partition, subject: number }, state_subject(partition, number))
            }
        };
        // Written otherwise, such as with a 0 before it, it is another place, where nobody publishes.
        (written == subject).then_some(slot)
    }
}

/// The version of the encodings, the register and the epoch.
pub(crate) type Identity = [u8; 33];

/// What is fixed about a gallery from its first message on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GalleryConfig {
    pub(crate) register: [u8; 16],
    /// Drawn when the stream was made: a stream that was made anew is another gallery.
    pub(crate) epoch: [u8; 16],
    pub(crate) partitions: u32,
    pub(crate) model: ModelId,
    pub(crate) dimension: u32,
}

impl GalleryConfig {
    pub(crate) fn seal(&self, key: &ClusterKey) -> Result<Vec<u8>, ClusterError> {
        let mut writer = Writer::with_capacity(76);
        writer.bytes(&self.register).bytes(&self.epoch).u32(self.partitions);
        writer.bytes(self.model.as_bytes()).u32(self.dimension);
        Keys::new(key.clone(), &[])?.seal(Purpose::Config, Place::WHOLE, writer.as_slice())
    }

    pub(crate) fn open(key: &ClusterKey, message: &[u8]) -> Result<Self, ClusterError> {
        let content = Keys::new(key.clone(), &[])?.open(Purpose::Config, Place::WHOLE, message)?;
        let mut reader = Reader::new("the gallery's configuration", &content);
        let (register, epoch, partitions) = (reader.array()?, reader.array()?, reader.u32()?);
        let (model, dimension) = (ModelId::from_bytes(reader.array()?), reader.u32()?);
        if !(1..=MAX_PARTITIONS).contains(&partitions) {
            return Err(reader.value("partitions"));
        }
        if !(1..=MAX_DIMENSION as u32).contains(&dimension) {
            return Err(reader.value("dimension"));
        }
        reader.end()?;
        Ok(Self { register, epoch, partitions, model, dimension })
    }

    /// What tells this gallery from any other.
    pub(crate) fn identity(&self) -> Identity {
        let mut identity = [0; 33];
        identity[0] = VERSION;
        identity[1..17].copy_from_slice(&self.register);
        identity[17..].copy_from_slice(&self.epoch);
        identity
    }

    /// The keys of this gallery.
    pub(crate) fn keys(&self, key: &ClusterKey) -> Result<Keys, ClusterError> {
        Keys::new(key.clone(), &self.identity())
    }
}

/// Where a partition of the gallery stands, as its registrar's head says: what an answer is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Position {
    /// The partition.
    pub partition: u32,
    /// The head's sequence in the stream: what stands before it is in, and nothing after it. Brokers that lose messages use a sequence
    /// again; the head's number is used once.
    pub sequence: u64,
    /// The head's own number, which counts up.
    pub head: u64,
    /// When the registrar made the head, by its clock.
    pub time: jiff::Timestamp,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, sequence, head, time } = self;
        write!(f, "partition {partition} at {sequence} (head {head} of {time})")
    }
}
