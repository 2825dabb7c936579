//! Publishing: many messages in flight, each until the brokers acknowledged it.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use futures_util::future::join_all;

use crate::gallery::GALLERY_STREAM;
use crate::{ClusterError, head, stream};

/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// A message to be published, in the place of the one with the sequence `after`.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) subject: String,
    pub(super) payload: Bytes,
    /// The sequence of the message that stands there; 0 for none.
    pub(super) after: u64,
    /// Its id, by which the brokers know it again.
    pub(super) id: String,
}

/// What stands where a message should go.
pub(super) struct Standing {
    pub(super) sequence: u64,
    pub(super) payload: Bytes,
}

/// Publishes into the gallery's stream.
pub(super) struct Publisher {
    context: Context,
    /// Tells this process's messages from any other's.
    run: String,
    count: u64,
}

impl Publisher {
    pub(super) fn new(context: Context, run: String) -> Self {
        Self { context, run, count: 0 }
    }

    pub(super) fn outgoing(&mut self, subject: String, payload: Bytes, after: u64) -> Outgoing {
        self.count += 1;
        Outgoing { subject, payload, after, id: format!("{}-{}", self.run, self.count) }
    }

    /// Publishes all of them, and gives their sequences in the same order. Tries for as long as it takes; `conflict` says
    /// what becomes of a message whose place somebody else has taken: it goes after that (`Ok`), or all ends.
    pub(super) async fn all(
        &self,
        mut messages: Vec<Outgoing>,
        conflict: impl Fn(&Outgoing, &Standing) -> Result<(), ClusterError>,
    ) -> Result<Vec<u64>, ClusterError> {
        let mut sequences = vec![0; messages.len()];
        let mut missing: Vec<usize> = (0..messages.len()).collect();
        let mut wait = Duration::from_millis(10);
        let started = head::now();
        while !missing.is_empty() {
            let tries = join_all(missing.iter().map(|&index| self.one(&messages[index]))).await;
            let mut failed = Vec::new();
            for (&index, tried) in missing.iter().zip(tries) {
                match tried {
                    Ok(sequence) => sequences[index] = sequence,
                    Err(error) => failed.push((index, error)),
                }
            }
            missing.clear();
            for (index, error) in failed {
                if error.kind() == PublishErrorKind::WrongLastSequence {
                    match self.standing(&messages[index].subject).await {
                        Ok(Some(standing)) if standing.payload == messages[index].payload => {
                            // It was stored, and the acknowledgement lost.
                            sequences[index] = standing.sequence;
                            continue;
                        }
                        Ok(Some(standing)) => {
                            conflict(&messages[index], &standing)?;
                            messages[index].after = standing.sequence;
                        }
                        // The brokers have lost what stood there.
                        Ok(None) => messages[index].after = 0,
                        Err(error) => tracing::debug!(%error, "what stands in a message's place is not known"),
                    }
                } else if missing.is_empty() {
                    let seconds = (head::now() - started) / 1_000_000;
                    tracing::warn!(%error, seconds, "the brokers do not acknowledge; publishing again");
                }
                missing.push(index);
            }
            if !missing.is_empty() {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
        Ok(sequences)
    }

    async fn one(&self, message: &Outgoing) -> Result<u64, PublishError> {
        let publish = PublishMessage::build()
            .payload(message.payload.clone())
            .message_id(&message.id)
            .expected_last_subject_sequence(message.after);
        Ok(self.context.send_publish(message.subject.clone(), publish).await?.await?.sequence)
    }

    /// The message that stands at a subject; `None` where there is none.
    async fn standing(&self, subject: &str) -> Result<Option<Standing>, ClusterError> {
        let stream = self.context.get_stream_no_info(GALLERY_STREAM).await;
        let stream = stream.map_err(ClusterError::broker("give the gallery's stream"))?;
        let found = stream::latest(&stream, subject).await.map_err(ClusterError::broker("give a message"))?;
        Ok(found.map(|message| Standing { sequence: message.sequence, payload: message.payload }))
    }
}
