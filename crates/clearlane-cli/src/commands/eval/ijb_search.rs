//! `clearlane eval search`: the 1:N protocols of IJB-B and IJB-C.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use clearlane_embed::Template;
use clearlane_eval::protocol::{TemplateList, TemplateSubject};
use clearlane_eval::{MatedSearch, Searches, report};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;

use super::RunArgs;
use super::ijb::MediaArgs;
use super::lfw_identification::{RANKS, TARGET_FPIRS, described};
use super::report::finish;
use super::table::search;
use super::worst::Worst;
use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, shown};
use crate::text;

/// Templates of several pictures, as in IJB-B and IJB-C: 1:N
///
/// Each gallery is searched with all probes. A probe whose subject is in it is a mated search, any other a non-mated one: FNIR at
/// FPIR, and rank-k, for each gallery, and of the searches of all of them together. Galleries and probes are CSV files with the
/// columns `TEMPLATE_ID` and `SUBJECT_ID`. A template without a face is never found, and finds nobody.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SearchArgs {
    /// The templates to search with
    probes: PathBuf,
    /// The templates of a gallery; may be given several times
    #[arg(long, value_name = "FILE.csv", required = true)]
    gallery: Vec<PathBuf>,
    #[command(flatten)]
    media: MediaArgs,
    #[command(flatten)]
    run: RunArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane eval search meta/ijbc_1N_probe_mixed.csv --gallery meta/ijbc_1N_gallery_G1.csv --gallery meta/ijbc_1N_gallery_G2.csv \\
      --list meta/ijbc_face_tid_mid.txt --pictures loose_crop/ --keep kept/";

/// The figures of a gallery.
#[derive(Debug, Serialize)]
struct OfGallery {
    name: String,
    #[serde(flatten)]
    figures: report::Identification,
}

/// What one search came to: its mate's place, and the best score of anybody else.
type Searched = (Option<MatedSearch>, Option<f32>);

pub(super) fn run(args: &SearchArgs, output: &Output) -> Result<Exit> {
    let list = args.media.list()?;
    let probes = subjects(&list, &args.probes)?;
    let galleries = args.gallery.iter().map(|path| subjects(&list, path)).collect::<Result<Vec<_>>>()?;
    let (made, templates) = args.media.templates(&list, &args.run, output)?;
    let mut all: Vec<Searched> = Vec::new();
    let mut enrolled = 0;
    let mut figures = Vec::new();
    for (path, entries) in args.gallery.iter().zip(&galleries) {
        let mut gallery: BTreeMap<u64, Vec<&Template>> = BTreeMap::new();
        for entry in entries {
            gallery.entry(entry.subject).or_default().extend(&templates[entry.template as usize]);
        }
        let one =
            |probe: &TemplateSubject| search(templates[probe.template as usize].as_ref(), &probe.subject, &gallery);
        let searched: Vec<Searched> = probes.par_iter().map(one).collect();
        let found = gallery.values().filter(|references| !references.is_empty()).count();
        enrolled += found;
        let name = shown(path.file_name().unwrap_or(path.as_os_str())).to_string();
        figures.push(OfGallery { name, figures: identification(found, &searched)? });
        all.extend(searched);
    }
    if figures.len() > 1 {
        figures.push(OfGallery { name: "all galleries".to_owned(), figures: identification(enrolled, &all)? });
    }
    let value =
        json!({ "protocol": "templates, 1:N", "probes": shown(&args.probes), "models": made, "figures": figures });
    finish(value, &Worst::default(), &args.run.report, output, || {
        let text = |of: &OfGallery| described(&of.name, "subjects who are not in it", &of.figures);
        made.text() + &figures.iter().map(text).collect::<String>()
    })
}

fn subjects(list: &TemplateList, path: &Path) -> Result<Vec<TemplateSubject>> {
    list.subjects(&text::read(path)?).map_err(|error| Failure::at(Exit::Input, path, &error))
}

fn identification(enrolled: usize, searched: &[Searched]) -> Result<report::Identification> {
    let mated = searched.iter().filter_map(|(mated, _)| *mated).collect();
    let non_mated: Vec<_> = searched.iter().filter(|(mated, _)| mated.is_none()).map(|(_, best)| *best).collect();
    // Of no non-mated search there is no FPIR.
    let targets = if non_mated.is_empty() { &[][..] } else { &TARGET_FPIRS[..] };
    Ok(report::Identification::new(enrolled, &Searches::new(mated, non_mated)?, &RANKS, targets)?)
}
