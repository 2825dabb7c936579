//! The fictional faces of the demonstration: built in, or from a folder of the same layout.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use clearlane_store::{CsvColumns, StoreError, csv_rows};
use serde::Deserialize;

use crate::failure::{Exit, Failure, Result};

/// What is compiled in: paths and bytes. Nothing without the feature `builtin`.
const BUILTIN: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/faces.rs"));

/// One picture of one fictional person.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Capture {
    pub(in crate::commands) path: String,
    pub(in crate::commands) person: String,
    pub(in crate::commands) kind: String,
    /// Whether the person is to be enrolled.
    pub(in crate::commands) enrolled: bool,
    pub(in crate::commands) jpeg: Cow<'static, [u8]>,
}

/// A line of the set's manifest.csv.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    path: String,
    subject: String,
    kind: String,
    enrolled: Answer,
    #[serde(rename = "capture")]
    _capture: Option<String>,
    #[serde(rename = "sha256")]
    _sha256: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Yes,
    No,
}

const COLUMNS: CsvColumns<'_> =
    CsvColumns { needed: &["path", "subject", "kind", "enrolled"], others: &["capture", "sha256"] };

/// The pictures of the set, in the manifest's order.
pub(in crate::commands) fn read(folder: Option<&Path>) -> Result<Vec<Capture>> {
    let captures = match folder {
        Some(folder) => from_folder(folder)?,
        None => builtin()?,
    };
    if captures.iter().any(|capture| capture.kind == "enrol") {
        return Ok(captures);
    }
    Err(Failure::new(Exit::Input, "no fictional faces are built in")
        .with_help("give a folder of them with --faces DIR"))
}

fn builtin() -> Result<Vec<Capture>> {
    let files: HashMap<&str, &[u8]> = BUILTIN.iter().copied().collect();
    let mut manifest = files.get("manifest.csv").copied().unwrap_or_default();
    lines(&mut manifest, |error| Failure::of(Exit::Input, &error))?
        .into_iter()
        .map(|line| {
            let jpeg = files.get(line.path.as_str()).copied().unwrap_or_default();
            Ok(line.capture(Cow::Borrowed(jpeg)))
        })
        .collect()
}

fn from_folder(folder: &Path) -> Result<Vec<Capture>> {
    let path = folder.join("manifest.csv");
    let mut manifest = BufReader::new(File::open(&path).map_err(|error| Failure::reading(&path, &error))?);
    lines(&mut manifest, |error| Failure::at(Exit::Input, &path, &error))?
        .into_iter()
        .map(|line| {
            let jpeg = crate::pictures::read(&folder.join(&line.path))?;
            Ok(line.capture(Cow::Owned(jpeg)))
        })
        .collect()
}

fn lines(manifest: &mut dyn BufRead, unreadable: impl Fn(StoreError) -> Failure) -> Result<Vec<Line>> {
    let rows = csv_rows(manifest, COLUMNS).map_err(&unreadable)?;
    rows.map(|row| row.and_then(|(_, line)| line).map_err(&unreadable)).collect()
}

impl Line {
    fn capture(self, jpeg: Cow<'static, [u8]>) -> Capture {
        Capture { path: self.path, person: self.subject, kind: self.kind, enrolled: self.enrolled == Answer::Yes, jpeg }
    }
}
