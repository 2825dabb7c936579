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
