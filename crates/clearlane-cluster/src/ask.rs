//! A lane's side: every partition is asked, and the answers make one candidate list, or none.

mod allowance;
mod outcome;
mod partition;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::jetstream::Context;
use clearlane_match::Mode;
use clearlane_template::{ModelId, Template};
use futures_util::future::join_all;

use crate::gallery::GalleryConfig;
use crate::keys::Keys;
use crate::question::{MAX_CANDIDATES, Question};
use crate::{ClusterError, ClusterKey, ClusterOptions, Published, head, stream};

use allowance::Allowance;
pub(crate) use outcome::conclude;
pub use outcome::{Answer, ClusterCandidate, Complete, Incomplete, Missing, Why};
use partition::Asking;

/// No question is worth waiting for longer.
pub(crate) const LONGEST: Duration = Duration::from_hours(1);

/// What is asked of a cluster. Start from [`AskOptions::new`] and change what you need.
#[derive(Clone, Debug)]
pub struct AskOptions {
    /// How many subjects to find at most; at least 1, at most [`MAX_CANDIDATES`].
    pub k: usize,
    /// The least score of a candidate, in [-1, 1].
    pub threshold: f32,
    /// By which contract entries may be skipped.
    pub mode: Mode,
    /// The bound: how old the registrar's word may be, by this machine's clock, when the answer is complete.
    pub max_age: Duration,
    /// Changes that the answer has to have in it: partitions, with the number of the head that it has to reach.
    pub after: Vec<(u32, u64)>,
    /// How long the answer may take.
    pub budget: Duration,
    /// A partition that has not answered after this is asked again, of another node where there is one. Such questions are half as many as
    /// the first ones at most, and one beyond that: nodes that have too much to do would get more of it.
    pub hedge: Duration,
}

impl AskOptions {
    /// The `k` best subjects of any score, [`Mode::Certified`], of heads of 5 s of age at most, within 500 ms; a second node is
    /// asked after 50 ms.
    #[must_use]
    pub fn new(k: usize) -> Self {
        Self {
            k,
            threshold: -1.0,
            mode: Mode::Certified,
            max_age: Duration::from_secs(5),
            after: Vec::new(),
            budget: Duration::from_millis(500),
            hedge: Duration::from_millis(50),
        }
    }

    /// The same, of a state that has this change in it.
    #[must_use]
    pub fn with_change(mut self, change: &Published) -> Self {
        self.after.push((change.partition, change.head));
        self
    }

    pub(crate) fn question(&self, probe: &Template, config: &GalleryConfig) -> Result<Question, ClusterError> {
        let refused = |setting, reason| Err(ClusterError::Setting { setting, reason });
        if self.k == 0 || self.k > MAX_CANDIDATES {
            return refused("k", "expected 1 to 128 candidates");
        }
        if !(-1.0..=1.0).contains(&self.threshold) {
            return refused("threshold", "expected one in [-1, 1]");
        }
        if probe.model() != config.model {
            return Err(ClusterError::OtherModel { found: config.model, expected: probe.model() });
        }
        if probe.dimension() != config.dimension as usize {
            let (expected, found) = (config.dimension as usize, probe.dimension());
            return Err(ClusterError::OtherDimension { expected, found });
        }
        Ok(Question {
            probe: probe.clone(),
            k: self.k,
            threshold: self.threshold,
            mode: self.mode,
            asked: head::now(),
            max_age: self.max_age_us(),
            after: 0,
            budget: self.budget.as_micros() as u64,
        })
    }

    pub(crate) fn max_age_us(&self) -> i64 {
        i64::try_from(self.max_age.as_micros()).unwrap_or(i64::MAX)
    }

    /// The head that a partition's answer has to reach.
    pub(crate) fn after(&self, partition: u32) -> u64 {
        self.after.iter().filter(|(of, _)| *of == partition).map(|(_, head)| *head).max().unwrap_or(0)
    }
}

/// Asks the nodes of a cluster. Cheap to share.
pub struct ClusterSearch {
    client: Client,
    config: GalleryConfig,
    keys: Arc<Keys>,
    /// Of each partition.
    allowances: Vec<Allowance>,
}

impl ClusterSearch {
    /// Connects to the brokers, and reads what is fixed about their gallery.
    pub async fn connect(key: ClusterKey, cluster: &ClusterOptions) -> Result<Self, ClusterError> {
        Self::on(&cluster.connect().await?, &key).await
    }

    /// The same over a connection that there is.
    pub(crate) async fn on(context: &Context, key: &ClusterKey) -> Result<Self, ClusterError> {
        let config = stream::read_config(context, key).await?.ok_or(ClusterError::NoGallery)?;
        let keys = Arc::new(config.keys(key)?);
        let allowances = (0..config.partitions).map(|_| Allowance::default()).collect();
        Ok(Self { client: context.client(), config, keys, allowances })
    }

    /// What is fixed about the gallery, and its keys.
    pub(crate) fn gallery(&self) -> (&GalleryConfig, &Keys) {
        (&self.config, &self.keys)
    }

    /// Asks every partition for the best subjects, and merges what they say: the list that one gallery of all of them would
    /// give, each partition as of the position that the answer names, or an [`Answer::Incomplete`]. An error is a question that
    /// could never be answered.
    pub async fn search(&self, probe: &Template, options: &AskOptions) -> Result<Answer, ClusterError> {
        let question = options.question(probe, &self.config)?;
        let deadline = Instant::now() + options.budget.min(LONGEST);
        let asking = (0..self.config.partitions).zip(&self.allowances).map(|(partition, allowance)| {
            let asking = Asking {
                client: &self.client,
                keys: &self.keys,
                partition,
                question: Question { after: options.after(partition), ..question.clone() },
                deadline,
                hedge: options.hedge.clamp(Duration::from_millis(1), LONGEST),
                allowance,
            };
            asking.run()
        });
        let replies = join_all(asking).await;
        Ok(conclude((0..).zip(replies).collect(), options))
    }

    /// The model of the gallery's templates.
    #[must_use]
    pub fn model(&self) -> ModelId {
        self.config.model
    }

    /// How many partitions there are.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.config.partitions
    }
}
