//! All captures against all: enough non-mated comparisons for low false match rates, and for calibration.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use clearlane_embed::Template;
use clearlane_eval::report::AllAgainstAll;
use clearlane_eval::{AllPairs, ByGroup, Capture, Captures, FmrThreshold, Method, Presumed, Sample};
use clearlane_match::TemplateRows;
use serde_json::json;

use super::by_group;
use super::halves::{self, HalvesArgs};
use super::lfw_view2::write_det;
use super::quality::{self, QualityArgs, Values};
use super::report::{ReportArgs, finish};
use super::templates::Extracted;
use super::worst::Worst;
use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, percent, write_streamed};

const TARGET_FMRS: [f64; 5] = [1e-2, 1e-3, 1e-4, 1e-5, 1e-6];

/// From what one comparison needs to what a search of a million does at an FPIR of 1e-5 and less.
const CALIBRATED_FMRS: [f64; 12] = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12];

/// What is written beside the figures.
#[derive(Clone, Debug, Args)]
pub(super) struct AllPairsArgs {
    /// Write the templates that are compared as CSV, for another program to check the figures: subject, then the values.
    /// They are personal data: delete the file when it has served
    #[arg(long, value_parser = crate::output::to_be_made(), value_name = "FILE.csv")]
    pub(super) templates_out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) halves: HalvesArgs,
}

impl AllPairsArgs {
    /// An option of these that was given.
    pub(super) fn is_asked(&self) -> Option<&'static str> {
        let halves = self.halves.is_asked().then_some("--halves");
        halves.or_else(|| self.templates_out.as_ref().map(|_| "--templates-out"))
    }
}

/// All captures of a test and what to make of them.
pub(super) struct Test<'a> {
    pub(super) protocol: String,
    pub(super) captures: &'a Captures,
    pub(super) made: &'a Extracted,
    /// Columns of labels to report by; none where there are none.
    pub(super) group_by: &'a [String],
    pub(super) det: Option<&'a Path>,
    pub(super) args: &'a AllPairsArgs,
    pub(super) quality: &'a QualityArgs,
    pub(super) report: &'a ReportArgs,
}

/// Compares all captures, each with the person it shows, and reports.
pub(super) fn run(test: &Test<'_>, output: &Output) -> Result<Exit> {
    let Test { protocol, made, .. } = test;
    let start = Instant::now();
    let (captures, templates) = acquired(test.captures, &made.templates);
    if let Some(path) = &test.args.templates_out {
        write_templates(&captures, &templates, path)?;
    }
    let pairs = compare(&captures, &templates, &[])?;
    let compared = start.elapsed().as_secs_f64();
    if let Some(path) = test.det {
        write_det(&pairs.scores()?, path)?;
    }
    let figures = AllAgainstAll::new(&pairs, &TARGET_FMRS, &CALIBRATED_FMRS)?;
    let columns: Vec<&str> = test.group_by.iter().map(String::as_str).collect();
    let halves = test.args.halves.check(&captures, &templates, &columns, Presumed::Known)?;
    let groups = if columns.is_empty() {
        None
    } else {
        let pairs = compare(&captures, &templates, &columns)?;
        let thresholds: Vec<f32> = figures.fnmr_at_fmr.iter().map(|point| point.threshold).collect();
        let targets: Vec<f64> = figures.fnmr_at_fmr.iter().map(|point| point.target_fmr).collect();
        Some(ByGroup::new(&pairs, &thresholds, &targets)?)
    };
    let qualities: Vec<Values> = made
        .templates
        .iter()
        .zip(&made.qualities)
        .filter(|(template, _)| template.is_some())
        .map(|(_, quality)| *quality)
        .collect();
    let mated = pairs.mated().map(|pair| (pair.score, qualities[pair.a as usize], qualities[pair.b as usize]));
    let quality = test.quality.figures(|| Ok(pairs.scores()?), mated)?;
    let value = json!({
        "protocol": protocol, "models": made, "figures": figures, "by_group": groups, "quality": quality,
        "halves": halves,
        "seconds": { "compared": compared, "all": start.elapsed().as_secs_f64() },
    });
    finish(value, &Worst::default(), test.report, output, || {
        let mut text = made.text() + &described(protocol, &figures, compared);
        if let Some(groups) = &groups {
            text.push_str(&by_group::described(groups));
        }
        text + &halves::described(halves.as_ref()) + &quality::described(quality.as_ref())
    })
}

/// Captures of whom each is known.
pub(super) fn captures<'p>(people: impl IntoIterator<Item = &'p str>) -> Captures {
    let capture = |(index, person): (usize, &str)| Capture {
        picture: index.to_string(),
        subject: Some(person.to_owned()),
        labels: Vec::new(),
    };
    Captures { columns: Vec::new(), captures: people.into_iter().enumerate().map(capture).collect() }
}

/// The captures that gave a template, and their templates.
pub(in crate::commands) fn acquired<'t>(
    captures: &Captures,
    templates: &'t [Option<Template>],
) -> (Captures, Vec<&'t Template>) {
    let both = captures.captures.iter().zip(templates);
    let (kept, templates) = both.filter_map(|(capture, template)| Some((capture.clone(), template.as_ref()?))).unzip();
    (Captures { columns: captures.columns.clone(), captures: kept }, templates)
}

/// All comparisons of captures, grouped by columns of their labels.
pub(in crate::commands) fn compare(captures: &Captures, templates: &[&Template], columns: &[&str]) -> Result<AllPairs> {
    let sample = Sample::new(captures, columns)?;
    let rows = TemplateRows::new(templates.iter().copied()).map_err(|error| Failure::of(Exit::Model, &error))?;
    Ok(AllPairs::compare(sample, |capture, first, scores| rows.scores(capture, first, scores)))
}

fn write_templates(captures: &Captures, templates: &[&Template], path: &Path) -> Result<()> {
    let failed = |error| Failure::writing(path, &error);
    write_streamed(path, |out: &mut dyn Write| {
        for (capture, template) in captures.captures.iter().zip(templates) {
            // Names of folders may hold what CSV quotes.
            let subject = capture.subject.as_deref().unwrap_or_default().replace('"', "\"\"");
            write!(out, "\"{subject}\"").map_err(failed)?;
            for value in template.as_slice() {
                write!(out, ",{value}").map_err(failed)?;
            }
            writeln!(out).map_err(failed)?;
        }
        Ok(())
    })
}

fn described(protocol: &str, figures: &AllAgainstAll, seconds: f64) -> String {
    let AllAgainstAll { captures, subjects, mated, non_mated, .. } = figures;
    let mut text = format!(
        "\n{protocol}: {captures} captures of {subjects} subjects, {mated} mated and {non_mated} non-mated comparisons in \
         {seconds:.1} s\n"
    );
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  EER               {}", percent(figures.eer));
    for (point, at) in figures.fnmr_at_fmr.iter().zip(&figures.rates) {
        let _ = writeln!(
            text,
            "  FNMR at FMR {:.0e}  {} (95 %, by subject: {} to {}), threshold {:.4}, where FMR lies in {:.1e} to {:.1e}",
            point.target_fmr,
            percent(point.value),
            percent(point.interval.low),
            percent(point.interval.high),
            point.threshold,
            at.fmr.interval.low,
            at.fmr.interval.high
        );
    }
    let _ =
        writeln!(text, "  no figure below FMR {:.1e}: fewer than 30 false matches would show it", figures.lowest_fmr);
    text.push_str(
        "\nThresholds; `clearlane calibrate folder` writes such into a manifest, with the population they are for:\n",
    );
    for threshold in &figures.calibration {
        let (fmr, value) = (threshold.target_fmr, threshold.threshold);
        if value > 1.0 {
            let _ =
                writeln!(text, "  FMR {fmr:.0e} and lower: none, since the tail reaches beyond every possible score");
            break;
        }
        let how = how(threshold, *non_mated);
        let _ = write!(text, "  FMR {fmr:.0e}         {value:.4}, {how}");
        for warning in &threshold.warnings {
            let _ = write!(text, "; {warning}");
        }
        text.push('\n');
    }
    text
}

fn how(threshold: &FmrThreshold, non_mated: u64) -> String {
    let interval =
        threshold.interval.map_or(String::new(), |range| format!(", 95 %: {:.4} to {:.4}", range.low, range.high));
    match threshold.method {
        Method::Counted => format!("counted among {non_mated} non-mated comparisons{interval}"),
        Method::TailFit { excesses, shape, goodness, .. } => format!(
            "extrapolated from the {excesses} highest of {non_mated} scores, generalised Pareto, shape {shape:.3}, fit p = \
             {:.3}{interval}",
            goodness.p
        ),
        _ => String::new(),
    }
}
