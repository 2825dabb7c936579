//! The coordinator's side of the pictures: which candidates need theirs, their files, and what came of them into the register.

use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use clearlane::{BulkReport, BulkStop, DecodeLimits, MadeTemplates, Reembedder};
use clearlane_store::ImageDigest;
use jiff::Timestamp;
use parking_lot::Mutex;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::block::{Block, File, Made, Models, Readable, Room, decode, encode};
use super::make::make;
use super::plan::divide;
use super::{ReembeddingCandidate, ReembeddingReport, UnreadablePicture};
use crate::ClusterError;
use crate::batch::Outcome;
use crate::wire::Writer;

/// The candidates, and the register that they are enrolled in.
pub(super) struct Supply {
    pub(super) reembedder: Arc<Reembedder>,
    pub(super) candidates: Vec<ReembeddingCandidate>,
    /// The place of each key.
    places: HashMap<String, u32>,
    limits: DecodeLimits,
    done: Mutex<ReembeddingReport>,
}

impl Supply {
    pub(super) fn new(
        reembedder: Arc<Reembedder>,
        candidates: Vec<ReembeddingCandidate>,
        limits: DecodeLimits,
    ) -> Result<Self, ClusterError> {
        let (subjects, most) = (candidates.len(), u32::MAX as usize);
        if subjects > most {
            return Err(ClusterError::JobTooLarge { subjects, most });
        }
        let places: HashMap<_, _> = (0..).zip(&candidates).map(|(place, one)| (one.key.clone(), place)).collect();
        if places.len() < candidates.len() {
            return Err(ClusterError::Setting { setting: "candidates", reason: "expected each subject once" });
        }
        Ok(Self { reembedder, candidates, places, limits, done: Mutex::default() })
    }

    /// Divides those who need their pictures.
    pub(super) fn divide(&self, most: usize) -> Result<Vec<Range<u32>>, ClusterError> {
        divide(self.candidates.len() as u32, most, |candidate| {
            let ReembeddingCandidate { key, pictures } = &self.candidates[candidate as usize];
            if !self.reembedder.needs_pictures(key)? {
                return Ok(None);
            }
            // What cannot be read takes as much room as why, which is little.
            let bytes = |path| fs::metadata(path).map_or(0, |file| file.len());
            Ok(Some(pictures.iter().map(bytes).collect()))
        })
    }

    /// What a worker is told of some candidates: those who need their pictures, as far as there is room for their files. Whoever is left
    /// out is the coordinator's own.
    pub(super) fn block(&self, candidates: Range<u32>) -> Result<Writer, ClusterError> {
        let (mut room, mut supplied) = (Room::new(), Vec::new());
        for candidate in candidates {
            let ReembeddingCandidate { key, pictures } = &self.candidates[candidate as usize];
            if !self.reembedder.needs_pictures(key)? {
                continue;
            }
            let (mut left, mut files, mut sizes) = (room.left(), Vec::new(), Vec::new());
            for path in pictures {
                let file = read(path, left);
                let size = file.as_ref().map_or(0, |bytes| bytes.len() as u64);
                left = left.saturating_sub(size);
                sizes.push(size);
                files.push(file);
            }
            if room.take(&sizes) {
                supplied.push((candidate, files, self.reembedder.enrolled_from(key)?));
            }
        }
        let candidates = supplied.iter().map(|(candidate, files, from)| (*candidate, borrowed(files, from))).collect();
        Ok(Block { maker: self.reembedder.maker().digest(), candidates }.encode())
    }

    /// Takes in what came of a block, in one transaction; whoever is not in its result is made here. Gives what is to stand in the place
    /// of its result from then on: without its templates, which are in the register, or the reason why it cannot be read, so that it is done
    /// again. What the register says of somebody is not kept: whoever goes on asks it again.
    pub(super) fn take_in(
        &self,
        block: u32,
        candidates: Range<u32>,
        outcome: Outcome,
    ) -> Result<Option<Result<Writer, String>>, ClusterError> {
        let models = Models::of(self.reembedder.maker());
        let read = outcome.map(|content| decode(&content, models).map_err(|error| error.to_string()));
        let unreadable = read.as_ref().ok().and_then(|read| read.as_ref().err()).cloned();
        let mut made: HashMap<_, _> = match read.flatten() {
            Ok(made) => made.into_iter().map(|made| (made.candidate, made)).collect(),
            Err(reason) => {
                self.done.lock().failed.insert(block, reason.clone());
                let failed = |candidate| (candidate, Made::failed(candidate, reason.clone()));
                candidates.clone().map(failed).collect()
            }
        };
        let (usable, refused): (Vec<_>, Vec<_>) =
            made.values().partition(|made| matches!(made.outcome, Ok(MadeTemplates::Usable { .. })));
        let left = match unreadable {
            Some(reason) => Some(Err(reason)),
            None if usable.is_empty() => None,
            None => Some(Ok(encode(&refused.into_iter().cloned().collect::<Vec<_>>())?)),
        };
        let made: Vec<_> = candidates.map(|candidate| (candidate, made.remove(&candidate))).collect();
        let judged = made.into_par_iter().map(|(candidate, made)| match made {
            Some(made) => Ok(self.of_its_files(made)),
            None => self.own(candidate),
        });
        self.write(judged.collect::<Result<_, _>>()?)?;
        Ok(left)
    }

    /// Makes the templates of some candidates here, of those who need them, and takes them in.
    pub(super) fn take_in_own(&self, candidates: Vec<u32>) -> Result<(), ClusterError> {
        let made = candidates.into_par_iter().map(|candidate| self.own(candidate));
        self.write(made.collect::<Result<_, _>>()?)
    }

    /// What came of those who were taken in, as they were supplied.
    pub(super) fn report(&self) -> ReembeddingReport {
        let mut report = self.done.lock().clone();
        let place = |key: &String| self.places.get(key).copied();
        report.bulk.unfinished.sort_by_key(|one| place(&one.key));
        report.bulk.unused.sort_by_key(|one| (place(&one.key), one.picture));
        report.unreadable.sort_by_key(|one| (place(&one.key), one.picture));
        report
    }

    pub(super) fn taken_in(&self) -> u64 {
        self.done.lock().bulk.progress.done
    }

    fn own(&self, candidate: u32) -> Result<Made, ClusterError> {
        let ReembeddingCandidate { key, pictures } = &self.candidates[candidate as usize];
        if !self.reembedder.needs_pictures(key)? {
            // The register says what becomes of them, unless they are enrolled at this very moment.
            let why = "enrolled while others were re-embedded: run the same command again".to_owned();
            return Ok(Made::failed(candidate, why));
        }
        let files: Vec<_> = pictures.iter().map(|path| read(path, self.limits.max_file_bytes)).collect();
        let from = self.reembedder.enrolled_from(key)?;
        Ok(make(self.reembedder.maker(), &self.limits, candidate, &borrowed(&files, &from)))
    }

    /// What a worker made, if it is of the files that are there now.
    fn of_its_files(&self, mut made: Made) -> Made {
        let Ok(MadeTemplates::Usable { templates, .. }) = &made.outcome else { return made };
        let pictures = &self.candidates[made.candidate as usize].pictures;
        let files = pictures.iter().filter_map(|path| read(path, self.limits.max_file_bytes).ok());
        let digests: Vec<_> = files.map(|bytes| ImageDigest::of(&bytes)).collect();
        if !templates.iter().all(|made| made.source.is_some_and(|source| digests.contains(&source))) {
            let why = "its templates are of other pictures than those that are there now: run the same command again";
            made.outcome = Err(BulkStop::Failed(why.to_owned()));
        }
        made
    }

    /// Has the reembedder judge and write some.
    fn write(&self, made: Vec<Made>) -> Result<(), ClusterError> {
        let (mut judged, mut pictures) = (Vec::with_capacity(made.len()), HashMap::new());
        for Made { candidate, unreadable, outcome } in made {
            judged.push((self.candidates[candidate as usize].key.clone(), outcome));
            pictures.insert(candidate, unreadable);
        }
        let mut taken = BulkReport::default();
        self.reembedder.take_in(judged, Timestamp::now(), &mut taken)?;
        self.done.lock().add(
            taken,
            pictures.into_iter().flat_map(|(candidate, unreadable)| {
                let ReembeddingCandidate { key, pictures } = &self.candidates[candidate as usize];
                let there = unreadable.into_iter().filter(|(picture, _)| *picture < pictures.len());
                there.map(|(picture, why)| UnreadablePicture { key: key.clone(), picture, why })
            }),
        );
        Ok(())
    }
}

/// What makes two re-embeddings of a gallery the same job: the maker, and the candidates with the names of their files.
pub(super) fn asked(reembedder: &Reembedder, candidates: &[ReembeddingCandidate]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(reembedder.maker().digest());
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    for ReembeddingCandidate { key, pictures } in candidates {
        part(key.as_bytes());
        part(&(pictures.len() as u64).to_le_bytes());
        for path in pictures {
            part(path.as_os_str().as_encoded_bytes());
        }
    }
    hash.finalize().into()
}

/// The files, and which of them are those that the candidate was enrolled `from`.
fn borrowed<'a>(files: &'a [Result<Zeroizing<Vec<u8>>, String>], from: &[ImageDigest]) -> Vec<File<'a>> {
    let read = |bytes: &'a Zeroizing<Vec<u8>>| Readable { bytes, enrolled: from.contains(&ImageDigest::of(bytes)) };
    files.iter().map(|file| file.as_ref().map(read).map_err(String::as_str)).collect()
}

/// The bytes of the file at `path`, and of a larger one than `most` a little more; wiped when they are dropped.
fn read(path: &Path, most: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    // All room at once: what grows leaves copies behind.
    let length = file.metadata().map_or(0, |file| file.len()).min(most).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0)));
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}
