//! Search alone, for those who bring embeddings.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clearlane::search::{self, Completeness, Enrolment, Precision, SearchOptions, SearchOutcome};
use clearlane::{ModelId, SubjectId, Template, TemplateId};
use numpy::ndarray::{ArrayView1, Axis, Ix1, Ix2};
use numpy::{IntoPyArray as _, PyArray1, PyReadonlyArrayDyn};
use pyo3::prelude::*;

use crate::failure::{Failure, Result, detached};
use crate::pictures::floats;
use crate::port::mode;
use crate::values::seconds;

/// Embeddings in memory, searched by cosine similarity. All of one gallery have to be of one model: nothing here can tell.
///
/// A gallery may be used from several threads; adding does not hold up searching. Every long call lets other Python threads
/// run.
///
/// dimension: the number of values of an embedding, 1 to 4096.
/// precision: how they are stored: "f32", "f16" or "i8". Scores are exact for what is stored.
/// memory_limit: the most bytes that the gallery may take.
/// certified_codes: whether to keep what mode "certified" searches fast with; without it, it takes less memory.
#[pyclass(frozen, module = "clearlane")]
pub(crate) struct Gallery {
    gallery: search::Gallery,
    /// Rows are numbered as they come; ties in scores are broken by it.
    next: AtomicU64,
}

/// What a search found.
#[pyclass(frozen, module = "clearlane")]
pub(crate) struct SearchResult(SearchOutcome);

#[pymethods]
impl Gallery {
    #[new]
    #[pyo3(signature = (dimension, *, precision="f32", memory_limit=None, certified_codes=true))]
    fn new(dimension: usize, precision: &str, memory_limit: Option<u64>, certified_codes: bool) -> Result<Self> {
        let precision = match precision {
            "f32" => Precision::F32,
            "f16" => Precision::F16,
            "i8" => Precision::I8,
            _ => {
                let problem = format!("precision: expected \"f32\", \"f16\" or \"i8\", got {precision:?}");
                return Err(Failure::input(problem));
            }
        };
        let model = ModelId::digest([b"embeddings of a Python caller".as_slice()]);
        let builder = search::Gallery::builder(model, dimension).precision(precision).certified_codes(certified_codes);
        let gallery = builder.memory_limit(memory_limit.unwrap_or(u64::MAX)).build()?;
        Ok(Self { gallery, next: AtomicU64::new(0) })
    }

    /// Adds embeddings, all of them or, on an error, none. Searches that start after this returned see them.
    ///
    /// ids: one number for each row, from 0 on; rows with the same id belong to one subject.
    /// embeddings: an array of float32, N x dimension. They are normalised; rows without a direction are refused.
    fn add(&self, ids: Vec<u64>, embeddings: &Bound<'_, PyAny>) -> Result<()> {
        let array = self.matrix("embeddings", embeddings)?;
        let rows = rows(&array)?;
        if rows.len() != ids.len() {
            return Err(Failure::input(format!("ids: expected {}, one for each row, got {}", rows.len(), ids.len())));
        }
        detached(embeddings.py(), || {
            let templates = self.templates("embeddings", &rows)?;
            let first = self.next.fetch_add(ids.len() as u64, Ordering::Relaxed);
            let numbers = (first..).map(TemplateId);
            let rows = ids.into_iter().zip(numbers).zip(&templates);
            let rows = rows.map(|((subject, id), template)| Enrolment { subject: SubjectId(subject), id, template });
            Ok(self.gallery.extend(&rows.collect::<Vec<_>>())?)
        })
    }

    /// Takes all rows of an id out, and returns how many there were. No search that starts after this returned finds it.
    fn remove(&self, py: Python<'_>, id: u64) -> Result<usize> {
        detached(py, || Ok(self.gallery.revoke(SubjectId(id))?))
    }

    /// The best ids for a probe.
    ///
    /// probe: an array of float32 of `dimension` values.
    /// k: how many ids at most. threshold: the least score, in [-1, 1].
    /// mode: "certified" and "exhaustive" give the same result, always; "sketch" misses an entry with a probability of at
    ///     most `miss`.
    /// budget: seconds after which the search gives what it has; see `SearchResult.complete`.
    /// parallel: whether to use all processors.
    #[pyo3(signature = (probe, k=10, *, threshold=-1.0, mode="certified", miss=1e-9, budget=None, parallel=false))]
    #[allow(clippy::too_many_arguments, reason = "keywords of a Python method")]
    fn search(
        &self,
        probe: &Bound<'_, PyAny>,
        k: usize,
        threshold: f32,
        mode: &str,
        miss: f64,
        budget: Option<f64>,
        parallel: bool,
    ) -> Result<SearchResult> {
        let dimension = self.gallery.dimension();
        let expected = format!("an array of float32, shape [{dimension}]");
        let array = floats("probe", probe, &expected, |shape| *shape == [dimension])?;
        let view = array.as_array();
        let row = view.into_dimensionality::<Ix1>().map_err(|error| Failure::internal(error.to_string()))?;
        let options = options(k, threshold, mode, miss, budget, parallel)?;
        detached(probe.py(), || {
            let probe = self.template(row).map_err(|error| Failure::input(format!("probe: {error}")))?;
            Ok(SearchResult(self.gallery.search(&probe, &options)?))
        })
    }

    /// The best ids for each of several probes, an array of float32, M x dimension, in one pass over memory: cheaper than one
    /// search after the other. Arguments as for `search`; returns a list.
    #[pyo3(signature = (probes, k=10, *, threshold=-1.0, mode="certified", miss=1e-9, budget=None, parallel=false))]
    #[allow(clippy::too_many_arguments, reason = "keywords of a Python method")]
    fn search_many(
        &self,
        probes: &Bound<'_, PyAny>,
        k: usize,
        threshold: f32,
        mode: &str,
        miss: f64,
        budget: Option<f64>,
        parallel: bool,
    ) -> Result<Vec<SearchResult>> {
        let array = self.matrix("probes", probes)?;
        let rows = rows(&array)?;
        let options = options(k, threshold, mode, miss, budget, parallel)?;
        detached(probes.py(), || {
            let probes = self.templates("probes", &rows)?;
            let found = self.gallery.snapshot().search_batch(&probes, &options)?;
            Ok(found.into_iter().map(SearchResult).collect())
        })
    }

    /// The number of values of an embedding.
    #[getter]
    fn dimension(&self) -> usize {
        self.gallery.dimension()
    }

    /// How many ids there are.
    #[getter]
    fn subjects(&self, py: Python<'_>) -> usize {
        py.detach(|| self.gallery.subjects())
    }

    /// Bytes of memory in use.
    #[getter]
    fn memory(&self, py: Python<'_>) -> u64 {
        let used = py.detach(|| self.gallery.memory());
        used.rows + used.codes + used.owners + used.index
    }

    /// How many rows there are.
    fn __len__(&self) -> usize {
        self.gallery.len()
    }

    fn __repr__(&self) -> String {
        format!("Gallery(dimension={}, rows={})", self.gallery.dimension(), self.gallery.len())
    }
}

impl Gallery {
    fn matrix<'py>(&self, name: &str, value: &Bound<'py, PyAny>) -> Result<PyReadonlyArrayDyn<'py, f32>> {
        let dimension = self.gallery.dimension();
        let expected = format!("an array of float32, shape [N, {dimension}]");
        floats(name, value, &expected, |shape| matches!(*shape, [_, width] if width == dimension))
    }

    fn template(&self, row: ArrayView1<'_, f32>) -> std::result::Result<Template, clearlane::embed::TemplateError> {
        Template::normalised(self.gallery.model(), row.to_vec())
    }

    fn templates(&self, name: &str, rows: &[ArrayView1<'_, f32>]) -> Result<Vec<Template>> {
        let template = |(index, row): (usize, &ArrayView1<'_, f32>)| {
            self.template(*row).map_err(|error| Failure::input(format!("{name}[{index}]: {error}")))
        };
        rows.iter().enumerate().map(template).collect()
    }
}

#[pymethods]
impl SearchResult {
    /// The ids that were found, best first, an array of uint64.
    #[getter]
    fn ids<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u64>> {
        self.0.candidates.iter().map(|found| found.subject.0).collect::<Vec<_>>().into_pyarray(py)
    }

    /// Their scores, cosine similarities in [-1, 1], an array of float32.
    #[getter]
    fn scores<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        self.0.candidates.iter().map(|found| found.score).collect::<Vec<_>>().into_pyarray(py)
    }

    /// Whether the whole gallery was searched within the budget.
    #[getter]
    fn complete(&self) -> bool {
        self.0.is_complete()
    }

    /// How many of how many rows were searched, where not all were; None where the search is complete.
    #[getter]
    fn scanned(&self) -> Option<(usize, usize)> {
        match self.0.completeness {
            Completeness::Partial { scanned, total } => Some((scanned, total)),
            Completeness::Complete => None,
        }
    }

    fn __len__(&self) -> usize {
        self.0.candidates.len()
    }

    fn __repr__(&self) -> String {
        let complete = if self.0.is_complete() { "True" } else { "False" };
        format!("SearchResult(found={}, complete={complete})", self.0.candidates.len())
    }
}

fn rows<'a>(array: &'a PyReadonlyArrayDyn<'_, f32>) -> Result<Vec<ArrayView1<'a, f32>>> {
    let matrix = array.as_array().into_dimensionality::<Ix2>();
    let matrix = matrix.map_err(|error| Failure::internal(error.to_string()))?;
    Ok((0..matrix.nrows()).map(|row| matrix.clone().index_axis_move(Axis(0), row)).collect())
}

fn options(
    k: usize,
    threshold: f32,
    mode: &str,
    miss: f64,
    budget: Option<f64>,
    parallel: bool,
) -> Result<SearchOptions<'static>> {
    let deadline = seconds("budget", budget)?.and_then(|budget| Instant::now().checked_add(budget));
    Ok(SearchOptions { threshold, mode: self::mode(mode, miss)?, deadline, parallel, ..SearchOptions::new(k) })
}
