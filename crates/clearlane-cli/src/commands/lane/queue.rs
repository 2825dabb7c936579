//! The queue: passengers in a row, each with one frame or several.

use std::path::{Path, PathBuf};

use crate::failure::{Exit, Failure, Result};
use crate::output::shown;
use crate::pictures;
use crate::text;

/// One passenger.
#[derive(Clone, Debug)]
pub(super) struct Passenger {
    pub(super) name: String,
    pub(super) frames: Vec<PathBuf>,
}

/// The passengers of `source`: a folder, in which a picture is a passenger of one frame and a folder one of several; or
/// a list of such paths, one a line, relative to the list.
pub(super) fn read(source: &Path) -> Result<Vec<Passenger>> {
    let passengers = if source.is_dir() {
        let all = pictures::entries(source)?.into_iter().map(passenger).collect::<Result<Vec<_>>>()?;
        all.into_iter().flatten().collect()
    } else {
        list(source)?
    };
    if passengers.is_empty() {
        let message = format!("{}: nobody is in the queue", shown(source));
        return Err(Failure::new(Exit::Input, message).with_help("give a folder of pictures, or a list of paths"));
    }
    Ok(passengers)
}

/// Whoever is listed passes: a path that shows nobody is a mistake in the list.
fn list(file: &Path) -> Result<Vec<Passenger>> {
    let text = text::read(file)?;
    let base = file.parent().unwrap_or(Path::new(""));
    let lines = text.lines().map(str::trim).zip(1..).filter(|(path, _)| !path.is_empty());
    let listed = lines.map(|(path, line)| {
        passenger(base.join(path))?.ok_or_else(|| {
            let message = format!("{}, line {line}: `{path}` is no picture and no folder of pictures", shown(file));
            Failure::new(Exit::Input, message)
        })
    });
    listed.collect()
}

fn passenger(path: PathBuf) -> Result<Option<Passenger>> {
    let name = shown(&path).to_string();
    let frames = match path.is_dir() {
        true => pictures::in_folder(&path)?,
        false if pictures::has_picture_name(&path) => vec![path],
        false => Vec::new(),
    };
    Ok((!frames.is_empty()).then_some(Passenger { name, frames }))
}
