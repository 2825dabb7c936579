//! `clearlane eval folder`: your own captures, all against all.

use std::collections::HashSet;
use std::path::PathBuf;

use clap::Args;

use super::RunArgs;
use super::all_pairs;
use super::quality::QualityArgs;
use super::templates::extract_all;
use crate::failure::{Exit, Failure, Result};
use crate::output::Output;
use crate::pictures;

/// Your own captures, all against all: FNMR at low FMRs, and their thresholds
///
/// Each DIR holds captures as SUBJECT/IMAGE, as `enrol` takes them; a subject's name in two folders is one person. Captures
/// should come from the cameras that the threshold is for, of people like those who will pass, and of several hundred people
/// or more: a false match rate that the comparisons do not reach is extrapolated, and marked so. `clearlane calibrate folder`
/// writes thresholds into a manifest.
///
/// A capture that gives no template is a failure to acquire: it is listed, and takes no part in the comparisons.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FolderArgs {
    /// Folders SUBJECT/IMAGE
    #[arg(required = true)]
    dirs: Vec<PathBuf>,
    /// Write the detection error trade-off as CSV: threshold, FMR, FNMR
    #[arg(long, value_parser = crate::output::to_be_made(), value_name = "FILE.csv")]
    det: Option<PathBuf>,
    /// Which face to take where a picture has several
    #[arg(long, value_enum, default_value = "largest")]
    face: pictures::Face,
    #[command(flatten)]
    pairs: all_pairs::AllPairsArgs,
    #[command(flatten)]
    quality: QualityArgs,
    #[command(flatten)]
    run: RunArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane eval folder captures/                         what the built-in models do with them
  clearlane eval folder captures/ --models DIR --det det.csv
  clearlane eval folder captures/ --json | jq .figures.calibration";

pub(super) fn run(args: &FolderArgs, output: &Output) -> Result<Exit> {
    args.quality.check(&args.run.how)?;
    let (people, captures) = pictures::by_subject(&args.dirs)?;
    let distinct = people.iter().collect::<HashSet<_>>().len();
    if distinct < 2 || distinct == captures.len() {
        return Err(Failure::new(
            Exit::Input,
            format!("{} captures of {distinct} people: nothing to measure error rates on", captures.len()),
        )
        .with_help(
            "expected folders SUBJECT/IMAGE: two subjects or more, one of them at least with several captures",
        ));
    }
    let extractor = args.run.models.load_extractor(args.face.into())?;
    let made = extract_all(&extractor, &captures, &args.run.how, output)?;
    let protocol = format!("all pairs of {} captures of {distinct} people", captures.len());
    let captures = all_pairs::captures(people.iter().map(String::as_str));
    let det = args.det.as_deref();
    let (captures, made, report, quality) = (&captures, &made, &args.run.report, &args.quality);
    let test = all_pairs::Test { protocol, captures, made, group_by: &[], det, args: &args.pairs, quality, report };
    all_pairs::run(&test, output)
}
