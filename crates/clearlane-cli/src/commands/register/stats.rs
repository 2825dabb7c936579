//! `clearlane register stats`.

use std::fmt::Write as _;

use clap::Args;
use clearlane_store::{Coverage, Erasure, LastCheck, Stats};
use serde_json::json;

use crate::failure::{Exit, Result};
use crate::output::{Output, percent, table};
use crate::registers::RegisterArgs;

/// Count what a register holds
#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    register: RegisterArgs,
}

pub(super) fn run(args: &StatsArgs, output: &Output) -> Result<Exit> {
    let register = args.register.open_read_only()?;
    let (stats, checked) = (register.stats()?, register.last_check()?);
    let erased = register.erasure()? == Erasure::Complete;
    output.result(&json!({ "stats": stats, "last_check": checked, "erased": erased }), || {
        let mut text = text(&stats, checked);
        if !erased {
            text.push_str("\nwhat was deleted is not yet erased from the write-ahead log\n");
        }
        text
    })?;
    Ok(Exit::Yes)
}

fn text(stats: &Stats, checked: Option<LastCheck>) -> String {
    let Stats { schema, created, subjects, revoked, templates, records, bytes, models, keys } = stats;
    let mut text = String::new();
    let created = created.map_or_else(|| "unknown".to_owned(), |time| time.to_string());
    let checked =
        checked.map_or_else(|| "never".to_owned(), |check| format!("{}, {} problems", check.time, check.problems));
    // Writing to a String cannot fail.
    let _ = writeln!(text, "subjects    {subjects} enrolled, {revoked} revoked");
    let _ = writeln!(text, "templates   {templates}");
    let _ = writeln!(text, "records     {records}");
    let _ = writeln!(text, "file        {:.1} MB, schema {schema}, made {created}", *bytes as f64 / 1e6);
    let _ = writeln!(text, "checked     {checked}");
    if !models.is_empty() {
        let row = |model: &clearlane_store::ModelStats| {
            let counts = [model.dimension as u64, model.templates, model.subjects].map(|count| count.to_string());
            let [dimension, templates, covered] = counts;
            let coverage = Coverage { covered: model.subjects, subjects: *subjects };
            vec![format!("{:.12}", model.id), dimension, templates, covered, percent(coverage.share())]
        };
        let rows: Vec<_> = models.iter().map(row).collect();
        text.push('\n');
        text.push_str(&table(&["MODEL", "DIMENSION", "TEMPLATES", "SUBJECTS", "COVERAGE"], &[1, 2, 3, 4], &rows));
    }
    let rows: Vec<_> = keys.iter().map(|key| vec![key.id.to_string(), key.templates.to_string()]).collect();
    text.push('\n');
    text.push_str(&table(&["KEY", "TEMPLATES"], &[1], &rows));
    text
}
