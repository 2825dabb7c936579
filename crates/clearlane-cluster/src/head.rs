//! Heads: what the registrar says of a partition from time to time, in the stream, so that whoever follows knows that it holds
//! all of it and how old it is.

use crate::ClusterError;
use crate::keys::{Keys, Purpose};
use crate::multiset::Sum;
use crate::seal::Place;
use crate::wire::{Reader, Writer};

/// What the registrar says of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) partition: u32,
    /// Counts up, over restarts too.
    pub(crate) number: u64,
    /// By the registrar's clock, in microseconds since 1970.
    pub(crate) time: i64,
    /// How many subjects have a state, those who are gone included.
    pub(crate) subjects: u64,
    /// The sum of their states' elements.
    pub(crate) sum: Sum,
}

impl Head {
    fn place(partition: u32) -> Place<'static> {
        Place { partition, id: b"head" }
    }

    pub(crate) fn seal(&self, keys: &Keys) -> Result<Vec<u8>, ClusterError> {
        let mut writer = Writer::with_capacity(60);
        writer.u64(self.number).i64(self.time).u64(self.subjects).bytes(&self.sum.to_bytes());
        keys.seal(Purpose::Head, Self::place(self.partition), writer.as_slice())
    }

    pub(crate) fn open(keys: &Keys, partition: u32, message: &[u8]) -> Result<Self, ClusterError> {
        let content = keys.open(Purpose::Head, Self::place(partition), message)?;
        let mut reader = Reader::new("a head", &content);
        let (number, time, subjects) = (reader.u64()?, reader.i64()?, reader.u64()?);
        let sum = Sum::from_bytes(&reader.array()?);
        reader.end()?;
        if jiff::Timestamp::from_microsecond(time).is_err() {
            return Err(reader.value("time"));
        }
        Ok(Self { partition, number, time, subjects, sum })
    }
}

/// Now, by this machine's clock, in microseconds since 1970.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// How far clocks may differ: a head that lies further in the future is refused.
pub const CLOCK_TOLERANCE: std::time::Duration = std::time::Duration::from_secs(1);

/// The tolerance, in microseconds.
pub(crate) const TOLERANCE_US: i64 = CLOCK_TOLERANCE.as_micros() as i64;
