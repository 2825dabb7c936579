//! `clearlane eval utkface`: false match rates by group, of faces whose age, sex and ethnicity are known and whose names
//! are not.

use std::path::{Path, PathBuf};

use clap::Args;
use clearlane_eval::{ByGroup, Capture, Captures, Presumed, PresumedByGroup};
use serde_json::json;

use super::RunArgs;
use super::halves::{self, HalvesArgs};
use super::report::finish;
use super::templates::extract_all;
use super::worst::Worst;
use super::{all_pairs, by_group};
use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, shown};
use crate::pictures;

/// False match rates by group on UTKFace, and the threshold that each group needs
///
/// DIR holds pictures named `AGE_SEX_ETHNICITY_TIME.jpg`, in folders or not. Of adults of 20 to 60 years, as many of each ethnicity
/// and sex are taken as --per-group says, in the order of a hash of their names, so that everybody takes the same ones.
///
/// The set names nobody, and shows some people often. Comparisons of one sex within a group give an upper figure, since some
/// of their false matches are true ones; those of the two sexes show two people for certain and give a lower one, since the
/// other sex is the easier non-match. A rate lies between them. The embedder's own thresholds are looked at.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UtkFaceArgs {
    /// The folder of the data set
    dir: PathBuf,
    /// Pictures of a group, half of them of each sex
    #[arg(long, value_name = "N", default_value_t = 1200, value_parser = clap::value_parser!(u32).range(4..=20_000))]
    per_group: u32,
    /// Columns that make the groups, of ethnicity and age (by decade)
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', default_value = "ethnicity")]
    group_by: Vec<String>,
    /// Comparisons of one sex at or above this score are taken as copies of one picture
    #[arg(long, value_name = "SCORE", default_value_t = 0.8, allow_negative_numbers = true, value_parser = crate::thresholds::score)]
    near_copies: f32,
    #[command(flatten)]
    halves: HalvesArgs,
    #[command(flatten)]
    run: RunArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane eval utkface UTKFace/ --models DIR --embedder mobilefacenet
  clearlane eval utkface aligned/ --aligned --json        pictures that are aligned already";

const SEX: &str = "sex";
const SEXES: [&str; 2] = ["male", "female"];
const ETHNICITIES: [&str; 4] = ["White", "Black", "Asian", "Indian"];
const TARGET_FMRS: [f64; 4] = [1e-2, 1e-3, 1e-4, 1e-5];

pub(super) fn run(args: &UtkFaceArgs, output: &Output) -> Result<Exit> {
    let captures = sample(&args.dir, args.per_group as usize)?;
    let mut columns: Vec<&str> = args.group_by.iter().map(String::as_str).filter(|column| *column != SEX).collect();
    columns.push(SEX);
    if let Some(unknown) = columns.iter().find(|column| captures.column(column).is_none()) {
        return Err(Failure::new(Exit::Usage, format!("no column {unknown:?}: expected ethnicity, age")));
    }
    let files: Vec<PathBuf> = captures.captures.iter().map(|capture| args.dir.join(&capture.picture)).collect();
    let extractor = args.run.models.load_extractor(pictures::Face::Central.into())?;
    let made = extract_all(&extractor, &files, &args.run.how, output)?;
    let (captures, templates) = all_pairs::acquired(&captures, &made.templates);
    let pairs = all_pairs::compare(&captures, &templates, &columns)?;
    // The manifest's first population stands for what others were told.
    let known = extractor.embedder().calibrations().first();
    let stated = known.iter().flat_map(|known| &known.thresholds).map(|at| (at.fmr, at.threshold));
    let stated: Vec<(f64, f32)> = stated.filter(|(fmr, _)| (1e-5..=1e-3).contains(fmr)).collect();
    let thresholds: Vec<f32> = stated.iter().map(|(_, threshold)| *threshold).collect();
    let bounds = PresumedByGroup::new(&pairs, SEX, args.near_copies, &thresholds, &TARGET_FMRS)?;
    let cells = ByGroup::new(&pairs, &thresholds, &TARGET_FMRS)?;
    let presumed = Presumed::BySex { column: SEX, near_copies_from: args.near_copies };
    let halves = args.halves.check(&captures, &templates, &columns, presumed)?;
    let value = json!({
        "protocol": "UTKFace, adults of 20 to 60 years, presumed non-mated", "per_group": args.per_group, "models": made,
        "stated": stated.iter().map(|(fmr, threshold)| json!({ "fmr": fmr, "threshold": threshold })).collect::<Vec<_>>(),
        "figures": bounds, "by_group_and_sex": cells, "halves": halves,
    });
    finish(value, &Worst::default(), &args.run.report, output, || {
        made.text() + &by_group::bounds(&bounds, &stated) + &halves::described(halves.as_ref())
    })
}

/// As many pictures of each ethnicity and sex as are asked for, or all that there are.
fn sample(dir: &Path, per_group: usize) -> Result<Captures> {
    let mut files = pictures::in_folder(dir)?;
    for folder in pictures::entries(dir)?.into_iter().filter(|path| path.is_dir()) {
        files.extend(pictures::in_folder(&folder)?);
    }
    let mut labelled: Vec<(u64, PathBuf, Labels)> =
        files.into_iter().filter_map(|path| Some((hash(&path)?, labels(&path)?)).map(|(h, l)| (h, path, l))).collect();
    labelled.sort();
    let mut taken = [[0; SEXES.len()]; ETHNICITIES.len()];
    labelled.retain(|(_, _, labels)| {
        let taken = &mut taken[labels.ethnicity][labels.sex];
        *taken += 1;
        *taken <= per_group / 2
    });
    if labelled.is_empty() {
        return Err(Failure::new(
            Exit::Input,
            format!("{}: no picture AGE_SEX_ETHNICITY_TIME.jpg of an adult", shown(dir)),
        )
        .with_help("`clearlane datasets list` says where UTKFace is to be had"));
    }
    let capture = |(_, path, labels): (u64, PathBuf, Labels)| Capture {
        picture: path.strip_prefix(dir).unwrap_or(&path).to_string_lossy().into_owned(),
        subject: None,
        labels: vec![
            ETHNICITIES[labels.ethnicity].to_owned(),
            SEXES[labels.sex].to_owned(),
            format!("{0} to {1}", labels.age / 10 * 10, labels.age / 10 * 10 + 9),
        ],
    };
    let columns = ["ethnicity", SEX, "age"].map(str::to_owned).to_vec();
    Ok(Captures { columns, captures: labelled.into_iter().map(capture).collect() })
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Labels {
    age: u32,
    sex: usize,
    ethnicity: usize,
}

/// What a picture's name says; nothing of a person who is not an adult of 20 to 60 years, or of none of the four groups.
fn labels(path: &Path) -> Option<Labels> {
    let mut parts = path.file_stem()?.to_str()?.split('_');
    let age = parts.next()?.parse().ok().filter(|age| (20..=60).contains(age))?;
    let sex = parts.next()?.parse().ok().filter(|sex| *sex < SEXES.len())?;
    let ethnicity = parts.next()?.parse().ok().filter(|ethnicity| *ethnicity < ETHNICITIES.len())?;
    parts.next()?;
    Some(Labels { age, sex, ethnicity })
}

/// FNV-1a of 64 bits (Fowler, Noll and Vo) of a file's name: an order that has nothing to do with what the picture shows.
fn hash(path: &Path) -> Option<u64> {
    let name = path.file_name()?.as_encoded_bytes();
    Some(name.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)))
}
