//! `clearlane register export` and `clearlane register import`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use clearlane_store::Format;
use serde_json::json;

use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, write_streamed};
use crate::registers::RegisterArgs;

/// How subjects or records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Style {
    /// JSON Lines: one a line
    Jsonl,
    /// CSV: one a row, without templates
    Csv,
}

/// Write all enrolled subjects to a file
///
/// The format follows the file's name: .csv is CSV, anything else JSON Lines. The file appears whole or not at all.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The file to write
    file: PathBuf,
    /// The format, whatever the file's name
    #[arg(long, value_enum)]
    format: Option<Style>,
    /// Write templates too, in the clear: guard the file like the register's key
    #[arg(long)]
    templates: bool,
    #[command(flatten)]
    register: RegisterArgs,
}

/// Enrol the subjects of a file that `register export` wrote, or another system
///
/// Subjects that are enrolled already are left as they are, so that an interrupted import can be run again. Lines that
/// cannot be used are listed, the others are taken, and the exit code is 1. A register that is not there is made.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file to read
    file: PathBuf,
    /// The format, whatever the file's name
    #[arg(long, value_enum)]
    format: Option<Style>,
    #[command(flatten)]
    register: RegisterArgs,
}

pub(super) fn export(args: &ExportArgs, output: &Output) -> Result<Exit> {
    let register = args.register.open_read_only()?;
    let progress = output.progress(0, "exporting");
    let format = format_of(args.format, &args.file);
    let exported = write_streamed(&args.file, |out| {
        Ok(register.export(out, format, args.templates, |done, total| progress.at(done, total))?)
    })?;
    progress.done();
    let value = json!({ "file": args.file, "exported": exported, "templates": args.templates });
    output.result(&value, || format!("{exported} subjects are in {}\n", args.file.display()))?;
    Ok(Exit::Yes)
}

pub(super) fn import(args: &ImportArgs, output: &Output) -> Result<Exit> {
    let text = File::open(&args.file).map_err(|error| Failure::reading(&args.file, &error))?;
    let register = args.register.open_or_create()?;
    let progress = output.progress(0, "importing");
    let format = format_of(args.format, &args.file);
    let imported = register.import(&mut BufReader::new(text), format, |done| progress.at(done, done))?;
    progress.done();
    let refused: Vec<_> = imported
        .refused
        .iter()
        .map(|refusal| json!({ "line": refusal.line, "reason": refusal.error.to_string() }))
        .collect();
    let value = json!({ "enrolled": imported.enrolled, "present": imported.present, "refused": refused });
    output.result(&value, || {
        let mut text = format!("{} enrolled, {} were enrolled before\n", imported.enrolled, imported.present);
        for refusal in &imported.refused {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {}, line {}: {}", args.file.display(), refusal.line, refusal.error);
        }
        text
    })?;
    Ok(Exit::answer(imported.refused.is_empty()))
}

/// The format that is asked for, or the one of the file's name.
pub(in crate::commands) fn format_of(style: Option<Style>, file: &Path) -> Format {
    let named_csv = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    match style {
        Some(Style::Csv) => Format::Csv,
        None if named_csv => Format::Csv,
        _ => Format::JsonLines,
    }
}
