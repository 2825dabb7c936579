//! What can go wrong in a cluster, as variants that a program can match.

use std::path::PathBuf;
use std::time::Duration;

use clearlane_match::GalleryError;
use clearlane_store::{KeyError, KeyId, StoreError};
use clearlane_template::{ModelId, SubjectId, shown};

/// Why something was not done, or a message was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The key source failed.
    #[error(transparent)]
    Key(KeyError),
    /// The key source has no current key.
    #[error("the key source has no cluster key")]
    NoKey,
    /// The system gave no random numbers.
    #[error("the system gave no random numbers: no message can be sealed without them")]
    NoEntropy,
    /// A message is cut off.
    #[error("{what} is cut off: it has {bytes} bytes")]
    Short {
        /// What it should be.
        what: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// A message is larger than one may be.
    #[error("a message of {bytes} bytes is larger than a broker takes: have fewer templates or details of the subject")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// A message of another version of this library.
    #[error("{what} has encoding version {found}, and this program reads {known}: bring all machines to one version")]
    OtherVersion {
        /// What it should be.
        what: &'static str,
        /// The version that was found.
        found: u8,
        /// The version of this library.
        known: u8,
    },
    /// A message was sealed with another cluster key.
    #[error("{what} is sealed with the cluster key {found}, and the key here is {own}: give all machines the same key")]
    OtherKey {
        /// What it should be.
        what: &'static str,
        /// The key that it names.
        found: KeyId,
        /// The key of this process.
        own: KeyId,
    },
    /// A message was altered, or belongs elsewhere, or comes from somebody who has not the key.
    #[error("{what} does not open: it was altered, moved from another place, or made by somebody without the key")]
    Forged {
        /// What it should be.
        what: &'static str,
    },
    /// A value that nobody writes.
    #[error("{what}: {field} has a value that this version does not write")]
    Value {
        /// The message.
        what: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = shown(path))]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that one works with at a time is locked.
    #[error("{path}: somebody works with it, in this process or another: end that first", path = shown(path))]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A lane's name is not one that a subject of the brokers can have.
    #[error("expected a name of 1 to 64 letters, digits, `-` and `_`, got `{name}`")]
    Name {
        /// What was given.
        name: String,
    },
    /// The text is not a user's public key.
    #[error("expected a user's public nkey, 56 letters and digits that begin with U, got `{key}`")]
    PublicKey {
        /// What was given.
        key: String,
    },
    /// The brokers cannot be reached, or refuse the connection.
    #[error("cannot connect to {servers}: {reason}")]
    Connect {
        /// The servers.
        servers: String,
        /// What went wrong.
        reason: String,
    },
    /// The brokers did not do what they were asked.
    #[error("the brokers did not {what}: {reason}")]
    Broker {
        /// What they were asked.
        what: &'static str,
        /// What went wrong.
        reason: String,
    },
    /// There is no gallery in the cluster yet.
    #[error("the brokers hold no gallery yet: start the registrar first")]
    NoGallery,
    /// The gallery in the cluster is not of this register.
    #[error("the brokers hold the gallery of another register: use other brokers, or delete the stream")]
    OtherRegister,
    /// The gallery in the cluster has templates of another model.
    #[error("the gallery is of model {found:.12}, expected {expected:.12}: give all machines the same model")]
    OtherModel {
        /// The gallery's model.
        found: ModelId,
        /// The model of this process.
        expected: ModelId,
    },
    /// A probe has another dimension than the gallery.
    #[error("expected a template of {expected} values, got {found}")]
    OtherDimension {
        /// The gallery's dimension.
        expected: usize,
        /// The template's.
        found: usize,
    },
    /// The gallery is divided otherwise.
    #[error("the gallery has {found} partitions, expected {expected}: their number is fixed when the stream is made")]
    OtherPartitions {
        /// The gallery's.
        found: u32,
        /// What was asked for.
        expected: u32,
    },
    /// There is no such partition.
    #[error("there is no partition {partition}: the gallery has {partitions}, numbered from 0")]
    NoPartition {
        /// What was asked for.
        partition: u32,
        /// How many there are.
        partitions: u32,
    },
    /// A stream is not set up as this library needs it.
    #[error("the stream {stream} has {setting} of {found}, expected {expected}: correct it, or delete the stream")]
    Stream {
        /// The stream.
        stream: &'static str,
        /// The setting.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it has to be.
        expected: String,
    },
    /// The brokers take smaller messages than a subject, or a batch's result, may need.
    #[error("the brokers take messages of {most} bytes at most, and one may need {needed}: raise max_payload")]
    SmallMessages {
        /// What they take.
        most: usize,
        /// What they have to.
        needed: usize,
    },
    /// The newest head of the gallery lies in the future: this clock is behind, or the one that made it was ahead.
    #[error(
        "the gallery's newest head is {ahead:?} ahead of this machine's clock: correct the clock. Where it is right, a registrar's \
         clock was ahead: make the stream anew"
    )]
    ClockBehind {
        /// How far.
        ahead: Duration,
    },
    /// The gallery's stream was made anew while it was followed.
    #[error("the brokers hold another gallery than before, since its stream was made anew: start this process again")]
    OtherGallery,
    /// Another registrar publishes into the same stream.
    #[error("another registrar publishes this gallery: one of the two has to stop")]
    AnotherRegistrar,
    /// The register failed.
    #[error(transparent)]
    Register(#[from] StoreError),
    /// A re-embedding failed beside the register.
    #[error(transparent)]
    Enrol(#[from] clearlane::EnrolError),
    /// The change is in the register, and the brokers have not acknowledged it yet.
    #[error(
        "the change of subject {subject} is in the register and was not acknowledged by the brokers within {waited:?}; it \
         is published as soon as they answer again"
    )]
    NotYetPublished {
        /// The subject.
        subject: SubjectId,
        /// How long was waited.
        waited: Duration,
    },
    /// There is no head of a partition: the registrar is filling a new stream, or has yet to start.
    #[error("the registrar has not published partition {partition} yet: wait until it has, and begin again")]
    NoHead {
        /// The partition.
        partition: u32,
    },
    /// The brokers list fewer subjects of a partition than its head counts.
    #[error(
        "the brokers list {listed} of the {expected} subjects of partition {partition}: the registrar publishes the others again;          see that it runs, and begin again"
    )]
    SubjectsLost {
        /// The partition.
        partition: u32,
        /// How many subjects are listed.
        listed: usize,
        /// How many the head counts.
        expected: u64,
    },
    /// The pictures of a re-embedding take more blocks than a job may have.
    #[error(
        "the pictures of {subjects} subjects take more than the {most} blocks of 1 MiB that a job can have: supply a part of them at a time"
    )]
    SupplyTooLarge {
        /// How many subjects there are.
        subjects: usize,
        /// How many blocks there may be.
        most: u32,
    },
    /// A job is not there any more.
    #[error("the job was removed while it went on: begin it again")]
    JobRemoved,
    /// A job would have more blocks, or larger ones, than there may be.
    #[error(
        "{subjects} subjects are more than the {most} that a job can have: search a part of them, in a gallery of their own"
    )]
    JobTooLarge {
        /// How many there are.
        subjects: usize,
        /// How many there may be.
        most: usize,
    },
    /// So many subjects came into one block of a job since it began that it cannot be done.
    #[error(
        "block {block} of the job has grown to {subjects} subjects since it began: discard the job, and begin it again"
    )]
    BlockOutgrown {
        /// The block.
        block: usize,
        /// How many subjects it has.
        subjects: usize,
    },
    /// More pairs are to be expected by chance than a report has.
    #[error(
        "of {subjects} subjects some {expected:.0} pairs are chance at a false match rate of {fmr}, and a report has {most} at most:          choose a lower rate"
    )]
    ChancePairs {
        /// How many subjects there are.
        subjects: usize,
        /// The false match rate that was asked for.
        fmr: f64,
        /// How many pairs it gives.
        expected: f64,
        /// How many a report has.
        most: usize,
    },
    /// More pairs were found than a report has.
    #[error(
        "more than {most} pairs score {threshold} at least: discard the search, and begin one with a higher threshold"
    )]
    TooManyPairs {
        /// The threshold.
        threshold: f32,
        /// How many a report has.
        most: usize,
    },
    /// What is asked has stopped.
    #[error("it has stopped: start it again")]
    Stopped,
    /// The system gave no threads.
    #[error("the system gives no threads: {source}")]
    Threads {
        /// What it says.
        source: std::io::Error,
    },
    /// A search was refused.
    #[error(transparent)]
    Gallery(#[from] GalleryError),
    /// A template that is none.
    #[error(transparent)]
    Template(#[from] clearlane_template::TemplateError),
    /// A setting that cannot be.
    #[error("{setting}: {reason}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// Why not.
        reason: &'static str,
    },
}

impl ClusterError {
    /// For the errors of a file.
    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File { path: path.to_owned(), source }
    }

    /// For the brokers' errors.
    pub(crate) fn broker<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Broker { what, reason: error.to_string() }
    }
}
