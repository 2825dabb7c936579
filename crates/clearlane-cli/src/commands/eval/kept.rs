//! Kept templates: what was made of a picture by the same models in the same way is not made again.
//!
//! A folder of packs. A pack belongs to one way to make templates, named by its digest, and is a header and records of one size, so
//! that a damaged one is skipped and the next is found, and a few files hold what would else be ten thousands. A record is
//! written in one piece at a pack's end; whatever is cut there is dropped when the pack is opened next. Each process appends to a pack
//! that it alone has locked: there are never more packs of one way than processes that ran at once.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use clearlane_embed::{ModelId, Template};
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::quality::Values;
use crate::failure::{Exit, Failure, Result};
use crate::output::shown;

/// A SHA-256 digest: of a picture's bytes, or of the way in which templates are made.
pub(super) type Sha = [u8; 32];

/// Packs of another form are left alone: what they hold is made again.
const MAGIC: &[u8; 8] = b"clkept02";

/// Magic, way and dimension.
const HEADER: usize = 8 + 32 + 4;

/// The least bytes of a record's content, so that the reason of a failure has room.
const LEAST_CONTENT: usize = 256;

/// The most packs of one way.
const MAX_PACKS: usize = 64;

/// A template with the quality of its capture, or why the picture gave none.
pub(super) type Outcome = Result<(Template, Values), String>;

/// Kept templates of one way to make them.
pub(super) struct Kept {
    way: Sha,
    model: ModelId,
    dimension: usize,
    /// In which pack, at which offset, the record of a picture is.
    known: HashMap<Sha, (usize, u64)>,
    /// Packs that are read; the last is written.
    packs: Vec<(PathBuf, Mutex<File>)>,
    /// Records that were not whole.
    pub(super) damaged: usize,
}

impl Kept {
    /// Opens the folder, or makes it, for templates that are made in this `way` by this model.
    pub(super) fn open(folder: &Path, way: Sha, model: ModelId, dimension: usize) -> Result<Self> {
        let mut make = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut make, 0o700);
        make.recursive(true).create(folder).map_err(|error| Failure::writing(folder, &error))?;
        let mut kept = Self { way, model, dimension, known: HashMap::new(), packs: Vec::new(), damaged: 0 };
        let mut own = None;
        for number in 0..MAX_PACKS {
            let path = folder.join(format!("{}-{number}.kept", HEXLOWER.encode(&way[..8])));
            let is_there = path.exists();
            if !is_there && own.is_some() {
                break;
            }
            let failed = |error: io::Error| Failure::writing(&path, &error);
            let file = open(&path).map_err(failed)?;
            let is_own = own.is_none() && lock(&file).map_err(failed)?;
            let is_pack = kept.index(&file, is_own).map_err(failed)?;
            match (is_pack, is_own) {
                (true, true) => own = Some((path, Mutex::new(file))),
                (true, false) => kept.packs.push((path, Mutex::new(file))),
                // Something else has this name; it is left alone.
                (false, _) => {}
            }
        }
        let own = own.ok_or_else(|| {
            let message = format!("{}: all {MAX_PACKS} packs of kept templates are in use", shown(folder));
            Failure::new(Exit::System, message).with_help("give another folder with --keep, or empty this one")
        })?;
        kept.packs.push(own);
        // What was indexed of the own pack gets the number that it has in the end.
        let last = kept.packs.len() - 1;
        kept.known.values_mut().filter(|(pack, _)| *pack == OWN).for_each(|(pack, _)| *pack = last);
        Ok(kept)
    }

    /// What was made of the picture with this digest.
    pub(super) fn get(&self, picture: &Sha) -> Option<Outcome> {
        let (pack, offset) = *self.known.get(picture)?;
        let mut record = vec![0; self.record_size()];
        let mut file = held(&self.packs[pack].1);
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut record)).ok()?;
        drop(file);
        self.decode(&record).filter(|(of, _)| of == picture).map(|(_, outcome)| outcome)
    }

    /// Keeps what was made of a picture.
    pub(super) fn keep(&self, picture: &Sha, outcome: &Outcome) -> Result<()> {
        let record = self.encode(picture, outcome);
        let Some((path, file)) = self.packs.last() else { return Ok(()) };
        let mut file = held(file);
        let write = |file: &mut File| {
            let end = file.seek(SeekFrom::End(0))?;
            // A disk that is full must not leave half a record before the next one.
            file.write_all(&record).inspect_err(|_| drop(file.set_len(end)))
        };
        write(&mut file).map_err(|error| Failure::writing(path, &error))
    }

    /// Takes the records of a pack into the index; false where it is none of this way. The own pack is made where it is empty, and
    /// cut back to whole records.
    fn index(&mut self, mut file: &File, is_own: bool) -> io::Result<bool> {
        let length = file.metadata()?.len();
        if length < HEADER as u64 && is_own {
            // New, or of a process that was stopped before it had written more.
            file.set_len(0)?;
            file.write_all(&self.header())?;
            return Ok(true);
        }
        let mut reader = BufReader::new(file);
        let mut header = [0; HEADER];
        if reader.read_exact(&mut header).is_err() || header != self.header() {
            return Ok(false);
        }
        let size = self.record_size();
        let pack = if is_own { OWN } else { self.packs.len() };
        let mut record = vec![0; size];
        let mut offset = HEADER as u64;
        while offset + size as u64 <= length && reader.read_exact(&mut record).is_ok() {
            match self.decode(&record) {
                Some((picture, _)) => drop(self.known.insert(picture, (pack, offset))),
                None => self.damaged += 1,
            }
            offset += size as u64;
        }
        if is_own {
            file.set_len(offset)?;
        }
        Ok(true)
    }

    fn header(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(MAGIC);
        header[8..40].copy_from_slice(&self.way);
        header[40..].copy_from_slice(&(self.dimension as u32).to_le_bytes());
        header
    }

    /// The picture's digest, what became of it, the content, and a digest of all that and of the way.
    fn record_size(&self) -> usize {
        32 + 1 + self.content_size() + 32
    }

    fn content_size(&self) -> usize {
        (4 * self.dimension + Values::SIZE).max(LEAST_CONTENT)
    }

    fn encode(&self, picture: &Sha, outcome: &Outcome) -> Vec<u8> {
        let mut record = picture.to_vec();
        match outcome {
            Ok((template, quality)) => {
                record.push(0);
                record.extend(template.as_slice().iter().flat_map(|value| value.to_le_bytes()));
                record.extend(quality.to_bytes());
            }
            Err(why) => {
                let end = why.floor_char_boundary(self.content_size() - 2);
                record.push(1);
                record.extend((end as u16).to_le_bytes());
                record.extend(&why.as_bytes()[..end]);
            }
        }
        record.resize(32 + 1 + self.content_size(), 0);
        let check = self.check(&record);
        record.extend(check);
        record
    }

    /// The picture of a record and what was made of it; `None` where the record is not what was written.
    fn decode(&self, record: &[u8]) -> Option<(Sha, Outcome)> {
        let (said, check) = record.split_last_chunk::<32>()?;
        if *check != self.check(said) {
            return None;
        }
        let (picture, rest) = said.split_first_chunk::<32>()?;
        let (kind, content) = rest.split_first()?;
        let outcome = if *kind == 0 {
            let (values, quality) = content.split_at(4 * self.dimension);
            let values = values.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
            Ok((Template::from_unit(self.model, values).ok()?, Values::from_bytes(quality.first_chunk()?)))
        } else {
            let (length, text) = content.split_first_chunk::<2>()?;
            let text = text.get(..u16::from_le_bytes(*length).into())?;
            Err(std::str::from_utf8(text).ok()?.to_owned())
        };
        Some((*picture, outcome))
    }

    fn check(&self, said: &[u8]) -> Sha {
        Sha256::new().chain_update(self.way).chain_update(said).finalize().into()
    }
}

/// The number of the own pack while packs are being opened.
const OWN: usize = usize::MAX;

/// Opens a pack, or makes an empty one that only its owner can read.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Locks a pack, if no other process has it.
fn lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
