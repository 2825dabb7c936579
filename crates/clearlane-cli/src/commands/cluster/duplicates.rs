//! `clearlane cluster duplicates`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clearlane_cluster::{DuplicateOptions, DuplicateReport, DuplicateSearch};
use jiff::Timestamp;
use serde::Serialize;

use super::connection::{self, ConnectionArgs};
use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::job::Job;
use crate::models::ModelArgs;
use crate::output::{self, Output, table, write_whole};
use crate::thresholds::{Threshold, ThresholdArgs};

/// Search the gallery for people who are enrolled under several ids
///
/// Every subject's templates are searched for among all others by workers (`cluster work`), block by block. The search is kept by the
/// brokers: after Ctrl-C, or where this process was killed, the same command goes on with it, and what is done is not
/// done again. It ends when its result is written, so give --out where the result counts: what is printed into a pipe may be lost behind it.
/// A block that cannot be done is named with the reason, and the search is kept: the same command does those blocks again, and no others.
///
/// Every two subjects are compared: of N subjects some FMR × N² / 2 pairs are chance, so choose --fmr by the gallery's size. A report has
/// ten million pairs at most.
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

    /// After so many seconds of a worker's silence its block goes to another one, 1 to 3600
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = connection::seconds)]
    hold: Duration,

    /// How many brokers keep each block and result
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    replicas: usize,

    /// Write the result, as it would be printed, into this file, whole; only then the search is removed
    #[arg(long, value_name = "FILE", value_parser = output::to_be_made())]
    out: Option<PathBuf>,

    /// Remove the search that this command would go on with, and what it has found. Exit code 1 where there is none
    #[arg(long, conflicts_with = "out")]
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
    /// Whether it went on with what an earlier command had begun.
    resumed: bool,
    begun: Timestamp,
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
    let (threshold, calibrated) = if let Some(stated) = args.threshold.stated() {
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
    if let Some(model) = calibrated {
        options = options.model(model).fmr(args.threshold.fmr);
    }
    connection::wait(async {
        let cluster = args.connection.options("duplicates");
        if args.discard {
            let found = DuplicateSearch::discard(key, &cluster, options).await?;
            output.note(if found { "the search is removed" } else { "there is no such search: nothing is removed" });
            return Ok(Exit::answer(found));
        }
        let mut search = tokio::select! {
            opened = DuplicateSearch::open(key, &cluster, options) => opened?,
            () = connection::interrupted(&interrupt) => return Err(Failure::interrupted()),
        };
        let (blocks, resumed, begun) = (search.blocks(), search.resumed(), search.begun());
        if resumed {
            output.note(&format!("going on with the search that was begun at {begun}"));
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
        let found = search.report();
        let report = Report { threshold, resumed, begun, blocks, done, interrupted, seconds, found };
        let result = if output.is_json() { output::json(&report)? } else { text(&report, args.others) };
        write(args.out.as_deref(), &result)?;
        if interrupted {
            return Ok(Exit::Interrupted);
        }
        if report.found.failed.is_empty() {
            search.remove().await?;
        }
        Ok(Exit::answer(report.found.pairs.is_empty() && report.found.failed.is_empty()))
    })
}

/// Writes the result to where it is kept. Whoever hears that it is written removes what it was made of, so that a reader who has gone is
/// an error here.
fn write(out: Option<&Path>, result: &str) -> Result<()> {
    if let Some(path) = out {
        write_whole(path, result.as_bytes())?;
        // The file's new name is on disk when its folder is.
        #[cfg(unix)]
        if let Some(folder) = path.parent() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(|error| Failure::writing(path, &error))?;
        }
        return Ok(());
    }
    let print = || {
        let mut out = io::stdout().lock();
        out.write_all(result.as_bytes())?;
        out.flush()?;
        sync(&out)
    };
    print().map_err(|error| {
        let failure = Failure::new(Exit::System, format!("cannot write to standard output: {error}"));
        failure.with_help("the search is kept: run the same command again, with --out FILE")
    })
}

/// Brings standard output to the disk, where it is a file.
#[cfg(unix)]
fn sync(out: &io::StdoutLock<'_>) -> io::Result<()> {
    use std::os::fd::AsFd as _;
    let file = std::fs::File::from(out.as_fd().try_clone_to_owned()?);
    if file.metadata()?.is_file() { file.sync_all() } else { Ok(()) }
}

/// Elsewhere what standard output is cannot be told.
#[cfg(not(unix))]
fn sync(_: &io::StdoutLock<'_>) -> io::Result<()> {
    Ok(())
}

fn text(report: &Report, others: u16) -> String {
    let Report { threshold, resumed, begun, blocks, done, interrupted, seconds, found } = report;
    let (pairs, subjects, templates) = (found.pairs.len(), found.subjects, found.templates);
    let mut text = format!(
        "{pairs} pairs of {subjects} subjects with {templates} templates, {}, in {seconds:.1} s\n",
        threshold.text()
    );
    // Writing to a String cannot fail.
    let gone_on = if *resumed { ", and gone on with" } else { "" };
    let positions: Vec<_> = found.positions.iter().map(ToString::to_string).collect();
    _ = writeln!(text, "begun at {begun}{gone_on}; of {}", positions.join(", "));
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
    if !found.failed.is_empty() && !interrupted {
        let failed = found.failed.len();
        _ = writeln!(text, "the search is kept; run the same command again to do these {failed} blocks, and no others");
    }
    if *interrupted {
        _ = writeln!(text, "interrupted after {done} of {blocks} blocks; run the same command again to go on");
    }
    text
}
