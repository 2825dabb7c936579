//! With the wiping allocator, what tract and the vectors of others free is wiped as well.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[path = "common/memory.rs"]
mod memory;

use clearlane_infer::{Backend, Network, Options, WipingAllocator};
use memory::{Needle, found};
use ndarray::Array4;

#[global_allocator]
static ALLOCATOR: WipingAllocator = WipingAllocator;

#[test]
fn what_is_freed_is_zero_wherever_it_was() {
    let noise = |index: usize| (index as u32).wrapping_mul(2_654_435_761).rotate_left(9);
    let needle = Needle::new("a vector", (2000..2008).flat_map(|index| noise(index).to_ne_bytes()));
    let mut grown = Vec::new();
    (0..200_000).for_each(|index| grown.push(noise(index)));
    assert!(!found(std::slice::from_ref(&needle)).is_empty());
    drop(grown);
    assert_eq!(found(&[needle]), [""; 0]);
}

#[test]
fn tract_leaves_no_image_and_no_embedding() {
    let onnx = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/embedder.onnx")).unwrap();
    let network = Network::with_options(&onnx, [3, 112, 112], &Options::on(Backend::Tract)).unwrap();
    let noise = |(_, c, y, x)| ((c * 112 + y) * 112 + x) as f32 * 0.618_034 % 1.0;
    let image = Array4::from_shape_fn((1, 3, 112, 112), noise);
    let outputs = network.run(image.view()).unwrap();
    let row = image.iter().skip(112 * 50 + 40).take(8).copied();
    let needles =
        [Needle::floats("the image", row), Needle::floats("the embedding", outputs[0].iter().skip(8).take(8).copied())];
    assert!(found(&needles).len() >= 2);
    drop((image, outputs));
    // What tract keeps for its next run holds packed parts of the last operator that it ran, whose input no image is.
    assert_eq!(found(&needles), [""; 0]);
}
