//! What the stream holds when a registrar starts, and what somebody else put into it since.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use async_nats::jetstream::Context;
use clearlane_template::SubjectId;

use super::book::{Book, Entry};
use crate::feed::{Event, Feed, Follow};
use crate::gallery::{CONFIG_SUBJECT, GALLERY_STREAM, GALLERY_SUBJECTS, GalleryConfig, Slot};
use crate::head::Head;
use crate::keys::Keys;
use crate::{ClusterError, state};

/// Messages taken in at a time.
const AT_ONCE: usize = 512;

/// How long brokers may be silent before a registrar gives up its start: long enough for them to choose a leader.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a broker may be silent that says it has given everything, and has not: one that lags behind catches up, and where the
/// last messages were deleted nothing comes.
const AT_THE_END: Duration = Duration::from_secs(3);

/// The last sequence that the stream has given.
pub(super) async fn end(context: &Context) -> Result<u64, ClusterError> {
    let failed = "say where the stream ends";
    let stream = context.get_stream(GALLERY_STREAM).await.map_err(ClusterError::broker(failed))?;
    Ok(stream.cached_info().state.last_sequence)
}

/// The messages of a part of the stream, those after it that came along among them. Returns how far it was read.
pub(super) async fn messages(
    context: &Context,
    filter: String,
    part: RangeInclusive<u64>,
    mut take: impl FnMut(u64, &str, &[u8]) -> Result<(), ClusterError>,
) -> Result<u64, ClusterError> {
    let (from, last) = part.into_inner();
    let silence = Duration::from_secs(3);
    let mut feed = Feed::start(context.clone(), Follow { stream: GALLERY_STREAM, filter, from, silence });
    let (mut read, mut at_the_end) = (from.saturating_sub(1), false);
    while read < last {
        let ended =
            |reason: &str| ClusterError::Broker { what: "deliver the stream to its end", reason: reason.to_owned() };
        let patience = if at_the_end { AT_THE_END } else { PATIENCE };
        let Ok(events) = tokio::time::timeout(patience, feed.next(AT_ONCE)).await else {
            return if at_the_end { Ok(last) } else { Err(ended("silence")) };
        };
        for event in events {
            let Event::Message { sequence, subject, payload, pending } = event else {
                return Err(ended("the stream ends before what was read of it"));
            };
            take(sequence, &subject, &payload)?;
            (read, at_the_end) = (sequence, pending == 0);
        }
    }
    Ok(read)
}

/// Reads the whole stream into an empty book.
pub(super) async fn load(
    context: &Context,
    config: &GalleryConfig,
    keys: &Keys,
    book: &mut Book,
) -> Result<(), ClusterError> {
    let mut refused = 0_u64;
    let whole = 1..=end(context).await?;
    let last = messages(context, GALLERY_SUBJECTS.to_owned(), whole, |sequence, subject, payload| {
        match Slot::of(subject) {
            Some(Slot::State { partition, subject }) => match state::open(keys, config, partition, subject, payload) {
                Ok(state) => {
                    let (element, enrolled) = (state.element, state.content.is_some());
                    book.set(SubjectId(subject), Entry { sequence, element, enrolled, stands: true });
                }
                // What somebody put there that does not open is replaced, since it is no state of the register's.
                Err(error) => {
                    refused += 1;
                    tracing::warn!(subject, sequence, %error, "a message of the stream is refused");
                    book.set(SubjectId(subject), Entry { sequence, element: [0; 32], enrolled: true, stands: false });
                }
            },
            Some(Slot::Head { partition }) if partition < config.partitions => {
                book.parts[partition as usize].head = sequence;
                match Head::open(keys, partition, payload) {
                    Ok(head) => {
                        book.head_number = book.head_number.max(head.number);
                        book.head_time = book.head_time.max(head.time);
                    }
                    Err(error) => tracing::warn!(partition, sequence, %error, "a head of the stream is refused"),
                }
            }
            _ if subject == CONFIG_SUBJECT => {}
            _ => tracing::warn!(subject, sequence, "the stream has a message that no registrar publishes"),
        }
        Ok(())
    })
    .await?;
    book.last_sequence = last;
    Ok(())
}

/// What somebody else put into the stream.
pub(super) struct Foreign {
    /// The subjects whose state is not the registrar's own.
    pub(super) subjects: Vec<SubjectId>,
    /// How many messages it was.
    pub(super) count: u64,
    /// Whether the gallery's configuration is among what was replaced.
    pub(super) config_replaced: bool,
}

/// Reads what came after the book's end, and gives the subjects whose state is not the registrar's own, with how many
/// messages were somebody else's.
pub(super) async fn foreign(
    context: &Context,
    config: &GalleryConfig,
    keys: &Keys,
    book: &mut Book,
    own: &HashSet<u64>,
    sealed_config: &[u8],
) -> Result<Foreign, ClusterError> {
    let (mut subjects, mut count, mut config_replaced) = (Vec::new(), 0, false);
    let since = book.last_sequence + 1..=end(context).await?;
    let last = messages(context, GALLERY_SUBJECTS.to_owned(), since, |sequence, subject, payload| {
        let restored = subject == CONFIG_SUBJECT && payload == sealed_config;
        if own.contains(&sequence) || restored || is_repeated(config, keys, book, sequence, subject, payload) {
            return Ok(());
        }
        count += 1;
        tracing::warn!(
            subject,
            sequence,
            "somebody else published into the gallery; the register's state is put there again"
        );
        match Slot::of(subject) {
            Some(Slot::State { subject, .. }) if book.overwritten(SubjectId(subject), sequence) => {
                subjects.push(SubjectId(subject));
            }
            Some(Slot::Head { partition }) if partition < config.partitions => {
                let head = &mut book.parts[partition as usize].head;
                *head = (*head).max(sequence);
            }
            None if subject == CONFIG_SUBJECT => config_replaced = true,
            _ => {}
        }
        Ok(())
    })
    .await?;
    book.last_sequence = last;
    Ok(Foreign { subjects, count, config_replaced })
}

/// Whether a message is the registrar's own latest, which the brokers stored once more when an acknowledgement was lost.
fn is_repeated(
    config: &GalleryConfig,
    keys: &Keys,
    book: &mut Book,
    sequence: u64,
    subject: &str,
    payload: &[u8],
) -> bool {
    match Slot::of(subject) {
        Some(Slot::State { partition, subject }) => {
            let opened = state::open(keys, config, partition, subject, payload);
            opened.is_ok_and(|state| book.repeated(state.subject, sequence, &state.element))
        }
        Some(Slot::Head { partition }) if partition < config.partitions => {
            let newest = book.head_number;
            let repeated = Head::open(keys, partition, payload).is_ok_and(|head| head.number == newest);
            if repeated {
                let head = &mut book.parts[partition as usize].head;
                *head = (*head).max(sequence);
            }
            repeated
        }
        _ => false,
    }
}
