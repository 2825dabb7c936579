//! A job as it stands in the stream: which run of it, and how it is divided. One that was removed stands there still, and says so: a
//! message that is not there was lost.
//!
//! ```text
//! kind 1 (0: duplicates, 2: re-embedding | maker 16) | removed 1 | run 16 | begun 8 | gallery 33 | blocks 4 | plan 4 + n
//! ```

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{BlockId, Kind, MAX_BLOCKS, MAX_CONTENT, RunId};
use crate::ClusterError;
use crate::gallery::Identity;
use crate::keys::{Keys, Purpose};
use crate::seal::Place;
use crate::wire::{Reader, Writer};

/// The name of a job: whoever asks the same of the same gallery has the same job.
pub(super) fn name(kind: Kind, gallery: &Identity, asked: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(b"clearlane cluster 1 job name");
    hash.update(kind.write(&mut Writer::with_capacity(17)).as_slice());
    hash.update(gallery);
    hash.update(asked);
    HEXLOWER.encode(&hash.finalize()[..16])
}

/// That a name can be one.
pub(super) fn check_name(name: &str) -> Result<(), ClusterError> {
    let is_name = name.len() == 32 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let reason = "expected the 32 hexadecimal digits that the list of batches shows";
    if is_name { Ok(()) } else { Err(ClusterError::Setting { setting: "name", reason }) }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) kind: Kind,
    /// Whether it is over, or nobody wants it any more.
    pub(super) removed: bool,
    pub(super) run: RunId,
    /// When it was begun, by the clock of whoever did.
    pub(super) begun: Timestamp,
    /// The gallery that it is about.
    pub(super) gallery: Identity,
    pub(super) blocks: u32,
    /// How it is divided, in its kind's own encoding.
    pub(super) plan: Vec<u8>,
}

impl Job {
    fn place(name: &str) -> Place<'_> {
        Place { partition: u32::MAX, id: name.as_bytes() }
    }

    /// The block of this run that a subject of either stream names, and no other way of writing it.
    pub(super) fn block_of(&self, subject: &str) -> Option<u32> {
        let id = BlockId::of(subject).filter(|id| id.run == self.run && id.block < self.blocks)?;
        (subject == id.work_subject(self.kind) || subject == id.result_subject()).then_some(id.block)
    }

    pub(super) fn seal(&self, keys: &Keys, name: &str) -> Result<Vec<u8>, ClusterError> {
        let mut writer = Writer::with_capacity(83 + self.plan.len());
        self.kind.write(&mut writer).u8(u8::from(self.removed)).bytes(&self.run).i64(self.begun.as_microsecond());
        writer.bytes(&self.gallery).u32(self.blocks).list(&self.plan);
        keys.seal(Purpose::Job, Self::place(name), writer.as_slice())
    }

    pub(super) fn open(keys: &Keys, name: &str, message: &[u8]) -> Result<Self, ClusterError> {
        let content = keys.open(Purpose::Job, Self::place(name), message)?;
        let mut reader = Reader::new("a job", &content);
        let kind = Kind::read(&mut reader)?;
        let removed = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(reader.value("removal")),
        };
        let run = reader.array()?;
        let begun = Timestamp::from_microsecond(reader.i64()?).map_err(|_| reader.value("time"))?;
        let (gallery, blocks) = (reader.array()?, reader.u32()?);
        if blocks > MAX_BLOCKS {
            return Err(reader.value("blocks"));
        }
        let plan = reader.list(MAX_CONTENT)?.to_vec();
        reader.end()?;
        Ok(Self { kind, removed, run, begun, gallery, blocks, plan })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_this_runs_own_and_written_in_one_way() {
        let job = Job {
            kind: Kind::Duplicates,
            removed: false,
            run: [1; 16],
            begun: Timestamp::UNIX_EPOCH,
            gallery: [0; 33],
            blocks: 3,
            plan: Vec::new(),
        };
        let (own, other) = (HEXLOWER.encode(&[1; 16]), HEXLOWER.encode(&[2; 16]));
        for block in 0..3 {
            assert_eq!(job.block_of(&format!("results.{own}.{block}")), Some(block));
            assert_eq!(job.block_of(&format!("work.duplicates.{own}.{block}")), Some(block));
        }
        for subject in [
            format!("results.{other}.0"),
            format!("work.duplicates.{other}.0"),
            format!("results.{own}.3"),
            format!("results.{own}.01"),
            format!("results.{}.0", own.replace('0', "A")),
            format!("results.x.{own}.0"),
            format!("work.another.{own}.0"),
            format!("work.{own}.0"),
            format!("results.{own}"),
        ] {
            assert_eq!(job.block_of(&subject), None, "{subject}");
        }
    }
}
