//! The cluster's gallery as the lanes of a port search it: without a runtime of the host's.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::background::Background;
use crate::{Answer, AskOptions, ClusterError, ClusterKey, ClusterOptions, ClusterSearch, Follower, GallerySettings};
use clearlane::{RemoteAnswer, RemoteGallery, RemoteIncomplete, RemoteQuestion};
use clearlane_match::Candidate;
use clearlane_template::{ModelId, Template};

/// How long an answer may take whose asker waits.
const LONGEST: Duration = Duration::from_secs(10);
/// The share of the time that is left which a search may take.
const SHARE: f64 = 0.9;
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
    background: Background,
}

enum Source {
    Nodes(Arc<ClusterSearch>),
    Here(Arc<Follower>),
}

impl ClusterGallery {
    /// The gallery of the cluster's nodes, which are asked.
    pub fn asking(key: ClusterKey, cluster: &ClusterOptions) -> Result<Self, ClusterError> {
        let (background, cluster) = (Background::start()?, cluster.clone());
        let search = background.finish(async move { ClusterSearch::connect(key, &cluster).await })?;
        Ok(Self { source: Source::Nodes(Arc::new(search)), templates: AtomicUsize::new(0), background })
    }

    /// The whole gallery, which this process follows itself: see [`Follower`].
    pub fn following(
        key: ClusterKey,
        cluster: &ClusterOptions,
        gallery: GallerySettings,
        folder: Option<PathBuf>,
    ) -> Result<Self, ClusterError> {
        let (background, cluster) = (Background::start()?, cluster.clone());
        let follower = background.finish(async move { Follower::start(key, &cluster, gallery, folder).await })?;
        Ok(Self { source: Source::Here(Arc::new(follower)), templates: AtomicUsize::new(0), background })
    }

    fn ask(&self, probe: &Template, options: AskOptions) -> Result<Answer, RemoteIncomplete> {
        let incomplete = |why: String| RemoteIncomplete { why };
        let answer = match &self.source {
            // On threads of their own, so that a lane waits no longer than it may, whatever they are busy with.
            Source::Here(follower) => {
                let (follower, probe, wait) = (Arc::clone(follower), probe.clone(), options.budget + GRACE);
                let search = move || follower.search(&probe, &options);
                let searched = async move { tokio::task::spawn_blocking(search).await };
                self.background.run(wait, async move { searched.await.unwrap_or(Err(ClusterError::Stopped)) })
            }
            Source::Nodes(search) => {
                let (search, probe, wait) = (Arc::clone(search), probe.clone(), options.budget + GRACE);
                self.background.run(wait, async move { search.search(&probe, &options).await })
            }
        };
        let answer = answer.map_err(|error| incomplete(error.to_string()))?;
        answer.ok_or_else(|| incomplete("no answer came in time".to_owned()))
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
        match &self.source {
            Source::Nodes(_) => self.templates.load(Ordering::Relaxed),
            Source::Here(follower) => follower.templates(),
        }
    }

    fn search(&self, probe: &Template, question: &RemoteQuestion) -> Result<RemoteAnswer, RemoteIncomplete> {
        let left = question.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let options = AskOptions {
            threshold: question.threshold,
            mode: question.mode,
            max_age: Duration::try_from(question.max_age).unwrap_or_default(),
            // The decision and its record take their time as well.
            budget: left.map_or(LONGEST, |left| left.mul_f64(SHARE)),
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
