//! What a head has vouched for: what searches see of a partition.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clearlane_match::Snapshot;
use parking_lot::RwLock;

use crate::question::At;

/// How a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Health {
    /// It is being read, and no head has vouched for it yet.
    Loading,
    /// It is as the newest head says.
    Following,
    /// It differs from what the newest heads say; answers are of the last head that agreed.
    Differs,
    /// It differed for too long, and is read from the stream again; there are no answers.
    Reloading,
}

/// A partition as it stood at a head.
struct Published {
    at: At,
    /// `None` where no head has vouched for anything.
    snapshot: Option<Snapshot>,
    /// When the head was taken in.
    heard: Instant,
    health: Health,
    /// Counts up with every head that was taken in.
    version: u64,
    /// Each enrolled subject's details, and the version that brought them.
    details: HashMap<u64, (u64, Arc<[u8]>)>,
}

/// What the thread that follows shows to those that search.
pub(crate) struct Shared {
    published: RwLock<Published>,
    refused: AtomicU64,
    reloads: AtomicU64,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let published = Published {
            at: At::default(),
            snapshot: None,
            heard: Instant::now(),
            health: Health::Loading,
            version: 0,
            details: HashMap::new(),
        };
        Self { published: RwLock::new(published), refused: AtomicU64::new(0), reloads: AtomicU64::new(0) }
    }

    /// Shows the state at a head, all of it in one step.
    pub(crate) fn publish(&self, at: At, snapshot: Snapshot, changed: &mut HashMap<u64, Option<Arc<[u8]>>>) {
        let mut published = self.published.write();
        let version = published.version + 1;
        published.version = version;
        for (subject, details) in changed.drain() {
            match details {
                Some(details) => _ = published.details.insert(subject, (version, details)),
                None => _ = published.details.remove(&subject),
            }
        }
        published.at = at;
        published.snapshot = Some(snapshot);
        published.heard = Instant::now();
        published.health = Health::Following;
    }

    /// What a search starts from: where it stands, the version, and the templates there, where a head was heard within `max_age`. A
    /// clock that was set back does not make an old head young again.
    pub(crate) fn now(&self, max_age: Duration) -> (At, u64, Option<Snapshot>) {
        let published = self.published.read();
        let heard = published.heard.elapsed() <= max_age;
        (published.at, published.version, published.snapshot.clone().filter(|_| heard))
    }

    /// The details of subjects as they stood at a version, unless one of them changed since.
    pub(crate) fn details(&self, version: u64, subjects: impl Iterator<Item = u64>) -> Option<Vec<Arc<[u8]>>> {
        let published = self.published.read();
        let details = subjects.map(|subject| {
            let known = published.details.get(&subject).filter(|(since, _)| *since <= version);
            known.map(|(_, details)| Arc::clone(details))
        });
        details.collect()
    }

    /// Where it stands, how it is and since when it was not told anything.
    pub(crate) fn standing(&self) -> (At, Health, Instant) {
        let published = self.published.read();
        (published.at, published.health, published.heard)
    }

    /// Whether it is as the newest head says.
    pub(crate) fn is_following(&self) -> bool {
        self.published.read().health == Health::Following
    }

    /// How many templates searches see.
    pub(crate) fn templates(&self) -> usize {
        self.published.read().snapshot.as_ref().map_or(0, Snapshot::len)
    }

    /// Shows nothing any more.
    pub(super) fn withdraw(&self, health: Health) {
        self.reloads.fetch_add(1, Ordering::Relaxed);
        let mut published = self.published.write();
        published.snapshot = None;
        published.at = At::default();
        published.health = health;
        published.details.clear();
    }

    pub(super) fn differs(&self) {
        let mut published = self.published.write();
        if published.health == Health::Following {
            published.health = Health::Differs;
        }
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Messages that were refused, and how often all was read again.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.refused.load(Ordering::Relaxed), self.reloads.load(Ordering::Relaxed))
    }
}
