//! A register's crossing records to the centre: each once, however often the process ends in between.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clearlane_store::{Record, Register};
use data_encoding::HEXLOWER;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::RecordSender;
use crate::background::Background;
use crate::{ClusterError, ClusterKey, ClusterOptions};

/// A crossing record as the centre gets it, in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentRecord {
    /// The id of the register that has it, in hexadecimal digits: a register that was made anew counts from 1 again.
    pub register: String,
    /// The record.
    pub record: Record,
}

/// Sends the crossing records of a lane's register, from the first on. It has threads of its own; its calls block.
pub struct RecordForwarder {
    sender: Arc<RecordSender>,
    register: Arc<Register>,
    /// The number of the last record that is sent.
    sent: Mutex<u64>,
    background: Background,
}

impl RecordForwarder {
    /// Sends under the name `lane`, which nobody else sends under, from the record after the last that was sent from this
    /// register. What the brokers do not have yet is kept in `folder`.
    pub fn start(
        key: ClusterKey,
        cluster: &ClusterOptions,
        lane: &str,
        folder: impl Into<PathBuf>,
        register: Arc<Register>,
    ) -> Result<Self, ClusterError> {
        let (background, cluster, folder) = (Background::start()?, cluster.clone(), folder.into());
        let name = lane.to_owned();
        let sender = background.finish(async move { RecordSender::start(key, &cluster, &name, folder).await })?;
        let last = sender.last().and_then(|last| serde_json::from_slice::<SentRecord>(&last).ok());
        let sent = match last.filter(|last| last.register == id(&register)) {
            Some(last) => match register.record(last.record.seq).map_err(ClusterError::Register)? {
                Some(record) if record.hash == last.record.hash => last.record.seq,
                // It was restored from a backup and went on otherwise: the centre gets all of it, rather than lack any.
                _ => {
                    let from = last.record.seq;
                    tracing::warn!(lane, from, "the register has other records than were sent; all are sent again");
                    0
                }
            },
            None => 0,
        };
        Ok(Self { sender: Arc::new(sender), register, sent: Mutex::new(sent), background })
    }

    /// Sends the records that came since: they are on this machine's disk a second time when this returns, and go to the centre from
    /// there. Returns how many there were.
    pub fn forward(&self) -> Result<u64, ClusterError> {
        let mut sent = self.sent.lock();
        let mut count = 0;
        while let Some(record) = self.register.record(*sent + 1).map_err(ClusterError::Register)? {
            let message = SentRecord { register: id(&self.register), record };
            let bytes = serde_json::to_vec(&message)
                .map_err(|_| ClusterError::Value { what: "a crossing record", field: "record" })?;
            self.sender.send(&bytes)?;
            *sent += 1;
            count += 1;
        }
        Ok(count)
    }

    /// Sends what came since, waits until the brokers have it, for `wait` at most, and says how many records they do not have
    /// then: these are sent by whoever starts next under this name.
    pub fn flush(&self, wait: Duration) -> Result<u64, ClusterError> {
        self.forward()?;
        let sender = Arc::clone(&self.sender);
        self.background.run(wait, async move { sender.flush().await })?;
        Ok(self.sender.waiting())
    }
}

fn id(register: &Register) -> String {
    HEXLOWER.encode(register.id().as_ref())
}
