//! Files that one process, and one task of it, works with at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::ClusterError;

/// So long is waited for whoever is about to end: a task whose owner was dropped lets its files go when it gets its turn.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long between two tries.
const STEP: Duration = Duration::from_millis(10);

/// Opens a file, makes it where there is none, and locks it until it is closed. Blocking.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> Result<File, ClusterError> {
    let failed = |source| ClusterError::File { path: path.to_owned(), source };
    let until = Instant::now() + PATIENCE;
    loop {
        let file = options.create(true).truncate(false).open(path).map_err(failed)?;
        match file.try_lock() {
            // Whoever had it may have put another file in its place.
            Ok(()) if is_at(&file, path).map_err(failed)? => return Ok(file),
            Ok(()) | Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        if Instant::now() >= until {
            return Err(ClusterError::InUse { path: path.to_owned() });
        }
        std::thread::sleep(STEP);
    }
}

/// Whether the file is the one that stands there now.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let (ours, there) = (
        file.metadata()?,
        match std::fs::metadata(path) {
            Ok(there) => there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        },
    );
    Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino()))
}

/// Elsewhere a file that was put in its place is not told from it.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}
