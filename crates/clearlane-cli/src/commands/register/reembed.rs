//! `clearlane register reembed`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use clearlane::{ModelChoice, Policy, Reembedder, TemplateMaker};
use clearlane_embed::{Extractor, Models, Selection};
use clearlane_store::{Coverage, Register};
use jiff::Timestamp;
use serde::Serialize;

use crate::commands::enrol::plan;
use crate::commands::enrol::supplied::{Failed, Supplied};
use crate::failure::{Exit, Failure, Result};
use crate::job::Job;
use crate::models::ModelArgs;
use crate::output::Output;
use crate::pictures::PictureArgs;
use crate::registers::RegisterArgs;
use crate::thresholds;

/// Give those who are enrolled templates of a new embedder, beside those that they have
///
/// A register keeps no pictures, by design, so they are supplied again: SOURCE is a folder SUBJECT/IMAGE or a CSV file with
/// the columns subject and image, as `enrol` takes them. The policy's rules of enrolment apply. Each picture must be shown to
/// be the subject's: it is compared with their templates of the available embedder that covers most of the register, and
/// without such an embedder it must be a picture that they were enrolled from, whose digests the register keeps.
///
/// What is done is on disk. Ctrl-C stops after the current batch; the same command run again goes on where it stopped,
/// since those who have templates of the embedder are passed over. Templates of different models are never compared: a lane
/// goes over when it is opened once as many of the enrolled have one as `[model-upgrade]` in the policy asks.
///
/// Exit code 0 where everybody in SOURCE has templates of the embedder now, 1 otherwise; the report says who and why.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReembedArgs {
    /// A folder SUBJECT/IMAGE, or a CSV file
    source: PathBuf,
    /// The rules of the port (TOML)
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    #[command(flatten)]
    how: PictureArgs,
    #[command(flatten)]
    register: RegisterArgs,
    #[command(flatten)]
    models: ModelArgs,
}

const EXAMPLES: &str = "\
Example:
  clearlane register reembed photos/ --embedder NEW --policy policies/port.toml --register port.db --key-file port.key";

/// What a re-embedding did.
#[derive(Debug, Serialize)]
struct Report {
    subjects: usize,
    reembedded: u64,
    templates: u64,
    /// Subjects that had templates of the embedder before.
    passed_over: u64,
    failed: Vec<Failed>,
    interrupted: bool,
    seconds: f64,
    coverage: Coverage,
    /// What a lane that is opened now uses.
    lane: ModelChoice,
}

pub(super) fn run(args: &ReembedArgs, output: &Output) -> Result<Exit> {
    let candidates = plan::read(&args.source)?;
    let policy = Arc::new(Policy::open(&args.policy).map_err(|error| Failure::of(Exit::Input, &error))?);
    let register = Arc::new(args.register.open()?);
    let models = args.models.available()?;
    let extractor = args.models.load_extractor(Selection::Only)?.with_orientation(args.how.orientation());
    let maker = maker(Arc::clone(&policy), &register, &models, extractor, output)?;
    let reembedder = Reembedder::new(Arc::clone(&register), maker);

    let (job, supplied) = (Job::begin(candidates.len(), "embedding", output)?, Supplied::by(&candidates, args.how));
    let pictures = candidates.iter().map(|candidate| {
        let supplied = &supplied;
        (candidate.key.clone(), move || supplied.read(candidate))
    });
    let done = reembedder.reembed_many(pictures, Timestamp::now(), |reached| job.reached(reached.done))?;
    let (seconds, interrupted) = job.end(done.progress.done);
    let embedder = args.models.load_embedder()?;
    let report = Report {
        subjects: candidates.len(),
        reembedded: done.progress.enrolled,
        templates: done.progress.templates,
        passed_over: done.progress.already,
        failed: supplied.failed(done),
        interrupted,
        seconds,
        coverage: register.coverage(embedder.model_id())?,
        lane: ModelChoice::make(embedder, &models, &register, &policy)?.1,
    };
    output.result(&report, || text(&report))?;
    Ok(if report.interrupted { Exit::Interrupted } else { Exit::answer(report.failed.is_empty()) })
}

/// With the embedder that knows the register's subjects, where it is available.
fn maker(
    policy: Arc<Policy>,
    register: &Register,
    models: &Models,
    extractor: Extractor,
    output: &Output,
) -> Result<TemplateMaker> {
    let (name, calibration) = (extractor.embedder().name().to_owned(), thresholds::calibration(extractor.embedder())?);
    let earlier = ModelChoice::earlier(extractor.embedder(), models, register)?;
    let maker = TemplateMaker::new(policy, extractor, &calibration)?;
    let Some((earlier, Coverage { covered, subjects })) = earlier else {
        output.note(&format!(
            "no embedder but {name} is available that the register has templates of: pictures are known by their digests"
        ));
        return Ok(maker);
    };
    let known = thresholds::calibration(&earlier)?;
    output.note(&format!(
        "pictures are compared with templates of {} ({covered} of {subjects} subjects)",
        earlier.name()
    ));
    Ok(maker.with_earlier(earlier, &known)?)
}

fn text(report: &Report) -> String {
    let Report { subjects, reembedded, templates, passed_over, failed, interrupted, seconds, lane, .. } = report;
    let mut text = format!("{reembedded} of {subjects} subjects got {templates} templates in {seconds:.1} s\n");
    // Writing to a String cannot fail.
    if *passed_over > 0 {
        let _ = writeln!(text, "{passed_over} had theirs before");
    }
    if !failed.is_empty() {
        let _ = writeln!(text, "{} got none, or a picture of theirs could not be used:", failed.len());
        for failed in failed {
            text.extend(["  ", &failed.line(), "\n"]);
        }
    }
    let _ = writeln!(text, "a lane that is opened now uses {lane}");
    if *interrupted {
        text.push_str("interrupted; run the same command again to go on\n");
    }
    text
}
