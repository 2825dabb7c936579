//! The registrar's one thread of work, which orders everything that is published: the states of those who changed in the
//! register, until they are acknowledged, and only then a head that says so.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use clearlane_template::SubjectId;
use tokio::sync::{mpsc, watch};

use super::audit::Finding;
use super::book::{Book, Entry};
use super::publish::{Outgoing, Publisher, Standing};
use super::source::Source;
use super::write::{Publication, Waiting};
use super::{Progress, load};
use crate::ClusterError;
use crate::gallery::{CONFIG_SUBJECT, GalleryConfig, head_subject, state_subject};
use crate::head::{self, Head};
use crate::keys::Keys;
use crate::partition::partition_of;
use crate::state::SealedState;

/// States that are in flight together.
const AT_ONCE: usize = 256;
/// Heads follow changes no faster than this.
const HEAD_AFTER: Duration = Duration::from_millis(20);

pub(super) struct Worker {
    context: Context,
    config: GalleryConfig,
    keys: Arc<Keys>,
    book: Book,
    /// Away only while a thread for blocking work has it.
    source: Option<Source>,
    publisher: Publisher,
    /// The gallery's configuration as it stands in the stream, for when somebody replaces it.
    sealed_config: bytes::Bytes,
    head_every: Duration,
    last_head: Instant,
    /// When the register was looked at last: what was committed before, by whomever, is published or waits to be.
    looked: i64,
    /// Changes that no head has said yet.
    unsaid: bool,
    /// Sequences of this process's messages since the book's end.
    own: HashSet<u64>,
    /// The highest of them.
    highest: u64,
    /// The first sequence that the brokers gave twice: they lost what they had there, and all after it.
    lost: Option<u64>,
    foreign: u64,
    /// Subjects that may stand in the stream otherwise than in the register.
    dirty: BTreeSet<SubjectId>,
    /// Subjects whose acknowledged state the brokers have lost.
    restoring: BTreeSet<SubjectId>,
    /// Whether all have to be compared.
    compare: bool,
    /// Those who wait for a subject to be published.
    waiting: Vec<Waiting>,
    progress: watch::Sender<Progress>,
}

impl Worker {
    #[allow(clippy::too_many_arguments)] // Parts of one thing, made in one place.
    pub(super) fn new(
        context: Context,
        config: GalleryConfig,
        keys: Arc<Keys>,
        book: Book,
        source: Source,
        publisher: Publisher,
        sealed_config: bytes::Bytes,
        head_every: Duration,
        progress: watch::Sender<Progress>,
    ) -> Self {
        let (source, highest) = (Some(source), book.last_sequence);
        Self {
            context,
            config,
            keys,
            book,
            source,
            publisher,
            sealed_config,
            head_every,
            last_head: Instant::now(),
            looked: head::now(),
            unsaid: true,
            own: HashSet::new(),
            highest,
            lost: None,
            foreign: 0,
            dirty: BTreeSet::new(),
            restoring: BTreeSet::new(),
            compare: true,
            waiting: Vec::new(),
            progress,
        }
    }

    /// Works until nobody can bring more.
    pub(super) async fn run(
        mut self,
        mut written: mpsc::Receiver<Waiting>,
        mut findings: mpsc::Receiver<Finding>,
    ) -> Result<(), ClusterError> {
        let mut open = true;
        while open || !self.restoring.is_empty() {
            let rest = if self.restoring.is_empty() {
                self.due().saturating_sub(self.last_head.elapsed())
            } else {
                HEAD_AFTER
            };
            let mut batch = Vec::new();
            if let Ok(received) = tokio::time::timeout(rest, written.recv_many(&mut batch, AT_ONCE)).await {
                open = received > 0;
            }
            match self.round(batch, open, &mut findings).await {
                Ok(()) => {}
                // What is to be published stays so; what was acknowledged meanwhile is replaced.
                Err(error @ ClusterError::Broker { .. }) => {
                    tracing::warn!(%error, "the brokers could not be asked; trying again");
                    tokio::time::sleep(HEAD_AFTER).await;
                }
                // A register that cannot be read may have revoked somebody: no head says that all is known.
                Err(error @ (ClusterError::Register(_) | ClusterError::Template(_))) => {
                    tracing::error!(%error, "the register cannot be read; no head is published");
                    tokio::time::sleep(HEAD_AFTER).await;
                    self.last_head = Instant::now();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Publishes what changed, heads where they are due, and a part of what the brokers have lost.
    async fn round(
        &mut self,
        batch: Vec<Waiting>,
        open: bool,
        findings: &mut mpsc::Receiver<Finding>,
    ) -> Result<(), ClusterError> {
        self.take(batch).await?;
        if self.last_head.elapsed() >= self.due() || !open {
            self.publish_heads().await?;
            // After heads, which another registrar's would have refused: it is this one's gallery that is put right.
            if let Ok(finding) = findings.try_recv() {
                self.put_right(finding).await?;
            }
        }
        self.restore().await
    }

    /// How long after the last heads the next ones go out.
    fn due(&self) -> Duration {
        if self.unsaid { HEAD_AFTER } else { self.head_every }
    }

    /// Does blocking work with the register and what the stream is known to hold.
    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Source, &Book) -> T + Send + 'static,
    ) -> Result<T, ClusterError> {
        let mut source = self.source.take().ok_or(ClusterError::Stopped)?;
        let book = std::mem::replace(&mut self.book, Book::new(&self.config));
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&mut source, &book);
            (source, book, done)
        });
        let (source, book, done) = done.await.map_err(|_| ClusterError::Stopped)?;
        (self.source, self.book) = (Some(source), book);
        Ok(done)
    }

    /// Publishes whatever changed in the register, by whomever; `waiting` are those who wait for it.
    async fn take(&mut self, waiting: Vec<Waiting>) -> Result<(), ClusterError> {
        self.looked = head::now();
        self.dirty.extend(waiting.iter().map(|(subject, _)| *subject));
        self.waiting.extend(waiting);
        let changed = self.blocking(|source, _| source.changed()).await?;
        match changed? {
            Some(changed) => self.dirty.extend(changed),
            None => self.compare = true,
        }
        self.publish().await
    }

    /// Has published again what the stream does not show though the brokers acknowledged it.
    async fn put_right(&mut self, finding: Finding) -> Result<(), ClusterError> {
        let audit = match finding {
            Finding::Partition(audit) => audit,
            Finding::Configuration => {
                tracing::error!("the brokers do not show the gallery's configuration; it is published again");
                return self.publish_config(0).await;
            }
        };
        let partition = audit.partition;
        let missing = self.blocking(move |_, book| book.missing(&audit)).await?;
        if missing.is_empty() {
            tracing::info!(partition, "what was read of a partition that differs somewhere is what it should be");
            return Ok(());
        }
        let count = missing.len();
        tracing::error!(partition, count, "the brokers do not show what they had acknowledged; it is published again");
        self.book.miss(&missing);
        self.restoring.extend(missing);
        Ok(())
    }

    /// Publishes a part of what the brokers have lost, so that heads go out between the parts: the book has all of it.
    async fn restore(&mut self) -> Result<(), ClusterError> {
        let part: Vec<_> = self.restoring.iter().copied().take(AT_ONCE).collect();
        if part.is_empty() {
            return Ok(());
        }
        let subjects = part.clone();
        let states = self.blocking(move |source, book| source.states(subjects, book)).await??;
        self.publish_states(states).await?;
        for subject in part {
            self.restoring.remove(&subject);
        }
        Ok(())
    }

    /// Publishes all that the register holds and the stream is not known to, and answers those who wait.
    pub(super) async fn publish(&mut self) -> Result<(), ClusterError> {
        if self.compare {
            let differing = self.blocking(Source::differences).await??;
            if !differing.is_empty() {
                tracing::info!(subjects = differing.len(), "publishing what the stream does not hold");
            }
            self.dirty.extend(differing);
            self.compare = false;
        }
        let dirty: Vec<_> = self.dirty.iter().copied().collect();
        for chunk in dirty.chunks(AT_ONCE) {
            let subjects = chunk.to_vec();
            let states = self.blocking(move |source, book| source.states(subjects, book)).await??;
            self.publish_states(states).await?;
            for subject in chunk {
                self.dirty.remove(subject);
            }
        }
        let (book, head) = (&self.book, self.book.head_number + 1);
        for (subject, published) in self.waiting.drain(..) {
            if let Some(entry) = book.get(subject) {
                // Whoever does not wait any more does not mind.
                let partition = partition_of(subject, self.config.partitions);
                _ = published.send(Publication { partition, sequence: entry.sequence, head });
            }
        }
        Ok(())
    }

    async fn publish_states(&mut self, states: Vec<SealedState>) -> Result<(), ClusterError> {
        if states.is_empty() {
            return Ok(());
        }
        self.unsaid = true;
        let messages = states.iter().map(|state| {
            let after = self.book.get(state.subject).map_or(0, |entry| entry.sequence);
            let subject = state_subject(state.partition, state.subject.0);
            self.publisher.outgoing(subject, state.message.clone(), after)
        });
        let messages: Vec<_> = messages.collect();
        // Whatever stands there is replaced: the register is the truth.
        let sequences = self.publisher.all(messages, |_, _| Ok(())).await?;
        for (state, sequence) in states.iter().zip(sequences) {
            let entry = Entry { sequence, element: state.element, enrolled: state.enrolled, stands: true };
            self.book.set(state.subject, entry);
            self.published(sequence);
        }
        Ok(())
    }

    fn published(&mut self, sequence: u64) {
        if sequence <= self.book.last_sequence || !self.own.insert(sequence) {
            self.lost = Some(self.lost.map_or(sequence, |lost| lost.min(sequence)));
        }
        self.highest = self.highest.max(sequence);
    }

    /// Publishes a head of every partition, all of one time, and looks whether anybody else publishes. Their time is when the register
    /// was looked at: publishing may have taken long, and somebody may have been revoked meanwhile.
    pub(super) async fn publish_heads(&mut self) -> Result<(), ClusterError> {
        self.last_head = Instant::now();
        let time = self.looked;
        if time < self.book.head_time {
            let behind = (self.book.head_time - time) / 1000;
            tracing::error!(behind, "this machine's clock is milliseconds behind the newest head: correct the clock");
            return Ok(());
        }
        // One that may have been stored is not counted again, whatever comes of it.
        self.book.head_number += 1;
        let number = self.book.head_number;
        let mut messages = Vec::with_capacity(self.book.parts.len());
        for (partition, part) in (0..).zip(&self.book.parts) {
            let head = Head { partition, number, time, subjects: part.subjects, sum: part.sum };
            let payload = head.seal(&self.keys)?.into();
            messages.push(self.publisher.outgoing(head_subject(partition), payload, part.head));
        }
        let keys = Arc::clone(&self.keys);
        let sequences =
            self.publisher.all(messages, |message, standing| fence(&keys, message, standing, number)).await?;
        self.book.head_time = time;
        self.unsaid = false;
        for (partition, sequence) in sequences.into_iter().enumerate() {
            self.book.parts[partition].head = sequence;
            self.published(sequence);
        }
        self.account().await?;
        self.progress.send_replace(Progress {
            head: number,
            time,
            sequence: self.book.last_sequence,
            subjects: self.book.parts.iter().map(|part| part.subjects).sum(),
            foreign: self.foreign,
        });
        Ok(())
    }

    /// All sequences since the last time have to be this process's own: nobody else writes here. What somebody did is
    /// replaced.
    async fn account(&mut self) -> Result<(), ClusterError> {
        if let Some(lost) = self.lost {
            let subjects = self.book.lost(lost);
            let count = subjects.len();
            tracing::error!(from = lost, count, "the brokers lost what they had acknowledged; it is published again");
            self.restoring.extend(subjects);
            self.book.last_sequence = lost - 1;
            self.own.clear();
            self.highest = self.book.last_sequence;
            // The sequences that were given since are told apart by what stands there.
            self.foreign().await?;
            self.publish_config(lost).await?;
            // Where one of these failed, all of it is done again.
            self.lost = None;
        } else if self.highest - self.book.last_sequence == self.own.len() as u64 {
            self.book.last_sequence = self.highest;
        } else {
            self.foreign().await?;
        }
        self.own.clear();
        Ok(())
    }

    /// Puts the gallery's configuration where it should stand, unless it has stood there since before `lost`.
    async fn publish_config(&mut self, lost: u64) -> Result<(), ClusterError> {
        let place = self.publisher.outgoing(CONFIG_SUBJECT.to_owned(), self.sealed_config.clone(), 0);
        let sequences = self.publisher.all(vec![place], |_, _| Ok(())).await?;
        sequences.into_iter().filter(|sequence| *sequence >= lost).for_each(|sequence| self.published(sequence));
        Ok(())
    }

    /// Looks for what is not this process's own after the book's end.
    async fn foreign(&mut self) -> Result<(), ClusterError> {
        let found =
            load::foreign(&self.context, &self.config, &self.keys, &mut self.book, &self.own, &self.sealed_config)
                .await?;
        self.foreign += found.count;
        if found.config_replaced {
            self.publish_config(0).await?;
        }
        self.highest = self.highest.max(self.book.last_sequence);
        self.dirty.extend(found.subjects);
        Ok(())
    }
}

/// Whether a head may take the place of the one that stands there: not of a newer one, which another registrar made.
fn fence(keys: &Keys, message: &Outgoing, standing: &Standing, number: u64) -> Result<(), ClusterError> {
    let partition = message.subject.split('.').nth(1).and_then(|partition| partition.parse().ok()).unwrap_or(0);
    match Head::open(keys, partition, &standing.payload) {
        Ok(head) if head.number >= number => Err(ClusterError::AnotherRegistrar),
        // An older one that was put there again, or nothing that opens.
        _ => Ok(()),
    }
}
