//! Digests that were pinned at the first fetch: SHA256SUMS in a data set's folder, as sha256sum writes and checks it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use clearlane_eval::datasets::LOCK_FILE;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::output::shown;
use crate::text;

/// The pinned digests of a folder, by path.
pub(super) struct Lock {
    digests: BTreeMap<String, String>,
}

impl Lock {
    /// The digests that are pinned in `folder`; none where nothing was fetched there.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(LOCK_FILE);
        let mut digests = BTreeMap::new();
        if path.exists() {
            for (line, text) in text::read(&path)?.lines().enumerate() {
                let (digest, file) = text.split_once("  ").ok_or_else(|| {
                    let message = format!("{}: line {}: expected `DIGEST  PATH`", shown(&path), line + 1);
                    Failure::new(Exit::Input, message)
                })?;
                digests.insert(file.to_owned(), digest.to_owned());
            }
        }
        Ok(Self { digests })
    }

    pub(super) fn get(&self, path: &str) -> Option<&str> {
        self.digests.get(path).map(String::as_str)
    }

    /// Pins the digest of a file of `folder`.
    #[cfg(feature = "fetch")]
    pub(super) fn pin(&mut self, folder: &Path, path: &str, digest: &str) -> Result<()> {
        self.digests.insert(path.to_owned(), digest.to_owned());
        let lines: Vec<_> = self.digests.iter().map(|(path, digest)| format!("{digest}  {path}\n")).collect();
        crate::output::write_whole(&folder.join(LOCK_FILE), lines.concat().as_bytes())
    }
}

/// The SHA-256 digest of a file, in hexadecimal digits.
pub(super) fn digest_of(path: &Path, interrupt: &Interrupt) -> Result<String> {
    let mut hash = Sha256::new();
    let failed = |error: io::Error| Failure::reading(path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        interrupt.check()?;
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(HEXLOWER.encode(&hash.finalize())),
            length => hash.update(&buffer[..length]),
        }
    }
}
