//! The cluster key, and the keys of each purpose that are derived from it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aes_gcm::Aes256Gcm;
use clearlane_store::{Key, KeyId, KeySource};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _};
use parking_lot::RwLock;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::ClusterError;

/// Bytes of the salt that a sender draws: its own key is derived with it, so that its nonces can count.
pub(crate) const SALT: usize = 16;

/// Ciphers of other senders that are kept; beyond that all are derived anew.
const MOST_SENDERS: usize = 4096;

/// The key that registrar, nodes and lanes share, and the brokers do not have: 32 random bytes, in a file as a register's
/// keys are.
#[derive(Clone, Debug)]
pub struct ClusterKey(Key);

impl ClusterKey {
    /// The current key of a source, such as a [`KeyFile`](clearlane_store::KeyFile).
    pub fn from_source(source: &dyn KeySource) -> Result<Self, ClusterError> {
        let key = source.key(None).map_err(ClusterError::Key)?;
        key.map(Self).ok_or(ClusterError::NoKey)
    }

    /// The key's name, which says nothing of it.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.0.id()
    }

    /// A key for one purpose, of one gallery where `context` names it.
    fn derive(&self, purpose: Purpose, context: &[u8], salt: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut derived = Zeroizing::new([0; 32]);
        let expand = Hkdf::<Sha256>::new(Some(context), self.0.as_bytes());
        // 32 bytes are within what HKDF gives.
        let _ = expand.expand_multi_info(&[purpose.label(), salt], derived.as_mut());
        derived
    }
}

impl From<Key> for ClusterKey {
    fn from(key: Key) -> Self {
        Self(key)
    }
}

/// What a message is: its key is derived for it, so that no message passes for one of another kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    Config,
    State,
    Head,
    Question,
    Answer,
    Status,
    Record,
    Notice,
    Job,
    Block,
    Result,
    Element,
}

impl Purpose {
    pub(crate) fn label(self) -> &'static [u8] {
        match self {
            Self::Config => b"clearlane cluster 1 config",
            Self::State => b"clearlane cluster 1 state",
            Self::Head => b"clearlane cluster 1 head",
            Self::Question => b"clearlane cluster 1 question",
            Self::Answer => b"clearlane cluster 1 answer",
            Self::Status => b"clearlane cluster 1 status",
            Self::Record => b"clearlane cluster 1 record",
            Self::Notice => b"clearlane cluster 1 notice",
            Self::Job => b"clearlane cluster 1 job",
            Self::Block => b"clearlane cluster 1 block",
            Self::Result => b"clearlane cluster 1 result",
            Self::Element => b"clearlane cluster 1 element",
        }
    }

    /// In words, for errors.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Config => "the gallery's configuration",
            Self::State => "a subject's state",
            Self::Head => "a head",
            Self::Question => "a question",
            Self::Answer => "an answer",
            Self::Status => "a node's status",
            Self::Record => "a crossing record",
            Self::Notice => "a notice",
            Self::Job => "a job",
            Self::Block => "a block of work",
            Self::Result => "a block's result",
            Self::Element => "an element",
        }
    }
}

/// A cipher under a key that one sender alone uses for one purpose, so that its nonces may count.
struct Sender {
    salt: [u8; SALT],
    cipher: Aes256Gcm,
    /// Messages sealed with it.
    count: AtomicU32,
}

/// So many messages a sender seals with one key, before it draws another salt.
pub(crate) const MESSAGES: u32 = 1 << 28;

/// Ciphers of other senders, by purpose and salt.
type Ciphers = HashMap<(Purpose, [u8; SALT]), Arc<Aes256Gcm>>;

/// The keys of one gallery, or of none yet (for its configuration).
pub(crate) struct Keys {
    key: ClusterKey,
    /// The gallery: register and epoch. Keys of two galleries have nothing in common.
    context: Vec<u8>,
    element: Hmac<Sha256>,
    own: RwLock<HashMap<Purpose, Arc<Sender>>>,
    others: RwLock<Ciphers>,
}

impl Keys {
    pub(crate) fn new(key: ClusterKey, context: &[u8]) -> Result<Self, ClusterError> {
        let element = key.derive(Purpose::Element, context, &[]);
        let element = Hmac::new_from_slice(element.as_ref()).map_err(|_| ClusterError::NoKey)?;
        Ok(Self { key, context: context.to_vec(), element, own: RwLock::default(), others: RwLock::default() })
    }

    pub(crate) fn id(&self) -> KeyId {
        self.key.id()
    }

    /// The gallery that they are of.
    pub(crate) fn context(&self) -> &[u8] {
        &self.context
    }

    /// The keyed code of elements of the sums.
    pub(crate) fn element(&self) -> Hmac<Sha256> {
        self.element.clone()
    }

    /// This process's salt and cipher for a purpose, for one message.
    pub(crate) fn own<T>(
        &self,
        purpose: Purpose,
        seal: impl FnOnce(&[u8; SALT], &Aes256Gcm) -> T,
    ) -> Result<T, ClusterError> {
        let fresh = |sender: &Arc<Sender>| sender.count.fetch_add(1, Ordering::Relaxed) < MESSAGES;
        let known = self.own.read().get(&purpose).filter(|sender| fresh(sender)).cloned();
        let sender = if let Some(sender) = known {
            sender
        } else {
            let sender = Arc::new(self.sender(purpose)?);
            self.own.write().insert(purpose, Arc::clone(&sender));
            sender
        };
        Ok(seal(&sender.salt, &sender.cipher))
    }

    fn sender(&self, purpose: Purpose) -> Result<Sender, ClusterError> {
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).map_err(|_| ClusterError::NoEntropy)?;
        Ok(Sender { salt, cipher: self.cipher(purpose, &salt), count: AtomicU32::new(1) })
    }

    /// The cipher of the sender with this salt.
    pub(crate) fn of(&self, purpose: Purpose, salt: [u8; SALT]) -> Arc<Aes256Gcm> {
        if let Some(cipher) = self.others.read().get(&(purpose, salt)) {
            return Arc::clone(cipher);
        }
        Arc::new(self.cipher(purpose, &salt))
    }

    /// Keeps the cipher of a sender who has shown that it has the key: nobody else can fill the memory.
    pub(crate) fn keep(&self, purpose: Purpose, salt: [u8; SALT], cipher: &Arc<Aes256Gcm>) {
        if self.others.read().contains_key(&(purpose, salt)) {
            return;
        }
        let mut others = self.others.write();
        if others.len() >= MOST_SENDERS {
            others.clear();
        }
        others.insert((purpose, salt), Arc::clone(cipher));
    }

    fn cipher(&self, purpose: Purpose, salt: &[u8]) -> Aes256Gcm {
        let derived = self.key.derive(purpose, &self.context, salt);
        Aes256Gcm::new((&*derived).into())
    }
}
