//! The gallery against itself: who is enrolled under several ids.

mod block;
mod merge;
mod work;

use std::collections::BTreeMap;
use std::time::Duration;

use clearlane_template::{ModelId, SubjectId, TemplateId};
use serde::Serialize;

use super::coordinator::{Batch, Keeping, Next};
use super::{Kind, MAX_BLOCKS, MAX_CONTENT, job};
use crate::gallery::{GALLERY_STREAM, GalleryConfig, Slot};
use crate::question::MAX_CANDIDATES;
use crate::wire::{Reader, Writer};
use crate::{ClusterError, ClusterKey, ClusterOptions, Position, stream};
use block::{Block, Found, MAX_SUBJECTS};
use merge::Merged;

pub(super) use work::DuplicateWork;

/// What is asked of a search for duplicates.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct DuplicateOptions {
    threshold: f32,
    others: usize,
    model: Option<ModelId>,
    block: usize,
    replicas: usize,
    hold: Duration,
}

impl DuplicateOptions {
    /// Pairs of subjects whose best templates score `threshold` at least, in [-1, 1]; 10 others for each template at most.
    pub fn new(threshold: f32) -> Self {
        let hold = Duration::from_secs(30);
        Self { threshold, others: 10, model: None, block: 128, replicas: 3, hold }
    }

    /// How many others are named for one template at most, in [1, 127]: the best ones. Where a template has as many, the
    /// report says that there may be more.
    pub fn others(mut self, others: usize) -> Self {
        self.others = others;
        self
    }

    /// The model that the threshold is of: a gallery of another one is refused.
    pub fn model(mut self, model: ModelId) -> Self {
        self.model = Some(model);
        self
    }

    /// How many subjects a block has, in [1, 1024]. A job that goes on keeps the blocks that it has; a gallery that would have more than
    /// 65,536 blocks gets larger ones.
    pub fn block(mut self, subjects: usize) -> Self {
        self.block = subjects;
        self
    }

    /// How many brokers keep each block and result, where the streams are made.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// After so much silence of a worker its block goes to another one (default: 30 s), 1 s at least.
    pub fn hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    fn check(&self) -> Result<(), ClusterError> {
        let refused = |setting, reason| Err(ClusterError::Setting { setting, reason });
        if !(-1.0..=1.0).contains(&self.threshold) {
            return refused("threshold", "expected one in [-1, 1]");
        }
        // Their own subject is one of the candidates.
        if !(1..MAX_CANDIDATES).contains(&self.others) {
            return refused("others", "expected 1 to 127");
        }
        if !(1..=MAX_SUBJECTS).contains(&self.block) {
            return refused("block", "expected 1 to 1024 subjects");
        }
        if self.hold < Duration::from_secs(1) {
            return refused("hold", "expected 1 s at least");
        }
        Ok(())
    }

    /// What makes two searches the same job.
    fn asked(&self) -> Writer {
        let mut writer = Writer::with_capacity(6);
        writer.f32(self.threshold).u16(self.others as u16);
        writer
    }
}

/// Two subjects that may be one person.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SubjectPair {
    /// The one with the smaller id.
    pub subject: SubjectId,
    /// Its template.
    pub template: TemplateId,
    /// The other subject.
    pub other: SubjectId,
    /// Its template.
    pub other_template: TemplateId,
    /// The score of the two templates: no two of these subjects have a higher one.
    pub score: f32,
}

/// What came of a search for duplicates, as far as it went.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DuplicateReport {
    /// Each pair at or above the threshold once, best first.
    pub pairs: Vec<SubjectPair>,
    /// Subjects that may have more others than are named.
    pub more: Vec<SubjectId>,
    /// Blocks that could not be done, and why: their subjects were not searched for.
    pub failed: BTreeMap<u32, String>,
    /// How many subjects were searched for.
    pub subjects: u64,
    /// How many templates of theirs.
    pub templates: u64,
    /// What the search is of: of each partition the oldest position that an answer was of. Whoever was enrolled before is found.
    pub positions: Vec<Position>,
}

/// A search for duplicates that workers do. There is one for a gallery, threshold and number of others: opened again, in this process or
/// another, it goes on, and a block that has a result is not done again.
pub struct DuplicateSearch {
    batch: Batch,
    options: DuplicateOptions,
    config: GalleryConfig,
    /// The subjects of each block.
    blocks: Vec<Vec<u64>>,
    merged: Merged,
}

impl DuplicateSearch {
    /// Makes the streams of batches where there are none, goes on with the search that was begun or begins it over those
    /// who are enrolled now, and puts the blocks there for the workers.
    pub async fn open(
        key: ClusterKey,
        cluster: &ClusterOptions,
        options: DuplicateOptions,
    ) -> Result<Self, ClusterError> {
        options.check()?;
        let context = cluster.connect().await?;
        let config = stream::read_config(&context, &key).await?.ok_or(ClusterError::NoGallery)?;
        if let Some(expected) = options.model.filter(|model| *model != config.model) {
            return Err(ClusterError::OtherModel { found: config.model, expected });
        }
        let gallery = context.get_stream(GALLERY_STREAM).await;
        let gallery = gallery.map_err(ClusterError::broker("say what the gallery's stream is"))?;
        let mut subjects = Vec::new();
        for partition in 0..config.partitions {
            let of_partition = stream::subjects(&gallery, &format!("gallery.{partition}.*")).await?;
            let ids = of_partition.iter().filter_map(|subject| match Slot::of(subject) {
                Some(Slot::State { subject, .. }) => Some(subject),
                _ => None,
            });
            let mut ids: Vec<u64> = ids.collect();
            ids.sort_unstable();
            subjects.push(ids);
        }
        let identity = config.identity();
        let name = job::name(Kind::Duplicates, &identity, options.asked().as_slice());
        let keeping = Keeping { replicas: options.replicas, hold: options.hold };
        let plan = || divide(&subjects, options.block);
        let batch = Batch::open(context, &key, keeping, (Kind::Duplicates, name, identity), plan).await?;
        let blocks = divided(&subjects, batch.job.blocks, &batch.job.plan)?;
        let search = Self { batch, options, config, blocks, merged: Merged::default() };
        search.put_missing().await?;
        Ok(search)
    }

    /// Whether it was begun before.
    #[must_use]
    pub fn resumed(&self) -> bool {
        self.batch.resumed
    }

    /// How many blocks there are.
    #[must_use]
    pub fn blocks(&self) -> u32 {
        self.batch.job.blocks
    }

    /// How many blocks have a result that was taken in.
    #[must_use]
    pub fn done(&self) -> u32 {
        self.batch.done()
    }

    /// Takes in the next result, which is waited for; `false` once all blocks have theirs. Given up, it loses nothing.
    pub async fn advance(&mut self) -> Result<bool, ClusterError> {
        loop {
            match self.batch.next().await? {
                Next::Done => return Ok(false),
                Next::Look => match self.put_missing().await {
                    // They are asked again when nothing comes.
                    Err(error @ ClusterError::Broker { .. }) => {
                        tracing::warn!(%error, "whether all blocks wait is not known");
                    }
                    looked => looked?,
                },
                Next::Result(block, outcome) => {
                    let found = outcome.and_then(|content| {
                        Found::decode(&content, self.config.partitions).map_err(|error| error.to_string())
                    });
                    self.merged.add(block, found);
                    return Ok(true);
                }
            }
        }
    }

    /// What was found until now.
    #[must_use]
    pub fn report(&self) -> DuplicateReport {
        self.merged.report()
    }

    /// Removes the search and its results from the brokers. Opened again, it begins anew.
    pub async fn remove(self) -> Result<(), ClusterError> {
        self.batch.remove().await
    }

    /// Puts those blocks there that have no result and do not wait.
    async fn put_missing(&self) -> Result<(), ClusterError> {
        let missing = self.batch.missing().await?;
        let block = |block: u32| {
            let subjects = self.blocks.get(block as usize).cloned().unwrap_or_default();
            let (threshold, others) = (self.options.threshold, self.options.others);
            (block, Block { gallery: self.config.identity(), threshold, others, subjects }.encode())
        };
        self.batch.put(missing.into_iter().map(block).collect()).await
    }
}

/// How the subjects of all partitions are divided into blocks of `size`, or as large as it takes: the number of blocks, and a plan, which
/// has of each partition the first subject of each block and the last of all, so that the blocks stay as they are whoever
/// is enrolled meanwhile.
fn divide(partitions: &[Vec<u64>], size: usize) -> Result<(u32, Vec<u8>), ClusterError> {
    let subjects = partitions.iter().map(Vec::len).sum::<usize>();
    // A partition's last block may be small.
    let most = MAX_BLOCKS as usize - partitions.len();
    let size = size.max(subjects.div_ceil(most));
    if size > MAX_SUBJECTS {
        return Err(ClusterError::JobTooLarge { subjects });
    }
    let blocks = partitions.iter().map(|ids| ids.len().div_ceil(size)).sum::<usize>();
    let mut writer = Writer::with_capacity(12 * partitions.len() + 8 * blocks);
    for ids in partitions {
        writer.u32(ids.len().div_ceil(size) as u32);
        ids.chunks(size).for_each(|block| _ = writer.u64(block[0]));
        writer.u64(ids.last().copied().unwrap_or(0));
    }
    Ok((blocks as u32, writer.as_slice().to_vec()))
}

/// The subjects of each block of a plan.
fn divided(partitions: &[Vec<u64>], blocks: u32, plan: &[u8]) -> Result<Vec<Vec<u64>>, ClusterError> {
    let mut reader = Reader::new("a job's plan", plan);
    let mut divided = Vec::new();
    for ids in partitions {
        let count = reader.u32()?;
        if count > blocks {
            return Err(reader.value("count of blocks"));
        }
        let firsts = (0..count).map(|_| reader.u64()).collect::<Result<Vec<_>, _>>()?;
        let last = reader.u64()?;
        let end = ids.partition_point(|id| *id <= last);
        let starts: Vec<_> = firsts.iter().map(|first| ids[..end].partition_point(|id| id < first)).collect();
        for (number, start) in starts.iter().enumerate() {
            let until = starts.get(number + 1).copied().unwrap_or(end);
            let block = ids.get(*start..until).ok_or_else(|| reader.value("first subject of a block"))?;
            // Those who came in between since are beyond what a block takes, and are found by whom they resemble.
            divided.push(block[..block.len().min(MAX_SUBJECTS)].to_vec());
        }
    }
    reader.end()?;
    if divided.len() != blocks as usize {
        return Err(reader.value("count of blocks"));
    }
    Ok(divided)
}

const _: () = assert!(12 * crate::MAX_PARTITIONS as usize + 8 * (MAX_BLOCKS as usize) < MAX_CONTENT);
