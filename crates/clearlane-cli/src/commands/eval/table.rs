//! `clearlane eval table`: your own captures with labels, from a CSV file.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use clap::Args;
use clearlane_embed::Template;
use clearlane_eval::protocol::{Role, Table};
use clearlane_eval::{MatedSearch, Sample, Searches, report};
use rayon::prelude::*;
use serde_json::json;

use super::RunArgs;
use super::quality::QualityArgs;
use super::report::finish;
use super::templates::{Extracted, extract_all};
use super::worst::Worst;
use super::{all_pairs, lfw_identification};
use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, shown};
use crate::{pictures, text};

/// Your own captures from a CSV file: all against all, or enrolments and probes (1:N)
///
/// The columns are picture (a path, relative to FILE's folder), subject, and, if wanted, role and any labels. Where rows have the
/// role `enrol` or `probe`, those are enrolled and searched with: a subject's score is that of its best reference, and probes of
/// subjects who are not enrolled are the non-mated searches. Where all are, each is searched once more without its mate. Without roles,
/// all captures are compared with all.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TableArgs {
    /// The table
    file: PathBuf,
    /// Write the detection error trade-off as CSV: threshold, FMR, FNMR; where captures have no roles
    #[arg(long, value_parser = crate::output::to_be_made(), value_name = "FILE.csv")]
    det: Option<PathBuf>,
    /// Which face to take where a picture has several
    #[arg(long, value_enum, default_value = "largest")]
    face: pictures::Face,
    /// Report by group too: columns of labels; where captures have no roles
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    group_by: Vec<String>,
    #[command(flatten)]
    pairs: all_pairs::AllPairsArgs,
    #[command(flatten)]
    quality: QualityArgs,
    #[command(flatten)]
    run: RunArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane eval table captures.csv                       all captures against all
  clearlane eval table captures.csv --group-by sex,age    and by group
  clearlane eval table lanes.csv --keep kept/ --json      1:N, where captures have roles";

pub(super) fn run(args: &TableArgs, output: &Output) -> Result<Exit> {
    let table = Table::parse(&text::read(&args.file)?);
    let table = table.map_err(|error| Failure::at(Exit::Input, &args.file, &error))?;
    args.quality.check(&args.run.how)?;
    let with_roles = table.roles.iter().any(Option::is_some);
    if let Some(option) = args.without_roles().filter(|_| with_roles) {
        let message = format!("{}: {option} is for captures that have no roles", shown(&args.file));
        return Err(Failure::new(Exit::Usage, message).with_help("take the column `role` out, or the option"));
    }
    let subjects = subjects(&table, &args.file)?;
    // Not after minutes of templates: a column that is not there.
    Sample::new(&table.captures, &args.group_by.iter().map(String::as_str).collect::<Vec<_>>())?;
    let folder = args.file.parent().unwrap_or(Path::new(""));
    let pictures: Vec<PathBuf> = table.captures.captures.iter().map(|capture| folder.join(&capture.picture)).collect();
    let extractor = args.run.models.load_extractor(args.face.into())?;
    let made = extract_all(&extractor, &pictures, &args.run.how, output)?;
    if with_roles {
        return identification(args, &table, &subjects, &made, output);
    }
    let distinct = subjects.iter().collect::<HashSet<_>>().len();
    let protocol = format!("all pairs of {} captures of {distinct} people", subjects.len());
    let test = all_pairs::Test {
        protocol,
        captures: &table.captures,
        made: &made,
        group_by: &args.group_by,
        det: args.det.as_deref(),
        args: &args.pairs,
        quality: &args.quality,
        report: &args.run.report,
    };
    all_pairs::run(&test, output)
}

impl TableArgs {
    /// An option that was given and means something only where all captures are compared.
    fn without_roles(&self) -> Option<&'static str> {
        let quality = self.quality.is_asked().then_some("--quality");
        let groups = (!self.group_by.is_empty()).then_some("--group-by");
        quality.or(groups).or_else(|| self.pairs.is_asked())
    }
}

/// Whom each capture shows.
fn subjects<'t>(table: &'t Table, file: &Path) -> Result<Vec<&'t str>> {
    let subject = |capture: &'t clearlane_eval::Capture| {
        capture.subject.as_deref().ok_or_else(|| {
            let message = format!("{}: `{}` has no subject", shown(file), capture.picture);
            Failure::new(Exit::Input, message).with_help("error rates need to know which captures show one person")
        })
    };
    table.captures.captures.iter().map(subject).collect()
}

fn identification(
    args: &TableArgs,
    table: &Table,
    subjects: &[&str],
    made: &Extracted,
    output: &Output,
) -> Result<Exit> {
    let of = |role: Role| {
        let rows = table.roles.iter().zip(subjects).zip(&made.templates);
        rows.filter(move |((is, _), _)| **is == Some(role))
            .map(|((_, subject), template)| (*subject, template.as_ref()))
    };
    let mut gallery: BTreeMap<&str, Vec<&Template>> = BTreeMap::new();
    for (subject, template) in of(Role::Enrol) {
        gallery.entry(subject).or_default().extend(template);
    }
    let probes: Vec<_> = of(Role::Probe).collect();
    if gallery.is_empty() || probes.is_empty() {
        let message = format!("{}: {} enrolled, {} probes", shown(&args.file), gallery.len(), probes.len());
        return Err(
            Failure::new(Exit::Input, message).with_help("expected rows with the role `enrol` and rows with `probe`")
        );
    }
    let all_enrolled = probes.iter().all(|(subject, _)| gallery.contains_key(subject));
    let searched: Vec<_> = probes.par_iter().map(|(subject, probe)| search(*probe, subject, &gallery)).collect();
    let mated = searched.iter().filter_map(|(mated, _)| *mated).collect();
    let is_non_mated = |mated: &Option<MatedSearch>| all_enrolled || mated.is_none();
    let non_mated = searched.iter().filter(|(mated, _)| is_non_mated(mated)).map(|(_, best)| *best).collect();
    let enrolled = gallery.values().filter(|references| !references.is_empty()).count();
    let how = if all_enrolled { "the mate taken out" } else { "subjects who are not enrolled" };
    let (ranks, targets) = (&lfw_identification::RANKS, &lfw_identification::TARGET_FPIRS);
    let figures = report::Identification::new(enrolled, &Searches::new(mated, non_mated)?, ranks, targets)?;
    let value = json!({
        "protocol": "table, 1:N", "list": shown(&args.file), "non_mated": how, "models": made, "figures": figures,
    });
    finish(value, &Worst::default(), &args.run.report, output, || {
        made.text() + &lfw_identification::described("1:N", how, &figures)
    })
}

/// The mate's place among the enrolled, where the subject is one of them, and the best score of any other.
pub(super) fn search<S: Ord>(
    probe: Option<&Template>,
    subject: &S,
    gallery: &BTreeMap<S, Vec<&Template>>,
) -> (Option<MatedSearch>, Option<f32>) {
    let is_enrolled = gallery.contains_key(subject);
    let Some(probe) = probe else {
        return (is_enrolled.then_some(MatedSearch { rank: None, score: -1.0 }), None);
    };
    // All templates are of one embedder, so that every comparison succeeds.
    let best = |references: &Vec<&Template>| {
        references.iter().filter_map(|reference| probe.score(reference).ok()).max_by(f32::total_cmp)
    };
    let others: Vec<f32> =
        gallery.iter().filter(|(other, _)| *other != subject).filter_map(|(_, references)| best(references)).collect();
    let best_other = others.iter().copied().max_by(f32::total_cmp);
    let mated = gallery.get(subject).map(|references| match best(references) {
        Some(score) => MatedSearch { rank: Some(1 + others.iter().filter(|other| **other > score).count()), score },
        None => MatedSearch { rank: None, score: -1.0 },
    });
    (mated, best_other)
}
