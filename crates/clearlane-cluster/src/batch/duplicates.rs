//! The gallery against itself: who is enrolled under several ids.

mod block;
mod merge;
mod work;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Stream;
use clearlane_template::{ModelId, SubjectId, TemplateId};
use jiff::Timestamp;
use serde::Serialize;

use super::coordinator::{Batch, Keeping, Next};
use super::{Kind, MAX_BLOCKS, MAX_CONTENT, MAX_MESSAGE, job};
use crate::gallery::{GALLERY_STREAM, GalleryConfig, Slot, head_subject};
use crate::head::Head;
use crate::keys::Keys;
use crate::question::MAX_CANDIDATES;
use crate::wire::{Reader, Writer};
use crate::{ClusterError, ClusterKey, ClusterOptions, Position, notice, stream};
use block::{Block, Found, MAX_GROWN, MAX_SUBJECTS};
use merge::{MAX_REPORTED, Merged};

pub(super) use work::DuplicateWork;

/// So long the brokers may list fewer subjects than the heads count: the registrar puts right what they have lost.
const LIST_PATIENCE: Duration = Duration::from_mins(2);
/// The wait before they are listed again.
const LIST_AGAIN: Duration = Duration::from_secs(2);

/// What is asked of a search for duplicates.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct DuplicateOptions {
    threshold: f32,
    others: usize,
    model: Option<ModelId>,
    fmr: Option<f64>,
    block: usize,
    replicas: usize,
    hold: Duration,
}

impl DuplicateOptions {
    /// Pairs of subjects whose best templates score `threshold` at least, in [-1, 1]; 10 others for each template at most.
    pub fn new(threshold: f32) -> Self {
        let hold = Duration::from_secs(30);
        Self { threshold, others: 10, model: None, fmr: None, block: 128, replicas: 3, hold }
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

    /// The false match rate of the threshold: a gallery of which more pairs are chance than a report has, ten million, is refused
    /// before anything is done.
    pub fn fmr(mut self, fmr: f64) -> Self {
        self.fmr = Some(fmr);
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

    /// After so much silence of a worker its block goes to another one (default: 30 s), in [1 s, 1 h].
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
        if self.fmr.is_some_and(|fmr| !(fmr > 0.0 && fmr < 1.0)) {
            return refused("fmr", "expected a rate between 0 and 1");
        }
        if !(Duration::from_secs(1)..=Duration::from_hours(1)).contains(&self.hold) {
            return refused("hold", "expected 1 s to 1 h");
        }
        Ok(())
    }

    /// The name of the job: the same threshold and number of others in the same gallery are the same job.
    fn name(&self, config: &GalleryConfig) -> String {
        let mut asked = Writer::with_capacity(6);
        asked.f32(self.threshold).u16(self.others as u16);
        job::name(Kind::Duplicates, &config.identity(), asked.as_slice())
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
    /// The score of the two templates. No two of these subjects have a higher one, unless one of them has as many others as were asked
    /// for: then it is the highest of those that were named.
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
    /// Blocks that could not be done, and why: their subjects were not searched for. Opened again, the search does them again.
    pub failed: BTreeMap<u32, String>,
    /// How many subjects were searched for.
    pub subjects: u64,
    /// How many templates of theirs.
    pub templates: u64,
    /// What the search is of: of each partition the position at which it was begun, or that an answer was of, whichever is older.
    /// Whoever was enrolled before is found.
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
    /// who are enrolled now, and puts the blocks there for the workers: of a search that goes on, those among them that could not be done.
    pub async fn open(
        key: ClusterKey,
        cluster: &ClusterOptions,
        options: DuplicateOptions,
    ) -> Result<Self, ClusterError> {
        options.check()?;
        let context = cluster.connect().await?;
        stream::takes(&context, MAX_MESSAGE)?;
        let config = stream::read_config(&context, &key).await?.ok_or(ClusterError::NoGallery)?;
        if let Some(expected) = options.model.filter(|model| *model != config.model) {
            return Err(ClusterError::OtherModel { found: config.model, expected });
        }
        let listing = Listing {
            gallery: stream::existing(&context, GALLERY_STREAM).await?.ok_or(ClusterError::NoGallery)?,
            keys: config.keys(&key)?,
            context: &context,
        };
        let mut partitions = Vec::new();
        for partition in 0..config.partitions {
            partitions.push(listing.whole(partition).await?);
        }
        let keeping = Keeping { replicas: options.replicas, hold: options.hold };
        let asked = (Kind::Duplicates, options.name(&config), config.identity());
        let batch = Batch::open(context, &key, keeping, asked, async || divide(&partitions, &options)).await?;
        let (positions, blocks) = divided(&partitions, batch.job.blocks, &batch.job.plan)?;
        let merged = Merged::new((options.threshold, MAX_REPORTED), positions);
        let search = Self { batch, options, config, blocks, merged };
        search.put_missing().await?;
        Ok(search)
    }

    /// Removes the search that [`DuplicateSearch::open`] would go on with, and what it has found. Says whether there was one.
    pub async fn discard(
        key: ClusterKey,
        cluster: &ClusterOptions,
        options: DuplicateOptions,
    ) -> Result<bool, ClusterError> {
        options.check()?;
        let context = cluster.connect().await?;
        let config = stream::read_config(&context, &key).await?.ok_or(ClusterError::NoGallery)?;
        Batch::discard(&context, &key, &options.name(&config)).await
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
                Next::Look => later(self.put_missing().await)?,
                Next::Again(block) => later(self.put(&[block]).await)?,
                Next::Result(block, outcome) => {
                    let found = outcome.and_then(|content| {
                        Found::decode(&content, self.config.partitions).map_err(|error| error.to_string())
                    });
                    self.merged.add(block, found)?;
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
        self.put(&self.batch.missing().await?).await
    }

    async fn put(&self, blocks: &[u32]) -> Result<(), ClusterError> {
        let block = |&block: &u32| {
            let subjects = self.blocks.get(block as usize).cloned().unwrap_or_default();
            let (threshold, others) = (self.options.threshold, self.options.others);
            (block, Block { gallery: self.config.identity(), threshold, others, subjects }.encode())
        };
        self.batch.put(blocks.iter().map(block)).await
    }
}

/// Brokers that do not take blocks are asked again when nothing comes.
fn later(put: Result<(), ClusterError>) -> Result<(), ClusterError> {
    match put {
        Err(error @ ClusterError::Broker { .. }) => {
            tracing::warn!(%error, "whether all blocks wait is not known");
            Ok(())
        }
        put => put,
    }
}

/// Who has a state in a partition, and the head that counted them.
struct Listed {
    position: Position,
    /// In order.
    ids: Vec<u64>,
}

/// Lists the subjects of the gallery's partitions. The list is the brokers' word alone, so it is held against the registrar's.
struct Listing<'a> {
    context: &'a Context,
    gallery: Stream,
    keys: Keys,
}

impl Listing<'_> {
    /// The subjects of a partition, as many as its head counts. Where the brokers list fewer, the registrar is told, and waited for.
    async fn whole(&self, partition: u32) -> Result<Listed, ClusterError> {
        let until = Instant::now() + LIST_PATIENCE;
        loop {
            match self.once(partition).await {
                // A head that somebody else put there is replaced with the next.
                Err(error @ (ClusterError::SubjectsLost { .. } | ClusterError::Forged { .. }))
                    if Instant::now() < until =>
                {
                    tracing::warn!(partition, %error, "the subjects of a partition are listed again");
                    notice::send(&self.context.client(), &self.keys, partition).await?;
                }
                listed => return listed,
            }
            tokio::time::sleep(LIST_AGAIN).await;
        }
    }

    async fn once(&self, partition: u32) -> Result<Listed, ClusterError> {
        // In this order: whoever has a state at the head is listed after it.
        let head = stream::latest(&self.gallery, &head_subject(partition)).await;
        let head = head.map_err(ClusterError::broker("give a head"))?;
        let message = head.ok_or(ClusterError::NoHead { partition })?;
        let head = Head::open(&self.keys, partition, &message.payload)?;
        let subjects = stream::subjects(&self.gallery, &format!("gallery.{partition}.*")).await?;
        let ids = subjects.iter().filter_map(|subject| match Slot::of(subject) {
            Some(Slot::State { subject, .. }) => Some(subject),
            _ => None,
        });
        let mut ids: Vec<u64> = ids.collect();
        ids.sort_unstable();
        // Brokers list in pages, and name one twice where somebody is enrolled between two.
        ids.dedup();
        if (ids.len() as u64) < head.subjects {
            return Err(ClusterError::SubjectsLost { partition, listed: ids.len(), expected: head.subjects });
        }
        let time = Timestamp::from_microsecond(head.time);
        let time = time.map_err(|_| ClusterError::Value { what: "a head", field: "time" })?;
        Ok(Listed { position: Position { partition, sequence: message.sequence, head: head.number, time }, ids })
    }
}

/// How the subjects of all partitions are divided into blocks: the number of blocks, and a plan, which has of each partition
/// where it stood, the first subject of each block and the last of all, so that the blocks stay as they are whoever is enrolled meanwhile.
fn divide(partitions: &[Listed], options: &DuplicateOptions) -> Result<(u32, Vec<u8>), ClusterError> {
    let subjects = partitions.iter().map(|listed| listed.ids.len()).sum::<usize>();
    let expected = options.fmr.map(|fmr| (fmr, fmr * (subjects as f64).powi(2) / 2.0));
    if let Some((fmr, expected)) = expected.filter(|(_, expected)| *expected > MAX_REPORTED as f64) {
        return Err(ClusterError::ChancePairs { subjects, fmr, expected, most: MAX_REPORTED });
    }
    // A partition's last block may be small.
    let most = MAX_BLOCKS as usize - partitions.len();
    let size = options.block.max(subjects.div_ceil(most));
    if size > MAX_SUBJECTS {
        return Err(ClusterError::JobTooLarge { subjects, most: most * MAX_SUBJECTS });
    }
    let blocks = partitions.iter().map(|listed| listed.ids.len().div_ceil(size)).sum::<usize>();
    let mut writer = Writer::with_capacity(36 * partitions.len() + 8 * blocks);
    for Listed { position, ids } in partitions {
        writer.u64(position.sequence).u64(position.head).i64(position.time.as_microsecond());
        writer.u32(ids.len().div_ceil(size) as u32);
        ids.chunks(size).for_each(|block| _ = writer.u64(block[0]));
        writer.u64(ids.last().copied().unwrap_or(0));
    }
    Ok((blocks as u32, writer.as_slice().to_vec()))
}

/// Where the partitions stood when a plan was made, and the subjects of each of its blocks.
fn divided(partitions: &[Listed], blocks: u32, plan: &[u8]) -> Result<(Vec<Position>, Vec<Vec<u64>>), ClusterError> {
    let mut reader = Reader::new("a job's plan", plan);
    let (mut positions, mut divided) = (Vec::new(), Vec::new());
    for (partition, Listed { ids, .. }) in (0..).zip(partitions) {
        let (sequence, head) = (reader.u64()?, reader.u64()?);
        let time = Timestamp::from_microsecond(reader.i64()?).map_err(|_| reader.value("time"))?;
        positions.push(Position { partition, sequence, head, time });
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
            // Which of them the plan was made of is not known: all are searched for, or none.
            if block.len() > MAX_GROWN {
                return Err(ClusterError::BlockOutgrown { block: divided.len(), subjects: block.len() });
            }
            divided.push(block.to_vec());
        }
    }
    reader.end()?;
    if divided.len() != blocks as usize {
        return Err(reader.value("count of blocks"));
    }
    Ok((positions, divided))
}

const _: () = assert!(36 * crate::MAX_PARTITIONS as usize + 8 * (MAX_BLOCKS as usize) < MAX_CONTENT);

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(ids: Vec<u64>) -> Listed {
        let time = Timestamp::from_microsecond(7).unwrap();
        Listed { position: Position { partition: 0, sequence: 5, head: 3, time }, ids }
    }

    #[test]
    fn whoever_comes_in_between_takes_nobodys_place() {
        let options = DuplicateOptions::new(0.5).block(MAX_SUBJECTS);
        let begun = [listed((0..2048).map(|id| 10 * id).collect())];
        let (blocks, plan) = divide(&begun, &options).unwrap();
        assert_eq!(blocks, 2);
        let newcomers = (0..100).map(|id| 10 * id + 1);
        let mut now: Vec<u64> = begun[0].ids.iter().copied().chain(newcomers).chain([30_000]).collect();
        now.sort_unstable();
        let (positions, divided) = divided(&[listed(now)], blocks, &plan).unwrap();
        assert_eq!(positions, [begun[0].position]);
        assert_eq!(divided.iter().map(Vec::len).collect::<Vec<_>>(), [1124, 1024]);
        assert!(begun[0].ids.iter().all(|id| divided.iter().any(|block| block.contains(id))));
    }

    #[test]
    fn a_block_that_has_outgrown_its_job_is_refused_and_not_cut() {
        let (blocks, plan) = divide(&[listed(vec![0, 10_000])], &DuplicateOptions::new(0.5)).unwrap();
        let refused = divided(&[listed((0..=10_000).collect())], blocks, &plan);
        assert!(matches!(refused, Err(ClusterError::BlockOutgrown { block: 0, subjects: 10_001 })), "{refused:?}");
    }

    #[test]
    fn a_rate_that_gives_more_chance_pairs_than_a_report_has_is_refused_before_anything_is_done() {
        let all = [listed((0..100_000).collect())];
        let options = DuplicateOptions::new(0.5);
        assert!(divide(&all, &options.fmr(1e-3)).is_ok());
        let refused = divide(&all, &options.fmr(1e-2));
        assert!(matches!(refused, Err(ClusterError::ChancePairs { subjects: 100_000, .. })), "{refused:?}");
    }
}
