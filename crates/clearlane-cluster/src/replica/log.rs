//! A node's snapshot: the sealed messages that it took in, one after the other in a file, so that it starts again from there
//! and asks the brokers only for what came since.
//!
//! A log rather than a picture that is written every so often: what is written is what came, and a node that was killed lacks
//! no more than its last second. Nothing in it is trusted: each message is sealed, a torn end is cut off, and the next head
//! says whether all of it is as it should be.
//!
//! ```text
//! "clearlane log 1\n" | digest of the gallery 16
//! length of the message 4 | sequence 8 | subject 8 | sealed message
//! ```

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::keys::Keys;
use crate::seal::OVERHEAD;
use crate::state::MAX_STATE;
use crate::{ClusterError, lock};

const MAGIC: &[u8; 16] = b"clearlane log 1\n";
/// Bytes of it that all versions have.
const FAMILY: usize = 14;
const HEADER: u64 = 32;
const RECORD_HEADER: usize = 20;
/// Bytes that are read, and whose messages are opened, at a time.
const AT_ONCE: usize = 32 << 20;
/// Bytes of messages that later ones took the place of, beyond which the file is written anew, where they are half of it.
const WASTE: u64 = 64 << 20;

/// Bytes of the smallest message with a template, but for the template's values.
pub(super) const LEAST: u64 = (RECORD_HEADER + OVERHEAD + 15) as u64;

/// Where a message lies in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    offset: u64,
    length: u32,
}

/// A message of the log.
pub(super) struct Record {
    pub(super) sequence: u64,
    pub(super) subject: u64,
    pub(super) message: Bytes,
    pub(super) place: Place,
}

/// A log that is read from its beginning.
pub(super) struct Reading {
    path: PathBuf,
    file: BufReader<File>,
    /// Where the next record begins.
    at: u64,
    /// Where the file ends.
    end: u64,
}

/// A log that is written on.
pub(super) struct Log {
    path: PathBuf,
    file: BufWriter<File>,
    length: u64,
    /// Bytes of messages that later ones took the place of.
    waste: u64,
    rewriting: Option<Rewriting>,
}

/// A log without waste: the file, where each message lies by where it lay, and the length.
type Copied = (File, HashMap<u64, u64>, u64);

/// A log that is written anew beside, without what later messages took the place of.
struct Rewriting {
    /// The old log's length when it began: what came since is copied at the end.
    cut: u64,
    /// Its waste then, which is left out: what later messages take the place of meanwhile stands in the new one.
    waste: u64,
    done: mpsc::Receiver<Result<Copied, ClusterError>>,
}

/// Where messages lie once a log was written anew.
pub(super) struct Moved {
    places: HashMap<u64, u64>,
    cut: u64,
    end: u64,
}

impl Moved {
    pub(super) fn place(&self, before: Place) -> Place {
        let offset = match self.places.get(&before.offset) {
            Some(offset) => *offset,
            None => before.offset.saturating_sub(self.cut) + self.end,
        };
        Place { offset, length: before.length }
    }
}

impl Log {
    /// The log of a partition in a folder, made where there is none. One of another gallery is emptied. Returns how long it is
    /// too.
    pub(super) fn open(folder: &Path, partition: u32, keys: &Keys) -> Result<(Reading, u64), ClusterError> {
        let path = folder.join(format!("partition-{partition}.log"));
        std::fs::create_dir_all(folder).map_err(ClusterError::file(folder))?;
        let mut file = lock::open(&path, &mut private())?;
        let mut begin = || -> std::io::Result<u64> {
            let mut digest = Sha256::new();
            digest.update(keys.id().0);
            digest.update(keys.context());
            digest.update(partition.to_be_bytes());
            let mut header = MAGIC.to_vec();
            header.extend_from_slice(&digest.finalize()[..16]);
            let mut found = Vec::new();
            (&file).take(HEADER).read_to_end(&mut found)?;
            let ours = MAGIC.starts_with(&found) || found.starts_with(&MAGIC[..FAMILY]);
            if !ours && found.iter().any(|byte| *byte != 0) {
                let what = "it is no log of a node's, and is not written over: choose another folder";
                return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, what));
            }
            if found != header {
                file.set_len(0)?;
                file.seek(SeekFrom::Start(0))?;
                file.write_all(&header)?;
            }
            Ok(file.metadata()?.len())
        };
        let end = begin().map_err(ClusterError::file(&path))?;
        Ok((Reading { path, file: BufReader::with_capacity(1 << 20, file), at: HEADER, end }, end))
    }

    /// A later message took the place of this one.
    pub(super) fn superseded(log: &mut Option<Self>, place: Place) {
        if let Some(log) = log {
            log.waste += u64::from(place.length);
        }
    }

    /// Writes a message at the end.
    pub(super) fn append(&mut self, sequence: u64, subject: u64, message: &[u8]) -> Result<Place, ClusterError> {
        let place = Place { offset: self.length, length: (RECORD_HEADER + message.len()) as u32 };
        let mut header = [0; RECORD_HEADER];
        header[..4].copy_from_slice(&(message.len() as u32).to_le_bytes());
        header[4..12].copy_from_slice(&sequence.to_le_bytes());
        header[12..].copy_from_slice(&subject.to_le_bytes());
        let write = self.file.write_all(&header).and_then(|()| self.file.write_all(message));
        write.map_err(ClusterError::file(&self.path))?;
        self.length += u64::from(place.length);
        Ok(place)
    }

    /// Hands what was appended to the system, so that it outlives this process.
    pub(super) fn flush(&mut self) -> Result<(), ClusterError> {
        self.file.flush().map_err(ClusterError::file(&self.path))
    }

    /// Hands what was appended to the disk.
    pub(super) fn sync(&mut self) -> Result<(), ClusterError> {
        self.flush()?;
        self.file.get_ref().sync_data().map_err(ClusterError::file(&self.path))
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) -> Result<(), ClusterError> {
        self.rewriting = None;
        self.flush()?;
        let file = self.file.get_mut();
        let cut = file.set_len(HEADER).and_then(|()| file.seek(SeekFrom::Start(HEADER)).map(drop));
        cut.map_err(ClusterError::file(&self.path))?;
        (self.length, self.waste) = (HEADER, 0);
        Ok(())
    }

    /// Whether the file should be written anew.
    pub(super) fn is_wasteful(&self) -> bool {
        self.rewriting.is_none() && self.waste > WASTE && self.waste > self.length / 2
    }

    /// Begins to write the log anew with the messages at these places only, on a thread of the current rayon pool.
    pub(super) fn rewrite(&mut self, mut places: Vec<Place>) -> Result<(), ClusterError> {
        self.flush()?;
        let (sender, done) = mpsc::channel();
        let path = self.path.clone();
        self.rewriting = Some(Rewriting { cut: self.length, waste: self.waste, done });
        rayon::spawn(move || {
            places.sort_unstable_by_key(|place| place.offset);
            // Whoever has cleared the log meanwhile has no use for it.
            _ = sender.send(copy(&path, &places));
        });
        Ok(())
    }

    /// Puts the log that was written anew in the place of the old one, once it is ready.
    pub(super) fn rewritten(&mut self) -> Result<Option<Moved>, ClusterError> {
        let Some(rewriting) = &self.rewriting else { return Ok(None) };
        let Ok(done) = rewriting.done.try_recv() else { return Ok(None) };
        let (cut, waste) = (rewriting.cut, rewriting.waste);
        self.rewriting = None;
        let (mut file, places, end) = done?;
        self.flush()?;
        let mut replace = || -> std::io::Result<u64> {
            let mut rest = File::open(&self.path)?;
            rest.seek(SeekFrom::Start(cut))?;
            let copied = std::io::copy(&mut rest, &mut file)?;
            file.sync_data()?;
            std::fs::rename(beside(&self.path), &self.path)?;
            if let Some(folder) = self.path.parent() {
                File::open(folder)?.sync_all()?;
            }
            Ok(copied)
        };
        let copied = replace().map_err(ClusterError::file(&self.path))?;
        self.file = BufWriter::with_capacity(1 << 20, file);
        (self.length, self.waste) = (end + copied, self.waste.saturating_sub(waste));
        Ok(Some(Moved { places, cut, end }))
    }
}

/// Only its owner reads the file.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}

/// The name under which a log is written anew.
fn beside(path: &Path) -> PathBuf {
    path.with_extension("log.new")
}

/// Copies the messages at these places, in order.
fn copy(path: &Path, places: &[Place]) -> Result<Copied, ClusterError> {
    // One that was begun for a log that was closed meanwhile may still be at it.
    let file = lock::open(&beside(path), &mut private())?;
    write_copy(path, places, file).map_err(ClusterError::file(&beside(path)))
}

fn write_copy(path: &Path, places: &[Place], file: File) -> std::io::Result<Copied> {
    let mut old = BufReader::with_capacity(1 << 20, File::open(path)?);
    file.set_len(0)?;
    let mut new = BufWriter::with_capacity(1 << 20, file);
    std::io::copy(&mut (&mut old).take(HEADER), &mut new)?;
    let (mut moved, mut from, mut to) = (HashMap::with_capacity(places.len()), HEADER, HEADER);
    for place in places {
        old.seek_relative((place.offset - from) as i64)?;
        std::io::copy(&mut (&mut old).take(u64::from(place.length)), &mut new)?;
        moved.insert(place.offset, to);
        from = place.offset + u64::from(place.length);
        to += u64::from(place.length);
    }
    let file = new.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    Ok((file, moved, to))
}

impl Reading {
    /// The next messages; `None` at the end. A torn end is no message.
    pub(super) fn read(&mut self) -> Result<Option<Vec<Record>>, ClusterError> {
        let room = (self.end - self.at).min(AT_ONCE as u64 + MAX_STATE as u64) as usize;
        let mut bytes = vec![0; room];
        let read = self.file.seek(SeekFrom::Start(self.at)).and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(ClusterError::file(&self.path))?;
        let bytes = Bytes::from(bytes);
        let (mut records, mut from) = (Vec::new(), 0);
        while from < AT_ONCE
            && let Some(header) = bytes[from..].first_chunk::<RECORD_HEADER>()
        {
            let number = |range: std::ops::Range<usize>| {
                header[range].iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
            };
            let length = number(0..4) as usize;
            let message = from + RECORD_HEADER..from + RECORD_HEADER + length;
            if length > MAX_STATE || message.end > bytes.len() {
                break;
            }
            let place = Place { offset: self.at + from as u64, length: (RECORD_HEADER + length) as u32 };
            from = message.end;
            let message = bytes.slice(message);
            records.push(Record { sequence: number(4..12), subject: number(12..20), message, place });
        }
        if records.is_empty() {
            self.end = self.at;
            return Ok(None);
        }
        self.at += from as u64;
        Ok(Some(records))
    }

    /// What begins at this place is not sound: the log ends before it.
    pub(super) fn cut(&mut self, place: Place) {
        (self.at, self.end) = (place.offset, place.offset);
    }

    /// The log, to be written on from where reading ended. `live` bytes of it are the latest of their subjects.
    pub(super) fn write(self, live: u64) -> Result<Log, ClusterError> {
        let mut file = self.file.into_inner();
        let cut = file.set_len(self.at).and_then(|()| file.seek(SeekFrom::Start(self.at)).map(drop));
        cut.map_err(ClusterError::file(&self.path))?;
        let waste = (self.at - HEADER).saturating_sub(live);
        let file = BufWriter::with_capacity(1 << 20, file);
        Ok(Log { path: self.path, file, length: self.at, waste, rewriting: None })
    }
}

impl Place {
    /// Bytes of the message and what stands before it.
    pub(super) fn length(self) -> u64 {
        u64::from(self.length)
    }
}
