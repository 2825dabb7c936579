//! The names of populations: on whom thresholds were measured, and whom a lane serves.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a population, such as `east-asian-adults`: 1 to 64 lower-case letters, digits and hyphens, none at either end
/// and no two in a row. A false match rate is always one of some population: the same threshold gives others another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Population(String);

/// The text is not the name of a population.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a population's name of 1 to 64 lower-case letters and digits, words joined by single hyphens, got `{}`",
    text.escape_debug()
)]
pub struct ParsePopulationError {
    /// What was given, as far as its 64th character.
    pub text: String,
}

impl Population {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Population {
    type Err = ParsePopulationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if text.len() <= 64 && text.split('-').all(word) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParsePopulationError { text: text.chars().take(64).collect() })
        }
    }
}

impl TryFrom<String> for Population {
    type Error = ParsePopulationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Population {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
