//! `clearlane records`: the crossing records of a register.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use clearlane_store::{Direction, Outcome, Record, RecordQuery, Register};
use serde_json::json;

use super::register::find;
use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, print, table};
use crate::registers::RegisterArgs;

/// Look into the crossing records
#[derive(Debug, Subcommand)]
pub(crate) enum RecordsCommand {
    /// List the records, the oldest first
    List(QueryArgs),
    /// Show the newest record, such as a traveller's last entry at a port
    Last(QueryArgs),
}

/// Which records are asked for: those that fit all that is given.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct QueryArgs {
    /// Of this subject, by name or #ID
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// At this port
    #[arg(long)]
    port: Option<String>,
    /// In this direction: entry or exit
    #[arg(long)]
    direction: Option<Direction>,
    /// With this outcome: admit or refer
    #[arg(long)]
    outcome: Option<Outcome>,
    /// Not before this time, such as 2026-11-22T08:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<jiff::Timestamp>,
    #[command(flatten)]
    register: RegisterArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane records list --outcome refer --register port.db --key-file port.key
  clearlane records last --subject Aaron --direction entry --register port.db --key-file port.key --json";

/// Records that are printed together: a register may hold millions.
const PAGE: usize = 1000;

pub(super) fn run(command: &RecordsCommand, output: &Output) -> Result<Exit> {
    match command {
        RecordsCommand::List(args) => list(args, output),
        RecordsCommand::Last(args) => last(args, output),
    }
}

fn list(args: &QueryArgs, output: &Output) -> Result<Exit> {
    let register = args.register.open_read_only()?;
    let mut records = register.records(args.query(&register)?);
    loop {
        let page = records.by_ref().take(PAGE).collect::<Result<Vec<Record>, _>>()?;
        if page.is_empty() {
            return Ok(Exit::Yes);
        }
        if output.is_json() {
            page.iter().try_for_each(|record| output.line(record, String::new))?;
        } else {
            let header = ["NUMBER", "TIME", "PORT", "LANE", "DIRECTION", "OUTCOME", "SUBJECT", "SCORE", "REASONS"];
            print(&table(&header, &[0, 7], &page.iter().map(row).collect::<Vec<_>>()))?;
        }
    }
}

/// Exit code 1 where there is none.
fn last(args: &QueryArgs, output: &Output) -> Result<Exit> {
    let register = args.register.open_read_only()?;
    let record = register.last_record(&args.query(&register)?)?;
    output.result(&json!(record), || match &record {
        None => "no such record\n".to_owned(),
        Some(record) => {
            let names = ["number", "time", "port", "lane", "direction", "outcome", "subject", "score", "reasons"];
            let mut text = String::new();
            for (name, value) in names.iter().zip(row(record)) {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{name:<10}{value}");
            }
            let _ = writeln!(text, "hash      {}", record.hash);
            text
        }
    })?;
    Ok(Exit::answer(record.is_some()))
}

impl QueryArgs {
    fn query(&self, register: &Register) -> Result<RecordQuery> {
        if self.from.zip(self.until).is_some_and(|(from, until)| from >= until) {
            return Err(Failure::new(Exit::Usage, "--from is not before --until"));
        }
        let subject = self.subject.as_deref().map(|name| find(register, name)).transpose()?;
        Ok(RecordQuery {
            subject: subject.map(|subject| subject.id),
            port: self.port.clone(),
            direction: self.direction,
            outcome: self.outcome,
            from: self.from,
            until: self.until,
        })
    }
}

fn row(record: &Record) -> Vec<String> {
    let passage = &record.passage;
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    vec![
        record.seq.to_string(),
        passage.time.strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string(),
        passage.port.clone(),
        passage.lane.clone(),
        passage.direction.to_string(),
        passage.outcome.to_string(),
        or_dash(passage.subject.map(|subject| subject.to_string())),
        or_dash(passage.score.map(|score| format!("{score:.4}"))),
        passage.reasons.clone(),
    ]
}
