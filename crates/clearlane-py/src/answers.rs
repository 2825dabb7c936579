//! What lanes and ports answer, as Python objects.

use clearlane::jiff::Timestamp;
use clearlane::store::Direction;
use clearlane::{EnrolmentOutcome, Language};
use pyo3::prelude::*;

use crate::failure::Result;
use crate::values::to_python;

/// Why a traveller is referred to an officer, or an applicant not enrolled.
#[pyclass(frozen, module = "clearlane")]
pub(crate) struct Reason(pub(crate) clearlane::Reason);

#[pymethods]
impl Reason {
    /// The kind of reason in one word, such as `under-age`.
    #[getter]
    fn code(&self) -> &'static str {
        self.0.code()
    }

    /// The reason in English.
    #[getter]
    fn en(&self) -> &'static str {
        self.0.phrase(Language::English)
    }

    /// The reason in Chinese.
    #[getter]
    fn zh(&self) -> &'static str {
        self.0.phrase(Language::Chinese)
    }

    /// The reason and its data, such as `{"reason": "under-age", "age": 13, "minimum": 14}`.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        to_python(py, &self.0)
    }

    fn __repr__(&self) -> String {
        format!("Reason({:?})", self.code())
    }
}

/// What a traveller should do so that the next frame is better.
#[pyclass(frozen, module = "clearlane")]
pub(crate) struct Guidance(pub(crate) clearlane::Guidance);

#[pymethods]
impl Guidance {
    /// The kind in one word, such as `come-closer`.
    #[getter]
    fn code(&self) -> &'static str {
        self.0.code()
    }

    /// A phrase for the lane's screen, in English.
    #[getter]
    fn en(&self) -> &'static str {
        self.0.phrase(Language::English)
    }

    /// A phrase for the lane's screen, in Chinese.
    #[getter]
    fn zh(&self) -> &'static str {
        self.0.phrase(Language::Chinese)
    }

    fn __repr__(&self) -> String {
        format!("Guidance({:?})", self.code())
    }
}

/// The comparison behind a decision.
#[pyclass(frozen, get_all, module = "clearlane")]
pub(crate) struct Comparison {
    /// With whom.
    subject: u64,
    /// The comparison score: cosine similarity, in [-1, 1].
    score: f32,
    /// What the face alone had to reach.
    threshold: f32,
    /// By how much the subject leads the next one, at least; None in a 1:1 comparison.
    margin: Option<f32>,
}

/// A decided and recorded passage. The gate opens where `admitted` is true, and only there.
#[pyclass(frozen, module = "clearlane")]
pub(crate) struct Passage(pub(crate) clearlane::Passage);

#[pymethods]
impl Passage {
    /// Whether the gate opens.
    #[getter]
    fn admitted(&self) -> bool {
        self.0.decision.is_admission()
    }

    /// Who passes; of a referral, who it most probably is, where anybody came near.
    #[getter]
    fn subject(&self) -> Option<u64> {
        match self.0.decision {
            clearlane::Decision::Admit { subject } => Some(subject.0),
            clearlane::Decision::Refer { subject, .. } => subject.map(|subject| subject.0),
        }
    }

    /// Why the gate does not open, all that applies; empty where it does.
    #[getter]
    fn reasons(&self) -> Vec<Reason> {
        reasons(self.0.decision.reasons())
    }

    /// The comparison behind the decision, where there was one.
    #[getter]
    fn comparison(&self) -> Option<Comparison> {
        let clearlane::Comparison { subject, score, threshold, margin } = self.0.comparison?;
        Some(Comparison { subject: subject.0, score, threshold, margin })
    }

    /// When.
    #[getter]
    fn time(&self) -> Timestamp {
        self.0.time
    }

    /// The number of the crossing record; None where it could not be written, which is a reason to refer.
    #[getter]
    fn record(&self) -> Option<u64> {
        self.0.record
    }

    /// How long each stage took, in microseconds.
    #[getter]
    fn times<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        to_python(py, &self.0.times)
    }

    /// The whole passage as a dictionary that the `json` module takes.
    fn to_dict<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        to_python(py, &self.0)
    }

    fn __repr__(&self) -> String {
        let codes: Vec<_> = self.0.decision.reasons().iter().map(clearlane::Reason::code).collect();
        let (admitted, subject) = (python_bool(self.admitted()), self.subject());
        let subject = subject.map_or("None".to_owned(), |subject| subject.to_string());
        format!("Passage(admitted={admitted}, subject={subject}, reasons={codes:?})")
    }
}

/// A subject whom a search found.
#[pyclass(frozen, get_all, module = "clearlane")]
pub(crate) struct Candidate {
    /// The subject.
    subject: u64,
    /// Its best template for the probe.
    template: u64,
    /// The comparison score: cosine similarity, in [-1, 1].
    score: f32,
}

#[pymethods]
impl Candidate {
    fn __repr__(&self) -> String {
        format!("Candidate(subject={}, score={})", self.subject, self.score)
    }
}

/// The outcome of a 1:N search by `Port.identify`.
#[pyclass(frozen, module = "clearlane")]
pub(crate) struct Identification(pub(crate) clearlane::Identification);

#[pymethods]
impl Identification {
    /// Who it is; None for any of the `reasons`.
    #[getter]
    fn subject(&self) -> Option<u64> {
        self.0.subject.map(|subject| subject.0)
    }

    /// The best subjects, best first.
    #[getter]
    fn candidates(&self) -> Vec<Candidate> {
        let candidate = |found: &clearlane::search::Candidate| Candidate {
            subject: found.subject.0,
            template: found.template.0,
            score: found.score,
        };
        self.0.candidates.iter().map(candidate).collect()
    }

    /// By how much the first candidate leads; where no other was near, at least by this much.
    #[getter]
    fn margin(&self) -> Option<f32> {
        self.0.margin
    }

    /// The threshold that was used.
    #[getter]
    fn threshold(&self) -> f32 {
        self.0.threshold
    }

    /// Whether all references were searched.
    #[getter]
    fn complete(&self) -> bool {
        self.0.completeness == clearlane::search::Completeness::Complete
    }

    /// Why nobody is identified; empty where somebody is.
    #[getter]
    fn reasons(&self) -> Vec<Reason> {
        reasons(&self.0.reasons)
    }

    /// How long each stage took, in microseconds.
    #[getter]
    fn times<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        to_python(py, &self.0.times)
    }

    fn __repr__(&self) -> String {
        let subject = self.subject().map_or("None".to_owned(), |subject| subject.to_string());
        format!("Identification(subject={subject}, threshold={})", self.0.threshold)
    }
}

/// The outcome of a 1:1 comparison.
#[pyclass(frozen, get_all, module = "clearlane")]
pub(crate) struct Verification {
    /// Whether both pictures show one person.
    pub(crate) verified: bool,
    /// The comparison score: cosine similarity, in [-1, 1].
    pub(crate) score: f32,
    /// What it had to reach.
    pub(crate) threshold: f32,
    /// On whom the threshold was measured; None where the caller stated it.
    pub(crate) population: Option<String>,
}

#[pymethods]
impl Verification {
    fn __repr__(&self) -> String {
        let verified = python_bool(self.verified);
        format!("Verification(verified={verified}, score={}, threshold={})", self.score, self.threshold)
    }
}

/// What an application for enrolment came to.
#[pyclass(frozen, module = "clearlane")]
pub(crate) struct Enrolment(pub(crate) EnrolmentOutcome);

#[pymethods]
impl Enrolment {
    /// `enrolled`, `already-enrolled` (nothing was changed) or `refer` (an officer has to look at it).
    #[getter]
    fn outcome(&self) -> &'static str {
        match self.0 {
            EnrolmentOutcome::Enrolled { .. } => "enrolled",
            EnrolmentOutcome::AlreadyEnrolled { .. } => "already-enrolled",
            EnrolmentOutcome::Refer { .. } => "refer",
        }
    }

    /// The register's number for the subject; None where the application is referred.
    #[getter]
    fn subject(&self) -> Option<u64> {
        match self.0 {
            EnrolmentOutcome::Enrolled { subject, .. } | EnrolmentOutcome::AlreadyEnrolled { subject } => {
                Some(subject.0)
            }
            EnrolmentOutcome::Refer { .. } => None,
        }
    }

    /// Numbers of the new templates, of the best picture first.
    #[getter]
    fn templates(&self) -> Vec<u64> {
        match &self.0 {
            EnrolmentOutcome::Enrolled { templates, .. } => templates.iter().map(|template| template.0).collect(),
            _ => Vec::new(),
        }
    }

    /// Why the application is referred; empty where it is not.
    #[getter]
    fn reasons(&self) -> Vec<Reason> {
        match &self.0 {
            EnrolmentOutcome::Refer { reasons: why } => reasons(why),
            _ => Vec::new(),
        }
    }

    fn __repr__(&self) -> String {
        let codes: Vec<_> = self.reasons().iter().map(Reason::code).collect();
        format!("Enrolment({:?}, reasons={codes:?})", self.outcome())
    }
}

/// A traveller's last passage, ready to be printed: as text by `str()`, or as a page.
#[pyclass(frozen, module = "clearlane")]
pub(crate) struct PrintedRecord(pub(crate) clearlane::PrintedRecord);

#[pymethods]
impl PrintedRecord {
    /// The number of the crossing record.
    #[getter]
    fn record(&self) -> u64 {
        self.0.record
    }

    /// The code to check it by: `clearlane records verify --code CODE`.
    #[getter]
    fn code(&self) -> String {
        self.0.code.to_string()
    }

    /// `entry` or `exit`.
    #[getter]
    fn direction(&self) -> &'static str {
        Direction::as_str(self.0.direction)
    }

    /// One self-contained HTML page for A4 paper, in Chinese and English.
    #[getter]
    fn html(&self) -> String {
        self.0.to_html()
    }

    /// As a dictionary that the `json` module takes.
    fn to_dict<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        to_python(py, &self.0)
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("PrintedRecord(record={}, code={:?})", self.0.record, self.code())
    }
}

fn reasons(reasons: &[clearlane::Reason]) -> Vec<Reason> {
    reasons.iter().cloned().map(Reason).collect()
}

fn python_bool(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}
