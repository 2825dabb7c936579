//! `clearlane records verify`.

use std::fmt::Write as _;

use clap::Args;
use clearlane_store::CheckingCode;
use serde_json::json;

use super::list;
use crate::failure::{Exit, Result};
use crate::output::Output;
use crate::registers::RegisterArgs;

/// Verify the chain of all records, and the checking code of a printed one
///
/// Each record is held against the one before it, and the chain's ends against the register's key; what is wrong is named,
/// the first bad record first. With --code, the record that a printed page is of is shown, for an officer to compare with
/// the page.
///
/// Exit code 0 where the chain is sound and the code, if one is given, is that of a record; 1 otherwise.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// The checking code on a printed record
    #[arg(long, value_name = "CODE")]
    code: Option<CheckingCode>,
    #[command(flatten)]
    register: RegisterArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane records verify --register port.db --key-file port.key
  clearlane records verify --code 46000-7Z3K-9X2M-0QRT-V4WA --register port.db --key-file port.key";

pub(super) fn run(args: &VerifyArgs, output: &Output) -> Result<Exit> {
    let register = args.register.open_read_only()?;
    let progress = output.progress(0, "verifying");
    let chain = register.verify_records(|done, total| progress.at(done, total))?;
    progress.done();
    let record = match args.code {
        Some(code) => register.record(code.seq())?.filter(|record| record.code() == code),
        None => None,
    };
    let unknown = args.code.is_some() && record.is_none();
    let problems: Vec<_> = chain
        .problems
        .iter()
        .map(|problem| json!({ "row": problem.row.to_string(), "fault": problem.fault.to_string() }))
        .collect();
    let value = json!({
        "sound": chain.is_sound(), "records": chain.records, "ends_checked": chain.keyed, "problems": problems,
        "code": args.code, "record": record,
    });
    output.result(&value, || {
        let verdict = if chain.is_sound() { "sound" } else { "NOT sound" };
        let mut text = format!("{} crossing records: {verdict}\n", chain.records);
        for problem in &chain.problems {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {}: {}", problem.row, problem.fault);
        }
        if !chain.keyed {
            text.push_str("records cut off at the end would not be noticed: no key was given\n");
        }
        if let (Some(code), Some(record)) = (args.code, &record) {
            let _ = write!(text, "{code} is the code of this record:\n\n{}", list::text(record));
        }
        if unknown {
            text.push_str("the code is of NO record\n");
        }
        text
    })?;
    Ok(Exit::answer(chain.is_sound() && !unknown))
}
