//! How a whole cluster is, for operators: what the brokers hold and what the nodes say.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde::Serialize;

use crate::gallery::{GALLERY_STREAM, STATUS_SUBJECT};
use crate::keys::Purpose;
use crate::seal::Place;
use crate::{ClusterError, ClusterKey, ClusterOptions, NodeStatus, stream};

/// How a cluster is.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ClusterStatus {
    /// Into how many partitions the gallery is divided.
    pub partitions: u32,
    /// The model of its templates.
    pub model: clearlane_template::ModelId,
    /// How many values each has.
    pub dimension: u32,
    /// Messages in the stream: a state of each subject, those who are gone included, a head of each partition, and one more.
    pub messages: u64,
    /// Bytes of the stream on each broker.
    pub bytes: u64,
    /// The last sequence of the stream.
    pub sequence: u64,
    /// The broker that leads the stream; `None` where they are choosing one.
    pub leader: Option<String>,
    /// The brokers that follow it, and whether each is up to date.
    pub replicas: Vec<(String, bool)>,
    /// The nodes that answered, by name.
    pub nodes: Vec<NodeStatus>,
}

impl ClusterStatus {
    /// How many nodes answer for a partition.
    #[must_use]
    pub fn answering(&self, partition: u32) -> usize {
        let answers =
            |node: &&NodeStatus| node.partitions.iter().any(|one| one.partition == partition && one.answering);
        self.nodes.iter().filter(answers).count()
    }
}

/// Asks brokers and nodes how they are; nodes have `wait` to answer.
pub async fn cluster_status(
    key: &ClusterKey,
    cluster: &ClusterOptions,
    wait: Duration,
) -> Result<ClusterStatus, ClusterError> {
    let context = cluster.connect().await?;
    let config = stream::read_config(&context, key).await?.ok_or(ClusterError::NoGallery)?;
    let keys = config.keys(key)?;
    let stream = context.get_stream(GALLERY_STREAM).await;
    let stream = stream.map_err(ClusterError::broker("say what the gallery's stream is"))?;
    let info = stream.cached_info();
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_| ClusterError::NoEntropy)?;
    let client = context.client();
    let inbox = client.new_inbox();
    let failed = "ask the nodes";
    let mut replies = client.subscribe(inbox.clone()).await.map_err(ClusterError::broker(failed))?;
    let asked = client.publish_with_reply(STATUS_SUBJECT, inbox, id.to_vec().into()).await;
    asked.map_err(ClusterError::broker(failed))?;
    let until = tokio::time::Instant::now() + wait;
    let mut nodes: Vec<NodeStatus> = Vec::new();
    while let Ok(Some(reply)) = tokio::time::timeout_at(until, replies.next()).await {
        let opened = keys.open(Purpose::Status, Place { partition: u32::MAX, id: &id }, &reply.payload);
        match opened.map(|json| serde_json::from_slice(&json)) {
            Ok(Ok(status)) => nodes.push(status),
            // The brokers say at once that nobody listens.
            _ if reply.payload.is_empty() => break,
            _ => tracing::warn!("a node's status does not open"),
        }
    }
    nodes.sort_by(|a, b| a.node.cmp(&b.node));
    let brokers = info.cluster.as_ref();
    Ok(ClusterStatus {
        partitions: config.partitions,
        model: config.model,
        dimension: config.dimension,
        messages: info.state.messages,
        bytes: info.state.bytes,
        sequence: info.state.last_sequence,
        leader: brokers.and_then(|cluster| cluster.leader.clone()),
        replicas: brokers.map_or_else(Vec::new, |cluster| {
            cluster.replicas.iter().map(|peer| (peer.name.clone(), peer.current)).collect()
        }),
        nodes,
    })
}
