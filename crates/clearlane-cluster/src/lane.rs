//! The cluster's gallery as the lanes of a port search it: without a runtime of the host's.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use clearlane::{RemoteAnswer, RemoteGallery, RemoteIncomplete, RemoteQuestion};
use clearlane_match::Candidate;
use clearlane_template::{ModelId, Template};
use tokio::runtime::Runtime;

use crate::{Answer, AskOptions, ClusterError, ClusterKey, ClusterOptions, ClusterSearch, Follower, GallerySettings};

/// How long an answer may take whose asker waits.
const LONGEST: Duration = Duration::from_secs(10);
/// Of the time that is left, so much goes to what comes after the search: one part in these.
const SHARE_AFTER: u32 = 10;
/// How much longer than its budget is waited for an answer, which says itself that it is late.
const GRACE: Duration = Duration::from_millis(10);

/// A cluster's gallery for the lanes of a port, by [`PortBuilder::remote_gallery`](clearlane::PortBuilder::remote_gallery). It has
/// threads of its own; its calls block, and may be made from any thread.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use clearlane::{Calibration, Extractor, Policy, Port, References};
/// # use clearlane_cluster::{ClusterGallery, ClusterKey, ClusterOptions};
/// # fn example(key: ClusterKey, records: References, policy: Policy, calibration: Calibration, extractor: Extractor)
/// #     -> Result<(), Box<dyn std::error::Error>> {
/// let gallery = ClusterGallery::asking(key, &ClusterOptions::new(["nats://10.0.0.1:4222", "nats://10.0.0.2:4222"]))?;
/// let port = Port::builder(records)
///     .remote_gallery(Arc::new(gallery))
///     .policy(policy)
///     .calibration(calibration)
///     .extractor(extractor)
///     .build()?;
/// # Ok(())
/// # }
/// ```
pub struct ClusterGallery {
    source: Source,
    /// How many templates the newest answer was of.
    templates: AtomicUsize,
    /// `None` once it ends.
    runtime: Option<Runtime>,
}

enum Source {
    Nodes(Arc<ClusterSearch>),
    Here(Follower),
}

impl ClusterGallery {
    /// The gallery of the cluster's nodes, which are asked.
    pub fn asking(key: ClusterKey, cluster: &ClusterOptions) -> Result<Self, ClusterError> {
        let cluster = cluster.clone();
        let (runtime, search) = start(async move { ClusterSearch::connect(key, &cluster).await })?;
        Ok(Self::new(runtime, Source::Nodes(Arc::new(search))))
    }

    /// The whole gallery, which this process follows itself: see [`Follower`].
    pub fn following(
        key: ClusterKey,
        cluster: &ClusterOptions,
        gallery: GallerySettings,
        folder: Option<PathBuf>,
    ) -> Result<Self, ClusterError> {
        let cluster = cluster.clone();
        let (runtime, follower) = start(async move { Follower::start(key, &cluster, gallery, folder).await })?;
        Ok(Self::new(runtime, Source::Here(follower)))
    }

    fn new(runtime: Runtime, source: Source) -> Self {
        Self { source, templates: AtomicUsize::new(0), runtime: Some(runtime) }
    }

    fn ask(&self, probe: &Template, options: AskOptions) -> Result<Answer, RemoteIncomplete> {
        let incomplete = |why: String| RemoteIncomplete { why };
        let answer = match (&self.source, &self.runtime) {
            (Source::Here(follower), _) => follower.search(probe, &options),
            (Source::Nodes(search), Some(runtime)) => {
                let (answered, answer) = mpsc::sync_channel(1);
                let (search, probe, wait) = (Arc::clone(search), probe.clone(), options.budget + GRACE);
                let asking = runtime.spawn(async move { _ = answered.send(search.search(&probe, &options).await) });
                answer.recv_timeout(wait).map_err(|error| {
                    asking.abort();
                    incomplete(match error {
                        RecvTimeoutError::Timeout => "no answer came in time".to_owned(),
                        RecvTimeoutError::Disconnected => ClusterError::Stopped.to_string(),
                    })
                })?
            }
            (Source::Nodes(_), None) => Err(ClusterError::Stopped),
        };
        answer.map_err(|error| incomplete(error.to_string()))
    }
}

/// A runtime, and what the first work on it gives: not waited for as a runtime does it, which threads of another runtime must not.
fn start<T: Send + 'static>(
    work: impl Future<Output = Result<T, ClusterError>> + Send + 'static,
) -> Result<(Runtime, T), ClusterError> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).thread_name("clearlane-cluster").enable_all().build();
    let runtime = runtime.map_err(|source| ClusterError::Threads { source })?;
    let (done, result) = mpsc::sync_channel(1);
    runtime.spawn(async move { _ = done.send(work.await) });
    match result.recv().unwrap_or(Err(ClusterError::Stopped)) {
        Ok(result) => Ok((runtime, result)),
        Err(error) => {
            runtime.shutdown_background();
            Err(error)
        }
    }
}

impl Drop for ClusterGallery {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl RemoteGallery for ClusterGallery {
    fn model(&self) -> ModelId {
        match &self.source {
            Source::Nodes(search) => search.model(),
            Source::Here(follower) => follower.model(),
        }
    }

    fn templates(&self) -> usize {
        self.templates.load(Ordering::Relaxed)
    }

    fn search(&self, probe: &Template, question: &RemoteQuestion) -> Result<RemoteAnswer, RemoteIncomplete> {
        let left = question.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let options = AskOptions {
            threshold: question.threshold,
            mode: question.mode,
            max_age: Duration::try_from(question.max_age).unwrap_or_default(),
            // The decision and its record take their time as well.
            budget: left.map_or(LONGEST, |left| left - left / SHARE_AFTER),
            ..AskOptions::new(question.k)
        };
        let complete = match self.ask(probe, options)? {
            Answer::Complete(complete) => complete,
            Answer::Incomplete(incomplete) => return Err(RemoteIncomplete { why: incomplete.to_string() }),
        };
        let templates = usize::try_from(complete.templates).unwrap_or(usize::MAX);
        self.templates.store(templates, Ordering::Relaxed);
        let found = complete.candidates.into_iter().map(|found| {
            let candidate = Candidate { subject: found.subject, template: found.template, score: found.score };
            (candidate, found.details)
        });
        let (candidates, details) = found.unzip();
        Ok(RemoteAnswer { candidates, details, templates, as_of: complete.as_of })
    }
}
