//! What a large JPEG takes from its file to a template and to all of its pixels, measured by the operating system: one test, alone in
//! its process.
#![cfg(all(target_os = "linux", feature = "builtin"))]
#![allow(clippy::unwrap_used)]

use std::path::Path;

use clearlane_embed::{DecodeLimits, Extractor, Frame, Models, Selection};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

#[test]
fn the_limit_of_memory_holds_until_all_pixels_are_made() {
    let models = Models::builtin().unwrap();
    let detector = models.detector(models.default_detector().unwrap()).unwrap();
    let embedder = models.embedder(models.default_embedder().unwrap()).unwrap();
    let extractor = Extractor::new(detector, embedder).with_selection(Selection::Largest);
    let bytes = {
        // The largest that is decoded in part: 2^25 pixels, no colour left out.
        let face = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/fictional/enrolled/f0000/plain-1.jpg");
        let face = imageops::resize(&image::open(face).unwrap().into_rgb8(), 3000, 3000, FilterType::Triangle);
        let mut picture = RgbImage::from_pixel(8192, 4096, Rgb([120, 130, 140]));
        imageops::replace(&mut picture, &face, 2000, 500);
        let mut jpeg = Vec::new();
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 90).encode_image(&picture).unwrap();
        jpeg
    };
    // What the picture itself took is given back, and counts no more.
    let limits = DecodeLimits::default();
    let before = kib("VmRSS:");
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let frame = Frame::decode(&bytes, &limits).unwrap();
    assert_eq!(extractor.extract_all(&frame, 4).unwrap().len(), 1);
    assert_eq!(frame.to_rgb8().len(), 3 * 8192 * 4096);
    let taken = kib("VmHWM:").saturating_sub(before);
    assert!(taken > 3 * 8192 * 4096 / 1024, "the pixels are {taken} KiB: nothing was measured");
    assert!(taken < limits.max_memory_bytes >> 10, "{taken} KiB");
}

/// A count of KiB that the operating system keeps of this process.
fn kib(of: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(of)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
