//! A gallery in a file: codes and owners that are read into memory when it is opened, and rows that stay there until a search
//! asks for them.
//!
//! The file is a cache of whatever the gallery was made from: written once, never altered, and refused where it is not what
//! was written. `FORMAT.md`, beside this crate's manifest, describes it byte by byte.

mod error;
mod header;
mod layout;
mod pread;
mod read;
mod row_buffer;
mod seal;
mod source;
mod write;

pub use error::{GalleryFileError, Part};
pub use write::GalleryFileWriter;

pub(crate) use read::open;
pub(crate) use row_buffer::RowBuffer;
pub(crate) use source::FileRows;

/// The longest tag that a file takes, in bytes.
const MOST_TAG: usize = 4096;

/// Rows of a piece: so many are encoded, sealed and written together, and their codes read together.
const PIECE_ROWS: usize = 1 << 13;

/// Row numbers in a piece of the order by subject.
const ORDER_ROWS: usize = 1 << 18;
