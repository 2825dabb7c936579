//! Writing a file: from one end to the other, then its header, then its name.

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clearlane_template::{SubjectId, TemplateId, without_temporary_name};
use rayon::prelude::*;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::header::{HEADER, Header};
use super::layout::OWNER;
use super::seal::{Kind, SALT, SEAL, Seal};
use super::{GalleryFileError, MOST_TAG, ORDER_ROWS, PIECE_ROWS};
use crate::gallery::{Enrolment, MOST_ROWS_IN_ALL, Owner, Segment, Shape};
use crate::{Gallery, GalleryError};

/// Writes a gallery's file from templates that come one after the other, and need not fit in memory together: it keeps sixteen
/// bytes of each. From [`GalleryBuilder::create_file`](crate::GalleryBuilder::create_file).
///
/// ```
/// use clearlane_match::{Enrolment, Gallery, Precision};
/// use clearlane_template::{ModelId, SubjectId, Template, TemplateId};
///
/// let folder = tempfile::tempdir()?;
/// let (path, secret) = (folder.path().join("port.gallery"), [7; 32]);
/// let model = ModelId::digest([b"the model's bytes".as_slice()]);
/// let settings = || Gallery::builder(model, 3).precision(Precision::I8);
///
/// let mut file = settings().create_file(&path, &secret)?;
/// let template = Template::normalised(model, vec![1.0, 0.0, 0.2])?;
/// file.extend(&[Enrolment { subject: SubjectId(7), id: TemplateId(1), template: &template }])?;
/// file.finish(b"made of register 12 at position 3")?;
///
/// let (gallery, tag) = settings().open_file(&path, &secret)?;
/// assert_eq!((gallery.len(), &tag[..]), (1, b"made of register 12 at position 3".as_slice()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Until [`Self::finish`] has returned there is no file of that name, or still the one before; several processes may write one of
/// the same name at once, and the last to finish has it. One that is dropped leaves nothing.
pub struct GalleryFileWriter {
    shape: Arc<Shape>,
    path: PathBuf,
    file: NamedTempFile,
    salt: [u8; SALT],
    seal: Seal,
    /// The rows that wait for their piece to be full.
    piece: Segment,
    waiting: usize,
    pieces: u64,
    last: Option<TemplateId>,
    /// Of each row, for the order by subject.
    subjects: Vec<(SubjectId, u32)>,
    broken: bool,
}

impl GalleryFileWriter {
    pub(crate) fn new(shape: Arc<Shape>, path: &Path, secret: &[u8; 32]) -> Result<Self, GalleryFileError> {
        let failed = GalleryFileError::write(path);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut prefix = path.file_name().unwrap_or_default().to_owned();
        prefix.push(".");
        let builder = tempfile::Builder::new().prefix(&prefix).suffix(".unfinished").tempfile_in(folder);
        let mut file = builder.map_err(without_temporary_name).map_err(&failed)?;
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).map_err(|_| GalleryError::NoEntropy)?;
        // Its place is kept free: what it says is known at the end.
        file.write_all(&[0; HEADER]).map_err(&failed)?;
        let piece = Segment::with_capacity(&shape, 0, PIECE_ROWS)?;
        Ok(Self {
            seal: Seal::new(secret, &salt),
            path: path.to_owned(),
            shape,
            file,
            salt,
            piece,
            waiting: 0,
            pieces: 0,
            last: None,
            subjects: Vec::new(),
            broken: false,
        })
    }

    /// Adds templates, in ascending order of their ids.
    pub fn extend(&mut self, enrolments: &[Enrolment<'_>]) -> Result<(), GalleryFileError> {
        for enrolment in enrolments {
            self.shape.check(enrolment.template)?;
        }
        let owners: Vec<_> = enrolments.iter().map(|e| Owner { subject: e.subject, template: e.id }).collect();
        self.append(&owners, |piece, shape, first, owners, from| {
            let vectors = enrolments[from..].iter().map(|enrolment| enrolment.template.as_slice());
            piece.write(shape, first, owners, vectors.take(owners.len()));
        })
    }

    /// Adds templates that lie one after the other in a matrix, in ascending order of their ids:
    /// see [`Gallery::extend_rows`].
    pub fn extend_rows(&mut self, ids: &[(SubjectId, TemplateId)], values: &[f32]) -> Result<(), GalleryFileError> {
        self.shape.check_rows(ids.len(), values)?;
        let dimension = self.shape.dimension;
        let owners: Vec<_> = ids.iter().map(|&(subject, template)| Owner { subject, template }).collect();
        self.append(&owners, |piece, shape, first, owners, from| {
            let vectors = values[from * dimension..].chunks_exact(dimension).take(owners.len());
            piece.write(shape, first, owners, vectors);
        })
    }

    /// How many templates were added.
    #[must_use]
    pub fn len(&self) -> usize {
        self.subjects.len()
    }

    /// Whether no template was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes what is left and the `tag`, up to 4096 bytes that [`open_file`](crate::GalleryBuilder::open_file) gives back, and
    /// puts the file in the place of the one that has its name. Once this returned, it is on disk.
    pub fn finish(mut self, tag: &[u8]) -> Result<(), GalleryFileError> {
        if tag.len() > MOST_TAG {
            return Err(GalleryFileError::Tag { found: tag.len(), most: MOST_TAG });
        }
        if self.broken {
            return Err(GalleryFileError::Broken { path: self.path });
        }
        self.write_piece()?;
        let subjects = self.write_order()?;
        let header = Header { rows: self.subjects.len() as u64, subjects, unit: self.shape.sketch.unit() };
        let header = header.write(&self.shape, &self.salt, &self.seal, tag);
        let failed = GalleryFileError::write(&self.path);
        self.file.seek(SeekFrom::Start(0)).map_err(&failed)?;
        self.file.write_all(&header).map_err(&failed)?;
        self.file.as_file().sync_all().map_err(&failed)?;
        self.file.persist(&self.path).map_err(|refused| failed(refused.error))?;
        sync_folder(&self.path).map_err(&failed)
    }

    /// Adds rows for these owners. `write` writes rows of a piece, from the number on that it is given, for some owners, the
    /// first of which has that place among all of them.
    fn append(
        &mut self,
        owners: &[Owner],
        mut write: impl FnMut(&Segment, &Shape, usize, &[Owner], usize),
    ) -> Result<(), GalleryFileError> {
        if self.broken {
            return Err(GalleryFileError::Broken { path: self.path.clone() });
        }
        let mut after = self.last;
        for Owner { template, .. } in owners {
            if let Some(after) = after.filter(|after| after >= template) {
                return Err(GalleryFileError::Order { template: *template, after });
            }
            after = Some(*template);
        }
        // The last number is no row's.
        if (self.subjects.len() + owners.len()) as u64 >= MOST_ROWS_IN_ALL {
            return Err(GalleryError::TooManyTemplates { limit: MOST_ROWS_IN_ALL - 1 }.into());
        }
        self.broken = true;
        let mut next = 0;
        while next < owners.len() {
            let now = &owners[next..owners.len().min(next + PIECE_ROWS - self.waiting)];
            write(&self.piece, &self.shape, self.waiting, now, next);
            for owner in now {
                self.subjects.push((owner.subject, self.subjects.len() as u32));
            }
            self.waiting += now.len();
            next += now.len();
            if self.waiting == PIECE_ROWS {
                self.write_piece()?;
            }
        }
        (self.last, self.broken) = (after, false);
        Ok(())
    }

    /// Seals and writes the rows that wait, and their codes.
    fn write_piece(&mut self) -> Result<(), GalleryFileError> {
        let rows = std::mem::take(&mut self.waiting);
        if rows == 0 {
            return Ok(());
        }
        let next = Segment::with_capacity(&self.shape, 0, PIECE_ROWS)?;
        let piece = std::mem::replace(&mut self.piece, next);
        piece.publish(rows);
        let size = self.shape.row_bytes() + SEAL;
        let first = self.pieces * PIECE_ROWS as u64;
        let mut bytes = Zeroizing::new(vec![0; rows * size]);
        let seal = |(row, bytes): (usize, &mut [u8])| {
            piece.encode_row(row, &mut bytes[..size - SEAL]);
            self.seal.close(Kind::Row, first + row as u64, &[], bytes);
        };
        if self.shape.parallel {
            bytes.par_chunks_exact_mut(size).enumerate().for_each(seal);
        } else {
            bytes.chunks_exact_mut(size).enumerate().for_each(seal);
        }
        let failed = GalleryFileError::write(&self.path);
        self.file.write_all(&bytes).map_err(&failed)?;
        let codes = rows * self.shape.code_bytes();
        let mut bytes = Zeroizing::new(Vec::with_capacity(rows * OWNER + codes + SEAL));
        for owner in piece.owners.as_slice() {
            bytes.extend_from_slice(&owner.subject.0.to_le_bytes());
            bytes.extend_from_slice(&owner.template.0.to_le_bytes());
        }
        piece.encode_codes(&mut bytes);
        bytes.extend_from_slice(&[0; SEAL]);
        self.seal.close(Kind::Codes, self.pieces, &[], &mut bytes);
        self.file.write_all(&bytes).map_err(&failed)?;
        self.pieces += 1;
        Ok(())
    }

    /// Writes the rows in the order of their subjects, and says how many subjects there are.
    fn write_order(&mut self) -> Result<u64, GalleryFileError> {
        if self.shape.parallel {
            self.subjects.par_sort_unstable();
        } else {
            self.subjects.sort_unstable();
        }
        for (piece, rows) in self.subjects.chunks(ORDER_ROWS).enumerate() {
            let mut bytes: Vec<u8> = rows.iter().flat_map(|(_, row)| row.to_le_bytes()).collect();
            bytes.extend_from_slice(&[0; SEAL]);
            self.seal.close(Kind::Order, piece as u64, &[], &mut bytes);
            self.file.write_all(&bytes).map_err(GalleryFileError::write(&self.path))?;
        }
        Ok(self.subjects.chunk_by(|a, b| a.0 == b.0).count() as u64)
    }
}

impl Gallery {
    /// Writes what is enrolled now to a file, from which [`open_file`](crate::GalleryBuilder::open_file) makes a gallery that
    /// keeps no rows in memory; `secret` seals it, `tag` is given back. Searches and writers go on meanwhile.
    ///
    /// The gallery itself stays as it is.
    pub fn write_file(&self, path: impl AsRef<Path>, secret: &[u8; 32], tag: &[u8]) -> Result<(), GalleryFileError> {
        let snapshot = self.snapshot();
        let mut rows: Vec<_> = snapshot.standing().collect();
        rows.sort_unstable_by_key(|(view, row)| view.segment.owners.as_slice()[*row].template);
        let mut writer = GalleryFileWriter::new(Arc::clone(&snapshot.shape), path.as_ref(), secret)?;
        let size = snapshot.shape.row_bytes();
        for rows in rows.chunks(PIECE_ROWS) {
            let owners: Vec<_> = rows.iter().map(|(view, row)| view.segment.owners.as_slice()[*row]).collect();
            let (mut bytes, mut sealed) = (Zeroizing::new(vec![0; rows.len() * size]), Zeroizing::default());
            for ((view, row), bytes) in rows.iter().zip(bytes.chunks_exact_mut(size)) {
                match view.segment.file() {
                    None => view.segment.encode_row(*row, bytes),
                    Some(file) => {
                        let copy = |row: &[u8]| bytes.copy_from_slice(row);
                        file.source().read_each(&[file.number(*row)], &mut sealed, copy)?;
                    }
                }
            }
            writer.append(&owners, |piece, shape, first, owners, from| {
                piece.write_encoded(shape, first, owners, &bytes[from * size..][..owners.len() * size]);
            })?;
        }
        writer.finish(tag)
    }
}

/// Has the system keep a file's name.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::File::open(folder)?.sync_all()
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        Ok(())
    }
}

impl std::fmt::Debug for GalleryFileWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GalleryFileWriter").field("path", &self.path).field("len", &self.len()).finish_non_exhaustive()
    }
}
