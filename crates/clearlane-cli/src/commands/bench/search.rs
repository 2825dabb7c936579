//! `clearlane bench search`: a front to the measurement of `clearlane-simulate`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::Args;
use clearlane_eval::protocol::Table;
use clearlane_simulate::faces::{self, Face};
use clearlane_simulate::search::{self, BenchError, Given, SearchBench, SearchReport, SearchRow};

use super::plot;
use crate::commands::eval::templates::{TemplateArgs, extract_all};
use crate::failure::{Exit, Failure, Result};
use crate::models::ModelArgs;
use crate::output::{Output, shown, table, write_whole};
use crate::registers::RegisterArgs;
use crate::{pictures, text as texts};

/// Search: latency, rate, bytes scanned and the share of the memory's bandwidth
///
/// Random unit vectors with a mate planted for each probe, or vectors from a file, or a register's templates, or those of captures,
/// filled up to each size with fictional ones of the same distribution. Every row's candidate lists are compared with those of
/// exhaustive searches.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    bench: SearchBench,
    /// Draw latency over gallery size: an SVG document
    #[arg(long, value_parser = crate::output::to_be_made(), value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Search this register's templates in place of random vectors: those of the chosen embedder, one row each
    #[arg(long, value_name = "FILE", conflicts_with = "vectors")]
    register: Option<PathBuf>,
    /// The file with the register's keys [default: the keys in `CLEARLANE_KEY`]
    #[arg(long, value_name = "FILE", requires = "register")]
    key_file: Option<PathBuf>,
    /// Search the templates of these captures: a folder SUBJECT/IMAGE, or a CSV table with the columns picture,subject. The first
    /// capture of a subject who has several is a probe
    #[arg(long, value_name = "PATH", conflicts_with_all = ["vectors", "register"])]
    faces: Option<PathBuf>,
    /// Which face to take where a picture has several
    #[arg(long, value_enum, default_value = "central", requires = "faces")]
    face: pictures::Face,
    #[command(flatten)]
    how: TemplateArgs,
    #[command(flatten)]
    models: ModelArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane bench search --sizes 1000000 --dimension 512
  clearlane bench search --sizes 10000,100000,1000000 --modes certified,sketch --plot latency.svg
  clearlane bench search --faces lfw/ --keep kept/ --sizes 1000000
  clearlane bench search --register port.register --key-file port.key --threads 1,2 --json";

pub(super) fn run(args: &SearchArgs, output: &Output) -> Result<Exit> {
    let progress = |doing: &str| output.note(doing);
    if args.faces.is_none() && args.how.keep.is_some() {
        return Err(Failure::new(Exit::Usage, "--keep keeps the templates of --faces, which was not given"));
    }
    let report = match (&args.register, &args.faces) {
        (Some(path), _) => search::run_on(&args.bench, &given(args, path)?, progress),
        (_, Some(path)) => {
            let given = faces::given(&captures(args, path, output)?, &args.bench).map_err(|error| match error {
                BenchError::NoFaces => Failure::at(Exit::Input, path, &error),
                error => error.into(),
            })?;
            search::run_on(&args.bench, &given, progress)
        }
        _ => search::run(&args.bench, progress),
    }?;
    if let Some(path) = &args.plot {
        write_whole(path, plot::svg(&report).as_bytes())?;
    }
    output.result(&report, || text(&report))?;
    Ok(Exit::Yes)
}

/// The register's templates of the chosen embedder.
fn given(args: &SearchArgs, path: &Path) -> Result<Given> {
    let register = RegisterArgs::new(path.to_owned(), args.key_file.clone()).open_read_only()?;
    let model = args.models.load_embedder()?.model_id();
    let mut given = Given { rows: Vec::new(), dimension: register.protection(model)?.dimension(), probes: Vec::new() };
    register.load(model, |templates, _| {
        given.rows.extend(templates.iter().flat_map(|stored| stored.template.as_slice()));
    })?;
    if given.rows.is_empty() {
        return Err(Failure::new(Exit::Register, format!("{}: no template of this embedder", shown(path))));
    }
    Ok(given)
}

/// The templates of captures, with their subjects.
fn captures(args: &SearchArgs, path: &Path, output: &Output) -> Result<Vec<Face>> {
    let (subjects, pictures) = if path.is_dir() {
        pictures::by_subject(&[path.to_owned()])?
    } else {
        let table = Table::parse(&texts::read(path)?).map_err(|error| Failure::at(Exit::Input, path, &error))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let named = |(at, capture): (usize, clearlane_eval::Capture)| {
            // Whom nobody knows is taken for somebody of their own.
            (capture.subject.unwrap_or_else(|| format!("\0{at}")), folder.join(capture.picture))
        };
        table.captures.captures.into_iter().enumerate().map(named).unzip()
    };
    let extractor = args.models.load_extractor(args.face.into())?;
    let made = extract_all(&extractor, &pictures, &args.how, output)?;
    let mut numbers = HashMap::new();
    let mut number = |subject: String| {
        let next = numbers.len();
        *numbers.entry(subject).or_insert(next)
    };
    let faces = subjects.into_iter().zip(made.templates);
    Ok(faces.filter_map(|(subject, template)| Some(Face { subject: number(subject), template: template? })).collect())
}

fn text(report: &SearchReport) -> String {
    let row = |row: &SearchRow| {
        vec![
            row.size.to_string(),
            format!("{:?}", row.mode).to_lowercase(),
            row.threads.to_string(),
            row.batch.to_string(),
            format!("{:.3}", row.p50),
            format!("{:.3}", row.p95),
            format!("{:.3}", row.p99),
            format!("{:.0}", row.rate),
            format!("{:.1}", row.bytes_scanned / 1e6),
            format!("{:.0} %", 100.0 * row.bandwidth_share),
            format!("{:.0}", row.survivors),
            format!("{:.4}", row.recall),
            format!("{:.0}", row.bytes_a_template),
            format!("{:.1}", row.build_seconds),
            format!("{:.1}", row.add_us),
        ]
    };
    let rows: Vec<_> = report.rows.iter().map(row).collect();
    let header = [
        "SIZE",
        "MODE",
        "THREADS",
        "BATCH",
        "P50 ms",
        "P95",
        "P99",
        "PROBES/s",
        "MB READ",
        "BANDWIDTH",
        "SURVIVORS",
        "RECALL",
        "B/FACE",
        "BUILD s",
        "ADD us",
    ];
    let right: Vec<usize> = (0..header.len()).filter(|column| *column != 1).collect();
    let head = format!("kernel {}, memory reads at {:.1} GB/s\n", report.kernel, report.bandwidth);
    head + &table(&header, &right, &rows)
}
