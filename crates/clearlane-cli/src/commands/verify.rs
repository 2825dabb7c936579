//! `clearlane verify`: two pictures, one comparison.

use std::path::{Path, PathBuf};

use clap::Args;
use clearlane_embed::Extraction;
use serde_json::{Value, json};

use crate::failure::{Exit, Failure, Result};
use crate::models::ModelArgs;
use crate::output::{Output, doubts, shown};
use crate::pictures::{self, Face, PictureArgs};
use crate::thresholds::ThresholdArgs;

/// Compare two pictures: do both show one person? (1:1)
///
/// Exit code 0 where their score reaches the threshold, 1 where it does not. A picture whose quality makes the score
/// doubtful is named, with what is wrong with it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// A picture
    a: PathBuf,
    /// Another
    b: PathBuf,
    /// Which face to take where a picture has several
    #[arg(long, value_enum, default_value_t)]
    face: Face,
    #[command(flatten)]
    how: PictureArgs,
    #[command(flatten)]
    threshold: ThresholdArgs,
    #[command(flatten)]
    models: ModelArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane verify passport.jpg live.jpg
  clearlane verify passport.jpg live.jpg --fmr 1e-6        stricter: one non-mated pair in a million matches
  clearlane verify passport.jpg live.jpg --population east-asian-adults    whose false match rate is meant
  clearlane verify a.png b.png --threshold 0.4 --json";

pub(super) fn run(args: &VerifyArgs, output: &Output) -> Result<Exit> {
    let extractor = args.models.load_extractor(args.face.into())?.with_orientation(args.how.orientation());
    let threshold = args.threshold.one_to_one(extractor.embedder())?;
    let extract = |path: &Path| {
        let frame = args.how.open(path)?;
        extractor.extract(&frame).map_err(|error| pictures::refused(path, error))
    };
    let (a, b) = (extract(&args.a)?, extract(&args.b)?);
    let verification = clearlane::verify(&a.template, &b.template, threshold.threshold);
    let verification = verification.map_err(|error| Failure::of(Exit::Model, &error))?;
    let (score, matched) = (verification.score, verification.verified);
    let value = json!({
        "match": matched, "score": score, "threshold": threshold.threshold, "measured": threshold.measured,
        "detector": extractor.detector().name(), "embedder": extractor.embedder().name(),
        "a": seen(&args.a, &a), "b": seen(&args.b, &b),
    });
    output.result(&value, || {
        let verdict = if matched { "match" } else { "no match" };
        let (of_a, of_b) = (doubts(&shown(&args.a), &a.quality), doubts(&shown(&args.b), &b.quality));
        format!("{verdict}: score {score:.4}, {}\n{of_a}{of_b}", threshold.text())
    })?;
    Ok(Exit::answer(matched))
}

fn seen(path: &Path, extraction: &Extraction) -> Value {
    json!({
        "path": shown(path), "faces": extraction.faces, "face": extraction.face,
        "rotation": extraction.rotation, "quality": extraction.quality, "doubts": extraction.quality.doubts(),
        "ms": 1e3 * extraction.timings.total().as_secs_f64(),
    })
}
