//! One gallery over many machines: a registrar publishes the states of a register's subjects into a replicated stream, nodes
//! search a part of the gallery each, and a lane gets the candidate list that one machine would give, or none.
//!
//! The brokers are NATS servers with its streams (`JetStream`, 2.9 or later), an engine that exists, and are trusted with neither contents nor
//! truth: everything is sealed end to end under a [`ClusterKey`], and the registrar's heads say what has to be there. The crate
//! is optional: no other part of clearlane depends on it. [`ClusterGallery`] gives it to the lanes of a port.
//!
//! ```no_run
//! use std::sync::Arc;
//! use clearlane_cluster::*;
//! use clearlane_store::{Enrolment, KeyFile, Register};
//! # use clearlane_template::{ModelId, Template};
//!
//! # async fn example(register: Register, enrolment: Enrolment, model: ModelId, probe: Template) -> Result<(), ClusterError> {
//! let brokers = ClusterOptions::new(["nats://10.0.0.1:4222", "nats://10.0.0.2:4222", "nats://10.0.0.3:4222"]);
//! let key = ClusterKey::from_source(&KeyFile::open("cluster.key").map_err(ClusterError::Key)?)?;
//!
//! // At the centre: the one process that writes.
//! let registrar = Registrar::open(Arc::new(register), key.clone(), &brokers, RegistrarOptions::new(model, 512)).await?;
//! registrar.enrol(enrolment).await?;
//!
//! // On as many machines as it takes, each partition on two at least.
//! let node = Node::start(key.clone(), &brokers, NodeOptions::new("node-1", "0-3".parse().expect("partitions"))).await?;
//!
//! // At a lane.
//! let cluster = ClusterSearch::connect(key, &brokers).await?;
//! match cluster.search(&probe, &AskOptions::new(10)).await? {
//!     Answer::Complete(list) => println!("{} candidates, {:?} old", list.candidates.len(), list.age),
//!     Answer::Incomplete(why) => println!("{why}"), // refer to an officer
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised, and why it holds
//!
//! **An answer is whole or none.** [`Answer::Complete`] has an answer of every partition, each of one position: the state as of
//! one head, all of it and nothing after it. Merged by score and then by template id, these are the k best of all, since each
//! partition gave its k best. Whatever is missing makes [`Answer::Incomplete`], which refers the traveller to an officer.
//!
//! **A revocation that [`Registrar::revoke`] acknowledged at `t` is in no complete answer after `t` + the bound** that the asker
//! states ([`AskOptions::max_age`]).
//!
//! 1. The registrar is one thread of work. It enters a state into its sums when the brokers acknowledged it, tells the caller
//!    after that, and makes heads only in between. A head has the time at which the register was looked at for it: every
//!    head whose time is after `t` counts the revocation, and so it does whatever another process wrote into the register
//!    before that time.
//! 2. A head names, for its partition, how many subjects have a state, and the sum modulo 2^256 of a keyed code of each
//!    subject's latest state, those who are gone included (MSet-Add-Hash: Clarke et al., ASIACRYPT 2003). Without the key nobody
//!    finds other states of the same sum, nor makes a head.
//! 3. A node keeps the same sum over what it holds. It shows searches a new snapshot only at a head whose count and sum are its
//!    own, so that a snapshot of a head after `t` has not the subject. A broker that drops, withholds, replays or reorders
//!    messages can make a node fall behind, and no more.
//! 4. An answer is sealed for the question's random id and names the head's time. The asker compares it with its own clock when
//!    the list is made: a complete answer at `now` is of heads after `now` − bound. With `now` > `t` + bound, these are after
//!    `t`.
//!
//! `t` is read off the registrar's clock and `now` off the asker's: a difference of the two adds to the bound. Where the
//! registrar's clock is more than [`CLOCK_TOLERANCE`] ahead, its heads are refused; where it is behind, answers look older than
//! they are. A head that goes back in time is refused, and a registrar whose clock went back publishes none. A clock
//! of the asker's that is set back makes no head younger: how long ago a head was heard is measured without it.
//!
//! **What was acknowledged is not lost** while a majority of the brokers that keep the stream is left: the register has it, the
//! brokers acknowledge once a majority has it, and a registrar that starts compares the two and publishes what differs. Brokers that lose
//! what they acknowledged give a sequence twice: the registrar notices, and publishes again what stood there. Brokers that lose a message
//! in the middle, or bring back an older one, tell nobody; whoever reads the partition anew finds that it is not what the heads
//! say, answers nothing of it, and tells the registrar, which reads the partition too and publishes again what is not there. So a node
//! or a lane can make it read, for a fifth of its time at most.
//!
//! **One registrar writes.** Each message names the one that it follows at its place, and so does each head: of two
//! registrars, one finds that it was overtaken, and stops. What anybody else puts into the stream is noticed by the gap that it
//! makes in the sequence, and replaced.
//!
//! **Each block of a batch counts once.** [`BatchWorker`]s pull blocks that wait in a stream, and publish what came of each as the first
//! message of its place, or not at all, before they acknowledge: a block has a result or waits, whoever is killed. What is asked for
//! ([`DuplicateSearch`], [`Reembedding`]) is the job's name, so that whoever asks again goes on with it.
//!
//! What the brokers see: how many subjects there are, their numbers, when each changes and how large its state is; who asks
//! when. What somebody with the cluster key can do: everything that a registrar can; the brokers' permissions ([`Roles`]) keep
//! lanes and nodes, which have it too, from publishing states. A broker answers its own requests wherever a user says, so that they can
//! have garbage put there, which the registrar replaces. A [`Reembedding`] believes its workers: one who publishes results, with the key, can
//! have templates of any face written under any name.
#![forbid(unsafe_code)]
mod answer;
mod ask;
mod background;
mod batch;
mod error;
mod feed;
mod follow;
mod follower;
mod gallery;
mod head;
mod keys;
mod lane;
mod lock;
mod multiset;
mod node;
mod notice;
mod options;
mod partition;
mod question;
mod records;
mod registrar;
mod replica;
mod roles;
mod seal;
mod settings;
mod state;
mod status;
mod stream;
mod wire;

pub use ask::{Answer, AskOptions, ClusterCandidate, ClusterSearch, Complete, Incomplete, Missing, Why};
pub use batch::{
    BatchKind, BatchWorker, BatchWorkerOptions, BatchWorkerProgress, DuplicateOptions, DuplicateReport,
    DuplicateSearch, Reembedding, ReembeddingCandidate, ReembeddingOptions, ReembeddingReport, StandingBatch,
    StandingBatches, SubjectPair, UnreadablePicture, discard_batch, standing_batches,
};
pub use error::ClusterError;
pub use follower::Follower;
pub use gallery::Position;
pub use head::CLOCK_TOLERANCE;
pub use keys::ClusterKey;
pub use lane::ClusterGallery;
pub use node::{Node, NodeOptions, NodeStatus, PartitionStatus};
pub use options::ClusterOptions;
pub use partition::{MAX_PARTITIONS, ParsePartitionsError, Partitions};
pub use question::MAX_CANDIDATES;
pub use records::{
    Collected, CollectorState, LaneEnd, MAX_RECORD, RecordCollector, RecordFault, RecordForwarder, RecordSender,
    SentRecord,
};
pub use registrar::{Progress, Published, Registrar, RegistrarOptions};
pub use replica::Health;
pub use roles::{Roles, create_user_key};
pub use settings::GallerySettings;
pub use state::MAX_TEMPLATES;
pub use status::{ClusterStatus, cluster_status};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
