//! The ports that a policy names.

use std::fmt;
use std::str::FromStr;

use clearlane_store::Direction;
use serde::{Deserialize, Serialize};

/// The id of a port in a policy: 1 to 32 lower-case letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PortId(String);

/// The text is not the id of a port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a port id of 1 to 32 lower-case letters, digits and hyphens, got `{text}`")]
pub struct ParsePortIdError {
    /// What was given.
    pub text: String,
}

/// What a policy says of one of its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortEntry {
    /// Its name in Chinese.
    pub zh: String,
    /// Its name in English.
    pub en: String,
    /// The directions in which its lanes work.
    pub directions: Vec<Direction>,
}

impl PortId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PortId {
    type Err = ParsePortIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=32).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParsePortIdError { text: text.to_owned() })
        }
    }
}

impl TryFrom<String> for PortId {
    type Error = ParsePortIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
