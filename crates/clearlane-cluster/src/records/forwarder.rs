//! A register's crossing records to the centre: each once, however often the process ends in between.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clearlane_store::{Record, RecordQuery, Register};
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
        let sent = last.filter(|last| last.register == id(&register));
        let sent = sent.map_or(Ok(0), |last| goes_on_after(&register, &last.record, lane))?;
        Ok(Self { sender: Arc::new(sender), register, sent: Mutex::new(sent), background })
    }

    /// Sends the records that came since: they are on this machine's disk a second time when this returns, and go to the centre from
    /// there. Returns how many there were.
    pub fn forward(&self) -> Result<u64, ClusterError> {
        let mut sent = self.sent.lock();
        let mut count = 0;
        for record in self.register.records(RecordQuery::default()).after(*sent) {
            let record = record.map_err(ClusterError::Register)?;
            let seq = record.seq;
            if seq > *sent + 1 {
                tracing::warn!(from = *sent + 1, until = seq - 1, "records were pruned before they were sent");
            }
            let message = SentRecord { register: id(&self.register), record };
            let bytes = serde_json::to_vec(&message);
            let bytes = bytes.map_err(|_| ClusterError::Value { what: "a crossing record", field: "record" })?;
            self.sender.send(&bytes)?;
            *sent = seq;
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

/// The number after which a register goes on, of which `last` was sent last.
fn goes_on_after(register: &Register, last: &Record, lane: &str) -> Result<u64, ClusterError> {
    let mut kept = register.records(RecordQuery::default()).after(last.seq.saturating_sub(1));
    let (found, first) = (kept.next(), register.records(RecordQuery::default()).next());
    let (found, first) = (found.transpose(), first.transpose());
    let (found, first) = (found.map_err(ClusterError::Register)?, first.map_err(ClusterError::Register)?);
    let same = found.is_some_and(|found| found.seq == last.seq && found.hash == last.hash);
    let pruned = first.is_some_and(|first| first.seq > last.seq);
    if same || pruned {
        return Ok(last.seq);
    }
    // It was restored from a backup and went on otherwise: the centre gets all of it, rather than lack any.
    tracing::warn!(lane, from = last.seq, "the register has other records than were sent; all are sent again");
    Ok(0)
}

fn id(register: &Register) -> String {
    HEXLOWER.encode(register.id().as_ref())
}
