//! `clearlane identify`: who of the enrolled is it?

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use clearlane::{Identification, IdentifyError, IdentifyOptions};
use clearlane_embed::Quality;
use clearlane_store::Register;
use serde_json::{Value, json};

use crate::failure::{Exit, Failure, Result};
use crate::models::ModelArgs;
use crate::output::{Output, doubts, shown, table};
use crate::pictures::{self, Face, PictureArgs};
use crate::reasons;
use crate::registers::{GalleryArgs, RegisterArgs, open_port};
use crate::thresholds::{self, PopulationArgs, Threshold, rate, score};

/// Say who of the enrolled a picture shows (1:N)
///
/// Somebody is identified who reaches the threshold and leads the next subject by the margin, in a search of the whole
/// register; anything less identifies nobody and says why. A picture whose quality makes scores doubtful is named, with what
/// is wrong with it. Exit code 0 where every picture is identified, 1 otherwise.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct IdentifyArgs {
    /// One picture, or several
    #[arg(required = true)]
    pictures: Vec<PathBuf>,
    /// Which face to take where a picture has several
    #[arg(long, value_enum, default_value = "largest")]
    face: Face,
    #[command(flatten)]
    how: PictureArgs,
    /// How many candidates to list
    #[arg(long, short = 'k', value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    candidates: u16,
    /// The least comparison score, in [-1, 1] [default: calibrated, for --fpir and the register's size]
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true, value_parser = score, help_heading = "Threshold")]
    threshold: Option<f32>,
    /// The false-positive identification rate to calibrate for, in (0, 1)
    #[arg(long, value_name = "RATE", default_value = "3e-3", value_parser = rate, conflicts_with = "threshold", help_heading = "Threshold")]
    fpir: f64,
    #[command(flatten)]
    population: PopulationArgs,
    /// By how much the first candidate must lead the next subject
    #[arg(long, value_name = "SCORE", default_value_t = 0.05, value_parser = lead, help_heading = "Threshold")]
    margin: f32,
    #[command(flatten)]
    register: RegisterArgs,
    #[command(flatten)]
    gallery: GalleryArgs,
    #[command(flatten)]
    models: ModelArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane identify live.jpg --register port.db --key-file port.key
  clearlane identify queue/*.jpg --register port.db --key-file port.key --json | jq .subject";

pub(super) fn run(args: &IdentifyArgs, output: &Output) -> Result<Exit> {
    args.register.there()?;
    let options = args.gallery.choose(args.models.choose(args.register.port()?)).read_only().check(false);
    let port =
        open_port(options.selection(args.face.into()).orientation(args.how.orientation()).parallel(true), output)?;
    // Says which models there are, where it is none that this embedder made.
    port.register().protection(port.references().model())?;
    let embedder = port.extractor()?.embedder();
    let entries = port.references().len();
    let threshold =
        thresholds::of_search(args.threshold, &args.population, port.calibration(), embedder, args.fpir, entries)?;
    let options = IdentifyOptions {
        candidates: usize::from(args.candidates).max(2),
        list_from: Some(-1.0),
        parallel: true,
        ..IdentifyOptions::new(threshold.threshold, args.margin)
    };
    let mut all = true;
    for picture in &args.pictures {
        let frame = args.how.open(picture)?;
        let found = port.identify(&frame, &options).map_err(|error| refused(picture, error))?;
        all &= found.subject.is_some();
        let listed = usize::from(args.candidates);
        let answer = Answer { picture, found: &found, threshold: &threshold, listed, register: port.register() };
        answer.print(output)?;
    }
    Ok(Exit::answer(all))
}

fn refused(picture: &Path, error: IdentifyError) -> Failure {
    match error {
        IdentifyError::Extract(error) => pictures::refused(picture, error),
        IdentifyError::References(error) => error.into(),
        error => Failure::of(Exit::Model, &error),
    }
}

struct Answer<'a> {
    picture: &'a Path,
    found: &'a Identification,
    threshold: &'a Threshold,
    listed: usize,
    register: &'a Register,
}

impl Answer<'_> {
    fn print(&self, output: &Output) -> Result<()> {
        let Identification { subject, candidates, margin, reasons, quality, times, .. } = self.found;
        let (extract_ms, search_ms) = (1e3 * times.capture().as_secs_f64(), 1e3 * times.search.as_secs_f64());
        let named = candidates
            .iter()
            .take(self.listed)
            .map(|candidate| {
                let known = self.register.subject_by_id(candidate.subject)?;
                Ok((known.map_or_else(|| candidate.subject.to_string(), |subject| subject.key), candidate.score))
            })
            .collect::<Result<Vec<_>>>()?;
        let who = subject.and_then(|_| named.first()).map(|(key, _)| key.clone());
        let listed: Vec<Value> = named.iter().map(|(key, score)| json!({ "subject": key, "score": score })).collect();
        let value = json!({
            "picture": shown(self.picture), "subject": who, "threshold": self.threshold.threshold, "measured": self.threshold.measured,
            "margin": margin, "reasons": reasons, "doubts": quality.as_ref().map(Quality::doubts).unwrap_or_default(),
            "candidates": listed, "extract_ms": extract_ms, "search_ms": search_ms,
        });
        output.line(&value, || {
            let mut text = format!("{}: ", shown(self.picture));
            match &who {
                Some(key) => text.push_str(key),
                None => text.extend(["nobody: ", &reasons::listed(reasons)]),
            }
            // Writing to a String cannot fail.
            let _ =
                writeln!(text, ", {} (extraction {extract_ms:.1} ms, search {search_ms:.2} ms)", self.threshold.text());
            if let Some(quality) = quality {
                text.push_str(&doubts(&shown(self.picture), quality));
            }
            let rows: Vec<_> =
                named.iter().map(|(key, score)| vec![format!("  {key}"), format!("{score:.4}")]).collect();
            text.push_str(table(&["  SUBJECT", "SCORE"], &[1], &rows).trim_end());
            text
        })
    }
}

fn lead(text: &str) -> Result<f32, String> {
    let lead = text.parse::<f32>().ok().filter(|lead| (0.0..=2.0).contains(lead));
    lead.ok_or_else(|| "expected a lead in [0, 2]".to_owned())
}
