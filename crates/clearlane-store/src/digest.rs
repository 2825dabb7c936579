//! Digests that stand in the register for what must not be kept itself.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            /// 64 hexadecimal digits, or the first `N` of them with a precision: `{:.12}`.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = HEXLOWER_PERMISSIVE.encode(&self.0);
                f.write_str(&text[..f.precision().unwrap_or(64).min(64)])
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:.12})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseDigestError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
                let digest = bytes.and_then(|bytes| bytes.try_into().ok());
                digest.map(Self).ok_or_else(|| ParseDigestError { text: text.to_owned() })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

digest! {
    /// The SHA-256 digest of the bytes of the image that a template was made from.
    ImageDigest
}

digest! {
    /// A keyed digest of a document's number, made by [`Register::number_digest`](crate::Register::number_digest): it
    /// finds the document again in its own register, and tells nothing to those who have not the register's key, however
    /// few the possible numbers are.
    NumberDigest
}

digest! {
    /// The hash of a crossing record and, through the chain, of all before it: BLAKE3. Its first bits make the
    /// [checking code](crate::CheckingCode) of a printed record.
    RecordHash
}

impl ImageDigest {
    /// The digest of an image file's bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// The text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a digest of 64 hexadecimal digits, got `{text}`")]
pub struct ParseDigestError {
    /// What was given.
    pub text: String,
}
