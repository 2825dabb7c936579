//! The keys that a register has asked for and holds.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use clearlane_template::{ModelId, TemplateId};
use rusqlite::{Connection, params};

use crate::seal::RegisterKey;
use crate::{Fault, KeyId, KeySource, Result, Row, StoreError};

/// The keys of one open register.
pub(crate) struct Keys {
    source: Box<dyn KeySource>,
    register: [u8; 16],
    held: RwLock<HashMap<KeyId, Arc<RegisterKey>>>,
    /// The source had no key at all when the register was opened: what is authenticated cannot be verified, and what is
    /// sealed cannot be opened.
    absent: bool,
}

/// A key's place in the register's list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) slot: i64,
    pub(crate) id: KeyId,
}

impl Keys {
    /// The keys of a register whose current key is `current`. A source that has keys, but not this one, is the wrong one.
    pub(crate) fn open(source: Box<dyn KeySource>, register: [u8; 16], current: KeyId) -> Result<Self> {
        let mut keys = Self { source, register, held: RwLock::default(), absent: false };
        if let Err(error) = keys.get(current) {
            keys.absent = keys.source.key(None)?.is_none();
            if !keys.absent {
                return Err(error);
            }
        }
        Ok(keys)
    }

    /// The key with this id, asked for once.
    pub(crate) fn get(&self, id: KeyId) -> Result<Arc<RegisterKey>> {
        if let Some(key) = self.held.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(Arc::clone(key));
        }
        match self.source.key(Some(id))? {
            Some(key) if key.id() == id => Ok(self.hold(Arc::new(RegisterKey::new(&key, self.register)))),
            _ => Err(StoreError::NoKey { id }),
        }
    }

    /// As [`Self::get`], but `None` where the register was opened without any key.
    pub(crate) fn get_unless_absent(&self, id: KeyId) -> Result<Option<Arc<RegisterKey>>> {
        match self.get(id) {
            Ok(key) => Ok(Some(key)),
            Err(StoreError::NoKey { .. }) if self.absent => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn hold(&self, key: Arc<RegisterKey>) -> Arc<RegisterKey> {
        self.held.write().unwrap_or_else(PoisonError::into_inner).insert(key.id, Arc::clone(&key));
        key
    }
}

/// The current key's place: the newest.
pub(crate) fn current(connection: &Connection) -> Result<Slot> {
    slots(connection)?.pop().ok_or_else(|| Row::Register.refused(Fault::Dangling { what: "key" }))
}

/// All keys in use, the oldest first.
pub(crate) fn slots(connection: &Connection) -> Result<Vec<Slot>> {
    let mut statement = connection.prepare_cached("SELECT slot, id FROM key ORDER BY slot")?;
    let slots = statement.query_map([], |row| Ok(Slot { slot: row.get(0)?, id: KeyId(row.get(1)?) }))?;
    Ok(slots.collect::<rusqlite::Result<_>>()?)
}

/// A model's place in the register's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ModelSlot {
    pub(crate) slot: i64,
    pub(crate) id: ModelId,
    pub(crate) dimension: usize,
}

/// All models that templates were stored of.
pub(crate) fn models(connection: &Connection) -> Result<Vec<ModelSlot>> {
    let mut statement = connection.prepare_cached("SELECT slot, id, dimension FROM model ORDER BY slot")?;
    let models = statement.query_map([], |row| {
        Ok(ModelSlot {
            slot: row.get(0)?,
            id: ModelId::from_bytes(row.get(1)?),
            dimension: row.get::<_, u16>(2)?.into(),
        })
    })?;
    Ok(models.collect::<rusqlite::Result<_>>()?)
}

/// The place of a model of which templates are present.
pub(crate) fn model(connection: &Connection, wanted: ModelId) -> Result<ModelSlot> {
    let models = models(connection)?;
    models
        .iter()
        .copied()
        .find(|model| model.id == wanted)
        .ok_or_else(|| StoreError::OtherModel { wanted, present: models.iter().map(|model| model.id).collect() })
}

/// The place of a model, made where it is new.
pub(crate) fn model_or_new(connection: &Connection, id: ModelId, dimension: usize) -> Result<ModelSlot> {
    if let Some(model) = models(connection)?.into_iter().find(|model| model.id == id) {
        if model.dimension != dimension {
            return Err(StoreError::OtherDimension { model: id, expected: model.dimension, found: dimension });
        }
        return Ok(model);
    }
    connection
        .execute("INSERT INTO model (id, dimension) VALUES (?1, ?2)", params![id.as_bytes(), dimension as i64])?;
    Ok(ModelSlot { slot: connection.last_insert_rowid(), id, dimension })
}

/// The id that the next row of an `AUTOINCREMENT` table gets. Holds within a writing transaction.
pub(crate) fn next_template(connection: &Connection) -> Result<TemplateId> {
    let mut statement = connection
        .prepare_cached("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'template'), 0) + 1")?;
    Ok(TemplateId(statement.query_row([], |row| row.get::<_, i64>(0))? as u64))
}
