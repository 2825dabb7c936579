//! The measurement behind `clearlane bench search`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use clearlane_match::{
    Gallery, GalleryError, Kernel, Mode, Precision, SearchOptions, SearchOutcome, Snapshot, read_bandwidth,
};
use clearlane_template::{SubjectId, Template, TemplateError, TemplateId};
use serde::Serialize;

use crate::vector_file::{VectorFile, VectorsError};
use crate::vectors::{mate, model, random_rows};

/// What to measure.
#[derive(Args, Clone, Debug)]
pub struct SearchBench {
    /// Gallery sizes, in templates
    #[arg(long, value_delimiter = ',', default_value = "100000")]
    pub sizes: Vec<usize>,
    /// Values of a template
    #[arg(long, default_value_t = 512)]
    pub dimension: usize,
    /// Search modes
    #[arg(long, value_enum, value_delimiter = ',', default_value = "exhaustive,certified,sketch")]
    pub modes: Vec<BenchMode>,
    /// The miss probability of a sketch, for each entry
    #[arg(long, default_value_t = 1e-9)]
    pub miss: f64,
    /// Threads that one search runs on
    #[arg(long, value_delimiter = ',', default_value = "1")]
    pub threads: Vec<usize>,
    /// Probes that are searched in one pass
    #[arg(long, value_delimiter = ',', default_value = "1")]
    pub batch: Vec<usize>,
    /// Probes that are searched in each mode
    #[arg(long, default_value_t = 100)]
    pub probes: usize,
    /// Candidates to find
    #[arg(short, long, default_value_t = 10)]
    pub k: usize,
    /// The least score of a candidate
    #[arg(long, default_value_t = 0.35)]
    pub threshold: f32,
    /// The score of the mate that stands in the gallery for each probe
    #[arg(long, default_value_t = 0.6)]
    pub mate_score: f32,
    /// How vectors are stored
    #[arg(long, value_enum, default_value = "f32")]
    pub precision: BenchPrecision,
    /// The most bytes of a template's sketch code (default: 64, or one bit a dimension)
    #[arg(long)]
    pub code_budget: Option<usize>,
    /// Keep no codes for certified searches
    #[arg(long)]
    pub no_certified_codes: bool,
    /// The search kernel: avx512, avx2 or portable (default: the fastest that this processor has)
    #[arg(long)]
    pub kernel: Option<String>,
    /// The seed of the random vectors
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// A file of vectors to search in place of random ones: 32-bit little-endian floats, row after row
    #[arg(long, value_name = "FILE")]
    pub vectors: Option<PathBuf>,
    /// A file of probes, in the same form
    #[arg(long, value_name = "FILE", requires = "vectors")]
    pub probe_vectors: Option<PathBuf>,
}

/// A search mode by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "they are the variants of clearlane_match::Mode")]
pub enum BenchMode {
    Exhaustive,
    Certified,
    Sketch,
}

/// A precision by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "they are the variants of clearlane_match::Precision")]
pub enum BenchPrecision {
    F32,
    F16,
    I8,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The gallery refused something.
    #[error(transparent)]
    Gallery(#[from] GalleryError),
    /// A probe's values make no template.
    #[error("a probe's values make no template: {0}")]
    Template(#[from] TemplateError),
    /// A file of vectors cannot be used.
    #[error(transparent)]
    Vectors(#[from] VectorsError),
    /// The system gave no threads.
    #[error("{threads} threads cannot be started: {source}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What rayon said.
        source: rayon::ThreadPoolBuildError,
    },
    /// There are no captures whose templates could stand in a gallery.
    #[error("expected captures whose templates stand in the gallery beside those that are searched with, got none")]
    NoFaces,
    /// A size, a number of threads, of probes or of probes in a batch is zero.
    #[error("expected sizes, threads, probes and probes in a batch of 1 or more, got 0")]
    Nothing,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct SearchReport {
    /// The kernel that searched.
    pub kernel: &'static str,
    /// The read bandwidth of the first number of threads, measured in the same run, in GB/s.
    pub bandwidth: f64,
    /// One row for each size, number of threads, batch and mode.
    pub rows: Vec<SearchRow>,
}

/// One size and mode.
#[derive(Clone, Debug, Serialize)]
pub struct SearchRow {
    /// Templates in the gallery.
    pub size: usize,
    /// Values of a template.
    pub dimension: usize,
    /// The mode.
    pub mode: BenchMode,
    /// How vectors are stored.
    pub precision: BenchPrecision,
    /// Threads that one search ran on.
    pub threads: usize,
    /// Probes in one pass.
    pub batch: usize,
    /// Searches that were timed.
    pub searches: usize,
    /// Latency in milliseconds, of one pass: the median, and the 95th and 99th percentiles.
    pub p50: f64,
    /// See `p50`.
    pub p95: f64,
    /// See `p50`.
    pub p99: f64,
    /// Probes a second.
    pub rate: f64,
    /// Bytes that one probe's scan read in order, mean.
    pub bytes_scanned: f64,
    /// Bytes scanned in a second, as a share of the read bandwidth; those that a batch shares count once.
    pub bandwidth_share: f64,
    /// Rows that the scan could not rule out, mean for each probe.
    pub survivors: f64,
    /// Rows whose exact score was computed, mean for each probe.
    pub scored: f64,
    /// The share of the candidates of exhaustive searches that this mode found.
    pub recall: f64,
    /// Searches whose candidate list was that of the exhaustive search, of those that were compared.
    pub same_lists: [usize; 2],
    /// Bytes in memory for each template, all parts together.
    pub bytes_a_template: f64,
    /// Seconds that the gallery took to build from its vectors, on all threads.
    pub build_seconds: f64,
    /// Microseconds that adding one template took, mean of [`ADDED`] singly added ones.
    pub add_us: f64,
}

/// Vectors to search in place of random ones: a register's, say.
pub struct Given {
    /// Unit vectors, row after row.
    pub rows: Vec<f32>,
    /// Values of a row.
    pub dimension: usize,
    /// The probes, of the model [`model`]. Where there are none, they are drawn as for random vectors.
    pub probes: Vec<Template>,
}

/// Probes whose lists are compared with those of exhaustive searches.
const COMPARED: usize = 32;
/// Templates that are added singly to a gallery once it has been measured: many blocks of codes.
pub const ADDED: usize = 4096;
/// Rows that are drawn or read at once.
const ROWS_AT_ONCE: usize = 1 << 15;

/// Measures; `progress` is told what is being done.
pub fn run(bench: &SearchBench, progress: impl FnMut(&str)) -> Result<SearchReport, BenchError> {
    run_with(bench, None, progress)
}

/// Measures on the first of the given vectors; sizes beyond them are cut.
pub fn run_on(bench: &SearchBench, given: &Given, progress: impl FnMut(&str)) -> Result<SearchReport, BenchError> {
    run_with(&SearchBench { dimension: given.dimension, ..bench.clone() }, Some(given), progress)
}

fn run_with(
    bench: &SearchBench,
    given: Option<&Given>,
    mut progress: impl FnMut(&str),
) -> Result<SearchReport, BenchError> {
    if bench.probes == 0 || bench.sizes.contains(&0) || bench.batch.contains(&0) || bench.threads.contains(&0) {
        return Err(BenchError::Nothing);
    }
    let mut report = SearchReport { kernel: Kernel::best().name(), bandwidth: 0.0, rows: Vec::new() };
    for &size in &bench.sizes {
        progress(&format!("building a gallery of {size}"));
        let first = report.rows.len();
        let built = prepare(bench, given, size)?;
        report.kernel = built.gallery.kernel().name();
        let compared = &built.probes[..COMPARED.min(built.probes.len())];
        let truth = searches(&built.gallery.snapshot(), compared, &bench.options(BenchMode::Exhaustive), 1)?.0;
        for &threads in &bench.threads {
            progress(&format!("measuring the read bandwidth of {threads} threads"));
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .map_err(|source| BenchError::Threads { threads, source })?;
            let bandwidth = read_bandwidth(threads)?;
            if report.rows.is_empty() {
                report.bandwidth = bandwidth / 1e9;
            }
            for (&batch, &mode) in
                bench.batch.iter().flat_map(|batch| bench.modes.iter().map(move |mode| (batch, mode)))
            {
                progress(&format!("searching {size} templates: {mode:?}, {threads} threads, {batch} probes at once"));
                report.rows.push(pool.install(|| row(bench, &built, &truth, mode, threads, batch, bandwidth))?);
            }
        }
        let add_us = add(&built)?;
        report.rows.iter_mut().skip(first).for_each(|row| row.add_us = add_us);
    }
    Ok(report)
}

/// Adds probes under new ids, one after the other, and says how many microseconds one took.
fn add(built: &Built) -> Result<f64, BenchError> {
    let first = built.gallery.len();
    let start = Instant::now();
    for (id, probe) in (first..first + ADDED).zip(built.probes.iter().cycle()) {
        built.gallery.add(SubjectId(id as u64), TemplateId(id as u64), probe)?;
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / ADDED as f64)
}

/// A gallery that is ready to be searched.
struct Built {
    gallery: Gallery,
    probes: Vec<Template>,
    /// How long adding the templates took.
    took: Duration,
}

fn row(
    bench: &SearchBench,
    built: &Built,
    truth: &[SearchOutcome],
    mode: BenchMode,
    threads: usize,
    batch: usize,
    bandwidth: f64,
) -> Result<SearchRow, BenchError> {
    let (snapshot, probes) = (built.gallery.snapshot(), &built.probes);
    let options = SearchOptions { parallel: threads > 1, ..bench.options(mode) };
    searches(&snapshot, &probes[..batch.min(probes.len())], &options, batch)?;
    let (outcomes, mut times) = searches(&snapshot, probes, &options, batch)?;
    let total: Duration = times.iter().sum();
    times.sort_unstable();
    let percentile = |p: usize| times[(times.len() * p / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
    let mean = |value: fn(&SearchOutcome) -> u64| {
        outcomes.iter().map(|outcome| value(outcome) as f64).sum::<f64>() / outcomes.len() as f64
    };
    let bytes_scanned = mean(|outcome| outcome.stats.bytes_scanned);
    let (recall, same_lists) = compare(&outcomes, truth);
    Ok(SearchRow {
        size: snapshot.len(),
        dimension: bench.dimension,
        mode,
        precision: bench.precision,
        threads,
        batch,
        searches: times.len(),
        p50: percentile(50),
        p95: percentile(95),
        p99: percentile(99),
        rate: outcomes.len() as f64 / total.as_secs_f64(),
        bytes_scanned,
        bandwidth_share: bytes_scanned * times.len() as f64 / total.as_secs_f64() / bandwidth,
        survivors: mean(|outcome| outcome.stats.survivors),
        scored: mean(|outcome| outcome.stats.scored),
        recall,
        same_lists,
        bytes_a_template: built.gallery.memory().total() as f64 / snapshot.len() as f64,
        build_seconds: built.took.as_secs_f64(),
        add_us: 0.0,
    })
}

impl SearchBench {
    fn options(&self, mode: BenchMode) -> SearchOptions<'static> {
        let mode = match mode {
            BenchMode::Exhaustive => Mode::Exhaustive,
            BenchMode::Certified => Mode::Certified,
            BenchMode::Sketch => Mode::Sketch { miss: self.miss },
        };
        SearchOptions { threshold: self.threshold, mode, ..SearchOptions::new(self.k) }
    }

    /// An empty gallery with these settings.
    pub fn gallery(&self) -> Result<Gallery, BenchError> {
        let precision = match self.precision {
            BenchPrecision::F32 => Precision::F32,
            BenchPrecision::F16 => Precision::F16,
            BenchPrecision::I8 => Precision::I8,
        };
        // What survives a scan depends on the rotation: every run shall do the same work.
        let mut builder = Gallery::builder(model(), self.dimension)
            .precision(precision)
            .certified_codes(!self.no_certified_codes)
            .fixed_seed(self.seed);
        if let Some(budget) = self.code_budget {
            builder = builder.code_budget(budget);
        }
        if let Some(name) = &self.kernel {
            let kernel = Kernel::by_name(name).ok_or_else(|| GalleryError::Kernel { kernel: name.clone() })?;
            builder = builder.kernel(kernel);
        }
        Ok(builder.build()?)
    }
}

/// A gallery of `size` templates, and probes for it.
fn prepare(bench: &SearchBench, given: Option<&Given>, size: usize) -> Result<Built, BenchError> {
    let dimension = bench.dimension;
    let mut source = Source::open(bench, given)?;
    let size = source.rows().map_or(size, |rows| size.min(rows));
    if size == 0 {
        return Err(BenchError::Nothing);
    }
    let gallery = bench.gallery()?;
    gallery.try_reserve(size)?;
    let mut probes = given.map_or_else(Vec::new, |given| given.probes.clone());
    if let Some(path) = &bench.probe_vectors {
        let mut file = VectorFile::open(path, dimension)?;
        let values = file.read(bench.probes.min(file.rows()))?;
        for row in values.chunks_exact(dimension) {
            probes.push(Template::normalised(model(), row.to_vec())?);
        }
    }
    let mated = probes.is_empty();
    let mut build = Duration::ZERO;
    let mut values = vec![0.0; ROWS_AT_ONCE.min(size) * dimension];
    for first in (0..size).step_by(ROWS_AT_ONCE) {
        let ids: Vec<_> =
            (first..(first + ROWS_AT_ONCE).min(size)).map(|id| (SubjectId(id as u64), TemplateId(id as u64))).collect();
        let values = &mut values[..ids.len() * dimension];
        source.read(values, first)?;
        if mated {
            // Mates stand spread over the gallery.
            let stride = size.div_ceil(bench.probes);
            for row in (0..ids.len()).filter(|row| (first + row) % stride == stride / 2) {
                let seed = bench.seed ^ (first + row + 1) as u64;
                probes.push(mate(&values[row * dimension..][..dimension], bench.mate_score, seed)?);
            }
        }
        let start = Instant::now();
        gallery.extend_rows(&ids, values)?;
        build += start.elapsed();
    }
    Ok(Built { gallery, probes, took: build })
}

/// Where the vectors of a gallery come from.
enum Source<'a> {
    Random { dimension: usize, seed: u64 },
    File(VectorFile),
    Given(&'a Given),
}

impl<'a> Source<'a> {
    fn open(bench: &SearchBench, given: Option<&'a Given>) -> Result<Self, VectorsError> {
        Ok(match (given, &bench.vectors) {
            (Some(given), _) => Self::Given(given),
            (None, Some(path)) => Self::File(VectorFile::open(path, bench.dimension)?),
            (None, None) => Self::Random { dimension: bench.dimension, seed: bench.seed },
        })
    }

    /// How many there are, where that is not the caller's choice.
    fn rows(&self) -> Option<usize> {
        match self {
            Self::Random { .. } => None,
            Self::File(file) => Some(file.rows()),
            Self::Given(given) => Some(given.rows.len() / given.dimension),
        }
    }

    /// The next rows; the first of them has the number `first`.
    fn read(&mut self, values: &mut [f32], first: usize) -> Result<(), VectorsError> {
        match self {
            Self::Random { dimension, seed } => random_rows(values, *dimension, *seed, first),
            Self::File(file) => values.copy_from_slice(&file.read(values.len() / file.dimension())?),
            Self::Given(given) => values.copy_from_slice(&given.rows[first * given.dimension..][..values.len()]),
        }
        Ok(())
    }
}

/// Searches for the probes, `batch` in one pass, and times each pass.
fn searches(
    snapshot: &Snapshot,
    probes: &[Template],
    options: &SearchOptions<'_>,
    batch: usize,
) -> Result<(Vec<SearchOutcome>, Vec<Duration>), GalleryError> {
    let mut outcomes = Vec::with_capacity(probes.len());
    let mut times = Vec::new();
    for probes in probes.chunks(batch) {
        let start = Instant::now();
        outcomes.extend(snapshot.search_batch(probes, options)?);
        times.push(start.elapsed());
    }
    Ok((outcomes, times))
}

/// The share of true candidates that were found, and how many lists are the same, of how many.
fn compare(outcomes: &[SearchOutcome], truth: &[SearchOutcome]) -> (f64, [usize; 2]) {
    let (mut expected, mut found, mut same) = (0, 0, 0);
    for (outcome, truth) in outcomes.iter().zip(truth) {
        expected += truth.candidates.len();
        found += truth.candidates.iter().filter(|candidate| outcome.candidates.contains(candidate)).count();
        same += usize::from(outcome.candidates == truth.candidates);
    }
    (if expected == 0 { 1.0 } else { f64::from(found as u32) / f64::from(expected as u32) }, [same, truth.len()])
}
