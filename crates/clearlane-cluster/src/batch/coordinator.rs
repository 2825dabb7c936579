//! The side that gives out blocks and takes results in. It may end at any time: whoever opens the same job goes on.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::Stream;
use data_encoding::HEXLOWER;
use futures_util::future::try_join_all;
use jiff::Timestamp;

use super::job::Job;
use super::standing::{streams, sweep};
use super::{BlockId, Kind, Outcome, RunId, batch_keys, job_subject, open_outcome, seal_outcome};
use crate::feed::{Event, Feed, Follow};
use crate::gallery::{Identity, RESULTS_STREAM};
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
    /// The result of a block was taken out: the block has to be put there again.
    Again(u32),
    /// Nothing came for a while: blocks may have to be put there again.
    Look,
    /// All blocks have a result.
    Done,
}

/// A job whose results are taken in.
pub(super) struct Batch {
    context: Context,
    keys: Keys,
    name: String,
    pub(super) job: Job,
    /// Whether somebody had begun it before.
    pub(super) resumed: bool,
    hold: Duration,
    work: Stream,
    results: Stream,
    feed: Feed,
    waiting: VecDeque<Event>,
    /// Blocks whose result is there and was not delivered.
    undelivered: Vec<u32>,
    taken: HashSet<u32>,
    /// The sequence of a result that is taken out, and its block: no other one can come while it is there.
    refused: Option<(u64, u32)>,
    /// The last sequence of the results when the job was opened: of these, a block that could not be done is done again.
    before: u64,
}

impl Batch {
    /// Goes on with the job of this name, or begins it, divided as `plan` says: how many blocks, and the plan.
    pub(super) async fn open(
        context: Context,
        key: &ClusterKey,
        keeping: Keeping,
        (kind, name, gallery): (Kind, String, Identity),
        plan: impl AsyncFnOnce() -> Result<(u32, Vec<u8>), ClusterError>,
    ) -> Result<Self, ClusterError> {
        let keys = batch_keys(key)?;
        let work = stream::work(&context, keeping.replicas).await?;
        let results = stream::results(&context, keeping.replicas).await?;
        consume(&work, kind, keeping.hold).await?;
        sweep(&keys, &work, &results, &gallery, &name).await?;
        let before = results.cached_info().state.last_sequence;
        let (job, resumed) = match find(&keys, &results, &name).await? {
            Some((job, _)) if !job.removed => (job, true),
            removed => {
                let (blocks, plan) = plan().await?;
                let mut run = RunId::default();
                getrandom::fill(&mut run).map_err(|_| ClusterError::NoEntropy)?;
                let job = Job { kind, removed: false, run, begun: Timestamp::now(), gallery, blocks, plan };
                if let Some((_, sequence)) = removed {
                    stream::remove(&results, sequence).await?;
                }
                put(&context, job_subject(&name), job.seal(&keys, &name)?.into()).await?;
                // Of two that begin at a time, both go on with the first one's.
                let there = find(&keys, &results, &name).await?.filter(|(job, _)| !job.removed);
                let (job, _) = there.ok_or(ClusterError::JobRemoved)?;
                let resumed = job.run != run;
                (job, resumed)
            }
        };
        let filter = format!("results.{}.*", HEXLOWER.encode(&job.run));
        // Workers may take long; a broker that is silent says so by its missing heartbeats.
        let follow = Follow { stream: RESULTS_STREAM, filter, from: 1, silence: Duration::from_hours(24) };
        let feed = Feed::start(context.clone(), follow);
        Ok(Self {
            context,
            keys,
            name,
            job,
            resumed,
            hold: keeping.hold,
            work,
            results,
            feed,
            waiting: VecDeque::new(),
            undelivered: Vec::new(),
            taken: HashSet::new(),
            refused: None,
            before,
        })
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
        let blocks = |subjects: Vec<String>| subjects.iter().filter_map(|subject| self.job.block_of(subject)).collect();
        // In this order: a block goes from the work after its result is there.
        let waiting = stream::subjects(&self.work, &format!("work.{}.{run}.*", self.job.kind.name())).await?;
        let done = stream::subjects(&self.results, &format!("results.{run}.*")).await?;
        Ok(There { waiting: blocks(waiting), done: blocks(done) })
    }

    /// After a silence: notes results that did not come, and has blocks delivered of which the brokers' consumer knows nothing. Brokers
    /// of 2.9 skip messages that are there when somebody purges others.
    async fn look(&mut self) -> Result<(), ClusterError> {
        let there = self.there().await?;
        self.undelivered = there.done.difference(&self.taken).copied().collect();
        if there.waiting.is_empty() {
            return Ok(());
        }
        let name = self.job.kind.name();
        match self.work.consumer_info(&name).await {
            Ok(info) if info.num_pending > 0 || info.num_ack_pending > 0 => return Ok(()),
            Ok(_) => {
                let deleted = self.work.delete_consumer(&name).await;
                deleted.map_err(ClusterError::broker("make the workers' consumer anew"))?;
            }
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => {}
            Err(error) => return Err(ClusterError::broker("say what is delivered")(error)),
        }
        tracing::warn!(blocks = there.waiting.len(), "blocks wait and are not delivered; they are given out again");
        consume(&self.work, self.job.kind, self.hold).await
    }

    /// Puts blocks there for the workers, each made when its turn comes.
    pub(super) async fn put(&self, blocks: impl IntoIterator<Item = (u32, Writer)>) -> Result<(), ClusterError> {
        let mut blocks = blocks.into_iter().peekable();
        while blocks.peek().is_some() {
            // Nobody is searched for, and nobody's pictures are given out, for a job that is over.
            self.still_stands().await?;
            let put = |(block, content): (u32, Writer)| {
                let id = self.id(block);
                let sealed = self.keys.seal(Purpose::Block, id.place(), content.as_slice());
                Ok(put(&self.context, id.work_subject(self.job.kind), sealed?.into()))
            };
            let putting = blocks.by_ref().take(IN_FLIGHT).map(put).collect::<Result<Vec<_>, ClusterError>>()?;
            try_join_all(putting).await?;
        }
        Ok(())
    }

    /// Puts another outcome in the place of a result that was taken in.
    pub(super) async fn replace(&self, block: u32, outcome: Result<&[u8], &str>) -> Result<(), ClusterError> {
        let failed = "replace a result";
        let id = self.id(block);
        let there = stream::latest(&self.results, &id.result_subject()).await;
        if let Some(message) = there.map_err(ClusterError::broker(failed))? {
            stream::remove(&self.results, message.sequence).await?;
        }
        let sealed = seal_outcome(&self.keys, id, outcome)?;
        let put = stream::put_first(&self.context, id.result_subject(), sealed.into()).await;
        put.map(drop).map_err(ClusterError::broker(failed))
    }

    /// The next result, which is waited for. Nothing is lost where the wait is given up.
    pub(super) async fn next(&mut self) -> Result<Next, ClusterError> {
        loop {
            if self.done() == self.job.blocks {
                self.still_stands().await?;
                return Ok(Next::Done);
            }
            if let Some((sequence, block)) = self.refused {
                self.still_stands().await?;
                if let Err(error) = stream::remove(&self.results, sequence).await {
                    tracing::warn!(%error, "a result that is refused is not removed yet");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                self.refused = None;
                return Ok(Next::Again(block));
            }
            match self.waiting.pop_front() {
                Some(Event::Message { sequence, subject, payload, .. }) => {
                    // What brokers show of another run is a result there, and none here.
                    let Some(block) = self.job.block_of(&subject).filter(|block| !self.taken.contains(block)) else {
                        continue;
                    };
                    match open_outcome(&self.keys, self.id(block), &payload) {
                        Ok(Err(reason)) if sequence <= self.before => {
                            tracing::info!(block, reason, "a block that could not be done is given out again");
                            self.refused = Some((sequence, block));
                        }
                        Ok(outcome) => {
                            self.taken.insert(block);
                            return Ok(Next::Result(block, outcome));
                        }
                        Err(error) => {
                            tracing::warn!(block, %error, "a result is refused, and its block done again");
                            self.refused = Some((sequence, block));
                        }
                    }
                }
                // The brokers were restored: what was taken in counts, and comes no second time.
                Some(Event::Rewound) => {}
                None => {
                    if let Some(block) = self.undelivered.pop() {
                        self.fetch(block).await;
                        continue;
                    }
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

    /// Fetches a result that was not delivered. Where that fails, it is noted again after the next silence.
    async fn fetch(&mut self, block: u32) {
        match stream::latest(&self.results, &self.id(block).result_subject()).await {
            Ok(Some(message)) => {
                let (sequence, subject, payload) = (message.sequence, message.subject.to_string(), message.payload);
                self.waiting.push_back(Event::Message { sequence, subject, payload, pending: 0 });
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(block, %error, "a result that is there is not given"),
        }
    }

    /// That nobody has removed the job. Where the brokers lost it, or somebody else's message stands in its place, it is put there again:
    /// without it the next coordinator would sweep the results.
    pub(super) async fn still_stands(&self) -> Result<(), ClusterError> {
        let restored = async {
            let found = stream::latest(&self.results, &job_subject(&self.name)).await;
            let found = found.map_err(ClusterError::broker("say whether the job stands"))?;
            if let Some(message) = found {
                match Job::open(&self.keys, &self.name, &message.payload) {
                    Ok(job) if job == self.job => return Ok(()),
                    Ok(_) => return Err(ClusterError::JobRemoved),
                    Err(_) => stream::remove(&self.results, message.sequence).await?,
                }
            }
            tracing::warn!("the brokers do not show the job; it is put there again");
            let sealed = self.job.seal(&self.keys, &self.name)?;
            let put = stream::put_first(&self.context, job_subject(&self.name), sealed.into()).await;
            put.map(drop).map_err(ClusterError::broker("take a job"))
        };
        match restored.await {
            // Whether brokers can be reached shows when they are asked for messages.
            Err(error @ ClusterError::Broker { .. }) => {
                tracing::debug!(%error, "whether the job stands is not known");
                Ok(())
            }
            known => known,
        }
    }

    /// Removes the job with all that belongs to it.
    pub(super) async fn remove(self) -> Result<(), ClusterError> {
        // On the heap: whoever waits for it has the job itself beside it.
        Box::pin(remove(&self.context, &self.keys, (&self.work, &self.results), (&self.name, &self.job))).await
    }

    /// Removes the job of this name, and begins none. Says whether there was one.
    pub(super) async fn discard(context: &Context, key: &ClusterKey, name: &str) -> Result<bool, ClusterError> {
        let keys = batch_keys(key)?;
        let Some((work, results)) = streams(context).await? else { return Ok(false) };
        let Some((job, _)) = find(&keys, &results, name).await?.filter(|(job, _)| !job.removed) else {
            return Ok(false);
        };
        remove(context, &keys, (&work, &results), (name, &job)).await?;
        Ok(true)
    }
}

/// Has a job's message say that it is removed, so that whoever goes on with it hears of it, and removes its blocks and results. Where this
/// ends in between, the rest is swept by the next coordinator.
async fn remove(
    context: &Context,
    keys: &Keys,
    (work, results): (&Stream, &Stream),
    (name, job): (&str, &Job),
) -> Result<(), ClusterError> {
    let removed = Job { removed: true, blocks: 0, plan: Vec::new(), ..job.clone() };
    loop {
        match find(keys, results, name).await? {
            Some((there, sequence)) if there == *job => stream::remove(results, sequence).await?,
            // It says so, or is of another run.
            Some(_) => break,
            None => {}
        }
        // A coordinator that finds nothing there may put the job back first: then once more.
        put(context, job_subject(name), removed.seal(keys, name)?.into()).await?;
    }
    let run = HEXLOWER.encode(&job.run);
    stream::clear(work, &stream::subjects(work, &format!("work.*.{run}.*")).await?).await?;
    stream::clear(results, &stream::subjects(results, &format!("results.{run}.*")).await?).await?;
    // A maker comes once in a model's life, and its queue goes with its last job. Another coordinator makes one that it misses.
    if matches!(job.kind, Kind::Reembedding(_)) && stream::subjects(work, &job.kind.filter()).await?.is_empty() {
        _ = work.delete_consumer(&job.kind.name()).await;
    }
    Ok(())
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
        durable_name: Some(kind.name()),
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
