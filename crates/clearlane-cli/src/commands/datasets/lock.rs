//! Digests that were pinned at the first fetch: SHA256SUMS in a data set's folder, as sha256sum writes and checks it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clearlane_eval::datasets::LOCK_FILE;
use sha2::{Digest as _, Sha256};

use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::output::shown;
use crate::text;

/// The pinned digests of a folder, by path.
pub(super) struct Lock {
    path: PathBuf,
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
        Ok(Self { path, digests })
    }

    pub(super) fn get(&self, path: &str) -> Option<&str> {
        self.digests.get(path).map(String::as_str)
    }

    /// Pins a file's digest.
    #[cfg(feature = "fetch")]
    pub(super) fn pin(&mut self, path: &str, digest: &str) -> Result<()> {
        self.digests.insert(path.to_owned(), digest.to_owned());
        let text: String = self.digests.iter().map(|(path, digest)| format!("{digest}  {path}\n")).collect();
        crate::output::write_whole(&self.path, text.as_bytes())
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
            0 => return Ok(hex(&hash.finalize())),
            length => hash.update(&buffer[..length]),
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
