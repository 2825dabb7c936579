//! Frames of ever new sizes through one extractor take no more memory than the first ones, measured by the operating system: one
//! test, alone in its process. The example `frame_sizes` does so with 5,000.
#![cfg(all(target_os = "linux", feature = "builtin"))]
#![allow(clippy::unwrap_used)]

mod memory;

use std::collections::HashSet;

use clearlane_embed::{DecodeLimits, Extractor, Frame, Models, PixelFormat, Selection};
use memory::held;

/// Sizes that caches may fill with: more than there are networks kept for them.
const FIRST: usize = 24;
/// Those after them.
const MORE: usize = 72;

#[test]
fn frames_of_ever_new_sizes_take_no_more_memory() {
    let models = Models::builtin().unwrap();
    let detector = models.detector(models.default_detector().unwrap()).unwrap();
    let embedder = models.embedder(models.default_embedder().unwrap()).unwrap();
    let extractor = Extractor::new(detector, embedder).with_selection(Selection::Largest);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/fictional/enrolled/f0000/enrol.jpg");
    let face = Frame::open(path, &DecodeLimits::default()).unwrap();
    let rgb = face.to_rgb8();
    let mut sizes = HashSet::new();
    let (mut templates, mut before) = (0, 0);
    for number in 0..FIRST + MORE {
        let (width, height) = (96 + number * 631 % 705, 96 + number * 389 % 505);
        assert!(sizes.insert((width, height)), "each size is a new one");
        let mut canvas = Vec::with_capacity(3 * width * height);
        for y in 0..height {
            let row = (y % face.height() as usize) * face.width() as usize;
            canvas.extend((0..width).flat_map(|x| {
                let at = 3 * (row + x % face.width() as usize);
                [rgb[at], rgb[at + 1], rgb[at + 2]]
            }));
        }
        let frame = Frame::new(PixelFormat::Rgb8, width as u32, height as u32, 3 * width, &canvas).unwrap();
        templates += usize::from(extractor.extract(&frame).is_ok());
        if number + 1 == FIRST {
            before = held("VmRSS").unwrap();
        }
    }
    assert!(templates > MORE / 4, "most are large enough for the face: {templates}");
    let grown = held("VmRSS").unwrap().saturating_sub(before);
    // A network kept for each size takes several MiB, a frame kept one.
    assert!(grown < 48 << 20, "{} MiB more after {MORE} more sizes", grown >> 20);
}
