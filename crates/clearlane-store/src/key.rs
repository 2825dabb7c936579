//! Keys: where they come from, and how they are named. They are never stored with the data.

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use clearlane_template::shown;
use data_encoding::HEXLOWER_PERMISSIVE;
use zeroize::{Zeroize, Zeroizing};

/// A register's master key: 32 random bytes, wiped when dropped and not shown by `Debug`. Written as 64 hexadecimal
/// digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// A new key from the system's random numbers.
    pub fn random() -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut()).map_err(|error| KeyError::Source(error.to_string()))?;
        Ok(Self(bytes))
    }

    /// A key from its bytes, which must be random.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key's name, derived from it: it tells keys apart and says nothing of them.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let digest = Zeroizing::new(blake3::derive_key("clearlane 2025 key id", self.0.as_ref()));
        let mut id = [0; 8];
        id.copy_from_slice(&digest[..8]);
        KeyId(id)
    }

    /// The key's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key as 64 hexadecimal digits, for a key file.
    #[must_use]
    pub fn to_hex(&self) -> KeyText {
        KeyText(Zeroizing::new(HEXLOWER_PERMISSIVE.encode(self.0.as_ref())))
    }

    /// A key for one purpose in one register. `purpose` is a constant of this library.
    pub(crate) fn derive(&self, purpose: &str, register: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut hasher = blake3::Hasher::new_derive_key(purpose);
        hasher.update(self.0.as_ref()).update(register);
        let derived = Zeroizing::new(*hasher.finalize().as_bytes());
        hasher.zeroize();
        derived
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| KeyError::NotAKey)?;
        let key = <[u8; 32]>::try_from(bytes.as_slice()).map(Self::from_bytes).map_err(|_| KeyError::NotAKey);
        bytes.zeroize();
        key
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

/// A key as text: wiped when dropped, and not shown by `Debug`.
#[derive(Clone)]
pub struct KeyText(Zeroizing<String>);

impl Deref for KeyText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText")
    }
}

/// The name of a key: 8 bytes, written as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER_PERMISSIVE.encode(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl serde::Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where keys come from: a [`Keyring`] in memory, or a closure that asks a key server or a hardware module.
///
/// A closure gets the id of the key that is asked for, or `None` for the current one, with which new registers are made. It answers `Ok(None)` for keys that it does not have.
pub trait KeySource: Send + Sync {
    /// The key with this id, or the current one.
    fn key(&self, id: Option<KeyId>) -> Result<Option<Key>, KeyError>;
}

impl<F: Fn(Option<KeyId>) -> Result<Option<Key>, KeyError> + Send + Sync> KeySource for F {
    fn key(&self, id: Option<KeyId>) -> Result<Option<Key>, KeyError> {
        self(id)
    }
}

impl KeySource for Box<dyn KeySource> {
    fn key(&self, id: Option<KeyId>) -> Result<Option<Key>, KeyError> {
        (**self).key(id)
    }
}

impl KeySource for Arc<dyn KeySource> {
    fn key(&self, id: Option<KeyId>) -> Result<Option<Key>, KeyError> {
        (**self).key(id)
    }
}

/// Keys in memory: the current one, and older ones that are still needed.
#[derive(Clone, Debug, Default)]
pub struct Keyring(Vec<Key>);

impl Keyring {
    /// A ring with one key, the current one.
    #[must_use]
    pub fn new(current: Key) -> Self {
        Self(vec![current])
    }

    /// A ring without keys: what is not sealed can be read with it (subjects, statistics), unverified, and nothing written.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The same ring with an older key.
    #[must_use]
    pub fn with_older(mut self, key: Key) -> Self {
        self.0.push(key);
        self
    }

    /// Keys from text: one a line as 64 hexadecimal digits, the current one first. Empty lines and lines that begin with
    /// `#` are passed over.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys = lines.map(str::parse).collect::<Result<Vec<Key>, _>>()?;
        if keys.is_empty() { Err(KeyError::NoKeys) } else { Ok(Self(keys)) }
    }

    /// The keys as [`Keyring::parse`] reads them: one a line, the current one first.
    #[must_use]
    pub fn to_text(&self) -> KeyText {
        let mut text = Zeroizing::new(String::with_capacity(65 * self.0.len()));
        for key in &self.0 {
            text.push_str(&key.to_hex());
            text.push('\n');
        }
        KeyText(text)
    }

    /// Keys from a file, written as [`Keyring::parse`] reads them. On Unix the file must not be open to other users.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        let failed = |source| KeyError::File { path: path.to_owned(), source };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(KeyError::Exposed { path: path.to_owned(), mode: mode & 0o777 });
            }
        }
        Self::parse(&Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?))
    }

    /// Keys from an environment variable, separated by commas or line ends, the current one first.
    pub fn from_env(variable: &str) -> Result<Self, KeyError> {
        let text = std::env::var(variable).map_err(|_| KeyError::Variable { name: variable.to_owned() })?;
        Self::parse(&Zeroizing::new(Zeroizing::new(text).replace(',', "\n")))
    }

    /// The current key, unless the ring is empty.
    #[must_use]
    pub fn current(&self) -> Option<&Key> {
        self.0.first()
    }
}

impl KeySource for Keyring {
    fn key(&self, id: Option<KeyId>) -> Result<Option<Key>, KeyError> {
        Ok(match id {
            None => self.0.first().cloned(),
            Some(id) => self.0.iter().find(|key| key.id() == id).cloned(),
        })
    }
}

/// The keys of a file, which is read again when a key is asked for that was not in it: a register that is in use gets a new
/// key, and the lane that has it open goes on with it once it is in the file.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    read: Mutex<Keyring>,
}

impl KeyFile {
    /// The keys in the file at `path`, as [`Keyring::from_file`] reads them.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, KeyError> {
        let path = path.into();
        let read = Mutex::new(Keyring::from_file(&path)?);
        Ok(Self { path, read })
    }
}

impl KeySource for KeyFile {
    fn key(&self, id: Option<KeyId>) -> Result<Option<Key>, KeyError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        match read.key(id)? {
            None if id.is_some() => {
                *read = Keyring::from_file(&self.path)?;
                read.key(id)
            }
            found => Ok(found),
        }
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is not a key. It is not shown, since it may nearly be one.
    #[error("expected a key of 64 hexadecimal digits")]
    NotAKey,
    /// The text has no key at all.
    #[error("no key is given")]
    NoKeys,
    /// The key file cannot be read.
    #[error("{path}: {source}", path = shown(path))]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The key file can be read by others.
    #[error("{path}: its mode {mode:o} lets other users at the key; make it 600", path = shown(path))]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The environment variable is missing, or no text.
    #[error("the environment variable {name} is not set, or is not text")]
    Variable {
        /// Its name.
        name: String,
    },
    /// A key source of the caller's failed.
    #[error("the key source failed: {0}")]
    Source(String),
}
