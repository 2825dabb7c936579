//! The queue: passengers in a row, each with one frame or several.

use std::path::{Path, PathBuf};

use crate::failure::{Exit, Failure, Result};
use crate::pictures;

/// One passenger.
#[derive(Clone, Debug)]
pub(super) struct Passenger {
    pub(super) name: String,
    pub(super) frames: Vec<PathBuf>,
}

/// The passengers of `source`: a folder, in which a picture is a passenger of one frame and a folder one of several; or
/// a list of such paths, one a line, relative to the list.
pub(super) fn read(source: &Path) -> Result<Vec<Passenger>> {
    let paths = if source.is_dir() { pictures::entries(source)? } else { list(source)? };
    let passengers = paths.into_iter().map(passenger).collect::<Result<Vec<_>>>()?;
    let passengers: Vec<_> = passengers.into_iter().flatten().collect();
    if passengers.is_empty() {
        let message = format!("{}: nobody is in the queue", source.display());
        return Err(Failure::new(Exit::Input, message).with_help("a folder of pictures is wanted, or a list of paths"));
    }
    Ok(passengers)
}

fn list(file: &Path) -> Result<Vec<PathBuf>> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::reading(file, &error))?;
    let base = file.parent().unwrap_or(Path::new(""));
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| base.join(line)).collect())
}

fn passenger(path: PathBuf) -> Result<Option<Passenger>> {
    let name = path.display().to_string();
    let frames = match path.is_dir() {
        true => pictures::in_folder(&path)?,
        false if pictures::has_picture_name(&path) => vec![path],
        false => Vec::new(),
    };
    Ok((!frames.is_empty()).then_some(Passenger { name, frames }))
}
