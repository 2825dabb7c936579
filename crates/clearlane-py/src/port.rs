//! The opened port.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use clearlane::embed::Detector;
use clearlane::jiff::Timestamp;
use clearlane::store::{KeyError, KeyId, Outcome, Problem, RecordQuery};
use clearlane::{
    Application, CalibrationError, Direction, Enroller, Key, KeySource, Keyring, Mode, Orientation, Picture,
    PortOptions, Selection, SmallestFace, SubjectId,
};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::json;

use crate::answers::{Enrolment, Identification, PrintedRecord};
use crate::failure::{Failure, Result, detached};
use crate::lane::Lane;
use crate::pictures::{self, Pictures};
use crate::values::{from_python, to_python};

/// An opened port: one gallery, one register and one set of models, which all of its lanes share.
///
/// Ports and lanes may be used from any number of threads at once; every long call lets other Python threads run. A port is
/// a context manager that closes itself.
///
/// register: the register's file.
/// keys: the file with the register's keys (64 hexadecimal digits a line, the current one first), or one key as 32 bytes,
///     or a function that gets a key's id as 16 hexadecimal digits, or None for the current key, and returns 32 bytes, or
///     None for a key that it does not have.
/// witness: the file that remembers the register's newest root, best on another disk.
/// gallery_file: the file that keeps the gallery's rows, so that only codes take memory; it is made where it is missing or does not fit.
/// policy: the file with the rules. A port without rules identifies; it has no lanes and enrols nobody.
/// port: which of the policy's ports this is; may be left out where it has one only.
/// models: folders of models beside those built in.
/// detector, embedder, pad: models by name; the first ones available, and all for PAD, by default.
/// selection: whose face counts where a frame shows several: "largest", "central" or "only".
/// orientation: how pictures stand: "given", as they come, or "auto", whichever of four ways shows the surest face.
/// min_face: the smallest face that counts, in pixels (1 or more) or as a share of the picture's shorter side (below 1).
/// detector_size: the longer side of the detector's input in pixels, 32 to 4096; the model's own by default.
/// flip: whether each template is averaged with that of the mirrored face.
/// claim_issuer: the public key (PEM file) of the issuer whose claims are believed.
/// create: whether to make the register where there is none.
/// read_only: whether to open it for reading only: for identification, not for lanes.
/// check: whether to check the register now. No lane admits anybody before a check.
/// add_model: whether to take a register that holds templates of other models alone.
/// mode, miss: by which contract searches skip references: "certified", "exhaustive", or "sketch" with the probability of
///     a miss.
/// parallel: whether one search uses all processors; the calling thread alone serves several lanes best.
#[pyclass(frozen, module = "clearlane")]
pub(crate) struct Port(Arc<Opened>);

/// What is open, until it is closed. Lanes and sessions look here at each call.
pub(crate) struct Opened(RwLock<Option<Parts>>);

#[derive(Clone)]
struct Parts {
    port: clearlane::Port,
    enroller: Arc<OnceLock<Enroller>>,
}

impl Opened {
    fn parts(&self) -> Result<Parts> {
        let parts = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        parts.ok_or_else(|| Failure::input("the port is closed"))
    }

    pub(crate) fn port(&self) -> Result<clearlane::Port> {
        Ok(self.parts()?.port)
    }
}

#[pymethods]
impl Port {
    #[new]
    #[pyo3(signature = (
        register, *, keys=None, witness=None, gallery_file=None, policy=None, port=None, models=Vec::new(), detector=None,
        embedder=None, pad=Vec::new(), selection="largest", orientation="given", min_face=None, detector_size=None, flip=false,
        claim_issuer=None, create=false, read_only=false, check=true, add_model=false, mode="certified", miss=1e-9,
        parallel=false,
    ))]
    #[allow(clippy::fn_params_excessive_bools, reason = "keywords of a Python constructor")]
    fn new(
        py: Python<'_>,
        register: PathBuf,
        keys: Option<&Bound<'_, PyAny>>,
        witness: Option<PathBuf>,
        gallery_file: Option<PathBuf>,
        policy: Option<PathBuf>,
        port: Option<&str>,
        models: Vec<PathBuf>,
        detector: Option<String>,
        embedder: Option<String>,
        pad: Vec<String>,
        selection: &str,
        orientation: &str,
        min_face: Option<f32>,
        detector_size: Option<usize>,
        flip: bool,
        claim_issuer: Option<PathBuf>,
        create: bool,
        read_only: bool,
        check: bool,
        add_model: bool,
        mode: &str,
        miss: f64,
        parallel: bool,
    ) -> Result<Self> {
        if create && read_only {
            return Err(Failure::input("create, read_only: expected one of them at most, got both"));
        }
        let mut options = PortOptions::new(register)
            .pad(pad)
            .selection(self::selection(selection)?)
            .orientation(self::orientation(orientation)?)
            .flip(flip)
            .check(check)
            .add_model(add_model)
            .mode(self::mode(mode, miss)?)
            .parallel(parallel);
        options = models.into_iter().fold(options, PortOptions::models);
        options = match keys {
            None => options,
            Some(keys) if keys.is_callable() => options.keys(Keys(keys.clone().unbind())),
            Some(keys) => match keys.cast::<PyBytes>() {
                Ok(key) => options.keys(Keyring::new(self::key(key.as_bytes())?)),
                Err(_) => options.key_file(keys.extract::<PathBuf>()?),
            },
        };
        if let Some(id) = port {
            options = options.port(id.parse()?);
        }
        if create {
            options = options.create();
        }
        if read_only {
            options = options.read_only();
        }
        options = set(options, PortOptions::witness, witness);
        options = set(options, PortOptions::gallery_file, gallery_file);
        options = set(options, PortOptions::policy_file, policy);
        options = set(options, PortOptions::claim_issuer, claim_issuer);
        options = set(options, PortOptions::detector, detector);
        options = set(options, PortOptions::smallest_face, min_face.map(smallest_face).transpose()?);
        options = set(options, PortOptions::detector_size, detector_size.map(input_side).transpose()?);
        options = set(options, PortOptions::embedder, embedder);
        let port = detached(py, || Ok(clearlane::Port::open(options)?))?;
        Ok(Self(Arc::new(Opened(RwLock::new(Some(Parts { port, enroller: Arc::default() }))))))
    }

    /// A lane of this port. `name` is 1 to 64 bytes and stands in the crossing records; `direction` is "entry" or "exit",
    /// seen from the mainland.
    ///
    /// rotation: degrees, 0, 90, 180 or 270, by which its camera's pictures are turned clockwise to stand upright. Portraits and
    ///     claims stand as they are.
    #[pyo3(signature = (name, direction, *, rotation=0))]
    fn lane(&self, py: Python<'_>, name: String, direction: &str, rotation: u32) -> Result<Lane> {
        let (direction, rotation) = (self::direction(direction)?, pictures::rotation(rotation)?);
        detached(py, || Lane::new(Arc::clone(&self.0), name, direction, rotation))
    }

    /// Says whom a picture shows (1:N) without opening a gate: nothing is recorded and no rule is asked.
    ///
    /// fpir: the false positive identification rate, in (0, 1), that the threshold is calibrated for.
    /// population: whose calibration that is, of a port without a policy; of all on whom the model was measured, those who need
    ///     the strictest threshold, by default. A policy says itself whom the port serves.
    /// margin: by how much the candidate must lead the next subject.
    /// candidates: how many candidates to list at most, 2 at least.
    /// order: how the samples of the picture are ordered, as for `Lane.pass_frames`.
    #[pyo3(signature = (frame, *, fpir=3e-3, population=None, margin=0.05, candidates=2, order="rgb"))]
    fn identify(
        &self,
        frame: &Bound<'_, PyAny>,
        fpir: f64,
        population: Option<&str>,
        margin: f32,
        candidates: usize,
        order: &str,
    ) -> Result<Identification> {
        let pictures = Pictures::one("frame", frame, order)?;
        let picture = pictures.frame()?;
        detached(frame.py(), || {
            let port = self.0.port()?;
            let mut options = port.identify_options(fpir, margin)?;
            if let Some(population) = population {
                let known = port.calibration().ok_or(CalibrationError::NoPoints)?;
                let known = known.for_populations(&[population.parse()?]).map_err(CalibrationError::from)?;
                options.threshold = known.threshold_for_fpir(fpir, port.references().len())?;
            }
            options.candidates = candidates.max(2);
            Ok(Identification(port.identify(&picture, &options)?))
        })
    }

    /// Enrols a subject by the rules of the port's policy: consent, quality, one person, and no face that is enrolled
    /// already. What is enrolled is on disk when this returns, and the lanes find it.
    ///
    /// key: the name under which the world outside knows this person.
    /// pictures: a list of pictures, each of this person alone.
    /// details: a dictionary of what the rules need to know: `category`, `birth`, `nationality`, `documents`, `consent`,
    ///     `place`, `method`, `expires`. Dates may be `datetime` objects or text. See `number_digest` for documents.
    #[pyo3(signature = (key, pictures, *, details=None, order="rgb"))]
    fn enrol(
        &self,
        key: String,
        pictures: &Bound<'_, PyAny>,
        details: Option<&Bound<'_, PyAny>>,
        order: &str,
    ) -> Result<Enrolment> {
        let py = pictures.py();
        let pictures = Pictures::many("pictures", pictures, order)?;
        let details = details.map(|details| from_python("details", details)).transpose()?.unwrap_or_default();
        let pictures = pictures.frames()?.into_iter().map(|frame| Picture { frame, source: None }).collect();
        let application = Application { key, details, pictures };
        detached(py, || {
            let parts = self.0.parts()?;
            let enroller = if let Some(made) = parts.enroller.get() {
                made
            } else {
                let made = parts.port.enroller()?;
                parts.enroller.get_or_init(|| made)
            };
            Ok(Enrolment(enroller.enrol(&application, Timestamp::now())?))
        })
    }

    /// The keyed digest of a document's number, for `number_digest` of a document in the details of an enrolment. The number
    /// itself is stored nowhere.
    fn number_digest(&self, py: Python<'_>, kind: &str, number: &str) -> Result<String> {
        let kind = kind.parse()?;
        detached(py, || Ok(self.0.port()?.register().number_digest(kind, number)?.to_string()))
    }

    /// The subject that is enrolled under `key`, as a dictionary; None where there is none.
    fn subject<'py>(&self, py: Python<'py>, key: &str) -> Result<Option<Bound<'py, PyAny>>> {
        let subject = detached(py, || Ok(self.0.port()?.register().subject(key)?))?;
        subject.map(|subject| to_python(py, &subject)).transpose()
    }

    /// Brings in what this or another process changed in the register. Costs microseconds where nothing did: call it every
    /// second or so. Returns a dictionary of what came.
    fn poll<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        let came = detached(py, || Ok(self.0.port()?.poll()?))?;
        let (reloaded, added, removed, subjects) = (came.reloaded, came.added, came.removed, came.subjects);
        to_python(py, &json!({ "reloaded": reloaded, "added": added, "removed": removed, "subjects": subjects }))
    }

    /// Checks the whole register. Lanes open only while the last check found it sound. Returns a dictionary with `sound` and
    /// `problems`.
    fn check<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        let report = detached(py, || Ok(self.0.port()?.check(|_, _| {})?))?;
        let sound = report.is_sound() && report.keyed;
        let (subjects, templates, records) = (report.subjects, report.templates, report.records);
        let report = json!({
            "sound": sound, "subjects": subjects, "templates": templates, "records": records, "keyed": report.keyed,
            "problems": problems(&report.problems),
        });
        to_python(py, &report)
    }

    /// The crossing records that fit all that is given, as dictionaries, the oldest first. Each is verified against the
    /// chain.
    ///
    /// subject: the register's number of a subject. direction: "entry" or "exit". outcome: "admit" or "refer".
    /// since, until: `datetime` objects with a time zone; from the first on, before the second.
    /// limit: how many at most, the newest ones.
    #[pyo3(signature = (*, subject=None, port=None, direction=None, outcome=None, since=None, until=None, limit=None))]
    fn records<'py>(
        &self,
        py: Python<'py>,
        subject: Option<u64>,
        port: Option<String>,
        direction: Option<&str>,
        outcome: Option<&str>,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        limit: Option<usize>,
    ) -> Result<Bound<'py, PyAny>> {
        let query = RecordQuery {
            subject: subject.map(SubjectId),
            port,
            direction: direction.map(self::direction).transpose()?,
            outcome: outcome.map(str::parse::<Outcome>).transpose()?,
            from: since,
            until,
        };
        let records = detached(py, || {
            let (port, limit) = (self.0.port()?, limit.unwrap_or(usize::MAX));
            let mut newest = VecDeque::new();
            for record in port.records().list(query) {
                newest.push_back(record?);
                if newest.len() > limit {
                    newest.pop_front();
                }
            }
            Ok(newest)
        })?;
        to_python(py, &records)
    }

    /// The last passage that a lane admitted somebody to, ready to be printed; None where there is none. `key` is that of the
    /// enrolment.
    #[pyo3(signature = (key, direction=None))]
    fn print_record(&self, py: Python<'_>, key: &str, direction: Option<&str>) -> Result<Option<PrintedRecord>> {
        let direction = direction.map(self::direction).transpose()?;
        detached(py, || {
            let port = self.0.port()?;
            let unknown = || Failure::input(format!("key: nobody is enrolled under {key:?}"));
            let subject = port.register().subject(key)?.ok_or_else(unknown)?;
            Ok(port.records().print_last(&subject, direction)?.map(PrintedRecord))
        })
    }

    /// Verifies the whole chain of crossing records. Returns a dictionary with `sound` and `problems`.
    fn verify_records<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        let report = detached(py, || Ok(self.0.port()?.records().verify(|_, _| {})?))?;
        let sound = report.is_sound() && report.keyed;
        let (records, keyed, problems) = (report.records, report.keyed, problems(&report.problems));
        to_python(py, &json!({ "sound": sound, "records": records, "keyed": keyed, "problems": problems }))
    }

    /// What the lanes counted and how long their stages took, as a dictionary.
    fn metrics<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        let snapshot = detached(py, || Ok(self.0.port()?.metrics().snapshot()))?;
        to_python(py, &snapshot)
    }

    /// What the lanes counted, and what is known of the port, in Prometheus' text format (version 0.0.4).
    fn to_prometheus(&self, py: Python<'_>) -> Result<String> {
        detached(py, || Ok(self.0.port()?.to_prometheus()))
    }

    /// Whether the register passed its last check, and nothing was found wrong since.
    #[getter]
    fn sound(&self, py: Python<'_>) -> Result<bool> {
        detached(py, || Ok(self.0.port()?.is_sound()))
    }

    /// Which of the policy's ports this is; None without a policy, or where none was chosen.
    #[getter]
    fn id(&self) -> Result<Option<String>> {
        Ok(self.0.port()?.id().map(ToString::to_string))
    }

    /// The id of the model that made the references, 64 hexadecimal digits.
    #[getter]
    fn model(&self) -> Result<String> {
        Ok(self.0.port()?.references().model().to_string())
    }

    /// How many subjects have a reference.
    #[getter]
    fn subjects(&self, py: Python<'_>) -> Result<usize> {
        detached(py, || Ok(self.0.port()?.references().subjects()))
    }

    /// Whether the port was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.0.port().is_err()
    }

    /// Closes the register; the port's lanes and sessions are closed with it. Calls that run come to their end. Closing twice
    /// changes nothing.
    fn close(&self, py: Python<'_>) {
        let parts = self.0.0.write().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(parts));
    }

    /// How many references there are: the N of a 1:N search.
    fn __len__(&self, py: Python<'_>) -> Result<usize> {
        detached(py, || Ok(self.0.port()?.references().len()))
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) {
        self.close(py);
    }

    fn __repr__(&self) -> String {
        match self.0.port() {
            Err(_) => "Port(closed)".to_owned(),
            Ok(port) => {
                format!("Port(id={:?}, references={})", port.id().map(ToString::to_string), port.references().len())
            }
        }
    }
}

/// Keys that a Python function gives.
struct Keys(Py<PyAny>);

impl KeySource for Keys {
    fn key(&self, id: Option<KeyId>) -> std::result::Result<Option<Key>, KeyError> {
        let ended = || KeyError::Source("the Python interpreter ended".to_owned());
        let asked = Python::try_attach(|py| {
            let given = self.0.bind(py).call1((id.map(|id| id.to_string()),))?;
            given.extract::<Option<Vec<u8>>>()
        });
        let given = asked.ok_or_else(ended)?.map_err(|error| KeyError::Source(error.to_string()))?;
        given.map(|bytes| key_of(&bytes).map_err(KeyError::Source)).transpose()
    }
}

fn key(bytes: &[u8]) -> Result<Key> {
    key_of(bytes).map_err(|problem| Failure::input(format!("keys: {problem}")))
}

fn key_of(bytes: &[u8]) -> std::result::Result<Key, String> {
    let key = bytes.try_into().map_err(|_| format!("expected a key of 32 bytes, got {}", bytes.len()))?;
    Ok(Key::from_bytes(key))
}

pub(crate) fn direction(word: &str) -> Result<Direction> {
    word.parse().map_err(|error| Failure::input(format!("direction: {error}")))
}

pub(crate) fn mode(word: &str, miss: f64) -> Result<Mode> {
    match word {
        "exhaustive" => Ok(Mode::Exhaustive),
        "certified" => Ok(Mode::Certified),
        "sketch" => Ok(Mode::Sketch { miss }),
        _ => Err(Failure::input(format!("mode: expected \"certified\", \"exhaustive\" or \"sketch\", got {word:?}"))),
    }
}

pub(crate) fn selection(word: &str) -> Result<Selection> {
    match word {
        "largest" => Ok(Selection::Largest),
        "central" => Ok(Selection::Central),
        "only" => Ok(Selection::Only),
        _ => Err(Failure::input(format!("selection: expected \"largest\", \"central\" or \"only\", got {word:?}"))),
    }
}

/// How pictures stand.
pub(crate) fn orientation(word: &str) -> Result<Orientation> {
    match word {
        "given" => Ok(Orientation::Given),
        "auto" => Ok(Orientation::Auto),
        _ => Err(Failure::input(format!("orientation: expected \"given\" or \"auto\", got {word:?}"))),
    }
}

/// Pixels from 1 on, or a share.
pub(crate) fn smallest_face(size: f32) -> Result<SmallestFace> {
    let refused = || format!("min_face: expected pixels from 1 on, or a share above 0 and below 1, got {size}");
    SmallestFace::from_number(size).ok_or_else(|| Failure::input(refused()))
}

/// The longer side of a detector's input.
pub(crate) fn input_side(pixels: usize) -> Result<usize> {
    if Detector::INPUT_SIZES.contains(&pixels) {
        return Ok(pixels);
    }
    Err(Failure::input(format!("detector_size: expected 32 to 4096 pixels, got {pixels}")))
}

fn set<T>(options: PortOptions, setter: impl FnOnce(PortOptions, T) -> PortOptions, value: Option<T>) -> PortOptions {
    match value {
        Some(value) => setter(options, value),
        None => options,
    }
}

fn problems(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(|problem| format!("{}: {}", problem.row, problem.fault)).collect()
}
