//! What a worker is told, and what it says.
//!
//! ```text
//! block   gallery 33 | threshold 4 | others 2 | count 4 | count × subject 8
//! result  subjects 4 | templates 4 | count 4 | count × (partition 4 | sequence 8 | head 8 | time 8)
//!         | count 4 | count × subject 8 (those who may have more) | count 4 | count × (subject 8 | template 8 | other 8 | template 8 | score 4)
//! ```

use clearlane_template::{SubjectId, TemplateId};
use jiff::Timestamp;

use super::SubjectPair;
use crate::gallery::Identity;
use crate::question::MAX_CANDIDATES;
use crate::wire::{Reader, Writer};
use crate::{ClusterError, Position};

/// The most subjects of a block when a job begins.
pub(super) const MAX_SUBJECTS: usize = 1024;
/// The most that it ever has: ids that are given out since may lie between those of a block.
pub(super) const MAX_GROWN: usize = 4 * MAX_SUBJECTS;
/// The most pairs that a result has: beyond that it has the best ones, and says who may have more.
pub(super) const MAX_PAIRS: usize = 1 << 14;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Block {
    pub(super) gallery: Identity,
    pub(super) threshold: f32,
    pub(super) others: usize,
    pub(super) subjects: Vec<u64>,
}

impl Block {
    pub(super) fn encode(&self) -> Writer {
        let mut writer = Writer::with_capacity(43 + 8 * self.subjects.len());
        writer.bytes(&self.gallery).f32(self.threshold).u16(self.others as u16).u32(self.subjects.len() as u32);
        self.subjects.iter().for_each(|subject| _ = writer.u64(*subject));
        writer
    }

    pub(super) fn decode(content: &[u8]) -> Result<Self, ClusterError> {
        let mut reader = Reader::new("a block of work", content);
        let (gallery, threshold, others) = (reader.array()?, reader.f32()?, usize::from(reader.u16()?));
        if !(-1.0..=1.0).contains(&threshold) {
            return Err(reader.value("threshold"));
        }
        if !(1..MAX_CANDIDATES).contains(&others) {
            return Err(reader.value("others"));
        }
        let count = reader.count("count of subjects", MAX_GROWN)?;
        let subjects = (0..count).map(|_| reader.u64()).collect::<Result<Vec<_>, _>>()?;
        if !subjects.is_sorted_by(|a, b| a < b) {
            return Err(reader.value("order of subjects"));
        }
        reader.end()?;
        Ok(Self { gallery, threshold, others, subjects })
    }
}

/// What a block's subjects resemble.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Found {
    pub(super) subjects: u32,
    pub(super) templates: u32,
    /// Of each partition the oldest position that an answer was of.
    pub(super) positions: Vec<Position>,
    /// Who may have more others than are named.
    pub(super) more: Vec<SubjectId>,
    pub(super) pairs: Vec<SubjectPair>,
}

impl Found {
    pub(super) fn encode(&self) -> Writer {
        let mut writer =
            Writer::with_capacity(20 + 28 * self.positions.len() + 8 * self.more.len() + 36 * self.pairs.len());
        writer.u32(self.subjects).u32(self.templates).u32(self.positions.len() as u32);
        for position in &self.positions {
            writer.u32(position.partition).u64(position.sequence).u64(position.head);
            writer.i64(position.time.as_microsecond());
        }
        writer.u32(self.more.len() as u32);
        self.more.iter().for_each(|subject| _ = writer.u64(subject.0));
        writer.u32(self.pairs.len() as u32);
        for pair in &self.pairs {
            writer.u64(pair.subject.0).u64(pair.template.0).u64(pair.other.0).u64(pair.other_template.0);
            writer.f32(pair.score);
        }
        writer
    }

    pub(super) fn decode(content: &[u8], partitions: u32) -> Result<Self, ClusterError> {
        let mut reader = Reader::new("a block's result", content);
        let (subjects, templates) = (reader.u32()?, reader.u32()?);
        let count = reader.count("count of positions", partitions as usize)?;
        let positions = (0..count).map(|_| {
            let (partition, sequence, head) = (reader.u32()?, reader.u64()?, reader.u64()?);
            let time = Timestamp::from_microsecond(reader.i64()?).map_err(|_| reader.value("time"))?;
            Ok(Position { partition, sequence, head, time })
        });
        let positions = positions.collect::<Result<_, ClusterError>>()?;
        let count = reader.count("count of subjects", MAX_GROWN)?;
        let more = (0..count).map(|_| reader.u64().map(SubjectId)).collect::<Result<_, _>>()?;
        let count = reader.count("count of pairs", MAX_PAIRS)?;
        let pairs = (0..count).map(|_| {
            let (subject, template) = (SubjectId(reader.u64()?), TemplateId(reader.u64()?));
            let (other, other_template) = (SubjectId(reader.u64()?), TemplateId(reader.u64()?));
            let score = reader.f32()?;
            if subject >= other || !(-1.0..=1.0).contains(&score) {
                return Err(reader.value("pair"));
            }
            Ok(SubjectPair { subject, template, other, other_template, score })
        });
        let pairs = pairs.collect::<Result<_, ClusterError>>()?;
        reader.end()?;
        Ok(Self { subjects, templates, positions, more, pairs })
    }
}
