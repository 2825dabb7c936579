//! Text files that are read whole: keys, lists.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::failure::{Exit, Failure, Result};
use crate::output::shown;

/// The largest of them: a list of a million pictures.
const MAX_BYTES: u64 = 256 << 20;

/// The text of the file at `path`.
pub(crate) fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| Failure::reading(path, &error))?;
    let length = file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| Failure::reading(path, &error))?;
    if length as u64 > MAX_BYTES {
        let message = format!("{}: larger than {MAX_BYTES} bytes, the most that is read here", shown(path));
        return Err(Failure::new(Exit::Input, message));
    }
    Ok(text)
}
