//! `clearlane register check`.

use std::fmt::Write as _;

use clap::Args;
use clearlane_store::Report;
use serde_json::json;

use crate::failure::{Exit, Result};
use crate::output::Output;
use crate::registers::RegisterArgs;

/// Check structure, seals and the chain of crossing records, row by row
///
/// Exit code 0 where all is sound, 1 where something is wrong. Without a key the seals cannot be checked, and it says so.
/// Lanes open only while the last check found nothing wrong.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    register: RegisterArgs,
}

pub(super) fn run(args: &CheckArgs, output: &Output) -> Result<Exit> {
    let register = args.register.open()?;
    let progress = output.progress(0, "checking");
    let report = register.check(|done, total| progress.at(done, total))?;
    progress.done();
    let Report { subjects, templates, records, keyed, problems } = &report;
    let wrong: Vec<_> = problems
        .iter()
        .map(|problem| json!({ "row": problem.row.to_string(), "fault": problem.fault.to_string() }))
        .collect();
    let value = json!({
        "sound": report.is_sound(), "subjects": subjects, "templates": templates, "records": records,
        "seals_checked": keyed, "problems": wrong,
    });
    output.result(&value, || {
        let mut text = format!("{subjects} subjects, {templates} templates, {records} crossing records: ");
        text.push_str(if report.is_sound() { "sound\n" } else { "NOT sound\n" });
        for problem in problems {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {}: {}", problem.row, problem.fault);
        }
        if !keyed {
            text.push_str("seals were not checked: no key was given\n");
        }
        text
    })?;
    Ok(Exit::answer(report.is_sound()))
}
