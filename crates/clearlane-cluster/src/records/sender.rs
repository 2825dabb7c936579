//! A lane's side: records are on its disk at once, and with the brokers as soon as these can be reached.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::message::PublishMessage;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::outbox::Outbox;
use super::{Linked, check_name, lane_subject, record_keys};
use crate::follow::Stop;
use crate::gallery::RECORDS_STREAM;
use crate::keys::Keys;
use crate::{ClusterError, ClusterKey, ClusterOptions, stream};

/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Sends one lane's crossing records to the centre.
pub struct RecordSender {
    lane: String,
    keys: Arc<Keys>,
    outbox: Arc<Mutex<Outbox>>,
    /// The count of the newest record that is on the disk.
    kept: watch::Sender<u64>,
    /// The count of the newest record that the brokers have.
    published: watch::Receiver<u64>,
    _stop: Stop,
    _task: JoinHandle<()>,
}

impl RecordSender {
    /// A lane's sender, whose records are kept in `folder` until the brokers have them. A lane has one; its name consists of
    /// letters, digits, `-` and `_`. Of a sender that was dropped just now it is waited for that it lets the outbox go; of one that
    /// goes on, it is [`ClusterError::InUse`] after 2 s.
    pub async fn start(
        key: ClusterKey,
        cluster: &ClusterOptions,
        lane: &str,
        folder: impl AsRef<Path>,
    ) -> Result<Self, ClusterError> {
        check_name(lane)?;
        let keys = Arc::new(record_keys(&key)?);
        let (folder, name, sealing) = (folder.as_ref().to_owned(), lane.to_owned(), Arc::clone(&keys));
        let open = tokio::task::spawn_blocking(move || Outbox::open(&folder, &name, &sealing));
        let outbox = Arc::new(Mutex::new(open.await.map_err(|_| ClusterError::Stopped)??));
        let context = cluster.connect().await?;
        let (kept, waiting) = watch::channel(outbox.lock().end().0);
        let (told, published) = watch::channel(0);
        let (stop, stopped) = Stop::new();
        let lane = lane.to_owned();
        let publishing = Publishing {
            context,
            lane: lane.clone(),
            keys: Arc::clone(&keys),
            outbox: Arc::clone(&outbox),
            waiting,
            told,
            stopped,
        };
        // What the brokers have of this lane, where its disk was lost.
        publishing.begin().await?;
        kept.send_replace(outbox.lock().end().0);
        let task = tokio::spawn(publishing.run());
        Ok(Self { lane, keys, outbox, kept, published, _stop: stop, _task: task })
    }

    /// Keeps a record. It is on this machine's disk when this returns, and goes to the centre from there. Returns its count.
    /// Blocking, for as long as the disk takes.
    pub fn send(&self, record: &[u8]) -> Result<u64, ClusterError> {
        let count = self.outbox.lock().append(&self.keys, &self.lane, record)?;
        self.kept.send_replace(count);
        Ok(count)
    }

    /// The last record that was sent, in this process or before; `None` before the first.
    #[must_use]
    pub fn last(&self) -> Option<Vec<u8>> {
        self.outbox.lock().last().map(<[u8]>::to_vec)
    }

    /// How many records the brokers do not have yet.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.outbox.lock().end().0.saturating_sub(*self.published.borrow())
    }

    /// Waits until the brokers have all that was sent.
    pub async fn flush(&self) -> Result<(), ClusterError> {
        let count = self.outbox.lock().end().0;
        let mut published = self.published.clone();
        published.wait_for(|published| *published >= count).await.map(drop).map_err(|_| ClusterError::Stopped)
    }
}

/// What brings records to the brokers.
struct Publishing {
    context: Context,
    lane: String,
    keys: Arc<Keys>,
    outbox: Arc<Mutex<Outbox>>,
    waiting: watch::Receiver<u64>,
    told: watch::Sender<u64>,
    stopped: watch::Receiver<bool>,
}

impl Publishing {
    /// Looks what the brokers have of this lane already.
    async fn begin(&self) -> Result<(), ClusterError> {
        let stream = self.context.get_stream(RECORDS_STREAM).await;
        let stream = stream.map_err(ClusterError::broker("give the records' stream"))?;
        let found = stream::latest(&stream, &lane_subject(&self.lane)).await;
        let Some(message) = found.map_err(ClusterError::broker("give the lane's newest record"))? else {
            return Ok(());
        };
        let last = match Linked::open(&self.keys, &self.lane, &message.payload) {
            Ok(last) => last,
            // Somebody without the key put it there: the collector names it, and the lane goes on by its own disk.
            Err(
                error @ (ClusterError::Forged { .. } | ClusterError::Short { .. } | ClusterError::OtherVersion { .. }),
            ) => {
                tracing::warn!(lane = self.lane, %error, "the lane's newest record at the brokers is refused");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut outbox = self.outbox.lock();
        if last.count > outbox.end().0 {
            tracing::warn!(
                lane = self.lane,
                count = last.count,
                "the brokers have more of this lane than its disk; going on after that"
            );
            outbox.go_on(&self.lane, &last);
        }
        self.told.send_replace(last.count);
        Ok(())
    }

    async fn run(mut self) {
        let mut wait = Duration::from_millis(20);
        while !*self.stopped.borrow() {
            let from = *self.told.borrow();
            let messages = self.outbox.lock().after(from);
            if messages.is_empty() {
                tokio::select! {
                    changed = self.waiting.wait_for(|count| *count > from) => if changed.is_err() { return },
                    _ = self.stopped.changed() => return,
                }
                continue;
            }
            let mut stopped = self.stopped.clone();
            let published = tokio::select! {
                published = self.publish(messages) => published,
                // Whoever starts next publishes what was not, and brokers know again what was.
                _ = stopped.changed() => return,
            };
            match published {
                Ok(()) => wait = Duration::from_millis(20),
                Err(error) => {
                    tracing::debug!(lane = self.lane, %error, "records wait for the brokers");
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        _ = self.stopped.changed() => return,
                    }
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// Publishes records one after the other: their order in the stream is that of the chain.
    async fn publish(&self, messages: Vec<(u64, bytes::Bytes)>) -> Result<(), ClusterError> {
        let failed = "take a crossing record";
        for (count, payload) in messages {
            // Of another record under this count, which another machine of this name sends, it is another.
            let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&payload)[..16]);
            let id = format!("{}-{count}-{digest}", self.lane);
            let message = PublishMessage::build().payload(payload).message_id(id);
            let sent = self.context.send_publish(lane_subject(&self.lane), message).await;
            sent.map_err(ClusterError::broker(failed))?.await.map_err(ClusterError::broker(failed))?;
            self.told.send_replace(count);
            self.outbox.lock().published(count)?;
        }
        Ok(())
    }
}
