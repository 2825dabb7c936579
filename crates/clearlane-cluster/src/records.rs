//! Crossing records on their way from the lanes to the centre: at least once, each lane's in a chain, so that the centre sees
//! what is missing, altered or twice.

mod collector;
mod forwarder;
mod outbox;
mod sender;

use sha2::{Digest as _, Sha256};

use crate::ClusterError;
use crate::keys::{ClusterKey, Keys, Purpose};
use crate::seal::Place;
use crate::wire::{Reader, Writer};

pub use collector::{Collected, CollectorState, LaneEnd, RecordCollector, RecordFault};
pub use forwarder::{RecordForwarder, SentRecord};
pub use sender::RecordSender;

/// The largest record, in bytes.
pub const MAX_RECORD: usize = 64 << 10;

/// A hash that follows from a record and all before it.
type Link = [u8; 32];

/// What comes before a lane's first record.
const BEGINNING: Link = [0; 32];

/// A lane's name, which is a part of a subject of the brokers.
pub(crate) fn check_name(name: &str) -> Result<(), ClusterError> {
    let sound = |character: char| character.is_ascii_alphanumeric() || character == '-' || character == '_';
    if (1..=64).contains(&name.len()) && name.chars().all(sound) {
        return Ok(());
    }
    Err(ClusterError::Name { name: name.to_owned() })
}

/// Where a lane's records stand.
pub(crate) fn lane_subject(lane: &str) -> String {
    format!("records.{lane}")
}

/// Keys of records: of no gallery, since a lane's chain outlives a gallery's stream.
fn record_keys(key: &ClusterKey) -> Result<Keys, ClusterError> {
    Keys::new(key.clone(), &[])
}

/// A record of a lane, with its place in the lane's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Linked {
    /// From 1.
    count: u64,
    /// The link of the record before.
    previous: Link,
    record: Vec<u8>,
}

impl Linked {
    /// The link that this record adds to its lane's chain.
    fn link(&self, lane: &str) -> Link {
        let mut hash = Sha256::new();
        hash.update(b"clearlane cluster 1 record chain");
        hash.update((lane.len() as u64).to_be_bytes());
        hash.update(lane.as_bytes());
        hash.update(self.count.to_be_bytes());
        hash.update(self.previous);
        hash.update(&self.record);
        hash.finalize().into()
    }

    /// The message: the count, then what is sealed for this lane and count.
    fn seal(&self, keys: &Keys, lane: &str) -> Result<Vec<u8>, ClusterError> {
        let mut writer = Writer::with_capacity(36 + self.record.len());
        writer.bytes(&self.previous).list(&self.record);
        let mut message = self.count.to_be_bytes().to_vec();
        let id = place(lane, self.count);
        message.extend(keys.seal(Purpose::Record, Place { partition: u32::MAX, id: &id }, writer.as_slice())?);
        Ok(message)
    }

    fn open(keys: &Keys, lane: &str, message: &[u8]) -> Result<Self, ClusterError> {
        let short = ClusterError::Short { what: "a crossing record", bytes: message.len() };
        let (count, sealed) = message.split_first_chunk::<8>().ok_or(short)?;
        let count = u64::from_be_bytes(*count);
        let id = place(lane, count);
        let content = keys.open(Purpose::Record, Place { partition: u32::MAX, id: &id }, sealed)?;
        let mut reader = Reader::new("a crossing record", &content);
        let (previous, record) = (reader.array()?, reader.list(MAX_RECORD)?.to_vec());
        reader.end()?;
        Ok(Self { count, previous, record })
    }
}

fn place(lane: &str, count: u64) -> Vec<u8> {
    let mut place = lane.as_bytes().to_vec();
    place.extend_from_slice(&count.to_be_bytes());
    place
}
