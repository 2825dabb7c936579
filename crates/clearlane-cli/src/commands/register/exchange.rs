//! `clearlane register export` and `clearlane register import`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use clearlane_store::{Format, ImportError, Imported, StoreError};
use serde_json::json;

use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, printable, shown, write_streamed};
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
/// cannot be used are listed, the others are taken, and the exit code is 1. Where the file cannot be read to its end, what
/// was read before is enrolled, and the report says up to which line. A register that is not there is made.
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
    let value = json!({ "file": shown(&args.file), "exported": exported, "templates": args.templates });
    output.result(&value, || format!("{exported} subjects are in {}\n", shown(&args.file)))?;
    Ok(Exit::Yes)
}

pub(super) fn import(args: &ImportArgs, output: &Output) -> Result<Exit> {
    let unreadable = |error: &std::io::Error| Failure::reading(&args.file, error);
    let mut text = BufReader::new(File::open(&args.file).map_err(|error| unreadable(&error))?);
    // A file that cannot be read makes no register.
    text.fill_buf().map_err(|error| unreadable(&error))?;
    let register = args.register.open_or_create()?;
    let progress = output.progress(0, "importing");
    let format = format_of(args.format, &args.file);
    let outcome = register.import(&mut text, format, |done| progress.at(done, done));
    progress.done();
    let (imported, ended) = match outcome {
        Ok(imported) => (imported, None),
        Err(ImportError { imported, source }) => (imported, Some(*source)),
    };
    report(&args.file, &imported, ended.is_some(), output)?;
    match ended {
        None => Ok(Exit::answer(imported.refused.is_empty())),
        Some(StoreError::Stream { source }) => Err(unreadable(&source)),
        Some(error @ StoreError::Line { .. }) => Err(Failure::at(Exit::Input, &args.file, &error)),
        Some(error) => Err(error.into()),
    }
}

/// Says what an import did, also where it `ended` before the file did.
fn report(file: &Path, imported: &Imported, ended: bool, output: &Output) -> Result<()> {
    let Imported { enrolled, present, refused, unlisted, lines } = imported;
    let listed: Vec<_> =
        refused.iter().map(|refusal| json!({ "line": refusal.line, "reason": reason(&refusal.error) })).collect();
    let value = json!({
        "enrolled": enrolled, "present": present, "refused": listed, "unlisted": unlisted, "lines": lines,
        "complete": !ended,
    });
    output.result(&value, || {
        let mut text = format!("{enrolled} enrolled, {present} were enrolled before\n");
        // Writing to a String cannot fail.
        for refusal in refused {
            let reason = printable(&reason(&refusal.error));
            let _ = writeln!(text, "  {}, line {}: {reason}", shown(file), refusal.line);
        }
        if *unlisted > 0 {
            let _ = writeln!(text, "  and {unlisted} lines more");
        }
        if ended {
            let _ = writeln!(
                text,
                "the import ended after line {lines}; what is above is done, and is passed over next time"
            );
        }
        text
    })
}

/// Why a line was refused, without its number.
fn reason(error: &StoreError) -> String {
    match error {
        StoreError::Line { reason, .. } => reason.clone(),
        error => error.to_string(),
    }
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
