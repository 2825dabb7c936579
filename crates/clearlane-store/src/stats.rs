//! Counts: what the register holds, and how far a model covers its subjects.

use clearlane_template::{ModelId, SubjectId};
use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde::Serialize;

use crate::error::Sql as _;
use crate::{KeyId, Register, Result, schema};

/// What a register holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// The schema version.
    pub schema: u32,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Subjects that are enrolled.
    pub subjects: u64,
    /// Subjects that were revoked and are not yet forgotten.
    pub revoked: u64,
    /// Templates, of all models.
    pub templates: u64,
    /// Crossing records.
    pub records: u64,
    /// The size of the file, in bytes, its write-ahead log not included.
    pub bytes: u64,
    /// The models of which there are templates.
    pub models: Vec<ModelStats>,
    /// The keys in use, the current one last. More than one: a change of keys is not through.
    pub keys: Vec<KeyStats>,
}

/// What a register holds of one model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelStats {
    /// The model.
    pub id: ModelId,
    /// How many values its templates have.
    pub dimension: usize,
    /// How many templates there are.
    pub templates: u64,
    /// How many subjects have one at least.
    pub subjects: u64,
}

/// What stands under one key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeyStats {
    /// The key's name.
    pub id: KeyId,
    /// How many templates it seals.
    pub templates: u64,
}

/// How far a model covers the subjects of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Subjects with a template of the model.
    pub covered: u64,
    /// All subjects that are enrolled.
    pub subjects: u64,
}

impl Coverage {
    /// The covered share, from 0 to 1; 1 where nobody is enrolled.
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.subjects == 0 { 1.0 } else { self.covered as f64 / self.subjects as f64 }
    }
}

impl Register {
    /// Counts what the register holds.
    pub fn stats(&self) -> Result<Stats> {
        self.read(|state| {
            let connection = state.connection;
            let models = state.roster.models().map(|model| {
                Ok(ModelStats {
                    id: model.id,
                    dimension: model.dimension,
                    templates: count(connection, "SELECT count(*) FROM template WHERE model = ?1", &[model.slot])?,
                    subjects: covered(connection, model.slot)?,
                })
            });
            let keys = state.roster.keys.iter().map(|key| {
                let templates = count(connection, "SELECT count(*) FROM template WHERE key = ?1", &[key.slot])?;
                Ok(KeyStats { id: key.key_id(), templates })
            });
            Ok(Stats {
                schema: schema::VERSION,
                created: Some(state.roster.register.created),
                subjects: count(connection, ENROLLED, &[])?,
                revoked: count(connection, "SELECT count(*) FROM subject WHERE revoked IS NOT NULL", &[])?,
                templates: count(connection, "SELECT count(*) FROM template", &[])?,
                records: count(connection, "SELECT count(*) FROM record", &[])?,
                bytes: count(
                    connection,
                    "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
                    &[],
                )?,
                models: models.collect::<Result<_>>()?,
                keys: keys.collect::<Result<_>>()?,
            })
        })
    }

    /// How far a model covers the subjects: what decides when a lane may change to it. A model of which there is no
    /// template yet covers nobody.
    pub fn coverage(&self, model: ModelId) -> Result<Coverage> {
        self.read(|state| {
            let connection = state.connection;
            let slot = state.roster.models().find(|known| known.id == model).map(|known| known.slot);
            let covered = slot.map_or(Ok(0), |slot| covered(connection, slot))?;
            Ok(Coverage { covered, subjects: count(connection, ENROLLED, &[])? })
        })
    }

    /// The next subjects after `after`, at most `limit`, that have no template of a model: what is left to do where a
    /// register goes over to it. Begin with `SubjectId(0)`.
    pub fn without_template(&self, model: ModelId, after: SubjectId, limit: usize) -> Result<Vec<SubjectId>> {
        self.read(|state| {
            let connection = state.connection;
            let slot = state.roster.models().find(|known| known.id == model).map(|known| known.slot);
            let mut statement = connection
                .prepare_cached(
                    "SELECT id FROM subject WHERE id > ?1 AND revoked IS NULL AND NOT EXISTS
                 (SELECT 1 FROM template WHERE subject = subject.id AND model = ?2) ORDER BY id LIMIT ?3",
                )
                .sql()?;
            let ids =
                statement.query_map(params![after.0 as i64, slot, limit as i64], |row| row.get::<_, i64>(0)).sql()?;
            ids.map(|id| id.map(|id| SubjectId(id as u64))).collect::<rusqlite::Result<_>>().sql()
        })
    }
}

const ENROLLED: &str = "SELECT count(*) FROM subject WHERE revoked IS NULL";

fn covered(connection: &Connection, model: i64) -> Result<u64> {
    // A revoked subject has no templates.
    count(connection, "SELECT count(DISTINCT subject) FROM template WHERE model = ?1", &[model])
}

fn count(connection: &Connection, query: &str, values: &[i64]) -> Result<u64> {
    let mut statement = connection.prepare_cached(query).sql()?;
    Ok(statement.query_row(rusqlite::params_from_iter(values), |row| row.get::<_, i64>(0)).sql()? as u64)
}
