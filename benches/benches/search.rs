//! Each search mode on each kernel, each code width, and batches: bytes a second beside the read bandwidth.

use std::time::Duration;

use clearlane_match::{Gallery, Kernel, Mode, SearchOptions, Snapshot, read_bandwidth};
use clearlane_simulate::vectors::{mate, model, random_rows};
use clearlane_template::{SubjectId, Template, TemplateId};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const SIZE: usize = 100_000;

/// A snapshot of random templates, and probes with a mate each.
fn prepare(dimension: usize, kernel: Kernel) -> (Snapshot, Vec<Template>) {
    let mut rows = vec![0.0; SIZE * dimension];
    random_rows(&mut rows, dimension, 1, 0);
    let gallery = Gallery::builder(model(), dimension).kernel(kernel).fixed_seed(1).build().expect("it is valid");
    let ids: Vec<_> = (0..SIZE as u64).map(|id| (SubjectId(id), TemplateId(id))).collect();
    gallery.try_reserve(SIZE).expect("there is memory");
    gallery.extend_rows(&ids, &rows).expect("the rows are unit vectors");
    let mates = rows.chunks_exact(dimension).take(16).zip(1..);
    let probes = mates.map(|(row, seed)| mate(row, 0.6, seed).expect("a unit vector")).collect();
    (gallery.snapshot(), probes)
}

fn search(criterion: &mut Criterion) {
    println!("read bandwidth of one thread: {:.1} GB/s", read_bandwidth(1).expect("there is memory") / 1e9);
    let modes = [("exhaustive", Mode::Exhaustive), ("certified", Mode::Certified), ("sketch", Mode::SKETCH)];
    for kernel in Kernel::available() {
        let mut group = criterion.benchmark_group(format!("search, {kernel}"));
        group.measurement_time(Duration::from_secs(2)).sample_size(20);
        for dimension in [128, 256, 512] {
            let (snapshot, probes) = prepare(dimension, kernel);
            for (name, mode) in modes {
                let options = SearchOptions { threshold: 0.35, mode, ..SearchOptions::new(10) };
                let outcome = snapshot.search(&probes[0], &options).expect("a valid search");
                group.throughput(Throughput::Bytes(outcome.stats.bytes_scanned));
                group.bench_function(format!("{name}, {dimension}"), |bencher| {
                    bencher.iter(|| snapshot.search(&probes[0], &options));
                });
            }
            let options = SearchOptions { threshold: 0.35, mode: Mode::SKETCH, ..SearchOptions::new(10) };
            group.throughput(Throughput::Elements(probes.len() as u64));
            group.bench_function(format!("sketch, {dimension}, 16 probes"), |bencher| {
                bencher.iter(|| snapshot.search_batch(&probes, &options));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, search);
criterion_main!(benches);
