//! Rows that are not in a gallery's file until somebody asks for them. Where a row lies and how it is sealed is done here as
//! `FORMAT.md` says it, and not by the library.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use aes_gcm::aead::consts::U12;
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Nonce};
use hkdf::Hkdf;
use rustix::fs::FallocateFlags;
use sha2::Sha256;

const HEADER: u64 = 6268;
const PIECE_ROWS: u64 = 8192;
const SEAL: u64 = 16;
const OWNER: u64 = 16;

/// The places of a file of integer rows, with one-bit codes and none for certified searches.
pub(crate) struct Holes {
    row: u64,
    piece: u64,
    /// The pieces whose rows are holes.
    pieces: u64,
}

impl Holes {
    pub(crate) fn new(dimension: usize) -> Self {
        let (dimension, bits) = (dimension as u64, dimension.div_ceil(64) as u64 * 64);
        let row = dimension + 4 + SEAL;
        let block = 32 * (bits / 8 + bits / 8 + 8) + 12;
        let codes = PIECE_ROWS * OWNER + PIECE_ROWS / 32 * block + SEAL;
        Self { row, piece: PIECE_ROWS * row + codes, pieces: 0 }
    }

    /// Takes the rows of the pieces that are whole by now out of the file that `path` will be.
    pub(crate) fn leave(&mut self, path: &Path, rows: usize) -> Result<(), Box<dyn Error>> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut begins = path.file_name().ok_or("no name")?.as_encoded_bytes().to_vec();
        begins.push(b'.');
        let unfinished = |entry: &std::fs::DirEntry| {
            let name = entry.file_name();
            name.as_encoded_bytes().starts_with(&begins) && name.as_encoded_bytes().ends_with(b".unfinished")
        };
        let mut found = std::fs::read_dir(folder)?.flatten().filter(unfinished);
        let (Some(found), None) = (found.next(), found.next()) else {
            return Err("expected one unfinished file of this name: remove those of earlier runs".into());
        };
        let file = OpenOptions::new().write(true).open(found.path())?;
        while self.pieces < rows as u64 / PIECE_ROWS {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            rustix::fs::fallocate(&file, flags, HEADER + self.pieces * self.piece, PIECE_ROWS * self.row)?;
            self.pieces += 1;
        }
        Ok(())
    }

    /// Puts the only row of the file `alone` into its place in the file at `path`.
    pub(crate) fn fill(&self, path: &Path, row: u64, alone: &Path, secret: &[u8; 32]) -> Result<(), Box<dyn Error>> {
        let mut sealed = vec![0; self.row as usize];
        let from = File::open(alone)?;
        from.read_exact_at(&mut sealed, HEADER)?;
        let content = (self.row - SEAL) as usize;
        let tag = sealed[content..].try_into()?;
        cipher(&from, secret)?
            .decrypt_inout_detached(&nonce(0), &[], (&mut sealed[..content]).into(), &tag)
            .map_err(|_| "the row that was made does not open")?;
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let tag = cipher(&file, secret)?
            .encrypt_inout_detached(&nonce(row), &[], (&mut sealed[..content]).into())
            .map_err(|_| "the row that was made cannot be sealed")?;
        sealed[content..].copy_from_slice(&tag);
        file.write_all_at(&sealed, HEADER + row / PIECE_ROWS * self.piece + row % PIECE_ROWS * self.row)?;
        // What is on disk can be dropped from the page cache.
        file.sync_data()?;
        Ok(())
    }
}

/// The cipher of a file, by the salt in its header.
fn cipher(file: &File, secret: &[u8; 32]) -> Result<Aes256Gcm, Box<dyn Error>> {
    let (mut salt, mut key) = ([0; 32], [0; 32]);
    file.read_exact_at(&mut salt, 72)?;
    let expanded = Hkdf::<Sha256>::new(Some(&salt), secret).expand(b"clearlane gallery file 1", &mut key);
    expanded.map_err(|_| "a key of 32 bytes is too long")?;
    Ok(Aes256Gcm::new((&key).into()))
}

/// The nonce of a row.
fn nonce(row: u64) -> Nonce<U12> {
    let mut nonce = [0; 12];
    nonce[..4].copy_from_slice(&4u32.to_le_bytes());
    nonce[4..].copy_from_slice(&row.to_le_bytes());
    nonce.into()
}
