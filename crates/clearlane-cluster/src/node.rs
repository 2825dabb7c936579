//! A node: it follows partitions and answers for them.

mod serve;
mod status;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::follow::{self, Following, Stop};
use crate::{ClusterError, ClusterKey, ClusterOptions, GallerySettings, Partitions, stream};
use serve::{Counters, Server};

pub use status::{NodeStatus, PartitionStatus};

/// How a node works.
#[derive(Clone, Debug)]
#[must_use]
pub struct NodeOptions {
    name: String,
    partitions: Partitions,
    bound: Duration,
    folder: Option<PathBuf>,
    gallery: GallerySettings,
    searches: usize,
    waiting: usize,
}

impl NodeOptions {
    /// A node that answers for these partitions. It works with answers of 5 s of age at most, has no snapshots, searches on
    /// as many threads as the machine has, and lets 256 questions wait.
    pub fn new(name: impl Into<String>, partitions: Partitions) -> Self {
        Self {
            name: name.into(),
            partitions,
            bound: Duration::from_secs(5),
            folder: None,
            gallery: GallerySettings::default(),
            searches: std::thread::available_parallelism().map_or(1, usize::from),
            waiting: 256,
        }
    }

    /// The age that lanes bear. A node that has heard no head for half of it takes no questions until it has; the registrar's
    /// heads have to come several times as often.
    pub fn bound(mut self, bound: Duration) -> Self {
        self.bound = bound;
        self
    }

    /// The folder of its snapshots: a node that starts again reads them, and then only what came since. One folder belongs to
    /// one node.
    pub fn snapshots(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// How templates are kept in memory.
    pub fn gallery(mut self, settings: GallerySettings) -> Self {
        self.gallery = settings;
        self
    }

    /// How many searches run at a time, and how many questions wait for their turn; a question beyond that is told that the
    /// node is busy.
    pub fn searches(mut self, at_once: usize, waiting: usize) -> Self {
        (self.searches, self.waiting) = (at_once, waiting);
        self
    }
}

/// A running node.
pub struct Node {
    stop: Stop,
    tasks: Vec<JoinHandle<Result<(), ClusterError>>>,
    status: Arc<status::Reporter>,
}

impl Node {
    /// Reads the snapshots, connects and follows. When this returns the node is on its way; it answers once a head has vouched
    /// for what it holds.
    pub async fn start(key: ClusterKey, cluster: &ClusterOptions, options: NodeOptions) -> Result<Self, ClusterError> {
        let refused = |setting, reason| Err(ClusterError::Setting { setting, reason });
        if options.bound < Duration::from_millis(100) {
            return refused("bound", "expected 100 ms at least");
        }
        if options.searches == 0 || options.waiting == 0 {
            return refused("searches", "expected one at least");
        }
        follow::prepare(options.folder.as_deref())?;
        let context = cluster.connect().await?;
        let config = stream::read_config(&context, &key).await?.ok_or(ClusterError::NoGallery)?;
        let partitions = options.partitions.numbers(config.partitions);
        let partitions =
            partitions.map_err(|partition| ClusterError::NoPartition { partition, partitions: config.partitions })?;
        let keys = Arc::new(config.keys(&key)?);
        let replicas = follow::open(&partitions, config, &keys, options.gallery, options.folder).await?;
        let (stop, stopped) = Stop::new();
        let counters = Arc::new(Counters::new(options.searches, options.waiting));
        let client = context.client();
        let mut tasks = Vec::new();
        let mut shown = Vec::new();
        for (partition, replica) in partitions.into_iter().zip(replicas) {
            let shared = Arc::clone(replica.shared());
            shown.push((partition, Arc::clone(&shared)));
            let server = Server {
                client: client.clone(),
                config,
                keys: Arc::clone(&keys),
                partition,
                shared,
                patience: options.bound / 2,
                counters: Arc::clone(&counters),
                stop: stopped.clone(),
            };
            let following = Following {
                context: context.clone(),
                key: key.clone(),
                config,
                keys: Arc::clone(&keys),
                partition,
                silence: (options.bound / 2).min(Duration::from_secs(2)),
                stop: stopped.clone(),
            };
            tasks.push(following.start(replica));
            tasks.push(tokio::spawn(server.run()));
        }
        let status =
            Arc::new(status::Reporter { name: options.name, partitions: shown, counters, patience: options.bound / 2 });
        tasks.push(tokio::spawn(Arc::clone(&status).run(client, keys, stopped)));
        Ok(Self { stop, tasks, status })
    }

    /// How the node is.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        self.status.now()
    }

    /// What says how the node is, for whoever asks on another thread.
    pub fn figures(&self) -> impl Fn() -> NodeStatus + Send + Sync + use<> {
        let status = Arc::clone(&self.status);
        move || status.now()
    }

    /// Waits until the node cannot go on, and says why.
    pub async fn failed(&mut self) -> ClusterError {
        follow::failed(&mut self.tasks).await
    }

    /// Ends the node: it takes no more questions, answers those that it has, and brings its snapshots to the disk.
    pub async fn close(self) -> Result<(), ClusterError> {
        drop(self.stop);
        for task in self.tasks {
            task.await.unwrap_or(Err(ClusterError::Stopped))?;
        }
        Ok(())
    }
}
