//! Lanes, and passages that take frames one by one.

use std::sync::{Arc, Mutex, PoisonError};

use clearlane::{Direction, PassageStep, Rotation, ShownDocument, SubjectId};
use pyo3::prelude::*;

use crate::answers::{Guidance, Passage};
use crate::failure::{Failure, Result, detached};
use crate::pictures::Pictures;
use crate::port::Opened;
use crate::values::seconds;

/// One lane of a port, from `Port.lane`: it says of each traveller whether the gate opens, and records it.
///
/// A lane may be used from several threads. Whatever goes wrong inside of a passage is a reason to refer the traveller to an
/// officer; exceptions say that an argument is wrong or that the port is closed.
#[pyclass(frozen, module = "clearlane")]
pub(crate) struct Lane {
    port: Arc<Opened>,
    name: String,
    direction: Direction,
    /// How its camera is mounted.
    rotation: Rotation,
}

impl Lane {
    pub(crate) fn new(port: Arc<Opened>, name: String, direction: Direction, rotation: Rotation) -> Result<Self> {
        port.port()?.lane(name.as_str(), direction)?;
        Ok(Self { port, name, direction, rotation })
    }

    /// Made anew at each call, which is cheap, so that a port which is closed holds on to nothing.
    fn lane(&self) -> Result<clearlane::Lane> {
        Ok(self.port.port()?.lane(self.name.as_str(), self.direction)?)
    }
}

#[pymethods]
impl Lane {
    /// The traveller shows nothing (1:N): who stands before the camera, and may they pass?
    ///
    /// frames: a list of pictures of one passage, one or several.
    /// evidence: a list of `Evidence`, other matchers' scores for the subject that the traveller turns out to be.
    /// budget: seconds until the answer; the policy's by default.
    /// order: how the samples of the pictures are ordered: "rgb", "bgr", "rgba", "bgra", "yuyv", "uyvy", and "nv12" or "i420" of
    ///     1.5 height x width. Height x width alone is grey.
    #[pyo3(signature = (frames, *, evidence=Vec::new(), budget=None, order="rgb"))]
    fn pass_frames(
        &self,
        frames: &Bound<'_, PyAny>,
        evidence: Vec<Evidence>,
        budget: Option<f64>,
        order: &str,
    ) -> Result<Passage> {
        let pictures = Pictures::many("frames", frames, order)?.turned(self.rotation);
        let (budget, evidence, pictures) = (seconds("budget", budget)?, self::evidence(&evidence), pictures.frames()?);
        detached(frames.py(), || Ok(Passage(self.lane()?.pass(&pictures, &evidence, budget))))
    }

    /// The traveller shows a document (1:1): are they the one of its portrait and of its holder's enrolment, and may they
    /// pass with it? That it is genuine is for its reader to say.
    ///
    /// kind: the document's kind, such as "passport". number: its number. portrait: the picture in its chip. The rest as for
    /// `pass_frames`.
    #[pyo3(signature = (kind, number, portrait, frames, *, evidence=Vec::new(), budget=None, order="rgb"))]
    fn verify_document(
        &self,
        kind: &str,
        number: &str,
        portrait: &Bound<'_, PyAny>,
        frames: &Bound<'_, PyAny>,
        evidence: Vec<Evidence>,
        budget: Option<f64>,
        order: &str,
    ) -> Result<Passage> {
        let kind = kind.parse()?;
        let portraits = Pictures::one("portrait", portrait, order)?;
        let (portrait, pictures) = (portraits.frame()?, Pictures::many("frames", frames, order)?.turned(self.rotation));
        let (budget, evidence, pictures) = (seconds("budget", budget)?, self::evidence(&evidence), pictures.frames()?);
        let document = ShownDocument { kind, number, portrait: &portrait };
        let pass = || Ok(Passage(self.lane()?.verify_document(&document, &pictures, &evidence, budget)));
        detached(frames.py(), pass)
    }

    /// The traveller shows a claim, a QR code, in one of `claim_frames` (1:1): is it good, are they the one it names, and may
    /// they pass? A claim that is found good is used up by this, whatever the decision. The rest as for `pass_frames`.
    #[pyo3(signature = (claim_frames, frames, *, evidence=Vec::new(), budget=None, order="rgb"))]
    fn verify_claim(
        &self,
        claim_frames: &Bound<'_, PyAny>,
        frames: &Bound<'_, PyAny>,
        evidence: Vec<Evidence>,
        budget: Option<f64>,
        order: &str,
    ) -> Result<Passage> {
        let claims = Pictures::many("claim_frames", claim_frames, order)?;
        let (claims, pictures) = (claims.frames()?, Pictures::many("frames", frames, order)?.turned(self.rotation));
        let (budget, evidence, pictures) = (seconds("budget", budget)?, self::evidence(&evidence), pictures.frames()?);
        detached(frames.py(), || Ok(Passage(self.lane()?.verify_claim(&claims, &pictures, &evidence, budget))))
    }

    /// A passage that takes frames one by one, as the camera gives them, and decides as soon as it may.
    ///
    /// patience: seconds after the first frame at which it decides with what it has; 10 by default.
    /// order: how the samples of all its frames are ordered, as for `pass_frames`.
    #[pyo3(signature = (*, patience=None, order="rgb"))]
    fn passage(&self, py: Python<'_>, patience: Option<f64>, order: &str) -> Result<PassageSession> {
        let patience = seconds("patience", patience)?;
        let session = detached(py, || Ok(self.lane()?.passage()))?;
        let session = match patience {
            Some(patience) => session.with_patience(patience),
            None => session,
        };
        let (port, rotation, order) = (Arc::clone(&self.port), self.rotation, order.to_owned());
        Ok(PassageSession { port, session: Mutex::new(Some(session)), order, rotation })
    }

    /// The lane's name in crossing records.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// "entry" or "exit", seen from the mainland.
    #[getter]
    fn direction(&self) -> &'static str {
        self.direction.as_str()
    }

    fn __repr__(&self) -> String {
        format!("Lane({:?}, {:?})", self.name, self.direction())
    }
}

/// One traveller before the camera, from `Lane.passage`: give it each frame as it comes, and show the traveller what it
/// says, until it has decided. A session that is dropped before it has decided records nothing.
#[pyclass(frozen, module = "clearlane")]
pub(crate) struct PassageSession {
    port: Arc<Opened>,
    /// `None` once it has ended.
    session: Mutex<Option<clearlane::PassageSession>>,
    order: String,
    rotation: Rotation,
}

#[pymethods]
impl PassageSession {
    /// Takes the next frame. Returns a `Guidance` for the traveller, or the decided `Passage`. Frames after the decision
    /// change nothing.
    fn frame<'py>(&self, frame: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>> {
        let py = frame.py();
        let pictures = Pictures::one("frame", frame, &self.order)?.turned(self.rotation);
        let picture = pictures.frame()?;
        match detached(py, || self.with(|session| session.frame(&picture)))? {
            PassageStep::Continue(guidance) => Ok(Bound::new(py, Guidance(guidance))?.into_any()),
            PassageStep::Decided(passage) => Ok(Bound::new(py, Passage(*passage))?.into_any()),
        }
    }

    /// Takes another matcher's score for whom the traveller turns out to be. Returns the `Passage` where that decides it.
    fn evidence(&self, py: Python<'_>, evidence: Evidence) -> Result<Option<Passage>> {
        match detached(py, || self.with(|session| session.evidence(evidence.0)))? {
            Some(PassageStep::Decided(passage)) => Ok(Some(Passage(*passage))),
            _ => Ok(None),
        }
    }

    /// Decides with the frames that came, and ends the session: the traveller went away, or nothing better is to come.
    fn finish(&self, py: Python<'_>) -> Result<Passage> {
        detached(py, || {
            self.port.port()?;
            let session = self.session.lock().unwrap_or_else(PoisonError::into_inner).take();
            Ok(Passage(session.ok_or_else(ended)?.finish()))
        })
    }
}

impl PassageSession {
    fn with<T>(&self, work: impl FnOnce(&mut clearlane::PassageSession) -> T) -> Result<T> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(closed) = self.port.port() {
            *session = None;
            return Err(closed);
        }
        session.as_mut().map(work).ok_or_else(ended)
    }
}

fn ended() -> Failure {
    Failure::input("the session has ended: each traveller needs one of their own, from `Lane.passage`")
}

/// Another matcher's comparison of a traveller with one subject's reference.
///
/// matcher: the matcher, by its name in the policy. subject: whose reference it compared with. score: its score, on its own
/// scale, within 1e9 of 0; higher speaks for the subject. Any other score refers the traveller.
#[pyclass(frozen, from_py_object, module = "clearlane")]
#[derive(Clone)]
pub(crate) struct Evidence(clearlane::Evidence);

#[pymethods]
impl Evidence {
    #[new]
    fn new(matcher: String, subject: u64, score: f64) -> Self {
        Self(clearlane::Evidence { matcher, subject: SubjectId(subject), score })
    }

    fn __repr__(&self) -> String {
        format!("Evidence({:?}, subject={}, score={})", self.0.matcher, self.0.subject, self.0.score)
    }
}

fn evidence(given: &[Evidence]) -> Vec<clearlane::Evidence> {
    given.iter().map(|evidence| evidence.0.clone()).collect()
}
