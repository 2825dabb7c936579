//! The gallery's stream: made by the registrar, checked by everybody.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RawMessageErrorKind, RetentionPolicy, StorageType};

use crate::ClusterError;
use crate::gallery::{
    CONFIG_SUBJECT, GALLERY_STREAM, GALLERY_SUBJECTS, GalleryConfig, RECORDS_STREAM, RECORDS_SUBJECTS,
};
use crate::keys::ClusterKey;

/// How long the brokers remember a message's id, so that what is published again after a lost acknowledgement counts once.
pub(crate) const DUPLICATE_WINDOW: Duration = Duration::from_mins(2);

/// A stream of this library's, as it is set up where there is none.
fn wanted(name: &str, subjects: &str, replicas: usize, bytes: Option<u64>) -> Config {
    Config {
        name: name.to_owned(),
        subjects: vec![subjects.to_owned()],
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
        ..wanted(GALLERY_STREAM, GALLERY_SUBJECTS, replicas, bytes)
    };
    let stream =
        context.get_or_create_stream(config).await.map_err(ClusterError::broker("make the gallery's stream"))?;
    let found = &stream.cached_info().config;
    check(GALLERY_STREAM, "max_msgs_per_subject", &found.max_messages_per_subject, &1)?;
    checked(GALLERY_STREAM, found)
}

/// Makes the stream of crossing records unless it exists.
pub(crate) async fn records(context: &Context, replicas: usize, bytes: Option<u64>) -> Result<(), ClusterError> {
    let config = wanted(RECORDS_STREAM, RECORDS_SUBJECTS, replicas, bytes);
    let stream =
        context.get_or_create_stream(config).await.map_err(ClusterError::broker("make the records' stream"))?;
    checked(RECORDS_STREAM, &stream.cached_info().config)
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

/// What is fixed about the gallery that the brokers hold, where they hold one.
pub(crate) async fn read_config(context: &Context, key: &ClusterKey) -> Result<Option<GalleryConfig>, ClusterError> {
    let read = ClusterError::broker::<String>;
    let stream = match context.get_stream(GALLERY_STREAM).await {
        Ok(stream) => stream,
        Err(error) => {
            use async_nats::jetstream::context::GetStreamErrorKind;
            let GetStreamErrorKind::JetStream(ref cause) = error.kind() else {
                return Err(read("say what the gallery's stream is")(error.to_string()));
            };
            let missing = cause.error_code() == async_nats::jetstream::ErrorCode::STREAM_NOT_FOUND;
            return if missing { Ok(None) } else { Err(read("say what the gallery's stream is")(error.to_string())) };
        }
    };
    match stream.get_last_raw_message_by_subject(CONFIG_SUBJECT).await {
        Ok(message) => GalleryConfig::open(key, &message.payload).map(Some),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(read("give the gallery's configuration")(error.to_string())),
    }
}

/// Publishes the gallery's configuration, its first message; fails where there is one.
pub(crate) async fn write_config(
    context: &Context,
    key: &ClusterKey,
    config: &GalleryConfig,
) -> Result<(), ClusterError> {
    let message = PublishMessage::build().payload(config.seal(key)?.into()).expected_last_subject_sequence(0);
    let failed = "take the gallery's configuration";
    let acknowledged = context.send_publish(CONFIG_SUBJECT, message).await.map_err(ClusterError::broker(failed))?;
    acknowledged.await.map(drop).map_err(ClusterError::broker(failed))
}
