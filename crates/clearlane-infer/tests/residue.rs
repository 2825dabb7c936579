//! Nothing of an image, or of what a network made of it, is left in memory when the caller has dropped it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[path = "common/memory.rs"]
mod memory;

use clearlane_infer::{Backend, Isa, Network, Options, Wiped, quantise, wipe};
use memory::{Needle, found, kept_out_of_dumps};
use ndarray::{Array4, ArrayView4, Axis, ShapeBuilder as _};
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

/// One test alone, since it looks at all arenas of the process.
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
    arenas_are_zero_after_each_run();
}

/// Every arena is zero after a run: of the models in this repository, of floats and INT8, on each backend, on one thread
/// and on several. Called by the one test that looks at arenas.
fn arenas_are_zero_after_each_run() {
    let pool = ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    for (name, side) in [("embedder", 112), ("detector", 320)] {
        let floats = std::fs::read(format!("{}/../../models/{name}.onnx", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let images = Array4::from_shape_fn((2, 3, side, side), |(n, c, y, x)| (n + c + x * y) as f32 % 251.0);
        let quantised = quantise(&floats, [3, side, side], images.view()).unwrap().onnx;
        for (onnx, backend) in
            [&floats, &quantised].into_iter().flat_map(|onnx| backends().map(move |backend| (onnx, backend)))
        {
            let network = Network::with_options(onnx, [3, side, side], &Options::on(backend)).unwrap();
            for image in images.axis_chunks_iter(Axis(0), 1) {
                network.run(image).unwrap();
                pool.install(|| network.run_parallel(image)).unwrap();
            }
            network.profile(images.index_axis(Axis(0), 0), 1).unwrap();
            let [arenas, used] = kept_out_of_dumps();
            assert_eq!((arenas > 0, used), (true, 0), "{name} on {backend:?}: an arena is not wiped");
        }
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
