//! How candidates are divided into blocks, and for which maker: it is kept with the job, so that its blocks stay what they are whoever
//! goes on with it.
//!
//! ```text
//! maker 32 | model 32 | earlier 1 (0, 1) | model 32, where it is 1 | blocks × (first candidate 4 | end 4)
//! ```

use std::ops::Range;

use clearlane::TemplateMaker;
use clearlane_template::ModelId;

use super::MAX_CANDIDATES;
use super::block::Room;
use crate::ClusterError;
use crate::batch::{MAX_BLOCKS, MAX_CONTENT};
use crate::wire::{Reader, Writer};

/// Candidates of one after the other, some of whom need no pictures, that a block stretches over at most.
const LONGEST: u32 = 1024;

/// What a maker makes, and by which rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Maker {
    pub(super) digest: [u8; 32],
    pub(super) model: ModelId,
    pub(super) earlier: Option<ModelId>,
}

impl Maker {
    pub(super) fn of(maker: &TemplateMaker) -> Self {
        Self { digest: maker.digest(), model: maker.model(), earlier: maker.earlier_model() }
    }
}

/// Whose templates a job is to make, in which blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) maker: Maker,
    /// The candidates of each block, in ascending order. Those in none are the coordinator's own.
    pub(super) blocks: Vec<Range<u32>>,
}

impl Plan {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(97 + 8 * self.blocks.len());
        let Maker { digest, model, earlier } = &self.maker;
        writer.bytes(digest).bytes(model.as_bytes()).u8(u8::from(earlier.is_some()));
        if let Some(earlier) = earlier {
            writer.bytes(earlier.as_bytes());
        }
        self.blocks.iter().for_each(|block| _ = writer.u32(block.start).u32(block.end));
        writer.as_slice().to_vec()
    }

    pub(super) fn decode(plan: &[u8], blocks: u32) -> Result<Self, ClusterError> {
        let mut reader = Reader::new("a job's plan", plan);
        let (digest, model) = (reader.array()?, ModelId::from_bytes(reader.array()?));
        let earlier = match reader.u8()? {
            0 => None,
            1 => Some(ModelId::from_bytes(reader.array()?)),
            _ => return Err(reader.value("earlier model")),
        };
        let mut from = 0;
        let ranges = (0..blocks).map(|_| {
            let block = reader.u32()?..reader.u32()?;
            if block.start < from || block.is_empty() {
                return Err(reader.value("candidates of a block"));
            }
            from = block.end;
            Ok(block)
        });
        let blocks = ranges.collect::<Result<_, _>>()?;
        reader.end()?;
        Ok(Self { maker: Maker { digest, model, earlier }, blocks })
    }
}

/// Divides candidates, of whom `files` says how large their pictures are, and nothing of those who need none.
pub(super) fn divide(
    candidates: u32,
    most: usize,
    mut files: impl FnMut(u32) -> Result<Option<Vec<u64>>, ClusterError>,
) -> Result<Vec<Range<u32>>, ClusterError> {
    let mut blocks = Vec::new();
    let (mut block, mut within, mut room): (Option<Range<u32>>, _, _) = (None, 0, Room::new());
    for candidate in 0..candidates {
        let Some(files) = files(candidate)? else { continue };
        let is_full = |block: &Range<u32>| within == most || candidate - block.start >= LONGEST;
        if block.as_ref().is_some_and(is_full) || !room.take(&files) {
            blocks.extend(block.take());
            (within, room) = (0, Room::new());
            // One with too many or too large pictures for any block is in none.
            if !room.take(&files) {
                continue;
            }
        }
        within += 1;
        block = Some(block.map_or(candidate, |block| block.start)..candidate + 1);
    }
    blocks.extend(block);
    if blocks.len() > MAX_BLOCKS as usize {
        return Err(ClusterError::SupplyTooLarge { subjects: candidates as usize, most: MAX_BLOCKS });
    }
    Ok(blocks)
}

const _: () = assert!(97 + 8 * (MAX_BLOCKS as usize) < MAX_CONTENT && MAX_CANDIDATES <= LONGEST as usize);

#[cfg(test)]
mod tests {
    use super::*;

    fn maker() -> Maker {
        let earlier = Some(ModelId::digest([b"old".as_slice()]));
        Maker { digest: [4; 32], model: ModelId::digest([b"new".as_slice()]), earlier }
    }

    /// What a candidate of each of these has: a picture of so many bytes, or no need of one.
    fn divided(most: usize, candidates: &[Option<u64>]) -> Vec<Range<u32>> {
        let files = |candidate: u32| Ok(candidates[candidate as usize].map(|bytes| vec![bytes]));
        divide(candidates.len() as u32, most, files).unwrap()
    }

    #[test]
    fn blocks_have_as_many_as_they_may_and_fit_into_a_message() {
        let small = Some(1000);
        assert_eq!(divided(2, &[None, small, small, small, None]), [1..3, 3..4]);
        assert_eq!(divided(2, &[small, None, small, None, None, small]), [0..3, 5..6]);
        let (half, whole) = (Some(600_000), Some(1 << 20));
        assert_eq!(divided(9, &[half, half, small, small]), [0..1, 1..4]);
        assert_eq!(divided(9, &[small, whole, small, whole]), [0..1, 2..3]);
        assert_eq!(divided(9, &[None, whole, None]), []);
        let far: Vec<_> = [small].into_iter().chain(vec![None; 2000]).chain([small]).collect();
        assert_eq!(divided(9, &far), [0..1, 2001..2002]);
    }

    #[test]
    fn a_plan_is_read_as_it_was_written_and_blocks_do_not_overlap() {
        let plan = Plan { maker: maker(), blocks: vec![0..3, 5..6] };
        let written = plan.encode();
        assert_eq!(Plan::decode(&written, 2).unwrap(), plan);
        assert!(Plan::decode(&written, 1).is_err() && Plan::decode(&written, 3).is_err());
        for blocks in [vec![0..3, 2..6], vec![4..6, 0..3], vec![0..0, 1..2]] {
            assert!(Plan::decode(&Plan { maker: maker(), blocks: blocks.clone() }.encode(), 2).is_err(), "{blocks:?}");
        }
    }

    #[test]
    fn more_pictures_than_a_job_can_have_are_refused() {
        let refused = divide(MAX_BLOCKS + 1, 1, |_| Ok(Some(vec![1])));
        assert!(matches!(refused, Err(ClusterError::SupplyTooLarge { .. })), "{refused:?}");
    }
}
