//! The register out to text and in from it: JSON Lines (one subject or record a line) and CSV (one a row).

mod csv;
mod line;
mod record;

use std::io::{BufRead, Read as _, Write};
use std::sync::Arc;

use clearlane_template::SubjectId;
use zeroize::Zeroizing;

use crate::{Enrolment, Register, Result, StoreError, Turn};
use line::Line;

/// A text format for subjects and crossing records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, with the fields of [`Details`](crate::Details) beside `key`, `enrolled` and `templates`. A
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
    /// The lines that were refused.
    pub refused: Vec<Refusal>,
}

/// A line of an import that was refused.
#[derive(Debug)]
pub struct Refusal {
    /// The line, counted from 1.
    pub line: u64,
    /// Why.
    pub error: StoreError,
}

/// How many lines a transaction takes.
const BATCH: usize = 1000;

/// The longest line: two hundred templates.
const MAX_LINE: u64 = 4 << 20;

impl Register {
    /// Writes all enrolled subjects to `out`; who comes or goes meanwhile may be among them or not. With `templates`, which JSON Lines alone can hold, *in the clear* and as
    /// their models made them: what comes out is to be guarded like the key. `progress` gets how many subjects are done,
    /// of how many. Returns how many.
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
        let models = if templates { self.turns()? } else { Vec::new() };
        let mut csv = csv::Writer::new();
        let mut done = 0;
        for subject in self.subjects() {
            let subject = subject?;
            let text = match format {
                Format::Csv => Zeroizing::new(csv.row(&Line::new(subject))?),
                Format::JsonLines => {
                    let mut line = Line::new(subject);
                    for turn in &models {
                        for stored in self.templates(SubjectId(line.id), turn.model())? {
                            line.add_template(&turn.undo(&stored.template)?, self.source(stored.id)?);
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
    /// the others are taken; subjects that are enrolled already are left as they are. `progress` gets how many lines are
    /// done.
    pub fn import(&self, text: &mut dyn BufRead, format: Format, mut progress: impl FnMut(u64)) -> Result<Imported> {
        let mut imported = Imported::default();
        let mut batch = Vec::with_capacity(BATCH);
        let mut lines: Box<dyn Iterator<Item = Result<(u64, Result<Line>)>> + '_> = match format {
            Format::JsonLines => Box::new(json_lines(text)),
            Format::Csv => Box::new(csv::rows(text)?),
        };
        loop {
            let next = lines.next().transpose()?;
            let more = next.is_some();
            if let Some((number, line)) = next {
                match line.and_then(|line| line.enrolment(self)) {
                    Ok(enrolment) => batch.push((number, enrolment)),
                    Err(error) => imported.refused.push(Refusal { line: number, error }),
                }
                if number.is_multiple_of(BATCH as u64) {
                    progress(number);
                }
            }
            if batch.len() == BATCH || !more {
                self.take(&mut batch, &mut imported)?;
            }
            if !more {
                return Ok(imported);
            }
        }
    }

    fn take(&self, batch: &mut Vec<(u64, Enrolment)>, imported: &mut Imported) -> Result<()> {
        let (numbers, enrolments): (Vec<u64>, Vec<Enrolment>) = batch.drain(..).unzip();
        for (line, result) in numbers.into_iter().zip(self.enrol_all(&enrolments)?) {
            match result {
                Ok(_) => imported.enrolled += 1,
                Err(StoreError::AlreadyEnrolled { .. }) => imported.present += 1,
                Err(error) => imported.refused.push(Refusal { line, error }),
            }
        }
        Ok(())
    }

    fn turns(&self) -> Result<Vec<Arc<Turn>>> {
        let models = self.read(|state| Ok(state.roster.models().collect::<Vec<_>>()))?;
        models.into_iter().map(|model| self.turn(model.id)).collect()
    }
}

/// Lines with their numbers; empty ones are passed over. The inner error is the line's own.
fn json_lines(text: &mut dyn BufRead) -> impl Iterator<Item = Result<(u64, Result<Line>)>> + '_ {
    let mut number = 0;
    std::iter::from_fn(move || {
        loop {
            let mut line = Zeroizing::new(Vec::new());
            number += 1;
            match (&mut *text).take(MAX_LINE + 1).read_until(b'\n', &mut line) {
                Err(source) => return Some(Err(StoreError::Stream { source })),
                Ok(0) => return None,
                Ok(length) if length as u64 > MAX_LINE => {
                    let reason = format!("longer than {MAX_LINE} bytes");
                    return Some(Err(StoreError::Line { line: number, reason }));
                }
                Ok(_) if line.trim_ascii().is_empty() => {}
                Ok(_) => {
                    let parsed = serde_json::from_slice(&line);
                    let invalid =
                        |error: serde_json::Error| StoreError::Line { line: number, reason: error.to_string() };
                    return Some(Ok((number, parsed.map_err(invalid))));
                }
            }
        }
    })
}
