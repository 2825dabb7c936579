//! Inference, a model at a time and step by step against the core's measured peak.
//!
//! The models are those of the repository and, where `CLEARLANE_MODELS` names a folder, the others found there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clearlane_infer::{Isa, Network, fma_peak};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array4;

/// File and input of each model that is looked for.
const MODELS: [(&str, [usize; 3]); 6] = [
    ("embedder.onnx", [3, 112, 112]),
    ("detector.onnx", [3, 320, 320]),
    ("mobilefacenet.onnx", [3, 112, 112]),
    ("scrfd_500m_bnkps_320.onnx", [3, 320, 320]),
    ("scrfd_2.5g_bnkps.onnx", [3, 320, 320]),
    ("yunet_n_320_320.onnx", [3, 320, 320]),
];

fn inference(criterion: &mut Criterion) {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let folders: Vec<PathBuf> =
        [Some(own), std::env::var_os("CLEARLANE_MODELS").map(PathBuf::from)].into_iter().flatten().collect();
    let peak = fma_peak(Isa::best());
    let mut group = criterion.benchmark_group("inference");
    group.measurement_time(Duration::from_secs(3)).sample_size(30);
    for (file, [c, h, w]) in MODELS {
        let Some(bytes) = folders.iter().find_map(|folder| std::fs::read(folder.join(file)).ok()) else {
            println!("skipped {file}: it is in none of {folders:?}");
            continue;
        };
        let network = Network::from_onnx(&bytes, [c, h, w]).expect("the model is sound");
        for batch in [1, 8] {
            let images = Array4::from_elem((batch, c, h, w), 0.5_f32);
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(format!("{file}, batch {batch}"), |bencher| {
                bencher.iter(|| network.run(images.view()));
            });
        }
        let image = Array4::from_elem((1, c, h, w), 0.5_f32);
        let steps = network.profile(image.index_axis(ndarray::Axis(0), 0), 20).expect("the image fits");
        let time: f64 = steps.iter().map(|step| step.time.as_secs_f64()).sum();
        let products: usize = steps.iter().map(|step| step.products).sum();
        let rate = 2.0 * products as f64 / time / 1e9;
        println!("{file}: {rate:.0} GFLOP/s, {:.0} % of the core's peak of {peak:.0}", 100.0 * rate / peak);
    }
}

criterion_group!(benches, inference);
criterion_main!(benches);
