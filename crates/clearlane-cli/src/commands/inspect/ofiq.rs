//! `inspect --ofiq`: a line for each picture, in the CSV form of OFIQ's sample program.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clearlane_embed::{Component, Measure, Quality};

use super::{InspectArgs, Inspector};
use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, print, shown};
use crate::pictures;

/// What OFIQ writes of a component that could not be assessed.
const NOT_ASSESSED: (&str, &str) = ("0", "-1");

/// The components of the largest face of each picture, and of the pictures in each folder. What cannot be assessed is said on
/// standard error and keeps its line, so that lines and pictures stay side by side.
pub(super) fn run(args: &InspectArgs, output: &Output) -> Result<Exit> {
    let inspector = Inspector::new(args)?;
    print(&header())?;
    let mut all = true;
    for path in files(&args.pictures)? {
        let begun = Instant::now();
        let quality = match inspector.largest(&path) {
            Ok(quality) => Some(quality),
            Err(failure) if failure.exit == Exit::Input => {
                output.failure(&failure);
                None
            }
            Err(failure) => return Err(failure),
        };
        all &= quality.is_some();
        print(&line(&path, quality.as_ref(), begun.elapsed().as_millis()))?;
    }
    Ok(Exit::answer(all))
}

/// The pictures that were named, and those in the folders that were.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let found = pictures::in_folder(path)?;
            if found.is_empty() {
                return Err(Failure::new(Exit::Input, format!("{}: there is no picture in this folder", shown(path))));
            }
            files.extend(found);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// OFIQ ends its header with a separator, and its lines without one.
fn header() -> String {
    let mut header = String::from("Filename;");
    for suffix in ["", ".scalar"] {
        for name in Component::STANDARD {
            header.extend([name, suffix, ";"]);
        }
    }
    header + "assessment_time_in_ms;\n"
}

fn line(path: &Path, quality: Option<&Quality>, milliseconds: u128) -> String {
    let measures: Vec<Option<Measure>> = match quality {
        Some(quality) => quality.standard().map(|(_, measure)| measure).collect(),
        None => vec![None; Component::STANDARD.len()],
    };
    let (native, scalar): (Vec<_>, Vec<_>) = measures
        .iter()
        .map(|measure| match measure {
            Some(measure) => (number(measure.native), measure.value.to_string()),
            None => (NOT_ASSESSED.0.to_owned(), NOT_ASSESSED.1.to_owned()),
        })
        .unzip();
    let mut line = quoted(&shown(path).to_string()).into_owned();
    for value in native.iter().chain(&scalar) {
        line.extend([";", value]);
    }
    // Writing to a String cannot fail.
    let _ = writeln!(line, ";{milliseconds}");
    line
}

/// As OFIQ has it: whole numbers without a point, others with six decimals.
fn number(value: f32) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.6}") }
}

/// A field that may hold what separates fields, as RFC 4180 quotes it.
fn quoted(field: &str) -> Cow<'_, str> {
    if field.contains([';', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\"")).into()
    } else {
        field.into()
    }
}
