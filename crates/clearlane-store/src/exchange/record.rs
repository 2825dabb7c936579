//! Crossing records out to text.

use std::io::{self, Write};

use serde::Serialize;

use super::{BATCH, Format, rows};
use crate::{Record, RecordQuery, Register, Result, StoreError};

/// The columns of CSV, by the names of a record's fields.
const COLUMNS: [&str; 15] = [
    "seq",
    "time",
    "port",
    "lane",
    "direction",
    "outcome",
    "subject",
    "score",
    "threshold",
    "margin",
    "model",
    "reasons",
    "voids",
    "hash",
    "encoding",
];

impl Register {
    /// Writes the crossing records that fit a query to `out`, the oldest first: all that the chain covers, and no face, no
    /// template and no document's number. `progress` gets how many are done. Returns how many.
    pub fn export_records(
        &self,
        out: &mut dyn Write,
        format: Format,
        query: RecordQuery,
        mut progress: impl FnMut(u64),
    ) -> Result<u64> {
        let mut done = 0;
        let mut step = || {
            done += 1;
            if done % BATCH as u64 == 0 {
                progress(done);
            }
        };
        match format {
            Format::JsonLines => {
                for record in self.records(query) {
                    serde_json::to_writer(&mut *out, &record?).map_err(|error| stream(error.into()))?;
                    out.write_all(b"\n").map_err(stream)?;
                    step();
                }
                out.flush().map_err(stream)?;
            }
            Format::Csv => {
                let mut csv = rows::writer(out, false);
                let failed = |error| stream(io::Error::other(error));
                csv.write_record(COLUMNS).map_err(failed)?;
                for record in self.records(query) {
                    csv.serialize(columns(&record?)).map_err(failed)?;
                    step();
                }
                csv.flush().map_err(stream)?;
            }
        }
        progress(done);
        Ok(done)
    }
}

/// In the order of [`COLUMNS`].
fn columns(record: &Record) -> impl Serialize {
    let passage = record.passage.clone();
    (
        (record.seq, passage.time, passage.port, passage.lane, passage.direction, passage.outcome, passage.subject),
        (passage.score, passage.threshold, passage.margin, passage.model, passage.reasons, passage.voids),
        (record.hash, record.encoding),
    )
}

fn stream(source: io::Error) -> StoreError {
    StoreError::Stream { source }
}
