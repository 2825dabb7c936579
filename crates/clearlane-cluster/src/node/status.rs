//! How a node is, for operators.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::Client;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::serve::{Counters, INBOX};
use crate::ClusterError;
use crate::gallery::STATUS_SUBJECT;
use crate::head;
use crate::keys::{Keys, Purpose};
use crate::replica::{Health, Shared};
use crate::seal::Place;

/// How one partition of a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PartitionStatus {
    /// The partition.
    pub partition: u32,
    /// `loading`, `following`, `differs` or `reloading`.
    pub health: Health,
    /// Whether the node takes questions for it: a head vouched for it not long ago.
    pub answering: bool,
    /// The newest head that vouched for it; 0 for none.
    pub head: u64,
    /// That head's sequence in the stream.
    pub sequence: u64,
    /// How old the head is by the node's clock, in milliseconds; `None` where there is none.
    pub age_ms: Option<i64>,
    /// Templates that are searched.
    pub templates: u64,
    /// Messages that were refused.
    pub refused: u64,
    /// How often the partition was read again from the beginning.
    pub reloads: u64,
}

/// How a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NodeStatus {
    /// Its name.
    pub node: String,
    /// Its partitions.
    pub partitions: Vec<PartitionStatus>,
    /// Questions that it has now.
    pub questions: u64,
    /// Questions that it answered.
    pub answered: u64,
    /// Questions that it could not answer since its head was too old.
    pub behind: u64,
    /// Questions beyond those that may wait.
    pub busy: u64,
    /// Questions whose budget ended first.
    pub late: u64,
    /// Questions that did not open, or that no gallery answers.
    pub refused: u64,
    /// Microseconds that the answered searches took, together.
    pub searched_us: u64,
}

impl NodeStatus {
    /// The figures as Prometheus reads them (text format 0.0.4).
    #[must_use]
    pub fn to_prometheus(&self) -> String {
        let mut text = String::new();
        let mut figure = |name: &str, kind: &str, help: &str, values: Vec<(String, String)>| {
            // Writing to a String cannot fail.
            _ = writeln!(text, "# HELP clearlane_node_{name} {help}\n# TYPE clearlane_node_{name} {kind}");
            for (labels, value) in values {
                _ = writeln!(text, "clearlane_node_{name}{labels} {value}");
            }
        };
        let each = |value: &dyn Fn(&PartitionStatus) -> Option<String>| {
            let values = self.partitions.iter().filter_map(|partition| {
                Some((format!("{{partition=\"{}\"}}", partition.partition), value(partition)?))
            });
            values.collect::<Vec<_>>()
        };
        let answering = |partition: &PartitionStatus| Some(u8::from(partition.answering).to_string());
        figure("partition_answering", "gauge", "Whether the node takes questions for the partition.", each(&answering));
        let age = |partition: &PartitionStatus| partition.age_ms.map(|age| format!("{:.3}", age as f64 / 1000.0));
        figure("head_age_seconds", "gauge", "Age of the newest head that vouched for it.", each(&age));
        figure("head", "gauge", "Number of that head.", each(&|partition| Some(partition.head.to_string())));
        figure("templates", "gauge", "Templates that are searched.", each(&|one| Some(one.templates.to_string())));
        figure("messages_refused_total", "counter", "Refused messages.", each(&|one| Some(one.refused.to_string())));
        figure("reloads_total", "counter", "Times it was read again.", each(&|one| Some(one.reloads.to_string())));
        let outcomes = [
            ("answered", self.answered),
            ("behind", self.behind),
            ("busy", self.busy),
            ("late", self.late),
            ("refused", self.refused),
        ];
        let outcomes = outcomes.map(|(outcome, count)| (format!("{{outcome=\"{outcome}\"}}"), count.to_string()));
        figure("questions_total", "counter", "Questions, by outcome.", outcomes.to_vec());
        let searched = format!("{:.6}", self.searched_us as f64 / 1e6);
        figure("search_seconds_total", "counter", "Time of answered searches.", vec![(String::new(), searched)]);
        text
    }
}

/// What says how a node is.
pub(super) struct Reporter {
    pub(super) name: String,
    pub(super) partitions: Vec<(u32, Arc<Shared>)>,
    pub(super) counters: Arc<Counters>,
    /// Without a head for so long, the node takes no questions.
    pub(super) patience: Duration,
}

impl Reporter {
    pub(super) fn now(&self) -> NodeStatus {
        let now = head::now();
        let partition = |(partition, shared): &(u32, Arc<Shared>)| {
            let (at, health, heard) = shared.standing();
            let (refused, reloads) = shared.counts();
            PartitionStatus {
                partition: *partition,
                health,
                answering: at.head > 0 && heard.elapsed() < self.patience,
                head: at.head,
                sequence: at.sequence,
                age_ms: (at.head > 0).then(|| (now - at.time) / 1000),
                templates: shared.templates() as u64,
                refused,
                reloads,
            }
        };
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        NodeStatus {
            node: self.name.clone(),
            partitions: self.partitions.iter().map(partition).collect(),
            questions: counters.present() as u64,
            answered: count(&counters.answered),
            behind: count(&counters.behind),
            busy: count(&counters.busy),
            late: count(&counters.late),
            refused: count(&counters.refused),
            searched_us: count(&counters.searched),
        }
    }

    /// Answers those who ask how it is.
    pub(super) async fn run(
        self: Arc<Self>,
        client: Client,
        keys: Arc<Keys>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), ClusterError> {
        let subscribe = client.subscribe(STATUS_SUBJECT).await;
        let mut asked = subscribe.map_err(ClusterError::broker("take the subscription to status requests"))?;
        while !*stop.borrow() {
            let message = tokio::select! {
                message = asked.next() => message,
                _ = stop.changed() => break,
            };
            let Some(message) = message else { break };
            let to = message.reply.filter(|to| to.starts_with(INBOX));
            let (Some(to), Some(id)) = (to, message.payload.first_chunk::<16>()) else { continue };
            let what = ClusterError::Value { what: "a node's status", field: "all of it" };
            let json = serde_json::to_vec(&self.now()).map_err(|_| what)?;
            let sealed = keys.seal(Purpose::Status, Place { partition: u32::MAX, id }, &json)?;
            // Whoever asked asks again where this is lost.
            _ = client.publish(to, sealed.into()).await;
        }
        Ok(())
    }
}
