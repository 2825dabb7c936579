//! Templates of real faces, from a folder of pictures, SUBJECT/IMAGE. They are made, used and wiped in memory.

use std::io;
use std::path::{Path, PathBuf};

use clearlane_embed::{DecodeLimits, Extractor, Frame};
use clearlane_simulate::faces::Face;
use rayon::prelude::*;

/// The templates of the pictures of at most so many subjects, subject by subject. A picture without a face has none.
pub fn of_folder(folder: &Path, subjects: usize, extractor: &Extractor) -> io::Result<Vec<Face>> {
    let folders = list(folder)?.into_iter().filter(|path| path.is_dir()).take(subjects);
    let subjects = folders.map(|path| list(&path)).collect::<io::Result<Vec<_>>>()?;
    let one = |subject: usize, path: &PathBuf| {
        let frame = Frame::open(path, &DecodeLimits::default()).ok()?;
        Some(Face { subject, template: extractor.extract(&frame).ok()?.template })
    };
    let of_subject = |(subject, paths): (usize, &Vec<PathBuf>)| {
        paths.iter().filter_map(|path| one(subject, path)).collect::<Vec<_>>()
    };
    Ok(subjects.par_iter().enumerate().flat_map_iter(of_subject).collect())
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
