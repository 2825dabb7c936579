//! Many pictures to templates, on all cores.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clap::Args;
use clearlane_embed::{ALIGNED_SIDE, AlignedFace, DecodeLimits, Extractor, Frame, Template};
use clearlane_eval::protocol::PackedPicture;
use data_encoding::HEXLOWER;
use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::kept::{Kept, Outcome, Sha};
use super::quality::Values;
use crate::failure::{Exit, Failure, Result, chain};
use crate::interrupt::Interrupt;
use crate::output::{Output, shown};
use crate::pictures;

/// How templates are made, beside the models.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Templates")]
pub(in crate::commands) struct TemplateArgs {
    /// Keep templates in this folder, and take them from there: a second run takes seconds
    ///
    /// A template is kept under the digest of its picture and of all that made it. Templates are personal data, and lie there
    /// unsealed, readable for you alone: delete the folder when you no longer need it.
    #[arg(long, value_name = "DIR")]
    pub(in crate::commands) keep: Option<PathBuf>,

    /// The pictures are faces that are aligned to the 112 x 112 template of ArcFace, or larger with that in their centre: no face
    /// is looked for. Packed sets are always taken so
    #[arg(long)]
    pub(in crate::commands) aligned: bool,
}

/// A picture that a template is made of.
pub(in crate::commands) trait Picture: Sync {
    /// Its name, as it is shown.
    fn name(&self) -> String;

    /// The bytes of its file.
    fn bytes(&self) -> Result<Cow<'_, [u8]>>;
}

impl Picture for PathBuf {
    fn name(&self) -> String {
        shown(self).to_string()
    }

    fn bytes(&self) -> Result<Cow<'_, [u8]>> {
        if !self.is_file() {
            return Err(Failure::new(Exit::Input, format!("{}: the data set lacks this image", shown(self))));
        }
        pictures::read(self).map(Cow::Owned)
    }
}

/// A picture of a packed set, by its number.
impl Picture for (usize, PackedPicture<'_>) {
    fn name(&self) -> String {
        format!("picture {}", self.0)
    }

    fn bytes(&self) -> Result<Cow<'_, [u8]>> {
        Ok(self.1.bytes())
    }
}

/// What became of many pictures.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct Extracted {
    pub(in crate::commands) detector: String,
    pub(in crate::commands) embedder: String,
    /// The embedder's id, which its templates carry.
    pub(in crate::commands) model_id: String,
    pub(in crate::commands) images: usize,
    /// The digest of all pictures' digests, in order: which data set it was, to the byte.
    pub(in crate::commands) pictures_sha256: String,
    /// How many of them had kept templates, or were known to give none.
    pub(in crate::commands) kept: usize,
    /// Pictures that gave no template, and why.
    pub(in crate::commands) failed: Vec<String>,
    /// How long it took, on so many threads.
    pub(in crate::commands) seconds: f64,
    pub(in crate::commands) threads: usize,
    /// One for each path, in order.
    #[serde(skip)]
    pub(in crate::commands) templates: Vec<Option<Template>>,
    /// The quality of each capture, in the same order; nothing is assessed of one without a template, or aligned before.
    #[serde(skip)]
    pub(in crate::commands) qualities: Vec<Values>,
}

/// The templates of `pictures`. A picture without a face is a failure to acquire; one that cannot be read is an error.
pub(in crate::commands) fn extract_all<P: Picture>(
    extractor: &Extractor,
    pictures: &[P],
    how: &TemplateArgs,
    output: &Output,
) -> Result<Extracted> {
    let interrupt = Interrupt::listen()?;
    let embedder = extractor.embedder();
    let kept = match &how.keep {
        Some(folder) => {
            Some(Kept::open(folder, way(extractor, how.aligned), embedder.model_id(), embedder.dimension())?)
        }
        None => None,
    };
    if let Some(damaged) = kept.as_ref().map(|kept| kept.damaged).filter(|damaged| *damaged > 0) {
        output.note(&format!("{damaged} kept templates are damaged and are made anew"));
    }
    let taken = AtomicUsize::new(0);
    let progress = output.progress(pictures.len() as u64, "templates");
    let start = Instant::now();
    let one = |picture: &P| {
        interrupt.check()?;
        let bytes = picture.bytes()?;
        let digest: Sha = Sha256::digest(&bytes).into();
        let before = kept.as_ref().and_then(|kept| kept.get(&digest));
        let outcome = if let Some(outcome) = before {
            taken.fetch_add(1, Ordering::Relaxed);
            outcome
        } else {
            let outcome = make(extractor, how.aligned, picture, &bytes)?;
            if let Some(kept) = &kept {
                kept.keep(&digest, &outcome)?;
            }
            outcome
        };
        progress.step();
        Ok((digest, outcome.map_err(|why| format!("{}: {why}", picture.name()))))
    };
    let results = pictures.par_iter().map(one).collect::<Result<Vec<_>>>();
    progress.done();
    let mut failed = Vec::new();
    let mut all = Sha256::new();
    let keep = |(digest, result): (Sha, Outcome)| {
        all.update(digest);
        result.map_err(|why| failed.push(why)).ok()
    };
    let made = results?.into_iter().map(keep).map(Option::unzip);
    let (templates, qualities): (Vec<_>, Vec<_>) = made.unzip();
    Ok(Extracted {
        detector: if how.aligned { "none".to_owned() } else { extractor.detector().name().to_owned() },
        embedder: embedder.name().to_owned(),
        model_id: embedder.model_id().to_string(),
        images: pictures.len(),
        pictures_sha256: HEXLOWER.encode(&all.finalize()),
        kept: taken.into_inner(),
        failed,
        seconds: start.elapsed().as_secs_f64(),
        threads: rayon::current_num_threads(),
        templates,
        qualities: qualities.into_iter().map(Option::unwrap_or_default).collect(),
    })
}

/// The digest of all that a template and its quality depend on but their picture.
fn way(extractor: &Extractor, aligned: bool) -> Sha {
    if !aligned {
        return extractor.quality_recipe();
    }
    let way = Sha256::new().chain_update(extractor.recipe()).chain_update(b"aligned");
    way.chain_update(extractor.embedder().model_id().as_bytes()).finalize().into()
}

/// A picture's template, or why a readable picture gave none.
fn make(extractor: &Extractor, aligned: bool, picture: &impl Picture, bytes: &[u8]) -> Result<Outcome> {
    let failed = |error| pictures::refused(picture.name().as_ref(), error);
    let frame = match Frame::decode(bytes, &DecodeLimits::default()) {
        Ok(frame) => frame,
        Err(error) => return Ok(Err(chain(&error))),
    };
    let made = if aligned {
        let Some(face) = centre(&frame) else {
            let (width, height) = (frame.width(), frame.height());
            let why = format!(
                "expected an aligned face of {ALIGNED_SIDE} x {ALIGNED_SIDE} pixels or more, got {width} x {height}"
            );
            return Ok(Err(why));
        };
        extractor.embedder().embed(&face).map(|template| (template, Values::default()))
    } else {
        extractor.extract(&frame).map(|extraction| (extraction.template, Values::of(&extraction.quality)))
    };
    match made {
        Ok(made) => Ok(Ok(made)),
        Err(error) => {
            let why = chain(&error);
            let failure = failed(error);
            if failure.exit == Exit::Input { Ok(Err(why)) } else { Err(failure) }
        }
    }
}

/// The aligned face in the centre of a picture.
fn centre(frame: &Frame<'_>) -> Option<AlignedFace> {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let (left, top) = (width.checked_sub(ALIGNED_SIDE)? / 2, height.checked_sub(ALIGNED_SIDE)? / 2);
    let rgb = frame.to_rgb8();
    let rows = rgb.chunks_exact(3 * width).skip(top).take(ALIGNED_SIDE);
    AlignedFace::from_rgb8(rows.flat_map(|row| &row[3 * left..][..3 * ALIGNED_SIDE]).copied().collect())
}

impl Extracted {
    /// What was done, in words.
    pub(in crate::commands) fn text(&self) -> String {
        let Self { detector, embedder, images, kept, seconds, threads, failed, .. } = self;
        let rate = *images as f64 / seconds;
        let kept = if *kept > 0 { format!("{kept} of them kept ones, ") } else { String::new() };
        let mut text = format!(
            "{detector} and {embedder}: {images} images in {seconds:.1} s on {threads} threads ({rate:.0} a second), {kept}{} failures to acquire\n",
            failed.len()
        );
        for why in failed.iter().take(10) {
            text.extend(["  ", why, "\n"]);
        }
        text
    }
}
