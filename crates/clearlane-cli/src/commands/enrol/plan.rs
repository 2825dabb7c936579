//! Whom to enrol, from which pictures: a folder `SUBJECT/IMAGE`, or a CSV file.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clearlane_store::{Consent, ConsentScope, CsvColumns, Details, StoreError, csv_rows};
use serde::Deserialize;

use crate::failure::{Exit, Failure, Result};
use crate::output::shown;
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

const COLUMNS: CsvColumns<'_> = CsvColumns {
    needed: &["subject", "image"],
    others: &["category", "nationality", "birth", "expires", "consent", "consent_fingerprint", "place", "method"],
};

/// Everybody to enrol, in a stable order.
pub(in crate::commands) fn read(source: &Path) -> Result<Vec<Candidate>> {
    let candidates = if source.is_dir() { folder(source)? } else { csv(source)? };
    if candidates.is_empty() {
        return Err(Failure::new(Exit::Input, format!("{}: nobody to enrol", shown(source)))
            .with_help("give a folder SUBJECT/IMAGE, or a CSV file with the columns subject,image"));
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
    let unreadable = |error: StoreError| Failure::at(Exit::Input, file, &error);
    let mut text = BufReader::new(File::open(file).map_err(|error| Failure::reading(file, &error))?);
    let base = file.parent().unwrap_or(Path::new(""));
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut people: Vec<(Line, Vec<PathBuf>)> = Vec::new();
    for row in csv_rows::<Line>(&mut text, COLUMNS).map_err(unreadable)? {
        let (number, line) = row.map_err(unreadable)?;
        let line = line.map_err(unreadable)?;
        let refused = |problem: String| Failure::new(Exit::Input, format!("{}: line {number}: {problem}", shown(file)));
        if line.consent.is_none() && line.consent_fingerprint.is_some() {
            return Err(refused("consent_fingerprint: stands there without consent".to_owned()));
        }
        let picture = base.join(&line.image);
        if let Some(&place) = places.get(&line.subject) {
            let (known, pictures) = &mut people[place];
            if let Some(column) = line.contradicts(known) {
                return Err(refused(format!("{column}: not what `{}` has on an earlier line", line.subject)));
            }
            pictures.push(picture);
        } else {
            places.insert(line.subject.clone(), people.len());
            people.push((line, vec![picture]));
        }
    }
    Ok(people.into_iter().map(|(line, pictures)| line.into_candidate(pictures)).collect())
}

impl Line {
    /// The first column that says something else of a person than the first line with their name, which is what is known of
    /// them. Columns may be left empty on the others.
    fn contradicts(&self, known: &Self) -> Option<&'static str> {
        fn differ<T: PartialEq>(here: Option<&T>, known: Option<&T>) -> bool {
            here.is_some() && here != known
        }
        let columns = [
            ("category", differ(self.category.as_ref(), known.category.as_ref())),
            ("nationality", differ(self.nationality.as_ref(), known.nationality.as_ref())),
            ("birth", differ(self.birth.as_ref(), known.birth.as_ref())),
            ("expires", differ(self.expires.as_ref(), known.expires.as_ref())),
            ("consent", differ(self.consent.as_ref(), known.consent.as_ref())),
            ("consent_fingerprint", differ(self.consent_fingerprint.as_ref(), known.consent_fingerprint.as_ref())),
            ("place", differ(self.place.as_ref(), known.place.as_ref())),
            ("method", differ(self.method.as_ref(), known.method.as_ref())),
        ];
        columns.into_iter().find(|(_, differs)| *differs).map(|(column, _)| column)
    }

    fn into_candidate(self, pictures: Vec<PathBuf>) -> Candidate {
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
        Candidate { key: self.subject, details, pictures }
    }
}
