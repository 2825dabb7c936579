//! draft
#![forbid(unsafe_code)]
mod answer;
mod ask;
mod error;
mod feed;
mod follow;
mod follower;
mod gallery;
mod head;
mod keys;
mod multiset;
mod node;
mod options;
mod partition;
mod question;
mod registrar;
mod replica;
mod seal;
mod settings;
mod state;
mod stream;
mod wire;

pub use ask::{Answer, AskOptions, ClusterCandidate, ClusterSearch, Complete, Incomplete, Missing, Why};
pub use error::ClusterError;
pub use follower::Follower;
pub use gallery::Position;
pub use head::CLOCK_TOLERANCE;
pub use keys::ClusterKey;
pub use node::{Node, NodeOptions, NodeStatus, PartitionStatus};
pub use options::ClusterOptions;
pub use partition::{MAX_PARTITIONS, ParsePartitionsError, Partitions};
pub use question::MAX_CANDIDATES;
pub use registrar::{Progress, Published, Registrar, RegistrarOptions};
pub use replica::Health;
pub use settings::GallerySettings;
pub use state::MAX_TEMPLATES;
