//! `clearlane datasets check`: a folder against the set's layout.

use std::path::{Path, PathBuf};

use clap::Args;
use clearlane_eval::datasets::Expected;
use clearlane_eval::protocol::{Packed, PairList, PairTest};
use serde::Serialize;
use serde_json::json;

use super::ManifestArgs;
use super::lock::{Lock, digest_of};
use crate::commands::eval::{is_packed, packed_bytes};
use crate::failure::{Exit, Failure, Result, chain};
use crate::interrupt::Interrupt;
use crate::output::{Output, shown, table};
use crate::{pictures, text};

/// How many missing pictures are named.
const NAMED: usize = 5;

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The data set's name
    name: String,
    /// The folder that it is in
    dir: PathBuf,
    #[command(flatten)]
    manifest: ManifestArgs,
}

/// What was found of one file or folder.
#[derive(Debug, Serialize)]
struct Finding {
    path: String,
    state: State,
    /// In words.
    found: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Whole,
    Absent,
    Wrong,
}

pub(super) fn run(args: &CheckArgs, output: &Output) -> Result<Exit> {
    let dataset = args.manifest.get(&args.name)?;
    if !args.dir.is_dir() {
        let message = format!("{}: expected the folder of `{}`, got none", shown(&args.dir), args.name);
        return Err(Failure::new(Exit::Input, message).with_help(dataset.obtain));
    }
    let (lock, interrupt) = (Lock::read(&args.dir)?, Interrupt::listen()?);
    let check = |expected: &Expected| finding(&args.dir, expected, &lock, &interrupt);
    let findings = dataset.layout.iter().map(check).collect::<Result<Vec<_>>>()?;
    // Of a set with nothing but optional parts there has to be one.
    let whole = findings.iter().any(|finding| finding.state == State::Whole)
        && findings.iter().zip(&dataset.layout).all(|(finding, expected)| match finding.state {
            State::Whole => true,
            State::Absent => expected.optional,
            State::Wrong => false,
        });
    let value = json!({ "name": dataset.name, "dir": shown(&args.dir), "whole": whole, "findings": findings });
    output.result(&value, || {
        let row = |finding: &Finding| {
            let state = format!("{:?}", finding.state).to_lowercase();
            vec![finding.path.clone(), state, finding.found.clone()]
        };
        let rows: Vec<_> = findings.iter().map(row).collect();
        let mut text = table(&["PATH", "STATE", "FOUND"], &[], &rows);
        if whole {
            text.extend(["\n", &dataset.name, " is whole: ", &dataset.command, "\n"]);
        } else {
            text.extend(["\n", &dataset.name, " is not whole. ", &dataset.obtain, "\n", &dataset.page, "\n"]);
        }
        text
    })?;
    Ok(Exit::answer(whole))
}

fn finding(dir: &Path, expected: &Expected, lock: &Lock, interrupt: &Interrupt) -> Result<Finding> {
    let path = dir.join(&expected.path);
    let finding = |state, found: String| Finding { path: expected.path.clone(), state, found };
    if !path.exists() {
        return Ok(finding(State::Absent, "not there".to_owned()));
    }
    let outcome = if path.is_dir() { folder(&path, expected)? } else { file(dir, &path, expected, lock, interrupt)? };
    Ok(match outcome {
        Ok(found) => finding(State::Whole, found),
        Err(problem) => finding(State::Wrong, problem),
    })
}

/// What was found, or what is wrong.
type Outcome = Result<String, String>;

fn folder(path: &Path, expected: &Expected) -> Result<Outcome> {
    let (mut subjects, mut found) = (0, 0);
    let entries = pictures::entries(path)?;
    for folder in entries.iter().filter(|path| path.is_dir()) {
        // CFP has a further level, of poses.
        let within = pictures::entries(folder)?;
        let count = within.iter().filter(|path| pictures::has_picture_name(path)).count();
        let deeper = within.iter().any(|path| path.is_dir());
        subjects += usize::from(count > 0 || deeper);
        found += count;
    }
    let differs = |what: &str, expected: Option<usize>, found: usize| {
        expected
            .filter(|expected| *expected != found)
            .map(|expected| format!("expected {expected} {what}, got {found}"))
    };
    if let Some(problem) = differs("subjects", expected.subjects, subjects) {
        return Ok(Err(problem));
    }
    if let Some(problem) = differs("pictures", expected.pictures, found) {
        return Ok(Err(problem));
    }
    if entries.is_empty() {
        return Ok(Err("an empty folder".to_owned()));
    }
    Ok(Ok(match (expected.subjects, expected.pictures) {
        (None, None) => format!("{} entries", entries.len()),
        (Some(_), None) => format!("{subjects} subjects"),
        _ => format!("{found} pictures of {subjects} subjects"),
    }))
}

fn file(dir: &Path, path: &Path, expected: &Expected, lock: &Lock, interrupt: &Interrupt) -> Result<Outcome> {
    let mut found = Vec::new();
    if let Some(stated) = expected.sha256.as_deref().or_else(|| lock.get(&expected.path)) {
        let digest = digest_of(path, interrupt)?;
        if digest != stated {
            return Ok(Err(format!("expected SHA-256 {stated}, got {digest}")));
        }
        found.push("SHA-256 as expected".to_owned());
    }
    if let Some(pairs) = expected.pairs {
        let test = match test(path)? {
            Ok(test) => test,
            Err(problem) => return Ok(Err(problem)),
        };
        if test.pairs.len() != pairs {
            return Ok(Err(format!("expected {pairs} pairs, got {}", test.pairs.len())));
        }
        found.push(format!("{pairs} pairs"));
        if let Some(folder) = &expected.pictures_in {
            let folder = dir.join(folder);
            let pictures = test.captures.captures.iter().map(|capture| &capture.picture);
            let missing: Vec<_> = pictures.filter(|picture| !folder.join(picture).is_file()).collect();
            if !missing.is_empty() {
                let named = missing.iter().take(NAMED).map(|picture| picture.as_str()).collect::<Vec<_>>().join(", ");
                let and_more = if missing.len() > NAMED { " and more" } else { "" };
                return Ok(Err(format!("of its pictures, {} are missing: {named}{and_more}", missing.len())));
            }
            found.push(format!("all {} pictures there", test.captures.captures.len()));
        }
    }
    if found.is_empty() {
        found.push("there; its digest is not known".to_owned());
    }
    Ok(Ok(found.join(", ")))
}

/// The test in a list of pairs or a packed set, or why it is none.
fn test(path: &Path) -> Result<Result<PairTest, String>> {
    if is_packed(path)? {
        let bytes = packed_bytes(path)?;
        return Ok(Packed::parse(&bytes).map(|packed| packed.test()).map_err(|error| chain(&error)));
    }
    Ok(PairList::parse(&text::read(path)?, None).map(|list| list.test).map_err(|error| chain(&error)))
}
