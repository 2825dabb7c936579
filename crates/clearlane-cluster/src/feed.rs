//! Following a part of a stream: every message from a sequence on, in order, whatever becomes of brokers and connections.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::ClusterError;

/// Messages that wait between the connection and whoever takes them in.
const WAITING: usize = 1024;
/// Messages asked for at a time.
const BATCH: usize = 512;
/// A consumer that nobody pulls from is forgotten by the brokers.
const FORGOTTEN: Duration = Duration::from_secs(30);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What a feed hands over.
#[derive(Debug)]
pub(crate) enum Event {
    /// A message of the stream.
    Message { sequence: u64, subject: String, payload: Bytes, pending: u64 },
    /// The stream ends before what was read of it already: it is another, or an older one.
    Rewound,
}

/// Which messages to follow.
#[derive(Clone, Debug)]
pub(crate) struct Follow {
    pub(crate) stream: &'static str,
    pub(crate) filter: String,
    /// The first sequence.
    pub(crate) from: u64,
    /// A broker that is silent for so long is left for another: heads come more often.
    pub(crate) silence: Duration,
}

/// A running feed. It ends when this is dropped.
pub(crate) struct Feed {
    events: mpsc::Receiver<Event>,
    task: JoinHandle<()>,
}

impl Feed {
    pub(crate) fn start(context: Context, follow: Follow) -> Self {
        let (sender, events) = mpsc::channel(WAITING);
        Self { events, task: tokio::spawn(run(context, follow, sender)) }
    }

    /// The next messages, at least one.
    pub(crate) async fn next(&mut self, most: usize) -> Vec<Event> {
        let mut events = Vec::new();
        self.events.recv_many(&mut events, most).await;
        events
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(context: Context, mut follow: Follow, sender: mpsc::Sender<Event>) {
    let mut wait = Duration::from_millis(20);
    while !sender.is_closed() {
        let before = follow.from;
        if let Err(error) = session(&context, &mut follow, &sender).await {
            tracing::debug!(filter = follow.filter, from = follow.from, %error, "the feed is opened again");
        }
        wait = if follow.from > before { Duration::from_millis(20) } else { (wait * 2).min(LONGEST_WAIT) };
        tokio::time::sleep(wait).await;
    }
}

/// Follows with one consumer until it fails, falls silent or skips a message.
async fn session(context: &Context, follow: &mut Follow, sender: &mpsc::Sender<Event>) -> Result<(), ClusterError> {
    let failed = "open a consumer";
    let stream = context.get_stream(follow.stream).await.map_err(ClusterError::broker(failed))?;
    if stream.cached_info().state.last_sequence + 1 < follow.from {
        follow.from = 1;
        _ = sender.send(Event::Rewound).await;
    }
    let mut name = [0; 8];
    getrandom::fill(&mut name).map_err(|_| ClusterError::NoEntropy)?;
    // With a name, the request's subject has the filter in it, which brokers can permit or not.
    let name = format!("follow-{}", data_encoding::HEXLOWER.encode(&name));
    let config = pull::Config {
        name: Some(name.clone()),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: follow.from.max(1) },
        ack_policy: AckPolicy::None,
        filter_subject: follow.filter.clone(),
        inactive_threshold: FORGOTTEN,
        num_replicas: 1,
        memory_storage: true,
        ..pull::Config::default()
    };
    let consumer: PullConsumer = stream.create_consumer(config).await.map_err(ClusterError::broker(failed))?;
    let ended = deliver(&consumer, follow, sender).await;
    // A consumer that is left over is forgotten by itself.
    _ = tokio::time::timeout(Duration::from_millis(200), stream.delete_consumer(&name)).await;
    ended
}

async fn deliver(
    consumer: &PullConsumer,
    follow: &mut Follow,
    sender: &mpsc::Sender<Event>,
) -> Result<(), ClusterError> {
    let failed = "deliver messages";
    let pull = consumer.stream().max_messages_per_batch(BATCH).expires(Duration::from_secs(10));
    let pull = pull.heartbeat(Duration::from_secs(1));
    let mut messages = pull.messages().await.map_err(ClusterError::broker(failed))?;
    let broken = |reason: &str| ClusterError::Broker { what: failed, reason: reason.to_owned() };
    for expected in 1.. {
        let next = tokio::time::timeout(follow.silence, messages.next()).await.map_err(|_| broken("silence"))?;
        let message = next.ok_or_else(|| broken("the consumer ended"))?.map_err(ClusterError::broker(failed))?;
        let (sequence, number, pending) = {
            let info = message.info().map_err(ClusterError::broker(failed))?;
            (info.stream_sequence, info.consumer_sequence, info.pending)
        };
        if number != expected {
            return Err(broken("a message was skipped"));
        }
        let (subject, payload) = (message.message.subject.to_string(), message.message.payload);
        if sender.send(Event::Message { sequence, subject, payload, pending }).await.is_err() {
            return Ok(());
        }
        follow.from = sequence + 1;
    }
    Ok(())
}
