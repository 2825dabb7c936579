//! The task that keeps one partition as the stream has it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::feed::{Feed, Follow};
use crate::gallery::{GALLERY_STREAM, GalleryConfig};
use crate::keys::{ClusterKey, Keys};
use crate::replica::{Replica, Taken};
use crate::{ClusterError, notice, stream};

/// Messages taken in at a time.
const AT_ONCE: usize = 1024;
/// How often the log is brought to the disk.
const SYNC_EVERY: Duration = Duration::from_secs(5);
/// The longest wait before a partition that differs is read once more.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What following needs to know.
#[derive(Clone)]
pub(crate) struct Following {
    pub(crate) context: Context,
    pub(crate) key: ClusterKey,
    pub(crate) config: GalleryConfig,
    pub(crate) keys: Arc<Keys>,
    pub(crate) partition: u32,
    /// After so much silence another broker is asked.
    pub(crate) silence: Duration,
    pub(crate) stop: watch::Receiver<bool>,
}

impl Following {
    /// Follows until it is stopped, or cannot go on.
    pub(crate) fn start(self, replica: Replica) -> JoinHandle<Result<(), ClusterError>> {
        tokio::spawn(self.run(replica))
    }

    async fn run(mut self, mut replica: Replica) -> Result<(), ClusterError> {
        let mut wait = Duration::from_millis(500);
        loop {
            let (back, ended) = self.session(replica, &mut wait).await?;
            replica = back;
            match ended {
                Ended::Stopped => {
                    return blocking(replica, Replica::sync).await.map(drop);
                }
                Ended::Differs(reason) => {
                    self.same_gallery().await?;
                    tracing::warn!(partition = self.partition, %reason, ?wait, "reading the partition from the stream again");
                    let (back, cleared) = blocking(replica, Replica::clear).await?;
                    replica = back;
                    cleared?;
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        _ = self.stop.changed() => {}
                    }
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// Follows until it is stopped or what is held has to be read again.
    async fn session(&mut self, mut replica: Replica, wait: &mut Duration) -> Result<(Replica, Ended), ClusterError> {
        let filter = format!("gallery.{}.>", self.partition);
        let (from, silence) = (replica.next_sequence(), self.silence);
        let mut feed = Feed::start(self.context.clone(), Follow { stream: GALLERY_STREAM, filter, from, silence });
        let mut synced = Instant::now();
        while !*self.stop.borrow() {
            let events = tokio::select! {
                events = feed.next(AT_ONCE) => events,
                _ = self.stop.changed() => break,
            };
            let sync = synced.elapsed() > SYNC_EVERY;
            let (back, taken) = blocking(replica, move |replica| {
                let taken = replica.take(events)?;
                if sync {
                    replica.sync();
                }
                Ok::<_, ClusterError>(taken)
            })
            .await?;
            replica = back;
            if sync {
                synced = Instant::now();
            }
            match taken {
                Ok(Taken::Following) if replica.shared().is_following() => *wait = Duration::from_millis(500),
                Ok(Taken::Following) => {}
                Ok(Taken::Strange) => self.same_gallery().await?,
                Ok(Taken::Differs) => {
                    self.tell().await;
                    return Ok((replica, Ended::Differs("it is not what the registrar's heads say".to_owned())));
                }
                // A disk that is full, or a gallery that may not grow: nothing of it is shown, and it is tried again.
                Err(error) => return Ok((replica, Ended::Differs(error.to_string()))),
            }
        }
        Ok((replica, Ended::Stopped))
    }

    /// Tells the registrar, who alone can put right what the brokers have lost.
    async fn tell(&self) {
        if let Err(error) = notice::send(&self.context.client(), &self.keys, self.partition).await {
            tracing::warn!(partition = self.partition, %error, "the registrar could not be told");
        }
    }

    /// That the brokers hold the gallery that is followed, and no other.
    async fn same_gallery(&self) -> Result<(), ClusterError> {
        let mut stop = self.stop.clone();
        let config = tokio::select! {
            config = stream::read_config(&self.context, &self.key) => config,
            _ = stop.changed() => return Ok(()),
        };
        match config {
            Ok(Some(config)) if config != self.config => Err(ClusterError::OtherGallery),
            Err(error @ ClusterError::OtherKey { .. }) => Err(error),
            // Whether brokers can be reached shows when they are asked for messages.
            _ => Ok(()),
        }
    }
}

/// Makes the folder of the snapshots, before the brokers are asked for anything.
pub(crate) fn prepare(folder: Option<&Path>) -> Result<(), ClusterError> {
    folder.map_or(Ok(()), |folder| std::fs::create_dir_all(folder).map_err(ClusterError::file(folder)))
}

/// What tells tasks to end: when it is dropped, at the latest.
pub(crate) struct Stop(watch::Sender<bool>);

impl Stop {
    pub(crate) fn new() -> (Self, watch::Receiver<bool>) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), receiver)
    }

    /// Tells them now.
    pub(crate) fn now(&self) {
        self.0.send_replace(true);
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.now();
    }
}

/// Why a session ended.
enum Ended {
    Stopped,
    Differs(String),
}

/// Runs blocking work on a replica, on a thread that may block.
async fn blocking<T: Send + 'static>(
    mut replica: Replica,
    work: impl FnOnce(&mut Replica) -> T + Send + 'static,
) -> Result<(Replica, T), ClusterError> {
    let work = move || {
        let done = work(&mut replica);
        (replica, done)
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| ClusterError::Stopped)
}

/// Why the first of these tasks to end did so.
pub(crate) async fn failed(tasks: &mut [JoinHandle<Result<(), ClusterError>>]) -> ClusterError {
    if tasks.is_empty() {
        return ClusterError::Stopped;
    }
    match futures_util::future::select_all(tasks.iter_mut()).await.0 {
        Ok(Err(error)) => error,
        _ => ClusterError::Stopped,
    }
}

/// Opens the replicas of partitions, on threads that may block.
pub(crate) async fn open(
    partitions: &[u32],
    config: GalleryConfig,
    keys: &Arc<Keys>,
    settings: crate::GallerySettings,
    folder: Option<std::path::PathBuf>,
) -> Result<Vec<Replica>, ClusterError> {
    let open = |&partition: &u32| {
        let (keys, folder) = (Arc::clone(keys), folder.clone());
        let shared = Arc::new(crate::replica::Shared::new());
        let open = move || Replica::open(partition, config, keys, settings, folder.as_deref(), shared);
        tokio::task::spawn_blocking(open)
    };
    // At the same time: what each does on one thread goes on beside the others' work.
    let opened = futures_util::future::join_all(partitions.iter().map(open)).await;
    opened.into_iter().map(|replica| replica.map_err(|_| ClusterError::Stopped)?).collect()
}
