//! `clearlane calibrate scores`: scores that were measured elsewhere.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use clearlane_eval::Calibrator;
use clearlane_store::{CsvColumns, StoreError, csv_rows};
use serde_json::json;

use super::fit::{Group, fit, text};
use super::{TargetArgs, WriteArgs};
use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, shown};

/// Measure thresholds from scores
///
/// FILE.csv has the columns `score`, from -1 to 1, and `mated`, true or false, and any others: such as who was compared, and
/// labels of the groups that --group-by asks for. With groups, at each rate the threshold of the group that needs the highest
/// counts; a line without a label counts for no group.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ScoresArgs {
    /// Comparison scores, a line each
    file: PathBuf,
    /// By the groups that this column makes
    #[arg(long, value_name = "COLUMN")]
    group_by: Option<String>,
    #[command(flatten)]
    targets: TargetArgs,
    #[command(flatten)]
    write: WriteArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane calibrate scores scores.csv --fmr 1e-3,1e-4
  clearlane calibrate scores scores.csv --group-by ethnicity --write models/manifest.toml --model NAME \\
      --population east-asian-adults --measured-on \"the lanes' cameras, October\"";

pub(super) fn run(args: &ScoresArgs, output: &Output) -> Result<Exit> {
    let rows = Rows::open(&args.file)?;
    let (score, mated) = (column(&args.file, &rows.columns, "score")?, column(&args.file, &rows.columns, "mated")?);
    let group = args.group_by.as_deref().map(|name| column(&args.file, &rows.columns, name)).transpose()?;
    let mut non_mated: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    rows.each(|line, row| {
        let value = row[score].parse::<f32>().ok().filter(|score| (-1.0..=1.0).contains(score));
        let value = value.ok_or_else(|| format!("line {line}: expected a score in [-1, 1], got `{}`", row[score]))?;
        let group = group.map_or("", |column| row[column].as_str());
        match row[mated].as_str() {
            "true" | "1" => Ok(()),
            "false" | "0" if args.group_by.is_some() && group.is_empty() => Ok(()),
            "false" | "0" => {
                match non_mated.get_mut(group) {
                    Some(scores) => scores.push(value),
                    None => drop(non_mated.insert(group.to_owned(), vec![value])),
                }
                if non_mated.len() > MAX_GROUPS {
                    return Err(format!("line {line}: expected {MAX_GROUPS} groups at most"));
                }
                Ok(())
            }
            other => Err(format!("line {line}: expected `mated` to be true or false, got `{other}`")),
        }
    })?;
    let comparisons: usize = non_mated.values().map(Vec::len).sum();
    let groups = non_mated.into_iter().map(|(group, scores)| Ok((group, Calibrator::new(scores)?)));
    let fitted = fit(&groups.collect::<Result<Vec<Group<'_>>>>()?, &args.targets.rates())?;
    let counts = format!("{comparisons} non-mated comparisons");
    let written = args.write.write(&fitted, None, &counts)?;
    let value = json!({
        "non_mated": comparisons, "population": args.write.population, "thresholds": fitted, "written": written,
    });
    output.result(&value, || format!("{counts}\n\n") + &text(&fitted))?;
    Ok(Exit::Yes)
}

/// More than any column of labels has; one of names has more.
const MAX_GROUPS: usize = 1000;

/// The longest first line, which names the columns.
const MAX_HEADER: u64 = 64 << 10;

/// A CSV file whose first line names its columns, those that are known and any others.
pub(super) struct Rows<'f> {
    file: &'f Path,
    header: String,
    pub(super) columns: Vec<String>,
    text: BufReader<File>,
}

impl<'f> Rows<'f> {
    pub(super) fn open(file: &'f Path) -> Result<Self> {
        let unreadable = |error: std::io::Error| Failure::reading(file, &error);
        let mut text = BufReader::new(File::open(file).map_err(unreadable)?);
        let mut header = String::new();
        text.by_ref().take(MAX_HEADER).read_line(&mut header).map_err(unreadable)?;
        let names = header.trim_start_matches('\u{feff}').trim_end_matches(['\n', '\r']).split(',');
        let columns = names.map(|name| name.trim_matches('"').to_owned()).collect();
        Ok(Self { file, header, columns, text })
    }

    /// Calls `with` the number of each line and its fields, as many as there are columns.
    pub(super) fn each(self, mut with: impl FnMut(u64, &[String]) -> Result<(), String>) -> Result<()> {
        let Self { file, header, columns, text } = self;
        let unreadable = |error: StoreError| Failure::at(Exit::Input, file, &error);
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        let mut text = Cursor::new(header).chain(text);
        let known = CsvColumns { needed: &names, others: &[] };
        for row in csv_rows::<Vec<String>>(&mut text, known).map_err(unreadable)? {
            let (line, row) = row.map_err(unreadable)?;
            with(line, &row.map_err(unreadable)?)
                .map_err(|problem| Failure::new(Exit::Input, format!("{}: {problem}", shown(file))))?;
        }
        Ok(())
    }
}

/// The place of the column `name`.
pub(super) fn column(file: &Path, columns: &[String], name: &str) -> Result<usize> {
    columns.iter().position(|column| column == name).ok_or_else(|| {
        let names = columns.join(", ");
        Failure::new(Exit::Input, format!("{}: expected a column `{name}`, got {names}", shown(file)))
    })
}
