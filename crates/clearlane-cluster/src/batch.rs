//! Batches: work over the whole gallery, in blocks that any number of workers do, each of which counts once.
//!
//! A job stands in the stream of results, under a name that follows from what was asked for: whoever asks the same goes on with it.
//! Its blocks wait in the stream of work, from which a block goes when it is acknowledged, which a worker does once the brokers have
//! its result. The first result of a block stays, and brokers refuse a second. A result that says that a block could not be done is
//! taken out, and its block put there again, by whoever opens the job the next time.
//!
//! ```text
//! jobs.NAME             what is asked for, in which run, and how it is divided
//! work.KIND.RUN.BLOCK   what is to be done
//! results.RUN.BLOCK     what came of it
//! ```
//!
//! All of it is sealed for where it stands. A run is drawn at random, so that nothing of an earlier run of the same job
//! is a part of it.

mod coordinator;
mod duplicates;
mod job;
mod patience;
mod reembedding;
mod standing;
mod worker;

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::ClusterError;
use crate::keys::{ClusterKey, Keys, Purpose};
use crate::seal::Place;
use crate::wire::{Reader, Writer};

pub use duplicates::{DuplicateOptions, DuplicateReport, DuplicateSearch, SubjectPair};
pub use reembedding::{Reembedding, ReembeddingCandidate, ReembeddingOptions, ReembeddingReport, UnreadablePicture};
pub use standing::{BatchKind, StandingBatch, StandingBatches, discard_batch, standing_batches};
pub use worker::{BatchWorker, BatchWorkerOptions, BatchWorkerProgress};

/// The most blocks of a job.
pub(crate) const MAX_BLOCKS: u32 = 1 << 16;

/// The largest message, which brokers have to take.
const MAX_MESSAGE: usize = 1 << 20;

/// The largest content of a message.
const MAX_CONTENT: usize = MAX_MESSAGE - (4 << 10);

/// The longest reason of a block that failed.
const MAX_REASON: usize = 1024;

/// A run of a job.
type RunId = [u8; 16];

/// What a job asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Duplicates,
    /// By makers whose digest begins so. Each has a queue of its own, so that no worker is given what another one has to do.
    Reembedding([u8; 16]),
}

impl Kind {
    fn reembedding(maker: &[u8; 32]) -> Self {
        let mut begins = [0; 16];
        begins.copy_from_slice(&maker[..16]);
        Self::Reembedding(begins)
    }

    /// Its name, in subjects and as its consumer.
    fn name(self) -> String {
        match self {
            Self::Duplicates => "duplicates".to_owned(),
            Self::Reembedding(maker) => format!("reembedding-{}", HEXLOWER.encode(&maker)),
        }
    }

    /// Its code, and what else there is to it.
    fn write(self, writer: &mut Writer) -> &mut Writer {
        match self {
            Self::Duplicates => writer.u8(0),
            Self::Reembedding(maker) => writer.u8(2).bytes(&maker),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ClusterError> {
        match reader.u8()? {
            0 => Ok(Self::Duplicates),
            2 => Ok(Self::Reembedding(reader.array()?)),
            _ => Err(reader.value("kind")),
        }
    }

    /// Where its blocks wait: a worker asks for those alone that it can do.
    fn filter(self) -> String {
        format!("work.{}.>", self.name())
    }
}

/// Where a job stands.
fn job_subject(name: &str) -> String {
    format!("jobs.{name}")
}

/// A block of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BlockId {
    run: RunId,
    block: u32,
}

impl BlockId {
    /// The block that a subject of either stream ends with.
    fn of(subject: &str) -> Option<Self> {
        let (run, block) = subject.split_once('.')?.1.rsplit_once('.')?;
        let run = run.rsplit_once('.').map_or(run, |(_, run)| run);
        let (run, number) = (HEXLOWER.decode(run.as_bytes()).ok()?.try_into().ok()?, block.parse::<u32>().ok()?);
        (number.to_string() == block).then_some(Self { run, block: number })
    }

    fn work_subject(self, kind: Kind) -> String {
        format!("work.{}.{}.{}", kind.name(), HEXLOWER.encode(&self.run), self.block)
    }

    fn result_subject(self) -> String {
        format!("results.{}.{}", HEXLOWER.encode(&self.run), self.block)
    }

    fn place(&self) -> Place<'_> {
        Place { partition: self.block, id: &self.run }
    }
}

/// Keys of batches: of no gallery, so that what is left of another gallery's can be read, and removed.
fn batch_keys(key: &ClusterKey) -> Result<Keys, ClusterError> {
    Keys::new(key.clone(), &[])
}

/// What came of a block: its content, or why it could not be done. Whoever opens the job again has it done again then.
type Outcome = Result<Zeroizing<Vec<u8>>, String>;

fn seal_outcome(keys: &Keys, id: BlockId, outcome: Result<&[u8], &str>) -> Result<Vec<u8>, ClusterError> {
    let mut writer = Writer::with_capacity(5 + outcome.map_or(MAX_REASON, <[u8]>::len));
    match outcome {
        Ok(content) => writer.u8(0).list(content),
        Err(reason) => writer.u8(1).list(&reason.as_bytes()[..reason.floor_char_boundary(MAX_REASON)]),
    };
    keys.seal(Purpose::Result, id.place(), writer.as_slice())
}

fn open_outcome(keys: &Keys, id: BlockId, message: &[u8]) -> Result<Outcome, ClusterError> {
    let content = keys.open(Purpose::Result, id.place(), message)?;
    let mut reader = Reader::new("a block's result", &content);
    let outcome = match reader.u8()? {
        0 => Ok(Zeroizing::new(reader.list(MAX_CONTENT)?.to_vec())),
        1 => Err(String::from_utf8_lossy(reader.list(MAX_REASON)?).into_owned()),
        _ => return Err(reader.value("kind")),
    };
    reader.end()?;
    Ok(outcome)
}
