//! A caller's file of vectors.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use clearlane_template::shown;

/// Why a file of vectors cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VectorsError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = shown(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file's length is not that of one whole row or more.
    #[error("{path}: expected one whole row or more of {dimension} 4-byte values, got {bytes} bytes", path = shown(path))]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// The dimension that was asked for.
        dimension: usize,
    },
}

/// A file of unit vectors: 32-bit little-endian floats, row after row, without a header.
pub struct VectorFile {
    path: PathBuf,
    reader: BufReader<File>,
    dimension: usize,
    rows: usize,
}

impl VectorFile {
    /// Opens a file, and checks its length.
    pub fn open(path: &Path, dimension: usize) -> Result<Self, VectorsError> {
        let io = |source| VectorsError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        let row = dimension as u64 * 4;
        if dimension == 0 || bytes == 0 || bytes % row != 0 {
            return Err(VectorsError::Length { path: path.to_owned(), bytes, dimension });
        }
        Ok(Self { path: path.to_owned(), reader: BufReader::new(file), dimension, rows: (bytes / row) as usize })
    }

    /// How many rows the file has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values of a row.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The next `count` rows; fails where there are fewer left.
    pub fn read(&mut self, count: usize) -> Result<Vec<f32>, VectorsError> {
        let mut bytes = vec![0; count * self.dimension * 4];
        self.reader.read_exact(&mut bytes).map_err(|source| VectorsError::Io { path: self.path.clone(), source })?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect())
    }
}
