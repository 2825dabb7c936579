//! The models that are compiled in are those of the manifest, and find and tell apart the fictional faces.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use clearlane_embed::{DecodeLimits, Extractor, Frame, Location, Models, Selection, Template};

fn extractor() -> Extractor {
    let models = Models::builtin().unwrap();
    let detector = models.detector(models.default_detector().unwrap()).unwrap();
    let embedder = models.embedder(models.default_embedder().unwrap()).unwrap();
    Extractor::new(detector, embedder).with_selection(Selection::Largest)
}

fn fictional() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/fictional/enrolled")
}

/// The identities of the set, each with its folder.
fn identities(count: usize) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(fictional()).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders.truncate(count);
    folders
}

#[test]
fn every_built_in_model_is_the_one_of_the_manifest() {
    let models = Models::builtin().unwrap();
    assert_eq!(models.iter().count(), 2);
    for (entry, location) in models.iter() {
        assert_eq!(*location, Location::Builtin);
        models.read(&entry.name).unwrap();
    }
}

#[test]
fn fictional_people_are_told_apart() {
    let extractor = extractor();
    let template = |folder: &Path, name: &str| -> Template {
        let frame = Frame::open(folder.join(name), &DecodeLimits::default()).unwrap();
        extractor.extract(&frame).unwrap_or_else(|error| panic!("{}/{name}: {error}", folder.display())).template
    };
    let folders = identities(8);
    let references: Vec<Template> = folders.iter().map(|folder| template(folder, "enrol.jpg")).collect();
    for (i, folder) in folders.iter().enumerate() {
        let probe = template(folder, "plain-1.jpg");
        let scores: Vec<f32> = references.iter().map(|reference| probe.score(reference).unwrap()).collect();
        let best = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap();
        assert_eq!(best, i, "{}: {scores:?}", folder.display());
    }
}

/// A fictional face on a grey picture of these extents, and the rest of a square of this side black.
fn placed([width, height]: [usize; 2], square: usize) -> Frame<'static> {
    let face = Frame::open(identities(1)[0].join("plain-1.jpg"), &DecodeLimits::default()).unwrap();
    let (side, pixels) = (face.width() as usize, face.to_rgb8());
    let (columns, rows) = (width.max(square), height.max(square));
    let mut rgb = vec![0; 3 * columns * rows];
    rgb.chunks_exact_mut(3 * columns).take(height).for_each(|row| row[..3 * width].fill(128));
    let (x, y) = ((width - side) / 2, (height - side) / 2);
    for (row, pixels) in pixels.chunks_exact(3 * side).enumerate() {
        rgb[3 * ((y + row) * columns + x)..][..3 * side].copy_from_slice(pixels);
    }
    Frame::rgb8(columns as u32, rows as u32, rgb).unwrap()
}

/// What the network made for the shape of a frame finds is what the square one finds in the frame with a black rest.
#[test]
fn a_wide_and_a_high_frame_give_the_faces_that_the_same_frame_in_a_square_gives() {
    let extractor = extractor();
    for extents in [[1280, 720], [720, 1280], [1000, 750], [1280, 400]] {
        let long = extractor.extract(&placed(extents, 0)).unwrap();
        let square = extractor.extract(&placed(extents, *extents.iter().max().unwrap())).unwrap();
        assert_eq!((long.faces, square.faces), (1, 1));
        assert!((long.face.score - square.face.score).abs() < 0.02, "{extents:?}");
        let eyes = square.face.eye_distance();
        for (ours, theirs) in long.face.landmarks.iter().zip(square.face.landmarks) {
            assert!(ours.distance(theirs) < 0.01 * eyes, "{extents:?}");
        }
        assert!(long.template.score(&square.template).unwrap() > 0.99, "{extents:?}");
    }
}
