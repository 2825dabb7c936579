//! A network's memory of intermediate values is wiped after each run: one test alone in its process, since it looks at all arenas.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[path = "common/memory.rs"]
mod memory;

use clearlane_infer::{Backend, Isa, Network, Options, quantise};
use memory::kept_out_of_dumps;
use ndarray::{Array4, Axis};
use rayon::ThreadPoolBuilder;

/// The backends that the CPU has, tract not among them.
fn backends() -> impl Iterator<Item = Backend> {
    std::iter::once(Backend::Auto).chain(Isa::available().into_iter().map(Backend::Kernels))
}

/// Every arena is zero after a run: of the models in this repository, of floats and INT8, on each backend, on one thread
/// and on several.
#[test]
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
