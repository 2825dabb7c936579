//! What a node cannot bring together is looked at: brokers may lose a message, or show an older one in its place, and tell nobody.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_nats::Message;
use async_nats::jetstream::Context;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::load;
use crate::gallery::{GalleryConfig, Slot};
use crate::keys::Keys;
use crate::multiset::Element;
use crate::notice::{self, NOTICES};
use crate::{ClusterError, ClusterKey, state, stream};

/// Partitions are read no more often than this, and for a fifth of the time at most.
const REST: Duration = Duration::from_secs(5);
/// How often the configuration is looked at: without it no node starts that could say so.
const CONFIGURATION_EVERY: Duration = Duration::from_secs(15);

/// What is to be held against the book.
pub(super) enum Finding {
    Partition(Audit),
    /// The configuration is not this gallery's.
    Configuration,
}

/// What was read of a partition.
pub(super) struct Audit {
    pub(super) partition: u32,
    /// The last sequence that was read: brokers give no message before all that come before it.
    pub(super) until: u64,
    /// The element of each subject whose state opens.
    pub(super) found: HashMap<u64, Element>,
}

/// Reads partitions of which a node or a lane says that they are not what the heads say.
pub(super) struct Auditor {
    context: Context,
    config: GalleryConfig,
    key: ClusterKey,
    keys: Arc<Keys>,
    findings: mpsc::Sender<Finding>,
    /// Partitions that are to be read.
    named: BTreeSet<u32>,
    /// The last one that was.
    last: u32,
    /// Until when none is.
    resting: Instant,
}

impl Auditor {
    pub(super) fn new(
        context: Context,
        config: GalleryConfig,
        key: ClusterKey,
        keys: Arc<Keys>,
        findings: mpsc::Sender<Finding>,
    ) -> Self {
        let (named, last, resting) = (BTreeSet::new(), 0, Instant::now());
        Self { context, config, key, keys, findings, named, last, resting }
    }

    /// Works until nobody takes what was found.
    pub(super) async fn run(self) {
        let findings = self.findings.clone();
        tokio::select! {
            ended = self.audit() => {
                let reason = ended.map_or_else(|error| error.to_string(), |()| "the connection has ended".to_owned());
                tracing::error!(reason, "what nodes miss is not heard any more: restart the registrar");
            }
            () = findings.closed() => {}
        }
    }

    async fn audit(mut self) -> Result<(), ClusterError> {
        let subscribed = self.context.client().subscribe(NOTICES).await;
        let mut notices = subscribed.map_err(ClusterError::broker("take the subscription to notices"))?;
        let mut every = tokio::time::interval(CONFIGURATION_EVERY);
        loop {
            tokio::select! {
                notice = notices.next() => match notice {
                    Some(notice) => self.hear(&notice),
                    None => return Ok(()),
                },
                _ = every.tick() => self.look_at_configuration().await,
                () = sleep_until(self.resting), if !self.named.is_empty() => self.read_next().await,
            }
        }
    }

    fn hear(&mut self, notice: &Message) {
        match notice::open(&self.keys, &notice.subject, &notice.payload) {
            Ok(partition) if partition < self.config.partitions => _ = self.named.insert(partition),
            Ok(_) => {}
            // An old one, or somebody without the key: nothing is done for it.
            Err(error) => tracing::debug!(subject = %notice.subject, %error, "a notice is refused"),
        }
    }

    async fn look_at_configuration(&self) {
        match stream::read_config(&self.context, &self.key).await {
            Ok(Some(config)) if config == self.config => {}
            // Where it cannot be looked at now, it is the next time.
            Err(ClusterError::Broker { .. }) => {}
            _ => _ = self.findings.send(Finding::Configuration).await,
        }
    }

    /// Reads the next partition that was named, in turn.
    async fn read_next(&mut self) {
        let next = self.named.range(self.last + 1..).next().or_else(|| self.named.first());
        let Some(partition) = next.copied() else { return };
        self.named.remove(&partition);
        self.last = partition;
        let begun = Instant::now();
        match self.read(partition).await {
            Ok(audit) => _ = self.findings.send(Finding::Partition(audit)).await,
            Err(error) => tracing::warn!(partition, %error, "a partition that differs at a node cannot be read"),
        }
        self.resting = Instant::now() + REST.max(4 * begun.elapsed());
    }

    async fn read(&self, partition: u32) -> Result<Audit, ClusterError> {
        let part = 1..=load::end(&self.context).await?;
        let (mut until, mut found) = (0, HashMap::new());
        let filter = format!("gallery.{partition}.>");
        load::messages(&self.context, filter, part, |sequence, subject, payload| {
            until = sequence;
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
