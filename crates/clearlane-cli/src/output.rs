//! Where results go: text or JSON on standard output, errors on standard error.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use clap::builder::{PathBufValueParser, TypedValueParser};
use clearlane_embed::Quality;
use clearlane_template::{is_disguise, without_temporary_name};
use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

use crate::cli::Common;
use crate::failure::{Exit, Failure, Result};
use crate::progress::Progress;

pub(crate) use clearlane_template::{ShownPath, shown};

/// A text that a file may have had a part in, without what commands a terminal or turns the text around.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => printable.push(character),
            disguise if is_disguise(disguise) => printable.extend(disguise.escape_default()),
            other => printable.push(other),
        }
    }
    printable
}

/// How this run of the command speaks.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    pub(crate) fn new(common: &Common) -> Self {
        Self { json: common.json, quiet: common.quiet }
    }

    /// Whether JSON is asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a result: `value` as JSON, or the lines of `text`.
    pub(crate) fn result(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        if self.json { print(&json(value)?) } else { print(&text()) }
    }

    /// Prints one of many results as it comes: `value` as one line of JSON, or `text` as it is.
    pub(crate) fn line(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        let mut line = if self.json {
            serde_json::to_string(value)
                .map_err(|error| Failure::new(Exit::System, format!("cannot write JSON: {error}")))?
        } else {
            text()
        };
        line.push('\n');
        print(&line)
    }

    /// Something that the user should know, and that stops nothing.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet && !self.json {
            anstream::eprintln!("{}note:{} {}", bold().render(), bold().render_reset(), printable(text));
        }
    }

    /// Says why the command ends.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            let error =
                serde_json::json!({ "error": failure.message, "help": failure.help, "exit": failure.exit as u8 });
            eprintln!("{error}");
            return;
        }
        let red = bold().fg_color(Some(AnsiColor::Red.into()));
        anstream::eprintln!("{}error:{} {}", red.render(), red.render_reset(), printable(&failure.message));
        if let Some(help) = &failure.help {
            anstream::eprintln!("{}help:{} {help}", bold().render(), bold().render_reset());
        }
    }

    /// A progress bar over `total` steps, where somebody sees it.
    pub(crate) fn progress(&self, total: u64, what: &'static str) -> Progress {
        Progress::new(total, what, self.is_watched())
    }

    /// As [`Output::progress`], over a table.
    pub(crate) fn table(&self, total: u64) -> Progress {
        Progress::with_table(total, self.is_watched())
    }

    /// As [`Output::progress`], of bytes.
    #[cfg(feature = "fetch")]
    pub(crate) fn bytes(&self) -> Progress {
        Progress::of_bytes(self.is_watched())
    }

    fn is_watched(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }
}

/// A value as lines of JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<String> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::new(Exit::System, format!("cannot write JSON: {error}")))?;
    text.push('\n');
    Ok(text)
}

/// Writes to standard output. A reader who has seen enough, such as `head`, ends the command without an error.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Failure::new(Exit::System, format!("cannot write to standard output: {error}"))),
    }
}

/// Writes a file whole or not at all: beside its place first, then into it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    write_streamed(path, |out| out.write_all(bytes).map_err(|error| Failure::writing(path, &error)))
}

/// As [`write_whole`], of what `write` writes.
pub(crate) fn write_streamed<T>(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
    let failed = |error: io::Error| Failure::writing(path, &error);
    let made = tempfile::NamedTempFile::new_in(folder(path)).map_err(|error| failed(without_temporary_name(error)));
    let mut out = BufWriter::new(made?);
    let written = write(&mut out)?;
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(written)
}

/// Reads an argument that names a file to be made. One that cannot be is refused before the work that would fill it.
pub(crate) fn to_be_made() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| can_be_made(&path).map(|()| path))
}

/// Whether a file can be made, and if not, why.
pub(crate) fn can_be_made(path: &Path) -> Result<(), String> {
    match tempfile::NamedTempFile::new_in(folder(path)).map_err(without_temporary_name) {
        Ok(_) if path.is_dir() => Err("it cannot be made: it is a folder".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("it cannot be made: {error}")),
    }
}

/// The folder of a file that is to be made.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a new file that only its owner can read. One that is there already is left alone.
pub(crate) fn write_secret(path: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || -> io::Result<()> {
        let mut file = options.open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| Failure::writing(path, &error))
}

fn bold() -> Style {
    Style::new().bold()
}

/// Columns as wide as their widest cell is in a terminal; those that `right` names are flushed right.
pub(crate) fn table(header: &[&str], right: &[usize], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    let lines: Vec<&Vec<String>> = std::iter::once(&header).chain(rows).collect();
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.width()).max();
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for (column, cell) in line.iter().enumerate() {
            let padding = " ".repeat(width(column).unwrap_or(0) - cell.width());
            let gap = if column == 0 { "" } else { "  " };
            if right.contains(&column) {
                row.extend([gap, &padding, cell]);
            } else {
                row.extend([gap, cell, &padding]);
            }
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// A line that says what makes scores with a picture doubtful; empty where nothing does.
pub(crate) fn doubts(picture: &impl fmt::Display, quality: &Quality) -> String {
    let doubts: Vec<String> = quality.doubts().iter().map(ToString::to_string).collect();
    if doubts.is_empty() { String::new() } else { format!("{picture}: {}\n", doubts.join(", ")) }
}

/// A share as a percentage with two decimals.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}
