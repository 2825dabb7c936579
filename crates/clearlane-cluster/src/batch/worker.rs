//! The side that does blocks: it pulls one, does it while it says that it is at it, publishes the result and acknowledges. Killed in
//! between, it leaves the block to another worker.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{AckKind, Context, Message};
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::duplicates::DuplicateWork;
use super::{BlockId, Kind, MAX_CONTENT, batch_keys, seal_outcome};
use crate::follow::{self, Stop};
use crate::gallery::{RESULTS_STREAM, WORK_STREAM};
use crate::keys::{Keys, Purpose};
use crate::wire::Writer;
use crate::{ClusterError, ClusterKey, ClusterOptions, stream};

/// So many workers may end while they have a block; it fails then, since it may be what ends them.
const MOST_DELIVERIES: i64 = 16;
/// How long a question for a block waits at the brokers.
const PULL: Duration = Duration::from_secs(2);
/// The wait before brokers are asked again that did not answer, or have no work yet.
const PAUSE: Duration = Duration::from_secs(1);

/// How a worker works.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct BatchWorkerOptions {
    searches: usize,
    budget: Duration,
}

impl Default for BatchWorkerOptions {
    fn default() -> Self {
        Self { searches: 4, budget: Duration::from_secs(10) }
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
        // Says at once where the key is another than the cluster's.
        stream::read_config(&context, &key).await?;
        let keys = Arc::new(batch_keys(&key)?);
        let (stop, stopped) = Stop::new();
        let (told, progress) = watch::channel(BatchWorkerProgress::default());
        let duplicates = DuplicateWork::new(context.clone(), key, options.searches, options.budget);
        let pulling = Pulling { context, keys, kind: Kind::Duplicates, work: duplicates, told, stopped };
        let tasks = vec![tokio::spawn(pulling.run())];
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
    /// It is for somebody else.
    HandedBack,
}

/// Pulls blocks of a kind.
struct Pulling {
    context: Context,
    keys: Arc<Keys>,
    kind: Kind,
    work: DuplicateWork,
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
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    _ = self.stopped.changed() => {}
                }
            }
        }
        Ok(())
    }

    /// Pulls until it is stopped, or something fails.
    async fn session(&mut self, results: &Stream<()>) -> Result<(), ClusterError> {
        let failed = "give work";
        let work = self.context.get_stream_no_info(WORK_STREAM).await.map_err(ClusterError::broker(failed))?;
        let consumer = work.get_consumer(self.kind.name()).await;
        let consumer: PullConsumer = consumer.map_err(ClusterError::broker(failed))?;
        let hold = consumer.cached_info().config.ack_wait;
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
            match self.block(&message, hold, results).await? {
                Ended::Done => acknowledge(&message, AckKind::Ack).await,
                Ended::HandedBack => acknowledge(&message, AckKind::Nak(None)).await,
            }
        }
        Ok(())
    }

    /// Does one block, and says all the while that it is being done.
    async fn block(&mut self, message: &Message, hold: Duration, results: &Stream<()>) -> Result<Ended, ClusterError> {
        let Some(id) = BlockId::of(&message.subject) else {
            tracing::warn!(subject = %message.subject, "what waits there is no block; it is taken out");
            return Ok(Ended::Done);
        };
        // Whoever did it before may have ended between its result and the acknowledgement.
        let there = stream::latest(results, &id.result_subject()).await;
        if there.map_err(ClusterError::broker("say whether a block has a result"))?.is_some() {
            return Ok(Ended::Done);
        }
        let deliveries = message.info().map_err(ClusterError::broker("number a block"))?.delivered;
        let mut stopped = self.stopped.clone();
        let mut every = tokio::time::interval(hold / 3);
        let done = self.result(id, deliveries, &message.payload);
        tokio::pin!(done);
        loop {
            tokio::select! {
                done = &mut done => {
                    let failed = done?;
                    self.told.send_modify(|progress| {
                        progress.blocks += 1;
                        progress.failed += u64::from(failed);
                    });
                    return Ok(Ended::Done);
                }
                _ = every.tick() => {
                    if let Err(error) = message.ack_with(AckKind::Progress).await {
                        tracing::debug!(%error, "the brokers do not hear that a block is being done");
                    }
                }
                _ = stopped.changed() => return Ok(Ended::HandedBack),
            }
        }
    }

    /// Does a block and publishes what came of it. Says whether it failed.
    async fn result(&self, id: BlockId, deliveries: i64, message: &[u8]) -> Result<bool, ClusterError> {
        let outcome = if deliveries > MOST_DELIVERIES {
            Err(format!("{MOST_DELIVERIES} workers ended while they had it"))
        } else {
            match self.keys.open(Purpose::Block, id.place(), message) {
                Ok(content) => self.content(&content).await,
                // Nobody else can open it either: whoever gave it out hears of it.
                Err(error) => Err(error.to_string()),
            }
        };
        if let Err(reason) = &outcome {
            tracing::warn!(block = id.block, reason, "a block cannot be done");
        }
        let sealed = match &outcome {
            Ok(content) => seal_outcome(&self.keys, id, Ok(content.as_slice())),
            Err(reason) => seal_outcome(&self.keys, id, Err(reason)),
        };
        let sealed = bytes::Bytes::from(sealed?);
        while let Err(error) = stream::put_first(&self.context, id.result_subject(), sealed.clone()).await {
            tracing::warn!(block = id.block, %error, "the brokers do not take a result; publishing again");
            tokio::time::sleep(PAUSE).await;
        }
        Ok(outcome.is_err())
    }

    async fn content(&self, block: &Zeroizing<Vec<u8>>) -> Result<Writer, String> {
        let result = self.work.run(block).await?;
        let bytes = result.as_slice().len();
        if bytes > MAX_CONTENT {
            return Err(format!("its result of {bytes} bytes is larger than a broker takes"));
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
