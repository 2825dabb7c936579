//! Local mode: a lane's machine follows all partitions itself, and searches without asking anybody.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clearlane_template::{ModelId, Template};
use rayon::prelude::*;
use tokio::task::JoinHandle;

use crate::answer::answer;
use crate::ask::{LONGEST, conclude};
use crate::follow::{self, Following, Stop};
use crate::gallery::GalleryConfig;
use crate::question::Question;
use crate::replica::Shared;
use crate::{Answer, AskOptions, ClusterError, ClusterKey, ClusterOptions, GallerySettings, Partitions, stream};

/// The whole gallery in this process, by the same rules as a cluster's: it goes on through a network cut as long as the bound
/// allows, and is incomplete afterwards.
pub struct Follower {
    config: GalleryConfig,
    partitions: Vec<(u32, Arc<Shared>)>,
    stop: Stop,
    tasks: Vec<JoinHandle<Result<(), ClusterError>>>,
}

impl Follower {
    /// Reads the snapshots in `folder`, where one is given, connects and follows.
    pub async fn start(
        key: ClusterKey,
        cluster: &ClusterOptions,
        gallery: GallerySettings,
        folder: Option<PathBuf>,
    ) -> Result<Self, ClusterError> {
        follow::prepare(folder.as_deref())?;
        let context = cluster.connect().await?;
        let config = stream::read_config(&context, &key).await?.ok_or(ClusterError::NoGallery)?;
        let numbers = Partitions::ALL.numbers(config.partitions);
        let numbers =
            numbers.map_err(|partition| ClusterError::NoPartition { partition, partitions: config.partitions })?;
        let keys = Arc::new(config.keys(&key)?);
        let replicas = follow::open(&numbers, config, &keys, gallery, folder).await?;
        let (stop, stopped) = Stop::new();
        let (mut partitions, mut tasks) = (Vec::new(), Vec::new());
        for (partition, replica) in numbers.into_iter().zip(replicas) {
            partitions.push((partition, Arc::clone(replica.shared())));
            let following = Following {
                context: context.clone(),
                key: key.clone(),
                config,
                keys: Arc::clone(&keys),
                partition,
                silence: Duration::from_secs(2),
                stop: stopped.clone(),
            };
            tasks.push(following.start(replica));
        }
        Ok(Self { config, partitions, stop, tasks })
    }

    /// Searches all partitions, as [`ClusterSearch::search`](crate::ClusterSearch::search) does, on the threads of the current
    /// rayon pool. Blocking.
    pub fn search(&self, probe: &Template, options: &AskOptions) -> Result<Answer, ClusterError> {
        let question = options.question(probe, &self.config)?;
        let deadline = Instant::now() + options.budget.min(LONGEST);
        let search = |(partition, shared): &(u32, Arc<Shared>)| {
            let question = Question { after: options.after(*partition), ..question.clone() };
            let found = answer(shared, &question, deadline).found();
            (*partition, found)
        };
        let replies = self.partitions.par_iter().map(search).collect();
        Ok(conclude(replies, options))
    }

    /// How many templates are searched.
    #[must_use]
    pub fn templates(&self) -> usize {
        self.partitions.iter().map(|(_, shared)| shared.templates()).sum()
    }

    /// The model of the gallery's templates.
    #[must_use]
    pub fn model(&self) -> ModelId {
        self.config.model
    }

    /// Waits until following cannot go on, and says why.
    pub async fn failed(&mut self) -> ClusterError {
        follow::failed(&mut self.tasks).await
    }

    /// Ends following, and brings the snapshots to the disk.
    pub async fn close(self) -> Result<(), ClusterError> {
        drop(self.stop);
        for task in self.tasks {
            task.await.unwrap_or(Err(ClusterError::Stopped))?;
        }
        Ok(())
    }
}
