//! The keys that a register has asked for and holds.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::{Connection, OptionalExtension as _};

use crate::error::Sql as _;
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

impl Keys {
    /// The keys of the register in an open file, of whatever version. A source that has keys, but not its current one, is
    /// the wrong one.
    pub(crate) fn open(source: Box<dyn KeySource>, connection: &Connection) -> Result<Self> {
        let register = connection.query_row("SELECT id FROM register", [], |row| row.get(0)).sql()?;
        let newest = "SELECT id FROM key ORDER BY slot DESC LIMIT 1";
        let current = connection.query_row(newest, [], |row| row.get(0)).optional().sql()?;
        let current = KeyId(current.ok_or_else(|| Row::Register.refused(Fault::Dangling { what: "key" }))?);
        let mut keys = Self { source, register, held: RwLock::default(), absent: false };
        if let Err(error) = keys.get(current) {
            keys.absent = keys.source.key(None)?.is_none();
            if !keys.absent {
                return Err(error);
            }
        }
        Ok(keys)
    }

    /// The register's id.
    pub(crate) fn register(&self) -> [u8; 16] {
        self.register
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
