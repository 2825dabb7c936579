//! A job as it stands in the stream: which run of it, and how it is divided.
//!
//! ```text
//! kind 1 | run 16 | gallery 33 | blocks 4 | plan 4 + n
//! ```

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::{Kind, MAX_BLOCKS, MAX_CONTENT, RunId};
use crate::ClusterError;
use crate::gallery::Identity;
use crate::keys::{Keys, Purpose};
use crate::seal::Place;
use crate::wire::{Reader, Writer};

/// The name of a job: whoever asks the same of the same gallery has the same job.
pub(super) fn name(kind: Kind, gallery: &Identity, asked: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(b"clearlane cluster 1 job name");
    hash.update([kind as u8]);
    hash.update(gallery);
    hash.update(asked);
    HEXLOWER.encode(&hash.finalize()[..16])
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) kind: Kind,
    pub(super) run: RunId,
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

    pub(super) fn seal(&self, keys: &Keys, name: &str) -> Result<Vec<u8>, ClusterError> {
        let mut writer = Writer::with_capacity(64 + self.plan.len());
        writer.u8(self.kind as u8).bytes(&self.run).bytes(&self.gallery).u32(self.blocks).list(&self.plan);
        keys.seal(Purpose::Job, Self::place(name), writer.as_slice())
    }

    pub(super) fn open(keys: &Keys, name: &str, message: &[u8]) -> Result<Self, ClusterError> {
        let content = keys.open(Purpose::Job, Self::place(name), message)?;
        let mut reader = Reader::new("a job", &content);
        let code = reader.u8()?;
        let kind = Kind::ALL.into_iter().find(|kind| *kind as u8 == code).ok_or_else(|| reader.value("kind"))?;
        let (run, gallery, blocks) = (reader.array()?, reader.array()?, reader.u32()?);
        if blocks > MAX_BLOCKS {
            return Err(reader.value("blocks"));
        }
        let plan = reader.list(MAX_CONTENT)?.to_vec();
        reader.end()?;
        Ok(Self { kind, run, gallery, blocks, plan })
    }
}
