//! Each search mode on each kernel, each code width, and batches: bytes a second beside the read bandwidth. On random vectors, and,
//! where `CLEARLANE_DATASETS` has LFW, on templates of its faces, filled up with fictional ones of the same distribution.

use std::path::Path;
use std::time::Duration;

use clap::Parser;
use clearlane_benches::faces::of_folder;
use clearlane_embed::{Extractor, Models, Selection};
use clearlane_match::{Gallery, Kernel, Mode, SearchOptions, Snapshot, read_bandwidth};
use clearlane_simulate::faces::given;
use clearlane_simulate::search::{Given, SearchBench};
use clearlane_simulate::vectors::{mate, model, random_rows};
use clearlane_template::{SubjectId, Template, TemplateId};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const SIZE: usize = 100_000;
const PROBES: usize = 16;

/// Subjects of LFW whose pictures make templates: enough for their distribution, in a minute.
const SUBJECTS: usize = 1000;

/// What a gallery is made of.
struct Vectors {
    name: String,
    rows: Vec<f32>,
    dimension: usize,
    probes: Vec<Template>,
}

/// Random templates, and probes with a mate each.
fn random(dimension: usize) -> Vectors {
    let mut rows = vec![0.0; SIZE * dimension];
    random_rows(&mut rows, dimension, 1, 0);
    let mates = rows.chunks_exact(dimension).take(PROBES).zip(1..);
    let probes = mates.map(|(row, seed)| mate(row, 0.6, seed).expect("a unit vector")).collect();
    Vectors { name: dimension.to_string(), rows, dimension, probes }
}

/// Templates of LFW by the built-in models; none where it is not there.
fn real() -> Option<Vectors> {
    let Some(folder) = std::env::var_os("CLEARLANE_DATASETS").map(|folder| Path::new(&folder).join("lfw")) else {
        println!("not on real faces: CLEARLANE_DATASETS is not set");
        return None;
    };
    let models = Models::builtin().expect("they are whole");
    let Some((detector, embedder)) = models.default_detector().ok().zip(models.default_embedder().ok()) else {
        println!("not on real faces: no model is built in");
        return None;
    };
    let load = "it is whole";
    let extractor = Extractor::new(models.detector(detector).expect(load), models.embedder(embedder).expect(load));
    let faces = of_folder(&folder, SUBJECTS, &extractor.with_selection(Selection::Central)).expect("it can be read");
    let bench = Defaults::parse_from(["", "--sizes", &SIZE.to_string(), "--probes", &PROBES.to_string()]).bench;
    let Given { mut rows, dimension, probes } = given(&faces, &bench).expect("there are faces");
    rows.truncate(SIZE * dimension);
    Some(Vectors { name: format!("LFW {dimension}"), rows, dimension, probes })
}

/// A measurement's settings, as the command line has them.
#[derive(Parser)]
struct Defaults {
    #[command(flatten)]
    bench: SearchBench,
}

fn prepare(vectors: &Vectors, kernel: Kernel) -> Snapshot {
    let gallery =
        Gallery::builder(model(), vectors.dimension).kernel(kernel).fixed_seed(1).build().expect("it is valid");
    let ids: Vec<_> = (0..SIZE as u64).map(|id| (SubjectId(id), TemplateId(id))).collect();
    gallery.try_reserve(SIZE).expect("there is memory");
    gallery.extend_rows(&ids, &vectors.rows).expect("the rows are unit vectors");
    gallery.snapshot()
}

fn search(criterion: &mut Criterion) {
    println!("read bandwidth of one thread: {:.1} GB/s", read_bandwidth(1).expect("there is memory") / 1e9);
    let modes = [("exhaustive", Mode::Exhaustive), ("certified", Mode::Certified), ("sketch", Mode::SKETCH)];
    let vectors: Vec<Vectors> = [128, 256, 512].map(random).into_iter().chain(real()).collect();
    for kernel in Kernel::available() {
        let mut group = criterion.benchmark_group(format!("search, {kernel}"));
        group.measurement_time(Duration::from_secs(2)).sample_size(20);
        for vectors in &vectors {
            let Vectors { name: of, probes, .. } = vectors;
            let snapshot = prepare(vectors, kernel);
            for (name, mode) in modes {
                let options = SearchOptions { threshold: 0.35, mode, ..SearchOptions::new(10) };
                let outcome = snapshot.search(&probes[0], &options).expect("a valid search");
                group.throughput(Throughput::Bytes(outcome.stats.bytes_scanned));
                group.bench_function(format!("{name}, {of}"), |bencher| {
                    bencher.iter(|| snapshot.search(&probes[0], &options));
                });
            }
            let options = SearchOptions { threshold: 0.35, mode: Mode::SKETCH, ..SearchOptions::new(10) };
            group.throughput(Throughput::Elements(probes.len() as u64));
            group.bench_function(format!("sketch, {of}, {PROBES} probes"), |bencher| {
                bencher.iter(|| snapshot.search_batch(probes, &options));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, search);
criterion_main!(benches);
