//! `clearlane cluster reembed`.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clearlane::{Policy, Reembedder};
use clearlane_cluster::{Reembedding, ReembeddingCandidate, ReembeddingOptions, UnreadablePicture};
use clearlane_embed::Selection;
use jiff::Timestamp;
use serde::Serialize;

use super::connection::{self, ConnectionArgs};
use crate::commands::enrol::plan::{self, Candidate};
use crate::commands::enrol::supplied::{self, Unreadable};
use crate::commands::reembedding::{self, Report};
use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::job::Job;
use crate::models::ModelArgs;
use crate::output::{Output, shown};
use crate::pictures::PictureArgs;
use crate::registers::RegisterArgs;

/// Have workers make templates of a new embedder for those who are enrolled
///
/// As `register reembed`, with the same rules and the same report, by as many machines as there are: each runs `cluster work` with the same
/// policy, models and options, and --earlier where pictures are compared. This command runs beside the register and the pictures,
/// reads these, and writes what comes of them; the register's gallery has to be in the cluster. A worker is believed as this command
/// would be: whoever has the cluster's key can have anybody enrolled with any face.
///
/// Subjects are given out in blocks, each of which is done once. Ctrl-C stops, and so may anything else: the same command goes on where it was.
/// A block that could not be done is named with the reason, and done again by the same command. Somebody whose pictures are larger than
/// a message, some 1 MB, gets their templates from this command itself, as do all where no worker is needed.
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
    connection: ConnectionArgs,

    /// How many subjects a block has at most; fewer where their pictures are large
    #[arg(long, value_name = "COUNT", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    block: u16,

    /// After so many seconds of a worker's silence its block goes to another one, 1 to 3600
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = connection::seconds)]
    hold: Duration,

    /// How many brokers keep each block and result
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    replicas: usize,

    /// Remove the re-embedding that this command would go on with; what is in the register stays. Exit code 1 where there is none
    #[arg(long)]
    discard: bool,

    #[command(flatten)]
    how: PictureArgs,

    #[command(flatten)]
    register: RegisterArgs,

    #[command(flatten)]
    models: ModelArgs,
}

const EXAMPLES: &str = "\
Example:
  clearlane cluster reembed photos/ --embedder NEW --policy policies/port.toml --register port.db --key-file port.key \\
      --brokers nats://10.0.0.1:4222 --cluster-key cluster.key";

/// What workers did.
#[derive(Debug, Serialize)]
struct OfWorkers {
    /// Whether it went on with what an earlier command had begun.
    resumed: bool,
    begun: Timestamp,
    blocks: u32,
    /// Blocks that could not be done, and why.
    failed_blocks: BTreeMap<u32, String>,
    #[serde(flatten)]
    report: Report,
}

pub(super) fn run(args: &ReembedArgs, output: &Output) -> Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let key = args.connection.key()?;
    let candidates = plan::read(&args.source)?;
    let policy = Arc::new(Policy::open(&args.policy).map_err(|error| Failure::of(Exit::Input, &error))?);
    let register = Arc::new(args.register.open()?);
    let extractor = args.models.load_extractor(Selection::Only)?.with_orientation(args.how.orientation());
    let earlier = reembedding::earlier(&extractor, &args.models, &register, output)?;
    let flag = earlier.as_ref().map_or(String::new(), |earlier| format!(" --earlier {}", earlier.name()));
    output.note(&format!(
        "workers for it: `clearlane cluster work` with the same policy, models and options, --embedder {}{flag}",
        extractor.embedder().name()
    ));
    let maker = reembedding::maker(Arc::clone(&policy), extractor, earlier)?;
    let reembedder = Arc::new(Reembedder::new(Arc::clone(&register), maker));
    let supply: Vec<_> = candidates.iter().map(supplied).collect();
    let options = ReembeddingOptions::default()
        .limits(args.how.limits())
        .block(usize::from(args.block))
        .hold(args.hold)
        .replicas(args.replicas);
    connection::wait(async {
        let cluster = args.connection.options("reembed");
        if args.discard {
            let found = Reembedding::discard(key, &cluster, &reembedder, &supply).await?;
            output.note(if found { "it is removed" } else { "there is no such re-embedding: nothing is removed" });
            return Ok(Exit::answer(found));
        }
        let job = Job::begin(candidates.len(), "embedding", output)?;
        let mut all = tokio::select! {
            opened = Reembedding::open(key, &cluster, options, reembedder, supply) => opened?,
            () = connection::interrupted(&interrupt) => return Err(Failure::interrupted()),
        };
        let (blocks, resumed, begun) = (all.blocks(), all.resumed(), all.begun());
        if resumed {
            output.note(&format!("going on with the re-embedding that was begun at {begun}"));
        }
        let mut reached = job.reached(0);
        while reached.is_continue() {
            let more = tokio::select! {
                more = all.advance() => more?,
                () = connection::interrupted(&interrupt) => false,
            };
            reached = job.reached(all.done());
            if !more {
                break;
            }
        }
        all.settle().await?;
        let done = all.report();
        let (progress, ended) = (done.bulk.progress, job.end(done.bulk.progress.done));
        let failed = supplied::failed(&candidates, unreadable(&candidates, done.unreadable), done.bulk);
        let report = Report::new(candidates.len(), &progress, failed, ended, (&args.models, &register, &policy))?;
        let report = OfWorkers { resumed, begun, blocks, failed_blocks: done.failed, report };
        output.result(&report, || text(&report))?;
        if report.report.interrupted {
            return Ok(Exit::Interrupted);
        }
        if report.failed_blocks.is_empty() {
            all.remove().await?;
        }
        Ok(Exit::answer(report.report.is_whole()))
    })
}

fn supplied(Candidate { key, pictures, .. }: &Candidate) -> ReembeddingCandidate {
    ReembeddingCandidate { key: key.clone(), pictures: pictures.clone() }
}

/// Pictures that could not be read, by their paths.
fn unreadable(candidates: &[Candidate], unreadable: Vec<UnreadablePicture>) -> Vec<Unreadable> {
    let by_key: HashMap<&str, &Candidate> =
        candidates.iter().map(|candidate| (candidate.key.as_str(), candidate)).collect();
    let named = |UnreadablePicture { key, picture, why }| {
        let picture = by_key.get(key.as_str())?.pictures.get(picture)?.clone();
        let why = format!("{}: {why}", shown(&picture));
        Some(Unreadable { subject: key, picture, why })
    };
    unreadable.into_iter().filter_map(named).collect()
}

fn text(OfWorkers { resumed, begun, blocks, failed_blocks, report }: &OfWorkers) -> String {
    let mut text = report.text();
    let gone_on = if *resumed { ", and gone on with" } else { "" };
    // Writing to a String cannot fail.
    _ = writeln!(text, "begun at {begun}{gone_on}; {blocks} blocks");
    for (block, reason) in failed_blocks {
        _ = writeln!(text, "block {block} could not be done: {reason}");
    }
    if !failed_blocks.is_empty() && !report.interrupted {
        let failed = failed_blocks.len();
        _ = writeln!(text, "run the same command again to do these {failed} blocks, and no others");
    }
    text
}
