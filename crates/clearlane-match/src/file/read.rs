//! Opening a file: what is kept in memory is read, opened and checked.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use clearlane_template::{SubjectId, TemplateId};
use rayon::prelude::*;
use zeroize::Zeroizing;

use super::header::{HEADER, Header};
use super::layout::{OWNER, Places};
use super::seal::{Kind, Unsealed};
use super::source::{FileRows, RowSource};
use super::{GalleryFileError, PIECE_ROWS, Part, pread};
use crate::GalleryError;
use crate::gallery::{FileIndex, MOST_ROWS, Owner, Segment, Shape};

/// A gallery out of a file.
pub(crate) struct Opened {
    pub(crate) shape: Shape,
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) index: FileIndex,
    pub(crate) tag: Vec<u8>,
}

/// Opens a file that was written with these settings.
pub(crate) fn open(mut shape: Shape, path: &Path, secret: &[u8; 32]) -> Result<Opened, GalleryFileError> {
    let failed = GalleryFileError::read(path);
    let file = File::open(path).map_err(&failed)?;
    let found = file.metadata().map_err(&failed)?.len();
    if found < HEADER as u64 {
        return Err(GalleryFileError::NotAGallery { path: path.to_owned() });
    }
    let mut bytes = Zeroizing::new([0; HEADER]);
    pread::read_exact_at(&file, &mut *bytes, 0).map_err(&failed)?;
    let (header, seal, secrets) = Header::read(&mut bytes, path, &shape, secret)?;
    shape.rotation = secrets.rotation;
    let places = Places::new(&shape, header.rows);
    // From here on, what is allocated is no more than what the file has.
    if found != places.end() {
        return Err(GalleryFileError::Length { path: path.to_owned(), found, expected: places.end() });
    }
    let needed = header.rows.saturating_mul(shape.bytes_on_file() as u64);
    if needed > shape.memory_limit {
        return Err(GalleryError::MemoryLimit { needed, limit: shape.memory_limit }.into());
    }
    let source = Arc::new(RowSource { file, path: path.to_owned(), seal, places });
    let unit = header.unit;
    let firsts: Vec<u64> = (0..header.rows).step_by(MOST_ROWS).collect();
    let segment = |first: u64| Segment::read(&shape, &source, first, unit).map(Arc::new);
    let segments = if shape.parallel {
        firsts.into_par_iter().map(segment).collect::<Result<Vec<_>, _>>()?
    } else {
        firsts.into_iter().map(segment).collect::<Result<Vec<_>, _>>()?
    };
    let pairs = segments.windows(2).map(|pair| (pair[0].owners.as_slice().last(), pair[1].owners.as_slice().first()));
    for (pair, (last, first)) in pairs.enumerate() {
        if last.zip(first).is_none_or(|(last, first)| last.template >= first.template) {
            return Err(source.contradiction(Part::Codes(((pair + 1) * MOST_ROWS / PIECE_ROWS) as u64)));
        }
    }
    let index = FileIndex::new(segments.clone(), source.order()?, header.subjects as usize);
    // Whatever else is read is a row here and a row there.
    pread::expect_jumps(&source.file);
    Ok(Opened { shape, segments, index, tag: secrets.tag })
}

impl RowSource {
    fn contradiction(&self, part: Part) -> GalleryFileError {
        GalleryFileError::Contradiction { path: self.path.clone(), part }
    }

    /// Reads a sealed part of so many bytes and opens it.
    fn part<'b>(
        &self,
        part: Part,
        at: u64,
        bytes: usize,
        buffer: &'b mut Zeroizing<Vec<u8>>,
    ) -> Result<&'b [u8], GalleryFileError> {
        if buffer.len() < bytes {
            **buffer = vec![0; bytes];
        }
        let (kind, number) = match part {
            Part::Header => (Kind::Header, 0),
            Part::Codes(number) => (Kind::Codes, number),
            Part::Order(number) => (Kind::Order, number),
        };
        pread::read_exact_at(&self.file, &mut buffer[..bytes], at).map_err(GalleryFileError::read(&self.path))?;
        let sealed = |Unsealed| GalleryFileError::Sealed { path: self.path.clone(), part };
        Ok(self.seal.open(kind, number, &[], &mut buffer[..bytes]).map_err(sealed)?)
    }

    /// The rows in the order of their subjects.
    fn order(&self) -> Result<Vec<u32>, GalleryFileError> {
        let (mut order, mut buffer) = (Vec::new(), Zeroizing::default());
        let bytes = self.places.rows as usize * size_of::<u32>();
        order.try_reserve_exact(self.places.rows as usize).map_err(|_| GalleryError::OutOfMemory { bytes })?;
        for piece in 0..self.places.order_pieces() {
            let (part, places) = (Part::Order(piece), &self.places);
            let length = places.order_rows(piece) * size_of::<u32>() + super::seal::SEAL;
            let opened = self.part(part, places.order(piece), length, &mut buffer)?;
            order.extend(opened.as_chunks().0.iter().map(|row| u32::from_le_bytes(*row)));
            if order.iter().rev().take(places.order_rows(piece)).any(|row| u64::from(*row) >= places.rows) {
                return Err(self.contradiction(part));
            }
        }
        Ok(order)
    }
}

impl Segment {
    /// The segment whose first row is this one of the file's.
    fn read(shape: &Shape, source: &Arc<RowSource>, first: u64, unit: usize) -> Result<Self, GalleryFileError> {
        let places = source.places;
        let rows = (places.rows - first).min(MOST_ROWS as u64) as usize;
        let serial = (first / MOST_ROWS as u64) as u32;
        let segment = Self::of_file(shape, serial, rows, FileRows::new(Arc::clone(source), first))?;
        let (mut buffer, mut owners) = (Zeroizing::default(), Vec::<Owner>::with_capacity(PIECE_ROWS));
        let mut last = None;
        for start in (0..rows).step_by(PIECE_ROWS) {
            let piece = first / PIECE_ROWS as u64 + (start / PIECE_ROWS) as u64;
            let (part, count) = (Part::Codes(piece), places.piece_rows(piece));
            let opened = source.part(part, places.codes(piece), places.codes_bytes(count), &mut buffer)?;
            let (ids, codes) = opened.split_at(count * OWNER);
            owners.clear();
            owners.extend(ids.as_chunks::<8>().0.as_chunks::<2>().0.iter().map(|pair| {
                let [subject, template] = pair.map(u64::from_le_bytes);
                Owner { subject: SubjectId(subject), template: TemplateId(template) }
            }));
            let ids = last.into_iter().chain(owners.iter().map(|owner| owner.template));
            if !ids.is_sorted_by(|a, b| a < b) {
                return Err(source.contradiction(part));
            }
            last = owners.last().map(|owner| owner.template);
            segment.restore(start, &owners, codes, unit);
        }
        segment.publish(rows);
        Ok(segment)
    }
}
