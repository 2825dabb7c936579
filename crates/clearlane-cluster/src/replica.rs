//! A partition in memory: it takes in the stream's messages, and shows searches what a head has vouched for, and nothing else.

mod log;
mod published;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clearlane_match::{Enrolment, Gallery};
use rayon::prelude::*;

use crate::feed::Event;
use crate::gallery::{GalleryConfig, Slot};
use crate::head::{self, Head, TOLERANCE_US};
use crate::keys::Keys;
use crate::multiset::{Element, Sum};
use crate::question::At;
use crate::state::{self, State};
use crate::{ClusterError, GallerySettings};
use log::{Log, Place};

pub use published::Health;
pub(crate) use published::Shared;

/// So long may heads differ from what is held before all is read again: a subject that changes twice while it is read is
/// missing until its newer state comes.
const PATIENCE: Duration = Duration::from_secs(2);
/// And so many of them.
const DIFFERING: u32 = 4;

/// What is held of a subject.
struct Live {
    element: Element,
    /// Whether the gallery has templates of it.
    searchable: bool,
    /// Where its message lies in the log.
    place: Place,
}

/// What came of taking messages in.
pub(crate) enum Taken {
    /// All is well, or may become so.
    Following,
    /// What is held is not what the registrar says: it has to be read again.
    Differs,
    /// The newest head does not open: it may be another gallery's.
    Strange,
}

/// A partition in memory.
pub(crate) struct Replica {
    partition: u32,
    config: GalleryConfig,
    keys: Arc<Keys>,
    settings: GallerySettings,
    gallery: Arc<Gallery>,
    live: HashMap<u64, Live>,
    sum: Sum,
    /// Details that changed since the last head.
    changed: HashMap<u64, Option<Arc<[u8]>>>,
    shared: Arc<Shared>,
    /// The time of the newest head that was taken for one.
    newest: i64,
    /// Since when heads differ, and how many.
    differing: Option<(Instant, u32)>,
    last_sequence: u64,
    log: Option<Log>,
}

/// A message that was opened, or was not.
enum Opened {
    State(u64, Box<State>, Bytes),
    Head(u64, Head),
    /// Whether it stands where a head should.
    Refused(u64, ClusterError, bool),
    Other,
}

impl Replica {
    /// An empty partition, or what the log in `folder` holds of it. Blocking.
    pub(crate) fn open(
        partition: u32,
        config: GalleryConfig,
        keys: Arc<Keys>,
        settings: GallerySettings,
        folder: Option<&Path>,
        shared: Arc<Shared>,
    ) -> Result<Self, ClusterError> {
        let mut replica = Self {
            partition,
            config,
            keys,
            settings,
            gallery: Arc::new(settings.build(&config)?),
            live: HashMap::new(),
            sum: Sum::default(),
            changed: HashMap::new(),
            shared,
            newest: i64::MIN,
            differing: None,
            last_sequence: 0,
            log: None,
        };
        if let Some(folder) = folder {
            match replica.read_log(folder) {
                Ok(()) => {}
                Err(error @ (ClusterError::File { .. } | ClusterError::InUse { .. })) => return Err(error),
                // What cannot be entered now cannot be at the next start either: all of it is read from the stream.
                Err(error) => {
                    tracing::warn!(partition, %error, "the log cannot be taken in; all is read from the stream");
                    let (log, _) = Log::open(folder, partition, &replica.keys)?;
                    replica.log = Some(log.write(0)?);
                    replica.clear()?;
                }
            }
        }
        Ok(replica)
    }

    /// The sequence from which to follow.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.last_sequence + 1
    }

    /// Takes in what the log holds, and goes on writing it.
    fn read_log(&mut self, folder: &Path) -> Result<(), ClusterError> {
        let started = Instant::now();
        let (mut log, length) = Log::open(folder, self.partition, &self.keys)?;
        let row = 4 * u64::from(self.config.dimension) + log::LEAST;
        let most = (length / row) as usize;
        self.gallery.try_reserve(most)?;
        self.live.reserve(most);
        self.changed.reserve(most);
        while let Some(records) = log.read()? {
            let open = |record: &log::Record| {
                let opened = state::open(&self.keys, &self.config, self.partition, record.subject, &record.message);
                opened.map(|state| (record.sequence, state, record.place))
            };
            let opened: Vec<_> = records.par_iter().map(open).collect();
            let sound = opened.iter().position(Result::is_err).unwrap_or(opened.len());
            if sound < opened.len() {
                tracing::warn!(
                    partition = self.partition,
                    "the log is not sound from a place on; what follows is read from the stream"
                );
                log.cut(records[sound].place);
            }
            self.enter(&opened.into_iter().take(sound).flatten().collect::<Vec<_>>())?;
            if sound < records.len() {
                break;
            }
        }
        let elapsed = started.elapsed();
        tracing::info!(partition = self.partition, subjects = self.live.len(), ?elapsed, "read the log");
        self.log = Some(log.write(self.live.values().map(|live| live.place.length()).sum())?);
        Ok(())
    }

    /// Forgets everything, to read it from the stream again.
    pub(crate) fn clear(&mut self) -> Result<(), ClusterError> {
        self.shared.withdraw(Health::Reloading);
        self.gallery = Arc::new(self.settings.build(&self.config)?);
        self.live.clear();
        self.changed.clear();
        (self.sum, self.differing, self.last_sequence) = (Sum::default(), None, 0);
        self.logging(Log::clear);
        Ok(())
    }

    /// Takes in messages in the stream's order. Blocking.
    pub(crate) fn take(&mut self, events: Vec<Event>) -> Result<Taken, ClusterError> {
        let mut states: Vec<(u64, State, Bytes)> = Vec::new();
        let (mut differs, mut strange, mut caught_up) = (false, false, false);
        for (opened, pending) in self.open_all(events)? {
            caught_up = pending == 0;
            match opened {
                Opened::State(sequence, state, message) => states.push((sequence, *state, message)),
                Opened::Head(sequence, head) => {
                    self.apply(std::mem::take(&mut states))?;
                    differs = self.judge(sequence, &head);
                    strange = false;
                }
                Opened::Refused(sequence, error, is_head) => {
                    strange |= is_head;
                    tracing::warn!(partition = self.partition, sequence, %error, "a message is refused");
                    self.shared.refused();
                }
                Opened::Other => {}
            }
        }
        self.apply(states)?;
        self.keep_log();
        Ok(match (differs, strange) {
            (true, _) if caught_up => Taken::Differs,
            (_, true) if caught_up => Taken::Strange,
            _ => Taken::Following,
        })
    }

    /// Hands the log to the system, and has it written anew where much of it is of no use any more.
    fn keep_log(&mut self) {
        let Some(moved) = self.logging(|log| {
            log.flush()?;
            log.rewritten()
        }) else {
            return;
        };
        if let Some(moved) = moved {
            self.live.values_mut().for_each(|live| live.place = moved.place(live.place));
        }
        if self.log.as_ref().is_some_and(Log::is_wasteful) {
            let places = self.live.values().map(|live| live.place).collect();
            self.logging(|log| log.rewrite(places));
        }
    }

    /// Does something with the log, where there is one. A disk that fails ends the log, and not the node.
    fn logging<T>(&mut self, work: impl FnOnce(&mut Log) -> Result<T, ClusterError>) -> Option<T> {
        match work(self.log.as_mut()?) {
            Ok(done) => Some(done),
            Err(error) => {
                tracing::error!(partition = self.partition, %error, "snapshots are not written any more, until the node starts again");
                self.log = None;
                None
            }
        }
    }

    /// Opens messages, many at once.
    fn open_all(&mut self, events: Vec<Event>) -> Result<Vec<(Opened, u64)>, ClusterError> {
        let mut messages = Vec::with_capacity(events.len());
        for event in events {
            match event {
                Event::Message { sequence, subject, payload, pending } => {
                    self.last_sequence = self.last_sequence.max(sequence);
                    messages.push((sequence, subject, payload, pending));
                }
                Event::Rewound => {
                    tracing::warn!(
                        partition = self.partition,
                        "the stream ends before what was read of it; reading it again"
                    );
                    self.clear()?;
                    messages.clear();
                }
            }
        }
        let open = |(sequence, subject, payload, pending): (u64, String, Bytes, u64)| {
            let opened = match Slot::of(&subject) {
                Some(Slot::State { partition, subject }) if partition == self.partition => {
                    match state::open(&self.keys, &self.config, partition, subject, &payload) {
                        Ok(state) => Opened::State(sequence, Box::new(state), payload),
                        Err(error) => Opened::Refused(sequence, error, false),
                    }
                }
                Some(Slot::Head { partition }) if partition == self.partition => {
                    match Head::open(&self.keys, partition, &payload) {
                        Ok(head) => Opened::Head(sequence, head),
                        Err(error) => Opened::Refused(sequence, error, true),
                    }
                }
                _ => Opened::Other,
            };
            (opened, pending)
        };
        Ok(if messages.len() > 32 {
            messages.into_par_iter().map(open).collect()
        } else {
            messages.into_iter().map(open).collect()
        })
    }

    /// Notes states in the log and enters them.
    fn apply(&mut self, states: Vec<(u64, State, Bytes)>) -> Result<(), ClusterError> {
        let mut placed = Vec::with_capacity(states.len());
        for (sequence, state, message) in states {
            let place = self.logging(|log| log.append(sequence, state.subject.0, &message)).unwrap_or_default();
            placed.push((sequence, state, place));
        }
        self.enter(&placed)
    }

    /// Enters states in the order of the stream; no search sees them before a head has vouched for them.
    fn enter(&mut self, states: &[(u64, State, Place)]) -> Result<(), ClusterError> {
        // Of a subject that changed more than once, the last state alone counts.
        let mut last: HashMap<u64, usize> = HashMap::with_capacity(states.len());
        for (index, (sequence, state, _)) in states.iter().enumerate() {
            self.last_sequence = self.last_sequence.max(*sequence);
            if let Some(earlier) = last.insert(state.subject.0, index) {
                Log::superseded(&mut self.log, states[earlier].2);
            }
        }
        let mut enrolments = Vec::with_capacity(last.len());
        for (index, (_, state, place)) in states.iter().enumerate() {
            if last.get(&state.subject.0) != Some(&index) {
                continue;
            }
            let templates = state.content.as_ref().map_or(&[][..], |content| &content.templates);
            let live = Live { element: state.element, searchable: !templates.is_empty(), place: *place };
            if let Some(before) = self.live.insert(state.subject.0, live) {
                self.sum.remove(&before.element);
                Log::superseded(&mut self.log, before.place);
                if before.searchable {
                    self.gallery.revoke(state.subject)?;
                }
            }
            self.sum.add(&state.element);
            let details = state.content.as_ref().map(|content| Arc::clone(&content.details));
            self.changed.insert(state.subject.0, details);
            let enrol = |(id, template)| Enrolment { subject: state.subject, id, template };
            enrolments.extend(templates.iter().map(|(id, template)| enrol((*id, template))));
        }
        if !enrolments.is_empty() {
            self.gallery.extend(&enrolments)?;
        }
        Ok(())
    }

    /// Compares what is held with what the registrar says, and shows it to searches where they agree. Whether they differ for
    /// too long already.
    fn judge(&mut self, sequence: u64, head: &Head) -> bool {
        let partition = self.partition;
        if head.time < self.newest {
            tracing::warn!(partition, sequence, "a head is older than one before it; it is refused");
            self.shared.refused();
            return false;
        }
        let ahead = head.time.saturating_sub(head::now());
        if ahead > TOLERANCE_US {
            let milliseconds = ahead / 1000;
            tracing::warn!(
                partition,
                milliseconds,
                "a head lies in the future; it is refused: compare this clock and the registrar's"
            );
            self.shared.refused();
            return false;
        }
        self.newest = head.time;
        if head.subjects == self.live.len() as u64 && head.sum == self.sum {
            self.differing = None;
            let at = At { sequence, head: head.number, time: head.time };
            self.shared.publish(at, self.gallery.snapshot(), &mut self.changed);
            self.tidy();
            return false;
        }
        let (since, count) = self.differing.get_or_insert((Instant::now(), 0));
        *count += 1;
        self.shared.differs();
        *count >= DIFFERING && since.elapsed() >= PATIENCE
    }

    /// Gives withdrawn rows' memory back, beside whatever goes on.
    fn tidy(&self) {
        if self.gallery.memory().is_wasteful() {
            let gallery = Arc::clone(&self.gallery);
            rayon::spawn(move || {
                if let Err(error) = gallery.tidy() {
                    tracing::warn!(%error, "withdrawn templates keep their memory");
                }
            });
        }
    }

    /// Brings the log to the disk.
    pub(crate) fn sync(&mut self) {
        self.logging(Log::sync);
    }

    /// What searches see.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}
