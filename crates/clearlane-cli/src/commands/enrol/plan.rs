//! Whom to enrol, from which pictures: a folder `SUBJECT/IMAGE`, or a CSV file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clearlane_store::{Consent, ConsentScope, Details};
use serde::Deserialize;

use crate::failure::{Exit, Failure, Result};
use crate::pictures;

/// One person and the pictures of them.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Candidate {
    pub(in crate::commands) key: String,
    pub(in crate::commands) details: Details,
    pub(in crate::commands) pictures: Vec<PathBuf>,
}

/// A line of the CSV file. Everything but the first two columns may be left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    subject: String,
    image: PathBuf,
    category: Option<clearlane_store::Category>,
    nationality: Option<clearlane_store::Nationality>,
    birth: Option<jiff::civil::Date>,
    expires: Option<jiff::civil::Date>,
    /// When consent to the use of the face was given.
    consent: Option<jiff::Timestamp>,
    /// Whether it was given to the use of fingerprints too.
    consent_fingerprint: Option<bool>,
    place: Option<String>,
    method: Option<String>,
}

/// Everybody to enrol, in a stable order.
pub(in crate::commands) fn read(source: &Path) -> Result<Vec<Candidate>> {
    let candidates = if source.is_dir() { folder(source)? } else { csv(source)? };
    if candidates.is_empty() {
        return Err(Failure::new(Exit::Input, format!("{}: nobody to enrol", source.display()))
            .with_help("a folder SUBJECT/IMAGE is wanted, or a CSV file with the columns subject,image"));
    }
    Ok(candidates)
}

fn folder(folder: &Path) -> Result<Vec<Candidate>> {
    let mut candidates = Vec::new();
    for path in pictures::entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        let key = pictures::subject(&path)?.to_owned();
        let details = Details { method: Some("import".to_owned()), ..Details::default() };
        candidates.push(Candidate { key, details, pictures: pictures::in_folder(&path)? });
    }
    Ok(candidates)
}

fn csv(file: &Path) -> Result<Vec<Candidate>> {
    let unreadable = |error: csv::Error| Failure::at(Exit::Input, file, &error);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(file).map_err(unreadable)?;
    let base = file.parent().unwrap_or(Path::new(""));
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut candidates: Vec<Candidate> = Vec::new();
    for line in reader.deserialize() {
        let line: Line = line.map_err(unreadable)?;
        let picture = base.join(&line.image);
        if let Some(&place) = places.get(&line.subject) {
            candidates[place].pictures.push(picture);
        } else {
            places.insert(line.subject.clone(), candidates.len());
            candidates.push(line.into_candidate(picture));
        }
    }
    Ok(candidates)
}

impl Line {
    /// What is known of a person is what the first line with their name says.
    fn into_candidate(self, picture: PathBuf) -> Candidate {
        let scope = ConsentScope { face: true, fingerprint: self.consent_fingerprint.unwrap_or_default() };
        let details = Details {
            category: self.category,
            birth: self.birth,
            nationality: self.nationality,
            consent: self.consent.map(|given| Consent { given, scope, withdrawn: None }),
            place: self.place,
            method: Some(self.method.unwrap_or_else(|| "import".to_owned())),
            expires: self.expires,
            ..Details::default()
        };
        Candidate { key: self.subject, details, pictures: vec![picture] }
    }
}
