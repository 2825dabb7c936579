//! How a file's parts are sealed.
//!
//! The key is derived from the caller's secret and a salt that is drawn for each file. A file is written once and nothing in
//! it is ever written again, so a part's kind and number make a nonce that no other part under that key has. They need not be
//! associated data as well: a part does not open under another's nonce.

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Nonce, Tag};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a file's salt.
pub(super) const SALT: usize = 32;

/// Bytes that a seal adds.
pub(super) const SEAL: usize = 16;

/// What keys are derived for: keys of another purpose, or another version of the format, are others.
const PURPOSE: &[u8] = b"clearlane gallery file 1";

/// What a sealed part is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Header = 1,
    Codes = 2,
    Order = 3,
    Row = 4,
}

/// The key of one file.
pub(super) struct Seal(Aes256Gcm);

/// A part is not what was sealed.
#[derive(Debug)]
pub(super) struct Unsealed;

impl Seal {
    pub(super) fn new(secret: &[u8; 32], salt: &[u8; SALT]) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        let expanded = Hkdf::<Sha256>::new(Some(salt), secret).expand(PURPOSE, &mut *key);
        // HKDF-SHA256 gives up to 8160 bytes.
        assert!(expanded.is_ok(), "a key of 32 bytes is too long for HKDF");
        Self(Aes256Gcm::new((&*key).into()))
    }

    fn nonce(kind: Kind, number: u64) -> Nonce<aes_gcm::aead::consts::U12> {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&(kind as u32).to_le_bytes());
        nonce[4..].copy_from_slice(&number.to_le_bytes());
        nonce.into()
    }

    /// Seals a part where it lies; its last [`SEAL`] bytes become the seal.
    pub(super) fn close(&self, kind: Kind, number: u64, associated: &[u8], part: &mut [u8]) {
        let (content, seal) = part.split_at_mut(part.len() - SEAL);
        let tag = self.0.encrypt_inout_detached(&Self::nonce(kind, number), associated, content.into());
        // No part is near the 64 GiB that AES-GCM takes.
        assert!(tag.is_ok(), "a part of {} bytes is too long to be sealed", content.len());
        if let Ok(tag) = tag {
            seal.copy_from_slice(&tag);
        }
    }

    /// Opens a sealed part where it lies, and gives its content.
    pub(super) fn open<'p>(
        &self,
        kind: Kind,
        number: u64,
        associated: &[u8],
        part: &'p mut [u8],
    ) -> Result<&'p mut [u8], Unsealed> {
        let (content, seal) = part.split_last_chunk_mut::<SEAL>().ok_or(Unsealed)?;
        let opened = self.0.decrypt_inout_detached(
            &Self::nonce(kind, number),
            associated,
            (&mut *content).into(),
            &Tag::from(*seal),
        );
        opened.map(|()| content).map_err(|_| Unsealed)
    }
}
