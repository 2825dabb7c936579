//! `clearlane eval templates`: IJB-B and IJB-C, where a template is made of several pictures.

use std::path::PathBuf;

use clap::Args;
use clearlane_embed::Template;
use clearlane_eval::Scores;
use clearlane_eval::protocol::{MediaTemplate, TemplateList};
use rayon::prelude::*;
use serde_json::json;

use super::RunArgs;
use super::lfw_view2::write_det;
use super::report::finish;
use super::templates::{Extracted, extract_all};
use super::verification::{described_curve, points, score};
use super::worst::Worst;
use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, shown};
use crate::{pictures, text};

/// Templates of several pictures, as in IJB-B and IJB-C: 1:1
///
/// A template is the mean of the means of its media, normalised. A picture without a face takes no part in it; a template without
/// any counts against the models: its comparisons have the lowest score, -1.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct IjbArgs {
    /// The list of pictures: `PICTURE TEMPLATE MEDIUM` a line
    list: PathBuf,
    /// The list of pairs: `TEMPLATE TEMPLATE LABEL` a line
    pairs: PathBuf,
    /// The folder of the pictures
    dir: PathBuf,
    /// Write the detection error trade-off as CSV: threshold, FMR, FNMR
    #[arg(long, value_parser = crate::output::to_be_made(), value_name = "FILE.csv")]
    det: Option<PathBuf>,
    /// Which face to take where a picture has several
    #[arg(long, value_enum, default_value = "central")]
    face: pictures::Face,
    #[command(flatten)]
    run: RunArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane eval templates meta/ijbc_face_tid_mid.txt meta/ijbc_template_pair_label.txt loose_crop/ --keep kept/";

pub(super) fn run(args: &IjbArgs, output: &Output) -> Result<Exit> {
    let media = MediaArgs { list: args.list.clone(), pictures: args.dir.clone(), face: args.face };
    let list = media.list()?;
    let pairs = list.pairs(&text::read(&args.pairs)?);
    let pairs = pairs.map_err(|error| Failure::at(Exit::Input, &args.pairs, &error))?;
    let (made, templates) = media.templates(&list, &args.run, output)?;
    let without = templates.iter().filter(|template| template.is_none()).count();

    let scored = pairs.par_iter().map(|pair| {
        let template = |at: u32| templates[at as usize].as_ref();
        score(template(pair.left), template(pair.right)).map(|score| (pair.mated, score))
    });
    let scored = scored.collect::<Result<Vec<_>>>()?;
    let of = |mated: bool| scored.iter().filter(|(kind, _)| *kind == mated).map(|(_, score)| *score).collect();
    let scores = Scores::new(of(true), of(false))?;
    if let Some(path) = &args.det {
        write_det(&scores, path)?;
    }
    let (mated, non_mated) = scores.counts();
    let (auc, eer, points) = (scores.auc(), scores.eer(), points(&scores)?);
    let value = json!({
        "protocol": "templates", "list": shown(&args.list), "models": made,
        "figures": {
            "templates": templates.len(), "without": without, "mated": mated, "non_mated": non_mated, "auc": auc, "eer": eer,
            "operating_points": points,
        },
    });
    finish(value, &Worst::default(), &args.run.report, output, || {
        let count = templates.len();
        let title =
            format!("\n{count} templates, {without} without a face: {mated} mated and {non_mated} non-mated pairs\n");
        made.text() + &title + &described_curve(auc, eer, &points)
    })
}

/// What templates are made of.
#[derive(Clone, Debug, Args)]
pub(super) struct MediaArgs {
    /// The list of pictures: `PICTURE TEMPLATE MEDIUM` a line
    #[arg(long, value_name = "FILE")]
    list: PathBuf,
    /// The folder of the pictures
    #[arg(long, value_name = "DIR")]
    pictures: PathBuf,
    /// Which face to take where a picture has several
    #[arg(long, value_enum, default_value = "central")]
    face: pictures::Face,
}

impl MediaArgs {
    pub(super) fn list(&self) -> Result<TemplateList> {
        let list = TemplateList::parse(&text::read(&self.list)?);
        list.map_err(|error| Failure::at(Exit::Input, &self.list, &error))
    }

    /// What was made of the pictures, and each template of the list; `None` where none of its pictures has a face.
    pub(super) fn templates(
        &self,
        list: &TemplateList,
        run: &RunArgs,
        output: &Output,
    ) -> Result<(Extracted, Vec<Option<Template>>)> {
        let captures = list.captures.captures.iter();
        let pictures: Vec<PathBuf> = captures.map(|capture| self.pictures.join(&capture.picture)).collect();
        let extractor = run.models.load_extractor(self.face.into())?;
        let made = extract_all(&extractor, &pictures, &run.how, output)?;
        let templates = list.templates.iter().map(|media| mean(media, &made.templates)).collect();
        Ok((made, templates))
    }
}

/// The template of a template's pictures; `None` where none of them gave one.
fn mean(template: &MediaTemplate, made: &[Option<Template>]) -> Option<Template> {
    let media: Vec<Vec<&Template>> = template
        .media
        .iter()
        .map(|pictures| pictures.iter().filter_map(|&picture| made[picture].as_ref()).collect::<Vec<_>>())
        .filter(|pictures| !pictures.is_empty())
        .collect();
    let first = *media.first()?.first()?;
    let mut sum = vec![0.0_f64; first.dimension()];
    for pictures in &media {
        for picture in pictures {
            for (sum, value) in sum.iter_mut().zip(picture.as_slice()) {
                *sum += f64::from(*value) / pictures.len() as f64;
            }
        }
    }
    let sum = sum.into_iter().map(|value| value as f32).collect();
    // Pictures of opposite directions leave none.
    Template::normalised(first.model(), sum).ok()
}
