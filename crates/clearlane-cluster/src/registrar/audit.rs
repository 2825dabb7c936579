//! What a node cannot bring together is looked at: brokers may lose a message, or show an older one in its place, and tell nobody.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::Message;
use async_nats::jetstream::Context;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use super::load;
use crate::gallery::{GalleryConfig, Slot};
use crate::keys::Keys;
use crate::multiset::Element;
use crate::notice::{self, NOTICES};
use crate::{ClusterError, state};

/// A partition is read no more often than this, and for a fifth of the time at most.
const REST: Duration = Duration::from_secs(5);

/// What the stream holds of a partition.
pub(super) struct Audit {
    pub(super) partition: u32,
    /// The stream's last sequence when reading began.
    pub(super) until: u64,
    /// The element of each subject whose state opens.
    pub(super) found: HashMap<u64, Element>,
}

/// Reads partitions of which a node or a lane says that they are not what the heads say.
pub(super) struct Auditor {
    context: Context,
    config: GalleryConfig,
    keys: Arc<Keys>,
    audits: mpsc::Sender<Audit>,
    /// Until when a partition is left alone.
    resting: HashMap<u32, Instant>,
}

impl Auditor {
    pub(super) fn new(context: Context, config: GalleryConfig, keys: Arc<Keys>, audits: mpsc::Sender<Audit>) -> Self {
        Self { context, config, keys, audits, resting: HashMap::new() }
    }

    /// Works until nobody takes what was read.
    pub(super) async fn run(mut self) -> Result<(), ClusterError> {
        let subscribed = self.context.client().subscribe(NOTICES).await;
        let mut notices = subscribed.map_err(ClusterError::broker("take the subscription to notices"))?;
        loop {
            let notice = tokio::select! {
                notice = notices.next() => notice,
                () = self.audits.closed() => return Ok(()),
            };
            let Some(notice) = notice else { return Ok(()) };
            let Some(partition) = self.named(&notice) else { continue };
            let begun = Instant::now();
            match self.read(partition).await {
                Ok(audit) => _ = self.audits.send(audit).await,
                Err(error) => tracing::warn!(partition, %error, "a partition that differs at a node cannot be read"),
            }
            self.resting.insert(partition, Instant::now() + REST.max(4 * begun.elapsed()));
        }
    }

    /// The partition that a notice names, unless it was looked at just now.
    fn named(&self, message: &Message) -> Option<u32> {
        let partition = match notice::open(&self.keys, &message.subject, &message.payload) {
            Ok(partition) => partition,
            Err(error) => {
                tracing::warn!(subject = %message.subject, %error, "a notice is refused");
                return None;
            }
        };
        let rested = self.resting.get(&partition).is_none_or(|until| *until <= Instant::now());
        (partition < self.config.partitions && rested).then_some(partition)
    }

    async fn read(&self, partition: u32) -> Result<Audit, ClusterError> {
        let until = load::end(&self.context).await?;
        let mut found = HashMap::new();
        let filter = format!("gallery.{partition}.>");
        load::messages(&self.context, filter, 1..=until, |_, subject, payload| {
            if let Some(Slot::State { subject, .. }) = Slot::of(subject)
                && let Ok(state) = state::open(&self.keys, &self.config, partition, subject, payload)
            {
                found.insert(subject, state.element);
            }
            Ok(())
        })
        .await?;
        Ok(Audit { partition, until, found })
    }
}
