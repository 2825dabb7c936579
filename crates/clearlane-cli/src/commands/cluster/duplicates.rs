//! `clearlane cluster duplicates`.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use clearlane_cluster::{DuplicateOptions, DuplicateReport, DuplicateSearch};
use serde::Serialize;

use super::connection::{self, ConnectionArgs};
use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::job::Job;
use crate::models::ModelArgs;
use crate::output::{Output, table};
use crate::thresholds::{Threshold, ThresholdArgs};

/// Search the gallery for people who are enrolled under several ids
///
/// Every subject's templates are searched for among all others by workers (`cluster work`), block by block. The search is kept by the
/// brokers: after Ctrl-C, or where this process was killed, the same command goes on with it, and what is done is not
/// done again. It ends when its result is printed. A block that cannot be done is named with the reason.
///
/// Every two subjects are compared: of N subjects some FMR × N² / 2 pairs are chance, so choose --fmr by the gallery's size.
/// Exit code 0 where all blocks were done and nobody is found twice, 1 otherwise.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DuplicatesArgs {
    #[command(flatten)]
    connection: ConnectionArgs,

    /// How many others are named for one template at most: the best ones
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=127))]
    others: u16,

    /// How many subjects a block has
    #[arg(long, value_name = "COUNT", default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=1024))]
    block: u16,

    /// After so many seconds of a worker's silence its block goes to another one
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = connection::seconds)]
    hold: Duration,

    /// How many brokers keep each block and result
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    replicas: usize,

    /// Remove the search that this command would go on with, and what it has found
    #[arg(long)]
    discard: bool,

    #[command(flatten)]
    threshold: ThresholdArgs,

    #[command(flatten)]
    models: ModelArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane cluster duplicates --fmr 1e-7 --brokers nats://10.0.0.1:4222 --cluster-key cluster.key
  clearlane cluster duplicates --threshold 0.55 --brokers nats://10.0.0.1:4222 --cluster-key cluster.key --json | jq .pairs";

/// What the search came to.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    threshold: Threshold,
    blocks: u32,
    done: u32,
    interrupted: bool,
    seconds: f64,
    #[serde(flatten)]
    found: DuplicateReport,
}

pub(super) fn run(args: &DuplicatesArgs, output: &Output) -> Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let key = args.connection.key()?;
    let (threshold, model) = if let Some(stated) = args.threshold.stated() {
        (stated, None)
    } else {
        let embedder = args.models.load_embedder()?;
        (args.threshold.one_to_one(&embedder)?, Some(embedder.model_id()))
    };
    let mut options = DuplicateOptions::new(threshold.threshold)
        .others(usize::from(args.others))
        .block(usize::from(args.block))
        .hold(args.hold)
        .replicas(args.replicas);
    if let Some(model) = model {
        options = options.model(model);
    }
    connection::wait(async {
        let cluster = args.connection.options("duplicates");
        let mut search = tokio::select! {
            opened = DuplicateSearch::open(key, &cluster, options) => opened?,
            () = connection::interrupted(&interrupt) => return Err(Failure::interrupted()),
        };
        let blocks = search.blocks();
        if args.discard {
            search.remove().await?;
            output.note("the search is removed");
            return Ok(Exit::Yes);
        }
        if search.resumed() {
            output.note("going on with the search that was begun before");
        }
        let job = Job::begin(blocks as usize, "searching", output)?;
        let mut reached = job.reached(0);
        while reached.is_continue() {
            let more = tokio::select! {
                more = search.advance() => more?,
                () = connection::interrupted(&interrupt) => false,
            };
            reached = job.reached(u64::from(search.done()));
            if !more {
                break;
            }
        }
        let done = search.done();
        let (seconds, interrupted) = job.end(u64::from(done));
        let report = Report { threshold, blocks, done, interrupted, seconds, found: search.report() };
        output.result(&report, || text(&report, args.others))?;
        if interrupted {
            return Ok(Exit::Interrupted);
        }
        search.remove().await?;
        Ok(Exit::answer(report.found.pairs.is_empty() && report.found.failed.is_empty()))
    })
}

fn text(report: &Report, others: u16) -> String {
    let Report { threshold, blocks, done, interrupted, seconds, found } = report;
    let (pairs, subjects, templates) = (found.pairs.len(), found.subjects, found.templates);
    let mut text = format!(
        "{pairs} pairs of {subjects} subjects with {templates} templates, {}, in {seconds:.1} s\n",
        threshold.text()
    );
    // Writing to a String cannot fail.
    if pairs > 0 {
        let rows: Vec<Vec<String>> = found
            .pairs
            .iter()
            .map(|pair| {
                let ids = [pair.subject.to_string(), pair.other.to_string()];
                let templates = [pair.template.to_string(), pair.other_template.to_string()];
                [&ids[..], &[format!("{:.4}", pair.score)], &templates[..]].concat()
            })
            .collect();
        text.push_str(&table(&["subject", "other", "score", "template", "of the other"], &[0, 1, 2, 3, 4], &rows));
    }
    if !found.more.is_empty() {
        let more: Vec<_> = found.more.iter().map(ToString::to_string).collect();
        _ = writeln!(text, "may have more than {others} others: {}", more.join(", "));
    }
    for (block, reason) in &found.failed {
        _ = writeln!(text, "block {block} could not be done: {reason}");
    }
    if *interrupted {
        _ = writeln!(text, "interrupted after {done} of {blocks} blocks; run the same command again to go on");
    }
    text
}
