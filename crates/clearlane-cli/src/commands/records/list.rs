//! `clearlane records list` and `clearlane records last`.

use std::fmt::Write as _;

use clearlane_store::Record;
use serde_json::json;

use super::query::QueryArgs;
use crate::failure::{Exit, Result};
use crate::output::{Output, print, table};

const NAMES: [&str; 9] = ["number", "time", "port", "lane", "direction", "outcome", "subject", "score", "reasons"];

/// Records that are printed together: a register may hold millions.
const PAGE: usize = 1000;

pub(super) fn list(args: &QueryArgs, output: &Output) -> Result<Exit> {
    let register = args.register.open_read_only()?;
    let mut records = register.records(args.query(&register)?);
    let header = NAMES.map(str::to_uppercase);
    let header = header.each_ref().map(String::as_str);
    loop {
        let page = records.by_ref().take(PAGE).collect::<Result<Vec<Record>, _>>()?;
        if page.is_empty() {
            return Ok(Exit::Yes);
        }
        if output.is_json() {
            page.iter().try_for_each(|record| output.line(record, String::new))?;
        } else {
            print(&table(&header, &[0, 7], &page.iter().map(row).collect::<Vec<_>>()))?;
        }
    }
}

/// Exit code 1 where there is none.
pub(super) fn last(args: &QueryArgs, output: &Output) -> Result<Exit> {
    let register = args.register.open_read_only()?;
    let record = register.last_record(&args.query(&register)?)?;
    output.result(&json!(record), || record.as_ref().map_or_else(|| "no such record\n".to_owned(), text))?;
    Ok(Exit::answer(record.is_some()))
}

/// A record, one field a line.
pub(super) fn text(record: &Record) -> String {
    let mut text = String::new();
    for (name, value) in NAMES.iter().zip(row(record)) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<10}{value}");
    }
    let _ = writeln!(text, "hash      {}\ncode      {}", record.hash, record.code());
    text
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
