//! The centre's side: every lane's records, verified and once each, and which lane lacks what.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::{BEGINNING, Linked, record_keys};
use crate::feed::{Event, Feed, Follow};
use crate::gallery::{RECORDS_STREAM, RECORDS_SUBJECTS};
use crate::keys::Keys;
use crate::{ClusterError, ClusterKey, ClusterOptions, stream};

/// Messages taken in at a time.
const AT_ONCE: usize = 256;

/// Where a lane's chain ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LaneEnd {
    /// How many records it had.
    pub count: u64,
    /// The hash that follows from all of them, in hexadecimal digits.
    pub link: String,
}

/// How far records were collected: to be kept with them, in one transaction, so that collecting goes on from there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CollectorState {
    /// The stream's last sequence that was taken in.
    pub sequence: u64,
    /// The end of every lane's chain.
    pub lanes: BTreeMap<String, LaneEnd>,
}

/// What a lane's chain is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordFault {
    /// Records are missing.
    #[error("the records {from} to {until} are missing")]
    Gap {
        /// The first.
        from: u64,
        /// The last.
        until: u64,
    },
    /// Two different records have one count, or one does not follow from the record before it.
    #[error("record {count} does not follow from the one before it: two lanes have one name, or its disk was put back")]
    Forked {
        /// The record's count.
        count: u64,
    },
    /// A message that is no record of this lane.
    #[error("message {sequence} is refused: {reason}")]
    Refused {
        /// Its sequence in the stream.
        sequence: u64,
        /// Why.
        reason: String,
    },
}

/// What a collector hands over: a record, or what is wrong with a lane's chain, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected {
    /// The lane.
    pub lane: String,
    /// The lane's next record: its count, from 1, and what the lane sent.
    pub record: Option<(u64, Vec<u8>)>,
    /// Why the lane's chain is not whole here. Records go on after it.
    pub fault: Option<RecordFault>,
}

/// Collects the crossing records of all lanes.
pub struct RecordCollector {
    feed: Feed,
    keys: Keys,
    state: CollectorState,
    waiting: VecDeque<Event>,
}

impl RecordCollector {
    /// Makes the stream of records where there is none, with so many replicas, and goes on from a state.
    pub async fn start(
        key: ClusterKey,
        cluster: &ClusterOptions,
        replicas: usize,
        state: CollectorState,
    ) -> Result<Self, ClusterError> {
        let context = cluster.connect().await?;
        stream::records(&context, replicas, None).await?;
        let follow = Follow {
            stream: RECORDS_STREAM,
            filter: RECORDS_SUBJECTS.to_owned(),
            from: state.sequence + 1,
            // Lanes may be silent all night; a broker that is says so by its missing heartbeats.
            silence: Duration::from_hours(24),
        };
        Ok(Self { feed: Feed::start(context, follow), keys: record_keys(&key)?, state, waiting: VecDeque::new() })
    }

    /// How far records were handed over.
    #[must_use]
    pub fn state(&self) -> &CollectorState {
        &self.state
    }

    /// The next record, or what is wrong with a lane's chain. [`Self::state`] has it in then: keep both in one transaction.
    pub async fn next(&mut self) -> Collected {
        loop {
            match self.waiting.pop_front() {
                Some(Event::Message { sequence, subject, payload, .. }) => {
                    if let Some(collected) = self.take(sequence, &subject, &payload) {
                        return collected;
                    }
                }
                // The stream was made anew: lanes' chains go on in it all the same.
                Some(Event::Rewound) => self.state.sequence = 0,
                None => self.waiting = self.feed.next(AT_ONCE).await.into(),
            }
        }
    }

    /// Verifies a message. `None` for a record that came before.
    fn take(&mut self, sequence: u64, subject: &str, message: &[u8]) -> Option<Collected> {
        self.state.sequence = sequence;
        let lane = subject.strip_prefix("records.").unwrap_or(subject).to_owned();
        let linked = match Linked::open(&self.keys, &lane, message) {
            Ok(linked) => linked,
            Err(error) => {
                let fault = RecordFault::Refused { sequence, reason: error.to_string() };
                return Some(Collected { lane, record: None, fault: Some(fault) });
            }
        };
        let link = HEXLOWER.encode(&linked.link(&lane));
        let end = self.state.lanes.get(&lane).cloned();
        let end = end.unwrap_or_else(|| LaneEnd { count: 0, link: HEXLOWER.encode(&BEGINNING) });
        let count = linked.count;
        if count <= end.count {
            // It came before; the newest can still be compared.
            let forked = count == end.count && link != end.link;
            return forked.then_some(Collected { lane, record: None, fault: Some(RecordFault::Forked { count }) });
        }
        let fault = if count > end.count + 1 {
            Some(RecordFault::Gap { from: end.count + 1, until: count - 1 })
        } else {
            (HEXLOWER.encode(&linked.previous) != end.link).then_some(RecordFault::Forked { count })
        };
        self.state.lanes.insert(lane.clone(), LaneEnd { count, link });
        Some(Collected { lane, record: Some((count, linked.record)), fault })
    }
}
