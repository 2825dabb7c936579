//! `clearlane eval compare`: two runs on the same comparisons, side by side.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use clearlane_eval::{PairedComparison, PairedReport};
use clearlane_store::{CsvColumns, csv_rows, write_csv};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::report::{ReportArgs, finish};
use super::verification::shown_by;
use super::worst::Worst;
use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, percent, shown, write_streamed};

/// Two runs on the same comparisons, side by side, with paired differences
///
/// A and B are files that `eval lfw` and `eval pairs` wrote with --scores: of two models, two versions or two settings. Comparisons
/// are matched by their pictures' names; those that only one file has are counted and left out. Each run is set to a false match
/// rate by its own scores; whether their misses differ by more than chance is judged by McNemar's exact test.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompareArgs {
    /// A run's scores
    a: PathBuf,
    /// Another's
    b: PathBuf,
    #[command(flatten)]
    report: ReportArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane eval lfw lfw/ --embedder NEW --scores new.csv
  clearlane eval lfw lfw/ --embedder OLD --scores old.csv
  clearlane eval compare new.csv old.csv";

/// One comparison, as a line of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::commands) struct Line {
    pub(super) left: String,
    pub(super) right: String,
    pub(super) fold: usize,
    pub(super) mated: bool,
    pub(super) score: f32,
}

const COLUMNS: CsvColumns<'static> = CsvColumns { needed: &["left", "right", "fold", "mated", "score"], others: &[] };

/// Writes a run's scores.
pub(super) fn write_scores(lines: impl Iterator<Item = Line>, path: &Path) -> Result<()> {
    write_streamed(path, |out: &mut dyn Write| write_csv(out, lines).map_err(|error| Failure::writing(path, &error)))
}

pub(super) fn run(args: &CompareArgs, output: &Output) -> Result<Exit> {
    let (a, b) = (read(&args.a)?, read(&args.b)?);
    let other: HashMap<(&str, &str), &Line> = b.iter().map(|line| ((&*line.left, &*line.right), line)).collect();
    let mut compared = Vec::new();
    for line in &a {
        let Some(twin) = other.get(&(&*line.left, &*line.right)) else { continue };
        if twin.mated != line.mated {
            let message = format!("{} and {}: mated in one file only", line.left, line.right);
            return Err(Failure::new(Exit::Input, message).with_help("expected two runs of one protocol"));
        }
        compared.push(PairedComparison { fold: line.fold, mated: line.mated, a: line.score, b: twin.score });
    }
    let alone = [a.len() - compared.len(), b.len() - compared.len()];
    if compared.is_empty() {
        let message = format!("{} and {} have no comparison in common", shown(&args.a), shown(&args.b));
        return Err(Failure::new(Exit::Input, message).with_help("expected two runs of one protocol"));
    }
    let non_mated = compared.iter().filter(|comparison| !comparison.mated).count() as u64;
    let figures = PairedReport::new(&compared, &shown_by(non_mated))?;
    let value = json!({
        "protocol": "paired", "a": shown(&args.a), "b": shown(&args.b), "only_in_a": alone[0], "only_in_b": alone[1],
        "figures": figures,
    });
    finish(value, &Worst::default(), &args.report, output, || text(args, &figures, alone))
}

fn read(path: &Path) -> Result<Vec<Line>> {
    let mut file = std::io::BufReader::new(std::fs::File::open(path).map_err(|error| Failure::reading(path, &error))?);
    let failed = |error| Failure::at(Exit::Input, path, &error);
    let rows = csv_rows::<Line>(&mut file, COLUMNS).map_err(failed)?;
    rows.map(|row| row.and_then(|(_, line)| line).map_err(failed)).collect()
}

fn text(args: &CompareArgs, figures: &PairedReport, alone: [usize; 2]) -> String {
    let (a, b) = (shown(&args.a), shown(&args.b));
    let mut text =
        format!("A {a}\nB {b}\n{} mated and {} non-mated comparisons in both", figures.mated, figures.non_mated);
    // Writing to a String cannot fail.
    let _ = writeln!(text, ", {} in A alone, {} in B alone", alone[0], alone[1]);
    if let (Some(one), Some(other), Some(less)) = (&figures.accuracy_a, &figures.accuracy_b, figures.accuracy_less) {
        let (mean, error) = (100.0 * less.mean, 100.0 * less.standard_error);
        let _ = writeln!(
            text,
            "  accuracy           A {}, B {}, A less B {mean:+.2} points ± {error:.2} (standard error over the folds)",
            percent(one.mean),
            percent(other.mean)
        );
    }
    for point in &figures.points {
        let _ = writeln!(
            text,
            "  FNMR at FMR {:.0e}   A {}, B {}; missed by A alone {}, by B alone {}, p = {:.3}",
            point.target_fmr,
            percent(point.fnmr_a.value()),
            percent(point.fnmr_b.value()),
            point.missed_by_a_alone,
            point.missed_by_b_alone,
            point.p
        );
    }
    text
}
