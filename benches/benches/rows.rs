//! The kernels that score stored vectors, beside simsimd's: an exhaustive search, with all that it does besides scoring, and
//! a bare loop over simsimd's products with the probe in the precision of the rows. Rows that stay in the second-level
//! cache, and rows that come from memory.

use std::hint::black_box;
use std::time::Duration;

use clearlane_match::{Gallery, Kernel, Mode, Precision, SearchOptions, Snapshot};
use clearlane_simulate::vectors::{model, random_rows};
use clearlane_template::{SubjectId, Template, TemplateId};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use simsimd::SpatialSimilarity;

const DIMENSION: usize = 512;

/// A snapshot of these vectors.
fn snapshot(rows: &[f32], kernel: Kernel, precision: Precision) -> Snapshot {
    let builder = Gallery::builder(model(), DIMENSION).kernel(kernel).precision(precision).certified_codes(false);
    let gallery = builder.build().expect("it is valid");
    let ids: Vec<_> = (0..(rows.len() / DIMENSION) as u64).map(|id| (SubjectId(id), TemplateId(id))).collect();
    gallery.extend_rows(&ids, rows).expect("the rows are unit vectors");
    gallery.snapshot()
}

/// The best of simsimd's products of a probe with rows.
fn simsimd<T: SpatialSimilarity>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, probe: &[T], rows: &[T]) {
    group.bench_function(format!("simsimd, {name}"), |bencher| {
        bencher.iter(|| {
            let products = rows.chunks_exact(DIMENSION).map(|row| T::dot(black_box(probe), row));
            products.map(|product| product.expect("they are of one length")).fold(f64::NEG_INFINITY, f64::max)
        });
    });
}

fn rows(criterion: &mut Criterion) {
    for count in [256, 200_000] {
        let mut group = criterion.benchmark_group(format!("{count} stored vectors, {DIMENSION}"));
        group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_secs(1)).sample_size(20);
        group.throughput(Throughput::Elements(count as u64));
        let mut rows = vec![0.0; count * DIMENSION];
        random_rows(&mut rows, DIMENSION, 1, 0);
        let mut probe = vec![0.0; DIMENSION];
        random_rows(&mut probe, DIMENSION, 2, 0);
        let template = Template::from_unit(model(), probe.clone()).expect("a unit vector");
        let options = SearchOptions { threshold: 0.9, mode: Mode::Exhaustive, ..SearchOptions::new(1) };
        for precision in [Precision::F32, Precision::F16, Precision::I8] {
            for kernel in Kernel::available().into_iter().filter(|kernel| kernel.name() != "portable") {
                let snapshot = snapshot(&rows, kernel, precision);
                group.bench_function(format!("{kernel}, {precision:?}"), |bencher| {
                    bencher.iter(|| snapshot.search(&template, &options));
                });
            }
            match precision {
                Precision::F32 => simsimd(&mut group, "F32", &probe, &rows),
                Precision::F16 => {
                    let half = |values: &[f32]| values.iter().map(|x| simsimd::f16::from_f32(*x)).collect::<Vec<_>>();
                    simsimd(&mut group, "F16", &half(&probe), &half(&rows));
                }
                Precision::I8 => {
                    // Values of random unit vectors of 512 dimensions stay below a quarter.
                    let bytes = |values: &[f32]| values.iter().map(|x| (x * 508.0) as i8).collect::<Vec<_>>();
                    simsimd(&mut group, "I8", &bytes(&probe), &bytes(&rows));
                }
            }
        }
        group.finish();
    }
}

criterion_group!(benches, rows);
criterion_main!(benches);
