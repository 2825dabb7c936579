//! Crossing records: who passed where and when, and with what outcome. Never a face, a template or a document number.

use std::collections::VecDeque;

use clearlane_template::{ModelId, SubjectId};
use jiff::Timestamp;
use rusqlite::{Connection, Row as SqlRow, ToSql, Transaction, params};
use serde::{Deserialize, Serialize};

use crate::canonical::Canonical;
use crate::chain;
use crate::subject::{check_text, parsed};
use crate::words::{Direction, Outcome};
use crate::{Fault, RecordHash, Register, Result, Row, StoreError};

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
    /// The threshold it was held against.
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
}

/// A crossing record.
///
/// Its hash makes the chain. An auditor computes it anew from an export with BLAKE3 in key-derivation mode, under the context
/// `clearlane 2025 crossing record`, over the 32 bytes of the hash before it and the record's canonical encoding: the values
/// below in this order, each as a tag of one byte, the length of its bytes as 8 bytes (little-endian), and its bytes.
///
/// | value | tag | bytes |
/// |---|---|---|
/// | `record 1` | `t` | UTF-8 |
/// | number | `n` | 8, little-endian |
/// | time, milliseconds of the Unix epoch | `n` | 8, little-endian, signed |
/// | port, lane, direction, outcome | `t` each | UTF-8 |
/// | subject | `n`, `-` where there is none | 8, little-endian |
/// | score, threshold, margin | `b` each, `-` where there is none | 4: IEEE 754 binary32, little-endian |
/// | model | `b`, `-` where there is none | 32 |
/// | reasons | `t` | UTF-8 |
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
        self.write(|transaction| self.append(transaction, &records.iter().collect::<Vec<_>>()))
    }

    /// Appends records that were checked.
    pub(crate) fn append(&self, transaction: &Transaction<'_>, records: &[&NewRecord]) -> Result<Vec<Record>> {
        let mut ends = chain::ends(transaction, self.id())?;
        let appended = records.iter().map(|&passage| {
            let seq = ends.last + 1;
            let hash = chain::link(&ends.hash, seq, passage);
            insert(transaction, seq, passage, &hash)?;
            (ends.last, ends.hash) = (seq, hash);
            Ok(Record { seq: seq as u64, passage: passage.clone(), hash: RecordHash(hash) })
        });
        let appended = appended.collect::<Result<Vec<_>>>()?;
        if !appended.is_empty() {
            let (slot, key) = self.current_key(transaction)?;
            chain::write_ends(transaction, &ends, slot, &key)?;
        }
        Ok(appended)
    }

    /// The records that fit a query, the oldest first. Nothing is locked meanwhile.
    pub fn records(&self, query: RecordQuery) -> Records<'_> {
        Records { register: self, query, after: 0, page: VecDeque::new(), done: false }
    }

    /// The newest record that fits a query: such as the last entry of a subject at a port.
    pub fn last_record(&self, query: &RecordQuery) -> Result<Option<Record>> {
        self.read(|connection| {
            select(connection, query, 0, "DESC LIMIT 1")?.pop().map(|(_, record)| record).transpose()
        })
    }

    /// The record with this number.
    pub fn record(&self, seq: u64) -> Result<Option<Record>> {
        self.read(|connection| {
            let found = select(connection, &RecordQuery::default(), seq as i64 - 1, "ASC LIMIT 1")?.pop();
            found.filter(|(at, _)| *at == seq as i64).map(|(_, record)| record).transpose()
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

    /// What the chain covers.
    pub(crate) fn canonical(&self, seq: i64) -> Canonical {
        let score = |row: Canonical, score: f32| row.bytes(&score.to_le_bytes());
        Canonical::new("record 1")
            .number(seq)
            .number(self.time.as_millisecond())
            .text(&self.port)
            .text(&self.lane)
            .text(self.direction.as_str())
            .text(self.outcome.as_str())
            .optional(self.subject, |row, subject| row.number(subject.0 as i64))
            .optional(self.score, score)
            .optional(self.threshold, score)
            .optional(self.margin, score)
            .optional(self.model, |row, model| row.bytes(model.as_bytes()))
            .text(&self.reasons)
    }
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

impl Iterator for Records<'_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty() && !self.done {
            let order = format!("ASC LIMIT {PAGE}");
            let page = self.register.read(|connection| select(connection, &self.query, self.after, &order));
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
pub(crate) fn select(
    connection: &Connection,
    query: &RecordQuery,
    after: i64,
    order: &str,
) -> Result<Vec<(i64, Result<Record>)>> {
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
    let sql = format!(
        "SELECT seq, time, port, lane, direction, outcome, subject, score, threshold, margin, model, reasons, hash
         FROM record WHERE {} ORDER BY seq {order}",
        conditions.join(" AND ")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let seq = row.get(0)?;
        records.push((seq, read(row)?.map_err(|fault| Row::Record(seq as u64).refused(fault))));
    }
    Ok(records)
}

fn read(row: &SqlRow<'_>) -> Result<Result<Record, Fault>> {
    let (time, direction, outcome): (i64, String, String) = (row.get(1)?, row.get(4)?, row.get(5)?);
    let passage = |time, direction, outcome| -> Result<NewRecord> {
        Ok(NewRecord {
            time,
            port: row.get(2)?,
            lane: row.get(3)?,
            direction,
            outcome,
            subject: row.get::<_, Option<i64>>(6)?.map(|id| SubjectId(id as u64)),
            score: row.get(7)?,
            threshold: row.get(8)?,
            margin: row.get(9)?,
            model: row.get::<_, Option<[u8; 32]>>(10)?.map(ModelId::from_bytes),
            reasons: row.get(11)?,
        })
    };
    let words = || -> Result<_, Fault> {
        let time = Timestamp::from_millisecond(time).map_err(|_| Fault::Value { column: "time" })?;
        Ok((time, parsed("direction", &direction)?, parsed("outcome", &outcome)?))
    };
    Ok(match words() {
        Ok((time, direction, outcome)) => Ok(Record {
            seq: row.get::<_, i64>(0)? as u64,
            passage: passage(time, direction, outcome)?,
            hash: RecordHash(row.get(12)?),
        }),
        Err(fault) => Err(fault),
    })
}

fn insert(connection: &Connection, seq: i64, record: &NewRecord, hash: &[u8; 32]) -> Result<()> {
    connection
        .prepare_cached("INSERT INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)")?
        .execute(params![
            seq,
            record.time.as_millisecond(),
            record.port,
            record.lane,
            record.direction.as_str(),
            record.outcome.as_str(),
            record.subject.map(|subject| subject.0 as i64),
            record.score,
            record.threshold,
            record.margin,
            record.model.as_ref().map(ModelId::as_bytes),
            record.reasons,
            hash,
        ])?;
    Ok(())
}
