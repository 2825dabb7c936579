//! The side that gives out blocks and takes results in. It may end at any time: whoever opens the same job goes on.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::Stream;
use data_encoding::HEXLOWER;
use futures_util::future::try_join_all;

use super::job::Job;
use super::{BlockId, Kind, Outcome, RunId, batch_keys, job_subject, open_outcome};
use crate::feed::{Event, Feed, Follow};
use crate::gallery::{Identity, JOB_SUBJECTS, RESULT_SUBJECTS, RESULTS_STREAM, WORK_SUBJECTS};
use crate::keys::{Keys, Purpose};
use crate::wire::Writer;
use crate::{ClusterError, ClusterKey, stream};

/// Results taken in at a time.
const AT_ONCE: usize = 64;
/// Blocks published at a time.
const IN_FLIGHT: usize = 256;
/// Blocks that may be worked on at a time: no more workers than that get one.
const MOST_WORKERS: i64 = 4096;
/// After so long without a result, it is looked whether every block still waits.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// How long brokers may take for a block: long enough for them to choose a leader.
const PATIENCE: Duration = Duration::from_secs(20);

/// The wait before brokers that did not do something are asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// How a job is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keeping {
    pub(super) replicas: usize,
    /// After so much silence of a worker its block goes to another one.
    pub(super) hold: Duration,
}

/// What a coordinator hears next.
pub(super) enum Next {
    /// What came of a block, once for each.
    Result(u32, Outcome),
    /// Nothing came for a while, or a result was refused: blocks may have to be put there again.
    Look,
    /// All blocks have a result.
    Done,
}

/// A job whose results are taken in.
pub(super) struct Batch {
    context: Context,
    keys: Keys,
    name: String,
    /// The sequence of the job's message.
    sequence: u64,
    pub(super) job: Job,
    /// Whether somebody had begun it before.
    pub(super) resumed: bool,
    hold: Duration,
    work: Stream,
    results: Stream,
    feed: Feed,
    waiting: VecDeque<Event>,
    taken: HashSet<u32>,
    /// The sequence of a result that is none: no other one can come while it is there.
    refused: Option<u64>,
}

impl Batch {
    /// Goes on with the job of this name, or begins it, divided as `plan` says: how many blocks, and the plan.
    pub(super) async fn open(
        context: Context,
        key: &ClusterKey,
        keeping: Keeping,
        (kind, name, gallery): (Kind, String, Identity),
        plan: impl FnOnce() -> Result<(u32, Vec<u8>), ClusterError>,
    ) -> Result<Self, ClusterError> {
        let keys = batch_keys(key)?;
        let work = stream::work(&context, keeping.replicas).await?;
        let results = stream::results(&context, keeping.replicas).await?;
        consume(&work, kind, keeping.hold).await?;
        sweep(&keys, &work, &results, &gallery).await?;
        let begun = find(&keys, &results, &name).await?;
        let resumed = begun.is_some();
        let (job, sequence) = if let Some(begun) = begun {
            begun
        } else {
            let (blocks, plan) = plan()?;
            let mut run = RunId::default();
            getrandom::fill(&mut run).map_err(|_| ClusterError::NoEntropy)?;
            let job = Job { kind, run, gallery, blocks, plan };
            put(&context, job_subject(&name), job.seal(&keys, &name)?.into()).await?;
            // Of two that begin at a time, both go on with the first one's.
            find(&keys, &results, &name).await?.ok_or(ClusterError::JobRemoved)?
        };
        let filter = format!("results.{}.*", HEXLOWER.encode(&job.run));
        // Workers may take long; a broker that is silent says so by its missing heartbeats.
        let follow = Follow { stream: RESULTS_STREAM, filter, from: 1, silence: Duration::from_hours(24) };
        let feed = Feed::start(context.clone(), follow);
        let (waiting, taken, refused) = (VecDeque::new(), HashSet::new(), None);
        let hold = keeping.hold;
        Ok(Self { context, keys, name, sequence, job, resumed, hold, work, results, feed, waiting, taken, refused })
    }

    /// How many blocks have a result that was taken in.
    pub(super) fn done(&self) -> u32 {
        self.taken.len() as u32
    }

    fn id(&self, block: u32) -> BlockId {
        BlockId { run: self.job.run, block }
    }

    /// The blocks that have no result and do not wait for a worker: they were never put there, or the brokers lost them.
    pub(super) async fn missing(&self) -> Result<Vec<u32>, ClusterError> {
        let there = self.there().await?;
        let is_missing = |block: &u32| !there.waiting.contains(block) && !there.done.contains(block);
        Ok((0..self.job.blocks).filter(|block| is_missing(block) && !self.taken.contains(block)).collect())
    }

    async fn there(&self) -> Result<There, ClusterError> {
        let run = HEXLOWER.encode(&self.job.run);
        let blocks = |subjects: Vec<String>| {
            subjects.into_iter().filter_map(|subject| BlockId::of(&subject)).map(|id| id.block).collect()
        };
        // In this order: a block goes from the work after its result is there.
        let waiting = stream::subjects(&self.work, &format!("work.{}.{run}.*", self.job.kind.name())).await?;
        let done = stream::subjects(&self.results, &format!("results.{run}.*")).await?;
        Ok(There { waiting: blocks(waiting), done: blocks(done) })
    }

    /// After a silence: fetches results that did not come, and has blocks delivered of which the brokers' consumer knows nothing. Brokers
    /// of 2.9 skip messages that are there when somebody purges others.
    async fn look(&mut self) -> Result<(), ClusterError> {
        let there = self.there().await?;
        for block in there.done.iter().filter(|block| !self.taken.contains(block)) {
            let found = stream::latest(&self.results, &self.id(*block).result_subject()).await;
            if let Some(message) = found.map_err(ClusterError::broker("give a result"))? {
                let (sequence, subject, payload) = (message.sequence, message.subject.to_string(), message.payload);
                self.waiting.push_back(Event::Message { sequence, subject, payload, pending: 0 });
            }
        }
        let name = self.job.kind.name();
        let consumer = self.work.consumer_info(name).await;
        if consumer.is_ok_and(|info| info.num_pending > 0 || info.num_ack_pending > 0) || there.waiting.is_empty() {
            return Ok(());
        }
        tracing::warn!(blocks = there.waiting.len(), "blocks wait and are not delivered; they are given out again");
        // Where there is none, the next line makes it.
        _ = self.work.delete_consumer(name).await;
        consume(&self.work, self.job.kind, self.hold).await
    }

    /// Puts blocks there for the workers.
    pub(super) async fn put(&self, blocks: Vec<(u32, Writer)>) -> Result<(), ClusterError> {
        for some in blocks.chunks(IN_FLIGHT) {
            let put = |(block, content): &(u32, Writer)| {
                let id = self.id(*block);
                let sealed = self.keys.seal(Purpose::Block, id.place(), content.as_slice());
                Ok(put(&self.context, id.work_subject(self.job.kind), sealed?.into()))
            };
            let putting = some.iter().map(put).collect::<Result<Vec<_>, ClusterError>>()?;
            try_join_all(putting).await?;
        }
        Ok(())
    }

    /// The next result, which is waited for. Nothing is lost where the wait is given up.
    pub(super) async fn next(&mut self) -> Result<Next, ClusterError> {
        loop {
            if self.done() == self.job.blocks {
                return Ok(Next::Done);
            }
            if let Some(sequence) = self.refused {
                if let Err(error) = stream::remove(&self.results, sequence).await {
                    tracing::warn!(%error, "a result that is refused is not removed yet");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                self.refused = None;
                return Ok(Next::Look);
            }
            match self.waiting.pop_front() {
                Some(Event::Message { sequence, subject, payload, .. }) => {
                    let Some(id) = BlockId::of(&subject).filter(|id| id.block < self.job.blocks) else { continue };
                    if self.taken.contains(&id.block) {
                        continue;
                    }
                    match open_outcome(&self.keys, id, &payload) {
                        Ok(outcome) => {
                            self.taken.insert(id.block);
                            return Ok(Next::Result(id.block, outcome));
                        }
                        Err(error) => {
                            tracing::warn!(block = id.block, %error, "a result is refused, and its block done again");
                            self.refused = Some(sequence);
                        }
                    }
                }
                // The brokers were restored: what was taken in counts, and comes no second time.
                Some(Event::Rewound) => {}
                None => {
                    let Ok(events) = tokio::time::timeout(LOOK_AGAIN, self.feed.next(AT_ONCE)).await else {
                        self.still_stands().await?;
                        if let Err(error) = self.look().await {
                            tracing::warn!(%error, "whether all blocks are given out is not known");
                        }
                        return Ok(Next::Look);
                    };
                    self.waiting = events.into();
                }
            }
        }
    }

    /// That nobody has removed the job.
    async fn still_stands(&self) -> Result<(), ClusterError> {
        match find(&self.keys, &self.results, &self.name).await {
            Ok(Some((job, _))) if job == self.job => Ok(()),
            Ok(_) => Err(ClusterError::JobRemoved),
            // Whether brokers can be reached shows when they are asked for messages.
            Err(error) => {
                tracing::debug!(%error, "whether the job stands is not known");
                Ok(())
            }
        }
    }

    /// Removes the job with all that belongs to it.
    pub(super) async fn remove(self) -> Result<(), ClusterError> {
        // First what names the run: the rest of it is swept by the next coordinator, should this one end here.
        if find(&self.keys, &self.results, &self.name).await?.is_some_and(|(job, _)| job == self.job) {
            stream::remove(&self.results, self.sequence).await?;
        }
        clear(&self.work, &self.results, self.job.run).await
    }
}

/// The blocks of a job that the brokers have.
struct There {
    /// Those that wait for a worker, or are being done.
    waiting: HashSet<u32>,
    /// Those with a result.
    done: HashSet<u32>,
}

/// Makes what the workers pull blocks of a kind from.
async fn consume(work: &Stream, kind: Kind, hold: Duration) -> Result<(), ClusterError> {
    let consumer = pull::Config {
        durable_name: Some(kind.name().to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: hold,
        filter_subject: kind.filter(),
        max_ack_pending: MOST_WORKERS,
        ..pull::Config::default()
    };
    work.create_consumer(consumer).await.map(drop).map_err(ClusterError::broker("make the workers' consumer"))
}

/// Publishes a message unless there is one, and waits for the brokers to have it.
async fn put(context: &Context, subject: String, payload: bytes::Bytes) -> Result<(), ClusterError> {
    let until = Instant::now() + PATIENCE;
    while let Err(error) = stream::put_first(context, subject.clone(), payload.clone()).await {
        if Instant::now() > until {
            return Err(ClusterError::broker("take a job or a block of it")(error));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// The job of this name, and its message's sequence.
async fn find(keys: &Keys, results: &Stream, name: &str) -> Result<Option<(Job, u64)>, ClusterError> {
    let found = stream::latest(results, &job_subject(name)).await;
    let found = found.map_err(ClusterError::broker("say whether the job was begun before"))?;
    found.map(|message| Ok((Job::open(keys, name, &message.payload)?, message.sequence))).transpose()
}

/// Removes what was left of jobs that are not any more: a worker may publish a result after its job was removed. Jobs of another gallery
/// or key go as well, since nobody can do them.
async fn sweep(keys: &Keys, work: &Stream, results: &Stream, gallery: &Identity) -> Result<(), ClusterError> {
    // In this order: a job is there before anything of it.
    let mut subjects = stream::subjects(work, WORK_SUBJECTS).await?;
    subjects.extend(stream::subjects(results, RESULT_SUBJECTS).await?);
    let mut left: HashSet<RunId> =
        subjects.iter().filter_map(|subject| BlockId::of(subject)).map(|id| id.run).collect();
    for subject in stream::subjects(results, JOB_SUBJECTS).await? {
        let Some(name) = subject.strip_prefix("jobs.") else { continue };
        let found = stream::latest(results, &subject).await.map_err(ClusterError::broker("give a job"))?;
        let Some(message) = found else { continue };
        let job = Job::open(keys, name, &message.payload).ok().filter(|job| job.gallery == *gallery);
        if let Some(job) = job {
            left.remove(&job.run);
        } else {
            stream::remove(results, message.sequence).await?;
        }
    }
    for run in left {
        clear(work, results, run).await?;
    }
    Ok(())
}

/// Removes all blocks and results of a run.
async fn clear(work: &Stream, results: &Stream, run: RunId) -> Result<(), ClusterError> {
    let run = HEXLOWER.encode(&run);
    stream::clear(work, &format!("work.*.{run}.*")).await?;
    stream::clear(results, &format!("results.{run}.*")).await
}
