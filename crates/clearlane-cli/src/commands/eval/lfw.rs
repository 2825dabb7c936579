//! `clearlane eval lfw`: the data set's files, and which protocol to run on them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::Args;
use clearlane_embed::{Selection, Template};
use clearlane_eval::lfw::{Errata, ImageName, Pairs};

use super::RunArgs;
use super::quality::QualityArgs;
use super::templates::{Extracted, extract_all};
use super::{lfw_all_pairs, lfw_identification, lfw_view2, verification};
use crate::failure::{Exit, Failure, Result};
use crate::models::ModelArgs;
use crate::output::{Output, shown};
use crate::pictures;
use crate::text;

/// Labeled Faces in the Wild: View 2, a 1:N test, or all pairs
///
/// DIR holds the images as `PERSON/PERSON_0001.jpg`. View 2 (the default) compares the pairs of DIR/pairs.txt and gives the
/// accuracy over its folds, each judged by the threshold that is best on the others, with its standard error; AUC, EER,
/// and TAR at FAR. Where DIR/errata.txt is, figures are given with and without the data set's known labelling errors.
///
/// Of several faces the one nearest to the centre is taken, as LFW is made. An image without a face counts against the
/// models: its comparisons have the lowest score, -1.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LfwArgs {
    /// The folder of the data set
    dir: PathBuf,
    /// Enrol everybody's first image and search with the second ones (1:N)
    #[arg(long, conflicts_with_all = ["all_pairs", "det", "quality"])]
    identification: bool,
    /// Compare all images with all, for low false match rates, and calibrate thresholds
    #[arg(long)]
    all_pairs: bool,
    /// Write the detection error trade-off as CSV: threshold, FMR, FNMR; of the first embedder, where there are two
    #[arg(long, value_parser = crate::output::to_be_made(), value_name = "FILE.csv")]
    det: Option<PathBuf>,
    /// Write every comparison's score as CSV, for `eval compare`; of View 2 as published: left, right, fold, mated, score
    #[arg(long, value_parser = crate::output::to_be_made(), value_name = "FILE.csv", conflicts_with_all = ["identification", "all_pairs"])]
    pub(super) scores: Option<PathBuf>,
    /// Run View 2 with this embedder too, and say how much it differs
    #[arg(long, value_name = "NAME", conflicts_with_all = ["identification", "all_pairs"])]
    beside: Option<String>,
    #[command(flatten)]
    pairs: super::all_pairs::AllPairsArgs,
    #[command(flatten)]
    pub(super) quality: QualityArgs,
    #[command(flatten)]
    pub(super) run: RunArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane eval lfw lfw/                          View 2, built-in models
  clearlane eval lfw lfw/ --models DIR --detector scrfd-500m-320 --embedder mobilefacenet
  clearlane eval lfw lfw/ --models DIR --models int8/ --embedder mobilefacenet --beside mobilefacenet-int8
  clearlane eval lfw lfw/ --identification         rank-k, FNIR at FPIR
  clearlane eval lfw lfw/ --all-pairs --json       FNMR at low FMR, thresholds to calibrate with";

/// Templates by the names of their images, and how they were made.
pub(super) type Made<'i> = (HashMap<&'i ImageName, Template>, Extracted);

/// What every protocol gets: the data set, the models, and the templates of its images.
pub(super) struct Lfw<'a> {
    pub(super) args: &'a LfwArgs,
    output: &'a Output,
    pub(super) errata: Errata,
}

pub(super) fn run(args: &LfwArgs, output: &Output) -> Result<Exit> {
    args.quality.check(&args.run.how)?;
    if let Some(option) = args.pairs.is_asked().filter(|_| !args.all_pairs) {
        return Err(
            Failure::new(Exit::Usage, format!("{option} is for all pairs")).with_help("give --all-pairs as well")
        );
    }
    if let Some(beside) = &args.beside {
        // Not after minutes with the first: an embedder that is not there.
        args.run.models.available()?.embedder(beside)?;
    }
    let path = args.dir.join("errata.txt");
    let errata = if path.exists() {
        Errata::parse(&text::read(&path)?).map_err(|error| Failure::at(Exit::Input, &path, &error))?
    } else {
        Errata::default()
    };
    let lfw = Lfw { args, output, errata };
    if args.identification {
        lfw_identification::run(&lfw, output)
    } else if args.all_pairs {
        lfw_all_pairs::run(&lfw, args.det.as_deref(), &args.pairs, output)
    } else {
        lfw_view2::run(&lfw, args.det.as_deref(), args.beside.as_deref(), output)
    }
}

impl Lfw<'_> {
    pub(super) fn pairs(&self) -> Result<Pairs> {
        let path = self.args.dir.join("pairs.txt");
        Pairs::parse(&text::read(&path)?).map_err(|error| Failure::at(Exit::Input, &path, &error))
    }

    /// Every image in the folder.
    pub(super) fn images(&self) -> Result<Vec<ImageName>> {
        let mut images = Vec::new();
        for folder in pictures::entries(&self.args.dir)?.into_iter().filter(|path| path.is_dir()) {
            for file in pictures::in_folder(&folder)? {
                let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
                images.push(ImageName::from_stem(stem).map_err(|error| Failure::at(Exit::Input, &file, &error))?);
            }
        }
        if images.is_empty() {
            return Err(Failure::new(Exit::Input, format!("{}: no image PERSON/PERSON_0001.jpg", shown(self.path()))));
        }
        Ok(images)
    }

    pub(super) fn path(&self) -> &Path {
        &self.args.dir
    }

    /// The templates of `images`, by name, and how they were made.
    pub(super) fn templates<'i>(&self, images: &[&'i ImageName]) -> Result<Made<'i>> {
        self.templates_by(&self.args.run.models, images)
    }

    /// The same by another embedder.
    pub(super) fn templates_beside<'i>(&self, embedder: &str, images: &[&'i ImageName]) -> Result<Made<'i>> {
        let models = ModelArgs { embedder: Some(embedder.to_owned()), ..self.args.run.models.clone() };
        self.templates_by(&models, images)
    }

    fn templates_by<'i>(&self, models: &ModelArgs, images: &[&'i ImageName]) -> Result<Made<'i>> {
        let extractor = models.load_extractor(Selection::Central)?;
        let paths: Vec<PathBuf> = images.iter().map(|image| self.args.dir.join(image.path())).collect();
        let mut made = extract_all(&extractor, &paths, &self.args.run.how, self.output)?;
        let templates = std::mem::take(&mut made.templates);
        let named = images.iter().zip(templates).filter_map(|(&image, template)| Some((image, template?))).collect();
        Ok((named, made))
    }
}

/// The score of two images; the lowest where one gave no template.
pub(super) fn score(templates: &HashMap<&ImageName, Template>, a: &ImageName, b: &ImageName) -> Result<f32> {
    verification::score(templates.get(a), templates.get(b))
}
