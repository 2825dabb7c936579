//! What stands at the brokers: batches that go on or were given up, and what is left of others.

use std::collections::HashMap;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Stream;
use jiff::Timestamp;
use serde::Serialize;

use super::coordinator::Batch;
use super::job::{self, Job};
use super::{BlockId, Kind, RunId, batch_keys};
use crate::gallery::{Identity, JOB_SUBJECTS, RESULT_SUBJECTS, RESULTS_STREAM, WORK_STREAM, WORK_SUBJECTS};
use crate::keys::Keys;
use crate::{ClusterError, ClusterKey, ClusterOptions, stream};

/// What a batch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BatchKind {
    /// It searches for people who are enrolled under several ids: [`DuplicateSearch`](crate::DuplicateSearch).
    Duplicates,
    /// It makes templates of a new embedder: [`Reembedding`](crate::Reembedding).
    Reembedding,
}

/// A batch that stands at the brokers: somebody goes on with it, or nobody does any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StandingBatch {
    /// Its name, 32 hexadecimal digits.
    pub name: String,
    /// What it does.
    pub kind: BatchKind,
    /// When it was begun, by the clock of whoever did.
    pub begun: Timestamp,
    /// Whether it is of the gallery that the brokers hold now. Nobody can go on with another one.
    pub of_this_gallery: bool,
    /// How many blocks there are.
    pub blocks: u32,
    /// Blocks that wait for a worker, or are being done.
    pub waiting: u32,
    /// Blocks that have a result.
    pub done: u32,
}

/// What the brokers keep of batches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StandingBatches {
    /// The batches, the one that was begun first before the others.
    pub batches: Vec<StandingBatch>,
    /// Blocks and results of no batch that stands and can be read: a worker may publish a result after its batch was removed. They go when the
    /// next batch begins.
    pub left_over: usize,
    /// Batches of another cluster key, which go when the next batch begins.
    pub unreadable: usize,
}

/// The batches that stand at the brokers.
pub async fn standing_batches(key: &ClusterKey, cluster: &ClusterOptions) -> Result<StandingBatches, ClusterError> {
    let context = cluster.connect().await?;
    let gallery = stream::read_config(&context, key).await?.map(|config| config.identity());
    let Some((work, results)) = streams(&context).await? else { return Ok(StandingBatches::default()) };
    let there = Standing::read(&batch_keys(key)?, &work, &results).await?;
    let runs = there.runs(|_| true);
    let (waiting, done) = (runs.count(&there.waiting), runs.count(&there.done));
    let of = |counts: &HashMap<RunId, u32>, job: &Job| counts.get(&job.run).copied().unwrap_or(0);
    let standing = |(name, job): (&str, &Job)| StandingBatch {
        name: name.to_owned(),
        kind: match job.kind {
            Kind::Duplicates => BatchKind::Duplicates,
            Kind::Reembedding(_) => BatchKind::Reembedding,
        },
        begun: job.begun,
        of_this_gallery: gallery == Some(job.gallery),
        blocks: job.blocks,
        waiting: of(&waiting, job),
        done: of(&done, job),
    };
    let mut batches: Vec<_> = there.jobs().filter(|(_, job)| !job.removed).map(standing).collect();
    batches.sort_by_key(|batch| batch.begun);
    let left_over = runs.left_over(&there.waiting).len() + runs.left_over(&there.done).len();
    let unreadable = there.found.iter().filter(|found| found.job.is_none()).count();
    Ok(StandingBatches { batches, left_over, unreadable })
}

/// Removes the batch of this name with all that belongs to it. What a re-embedding has written into the register stays there; whoever goes
/// on with the batch hears that it was removed. Says whether there was one.
pub async fn discard_batch(key: &ClusterKey, cluster: &ClusterOptions, name: &str) -> Result<bool, ClusterError> {
    job::check_name(name)?;
    let context = cluster.connect().await?;
    // Says at once where the key is another than the cluster's.
    stream::read_config(&context, key).await?;
    Batch::discard(&context, key, name).await
}

/// The streams of work and of results; `None` where no batch was ever begun.
pub(super) async fn streams(context: &Context) -> Result<Option<(Stream, Stream)>, ClusterError> {
    let Some(results) = stream::existing(context, RESULTS_STREAM).await? else { return Ok(None) };
    let work = context.get_stream(WORK_STREAM).await;
    Ok(Some((work.map_err(ClusterError::broker("give the stream of work"))?, results)))
}

/// Removes all that is no block of a job of this gallery that goes on, warning of other jobs than the `own`. Jobs of another gallery or key
/// go as well, since nobody can do them.
pub(super) async fn sweep(
    keys: &Keys,
    work: &Stream,
    results: &Stream,
    gallery: &Identity,
    own: &str,
) -> Result<(), ClusterError> {
    let there = Standing::read(keys, work, results).await?;
    for Found { name, sequence, job } in &there.found {
        match job.as_ref().filter(|job| job.gallery == *gallery) {
            Some(job) if !job.removed && name != own => {
                let (kind, begun) = (job.kind.name(), job.begun);
                tracing::warn!(name, kind, %begun, "another batch of this gallery stands at the brokers");
            }
            Some(_) => {}
            None => stream::remove(results, *sequence).await?,
        }
    }
    let runs = there.runs(|job| job.gallery == *gallery);
    stream::clear(work, &runs.left_over(&there.waiting)).await?;
    stream::clear(results, &runs.left_over(&there.done)).await
}

/// Everything that the brokers have of batches.
struct Standing {
    found: Vec<Found>,
    /// The subjects of blocks that wait.
    waiting: Vec<String>,
    /// The subjects of results.
    done: Vec<String>,
}

/// A message in a job's place.
struct Found {
    name: String,
    sequence: u64,
    /// `None` where it does not open with this key.
    job: Option<Job>,
}

impl Standing {
    async fn read(keys: &Keys, work: &Stream, results: &Stream) -> Result<Self, ClusterError> {
        // In this order: a job is there before anything of it.
        let waiting = stream::subjects(work, WORK_SUBJECTS).await?;
        let done = stream::subjects(results, RESULT_SUBJECTS).await?;
        let mut found = Vec::new();
        for subject in stream::subjects(results, JOB_SUBJECTS).await? {
            let Some(name) = subject.strip_prefix("jobs.") else { continue };
            let message = stream::latest(results, &subject).await.map_err(ClusterError::broker("give a job"))?;
            let Some(message) = message else { continue };
            let job = Job::open(keys, name, &message.payload).ok();
            found.push(Found { name: name.to_owned(), sequence: message.sequence, job });
        }
        Ok(Self { found, waiting, done })
    }

    fn jobs(&self) -> impl Iterator<Item = (&str, &Job)> {
        self.found.iter().filter_map(|found| Some((&*found.name, found.job.as_ref()?)))
    }

    /// The jobs that count. One that was removed has no blocks.
    fn runs(&self, counts: impl Fn(&Job) -> bool) -> Runs<'_> {
        Runs(self.jobs().map(|(_, job)| job).filter(|job| counts(job)).map(|job| (job.run, job)).collect())
    }
}

/// Jobs by their runs: which of them a subject belongs to is looked up once, however many there are.
struct Runs<'a>(HashMap<RunId, &'a Job>);

impl Runs<'_> {
    /// The run that a subject names a block of.
    fn of(&self, subject: &str) -> Option<RunId> {
        let job = self.0.get(&BlockId::of(subject)?.run)?;
        job.block_of(subject).map(|_| job.run)
    }

    /// How many of the subjects belong to each run.
    fn count(&self, subjects: &[String]) -> HashMap<RunId, u32> {
        let mut counts = HashMap::new();
        for run in subjects.iter().filter_map(|subject| self.of(subject)) {
            *counts.entry(run).or_default() += 1;
        }
        counts
    }

    /// The subjects that belong to none.
    fn left_over(&self, subjects: &[String]) -> Vec<String> {
        subjects.iter().filter(|subject| self.of(subject).is_none()).cloned().collect()
    }
}
