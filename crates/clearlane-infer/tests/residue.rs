//! Nothing of an image, or of what a network made of it, is left in memory when the caller has dropped it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[path = "common/memory.rs"]
mod memory;

use clearlane_infer::{Backend, Isa, Network, Options, Wiped, wipe};
use memory::{Needle, found};
use ndarray::{ArrayView4, ShapeBuilder as _};
use rayon::ThreadPoolBuilder;

const SHAPE: [usize; 4] = [3, 3, 112, 112];

/// Noise that is in memory nowhere else.
fn image(seed: u32) -> Wiped<f32> {
    let mut state = seed;
    let mut image = Wiped::zeroed(SHAPE.iter().product());
    image.fill_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    });
    image
}

/// A few values of an image that lie next to each other.
fn rows(image: &[f32]) -> impl Iterator<Item = Needle> {
    let starts = [0, 40 * 112 + 30, 112 * 112 * 5 + 4000];
    starts.into_iter().map(|at| Needle::floats("the image", image[at..at + 8].iter().copied()))
}

/// The backends that the CPU has, tract not among them.
fn backends() -> impl Iterator<Item = Backend> {
    std::iter::once(Backend::Auto).chain(Isa::available().into_iter().map(Backend::Kernels))
}

#[test]
fn a_run_leaves_nothing_in_memory_on_any_backend() {
    let onnx = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/embedder.onnx")).unwrap();
    let pool = ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    for (seed, backend) in (1..).zip(backends().chain([Backend::Tract])) {
        let network = Network::with_options(&onnx, [3, 112, 112], &Options::on(backend)).unwrap();
        let image = image(seed);
        let mut needles: Vec<Needle> = rows(&image).collect();
        // The same numbers as an image whose planes lie column by column, so that they have to be put in order.
        let straight = ArrayView4::from_shape(SHAPE, &image).unwrap();
        let transposed = ArrayView4::from_shape(SHAPE.f(), &image).unwrap();
        needles.push(Needle::floats("the transposed image", transposed.iter().take(8).copied()));
        let outputs = [
            network.run(straight).unwrap(),
            network.run(transposed).unwrap(),
            pool.install(|| network.run_parallel(straight)).unwrap(),
            pool.install(|| network.run_parallel(straight.slice(ndarray::s![..1, .., .., ..]))).unwrap(),
        ];
        for outputs in &outputs {
            needles.push(Needle::floats("an embedding", outputs[0].iter().skip(8).take(8).copied()));
        }
        let sees = found(&needles);
        assert!(sees.iter().any(|name| name.starts_with("an embedding")), "the search finds nothing: {sees:?}");
        assert!(sees.iter().any(|name| name.starts_with("the image")), "the search finds nothing: {sees:?}");
        drop((image, outputs));
        if backend == Backend::Tract {
            // Operators of tract free copies of what they read; `allocator.rs` sees to those.
            needles.retain(|needle| needle.name.contains("embedding"));
        }
        assert_eq!(found(&needles), [""; 0], "{backend:?}");
    }
}

#[test]
fn what_grows_and_what_shrinks_is_wiped_where_it_was() {
    let noise = image(77);
    let needles: Vec<Needle> = rows(&noise).collect();
    let mut grown = Wiped::with_capacity(16);
    noise.chunks(100).for_each(|part| grown.extend_from_slice(part));
    assert_eq!(*grown, *noise);
    grown.truncate(4);
    let mut plain = noise.into_vec();
    wipe(&mut plain);
    assert_eq!(found(&needles[1..]), [""; 0]);
    assert_eq!(grown.len(), 4);
}
