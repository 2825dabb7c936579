//! `clearlane calibrate folder`: captures, all against all.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::Args;
use clearlane_eval::{Calibrator, Capture, Captures, ScoreError};
use serde_json::json;

use super::fit::{Group, fit, text};
use super::scores::{Rows, column};
use super::{TargetArgs, WriteArgs};
use crate::commands::eval::all_pairs::{acquired, compare};
use crate::commands::eval::templates::{TemplateArgs, extract_all};
use crate::failure::{Exit, Failure, Result};
use crate::models::ModelArgs;
use crate::output::{Output, shown};
use crate::pictures;

/// Measure thresholds on captures
///
/// Each DIR holds captures as SUBJECT/IMAGE, as `enrol` takes them; a subject's name in two folders is one person. Captures should
/// come from the cameras that the threshold is for, of the people whom the lanes serve and of nobody else, and of as many of them
/// as can be had: 250 people with one capture each make 31,000 comparisons, which show rates down to 1e-3.
///
/// With --group-by the captures of each group are compared within it, which is the harder comparison, and at each rate the
/// threshold of the group that needs the highest counts.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FolderArgs {
    /// Folders SUBJECT/IMAGE
    #[arg(required = true)]
    dirs: Vec<PathBuf>,
    /// What is known of the subjects: a CSV file with the column `subject` and columns of labels
    #[arg(long, value_name = "FILE.csv", requires = "group_by")]
    labels: Option<PathBuf>,
    /// Compare within the groups that this column of --labels makes
    #[arg(long, value_name = "COLUMN", requires = "labels")]
    group_by: Option<String>,
    /// Which face to take where a picture has several
    #[arg(long, value_enum, default_value = "largest")]
    face: pictures::Face,
    #[command(flatten)]
    targets: TargetArgs,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    how: TemplateArgs,
    #[command(flatten)]
    models: ModelArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane calibrate folder captures/ --models DIR
  clearlane calibrate folder captures/ --models DIR --fpir 1e-5 --gallery 1000000 \\
      --write DIR/manifest.toml --population east-asian-adults --measured-on \"the lanes' cameras, October\"
  clearlane calibrate folder captures/ --labels people.csv --group-by sex";

pub(super) fn run(args: &FolderArgs, output: &Output) -> Result<Exit> {
    let (people, paths) = pictures::by_subject(&args.dirs)?;
    let groups = args.labels.as_ref().zip(args.group_by.as_deref());
    let groups = groups.map(|(file, column)| labels(file, column)).transpose()?;
    let extractor = args.models.load_extractor(args.face.into())?;
    let made = extract_all(&extractor, &paths, &args.how, output)?;
    let capture = |(person, path): (&String, &PathBuf)| {
        let labels = groups.as_ref().map(|groups| label(groups, person)).transpose()?.into_iter().collect();
        Ok(Capture { picture: shown(path).to_string(), subject: Some(person.clone()), labels })
    };
    let columns: Vec<&str> = args.group_by.as_deref().into_iter().collect();
    let all = people.iter().zip(&paths).map(capture).collect::<Result<Vec<_>>>()?;
    let all = Captures { columns: columns.iter().map(|&column| column.to_owned()).collect(), captures: all };
    let (captures, templates) = acquired(&all, &made.templates);
    let pairs = compare(&captures, &templates, &columns)?;
    let sample = pairs.sample();
    if sample.subjects() < 2 {
        let message = format!(
            "{} captures of {} people with a face: nothing to measure false match rates on",
            sample.captures(),
            sample.subjects()
        );
        return Err(
            Failure::new(Exit::Input, message).with_help("expected folders SUBJECT/IMAGE: two subjects or more")
        );
    }
    let within: Vec<_> = (0..sample.groups().len() as u16).map(|group| pairs.between([(group, group)])).collect();
    let group = |(within, names): (_, &Vec<String>)| {
        let name = names.join(", ");
        // A group that is passed over might be the worst.
        let alone = |error: ScoreError| match name.as_str() {
            "" => error.into(),
            name => Failure::new(Exit::Input, format!("the group `{name}`: {error}")),
        };
        Ok((name.clone(), Calibrator::by_subject(within).map_err(alone)?))
    };
    let groups = within.iter().zip(sample.groups()).map(group).collect::<Result<Vec<Group<'_>>>>()?;
    let fitted = fit(&groups, &args.targets.rates())?;
    let comparisons: u64 = within.iter().map(|within| within.counts().1).sum();
    let (used, subjects) = (sample.captures(), sample.subjects());
    let counts = format!("{comparisons} non-mated comparisons of {used} captures of {subjects} people");
    let models = args.models.available()?;
    let written = args.write.write(&fitted, Some(models.get(extractor.embedder().name())?.0), &counts)?;
    let value = json!({
        "models": made, "captures": used, "subjects": subjects, "non_mated": comparisons,
        "population": args.write.population, "thresholds": fitted, "written": written,
    });
    output.result(&value, || made.text() + &format!("\n{counts}\n\n") + &text(&fitted))?;
    Ok(Exit::Yes)
}

/// Which label each subject has.
fn labels(file: &Path, name: &str) -> Result<HashMap<String, String>> {
    let rows = Rows::open(file)?;
    let (subject, label) = (column(file, &rows.columns, "subject")?, column(file, &rows.columns, name)?);
    let mut labels = HashMap::new();
    rows.each(|line, row| match labels.insert(row[subject].clone(), row[label].clone()) {
        Some(other) if other != row[label] => {
            Err(format!("line {line}: `{}` is `{other}` on an earlier line", row[subject]))
        }
        _ => Ok(()),
    })?;
    Ok(labels)
}

/// The label of a subject.
fn label(labels: &HashMap<String, String>, person: &str) -> Result<String> {
    labels.get(person).filter(|label| !label.is_empty()).cloned().ok_or_else(|| {
        let message = format!("`{}` has no label", shown(person));
        Failure::new(Exit::Input, message).with_help("every subject needs a line in --labels")
    })
}
