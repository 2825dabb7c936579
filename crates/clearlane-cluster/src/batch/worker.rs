//! The side that does blocks: it pulls one, does it while it says that it is at it, publishes the result and acknowledges. Killed in
//! between, it leaves the block to another worker.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{AckKind, Context, Message};
use clearlane::{DecodeLimits, TemplateMaker};
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::duplicates::DuplicateWork;
use super::patience::Undone;
use super::reembedding::ReembeddingWork;
use super::{BlockId, Kind, MAX_CONTENT, MAX_MESSAGE, batch_keys, seal_outcome};
use crate::follow::{self, Stop};
use crate::gallery::{RESULTS_STREAM, WORK_STREAM};
use crate::keys::{Keys, Purpose};
use crate::wire::Writer;
use crate::{ClusterError, ClusterKey, ClusterOptions, stream};

/// A block that was given out so often fails, since it may be what ends whoever has it. Blocks that are handed back count as well: they
/// rest in between, so that it takes hours without one whole answer.
const MOST_DELIVERIES: i64 = 64;
/// How often it is said that a block is being done: some times within the shortest hold, which may be changed meanwhile.
const SAY: Duration = Duration::from_millis(300);
/// How long a block that was handed back rests for each time that it was given out, up to ten; so long its worker asks for no other.
const REST: Duration = Duration::from_secs(30);
/// How long a question for a block waits at the brokers.
const PULL: Duration = Duration::from_secs(2);
/// The wait before brokers are asked again that did not answer, or have no work yet.
const PAUSE: Duration = Duration::from_secs(1);

/// How often it is looked whether a re-embedding goes on that is for other workers.
const TELL: Duration = Duration::from_secs(10);

/// How a worker works.
#[derive(Clone, Debug)]
#[must_use]
pub struct BatchWorkerOptions {
    searches: usize,
    budget: Duration,
    reembedding: Option<ReembeddingWork>,
}

impl Default for BatchWorkerOptions {
    fn default() -> Self {
        Self { searches: 4, budget: Duration::from_secs(10), reembedding: None }
    }
}

impl BatchWorkerOptions {
    /// How many searches it asks the cluster for at a time (default: 4). Lanes wait for them as well.
    pub fn searches(mut self, searches: usize) -> Self {
        self.searches = searches;
        self
    }

    /// How long a search may take before it is asked for again (default: 10 s).
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// Has it do blocks of those re-embeddings as well whose maker has the same digest as this one, on all processors. A picture that would
    /// take more than `limits` cannot be read.
    pub fn reembedding(mut self, maker: Arc<TemplateMaker>, limits: DecodeLimits) -> Self {
        self.reembedding = Some(ReembeddingWork::new(maker, limits));
        self
    }
}

/// What a worker has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BatchWorkerProgress {
    /// Blocks whose result the brokers have.
    pub blocks: u64,
    /// Of these, those whose result says why they could not be done.
    pub failed: u64,
}

/// A running worker. It does blocks of whatever job there is, and waits for jobs that come; dropped, it ends at once, and its block
/// goes to another worker after a while.
pub struct BatchWorker {
    stop: Stop,
    tasks: Vec<JoinHandle<Result<(), ClusterError>>>,
    progress: watch::Receiver<BatchWorkerProgress>,
}

impl BatchWorker {
    /// Connects, and begins to ask for blocks.
    pub async fn start(
        key: ClusterKey,
        cluster: &ClusterOptions,
        options: BatchWorkerOptions,
    ) -> Result<Self, ClusterError> {
        let refused = |setting, reason| Err(ClusterError::Setting { setting, reason });
        if options.searches == 0 {
            return refused("searches", "expected one at least");
        }
        if options.budget.is_zero() {
            return refused("budget", "expected some time");
        }
        let context = cluster.connect().await?;
        stream::takes(&context, MAX_MESSAGE)?;
        // Says at once where the key is another than the cluster's.
        stream::read_config(&context, &key).await?;
        let keys = Arc::new(batch_keys(&key)?);
        let (stop, stopped) = Stop::new();
        let (told, progress) = watch::channel(BatchWorkerProgress::default());
        let duplicates = DuplicateWork::new(context.clone(), key, options.searches, options.budget);
        let pulling = |kind, work| Pulling {
            context: context.clone(),
            keys: Arc::clone(&keys),
            kind,
            work,
            told: told.clone(),
            stopped: stopped.clone(),
        };
        let mut tasks = vec![tokio::spawn(pulling(Kind::Duplicates, Work::Duplicates(Box::new(duplicates))).run())];
        if let Some(work) = options.reembedding {
            let reembedding = pulling(work.kind(), Work::Reembedding(work.clone()));
            tasks.extend([tokio::spawn(reembedding.run()), tokio::spawn(tell_others(work, context, keys, stopped))]);
        }
        Ok(Self { stop, tasks, progress })
    }

    /// What it has done until now.
    #[must_use]
    pub fn progress(&self) -> BatchWorkerProgress {
        *self.progress.borrow()
    }

    /// Waits until the worker cannot go on, and says why.
    pub async fn failed(&mut self) -> ClusterError {
        follow::failed(&mut self.tasks).await
    }

    /// Ends the worker. A block that it has begun goes to another one at once.
    pub async fn close(mut self) -> Result<(), ClusterError> {
        self.stop.now();
        for task in std::mem::take(&mut self.tasks) {
            task.await.unwrap_or(Err(ClusterError::Stopped))?;
        }
        Ok(())
    }
}

impl Drop for BatchWorker {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// What becomes of a block that a worker was given.
enum Ended {
    /// The brokers have its result.
    Done,
    /// It is for another worker, at once.
    Stopped,
    /// It is for another worker, or for later.
    HandedBack,
}

/// Says of re-embeddings that this worker can do nothing for them.
async fn tell_others(
    work: ReembeddingWork,
    context: Context,
    keys: Arc<Keys>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), ClusterError> {
    let results = context.get_stream_no_info(RESULTS_STREAM).await;
    let results = results.map_err(ClusterError::broker("give the stream of results"))?;
    let mut told = HashSet::new();
    while !*stopped.borrow() {
        tokio::select! {
            () = async {
                work.tell_others(&keys, &results, &mut told).await;
                tokio::time::sleep(TELL).await;
            } => {}
            _ = stopped.changed() => {}
        }
    }
    Ok(())
}

/// What does blocks of a kind.
enum Work {
    Duplicates(Box<DuplicateWork>),
    Reembedding(ReembeddingWork),
}

/// Pulls blocks of a kind.
struct Pulling {
    context: Context,
    keys: Arc<Keys>,
    kind: Kind,
    work: Work,
    told: watch::Sender<BatchWorkerProgress>,
    stopped: watch::Receiver<bool>,
}

impl Pulling {
    async fn run(mut self) -> Result<(), ClusterError> {
        let results = self.context.get_stream_no_info(RESULTS_STREAM).await;
        let results = results.map_err(ClusterError::broker("give the stream of results"))?;
        while !*self.stopped.borrow() {
            if let Err(error) = self.session(&results).await {
                // Before the first job there is nothing to pull from.
                tracing::debug!(%error, "asking for work again");
                self.rest(PAUSE).await;
            }
        }
        Ok(())
    }

    /// Waits, unless it is stopped.
    async fn rest(&mut self, wait: Duration) {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = self.stopped.changed() => {}
        }
    }

    /// Pulls until it is stopped, or something fails.
    async fn session(&mut self, results: &Stream<()>) -> Result<(), ClusterError> {
        let failed = "give work";
        let work = self.context.get_stream_no_info(WORK_STREAM).await.map_err(ClusterError::broker(failed))?;
        let consumer = work.get_consumer(&self.kind.name()).await;
        let consumer: PullConsumer = consumer.map_err(ClusterError::broker(failed))?;
        while !*self.stopped.borrow() {
            let pulled = async {
                let batch = consumer.batch().max_messages(1).expires(PULL).messages().await;
                let next = batch.map_err(ClusterError::broker(failed))?.next().await;
                next.transpose().map_err(ClusterError::broker(failed))
            };
            let message = tokio::select! {
                message = pulled => message?,
                _ = self.stopped.changed() => return Ok(()),
            };
            let Some(message) = message else { continue };
            // Where the brokers do not number it, it counts as the first.
            let deliveries = message.info().map_or(1, |info| info.delivered);
            match self.block(&message, deliveries, results).await {
                Ended::Done => acknowledge(&message, AckKind::Ack).await,
                Ended::Stopped => acknowledge(&message, AckKind::Nak(None)).await,
                Ended::HandedBack => {
                    let rest = REST * u32::try_from(deliveries.clamp(1, 10)).unwrap_or(1);
                    acknowledge(&message, AckKind::Nak(Some(rest))).await;
                    self.rest(rest).await;
                }
            }
        }
        Ok(())
    }

    /// Does one block, and says all the while that it is being done.
    async fn block(&self, message: &Message, deliveries: i64, results: &Stream<()>) -> Ended {
        let Some(id) = BlockId::of(&message.subject) else {
            tracing::warn!(subject = %message.subject, "what waits there is no block; it is taken out");
            return Ended::Done;
        };
        let mut stopped = self.stopped.clone();
        let mut every = tokio::time::interval(SAY);
        let done = self.result(id, deliveries, &message.payload, results);
        tokio::pin!(done);
        loop {
            tokio::select! {
                ended = &mut done => return ended,
                _ = every.tick() => {
                    if let Err(error) = message.ack_with(AckKind::Progress).await {
                        tracing::debug!(%error, "the brokers do not hear that a block is being done");
                    }
                }
                _ = stopped.changed() => return Ended::Stopped,
            }
        }
    }

    /// Does a block and publishes what came of it, unless the brokers have a result of it.
    async fn result(&self, id: BlockId, deliveries: i64, message: &[u8], results: &Stream<()>) -> Ended {
        // Whoever did it before may have ended between its result and the acknowledgement.
        loop {
            match stream::latest(results, &id.result_subject()).await {
                Ok(Some(_)) => return Ended::Done,
                Ok(None) => break,
                Err(error) => tracing::warn!(block = id.block, %error, "whether a block has a result is not known"),
            }
            tokio::time::sleep(PAUSE).await;
        }
        let outcome = if deliveries > MOST_DELIVERIES {
            let reason = format!("it was given out {MOST_DELIVERIES} times, and nobody finished it");
            Err(Undone::Failed(reason))
        } else {
            match self.keys.open(Purpose::Block, id.place(), message) {
                Ok(content) => self.content(&content).await,
                // Nobody else can open it either: whoever gave it out hears of it.
                Err(error) => Err(Undone::Failed(error.to_string())),
            }
        };
        let outcome = match outcome {
            Ok(content) => Ok(content),
            Err(Undone::Failed(reason)) => Err(reason),
            Err(Undone::HandedBack(reason)) => {
                tracing::warn!(block = id.block, reason, "a block is handed back, and tried again later or elsewhere");
                return Ended::HandedBack;
            }
        };
        match self.publish(id, outcome).await {
            Ok(failed) => {
                self.told.send_modify(|progress| {
                    progress.blocks += 1;
                    progress.failed += u64::from(failed);
                });
                Ended::Done
            }
            Err(error) => {
                tracing::error!(block = id.block, %error, "a result cannot be sealed; its block is handed back");
                Ended::HandedBack
            }
        }
    }

    /// Publishes what came of a block, for as long as it takes. Says whether it failed.
    async fn publish(&self, id: BlockId, mut outcome: Result<Writer, String>) -> Result<bool, ClusterError> {
        loop {
            if let Err(reason) = &outcome {
                tracing::warn!(block = id.block, reason, "a block cannot be done");
            }
            let content = outcome.as_ref().map(Writer::as_slice).map_err(String::as_str);
            let sealed = bytes::Bytes::from(seal_outcome(&self.keys, id, content)?);
            loop {
                match stream::put_first(&self.context, id.result_subject(), sealed.clone()).await {
                    Ok(_) => return Ok(outcome.is_err()),
                    Err(error) if outcome.is_ok() && error.kind() == PublishErrorKind::MaxPayloadExceeded => break,
                    Err(error) => {
                        tracing::warn!(block = id.block, %error, "the brokers do not take a result; publishing again");
                    }
                }
                tokio::time::sleep(PAUSE).await;
            }
            let bytes = sealed.len();
            outcome = Err(format!("its result of {bytes} bytes is larger than the brokers take: raise max_payload"));
        }
    }

    async fn content(&self, block: &Zeroizing<Vec<u8>>) -> Result<Writer, Undone> {
        let result = match &self.work {
            Work::Duplicates(work) => work.run(block).await?,
            Work::Reembedding(work) => work.run(block).await?,
        };
        let bytes = result.as_slice().len();
        if bytes > MAX_CONTENT {
            return Err(Undone::Failed(format!(
                "its result of {bytes} bytes is larger than a broker takes: make blocks smaller"
            )));
        }
        Ok(result)
    }
}

/// A block whose acknowledgement is lost is delivered once more, and then found to be done.
async fn acknowledge(message: &Message, kind: AckKind) {
    if let Err(error) = message.double_ack_with(kind).await {
        tracing::debug!(%error, "a block's acknowledgement was not heard");
    }
}
