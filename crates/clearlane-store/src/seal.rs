//! What a key does for a register: seal and protect templates, and authenticate rows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Nonce, Tag};
use bytemuck::cast_slice_mut;
use clearlane_template::{ModelId, SubjectId, Template, TemplateId};
use zeroize::{Zeroize as _, Zeroizing};

use crate::canonical::Canonical;
use crate::{Fault, Key, KeyError, KeyId, Result, StoreError, TemplateProtection};

/// The bytes that a seal adds: a random nonce before the sealed bytes, a tag after them.
pub(crate) const OVERHEAD: usize = NONCE + TAG;
const NONCE: usize = 12;
const TAG: usize = 16;

/// The nonce and the tag of sealed bytes; what there is of them where they are cut.
pub(crate) fn ends(sealed: &[u8]) -> (&[u8], &[u8]) {
    let nonce = &sealed[..NONCE.min(sealed.len())];
    (nonce, &sealed[sealed.len().saturating_sub(TAG)..])
}

/// What sealed bytes are made of.
struct Parts<'a> {
    nonce: &'a [u8; NONCE],
    content: &'a [u8],
    tag: &'a [u8; TAG],
}

impl<'a> Parts<'a> {
    fn of(sealed: &'a [u8]) -> Result<Self, Fault> {
        let short = || Fault::Length { found: sealed.len(), expected: OVERHEAD };
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or_else(short)?;
        let (content, tag) = rest.split_last_chunk::<TAG>().ok_or_else(short)?;
        Ok(Self { nonce, content, tag })
    }
}

/// What one master key gives in one register. Every purpose has its own derived key.
pub(crate) struct RegisterKey {
    pub(crate) id: KeyId,
    register: [u8; 16],
    seal: Aes256Gcm,
    code: Zeroizing<[u8; 32]>,
    protection: Zeroizing<[u8; 32]>,
    /// What seals the files that galleries of this register are kept in.
    pub(crate) gallery: Zeroizing<[u8; 32]>,
    protections: Mutex<HashMap<(ModelId, usize), Arc<TemplateProtection>>>,
}

/// Where a template stands: what its seal is bound to.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) template: TemplateId,
    pub(crate) subject: SubjectId,
    pub(crate) model: ModelId,
    pub(crate) dimension: usize,
}

impl RegisterKey {
    pub(crate) fn new(key: &Key, register: [u8; 16]) -> Self {
        let seal = key.derive("clearlane 2025 register seal", &register);
        Self {
            id: key.id(),
            register,
            seal: Aes256Gcm::new((&*seal).into()),
            code: key.derive("clearlane 2025 register authentication", &register),
            // The purpose keeps its first name: registers have keys that were derived with it.
            protection: key.derive("clearlane 2025 register turn", &register),
            gallery: key.derive("clearlane 2026 register gallery file", &register),
            protections: Mutex::default(),
        }
    }

    /// The transform of this key for a model's templates.
    pub(crate) fn protection(&self, model: ModelId, dimension: usize) -> Arc<TemplateProtection> {
        let mut protections = self.protections.lock().unwrap_or_else(PoisonError::into_inner);
        let protection = protections.entry((model, dimension));
        Arc::clone(protection.or_insert_with(|| Arc::new(TemplateProtection::new(&self.protection, model, dimension))))
    }

    /// Protects and seals a template.
    pub(crate) fn seal_template(&self, place: Place, template: &Template) -> Result<Vec<u8>> {
        self.seal_protected(place, &self.protection(place.model, place.dimension).apply(template)?)
    }

    /// Seals a template that is protected by this key already.
    pub(crate) fn seal_protected(&self, place: Place, protected: &Template) -> Result<Vec<u8>> {
        let wanted = self.protection(place.model, place.dimension).protected_model();
        if protected.model() != wanted {
            return Err(StoreError::OtherModel { wanted, present: vec![protected.model()] });
        }
        let mut plain = Zeroizing::new(Vec::with_capacity(4 * place.dimension));
        for value in protected.as_slice() {
            plain.extend_from_slice(&value.to_le_bytes());
        }
        self.seal(&self.associated(place), &plain)
    }

    /// Opens a sealed template. It stays protected.
    pub(crate) fn open_template(&self, place: Place, protected: ModelId, sealed: &[u8]) -> Result<Template, Fault> {
        let expected = 4 * place.dimension + OVERHEAD;
        if sealed.len() != expected {
            return Err(Fault::Length { found: sealed.len(), expected });
        }
        let Parts { nonce, content, tag } = Parts::of(sealed)?;
        // Opened where the values stay: a gallery is loaded a million times over.
        let (content, _) = content.as_chunks::<4>();
        let mut values = Zeroizing::new(content.iter().map(|&bytes| f32::from_ne_bytes(bytes)).collect::<Vec<_>>());
        self.open_in_place(&self.associated(place), nonce, cast_slice_mut(&mut values), tag)?;
        if cfg!(target_endian = "big") {
            values.iter_mut().for_each(|value| *value = f32::from_bits(value.to_bits().swap_bytes()));
        }
        Template::from_unit(protected, std::mem::take(&mut *values)).map_err(Fault::Template)
    }

    /// Seals bytes: nonce, sealed bytes, tag.
    pub(crate) fn seal(&self, associated: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|error| KeyError::Source(error.to_string()))?;
        let mut sealed = Vec::with_capacity(plain.len() + OVERHEAD);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let tag = self.seal.encrypt_inout_detached(&Nonce::from(nonce), associated, (&mut sealed[NONCE..]).into());
        let Ok(tag) = tag else {
            sealed.zeroize();
            return Err(KeyError::Source("a value is too long to be sealed".to_owned()).into());
        };
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens what [`Self::seal`] sealed with the same associated data.
    pub(crate) fn open(&self, associated: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let Parts { nonce, content, tag } = Parts::of(sealed)?;
        let mut plain = Zeroizing::new(content.to_vec());
        self.open_in_place(associated, nonce, &mut plain, tag)?;
        Ok(plain)
    }

    fn open_in_place(
        &self,
        associated: &[u8],
        nonce: &[u8; NONCE],
        content: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<(), Fault> {
        self.seal
            .decrypt_inout_detached(&Nonce::from(*nonce), associated, content.into(), &Tag::from(*tag))
            .map_err(|_| Fault::Seal)
    }

    /// The authentication code of a row's canonical encoding.
    pub(crate) fn code(&self, row: &Canonical) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.code);
        hasher.update(&self.register).update(row.as_bytes());
        let code = *hasher.finalize().as_bytes();
        hasher.zeroize();
        code
    }

    /// Whether `code` is the authentication code of the row, compared in constant time.
    pub(crate) fn is_code(&self, row: &Canonical, code: &[u8]) -> bool {
        <[u8; 32]>::try_from(code)
            .is_ok_and(|code| blake3::Hash::from_bytes(code) == blake3::Hash::from_bytes(self.code(row)))
    }

    /// A template's associated data: fixed length, since it is made a million times when a gallery is loaded.
    fn associated(&self, place: Place) -> [u8; 16 + 8 + 8 + 32 + 8] {
        let mut bytes = [0; 72];
        bytes[..16].copy_from_slice(&self.register);
        bytes[16..24].copy_from_slice(&place.template.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&place.subject.0.to_le_bytes());
        bytes[32..64].copy_from_slice(place.model.as_bytes());
        bytes[64..].copy_from_slice(&(place.dimension as u64).to_le_bytes());
        bytes
    }
}
