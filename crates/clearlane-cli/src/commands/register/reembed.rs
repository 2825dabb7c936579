//! `clearlane register reembed`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use clearlane::{Policy, Reembedder};
use clearlane_embed::Selection;
use jiff::Timestamp;

use crate::commands::enrol::plan;
use crate::commands::enrol::supplied::Supplied;
use crate::commands::reembedding::{self, Report};
use crate::failure::{Exit, Failure, Result};
use crate::job::Job;
use crate::models::ModelArgs;
use crate::output::Output;
use crate::pictures::PictureArgs;
use crate::registers::RegisterArgs;

/// Give those who are enrolled templates of a new embedder, beside those that they have
///
/// A register keeps no pictures, by design, so they are supplied again: SOURCE is a folder SUBJECT/IMAGE or a CSV file with
/// the columns subject and image, as `enrol` takes them. The policy's rules of enrolment apply. Each picture must be shown to
/// be the subject's: it is compared with their templates of the available embedder that covers most of the register, and
/// without such an embedder it must be a picture that they were enrolled from, whose digests the register keeps. Of a picture
/// that they were enrolled from no quality is asked again, whether or not they were enrolled by a policy.
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

pub(super) fn run(args: &ReembedArgs, output: &Output) -> Result<Exit> {
    let candidates = plan::read(&args.source)?;
    let policy = Arc::new(Policy::open(&args.policy).map_err(|error| Failure::of(Exit::Input, &error))?);
    let register = Arc::new(args.register.open()?);
    let extractor = args.models.load_extractor(Selection::Only)?.with_orientation(args.how.orientation());
    let earlier = reembedding::earlier(&extractor, &args.models, &register, output)?;
    let maker = reembedding::maker(Arc::clone(&policy), extractor, earlier)?;
    let reembedder = Reembedder::new(Arc::clone(&register), maker);

    let (job, supplied) = (Job::begin(candidates.len(), "embedding", output)?, Supplied::by(&candidates, args.how));
    let pictures = candidates.iter().map(|candidate| {
        let supplied = &supplied;
        (candidate.key.clone(), move || supplied.read(candidate))
    });
    let done = reembedder.reembed_many(pictures, Timestamp::now(), |reached| job.reached(reached.done))?;
    let (progress, ended) = (done.progress, job.end(done.progress.done));
    let failed = supplied.failed(done);
    let report = Report::new(candidates.len(), &progress, failed, ended, (&args.models, &register, &policy))?;
    output.result(&report, || report.text())?;
    Ok(if report.interrupted { Exit::Interrupted } else { Exit::answer(report.is_whole()) })
}
