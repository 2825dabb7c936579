//! What was acknowledged, a line each, in a file: so that it takes no memory of the process that is measured.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use clearlane_template::SubjectId;

use crate::SimulationError;

pub(super) struct Ledger {
    path: PathBuf,
    file: Mutex<BufWriter<File>>,
}

/// A lane's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) record: u64,
    pub(super) admitted: bool,
    /// Who the record names.
    pub(super) subject: Option<SubjectId>,
}

impl Ledger {
    pub(super) fn create(path: &Path) -> Result<Self, SimulationError> {
        let file = OpenOptions::new().append(true).create_new(true).open(path);
        let file = file.map_err(|source| unwritten(path, source))?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(BufWriter::new(file)) })
    }

    pub(super) fn enrolled(&self, number: u64, subject: SubjectId) -> Result<(), SimulationError> {
        self.line(&format!("enrolled {subject} traveller {number}"))
    }

    pub(super) fn left(&self, how: &str, subject: SubjectId) -> Result<(), SimulationError> {
        self.line(&format!("{how} {subject}"))
    }

    pub(super) fn answered(&self, answer: Answer) -> Result<(), SimulationError> {
        let Answer { record, admitted, subject } = answer;
        let mut line = format!("record {record} {}", if admitted { "admit" } else { "refer" });
        if let Some(subject) = subject {
            // Writing to a String cannot fail.
            let _ = write!(line, " {subject}");
        }
        self.line(&line)
    }

    fn line(&self, line: &str) -> Result<(), SimulationError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(file, "{line}").map_err(|source| unwritten(&self.path, source))
    }

    /// The lanes' answers, by the numbers of their records.
    pub(super) fn answers(self) -> Result<Vec<Answer>, SimulationError> {
        let Self { path, file } = self;
        let file = file.into_inner().unwrap_or_else(PoisonError::into_inner);
        file.into_inner().map_err(|error| unwritten(&path, error.into_error()))?;
        let unread = |source| SimulationError::Ledger { path: path.clone(), source };
        let mut answers = Vec::new();
        for line in BufReader::new(File::open(&path).map_err(unread)?).lines() {
            answers.extend(answer(&line.map_err(unread)?));
        }
        answers.sort_unstable_by_key(|answer: &Answer| answer.record);
        Ok(answers)
    }
}

fn answer(line: &str) -> Option<Answer> {
    let mut words = line.strip_prefix("record ")?.split(' ');
    let record = words.next()?.parse().ok()?;
    let admitted = words.next()? == "admit";
    let subject = words.next().and_then(|word| word.parse().ok()).map(SubjectId);
    Some(Answer { record, admitted, subject })
}

fn unwritten(path: &Path, source: std::io::Error) -> SimulationError {
    SimulationError::Ledger { path: path.to_owned(), source }
}
