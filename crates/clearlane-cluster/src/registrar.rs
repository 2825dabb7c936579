//! The registrar: the one process that writes the gallery. Its register is the source; what it returned `Ok` for stands in the
//! register and was acknowledged by the brokers.

mod audit;
mod book;
mod load;
mod publish;
mod source;
mod work;
mod write;

use std::sync::Arc;
use std::time::Duration;

use clearlane_store::{Enrolment, Register};
use clearlane_template::{MAX_DIMENSION, ModelId, SubjectId, TemplateId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::gallery::GalleryConfig;
use crate::head;
use crate::partition::MAX_PARTITIONS;
use crate::state::MAX_STATE;
use crate::{ClusterError, ClusterKey, ClusterOptions, state, stream};
use audit::Auditor;
use book::Book;
use publish::Publisher;
use source::Source;
use work::Worker;
use write::{Job, Publication};

/// Changes that wait to be written; whoever brings more waits.
const WAITING: usize = 1024;
/// Changes that are written and wait for the brokers; beyond that, none is written until these can be reached again.
const UNPUBLISHED: usize = 1 << 16;

/// How a registrar publishes.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct RegistrarOptions {
    pub(crate) model: ModelId,
    pub(crate) dimension: usize,
    pub(crate) partitions: u32,
    pub(crate) replicas: usize,
    pub(crate) bytes: Option<u64>,
    pub(crate) head_every: Duration,
    pub(crate) wait: Duration,
}

impl RegistrarOptions {
    /// A gallery of the register's templates of `model`, of so many values: 4 partitions, three replicas, a head every 250 ms.
    pub fn new(model: ModelId, dimension: usize) -> Self {
        Self {
            model,
            dimension,
            partitions: 4,
            replicas: 3,
            bytes: None,
            head_every: Duration::from_millis(250),
            wait: Duration::from_secs(5),
        }
    }

    /// Into how many partitions the gallery is divided. It is fixed when the stream is made.
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.partitions = partitions;
        self
    }

    /// How many brokers keep each message: where a majority of them is left, nothing is lost.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// The most bytes that the stream may take on each broker (default: no limit). What is full refuses, and forgets nobody.
    pub fn stream_bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// How often a head is published. Nodes are as old at least.
    pub fn head_every(mut self, every: Duration) -> Self {
        self.head_every = every;
        self
    }

    /// How long [`Registrar::enrol`] and [`Registrar::revoke`] wait for the brokers before they say that they have not
    /// acknowledged yet.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    fn check(&self) -> Result<(), ClusterError> {
        let refused = |setting, reason| Err(ClusterError::Setting { setting, reason });
        if !(1..=MAX_PARTITIONS).contains(&self.partitions) {
            return refused("partitions", "expected 1 to 4096");
        }
        if !(1..=MAX_DIMENSION).contains(&self.dimension) {
            return refused("dimension", "expected that of a template");
        }
        if self.head_every < Duration::from_millis(10) {
            return refused("head_every", "expected 10 ms at least");
        }
        Ok(())
    }
}

/// How many heads brokers may have lost when a registrar starts.
const HEADS_LOST: u64 = 1 << 16;

/// A change that the brokers have acknowledged: where it stands in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The subject.
    pub subject: SubjectId,
    /// Its new templates, in the order in which they were given; none of a revocation.
    pub templates: Vec<TemplateId>,
    /// The partition that the subject belongs to.
    pub partition: u32,
    /// The sequence of its state in the stream. Brokers that lose messages use a sequence again.
    pub sequence: u64,
    /// The number of the first head that has the change in it, and so has every answer of this head or a later one.
    pub head: u64,
}

/// What a registrar has published, as it goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// The number of the newest head.
    pub head: u64,
    /// Its time, in microseconds since 1970.
    pub time: i64,
    /// The last sequence of the stream.
    pub sequence: u64,
    /// Subjects in the stream, those who are gone included.
    pub subjects: u64,
    /// Messages that somebody else put into the stream, and that were replaced.
    pub foreign: u64,
}

/// A running registrar. There is one for a gallery; a second one makes one of the two stop.
pub struct Registrar {
    jobs: mpsc::Sender<Job>,
    model: ModelId,
    wait: Duration,
    progress: watch::Receiver<Progress>,
    task: JoinHandle<Result<(), ClusterError>>,
}

impl Registrar {
    /// Makes the gallery's stream where there is none, compares it with the register, and publishes what differs. When this
    /// returns the stream holds what the register does, and heads follow.
    pub async fn open(
        register: Arc<Register>,
        key: ClusterKey,
        cluster: &ClusterOptions,
        options: RegistrarOptions,
    ) -> Result<Self, ClusterError> {
        options.check()?;
        let context = cluster.connect().await?;
        stream::gallery(&context, options.replicas, options.bytes).await?;
        stream::takes(&context, MAX_STATE)?;
        let config = settle(&context, &key, register.id(), &options).await?;
        let keys = Arc::new(config.keys(&key)?);
        let sealed = config.seal(&key)?.into();
        let mut book = Book::new(&config);
        load::load(&context, &config, &keys, &mut book).await?;
        let ahead = Duration::from_micros(u64::try_from(book.head_time.saturating_sub(head::now())).unwrap_or(0));
        if ahead > head::CLOCK_TOLERANCE {
            return Err(ClusterError::ClockBehind { ahead });
        }
        // Heads that the brokers lost are not counted again.
        book.head_number += HEADS_LOST;
        let source = Source::new(Arc::clone(&register), config, Arc::clone(&keys));
        let run = data_encoding::HEXLOWER.encode(&random::<8>()?);
        let publisher = Publisher::new(context.clone(), run);
        let (sender, progress) = watch::channel(Progress::default());
        let (findings, found) = mpsc::channel(1);
        let auditor = Auditor::new(context.clone(), config, key, Arc::clone(&keys), findings);
        let mut worker =
            Worker::new(context, config, keys, book, source, publisher, sealed, options.head_every, sender);
        worker.publish().await?;
        worker.publish_heads().await?;
        let (jobs, changes) = mpsc::channel(WAITING);
        let (written, publishing) = mpsc::channel(UNPUBLISHED);
        tokio::spawn(write::run(register, changes, written));
        tokio::spawn(auditor.run());
        Ok(Self {
            jobs,
            model: options.model,
            wait: options.wait,
            progress,
            task: tokio::spawn(worker.run(publishing, found)),
        })
    }

    /// Enrols a subject. It is in the register and in the stream when this returns. A subject without a template of the gallery's
    /// model, or with more templates or details than a message takes, is refused.
    pub async fn enrol(&self, enrolment: Enrolment) -> Result<Published, ClusterError> {
        // Whoever could not be found afterwards is not enrolled.
        state::publishable(&enrolment, self.model)?;
        let (done, answer) = oneshot::channel();
        self.change(Job::Enrol { enrolment: Box::new(enrolment), done }, answer).await
    }

    /// Takes a subject out. When this returns, at a time `t`, no complete answer has the subject after `t` and the bound that
    /// the asker states.
    pub async fn revoke(&self, subject: SubjectId, reason: &str) -> Result<Published, ClusterError> {
        let (done, answer) = oneshot::channel();
        self.change(Job::Revoke { subject, reason: reason.to_owned(), done }, answer).await
    }

    async fn change(&self, job: Job, answer: oneshot::Receiver<write::Answer>) -> Result<Published, ClusterError> {
        self.jobs.send(job).await.map_err(|_| ClusterError::Stopped)?;
        let written = answer.await.map_err(|_| ClusterError::Stopped)??;
        let late = ClusterError::NotYetPublished { subject: written.subject, waited: self.wait };
        let published = tokio::time::timeout(self.wait, written.published).await.map_err(|_| late)?;
        let Publication { partition, sequence, head } = published.map_err(|_| ClusterError::Stopped)?;
        Ok(Published { subject: written.subject, templates: written.templates, partition, sequence, head })
    }

    /// What has been published until now.
    #[must_use]
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Waits until the registrar fails, and says why: that another one publishes, or that the register cannot be read.
    pub async fn failed(&mut self) -> ClusterError {
        match (&mut self.task).await {
            Ok(Err(error)) => error,
            _ => ClusterError::Stopped,
        }
    }

    /// Ends the registrar once what it was given is published.
    pub async fn close(self) -> Result<(), ClusterError> {
        drop(self.jobs);
        self.task.await.unwrap_or(Err(ClusterError::Stopped))
    }
}

/// The gallery's configuration: the one that the brokers hold, if it is this register's, or a new one.
async fn settle(
    context: &async_nats::jetstream::Context,
    key: &ClusterKey,
    register: [u8; 16],
    options: &RegistrarOptions,
) -> Result<GalleryConfig, ClusterError> {
    let (model, partitions, dimension) = (options.model, options.partitions, options.dimension as u32);
    let Some(found) = stream::read_config(context, key).await? else {
        let config = GalleryConfig { register, epoch: random()?, partitions, model, dimension };
        stream::write_config(context, key, &config).await?;
        return Ok(config);
    };
    if found.register != register {
        return Err(ClusterError::OtherRegister);
    }
    if found.model != model {
        return Err(ClusterError::OtherModel { found: found.model, expected: model });
    }
    if found.dimension != dimension {
        return Err(ClusterError::OtherDimension { expected: found.dimension as usize, found: options.dimension });
    }
    if found.partitions != partitions {
        return Err(ClusterError::OtherPartitions { found: found.partitions, expected: partitions });
    }
    Ok(found)
}

fn random<const N: usize>() -> Result<[u8; N], ClusterError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| ClusterError::NoEntropy)?;
    Ok(bytes)
}
