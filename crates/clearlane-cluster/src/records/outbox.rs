//! A lane's records on its own disk until the brokers have them.
//!
//! ```text
//! length 4 | sealed message, the records in order
//! ```

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::{BEGINNING, Link, Linked, MAX_RECORD};
use crate::keys::Keys;
use crate::{ClusterError, lock};

/// Beyond this, what the brokers have is taken out.
const FULL: u64 = 1 << 20;
/// Bytes of the largest message.
const MAX_MESSAGE: usize = MAX_RECORD + 256;

/// The file, and where the lane's chain ends.
pub(super) struct Outbox {
    path: PathBuf,
    file: File,
    length: u64,
    /// Messages that are in the file, by count.
    messages: Vec<(u64, bytes::Bytes)>,
    count: u64,
    link: Link,
    /// The last record of the chain.
    last: Option<Vec<u8>>,
}

impl Outbox {
    /// Opens a lane's outbox, or makes it. A torn end was never acknowledged to anybody, and is cut off.
    pub(super) fn open(folder: &Path, lane: &str, keys: &Keys) -> Result<Self, ClusterError> {
        let path = folder.join(format!("records-{lane}.outbox"));
        std::fs::create_dir_all(folder).map_err(ClusterError::file(folder))?;
        let mut file = lock::open(&path, OpenOptions::new().read(true).write(true))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(ClusterError::file(&path))?;
        let mut outbox = Self { path, file, length: 0, messages: Vec::new(), count: 0, link: BEGINNING, last: None };
        let mut rest = &bytes[..];
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*length) as usize;
            let Some((message, after)) = after.split_at_checked(length).filter(|_| length <= MAX_MESSAGE) else {
                break;
            };
            let linked = match Linked::open(keys, lane, message) {
                Ok(linked) => linked,
                Err(error @ ClusterError::OtherKey { .. }) => return Err(error),
                // Zeros, or a half-written message: what a power loss leaves of the last one. Nothing comes after it.
                Err(_) if after.is_empty() || rest.iter().all(|byte| *byte == 0) => break,
                Err(error) => return Err(error),
            };
            (outbox.count, outbox.link) = (linked.count, linked.link(lane));
            outbox.messages.push((linked.count, message.to_vec().into()));
            outbox.last = Some(linked.record);
            outbox.length += 4 + length as u64;
            rest = after;
        }
        let (length, failed) = (outbox.length, ClusterError::file(&outbox.path));
        let file = &mut outbox.file;
        file.set_len(length).and_then(|()| file.seek(SeekFrom::Start(length)).map(drop)).map_err(failed)?;
        Ok(outbox)
    }

    /// Where the lane's chain ends.
    pub(super) fn end(&self) -> (u64, Link) {
        (self.count, self.link)
    }

    /// The last record of the chain; `None` before the first.
    pub(super) fn last(&self) -> Option<&[u8]> {
        self.last.as_deref()
    }

    /// Goes on after a chain's end that the brokers have and this disk has not.
    pub(super) fn go_on(&mut self, lane: &str, last: &Linked) {
        (self.count, self.link, self.last) = (last.count, last.link(lane), Some(last.record.clone()));
    }

    /// Keeps a record. It is on the disk when this returns.
    pub(super) fn append(&mut self, keys: &Keys, lane: &str, record: &[u8]) -> Result<u64, ClusterError> {
        if record.len() > MAX_RECORD {
            return Err(ClusterError::TooLarge { bytes: record.len() });
        }
        let linked = Linked { count: self.count + 1, previous: self.link, record: record.to_vec() };
        let message = linked.seal(keys, lane)?;
        let mut entry = (message.len() as u32).to_le_bytes().to_vec();
        entry.extend_from_slice(&message);
        let file = &mut self.file;
        if let Err(source) = file.write_all(&entry).and_then(|()| file.sync_data()) {
            // A part of it may be there: the next one begins where this one did.
            _ = file.set_len(self.length).and_then(|()| file.seek(SeekFrom::Start(self.length)).map(drop));
            return Err(ClusterError::File { path: self.path.clone(), source });
        }
        self.length += entry.len() as u64;
        (self.count, self.link) = (linked.count, linked.link(lane));
        self.messages.push((linked.count, message.into()));
        self.last = Some(linked.record);
        Ok(linked.count)
    }

    /// The messages after a count, in order.
    pub(super) fn after(&self, count: u64) -> Vec<(u64, bytes::Bytes)> {
        self.messages.iter().filter(|(number, _)| *number > count).cloned().collect()
    }

    /// The brokers have all up to `count`: what is full is emptied, but for the last record, by which the chain goes on.
    pub(super) fn published(&mut self, count: u64) -> Result<(), ClusterError> {
        if count < self.count || self.length < FULL {
            return Ok(());
        }
        let Some(last) = self.messages.pop() else { return Ok(()) };
        let beside = self.path.with_extension("outbox.new");
        let mut entry = (last.1.len() as u32).to_le_bytes().to_vec();
        entry.extend_from_slice(&last.1);
        let mut file = lock::open(&beside, OpenOptions::new().read(true).write(true))?;
        let mut replace = || -> std::io::Result<()> {
            file.set_len(0)?;
            file.write_all(&entry)?;
            file.sync_data()?;
            std::fs::rename(&beside, &self.path)?;
            let folder = self.path.parent().unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        };
        replace().map_err(ClusterError::file(&self.path))?;
        self.file = file;
        self.length = entry.len() as u64;
        self.messages = vec![last];
        Ok(())
    }
}
