//! Pictures: one by its path, or all that a folder holds.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use clearlane_embed::{DecodeError, DecodeLimits, ExtractError, Extraction, Extractor, Frame, Orientation, Selection};
use image::RgbImage;

use crate::failure::{Exit, Failure, Result};
use crate::output::shown;

/// Which face of a picture is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Face {
    /// The only one: several are an error
    #[default]
    Only,
    /// The largest
    Largest,
    /// The one nearest to the picture's centre
    Central,
}

impl From<Face> for Selection {
    fn from(face: Face) -> Self {
        match face {
            Face::Only => Self::Only,
            Face::Largest => Self::Largest,
            Face::Central => Self::Central,
        }
    }
}

/// How picture files are read.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Pictures")]
pub(crate) struct PictureArgs {
    /// How pictures stand: as they and their EXIF tags say, or whichever of four ways shows the surest face
    #[arg(long, value_enum, default_value_t)]
    orientation: Standing,
    /// The most pixels that a picture may have
    #[arg(long, value_name = "N", default_value_t = DecodeLimits::default().max_pixels)]
    max_pixels: u64,
}

/// How a picture stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Standing {
    /// As it says
    Given,
    /// All four ways are tried: four times the time to find a face
    #[default]
    Auto,
}

impl PictureArgs {
    pub(crate) fn orientation(self) -> Orientation {
        match self.orientation {
            Standing::Given => Orientation::Given,
            Standing::Auto => Orientation::Auto,
        }
    }

    /// What a picture may take.
    pub(crate) fn limits(self) -> DecodeLimits {
        DecodeLimits::default().with_max_pixels(self.max_pixels)
    }

    /// The picture at `path`.
    pub(crate) fn open(self, path: &Path) -> Result<Frame<'static>> {
        self.decode(path, &read(path)?)
    }

    /// A picture whose bytes have been read.
    pub(crate) fn decode(self, path: &Path, bytes: &[u8]) -> Result<Frame<'static>> {
        Frame::decode(bytes, &self.limits()).map_err(|error| {
            let failure = Failure::at(Exit::Input, path, &error);
            match error {
                DecodeError::TooManyPixels { .. } => failure.with_help("--max-pixels lets larger pictures in"),
                _ => failure,
            }
        })
    }
}

/// The bytes of the file at `path`, no more than a picture may have.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let limit = DecodeLimits::default().max_file_bytes;
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|error| Failure::reading(path, &error))?;
    Ok(bytes)
}

/// The picture at `path`.
pub(crate) fn open(path: &Path) -> Result<Frame<'static>> {
    decode(path, &read(path)?)
}

/// The template of the face in the picture at `path`, with all that was seen on the way.
pub(crate) fn extract(extractor: &Extractor, path: &Path) -> Result<Extraction> {
    extract_bytes(extractor, path, &read(path)?)
}

/// As [`extract`], of a picture whose bytes have been read.
pub(crate) fn extract_bytes(extractor: &Extractor, path: &Path, bytes: &[u8]) -> Result<Extraction> {
    extractor.extract(&decode(path, bytes)?).map_err(|error| refused(path, error))
}

/// A frame's pixels, for drawing.
pub(crate) fn rgb(frame: &Frame<'_>) -> RgbImage {
    let (width, height) = (frame.width(), frame.height());
    // The frame's pixels are as many as its sides say, so that the image is always there.
    RgbImage::from_raw(width, height, frame.to_rgb8().into_owned()).unwrap_or_default()
}

fn decode(path: &Path, bytes: &[u8]) -> Result<Frame<'static>> {
    Frame::decode(bytes, &DecodeLimits::default()).map_err(|error| Failure::at(Exit::Input, path, &error))
}

/// Why the picture at `path` gave no template.
pub(crate) fn refused(path: &Path, error: ExtractError) -> Failure {
    match error {
        ExtractError::Model(error) => error.into(),
        error @ (ExtractError::NoFace | ExtractError::NotUpright) => Failure::at(Exit::Input, path, &error).with_help(
            "is the picture turned? --orientation auto tries all four ways; is the face small? --min-face says from which size on \
             faces are looked for",
        ),
        error @ ExtractError::SeveralFaces { .. } => {
            Failure::at(Exit::Input, path, &error).with_help("crop the picture, or choose one with --face largest")
        }
        error => Failure::at(Exit::Input, path, &error),
    }
}

/// The picture files directly in `folder`, by name; other files are passed over.
pub(crate) fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = entries(folder)?;
    files.retain(|path| path.is_file() && has_picture_name(path));
    Ok(files)
}

/// The pictures of all folders SUBJECT/IMAGE in `dirs`, and the subject that each shows. A subject's name in two is one person.
pub(crate) fn by_subject(dirs: &[PathBuf]) -> Result<(Vec<String>, Vec<PathBuf>)> {
    let (mut people, mut captures) = (Vec::new(), Vec::new());
    for dir in dirs {
        for folder in entries(dir)?.into_iter().filter(|path| path.is_dir()) {
            let pictures = in_folder(&folder)?;
            people.extend(vec![subject(&folder)?.to_owned(); pictures.len()]);
            captures.extend(pictures);
        }
    }
    Ok((people, captures))
}

/// The name of the subject whose pictures are in `folder`.
pub(crate) fn subject(folder: &Path) -> Result<&str> {
    folder
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| Failure::new(Exit::Input, format!("{}: the folder's name is not UTF-8", shown(folder))))
}

/// What is directly in `folder`, by name.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = |error| Failure::reading(folder, &error);
    let mut paths = fs::read_dir(folder)
        .map_err(read)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(read)?;
    paths.sort();
    Ok(paths)
}

/// Whether a file has the name of a picture.
pub(crate) fn has_picture_name(path: &Path) -> bool {
    const NAMES: [&str; 11] = ["jpg", "jpeg", "jp2", "j2k", "png", "webp", "bmp", "pgm", "ppm", "pnm", "dg2"];
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    NAMES.iter().any(|name| extension.eq_ignore_ascii_case(name))
}
