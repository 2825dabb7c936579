//! Which public data sets there are: what for, where to get them, under which conditions, and what they look like on disk.
//!
//! ```
//! use clearlane_eval::datasets::Datasets;
//!
//! let datasets = Datasets::known()?;
//! let lfw = datasets.get("lfw").expect("it is known");
//! assert_eq!(lfw.command, "clearlane eval lfw DIR");
//! # Ok::<(), clearlane_eval::datasets::DatasetsError>(())
//! ```

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The sets that this project knows.
const KNOWN: &str = include_str!("../datasets.toml");

/// The name of the file in a data set's folder in which digests are pinned that no manifest states: `DIGEST  PATH` a line, as
/// sha256sum writes and checks it.
pub const LOCK_FILE: &str = "SHA256SUMS";

/// Data sets, as a manifest describes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datasets(Vec<Dataset>);

/// One data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// Its name on the command line.
    pub name: String,
    /// Its name in publications.
    pub title: String,
    /// What is measured on it.
    pub purpose: String,
    /// Its own page.
    pub page: String,
    /// Under which licence it may be had.
    pub licence: String,
    /// What it may be used for, and what it does not show.
    pub limits: String,
    /// How to get what cannot be fetched.
    pub obtain: String,
    /// The command that reads it, with the data set's folder as DIR.
    pub command: String,
    /// Files that anybody may download.
    #[serde(default)]
    pub fetch: Vec<Download>,
    /// What lies in its folder.
    pub layout: Vec<Expected>,
}

/// A file that can be downloaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Download {
    /// Where it comes to lie in the data set's folder.
    pub path: String,
    /// Where it comes from: `https`, or `http` from this machine itself.
    pub url: String,
    /// Its SHA-256 digest in hexadecimal digits, where it is known.
    pub sha256: Option<String>,
    /// The most bytes that it may have.
    pub at_most: u64,
}

/// A file or a folder of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Its path in the data set's folder; `.` is that folder itself.
    pub path: String,
    /// A file's SHA-256 digest, where it is known.
    pub sha256: Option<String>,
    /// Of a list of pairs or a packed set: how many pairs it has.
    pub pairs: Option<usize>,
    /// Of a list of pairs: the folder in which its pictures are.
    pub pictures_in: Option<String>,
    /// Of a folder `SUBJECT/IMAGE`: how many subjects there are.
    pub subjects: Option<usize>,
    /// Of a folder `SUBJECT/IMAGE`: how many pictures there are.
    pub pictures: Option<usize>,
    /// Whether the set is whole without it.
    #[serde(default)]
    pub optional: bool,
}

/// A text is not a manifest of data sets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetsError {
    /// It is not TOML, a key is missing, or one is not known.
    #[error("{message}")]
    Syntax {
        /// What and where, over several lines.
        message: String,
    },
    /// A data set says something that cannot be used.
    #[error("data set `{name}`: {problem}, got `{value}`")]
    Value {
        /// Its name.
        name: String,
        /// What was expected.
        problem: &'static str,
        /// What it says.
        value: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(default)]
    dataset: Vec<Dataset>,
}

impl Datasets {
    /// The sets that this project knows.
    pub fn known() -> Result<Self, DatasetsError> {
        Self::parse(KNOWN)
    }

    /// Reads a manifest in TOML: tables `[[dataset]]` with the fields of [`Dataset`].
    pub fn parse(text: &str) -> Result<Self, DatasetsError> {
        let manifest: Manifest =
            toml::from_str(text).map_err(|error| DatasetsError::Syntax { message: error.to_string() })?;
        if manifest.dataset.is_empty() {
            let message = "expected one [[dataset]] or more, got none".to_owned();
            return Err(DatasetsError::Syntax { message });
        }
        for (at, dataset) in manifest.dataset.iter().enumerate() {
            dataset.check(&manifest.dataset[..at])?;
        }
        Ok(Self(manifest.dataset))
    }

    /// All sets, in the manifest's order.
    pub fn iter(&self) -> impl Iterator<Item = &Dataset> {
        self.0.iter()
    }

    /// The set of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Dataset> {
        self.iter().find(|dataset| dataset.name == name)
    }
}

impl Dataset {
    fn check(&self, earlier: &[Self]) -> Result<(), DatasetsError> {
        let expected = |holds: bool, problem: &'static str, value: &str| {
            let (name, value) = (self.name.clone(), value.to_owned());
            if holds { Ok(()) } else { Err(DatasetsError::Value { name, problem, value }) }
        };
        let is_plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        expected(is_plain(&self.name), "expected a name of letters, digits and `-`", &self.name)?;
        expected(earlier.iter().all(|other| other.name != self.name), "expected each name once", &self.name)?;
        for Download { path, url, sha256, at_most } in &self.fetch {
            expected(is_inside(path) && path != LOCK_FILE, "expected a path within the data set's folder", path)?;
            expected(may_be_fetched(url), "expected an https URL, or an http one of this machine", url)?;
            expected(*at_most > 0, "expected at_most to be 1 or more", "0")?;
            expected(sha256.as_deref().is_none_or(is_sha256), SHA256, sha256.as_deref().unwrap_or_default())?;
        }
        for Expected { path, sha256, pictures_in, .. } in &self.layout {
            expected(path == "." || is_inside(path), "expected a path within the data set's folder", path)?;
            expected(sha256.as_deref().is_none_or(is_sha256), SHA256, sha256.as_deref().unwrap_or_default())?;
            let folder = pictures_in.as_deref().unwrap_or(".");
            expected(folder == "." || is_inside(folder), "expected a path within the data set's folder", folder)?;
        }
        Ok(())
    }
}

const SHA256: &str = "expected a SHA-256 digest of 64 lower-case hexadecimal digits";

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_inside(path: &str) -> bool {
    !path.split('/').any(|part| matches!(part, "" | "." | "..") || part.contains(['\\', ':', '\0']))
}

/// Whether a file may come from this URL: over TLS from anywhere, without only from this machine, where nobody is between.
#[must_use]
pub fn may_be_fetched(url: &str) -> bool {
    if url.chars().any(|character| character.is_control() || character == ' ') {
        return false;
    }
    let host = |rest: &str| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned();
        // A user's name before the host could pass for one.
        (!authority.is_empty() && !authority.contains('@')).then_some(authority)
    };
    if let Some(rest) = url.strip_prefix("https://") {
        return host(rest).is_some();
    }
    let Some(authority) = url.strip_prefix("http://").and_then(host) else { return false };
    let name = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
