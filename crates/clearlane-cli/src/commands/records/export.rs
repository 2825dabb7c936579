//! `clearlane records export`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::query::Filter;
use crate::commands::register::{Style, format_of};
use crate::failure::{Exit, Result};
use crate::output::{Output, shown, write_secret, write_streamed};
use crate::registers::RegisterArgs;

/// Write records to a file
///
/// The format follows the file's name: .csv is CSV, anything else JSON Lines. An export of all records, with the key of
/// their links (--link-key), holds what an auditor needs to compute the chain anew. The file appears whole or not at all.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExportArgs {
    /// The file to write
    file: PathBuf,
    /// The format, whatever the file's name
    #[arg(long, value_enum)]
    format: Option<Style>,
    /// Write the key of the records' links to this file as well; whoever has it can make records that fit
    #[arg(long, value_name = "FILE")]
    link_key: Option<PathBuf>,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    register: RegisterArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane records export records.jsonl --register port.db --key-file port.key
  clearlane records export referred.csv --outcome refer --from 2026-11-22T00:00:00Z --register port.db --key-file port.key";

pub(super) fn run(args: &ExportArgs, output: &Output) -> Result<Exit> {
    let register = args.register.open_read_only()?;
    let query = args.filter.query(&register)?;
    let format = format_of(args.format, &args.file);
    let progress = output.progress(0, "exporting");
    let exported = write_streamed(&args.file, |out| {
        Ok(register.export_records(out, format, query, |done| progress.at(done, done))?)
    })?;
    progress.done();
    if let Some(path) = &args.link_key {
        // Written as keys are: 64 hexadecimal digits.
        write_secret(path, &register.record_key()?.to_hex())?;
    }
    let value = json!({ "file": shown(&args.file), "exported": exported });
    output.result(&value, || format!("{exported} records are in {}\n", shown(&args.file)))?;
    Ok(Exit::Yes)
}
