//! What every message between registrar, nodes and lanes is: sealed with AES-256-GCM, bound to what it is and where it
//! belongs.
//!
//! ```text
//! version 1 | key id 8 | sender's salt 16 | nonce 12 | sealed bytes | tag 16
//! ```
//!
//! Each sender has keys of its own, derived with a salt that it draws when it starts, and again after [`MESSAGES`](crate::keys::MESSAGES)
//! messages. Nonces are drawn as well: a counter would go on twice where a virtual machine is cloned or set back while it runs. So
//! few messages are sealed with one key that a nonce comes twice with a probability of 2^-41 (NIST SP 800-38D asks for 2^-32).

use aes_gcm::{AeadInOut as _, Tag};
use clearlane_store::KeyId;
use zeroize::Zeroizing;

use crate::ClusterError;
use crate::keys::{Keys, Purpose, SALT};

/// The version of this envelope and of all that stands in it.
pub(crate) const VERSION: u8 = 1;
/// Bytes before the sealed ones.
const HEADER: usize = 1 + 8 + SALT + NONCE;
const NONCE: usize = 12;
const TAG: usize = 16;
/// What a seal adds.
pub(crate) const OVERHEAD: usize = HEADER + TAG;

/// Where a message belongs: the partition and the number within it (a subject, a lane's count), or a question's id.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) partition: u32,
    pub(crate) id: &'a [u8],
}

impl Place<'_> {
    /// What is said once for all of a gallery.
    pub(crate) const WHOLE: Place<'static> = Place { partition: u32::MAX, id: &[] };
}

impl Keys {
    /// Seals `content` for a place.
    pub(crate) fn seal(&self, purpose: Purpose, place: Place<'_>, content: &[u8]) -> Result<Vec<u8>, ClusterError> {
        let mut message = Vec::with_capacity(OVERHEAD + content.len());
        message.push(VERSION);
        message.extend_from_slice(&self.id().0);
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| ClusterError::NoEntropy)?;
        self.own(purpose, |salt, cipher| {
            message.extend_from_slice(salt);
            message.extend_from_slice(&nonce);
            let bound = self.bound(purpose, place, &message);
            message.extend_from_slice(content);
            let tag = cipher.encrypt_inout_detached(&nonce.into(), &bound, (&mut message[HEADER..]).into());
            // AES-GCM refuses 64 GiB and more, of which no message has a part.
            tag.map(|tag| message.extend_from_slice(&tag))
                .map_err(|_| ClusterError::TooLarge { bytes: content.len() })?;
            Ok(message)
        })?
    }

    /// Opens a message that stands at `place`.
    pub(crate) fn open(
        &self,
        purpose: Purpose,
        place: Place<'_>,
        message: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, ClusterError> {
        let what = purpose.name();
        let short = ClusterError::Short { what, bytes: message.len() };
        let Some((header, rest)) = message.split_first_chunk::<HEADER>() else { return Err(short) };
        if header[0] != VERSION {
            return Err(ClusterError::OtherVersion { what, found: header[0], known: VERSION });
        }
        let Some((content, tag)) = rest.split_last_chunk::<TAG>() else { return Err(short) };
        let (found, rest) = header[1..].split_at(8);
        let (salt, nonce) = rest.split_at(SALT);
        let found = KeyId(array(found));
        if found != self.id() {
            return Err(ClusterError::OtherKey { what, found, own: self.id() });
        }
        let salt: [u8; SALT] = array(salt);
        let cipher = self.of(purpose, salt);
        let bound = self.bound(purpose, place, header);
        let mut content = Zeroizing::new(content.to_vec());
        let opened = cipher.decrypt_inout_detached(
            &array::<NONCE>(nonce).into(),
            &bound,
            content.as_mut_slice().into(),
            &Tag::from(*tag),
        );
        opened.map_err(|_| ClusterError::Forged { what })?;
        self.keep(purpose, salt, &cipher);
        Ok(content)
    }

    /// The associated data: what it is, of which gallery, where, and the header.
    fn bound(&self, purpose: Purpose, place: Place<'_>, header: &[u8]) -> Vec<u8> {
        let parts = [purpose.label(), self.context(), &place.partition.to_be_bytes(), place.id, header];
        let mut bound = Vec::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
        for part in parts {
            // All parts are short; their lengths keep them apart.
            bound.push(part.len() as u8);
            bound.extend_from_slice(part);
        }
        bound
    }
}

/// The first bytes of a slice that is as long at least.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[..N]);
    array
}
