//! Why a policy was refused, and where.

use std::fmt;
use std::path::PathBuf;

use clearlane_embed::Component;
use clearlane_template::shown;
use jiff::civil::Date;

use super::MAX_FILE_BYTES;

/// Why a policy was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The file could not be read.
    #[error("cannot read the policy {}: {source}", shown(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is larger than any policy.
    #[error("the policy {} is larger than {MAX_FILE_BYTES} bytes", shown(path))]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The text is not TOML, or not of a policy's shape.
    #[error("{place}: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// What the reader said.
        message: String,
    },
    /// A value is not one that a policy may have.
    #[error("{place}: `{key}`: {problem}")]
    Invalid {
        /// Where.
        place: Place,
        /// The key, with its table.
        key: &'static str,
        /// What is wrong.
        problem: PolicyProblem,
    },
}

/// A place in a policy. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, if it was one.
    pub path: Option<PathBuf>,
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// What is wrong with a value of a policy.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyProblem {
    /// A number is out of its range.
    #[error("{value} is not in {range}")]
    OutOfRange {
        /// The number.
        value: f64,
        /// The range, in words of mathematics.
        range: &'static str,
    },
    /// Nothing is listed where something must be.
    #[error("at least one is needed")]
    Empty,
    /// The same thing is named twice.
    #[error("{what} is named twice")]
    Duplicate {
        /// The thing.
        what: String,
    },
    /// The quality measure is not known.
    #[error("`{name}` is not a quality measure of ISO/IEC 29794-5 that is taken here")]
    UnknownMeasure {
        /// Its name.
        name: String,
    },
    /// The time zone is not known.
    #[error("`{name}` is not a time zone of the IANA database")]
    UnknownTimeZone {
        /// Its name.
        name: String,
    },
    /// The policy ends before it begins.
    #[error("{until} is before {from}")]
    EndsBeforeItBegins {
        /// The first day.
        from: Date,
        /// The last day.
        until: Date,
    },
    /// Consent is asked for, but not to what a lane compares.
    #[error("`face` is missing: a lane compares faces, and needs consent to that")]
    WithoutFace,
    /// A rule that fuses matchers has none.
    #[error("no other matcher is listed: list one under [[evidence]], or write `rule = \"face-only\"`")]
    WithoutMatchers,
    /// The key is of an earlier version.
    #[error("is not a key any more: {instead}")]
    Replaced {
        /// What to write now.
        instead: &'static str,
    },
    /// Endorsement conditions without endorsements.
    #[error("needs a list of endorsements beside it")]
    WithoutEndorsements,
    /// The fusion rule needs a key that is not there.
    #[error("the rule needs it")]
    Missing,
    /// The fusion rule has no use for a key that is there.
    #[error("the rule has no use for it")]
    Unused,
}

/// A policy has a floor for a quality component that no model gives: nobody could pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the policy has a floor for {component}, which no model here assesses: bring a model that does, or take the floor out of the \
     policy"
)]
pub struct NotAssessed {
    /// The component.
    pub component: Component,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{}:{}:{}", shown(path), self.line, self.column),
            None => write!(f, "line {}, column {}", self.line, self.column),
        }
    }
}

/// What is wrong with a value, without the names that Rust has for kinds of numbers.
pub(super) fn in_words(message: &str) -> String {
    let Some((found, kind)) = message.rsplit_once("expected ") else { return message.to_owned() };
    let words = match kind {
        "i16" => "a whole number",
        "u64" | "usize" => "a whole number from 0 on",
        "f32" | "f64" => "a number",
        "a sequence" => "a list in [ ]",
        kind => kind,
    };
    format!("{found}expected {words}")
}
