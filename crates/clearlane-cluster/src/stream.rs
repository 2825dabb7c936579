//! The streams: made where they are needed first, checked by everybody.

use std::time::Duration;

use async_nats::jetstream::context::{GetStreamErrorKind, PublishError, PublishErrorKind};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, RawMessageError, RawMessageErrorKind, RetentionPolicy, StorageType, Stream,
};
use async_nats::jetstream::{Context, ErrorCode};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use futures_util::future::try_join_all;

use crate::ClusterError;
use crate::gallery::{
    CONFIG_SUBJECT, GALLERY_STREAM, GALLERY_SUBJECTS, GalleryConfig, JOB_SUBJECTS, RECORDS_STREAM, RECORDS_SUBJECTS,
    RESULT_SUBJECTS, RESULTS_STREAM, WORK_STREAM, WORK_SUBJECTS,
};
use crate::keys::ClusterKey;

/// How long the brokers remember a message's id, so that what is published again after a lost acknowledgement counts once.
pub(crate) const DUPLICATE_WINDOW: Duration = Duration::from_mins(2);

/// The most bytes of blocks that wait: those of ten million subjects take a tenth. An operator may edit the stream's limit.
const WORK_BYTES: u64 = 1 << 30;
/// The most bytes of jobs and results: as many pairs as a report has take a quarter.
const RESULTS_BYTES: u64 = 2 << 30;

/// Messages that are removed at a time.
const AT_ONCE: usize = 64;

/// That the brokers take messages of so many bytes.
pub(crate) fn takes(context: &Context, needed: usize) -> Result<(), ClusterError> {
    let most = context.client().server_info().max_payload;
    if most < needed { Err(ClusterError::SmallMessages { most, needed }) } else { Ok(()) }
}

/// A stream of this library's, as it is set up where there is none.
fn wanted(name: &str, subjects: &[&str], replicas: usize, bytes: Option<u64>) -> Config {
    Config {
        name: name.to_owned(),
        subjects: subjects.iter().map(|&subject| subject.to_owned()).collect(),
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        // What is full refuses, and forgets nobody.
        discard: DiscardPolicy::New,
        num_replicas: replicas,
        max_bytes: bytes.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        duplicate_window: DUPLICATE_WINDOW,
        ..Config::default()
    }
}

/// Makes the gallery's stream unless it exists, and checks that it keeps what it must.
pub(crate) async fn gallery(context: &Context, replicas: usize, bytes: Option<u64>) -> Result<(), ClusterError> {
    let config = Config {
        max_messages_per_subject: 1,
        // The latest message of a subject stays until the next.
        deny_delete: false,
        ..wanted(GALLERY_STREAM, &[GALLERY_SUBJECTS], replicas, bytes)
    };
    let stream =
        context.get_or_create_stream(config).await.map_err(ClusterError::broker("make the gallery's stream"))?;
    let found = &stream.cached_info().config;
    check(GALLERY_STREAM, "max_msgs_per_subject", &found.max_messages_per_subject, &1)?;
    checked(GALLERY_STREAM, found)
}

/// Makes the stream of crossing records unless it exists.
pub(crate) async fn records(context: &Context, replicas: usize, bytes: Option<u64>) -> Result<(), ClusterError> {
    let config = wanted(RECORDS_STREAM, &[RECORDS_SUBJECTS], replicas, bytes);
    let stream =
        context.get_or_create_stream(config).await.map_err(ClusterError::broker("make the records' stream"))?;
    checked(RECORDS_STREAM, &stream.cached_info().config)
}

/// Makes the stream of blocks that wait for a worker unless it exists: what is acknowledged is gone from it.
pub(crate) async fn work(context: &Context, replicas: usize) -> Result<Stream, ClusterError> {
    let config = Config {
        retention: RetentionPolicy::WorkQueue,
        // A block that waits already is not put there again.
        max_messages_per_subject: 1,
        discard_new_per_subject: true,
        ..wanted(WORK_STREAM, &[WORK_SUBJECTS], replicas, Some(WORK_BYTES))
    };
    let stream = context.get_or_create_stream(config).await.map_err(ClusterError::broker("make the stream of work"))?;
    let found = &stream.cached_info().config;
    let expected = format!("{:?}", RetentionPolicy::WorkQueue);
    check(WORK_STREAM, "retention", &format!("{:?}", found.retention), &expected)?;
    first_counts(WORK_STREAM, found)?;
    Ok(stream)
}

/// Makes the stream of jobs and results unless it exists.
pub(crate) async fn results(context: &Context, replicas: usize) -> Result<Stream, ClusterError> {
    let config = Config {
        max_messages_per_subject: 1,
        discard_new_per_subject: true,
        ..wanted(RESULTS_STREAM, &[JOB_SUBJECTS, RESULT_SUBJECTS], replicas, Some(RESULTS_BYTES))
    };
    let stream = context.get_or_create_stream(config).await;
    let stream = stream.map_err(ClusterError::broker("make the stream of results"))?;
    first_counts(RESULTS_STREAM, &stream.cached_info().config)?;
    Ok(stream)
}

/// That the first message of a subject stays, and a second one is refused.
fn first_counts(stream: &'static str, found: &Config) -> Result<(), ClusterError> {
    check(stream, "max_msgs_per_subject", &found.max_messages_per_subject, &1)?;
    check(stream, "discard_new_per_subject", &found.discard_new_per_subject, &true)?;
    checked(stream, found)
}

/// Publishes the first message of a subject, and says whether it is: the brokers refuse it where there is one.
pub(crate) async fn put_first(context: &Context, subject: String, payload: Bytes) -> Result<bool, PublishError> {
    let message = PublishMessage::build().payload(payload).expected_last_subject_sequence(0);
    let stored = async { context.send_publish(subject, message).await?.await };
    match stored.await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(false),
        Err(error) => Err(error),
    }
}

/// The latest message of a subject; `None` where there is none. Of a subject that is a pattern brokers give what matches it: that is
/// somebody else's.
pub(crate) async fn latest(
    stream: &Stream<impl Sync>,
    subject: &str,
) -> Result<Option<StreamMessage>, RawMessageError> {
    match stream.get_last_raw_message_by_subject(subject).await {
        Ok(message) => Ok(Some(message).filter(|message| message.subject.as_str() == subject)),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The subjects of a stream that have messages, without those that cannot be asked for: patterns, which brokers of 2.9 let
/// somebody publish to, and what is no UTF-8.
pub(crate) async fn subjects(stream: &Stream, filter: &str) -> Result<Vec<String>, ClusterError> {
    let failed = "list a stream's subjects";
    let info = stream.info_with_subjects(filter).await.map_err(ClusterError::broker(failed))?;
    let subjects: Result<Vec<String>, _> = info.map_ok(|(subject, _)| subject).try_collect().await;
    let mut subjects = subjects.map_err(ClusterError::broker(failed))?;
    subjects.retain(|subject| !subject.contains(['*', '>', char::REPLACEMENT_CHARACTER]));
    Ok(subjects)
}

/// Removes all messages of some subjects, one by one: where brokers of 2.9 purge a part of a stream, its consumers skip
/// the rest.
pub(crate) async fn clear(stream: &Stream, subjects: &[String]) -> Result<(), ClusterError> {
    let failed = "remove messages";
    let remove = async |subject: &String| match latest(stream, subject).await.map_err(ClusterError::broker(failed))? {
        Some(message) => remove(stream, message.sequence).await,
        None => Ok(()),
    };
    for some in subjects.chunks(AT_ONCE) {
        try_join_all(some.iter().map(remove)).await?;
    }
    Ok(())
}

/// Removes a message; one that is gone is left alone.
pub(crate) async fn remove(stream: &Stream, sequence: u64) -> Result<(), ClusterError> {
    match stream.delete_message(sequence).await {
        Ok(_) => Ok(()),
        Err(error) => match stream.get_raw_message(sequence).await {
            Err(missing) if missing.kind() == RawMessageErrorKind::NoMessageFound => Ok(()),
            _ => Err(ClusterError::broker("remove a message")(error)),
        },
    }
}

fn checked(stream: &'static str, found: &Config) -> Result<(), ClusterError> {
    check(stream, "discard", &format!("{:?}", found.discard), &format!("{:?}", DiscardPolicy::New))?;
    check(stream, "max_age", &found.max_age, &Duration::ZERO)?;
    check(stream, "max_msgs", &found.max_messages.max(-1), &-1)?;
    check(stream, "storage", &format!("{:?}", found.storage), &format!("{:?}", StorageType::File))
}

fn check<T: PartialEq + std::fmt::Debug>(
    stream: &'static str,
    setting: &'static str,
    found: &T,
    expected: &T,
) -> Result<(), ClusterError> {
    if found == expected {
        return Ok(());
    }
    Err(ClusterError::Stream { stream, setting, found: format!("{found:?}"), expected: format!("{expected:?}") })
}

/// A stream, where there is one.
pub(crate) async fn existing(context: &Context, name: &str) -> Result<Option<Stream>, ClusterError> {
    match context.get_stream(name).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(cause) if cause.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
            _ => Err(ClusterError::broker("say what a stream is")(error)),
        },
    }
}

/// What is fixed about the gallery that the brokers hold, where they hold one.
pub(crate) async fn read_config(context: &Context, key: &ClusterKey) -> Result<Option<GalleryConfig>, ClusterError> {
    let Some(stream) = existing(context, GALLERY_STREAM).await? else { return Ok(None) };
    let found =
        latest(&stream, CONFIG_SUBJECT).await.map_err(ClusterError::broker("give the gallery's configuration"))?;
    found.map(|message| GalleryConfig::open(key, &message.payload)).transpose()
}

/// Publishes the gallery's configuration, its first message; fails where there is one.
pub(crate) async fn write_config(
    context: &Context,
    key: &ClusterKey,
    config: &GalleryConfig,
) -> Result<(), ClusterError> {
    let failed = "take the gallery's configuration";
    let stored = put_first(context, CONFIG_SUBJECT.to_owned(), config.seal(key)?.into()).await;
    if stored.map_err(ClusterError::broker(failed))? {
        return Ok(());
    }
    Err(ClusterError::Broker { what: failed, reason: "somebody else's was there first".to_owned() })
}
