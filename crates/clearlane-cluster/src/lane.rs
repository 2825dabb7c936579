//! The cluster's gallery as the lanes of a port search it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use clearlane::{RemoteAnswer, RemoteGallery, RemoteIncomplete, RemoteQuestion};
use clearlane_match::Candidate;
use clearlane_template::{ModelId, Template};
use tokio::runtime::Handle;

use crate::{Answer, AskOptions, ClusterError, ClusterSearch, Follower};

/// How long an answer may take whose asker waits.
const LONGEST: Duration = Duration::from_secs(10);

/// How much longer than its budget is waited for an answer, which says itself that it is late.
const GRACE: Duration = Duration::from_millis(10);

/// A cluster's gallery for the lanes of a port, by [`PortBuilder::remote_gallery`](clearlane::PortBuilder::remote_gallery).
///
/// ```no_run
/// # use std::sync::Arc;
/// # use clearlane::{Calibration, Extractor, Policy, Port, References};
/// # use clearlane_cluster::{ClusterError, ClusterGallery, ClusterSearch};
/// # fn example(search: ClusterSearch, runtime: &tokio::runtime::Runtime, records: References, policy: Policy,
/// #     calibration: Calibration, extractor: Extractor) -> Result<(), clearlane::PortError> {
/// let gallery = ClusterGallery::asking(search, runtime.handle().clone());
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
}

enum Source {
    Asking(Arc<ClusterSearch>, Handle),
    Following(Arc<Follower>),
}

impl ClusterGallery {
    /// The gallery of the cluster's nodes, which are asked on `runtime`: one with threads of its own.
    #[must_use]
    pub fn asking(search: impl Into<Arc<ClusterSearch>>, runtime: Handle) -> Self {
        Self { source: Source::Asking(search.into(), runtime), templates: AtomicUsize::new(0) }
    }

    /// The gallery that this process follows itself.
    #[must_use]
    pub fn following(follower: impl Into<Arc<Follower>>) -> Self {
        Self { source: Source::Following(follower.into()), templates: AtomicUsize::new(0) }
    }

    fn ask(&self, probe: &Template, options: AskOptions) -> Result<Answer, RemoteIncomplete> {
        let incomplete = |error: ClusterError| RemoteIncomplete { why: error.to_string() };
        match &self.source {
            Source::Following(follower) => follower.search(probe, &options).map_err(incomplete),
            Source::Asking(search, runtime) => {
                // A lane may be used from threads of the runtime too, where waiting for it is no use.
                let (answered, answer) = mpsc::sync_channel(1);
                let (search, probe, budget) = (Arc::clone(search), probe.clone(), options.budget);
                let asking = runtime.spawn(async move { _ = answered.send(search.search(&probe, &options).await) });
                answer
                    .recv_timeout(budget + GRACE)
                    .map_err(|error| {
                        asking.abort();
                        let why = match error {
                            RecvTimeoutError::Timeout => "no answer came in time",
                            RecvTimeoutError::Disconnected => "its runtime has ended",
                        };
                        RemoteIncomplete { why: why.to_owned() }
                    })?
                    .map_err(incomplete)
            }
        }
    }
}

impl RemoteGallery for ClusterGallery {
    fn model(&self) -> ModelId {
        match &self.source {
            Source::Asking(search, _) => search.model(),
            Source::Following(follower) => follower.model(),
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
            budget: left.unwrap_or(LONGEST),
            ..AskOptions::new(question.k)
        };
        let complete = match self.ask(probe, options)? {
            Answer::Complete(complete) => complete,
            Answer::Incomplete(incomplete) => return Err(RemoteIncomplete { why: incomplete.to_string() }),
        };
        let templates = usize::try_from(complete.templates).unwrap_or(usize::MAX);
        self.templates.store(templates, Ordering::Relaxed);
        let as_of = complete.as_of;
        let found = complete.candidates.into_iter().map(|found| {
            let candidate = Candidate { subject: found.subject, template: found.template, score: found.score };
            (candidate, found.details)
        });
        let (candidates, details) = found.unzip();
        Ok(RemoteAnswer { candidates, details, templates, as_of })
    }
}
