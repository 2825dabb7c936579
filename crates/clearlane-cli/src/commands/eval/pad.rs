//! `clearlane eval pad`: presentation attack detection on labelled presentations.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use clearlane_embed::{DecodeLimits, ExtractError, Extractor, Frame};
use clearlane_eval::protocol::Table;
use clearlane_eval::{Estimate, PadPoint, PadScores, Rate};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;

use super::report::{ReportArgs, finish};
use super::worst::Worst;
use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::models::ModelArgs;
use crate::output::{Output, percent, shown};
use crate::{pictures, text, thresholds};

/// APCER targets, as the standard's BPCER20 and BPCER100.
const TARGET_APCERS: [f64; 2] = [0.05, 0.01];

/// Presentation attack detection: APCER by kind of attack, and BPCER
///
/// SOURCE is a folder LABEL/IMAGE, or a CSV file with the columns picture, subject (which may be empty) and a label. The label is
/// --bona-fide for bona fide presentations, and else names the kind of attack. Gives APCER of each kind (ISO/IEC 30107-3), the
/// worst of them, and BPCER, at --threshold and where the worst APCER is 5 % and 1 %.
///
/// A presentation in which no face is found has no score: it is counted as a non-response. This is no certified test of a PAD
/// subsystem: that takes an accredited laboratory, and many instruments of each kind.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PadArgs {
    /// A folder LABEL/IMAGE, or a CSV file
    source: PathBuf,
    /// The label of bona fide presentations
    #[arg(long, value_name = "LABEL", default_value = "bona-fide")]
    bona_fide: String,
    /// The CSV file's column of labels
    #[arg(long, value_name = "COLUMN", default_value = "label")]
    label: String,
    /// The least score of a bona fide presentation, as a policy's `pad-threshold` has it, in [0, 1]
    #[arg(long, value_name = "SCORE", default_value = "0.5", value_parser = thresholds::score)]
    threshold: f32,
    /// The models whose scores are averaged, by their names in the manifest [default: all available]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pad: Vec<String>,
    /// Which face to take where a picture has several
    #[arg(long, value_enum, default_value = "largest")]
    face: pictures::Face,
    #[command(flatten)]
    models: ModelArgs,
    #[command(flatten)]
    report: ReportArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane eval pad presentations/ --models DIR               bona-fide/, print/, screen/, mask/
  clearlane eval pad presentations.csv --label kind --bona-fide live --report pad.html";

/// The presentations of one label.
#[derive(Debug, Serialize)]
struct Kind {
    label: String,
    presentations: usize,
    /// Those without a score.
    non_response: Estimate,
}

/// All rates at one threshold, and why it was taken.
#[derive(Debug, Serialize)]
struct NamedPoint {
    name: String,
    #[serde(flatten)]
    point: PadPoint,
}

pub(super) fn run(args: &PadArgs, output: &Output) -> Result<Exit> {
    let presentations = presentations(args)?;
    let models = args.models.available()?;
    let names: Vec<&str> =
        if args.pad.is_empty() { models.pad_names().collect() } else { args.pad.iter().map(String::as_str).collect() };
    let extractor = args.models.load_extractor(args.face.into())?.with_pad(models.pad(names.iter().copied())?);
    let scores = scores(&extractor, &presentations, output)?;
    let mut by_label: BTreeMap<&str, Vec<Option<f32>>> = BTreeMap::new();
    for ((label, _), score) in presentations.iter().zip(&scores) {
        by_label.entry(label).or_default().push(*score);
    }
    let kind = |(label, scores): (&&str, &Vec<Option<f32>>)| {
        let without = scores.iter().filter(|score| score.is_none()).count() as u64;
        let non_response = Rate::new(without, scores.len() as u64).exact_estimate();
        Kind { label: (*label).to_owned(), presentations: scores.len(), non_response }
    };
    let kinds: Vec<Kind> = by_label.iter().map(kind).collect();
    let bona_fide: Vec<f32> =
        by_label.remove(args.bona_fide.as_str()).unwrap_or_default().into_iter().flatten().collect();
    let attacks =
        by_label.into_iter().map(|(label, scores)| (label.to_owned(), scores.into_iter().flatten().collect()));
    // A kind of which nothing was seen has no rate; it stands among the non-responses.
    let attacks: Vec<(String, Vec<f32>)> = attacks.filter(|(_, scores): &(_, Vec<f32>)| !scores.is_empty()).collect();
    let warnings = warnings(&bona_fide, &attacks);
    let scores = PadScores::new(bona_fide, attacks).map_err(|error| {
        let message = format!("{}: {error}", shown(&args.source));
        let label = &args.bona_fide;
        Failure::new(Exit::Input, message).with_help(format!(
            "expected presentations labelled `{label}`, others with the names of attacks, and a face in them; --bona-fide names the label"
        ))
    })?;
    let mut points = vec![NamedPoint { name: "threshold".to_owned(), point: scores.at(args.threshold) }];
    for target in TARGET_APCERS {
        points.push(NamedPoint { name: format!("APCER {} %", 100.0 * target), point: scores.at_apcer(target)? });
    }
    let value = json!({
        "protocol": "PAD", "source": shown(&args.source), "detector": extractor.detector().name(), "pad": names,
        "bona_fide": args.bona_fide, "presentations": kinds, "figures": points, "warnings": warnings,
    });
    finish(value, &Worst::default(), &args.report, output, || described(&names, &kinds, &points, &warnings))
}

/// Every presentation's label and picture.
fn presentations(args: &PadArgs) -> Result<Vec<(String, PathBuf)>> {
    let source = &args.source;
    let found: Vec<(String, PathBuf)> = if source.is_dir() {
        let (labels, pictures) = pictures::by_subject(std::slice::from_ref(source))?;
        labels.into_iter().zip(pictures).collect()
    } else {
        let table = Table::parse(&text::read(source)?).map_err(|error| Failure::at(Exit::Input, source, &error))?;
        let captures = &table.captures;
        let column = captures.column(&args.label).ok_or_else(|| {
            let message = format!("{}: no column `{}`, got {}", shown(source), args.label, captures.columns.join(", "));
            Failure::new(Exit::Input, message).with_help("--label names the column of labels")
        })?;
        let folder = source.parent().unwrap_or(Path::new(""));
        let row = |capture: &clearlane_eval::Capture| (capture.labels[column].clone(), folder.join(&capture.picture));
        captures.captures.iter().map(row).collect()
    };
    if let Some((_, path)) = found.iter().find(|(label, _)| label.is_empty()) {
        return Err(Failure::new(
            Exit::Input,
            format!("{}: the picture `{}` has no label", shown(source), shown(path)),
        ));
    }
    Ok(found)
}

/// The PAD score of each presentation; `None` where no face was found. A picture that cannot be read is an error.
fn scores(extractor: &Extractor, presentations: &[(String, PathBuf)], output: &Output) -> Result<Vec<Option<f32>>> {
    let interrupt = Interrupt::listen()?;
    let progress = output.progress(presentations.len() as u64, "presentations");
    let one = |(_, path): &(String, PathBuf)| {
        interrupt.check()?;
        let frame = Frame::decode(&pictures::read(path)?, &DecodeLimits::default());
        let frame = frame.map_err(|error| Failure::at(Exit::Input, path, &error))?;
        let score = match extractor.observe(&frame) {
            Ok(observation) => observation.pad,
            Err(ExtractError::Model(error)) => return Err(error.into()),
            Err(_) => None,
        };
        progress.step();
        Ok(score)
    };
    let scores = presentations.par_iter().map(one).collect();
    progress.done();
    scores
}

/// What so few presentations do not say.
fn warnings(bona_fide: &[f32], attacks: &[(String, Vec<f32>)]) -> Vec<String> {
    let mut warnings =
        vec!["not a certified PAD test: it says what these models do with these presentations".to_owned()];
    let kinds = attacks.iter().map(|(label, scores)| (label.as_str(), scores.len()));
    for (label, count) in std::iter::once(("bona fide", bona_fide.len())).chain(kinds) {
        // By the rule of 3, none in so many presentations says no more than the rate.
        let lowest = 3.0 / count.max(1) as f64;
        if let Some(target) = TARGET_APCERS.into_iter().find(|target| lowest > *target) {
            warnings.push(format!(
                "{label}: {count} presentations cannot show a rate of {}: that takes {:.0} or more",
                percent(target),
                3.0 / target
            ));
        }
    }
    warnings
}

fn described(names: &[&str], kinds: &[Kind], points: &[NamedPoint], warnings: &[String]) -> String {
    let of = |estimate: &Estimate| {
        let (rate, interval) = (estimate.rate, estimate.interval);
        let [value, low, high] = [rate.value(), interval.low, interval.high].map(percent);
        format!("{value} (95 %: {low} to {high}), {} of {}", rate.events, rate.trials)
    };
    let mut text = format!("{}\n", names.join(" and "));
    // Writing to a String cannot fail.
    for Kind { label, presentations, non_response } in kinds {
        let _ = writeln!(text, "  {label}: {presentations} presentations, {} without a face", non_response.rate.events);
    }
    for NamedPoint { name, point } in points {
        let _ = writeln!(text, "\nat {name}: a score of {:.4} or above is bona fide", point.threshold);
        for apcer in &point.apcer {
            let _ = writeln!(text, "  APCER {:<20} {}", apcer.species, of(&apcer.rate));
        }
        let _ = writeln!(text, "  worst APCER                {}", percent(point.worst_apcer));
        let _ = writeln!(text, "  BPCER                      {}", of(&point.bpcer));
    }
    text.push('\n');
    for warning in warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}
