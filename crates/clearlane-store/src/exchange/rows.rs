//! Rows of CSV as values: read strictly and within limits, and written.

use std::io::{BufRead, Write};

use csv::{ErrorKind, ReaderBuilder, StringRecord, Trim, WriterBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::pieces::{BYTE_ORDER_MARK, Kind, Pieces};
use super::{Part, invalid_line};
use crate::{Result, StoreError};

/// The columns of a CSV text, in any order, each once.
#[derive(Clone, Copy, Debug)]
pub struct CsvColumns<'c> {
    /// Those that must be there.
    pub needed: &'c [&'c str],
    /// Those that may be left out.
    pub others: &'c [&'c str],
}

impl<'c> CsvColumns<'c> {
    fn iter(self) -> impl Iterator<Item = &'c str> {
        self.needed.iter().chain(self.others).copied()
    }

    /// What is wrong with a header. A misspelt column would lose what stands in it without a word.
    fn refuse(self, header: &StringRecord) -> Option<String> {
        let known = self.iter().collect::<Vec<_>>().join(", ");
        let twice = |(index, name): (usize, &str)| header.iter().take(index).any(|earlier| earlier == name);
        let unknown = header.iter().find(|name| self.iter().all(|column| column != *name));
        let missing = self.needed.iter().find(|column| header.iter().all(|name| name != **column));
        let doubled = header.iter().enumerate().find(|column| twice(*column)).map(|(_, name)| name);
        unknown
            .map(|name| format!("expected one of the columns {known}, got `{name}`"))
            .or_else(|| missing.map(|name| format!("the column `{name}` is missing; the columns are {known}")))
            .or_else(|| doubled.map(|name| format!("the column `{name}` is there twice")))
    }
}

/// The rows of a CSV text, each with the number of its line; the first line names the columns. No row of more than 4 MiB
/// is held, whatever the text says. The inner error is a row's own, and the rows after it follow; the outer one is the
/// stream's.
pub fn csv_rows<'a, T: DeserializeOwned + 'a>(
    text: &'a mut dyn BufRead,
    columns: CsvColumns<'_>,
) -> Result<impl Iterator<Item = Result<(u64, Result<T>)>> + 'a> {
    let rows = parts(text, columns)?;
    Ok(rows.map(|part| part.map(|Part { line, content, .. }| (line, content))))
}

/// Writes rows as [`csv_rows`] reads them; the first line names the columns by the fields of a row.
pub fn write_csv<T: Serialize>(out: &mut dyn Write, rows: impl IntoIterator<Item = T>) -> Result<()> {
    let mut csv = writer(out, true);
    for row in rows {
        csv.serialize(row).map_err(|error| StoreError::Stream { source: error.into() })?;
    }
    csv.flush().map_err(|source| StoreError::Stream { source })
}

/// What all CSV is written by.
pub(super) fn writer<W: Write>(out: W, has_header: bool) -> csv::Writer<W> {
    WriterBuilder::new().has_headers(has_header).from_writer(out)
}

pub(super) fn parts<'a, T: DeserializeOwned + 'a>(
    text: &'a mut dyn BufRead,
    columns: CsvColumns<'_>,
) -> Result<impl Iterator<Item = Result<Part<T>>> + 'a> {
    let mut pieces = Pieces::new(text, Kind::Records);
    // A text without a header has no rows either: an empty register is exported so.
    let header = match pieces.next()? {
        Some(first) => fields(&first.content?).map_err(|reason| invalid_line(first.line, reason))?,
        None => StringRecord::new(),
    };
    if let Some(reason) = columns.refuse(&header).filter(|_| !header.is_empty()) {
        return Err(invalid_line(1, reason));
    }
    Ok(std::iter::from_fn(move || {
        let piece = pieces.next().transpose()?;
        Some(piece.map(|piece| {
            let bytes = piece.content.as_ref().map_or(0, |content| content.len());
            let row = |content: &[u8]| row(content, &header).map_err(|reason| invalid_line(piece.line, reason));
            Part { line: piece.line, last: piece.last, bytes, content: piece.content.and_then(|content| row(&content)) }
        }))
    }))
}

fn row<T: DeserializeOwned>(content: &[u8], header: &StringRecord) -> Result<T, String> {
    if content.starts_with(BYTE_ORDER_MARK) {
        return Err(
            "begins with a byte-order mark, which belongs at a file's beginning: were two files joined?".to_owned()
        );
    }
    let record = fields(content)?;
    if record.len() != header.len() {
        return Err(format!(
            "expected {} fields, one for each column of the header, got {}",
            header.len(),
            record.len()
        ));
    }
    record.deserialize(Some(header)).map_err(|error| {
        let problem = problem(&error);
        // Reading ends at the first wrong column, and says what is wrong there but not where: without that column, and
        // without none after it, something else is wrong, or nothing.
        let column = (0..record.len()).rev().find(|column| {
            let without: StringRecord =
                record.iter().zip(0..).map(|(field, at)| if at == *column { "" } else { field }).collect();
            !without.deserialize::<T>(Some(header)).is_err_and(|other| is_same(&error, &other))
        });
        column.and_then(|column| header.get(column)).map_or(problem.clone(), |column| format!("{column}: {problem}"))
    })
}

fn is_same(one: &csv::Error, other: &csv::Error) -> bool {
    match (one.kind(), other.kind()) {
        (ErrorKind::Deserialize { err: one, .. }, ErrorKind::Deserialize { err: other, .. }) => {
            one.kind() == other.kind()
        }
        _ => false,
    }
}

fn problem(error: &csv::Error) -> String {
    match error.kind() {
        ErrorKind::Deserialize { err, .. } => err.kind().to_string(),
        _ => error.to_string(),
    }
}

/// The fields of one record, without the white space around them.
fn fields(content: &[u8]) -> Result<StringRecord, String> {
    let mut record = StringRecord::new();
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(content);
    match reader.read_record(&mut record) {
        Ok(_) => Ok(record),
        Err(error) => Err(match error.kind() {
            ErrorKind::Utf8 { err, .. } => format!("field {} is not UTF-8", err.field() + 1),
            _ => error.to_string(),
        }),
    }
}
