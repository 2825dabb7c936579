//! Crossing records: who passed where and when, and with what outcome. Never a face, a template or a document number.

use std::collections::VecDeque;

use clearlane_template::{ModelId, SubjectId};
use jiff::Timestamp;
use rusqlite::ToSql;
use serde::{Deserialize, Serialize};

use crate::error::Sql as _;
use crate::state::State;
use crate::subject::check_text;
use crate::table::{ENCODING, Table, count_ahead};
use crate::tables::{Derived, RecordRow};
use crate::words::{Direction, Outcome};
use crate::{RecordHash, Register, Result, Row, StoreError, chain, clock};

/// A passage, to be recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewRecord {
    /// When.
    pub time: Timestamp,
    /// At which port.
    pub port: String,
    /// In which lane.
    pub lane: String,
    /// In which direction.
    pub direction: Direction,
    /// With what outcome.
    pub outcome: Outcome,
    /// Who: the one admitted, or the candidate of a referral, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectId>,
    /// The comparison score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
    /// The threshold it was held against. On whom it was measured is not in the record: it stands in the models' manifest, at
    /// `model`, under the populations that the policy names which was in force at `time`; of several it is the strictest one's.
    /// Keep both files with the records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
    /// How far the next subject's score was behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f32>,
    /// The model that made the templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
    /// Why a passage was referred, in the lane's words; empty where there is nothing to say.
    #[serde(default)]
    pub reasons: String,
    /// The number of an earlier record that this one takes back: an admission whose gate was not opened after all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voids: Option<u64>,
}

/// A crossing record.
///
/// Its hash makes the chain. An auditor computes it anew from an export with BLAKE3, keyed with [`Register::record_key`],
/// over the 32 bytes of the hash before it and the record's canonical encoding: the values below in this order, each as a tag
/// of one byte, the length of its bytes as 8 bytes (little-endian), and its bytes. Records of encoding 1, made by earlier
/// versions, have `record 1` at their head, no `voids`, and are hashed in key-derivation mode under the context
/// `clearlane 2025 crossing record`, without a key.
///
/// | value | tag | bytes |
/// |---|---|---|
/// | `record 3` | `t` | UTF-8 |
/// | number | `n` | 8, little-endian |
/// | time, milliseconds of the Unix epoch | `n` | 8, little-endian, signed |
/// | port, lane, direction, outcome | `t` each | UTF-8 |
/// | subject | `n`, `-` where there is none | 8, little-endian |
/// | score, threshold, margin | `b` each, `-` where there is none | 4: IEEE 754 binary32, little-endian |
/// | model | `b`, `-` where there is none | 32 |
/// | reasons | `t` | UTF-8 |
/// | number of the record that is taken back | `n`, `-` where there is none | 8, little-endian |
///
/// Before the first record stands the BLAKE3 key derivation of the register's id (16 bytes) under the context
/// `clearlane 2025 crossing record chain`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its number: records are numbered without gaps.
    pub seq: u64,
    /// The passage.
    #[serde(flatten)]
    pub passage: NewRecord,
    /// Its place in the chain.
    pub hash: RecordHash,
    /// Which encoding the hash covers: 1 or 3.
    pub encoding: u8,
}

/// Which records are asked for: those that fit all that is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordQuery {
    /// Of this subject.
    pub subject: Option<SubjectId>,
    /// At this port.
    pub port: Option<String>,
    /// In this direction.
    pub direction: Option<Direction>,
    /// With this outcome.
    pub outcome: Option<Outcome>,
    /// Not before this time.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

/// The most bytes of a record's reasons.
pub const MAX_REASONS: usize = 4096;

impl Register {
    /// Records several passages in one transaction, which costs one wait for the disk.
    pub fn append_records(&self, records: &[NewRecord]) -> Result<Vec<Record>> {
        records.iter().try_for_each(NewRecord::check)?;
        self.write(|state| {
            chain::check_ends(state)?;
            records.iter().map(|record| append(state, record)).collect()
        })
    }

    /// The records that fit a query, the oldest first. Nothing is locked meanwhile.
    pub fn records(&self, query: RecordQuery) -> Records<'_> {
        Records { register: self, query, after: 0, page: VecDeque::new(), done: false }
    }

    /// The newest record that fits a query: such as the last entry of a subject at a port.
    pub fn last_record(&self, query: &RecordQuery) -> Result<Option<Record>> {
        self.read(|state| select(state, query, 0, "DESC LIMIT 1")?.pop().map(|(_, record)| record).transpose())
    }

    /// The record with this number.
    pub fn record(&self, seq: u64) -> Result<Option<Record>> {
        let Ok(seq) = i64::try_from(seq) else { return Ok(None) };
        self.read(|state| {
            let found = select(state, &RecordQuery::default(), seq.saturating_sub(1), "ASC LIMIT 1")?.pop();
            found.filter(|(at, _)| *at == seq).map(|(_, record)| record).transpose()
        })
    }
}

impl NewRecord {
    pub(crate) fn check(&self) -> Result<()> {
        check_text("port", &self.port)?;
        check_text("lane", &self.lane)?;
        if self.reasons.len() > MAX_REASONS {
            let reason = format!("{} bytes long, at most {MAX_REASONS} can be stored", self.reasons.len());
            return Err(StoreError::Invalid { field: "reasons", reason });
        }
        for (field, value) in [("score", self.score), ("threshold", self.threshold), ("margin", self.margin)] {
            if let Some(value) = value.filter(|value| !value.is_finite()) {
                return Err(StoreError::Invalid { field, reason: format!("{value} cannot be stored") });
            }
        }
        Ok(())
    }

    /// The row, without its hash as yet.
    fn row(&self, seq: i64) -> RecordRow {
        let Self { time, port, lane, direction, outcome, subject, score, threshold, margin, model, reasons, voids } =
            self.clone();
        let (voids, encoding) = (voids.map(|seq| seq as i64), ENCODING);
        RecordRow {
            seq,
            time,
            port,
            lane,
            direction,
            outcome,
            subject,
            score,
            threshold,
            margin,
            model,
            reasons,
            voids,
            hash: Derived([0; 32]),
            encoding,
        }
    }
}

/// Appends a record that was checked, to a chain whose end was found to be the one that the root names.
pub(crate) fn append(state: &mut State<'_>, record: &NewRecord) -> Result<Record> {
    let mut row = record.row(state.root.last_record + 1);
    let hash = chain::link(state, &state.root.record_hash.0, &row)?;
    row.hash = Derived(hash.0);
    row.insert(state.connection)?;
    count_ahead(state.connection, "record", row.seq)?;
    (state.root.last_record, state.root.record_hash) = (row.seq, hash);
    // A clock that cannot be right does not count for later ones.
    if clock::plausible(state.root.clock, record.time).is_ok() {
        state.root.clock = state.root.clock.max(Some(record.time));
    }
    Ok(Record { seq: row.seq as u64, passage: record.clone(), hash, encoding: ENCODING as u8 })
}

/// Records, a page at a time. See [`Register::records`].
#[derive(Debug)]
pub struct Records<'a> {
    register: &'a Register,
    query: RecordQuery,
    after: i64,
    page: VecDeque<Result<Record>>,
    done: bool,
}

impl Records<'_> {
    /// Those alone whose number is higher than `seq`.
    #[must_use]
    pub fn after(mut self, seq: u64) -> Self {
        self.after = i64::try_from(seq).unwrap_or(i64::MAX);
        self
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty() && !self.done {
            let order = format!("ASC LIMIT {PAGE}");
            let page = self.register.read(|state| select(state, &self.query, self.after, &order));
            let page = page.unwrap_or_else(|error| vec![(self.after, Err(error))]);
            self.done = page.len() < PAGE;
            self.after = page.last().map_or(self.after, |(seq, _)| *seq);
            self.page = page.into_iter().map(|(_, record)| record).collect();
        }
        self.page.pop_front()
    }
}

const PAGE: usize = 1024;

/// Records that fit a query, with their numbers; a row that is refused is an error in its place.
fn select(state: &State<'_>, query: &RecordQuery, after: i64, order: &str) -> Result<Vec<(i64, Result<Record>)>> {
    let mut conditions = vec!["seq > ?"];
    let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(after)];
    let mut condition = |sql, value: Option<Box<dyn ToSql>>| {
        if let Some(value) = value {
            conditions.push(sql);
            values.push(value);
        }
    };
    let time = |time: Timestamp| -> Box<dyn ToSql> { Box::new(time.as_millisecond()) };
    condition("subject = ?", query.subject.map(|subject| Box::new(subject.0 as i64) as _));
    condition("port = ?", query.port.clone().map(|port| Box::new(port) as _));
    condition("direction = ?", query.direction.map(|word| Box::new(word.as_str()) as _));
    condition("outcome = ?", query.outcome.map(|word| Box::new(word.as_str()) as _));
    condition("time >= ?", query.from.map(time));
    condition("time < ?", query.until.map(time));
    let sql = format!("{} WHERE {} ORDER BY seq {order}", RecordRow::SELECT, conditions.join(" AND "));
    let mut statement = state.connection.prepare_cached(&sql).sql()?;
    let mut rows = statement.query(rusqlite::params_from_iter(values)).sql()?;
    let mut records = Vec::new();
    while let Some(row) = rows.next().sql()? {
        let seq: i64 = row.get(0).sql()?;
        let record = match RecordRow::read(row)? {
            Ok(row) => chain::check_one(state, &row).map(|()| record(row)),
            Err(fault) => Err(Row::Record(seq as u64).refused(fault)),
        };
        records.push((seq, record));
    }
    Ok(records)
}

fn record(row: RecordRow) -> Record {
    let passage = NewRecord {
        time: row.time,
        port: row.port,
        lane: row.lane,
        direction: row.direction,
        outcome: row.outcome,
        subject: row.subject,
        score: row.score,
        threshold: row.threshold,
        margin: row.margin,
        model: row.model,
        reasons: row.reasons,
        voids: row.voids.map(|seq| seq as u64),
    };
    Record { seq: row.seq as u64, passage, hash: RecordHash(row.hash.0), encoding: row.encoding as u8 }
}
