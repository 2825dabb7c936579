//! What the register is, which keys are in use, and of which models it holds templates: a few rows, bound to the root by one
//! digest.

use std::sync::OnceLock;

use clearlane_template::ModelId;
use rusqlite::Connection;
use zeroize::Zeroizing;

use crate::seal::RegisterKey;
use crate::table::{ENCODING, Table};
use crate::tables::{KeyRow, ModelRow, RegisterRow};
use crate::{Fault, KeyId, Result, Row, StoreError};

/// The rows of `register`, `key` and `model`.
#[derive(Clone)]
pub(crate) struct Roster {
    pub(crate) register: RegisterRow,
    /// The oldest first; the last is the current one.
    pub(crate) keys: Vec<KeyRow>,
    pub(crate) models: Vec<ModelRow>,
    record_secret: OnceLock<Zeroizing<[u8; 32]>>,
}

/// A model as the register's rows refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ModelSlot {
    pub(crate) slot: i64,
    pub(crate) id: ModelId,
    pub(crate) dimension: usize,
}

impl Roster {
    pub(crate) fn read(connection: &Connection) -> Result<Self> {
        let refused = |fault| Row::Register.refused(fault);
        let all = |rows: Vec<Result<_, Fault>>| rows.into_iter().collect::<Result<Vec<_>, _>>().map_err(refused);
        let register = RegisterRow::select(connection, "", [])?.pop().ok_or(Fault::Dangling { what: "register" });
        Ok(Self {
            register: register.map_err(refused)?.map_err(refused)?,
            keys: all(KeyRow::select(connection, "ORDER BY slot", [])?)?,
            models: ModelRow::select(connection, "ORDER BY slot", [])?
                .into_iter()
                .collect::<Result<_, _>>()
                .map_err(refused)?,
            record_secret: OnceLock::new(),
        })
    }

    /// What stands for these rows in the root.
    pub(crate) fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("clearlane 2026 register roster");
        hasher.update(self.register.canonical().as_bytes());
        for key in &self.keys {
            hasher.update(key.canonical().as_bytes());
        }
        for model in &self.models {
            hasher.update(model.canonical().as_bytes());
        }
        *hasher.finalize().as_bytes()
    }

    /// The current key: the newest.
    pub(crate) fn current(&self) -> Result<&KeyRow> {
        self.keys.last().ok_or_else(|| Row::Register.refused(Fault::Dangling { what: "key" }))
    }

    /// All models, in the order in which they came.
    pub(crate) fn models(&self) -> impl Iterator<Item = ModelSlot> {
        self.models.iter().map(ModelRow::slot)
    }

    /// A model of which there are, or were, templates.
    pub(crate) fn model(&self, wanted: ModelId) -> Result<ModelSlot> {
        self.models()
            .find(|model| model.id == wanted)
            .ok_or_else(|| StoreError::OtherModel { wanted, present: self.models().map(|model| model.id).collect() })
    }

    /// The secret that document numbers are digested with. It outlives keys, so that digests stay findable.
    pub(crate) fn number_secret(&self, key: &RegisterKey) -> Result<Zeroizing<[u8; 32]>> {
        open(key, NUMBER_SECRET, &self.register.number_secret)
    }

    /// The secret that records are linked with. It outlives keys, so that links stay verifiable.
    pub(crate) fn record_secret(&self, key: &RegisterKey) -> Result<&[u8; 32]> {
        if self.record_secret.get().is_none() {
            let secret = open(key, RECORD_SECRET, &self.register.record_secret)?;
            // Another thread may have been faster, with the same.
            let _ = self.record_secret.set(secret);
        }
        Ok(self.record_secret.get().map_or(&[0; 32], |secret| secret))
    }

    /// Seals the secrets anew, under a new key.
    pub(crate) fn reseal(&mut self, old: &RegisterKey, new: &RegisterKey) -> Result<()> {
        self.register.number_secret = new.seal(NUMBER_SECRET, self.number_secret(old)?.as_ref())?;
        self.register.record_secret = new.seal(RECORD_SECRET, self.record_secret(old)?)?;
        Ok(())
    }
}

impl ModelRow {
    pub(crate) fn slot(&self) -> ModelSlot {
        ModelSlot { slot: self.slot, id: self.id, dimension: self.dimension as usize }
    }
}

impl KeyRow {
    pub(crate) fn key_id(&self) -> KeyId {
        KeyId(self.id)
    }
}

impl RegisterRow {
    /// The row of a new register, with secrets of its own.
    pub(crate) fn new(id: [u8; 16], created: jiff::Timestamp, key: &RegisterKey) -> Result<Self> {
        Ok(Self {
            only: 1,
            id,
            created,
            number_secret: key.seal(NUMBER_SECRET, random::<32>()?.as_ref())?,
            record_secret: Self::new_record_secret(key)?,
            encoding: ENCODING,
        })
    }

    pub(crate) fn new_record_secret(key: &RegisterKey) -> Result<Vec<u8>> {
        key.seal(RECORD_SECRET, random::<32>()?.as_ref())
    }
}

/// What the sealed secrets of the register's own row are bound to.
const NUMBER_SECRET: &[u8] = b"number secret";
const RECORD_SECRET: &[u8] = b"record secret";

fn open(key: &RegisterKey, name: &[u8], sealed: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
    let plain = key.open(name, sealed).map_err(|fault| Row::Register.refused(fault))?;
    let length = Fault::Length { found: plain.len(), expected: 32 };
    let secret = <[u8; 32]>::try_from(plain.as_slice()).map_err(|_| Row::Register.refused(length))?;
    Ok(Zeroizing::new(secret))
}

/// Random bytes of the system.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut()).map_err(|error| crate::KeyError::Source(error.to_string()))?;
    Ok(bytes)
}
