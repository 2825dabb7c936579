//! `clearlane demo`: the whole job, on people who do not exist.

pub(super) mod faces;
mod gallery;
mod report;
mod totals;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use clearlane::{Direction, Lane, Passage, Policy, Port};
use clearlane_embed::{DecodeLimits, Frame, Selection};
use clearlane_store::{Key, Keyring, Register, StoreError};
use clearlane_template::without_temporary_name;
use serde::Serialize;
use tempfile::TempDir;

use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::models::ModelArgs;
use crate::output::{Output, can_be_made, shown, write_secret, write_whole};
use crate::page::LanguageArg;
use crate::reasons;
use crate::thresholds;
use faces::Capture;
use totals::Totals;

/// Show the whole job on built-in, fictional faces
///
/// Enrols fictional people in a register of its own, fills it up with synthetic templates of others, and sends one capture after the
/// other through a lane: plain captures of those who are enrolled, hard ones (off-angle, dim, backlit, partly covered), and
/// people who are not enrolled. Each passage gives a line: decision, picture, whom the lane took it for, score and
/// threshold or the reasons, and the time of each stage.
///
/// Exit code 0 where nobody was wrongly admitted, 1 otherwise. The register is removed at the end, unless --keep names a
/// folder for it: with its key and the policy, it is one to try the other commands on.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// Templates in the gallery, synthetic ones included
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    gallery: u64,
    /// Write a self-contained page with the pictures
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    #[command(flatten)]
    language: LanguageArg,
    /// Fictional faces from a folder in place of the built-in ones
    #[arg(long, value_name = "DIR")]
    faces: Option<PathBuf>,
    /// Keep the register in this folder: demo.register, demo.key and demo-policy.toml
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    models: ModelArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane demo
  clearlane demo --gallery 10000 --report demo.html
  clearlane demo --gallery 10000 --keep port
  clearlane lane run queue --lanes 4 --policy port/demo-policy.toml --port shenzhen-bay --register port/demo.register --key-file port/demo.key";

const POLICY: &str = include_str!("../../../policies/demonstration.toml");

/// One capture's way through the lane.
#[derive(Debug, Serialize)]
struct Walk<'a> {
    picture: &'a str,
    person: &'a str,
    kind: &'a str,
    enrolled: bool,
    /// Whom the lane admitted.
    admitted_as: Option<String>,
    #[serde(flatten)]
    passage: Passage,
    decode_ms: f64,
}

pub(super) fn run(args: &DemoArgs, output: &Output) -> Result<Exit> {
    // One in the folder that --keep makes can be made later.
    let kept = |path: &&PathBuf| args.keep.as_deref().is_some_and(|keep| path.starts_with(keep));
    if let Some(path) = args.report.as_ref().filter(|path| !kept(path))
        && let Err(reason) = can_be_made(path)
    {
        return Err(Failure::new(Exit::Usage, format!("--report {}: {reason}", shown(path))));
    }
    let captures = faces::read(args.faces.as_deref())?;
    let extractor = args.models.load_extractor(Selection::Largest)?;
    let calibration = thresholds::calibration(extractor.embedder())?;
    let policy = Policy::from_toml(POLICY).map_err(|error| Failure::of(Exit::Usage, &error))?;
    let budget = policy.budget();
    let policy = Arc::new(policy);
    let interrupt = Interrupt::listen()?;

    let key = Key::random().map_err(StoreError::from)?;
    let place = Place::new(args.keep.as_deref(), &key)?;
    let register = Arc::new(Register::create(place.folder.join("demo.register"), Keyring::new(key))?);
    let begin = Instant::now();
    let references = gallery::build(&register, &captures, args.gallery, &extractor, &policy, &calibration, output)?;
    output.note(&format!(
        "{} templates enrolled, loaded and checked in {:.1} s; models {} and {}; presentation attack detection: not assessed",
        references.len(),
        begin.elapsed().as_secs_f64(),
        extractor.detector().name(),
        extractor.embedder().name(),
    ));

    let port = policy.ports().keys().next().cloned();
    let port = port.ok_or_else(|| Failure::new(Exit::Usage, "the demonstration's policy has no port"))?;
    let lane = Port::builder(references)
        .policy(policy)
        .port(port)
        .calibration(calibration)
        .extractor(extractor)
        .parallel(true)
        .build()?
        .lane("demo", Direction::Exit)
        .map_err(|error| Failure::of(Exit::Usage, &error))?;

    let mut walks = Vec::new();
    for capture in captures.iter().filter(|capture| capture.kind != "enrol") {
        interrupt.check()?;
        let walk = walk(&lane, capture)?;
        output.line(&walk, || line(&walk))?;
        walks.push(walk);
    }
    let totals = Totals::of(&walks, lane.port().references().len(), budget);
    output.line(&totals, || totals.to_string())?;
    if let Some(path) = &args.report {
        write_whole(path, report::html(&walks, &captures, &totals, args.language.get()).as_bytes())?;
        output.note(&format!("the report is in {}", shown(path)));
    }
    Ok(Exit::answer(totals.is_safe()))
}

/// Where the register is made: in a folder that is removed at the end, or in one to keep, beside its key and the policy.
struct Place {
    folder: PathBuf,
    _temporary: Option<TempDir>,
}

impl Place {
    fn new(keep: Option<&Path>, key: &Key) -> Result<Self> {
        let Some(folder) = keep else {
            let temporary = tempfile::tempdir()
                .map_err(without_temporary_name)
                .map_err(|error| Failure::writing(&std::env::temp_dir(), &error))?;
            return Ok(Self { folder: temporary.path().to_owned(), _temporary: Some(temporary) });
        };
        std::fs::create_dir_all(folder).map_err(|error| Failure::writing(folder, &error))?;
        write_secret(&folder.join("demo.key"), &Keyring::new(key.clone()).to_text())?;
        write_whole(&folder.join("demo-policy.toml"), POLICY.as_bytes())?;
        Ok(Self { folder: folder.to_owned(), _temporary: None })
    }
}

fn walk<'a>(lane: &Lane, capture: &'a Capture) -> Result<Walk<'a>> {
    let begin = Instant::now();
    let frame = Frame::decode(&capture.jpeg, &DecodeLimits::default())
        .map_err(|error| Failure::at(Exit::Input, capture.path.as_ref(), &error))?;
    let decode_ms = 1e3 * begin.elapsed().as_secs_f64();
    let passage = lane.pass(&[frame], &[], None);
    let admitted_as = match passage.decision {
        clearlane::Decision::Admit { subject } => lane.port().register().subject_by_id(subject)?,
        clearlane::Decision::Refer { .. } => None,
    };
    Ok(Walk {
        picture: &capture.path,
        person: &capture.person,
        kind: &capture.kind,
        enrolled: capture.enrolled,
        admitted_as: admitted_as.map(|subject| subject.key),
        passage,
        decode_ms,
    })
}

impl Walk<'_> {
    /// Whether the gate opened for somebody else than the one in the picture.
    fn is_wrong(&self) -> bool {
        self.admitted_as.as_deref().is_some_and(|name| !self.enrolled || name != self.person)
    }

    /// Score and threshold of an admission, reasons of a referral.
    fn because(&self) -> String {
        match (&self.admitted_as, &self.passage.comparison) {
            (Some(_), Some(comparison)) => format!("{:.4} >= {:.4}", comparison.score, comparison.threshold),
            _ => reasons::listed(self.passage.decision.reasons()),
        }
    }
}

fn line(walk: &Walk<'_>) -> String {
    let times = &walk.passage.times;
    let ms = |time: std::time::Duration| 1e3 * time.as_secs_f64();
    let decision = if walk.admitted_as.is_some() { "admit" } else { "refer" };
    let who = walk.admitted_as.as_deref().unwrap_or("-");
    let stages = times.iter().filter(|(_, time)| !time.is_zero());
    let stages: Vec<_> = stages.map(|(name, time)| format!("{name} {:.1}", ms(time))).collect();
    format!(
        "{decision}  {:<32} {who:<8} {}  [{}; {:.1} ms]",
        walk.picture,
        walk.because(),
        stages.join(", "),
        ms(times.total),
    )
}
