//! `clearlane identify`: who of the enrolled is it?

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use clearlane::{Identification, IdentifyOptions, References};
use clearlane_embed::Extractor;
use clearlane_store::Register;
use serde_json::{Value, json};

use crate::failure::{Exit, Result};
use crate::models::ModelArgs;
use crate::output::{Output, shown, table};
use crate::pictures::{Face, extract};
use crate::reasons;
use crate::registers::RegisterArgs;
use crate::thresholds::{calibrated, rate, score};

/// Say who of the enrolled a picture shows (1:N)
///
/// Somebody is identified who reaches the threshold and leads the next subject by the margin, in a search of the whole
/// register; anything less identifies nobody and says why. Exit code 0 where every picture is identified, 1 otherwise.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct IdentifyArgs {
    /// One picture, or several
    #[arg(required = true)]
    pictures: Vec<PathBuf>,
    /// Which face to take where a picture has several
    #[arg(long, value_enum, default_value = "largest")]
    face: Face,
    /// How many candidates to list
    #[arg(long, short = 'k', value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    candidates: u16,
    /// The least comparison score, in [-1, 1] [default: calibrated, for --fpir and the register's size]
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true, value_parser = score, help_heading = "Threshold")]
    threshold: Option<f32>,
    /// The false-positive identification rate to calibrate for, in (0, 1)
    #[arg(long, value_name = "RATE", default_value = "3e-3", value_parser = rate, conflicts_with = "threshold", help_heading = "Threshold")]
    fpir: f64,
    /// By how much the first candidate must lead the next subject
    #[arg(long, value_name = "SCORE", default_value_t = 0.05, help_heading = "Threshold")]
    margin: f32,
    #[command(flatten)]
    register: RegisterArgs,
    #[command(flatten)]
    models: ModelArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane identify live.jpg --register port.db --key-file port.key
  clearlane identify queue/*.jpg --register port.db --key-file port.key --json | jq .subject";

pub(super) fn run(args: &IdentifyArgs, output: &Output) -> Result<Exit> {
    let extractor = args.models.load_extractor(args.face.into())?;
    let register = Arc::new(args.register.open_read_only()?);
    let model = extractor.embedder().model_id();
    // Says which models there are, where it is none that this embedder made.
    register.protection(model)?;
    let references = load(&register, &extractor, output)?;
    let threshold = match args.threshold {
        Some(threshold) => threshold,
        None => calibrated(extractor.embedder(), |known| known.threshold_for_fpir(args.fpir, references.len()))?,
    };
    let options = IdentifyOptions {
        candidates: usize::from(args.candidates).max(2),
        list_from: Some(-1.0),
        parallel: true,
        ..IdentifyOptions::new(threshold, args.margin)
    };
    let mut all = true;
    for picture in &args.pictures {
        let extraction = extract(&extractor, picture)?;
        let start = Instant::now();
        let found = references.identify(&extraction.template, &options)?;
        let search_ms = 1e3 * start.elapsed().as_secs_f64();
        all &= found.subject.is_some();
        let answer = Answer {
            picture,
            found: &found,
            listed: usize::from(args.candidates),
            extract_ms: 1e3 * extraction.timings.total().as_secs_f64(),
            search_ms,
            register: &register,
        };
        answer.print(output)?;
    }
    Ok(Exit::answer(all))
}

fn load(register: &Arc<Register>, extractor: &Extractor, output: &Output) -> Result<References> {
    let progress = output.progress(0, "loading");
    let references = References::load(Arc::clone(register), extractor.embedder().model_id(), |done, total| {
        progress.at(done, total);
    })?;
    progress.done();
    Ok(references)
}

struct Answer<'a> {
    picture: &'a Path,
    found: &'a Identification,
    listed: usize,
    extract_ms: f64,
    search_ms: f64,
    register: &'a Register,
}

impl Answer<'_> {
    fn print(&self, output: &Output) -> Result<()> {
        let Identification { subject, candidates, margin, threshold, reasons, .. } = self.found;
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
            "picture": shown(self.picture), "subject": who, "threshold": threshold, "margin": margin, "reasons": reasons,
            "candidates": listed, "extract_ms": self.extract_ms, "search_ms": self.search_ms,
        });
        output.line(&value, || {
            let mut text = format!("{}: ", shown(self.picture));
            match &who {
                Some(key) => text.push_str(key),
                None => text.extend(["nobody: ", &reasons::listed(reasons)]),
            }
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                ", threshold {threshold:.4} (extraction {:.1} ms, search {:.2} ms)",
                self.extract_ms, self.search_ms
            );
            let rows: Vec<_> =
                named.iter().map(|(key, score)| vec![format!("  {key}"), format!("{score:.4}")]).collect();
            text.push_str(table(&["  SUBJECT", "SCORE"], &[1], &rows).trim_end());
            text
        })
    }
}
