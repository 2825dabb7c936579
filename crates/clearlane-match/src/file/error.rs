//! Why a gallery's file is refused, or cannot be written.

use std::io;
use std::path::{Path, PathBuf};

use clearlane_template::{ModelId, TemplateId, shown};

use crate::GalleryError;

/// Why a gallery's file was not written, or not opened. It is a cache: one that is refused is deleted, and written anew from
/// what it was made of.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GalleryFileError {
    /// The file cannot be read.
    #[error("gallery file {path} cannot be read: {source}", path = shown(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file cannot be written: no part of it is left.
    #[error("gallery file {path} cannot be written, nothing is left of it: {source}", path = shown(path))]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no gallery file.
    #[error("{path} is no gallery file, and is left as it is: name another path, or delete it", path = shown(path))]
    NotAGallery {
        /// The file.
        path: PathBuf,
    },
    /// The file has a format of another version of this library.
    #[error("gallery file {path} has format {found}, expected {expected}: write it anew", path = shown(path))]
    Version {
        /// The file.
        path: PathBuf,
        /// The file's format.
        found: u32,
        /// The format that is read.
        expected: u32,
    },
    /// The file is of other templates than the gallery that it was to be opened as.
    #[error("gallery file {path} is of model {found:.12}, expected {expected:.12}: write it anew", path = shown(path))]
    OtherModel {
        /// The file.
        path: PathBuf,
        /// The file's model.
        found: ModelId,
        /// The model that was asked for.
        expected: ModelId,
    },
    /// The file was written with other settings than those that it was to be opened with.
    #[error("gallery file {path} has {what} {found}, expected {expected}: open it with its own settings, or write it anew", path = shown(path))]
    Setting {
        /// The file.
        path: PathBuf,
        /// Which setting.
        what: &'static str,
        /// The file's.
        found: usize,
        /// What was asked for.
        expected: usize,
    },
    /// The file is shorter or longer than what was written.
    #[error("gallery file {path} has {found} bytes, expected {expected}: it was cut or added to; write it anew", path = shown(path))]
    Length {
        /// The file.
        path: PathBuf,
        /// How many it has.
        found: u64,
        /// How many were written.
        expected: u64,
    },
    /// A part of the file is not what was written, or was sealed with another secret.
    #[error("the {part} of gallery file {path} does not open: it was altered, or the secret is another; write it anew", path = shown(path))]
    Sealed {
        /// The file.
        path: PathBuf,
        /// Which part.
        part: Part,
    },
    /// What a part of the file says cannot be: a fault of the program that wrote it.
    #[error("the {part} of gallery file {path} contradicts the rest: write it anew", path = shown(path))]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// Which part.
        part: Part,
    },
    /// Templates have to come in the order of their ids.
    #[error("template {template} comes after {after}: a gallery file takes templates in ascending order of their ids")]
    Order {
        /// The id that was given.
        template: TemplateId,
        /// The one before it.
        after: TemplateId,
    },
    /// The tag is longer than a file takes.
    #[error("the tag has {found} bytes: a gallery file takes {most} at most")]
    Tag {
        /// How long it is.
        found: usize,
        /// The longest.
        most: usize,
    },
    /// Writing failed before: nothing can be added to what was not written.
    #[error("gallery file {path} could not be written to before: begin anew", path = shown(path))]
    Broken {
        /// The file.
        path: PathBuf,
    },
    /// The gallery refused.
    #[error(transparent)]
    Gallery(#[from] GalleryError),
}

/// A part of a gallery's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// What comes first, and says what the file is.
    Header,
    /// Owners and codes of the piece with this number.
    Codes(u64),
    /// The order by subject, the piece with this number.
    Order(u64),
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header => f.write_str("header"),
            Self::Codes(number) => write!(f, "codes (piece {number})"),
            Self::Order(number) => write!(f, "order by subject (piece {number})"),
        }
    }
}

impl GalleryFileError {
    pub(super) fn read(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self::Read { path: path.to_owned(), source }
    }

    pub(super) fn write(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self::Write { path: path.to_owned(), source }
    }
}
