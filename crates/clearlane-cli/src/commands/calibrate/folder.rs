//! `clearlane calibrate folder`: captures, all against all.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use clap::Args;
use clearlane_embed::Template;
use rayon::prelude::*;
use serde_json::json;

use super::fit::{NonMated, fit, text};
use super::scores::{Rows, column};
use super::{TargetArgs, WriteArgs};
use crate::commands::eval::templates::extract_all;
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
    let made = extract_all(&extractor, &paths, output)?;
    let shown: Vec<_> = people
        .iter()
        .zip(&made.templates)
        .filter_map(|(person, template)| Some((person.as_str(), template.as_ref()?)))
        .collect();
    let by_group = grouped(&shown, groups.as_ref())?;
    let subjects = by_group.values().flatten().map(|(person, _)| *person).collect::<std::collections::BTreeSet<_>>();
    let (subjects, used) = (subjects.len(), by_group.values().map(Vec::len).sum::<usize>());
    let non_mated: NonMated = by_group.iter().map(|(group, shown)| ((*group).to_owned(), compare(shown))).collect();
    let comparisons: usize = non_mated.values().map(Vec::len).sum();
    let fitted = fit(non_mated.into_iter().filter(|(_, scores)| !scores.is_empty()).collect(), &args.targets.rates())?;
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
fn labels(file: &std::path::Path, name: &str) -> Result<HashMap<String, String>> {
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

type Shown<'a> = (&'a str, &'a Template);

/// The captures by the group of whom they show; under one empty name where there are no groups.
fn grouped<'a>(
    shown: &[Shown<'a>],
    groups: Option<&'a HashMap<String, String>>,
) -> Result<BTreeMap<&'a str, Vec<Shown<'a>>>> {
    let mut grouped: BTreeMap<&str, Vec<Shown<'_>>> = BTreeMap::new();
    for &(person, template) in shown {
        let group = match groups {
            None => "",
            Some(groups) => match groups.get(person).map(String::as_str) {
                Some(group) if !group.is_empty() => group,
                _ => {
                    let message = format!("`{}` has no label", self::shown(person));
                    return Err(Failure::new(Exit::Input, message).with_help("every subject needs a line in --labels"));
                }
            },
        };
        grouped.entry(group).or_default().push((person, template));
    }
    Ok(grouped)
}

/// The scores of all pairs of captures that show two people.
fn compare(shown: &[Shown<'_>]) -> Vec<f32> {
    let row = |index: usize| {
        let (person, template) = shown[index];
        let others = shown[index + 1..].iter().filter(|(other, _)| *other != person);
        // All templates are of one embedder, so that every comparison succeeds.
        others.filter_map(|(_, reference)| template.score(reference).ok()).collect::<Vec<_>>()
    };
    (0..shown.len()).into_par_iter().map(row).collect::<Vec<_>>().concat()
}
