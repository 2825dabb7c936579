//! What a node, a lane or a batch tells the registrar: that a partition as the stream gives it is not what the heads say.

use async_nats::Client;

use crate::ClusterError;
use crate::head;
use crate::keys::{Keys, Purpose};
use crate::seal::Place;
use crate::wire::{Reader, Writer};

/// Where the registrar hears notices.
pub(crate) const NOTICES: &str = "differs.*";

/// An older notice is of no use, or is replayed.
const LATEST_US: i64 = 60_000_000;

fn subject(partition: u32) -> String {
    format!("differs.{partition}")
}

fn place(partition: u32) -> Place<'static> {
    Place { partition, id: b"differs" }
}

/// Says so of a partition. Where it is lost, the next one comes with the next reading.
pub(crate) async fn send(client: &Client, keys: &Keys, partition: u32) -> Result<(), ClusterError> {
    let mut writer = Writer::with_capacity(8);
    writer.i64(head::now());
    let sealed = keys.seal(Purpose::Notice, place(partition), writer.as_slice())?;
    let sent = client.publish(subject(partition), sealed.into()).await;
    sent.map_err(ClusterError::broker("take a notice"))
}

/// The partition of a notice, if it is one of now.
pub(crate) fn open(keys: &Keys, at: &str, message: &[u8]) -> Result<u32, ClusterError> {
    let value = || ClusterError::Value { what: Purpose::Notice.name(), field: "partition" };
    let partition = at.strip_prefix("differs.").and_then(|partition| partition.parse().ok()).ok_or_else(value)?;
    let content = keys.open(Purpose::Notice, place(partition), message)?;
    let mut reader = Reader::new(Purpose::Notice.name(), &content);
    let time = reader.i64()?;
    reader.end()?;
    if head::now().abs_diff(time) > LATEST_US.unsigned_abs() {
        return Err(ClusterError::Value { what: Purpose::Notice.name(), field: "time" });
    }
    Ok(partition)
}
