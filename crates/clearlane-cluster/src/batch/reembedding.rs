//! A new model's templates for a whole register: the coordinator is beside the register and the pictures, workers make the templates.

mod block;
mod make;
mod plan;
mod supply;
mod work;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use clearlane::{BulkReport, DecodeLimits, Reembedder};
use jiff::Timestamp;
use tokio::task::JoinHandle;

use super::coordinator::{Batch, Keeping, Next};
use super::{Kind, MAX_MESSAGE, job};
use crate::gallery::Identity;
use crate::wire::Writer;
use crate::{ClusterError, ClusterKey, ClusterOptions, stream};
use plan::{Maker, Plan};
use supply::{Supply, asked};

pub(super) use work::ReembeddingWork;

/// The most candidates of a block.
const MAX_CANDIDATES: usize = 1024;
/// Blocks that wait for a result at a time: pictures are large.
const WINDOW: usize = 64;
/// Blocks that are in memory at a time.
const IN_MEMORY: usize = 8;
/// Candidates of the coordinator's own that are made at a time.
const OWN: usize = 64;

/// What is asked of a re-embedding.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct ReembeddingOptions {
    limits: DecodeLimits,
    block: usize,
    replicas: usize,
    hold: Duration,
}

impl Default for ReembeddingOptions {
    fn default() -> Self {
        Self { limits: DecodeLimits::default(), block: 32, replicas: 3, hold: Duration::from_secs(30) }
    }
}

impl ReembeddingOptions {
    /// What a picture may take that the coordinator decodes itself.
    pub fn limits(mut self, limits: DecodeLimits) -> Self {
        self.limits = limits;
        self
    }

    /// How many candidates a block has at most, in [1, 1024] (default: 32); it has fewer where their pictures are larger than a
    /// message. A job that goes on keeps the blocks that it has.
    pub fn block(mut self, candidates: usize) -> Self {
        self.block = candidates;
        self
    }

    /// How many brokers keep each block and result, where the streams are made.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// After so much silence of a worker its block goes to another one (default: 30 s), in [1 s, 1 h].
    pub fn hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    fn check(&self) -> Result<(), ClusterError> {
        let refused = |setting, reason| Err(ClusterError::Setting { setting, reason });
        if !(1..=MAX_CANDIDATES).contains(&self.block) {
            return refused("block", "expected 1 to 1024 candidates");
        }
        if !(Duration::from_secs(1)..=Duration::from_hours(1)).contains(&self.hold) {
            return refused("hold", "expected 1 s to 1 h");
        }
        Ok(())
    }
}

/// Somebody whose pictures are supplied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReembeddingCandidate {
    /// The key of an enrolled subject.
    pub key: String,
    /// The files of their pictures.
    pub pictures: Vec<PathBuf>,
}

/// What a re-embedding came to, as far as it went.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ReembeddingReport {
    /// What one machine says that does all of it: see [`Reembedder::reembed_many`]. Unused pictures have their place among those that
    /// could be read.
    pub bulk: BulkReport,
    /// Pictures that could not be read, whether or not their subject has others.
    pub unreadable: Vec<UnreadablePicture>,
    /// Blocks that could not be done, and why: their candidates are among the unfinished. Opened again, the re-embedding does them again.
    pub failed: BTreeMap<u32, String>,
}

impl ReembeddingReport {
    /// Adds what came of further candidates.
    fn add(&mut self, taken: BulkReport, unreadable: impl IntoIterator<Item = UnreadablePicture>) {
        let (sums, more) = (&mut self.bulk.progress, taken.progress);
        sums.done += more.done;
        sums.enrolled += more.enrolled;
        sums.templates += more.templates;
        sums.already += more.already;
        sums.unfinished += more.unfinished;
        self.bulk.unfinished.extend(taken.unfinished);
        self.bulk.unused.extend(taken.unused);
        self.unreadable.extend(unreadable);
    }
}

/// A picture that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadablePicture {
    /// The candidate's key.
    pub key: String,
    /// The picture's place among the candidate's, from 0.
    pub picture: usize,
    /// Why.
    pub why: String,
}

/// A re-embedding that workers do, by a [`TemplateMaker`](clearlane::TemplateMaker) with the same digest. There is one for a gallery, a
/// maker and a list of candidates: opened again, in this process or another, it goes on, and a block that has a result is not done again.
///
/// What workers made is judged here, beside the register: they hear neither whose a picture is nor what is enrolled. Whoever has
/// templates of the model needs no pictures. Those whose pictures do not fit into a message are made here as well.
pub struct Reembedding {
    batch: Batch,
    supply: Arc<Supply>,
    /// The candidates of each block.
    blocks: Vec<Range<u32>>,
    /// Those in no block who are not taken in yet.
    own: VecDeque<u32>,
    /// Blocks that have no result and do not wait.
    todo: VecDeque<u32>,
    /// What is being taken in.
    taking: Option<JoinHandle<Result<Option<Left>, ClusterError>>>,
    left: Option<Left>,
    /// What could not be put in its place.
    kept: Vec<Left>,
}

/// What is to be put in the place of a block's result that was taken in.
type Left = (u32, Result<Writer, String>);

impl Reembedding {
    /// Makes the streams of batches where there are none, and goes on with the re-embedding that was begun or begins it. The cluster's
    /// gallery has to be of the reembedder's register.
    pub async fn open(
        key: ClusterKey,
        cluster: &ClusterOptions,
        options: ReembeddingOptions,
        reembedder: Arc<Reembedder>,
        candidates: Vec<ReembeddingCandidate>,
    ) -> Result<Self, ClusterError> {
        options.check()?;
        let context = cluster.connect().await?;
        stream::takes(&context, MAX_MESSAGE)?;
        let named = named(&context, &key, &reembedder, &candidates).await?;
        let maker = Maker::of(reembedder.maker());
        let supply = Arc::new(Supply::new(reembedder, candidates, options.limits)?);
        let keeping = Keeping { replicas: options.replicas, hold: options.hold };
        let divided = Arc::clone(&supply);
        let plan = async move || {
            let blocks = off_runtime(move || divided.divide(options.block)).await?;
            Ok((blocks.len() as u32, Plan { maker, blocks }.encode()))
        };
        let batch = Batch::open(context, &key, keeping, named, plan).await?;
        let Plan { blocks, .. } = Plan::decode(&batch.job.plan, batch.job.blocks)?;
        let mut ends = blocks.iter().map(|block| block.end);
        if ends.next_back().is_some_and(|end| end as usize > supply.candidates.len()) {
            return Err(ClusterError::Value { what: "a job's plan", field: "candidates of a block" });
        }
        let mut within = blocks.iter().peekable();
        let own = (0..supply.candidates.len() as u32).filter(|candidate| {
            while within.next_if(|block| block.end <= *candidate).is_some() {}
            !within.peek().is_some_and(|block| block.contains(candidate))
        });
        let own = own.collect();
        let todo = batch.missing().await?.into();
        let mut reembedding = Self { batch, supply, blocks, own, todo, taking: None, left: None, kept: Vec::new() };
        reembedding.refill().await?;
        Ok(reembedding)
    }

    /// Removes the re-embedding that [`Reembedding::open`] would go on with; what is in the register stays there. Says whether there was one.
    pub async fn discard(
        key: ClusterKey,
        cluster: &ClusterOptions,
        reembedder: &Reembedder,
        candidates: &[ReembeddingCandidate],
    ) -> Result<bool, ClusterError> {
        let context = cluster.connect().await?;
        let (_, name, _) = named(&context, &key, reembedder, candidates).await?;
        Batch::discard(&context, &key, &name).await
    }

    /// Whether it was begun before.
    #[must_use]
    pub fn resumed(&self) -> bool {
        self.batch.resumed
    }

    /// When it was begun, by the clock of whoever did.
    #[must_use]
    pub fn begun(&self) -> Timestamp {
        self.batch.job.begun
    }

    /// How many blocks there are.
    #[must_use]
    pub fn blocks(&self) -> u32 {
        self.batch.job.blocks
    }

    /// How many candidates were taken in: what became of them is in the register and in the report.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.supply.taken_in()
    }

    /// Takes in the next block's result, which is waited for, or some of those who are in no block; `false` once everybody is taken in.
    /// Given up, it loses nothing. After an error of the register it is opened again.
    pub async fn advance(&mut self) -> Result<bool, ClusterError> {
        loop {
            if self.taking.is_some() {
                self.settle().await?;
                if self.left.is_none() {
                    return Ok(true);
                }
            }
            if let Some(left) = &self.left {
                // A large gallery's templates are more than brokers keep.
                let replaced = self.replace(left).await;
                if let (Some(left), false) = (self.left.take(), replaced) {
                    self.kept.push(left);
                }
                return Ok(true);
            }
            match self.refill().await {
                Err(error @ ClusterError::Broker { .. }) => {
                    tracing::warn!(%error, "blocks are not given out; what is done is taken in meanwhile");
                }
                filled => filled?,
            }
            let next = tokio::select! {
                biased;
                next = self.batch.next() => next?,
                // Nothing came yet: there is something else to do.
                () = std::future::ready(()), if !self.own.is_empty() => Next::Done,
            };
            let supply = Arc::clone(&self.supply);
            match next {
                Next::Result(block, outcome) => {
                    // Another coordinator may have put it there.
                    self.todo.retain(|todo| *todo != block);
                    let candidates = self.blocks[block as usize].clone();
                    self.taking = Some(tokio::task::spawn_blocking(move || {
                        Ok(supply.take_in(block, candidates, outcome)?.map(|left| (block, left)))
                    }));
                }
                Next::Again(block) => self.todo.push_front(block),
                Next::Look => match self.batch.missing().await {
                    Ok(missing) => self.todo = missing.into(),
                    // They are asked again when nothing comes.
                    Err(error @ ClusterError::Broker { .. }) => {
                        tracing::warn!(%error, "whether all blocks wait is not known");
                    }
                    Err(error) => return Err(error),
                },
                Next::Done if self.own.is_empty() => {
                    // Once more, where the brokers were away.
                    while let Some(left) = self.kept.pop() {
                        self.replace(&left).await;
                    }
                    return Ok(false);
                }
                Next::Done => {
                    let some = self.own.drain(..OWN.min(self.own.len())).collect();
                    self.taking = Some(tokio::task::spawn_blocking(move || supply.take_in_own(some).map(|()| None)));
                }
            }
        }
    }

    /// Puts something in the place of a result, and says whether that was done.
    async fn replace(&self, (block, left): &Left) -> bool {
        let left = left.as_ref().map(Writer::as_slice).map_err(String::as_str);
        let replaced = self.batch.replace(*block, left).await;
        if let Err(error) = &replaced {
            tracing::warn!(block, %error, "a result keeps its templates, or is made once more");
        }
        replaced.is_ok()
    }

    /// Waits until what is being taken in is in the register and in the report, for whoever stops here.
    pub async fn settle(&mut self) -> Result<(), ClusterError> {
        if let Some(taking) = &mut self.taking {
            let taken = taking.await;
            self.taking = None;
            self.left = taken.unwrap_or(Err(ClusterError::Stopped))?;
        }
        Ok(())
    }

    /// What it came to until now.
    #[must_use]
    pub fn report(&self) -> ReembeddingReport {
        self.supply.report()
    }

    /// Removes the re-embedding from the brokers; what is in the register stays there. Opened again, it begins anew.
    pub async fn remove(self) -> Result<(), ClusterError> {
        self.batch.remove().await
    }

    /// Puts blocks there until as many wait as may. Given up, it loses nothing: those that are there are not put there again.
    async fn refill(&mut self) -> Result<(), ClusterError> {
        loop {
            let waiting = self.blocks.len().saturating_sub(self.batch.done() as usize + self.todo.len());
            let more = WINDOW.saturating_sub(waiting).min(IN_MEMORY);
            let next = self.todo.iter().take(more).map(|&block| (block, self.blocks[block as usize].clone()));
            let next: Vec<_> = next.collect();
            if next.is_empty() {
                return Ok(());
            }
            let (count, supply) = (next.len(), Arc::clone(&self.supply));
            let content = move |(block, candidates)| Ok((block, supply.block(candidates)?));
            let contents = off_runtime(move || next.into_iter().map(content).collect::<Result<Vec<_>, _>>()).await?;
            self.batch.put(contents).await?;
            self.todo.drain(..count);
        }
    }
}

/// The kind of a re-embedding, the name of its job, and the gallery, which has to be of the register.
async fn named(
    context: &Context,
    key: &ClusterKey,
    reembedder: &Reembedder,
    candidates: &[ReembeddingCandidate],
) -> Result<(Kind, String, Identity), ClusterError> {
    let config = stream::read_config(context, key).await?.ok_or(ClusterError::NoGallery)?;
    if config.register != reembedder.register().id() {
        return Err(ClusterError::OtherRegister);
    }
    let (kind, gallery) = (Kind::reembedding(&reembedder.maker().digest()), config.identity());
    Ok((kind, job::name(kind, &gallery, &asked(reembedder, candidates)), gallery))
}

/// Work that takes long, or reads files, on a thread for such.
async fn off_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ClusterError> + Send + 'static,
) -> Result<T, ClusterError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(ClusterError::Stopped))
}
