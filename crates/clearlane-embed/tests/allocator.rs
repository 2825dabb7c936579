//! With the wiping allocator, decoders of pictures leave nothing of a picture either.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[path = "../../clearlane-infer/tests/common/memory.rs"]
mod memory;

use std::path::Path;

use clearlane_embed::{DecodeLimits, Frame};
use clearlane_infer::WipingAllocator;
use image::{ImageFormat, RgbImage};
use memory::{Needle, distinct, found};

#[global_allocator]
static ALLOCATOR: WipingAllocator = WipingAllocator;

/// One test alone, since formats share their picture.
#[test]
fn a_decoded_picture_leaves_nothing_in_memory_in_any_format() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/fictional/enrolled");
    let file = tempfile::NamedTempFile::new().unwrap();
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Pnm] {
        let face = Frame::open(folder.join("f0000/enrol.jpg"), &DecodeLimits::default()).unwrap();
        let picture = RgbImage::from_raw(face.width(), face.height(), face.to_rgb8().into_owned()).unwrap();
        picture.save_with_format(file.path(), format).unwrap();
        drop((face, picture));
        let frame = Frame::open(file.path(), &DecodeLimits::default()).unwrap();
        let (width, rgb) = (frame.width() as usize, frame.to_rgb8());
        // Every row, in pieces that no other picture has.
        let pieces =
            rgb.chunks_exact(3 * width).flat_map(|row| row.chunks_exact(48)).filter(|piece| distinct(piece) > 20);
        let needles: Vec<Needle> =
            pieces.map(|piece| Needle::new(format!("{format:?}"), piece.iter().copied())).collect();
        drop(rgb);
        assert!(!found(&needles).is_empty(), "the search finds nothing");
        drop(frame);
        assert_eq!(found(&needles), [""; 0]);
    }
}
