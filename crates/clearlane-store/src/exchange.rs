//! The register out to text and in from it: JSON Lines (one subject or record a line) and CSV (one a row).

mod csv;
mod line;
mod objects;
mod pieces;
mod record;
mod rows;

use std::fmt::Display;
use std::io::{BufRead, Write};
use std::sync::Arc;

use clearlane_template::SubjectId;
use zeroize::Zeroizing;

use crate::{Enrolment, Register, Result, StoreError, TemplateProtection};
use line::Line;
use pieces::{Kind, Pieces};
pub use rows::{CsvColumns, csv_rows, write_csv};

/// A text format for subjects and crossing records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, with the fields of [`Details`](crate::Details), and `key`, `enrolled` and `templates`. A
    /// document has either its `number`, which is digested as it comes in, or the `number_digest` of an export.
    JsonLines,
    /// A header and one row a subject, the documents as JSON in one column. Holds no templates.
    Csv,
}

/// What [`Register::import`] did.
#[derive(Debug, Default)]
pub struct Imported {
    /// How many subjects were enrolled.
    pub enrolled: u64,
    /// How many were enrolled already, under the same key, and left as they are: an import that was interrupted can be
    /// run again.
    pub present: u64,
    /// The lines that were refused, the first [`MAX_REFUSALS`] of them.
    pub refused: Vec<Refusal>,
    /// How many more were refused.
    pub unlisted: u64,
    /// The last line that was dealt with: each up to it was enrolled, present, refused or empty.
    pub lines: u64,
}

/// A line of an import that was refused.
#[derive(Debug)]
pub struct Refusal {
    /// The line, counted from 1; of a CSV record that goes over several, the first.
    pub line: u64,
    /// Why.
    pub error: StoreError,
}

/// An import ended before its text did. What it had read before is enrolled, as `imported` says.
#[derive(Debug, thiserror::Error)]
#[error("{source}; the import ended after line {}, with {} enrolled", imported.lines, imported.enrolled)]
pub struct ImportError {
    /// What was done before.
    pub imported: Imported,
    /// Why it ended.
    pub source: Box<StoreError>,
}

/// The most refused lines that an import lists.
pub const MAX_REFUSALS: usize = 10_000;

/// How many lines a transaction takes at most, and after how many bytes of them it takes no more.
const BATCH: usize = 1000;
const BATCH_BYTES: usize = 16 << 20;

/// The most characters of a reason that a line is refused for: it may name what stands there, at any length.
const MAX_REASON: usize = 400;

impl Register {
    /// Writes all enrolled subjects to `out`; who comes or goes meanwhile may be among them or not. With `templates`, which
    /// JSON Lines alone can hold, these are *in the clear* and as their models made them: guard what comes out like the key.
    /// `progress` gets how many subjects are done, of how many. Returns how many.
    pub fn export(
        &self,
        out: &mut dyn Write,
        format: Format,
        templates: bool,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<u64> {
        if templates && format == Format::Csv {
            let reason = "CSV holds no templates; choose JSON Lines".to_owned();
            return Err(StoreError::Invalid { field: "format", reason });
        }
        let total = self.stats()?.subjects;
        let models = if templates { self.protections()? } else { Vec::new() };
        let mut csv = csv::Writer::new();
        let mut done = 0;
        for subject in self.subjects() {
            let subject = subject?;
            let text = match format {
                Format::Csv => Zeroizing::new(csv.row(&Line::new(subject))?),
                Format::JsonLines => {
                    let mut line = Line::new(subject);
                    for protection in &models {
                        for stored in self.templates(SubjectId(line.id), protection.model())? {
                            line.add_template(&protection.undo(&stored.template)?, self.source(stored.id)?);
                        }
                    }
                    line.json()
                }
            };
            out.write_all(text.as_bytes()).map_err(|source| StoreError::Stream { source })?;
            done += 1;
            if done % BATCH as u64 == 0 {
                progress(done, total);
            }
        }
        out.flush().map_err(|source| StoreError::Stream { source })?;
        progress(done, total);
        Ok(done)
    }

    /// Enrols all subjects of a text, a thousand in a transaction. A line that cannot be read or enrolled is reported and
    /// the others are taken; subjects that are enrolled already are left as they are. Lines and CSV records of more than
    /// 4 MiB are refused and never held. A byte-order mark at the beginning and empty lines are passed over; lines end with
    /// LF or CR LF, the last one with or without. `progress` gets how many lines are done.
    ///
    /// An error of the text's stream or of the register ends the import. What was read before is stored first.
    pub fn import(
        &self,
        text: &mut dyn BufRead,
        format: Format,
        progress: impl FnMut(u64),
    ) -> Result<Imported, ImportError> {
        let mut import = Import { register: self, batch: Vec::new(), bytes: 0, last: 0, imported: Imported::default() };
        let outcome = import.run(text, format, progress);
        let mut imported = import.imported;
        // What cannot be read is refused at once, what cannot be enrolled with its batch.
        imported.refused.sort_by_key(|refusal| refusal.line);
        match outcome {
            Ok(()) => Ok(imported),
            Err(source) => Err(ImportError { imported, source: Box::new(source) }),
        }
    }

    fn protections(&self) -> Result<Vec<Arc<TemplateProtection>>> {
        let models = self.read(|state| Ok(state.roster.models().collect::<Vec<_>>()))?;
        models.into_iter().map(|model| self.protection(model.id)).collect()
    }
}

/// An import under way.
struct Import<'a> {
    register: &'a Register,
    /// Who is to be enrolled next, with their lines.
    batch: Vec<(u64, Enrolment)>,
    /// How much text the batch is of.
    bytes: usize,
    /// The last line that was read.
    last: u64,
    imported: Imported,
}

/// A line or row that was read, or why it could not be.
struct Part<T> {
    line: u64,
    last: u64,
    bytes: usize,
    content: Result<T>,
}

impl Import<'_> {
    fn run(&mut self, text: &mut dyn BufRead, format: Format, mut progress: impl FnMut(u64)) -> Result<()> {
        let parts: Box<dyn Iterator<Item = Result<Part<Line>>> + '_> = match format {
            Format::JsonLines => Box::new(json_lines(text)),
            Format::Csv => Box::new(csv::lines(text)?),
        };
        let mut read = 0_u64;
        for part in parts {
            if let Err(error) = part.and_then(|part| self.add(part)) {
                // The error is told once what came before it is stored.
                return self.store().and(Err(error));
            }
            read += 1;
            if read.is_multiple_of(BATCH as u64) {
                progress(self.last);
            }
            if self.batch.len() == BATCH || self.bytes >= BATCH_BYTES {
                self.store()?;
            }
        }
        self.store()
    }

    fn add(&mut self, part: Part<Line>) -> Result<()> {
        match part.content.and_then(|line| line.enrolment(self.register)) {
            Ok(enrolment) => {
                self.batch.push((part.line, enrolment));
                self.bytes += part.bytes;
            }
            Err(error) if error.is_of_register() => return Err(error),
            Err(error) => self.imported.refuse(part.line, error),
        }
        self.last = part.last;
        Ok(())
    }

    /// Enrols the batch.
    fn store(&mut self) -> Result<()> {
        let (lines, enrolments): (Vec<u64>, Vec<Enrolment>) = self.batch.drain(..).unzip();
        self.bytes = 0;
        let outcomes = if enrolments.is_empty() { Vec::new() } else { self.register.enrol_all(&enrolments)? };
        for (line, outcome) in lines.into_iter().zip(outcomes) {
            match outcome {
                Ok(_) => self.imported.enrolled += 1,
                Err(StoreError::AlreadyEnrolled { .. }) => self.imported.present += 1,
                Err(error) => self.imported.refuse(line, error),
            }
        }
        self.imported.lines = self.last;
        Ok(())
    }
}

impl Imported {
    fn refuse(&mut self, line: u64, error: StoreError) {
        if self.refused.len() < MAX_REFUSALS {
            self.refused.push(Refusal { line, error });
        } else {
            self.unlisted += 1;
        }
    }
}

fn json_lines(text: &mut dyn BufRead) -> impl Iterator<Item = Result<Part<Line>>> + '_ {
    let mut pieces = Pieces::new(text, Kind::Lines);
    std::iter::from_fn(move || {
        let piece = pieces.next().transpose()?;
        Some(piece.map(|piece| {
            let bytes = piece.content.as_ref().map_or(0, |content| content.len());
            let parsed = |content: &[u8]| Line::parse(content).map_err(|reason| invalid_line(piece.line, reason));
            let content = piece.content.and_then(|content| parsed(&content));
            Part { line: piece.line, last: piece.last, bytes, content }
        }))
    })
}

/// A line cannot be read.
fn invalid_line(line: u64, reason: impl Display) -> StoreError {
    let mut reason = reason.to_string();
    if let Some((end, _)) = reason.char_indices().nth(MAX_REASON) {
        reason.truncate(end);
        reason.push_str(" ...");
    }
    StoreError::Line { line, reason }
}
