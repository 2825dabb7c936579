//! `clearlane eval pairs`: 1:1 tests as public data sets state them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use clearlane_eval::protocol::{CfpSplit, ListFormat, Packed, PairList, PairTest, cfp_pairs, rfw_pairs};
use clearlane_eval::report;
use serde_json::json;

use super::RunArgs;
use super::compare::write_scores;
use super::lfw_view2::write_det;
use super::quality::{self, QualityArgs};
use super::report::finish;
use super::templates::{Extracted, TemplateArgs, extract_all};
use super::verification::{comparisons, described};
use super::worst::{Scored, Worst};
use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, shown};
use crate::{pictures, text};

/// The largest packed set that is read.
const MAX_PACKED_BYTES: u64 = 4 << 30;

/// Pairs of pictures as public data sets list them: AgeDB-30, CALFW, CPLFW, CFP, RFW, packed sets
///
/// LIST is a list of pairs, a packed set (`lfw.bin`, `cfp_fp.bin`, `agedb_30.bin`), or the folder of CFP (with `Protocol`) or of RFW
/// (with `txts`). Gives the accuracy over the folds, each judged by the threshold that is best on the others, with its standard
/// error; AUC, EER, and TAR at those FARs that the pairs can show. RFW's groups each get their own.
///
/// A picture without a face counts against the models: its comparisons have the lowest score, -1.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PairsArgs {
    /// A list of pairs, a packed set, or a data set's folder
    list: PathBuf,
    /// The folder that pictures are relative to [default: that of LIST]
    dir: Option<PathBuf>,
    /// How LIST is written [default: as it looks]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write the detection error trade-off as CSV: threshold, FMR, FNMR; of all pairs
    #[arg(long, value_parser = crate::output::to_be_made(), value_name = "FILE.csv")]
    det: Option<PathBuf>,
    /// Write every comparison's score as CSV, for `eval compare`: left, right, fold, mated, score
    #[arg(long, value_parser = crate::output::to_be_made(), value_name = "FILE.csv")]
    scores: Option<PathBuf>,
    /// Which face to take where a picture has several
    #[arg(long, value_enum, default_value = "central")]
    face: pictures::Face,
    #[command(flatten)]
    quality: QualityArgs,
    #[command(flatten)]
    run: RunArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane eval pairs agedb_30.bin                                    a packed set
  clearlane eval pairs val/calfw_ann.txt val/calfw_112x112 --aligned   aligned pictures
  clearlane eval pairs calfw/pairs_CALFW.txt calfw/images              pictures as published
  clearlane eval pairs cfp-dataset/ --format cfp-ff                    frontal against frontal; without, against profile
  clearlane eval pairs rfw/test/ --keep kept/ --json                   four groups";

/// How pairs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// `PERSON N N` and `PERSON N PERSON N`, as in LFW
    Lfw,
    /// `LABEL LEFT RIGHT`
    LabelFirst,
    /// `LEFT RIGHT LABEL`
    LabelLast,
    /// `PICTURE LABEL`, two lines a pair, as in CALFW and CPLFW
    TwoLines,
    /// A packed set of insightface's
    Packed,
    /// CFP's folder, frontal against profile
    CfpFp,
    /// CFP's folder, frontal against frontal
    CfpFf,
    /// RFW's folder
    Rfw,
}

pub(super) fn run(args: &PairsArgs, output: &Output) -> Result<Exit> {
    let format = args.format.map_or_else(|| recognised(&args.list), Ok)?;
    if format == Format::Packed {
        let bytes = packed_bytes(&args.list)?;
        let packed = Packed::parse(&bytes).map_err(|error| Failure::at(Exit::Input, &args.list, &error))?;
        let how = TemplateArgs { aligned: true, ..args.run.how.clone() };
        args.quality.check(&how)?;
        let pictures: Vec<_> = packed.pictures().iter().copied().enumerate().collect();
        let extractor = args.run.models.load_extractor(args.face.into())?;
        let made = extract_all(&extractor, &pictures, &how, output)?;
        return reported(args, &[(name(&args.list), packed.test())], &[], &made, output);
    }
    args.quality.check(&args.run.how)?;
    let tests = match format {
        Format::CfpFp => vec![("CFP-FP".to_owned(), cfp(&args.list, "FP", "P")?)],
        Format::CfpFf => vec![("CFP-FF".to_owned(), cfp(&args.list, "FF", "F")?)],
        Format::Rfw => rfw(&args.list)?,
        _ => vec![(name(&args.list), list(&args.list, format)?)],
    };
    let is_folder = args.list.is_dir();
    let beside = || if is_folder { args.list.as_path() } else { args.list.parent().unwrap_or(Path::new("")) };
    let dir = args.dir.as_deref().unwrap_or_else(beside);
    let captures = tests.iter().flat_map(|(_, test)| &test.captures.captures);
    let pictures: Vec<PathBuf> = captures.map(|capture| dir.join(&capture.picture)).collect();
    let extractor = args.run.models.load_extractor(args.face.into())?;
    let made = extract_all(&extractor, &pictures, &args.run.how, output)?;
    reported(args, &tests, &pictures, &made, output)
}

/// Compares the pairs of tests whose captures stand one after the other in what was made, and among the paths where they have
/// any, and reports.
fn reported(
    args: &PairsArgs,
    tests: &[(String, PairTest)],
    paths: &[PathBuf],
    made: &Extracted,
    output: &Output,
) -> Result<Exit> {
    let mut first = 0;
    let (mut figures, mut all, mut scored, mut mated) = (BTreeMap::new(), Vec::new(), Vec::new(), Vec::new());
    for (name, test) in tests {
        let captures = &test.captures.captures;
        let compared = comparisons(test, &made.templates[first..first + captures.len()])?;
        let path = |at: usize| paths.get(first + at).cloned().unwrap_or_default();
        scored.extend(test.pairs.iter().zip(&compared).map(|(pair, comparison)| {
            let [left, right] = [pair.left, pair.right].map(|at| captures[at].picture.clone());
            let paths = [path(pair.left), path(pair.right)];
            (*comparison, Scored { left, right, score: comparison.score, paths })
        }));
        let quality = |at: usize| made.qualities[first + at];
        let with_quality = test.pairs.iter().zip(&compared).filter(|(pair, _)| pair.mated);
        mated
            .extend(with_quality.map(|(pair, comparison)| (comparison.score, quality(pair.left), quality(pair.right))));
        first += captures.len();
        figures.insert(name, super::verification::report(&compared)?);
        all.extend(compared);
    }
    if let Some(path) = &args.det {
        write_det(&report::scores(&all)?, path)?;
    }
    if let Some(path) = &args.scores {
        write_scores(scored.iter().map(|(comparison, scored)| scored.line(comparison)), path)?;
    }
    let scored = scored.into_iter().map(|(comparison, scored)| (comparison.mated, scored));
    let quality = args.quality.figures(|| Ok(report::scores(&all)?), mated)?;
    let value = json!({
        "protocol": "pairs", "list": shown(&args.list), "models": made, "figures": figures, "quality": quality,
    });
    finish(value, &Worst::of(scored), &args.run.report, output, || {
        let mut text = made.text();
        for (name, report) in &figures {
            text.push_str(&described(name, report));
        }
        text + &quality::described(quality.as_ref())
    })
}

fn name(list: &Path) -> String {
    shown(list.file_name().unwrap_or(list.as_os_str())).to_string()
}

/// How LIST looks.
fn recognised(list: &Path) -> Result<Format> {
    let unknown = |problem: &str| {
        Failure::new(Exit::Input, format!("{}: {problem}", shown(list)))
            .with_help("expected a list of pairs, a packed set, or the folder of CFP or RFW; --format says which")
    };
    if list.is_dir() {
        return match (list.join("Protocol").is_dir(), list.join("txts").is_dir()) {
            (true, _) => Ok(Format::CfpFp),
            (_, true) => Ok(Format::Rfw),
            _ => Err(unknown("a folder with neither `Protocol` nor `txts`")),
        };
    }
    if is_packed(list)? {
        return Ok(Format::Packed);
    }
    Ok(match ListFormat::recognise(&text::read(list)?) {
        Some(ListFormat::Numbered) => Format::Lfw,
        Some(ListFormat::LabelFirst) => Format::LabelFirst,
        Some(ListFormat::LabelLast) => Format::LabelLast,
        Some(ListFormat::TwoLines) => Format::TwoLines,
        _ => return Err(unknown("its first line is no line of a list of pairs")),
    })
}

fn list(path: &Path, format: Format) -> Result<PairTest> {
    let format = match format {
        Format::Lfw => ListFormat::Numbered,
        Format::LabelFirst => ListFormat::LabelFirst,
        Format::LabelLast => ListFormat::LabelLast,
        _ => ListFormat::TwoLines,
    };
    let list = PairList::parse(&text::read(path)?, Some(format));
    list.map(|list| list.test).map_err(|error| Failure::at(Exit::Input, path, &error))
}

/// The pairs of CFP, of its folds by name; `right` is the list of the right pictures.
fn cfp(folder: &Path, pairs: &str, right: &str) -> Result<PairTest> {
    let protocol = folder.join("Protocol");
    let pictures = |list: &str| text::read(&protocol.join(format!("Pair_list_{list}.txt")));
    let (left, right) = (pictures("F")?, pictures(right)?);
    let mut texts = Vec::new();
    for fold in pictures::entries(&protocol.join("Split").join(pairs))?.into_iter().filter(|path| path.is_dir()) {
        texts.push((
            format!("{pairs}/{}", name(&fold)),
            text::read(&fold.join("same.txt"))?,
            text::read(&fold.join("diff.txt"))?,
        ));
    }
    let splits: Vec<_> = texts.iter().map(|(name, same, diff)| CfpSplit { name, same, diff }).collect();
    cfp_pairs(&left, &right, &splits).map_err(|error| Failure::at(Exit::Input, &protocol, &error))
}

/// The pairs of each of RFW's groups.
fn rfw(folder: &Path) -> Result<Vec<(String, PairTest)>> {
    let mut tests = Vec::new();
    for group in pictures::entries(&folder.join("txts"))?.into_iter().filter(|path| path.is_dir()) {
        let ethnicity = pictures::subject(&group)?;
        let path = group.join(format!("{ethnicity}_pairs.txt"));
        let test =
            rfw_pairs(ethnicity, &text::read(&path)?).map_err(|error| Failure::at(Exit::Input, &path, &error))?;
        tests.push((ethnicity.to_owned(), test));
    }
    Ok(tests)
}

/// Whether a file is a packed set: how a pickle begins, no text does.
pub(in crate::commands) fn is_packed(path: &Path) -> Result<bool> {
    let mut first = [0];
    let read = File::open(path).and_then(|mut file| file.read(&mut first));
    read.map(|_| first == [0x80]).map_err(|error| Failure::reading(path, &error))
}

/// The bytes of a packed set.
pub(in crate::commands) fn packed_bytes(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| Failure::reading(path, &error))?;
    file.take(MAX_PACKED_BYTES + 1).read_to_end(&mut bytes).map_err(|error| Failure::reading(path, &error))?;
    if bytes.len() as u64 > MAX_PACKED_BYTES {
        let message = format!("{}: larger than {MAX_PACKED_BYTES} bytes, the most that is read here", shown(path));
        return Err(Failure::new(Exit::Input, message));
    }
    Ok(bytes)
}
