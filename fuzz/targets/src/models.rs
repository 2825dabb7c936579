//! A detector and an embedder of a few weights each, from the tests of `clearlane-embed`: they find faces wherever certain colours
//! are, so that any picture can go all the way to a template.

use std::path::Path;
use std::sync::LazyLock;

use clearlane_embed::{ColourOrder, Detector, Embedder, Extractor, InputSpec, ModelEntry, Task, YuvColour};

/// All meanings of YUV samples.
pub(crate) const COLOURS: [YuvColour; 4] =
    [YuvColour::Bt601Limited, YuvColour::Bt601Full, YuvColour::Bt709Limited, YuvColour::Bt709Full];

/// A file of the tests of `clearlane-embed`.
fn data(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/clearlane-embed/tests/data");
    std::fs::read(folder.join(name)).unwrap()
}

fn entry(name: &str, task: Task, side: usize) -> ModelEntry {
    ModelEntry {
        name: name.to_owned(),
        file: format!("{name}.onnx"),
        sha256: "0".repeat(64),
        task,
        input: InputSpec { width: side, height: side, colour: ColourOrder::Rgb, mean: [0.0; 3], std: [1.0; 3] },
        licence: "none".to_owned(),
        source: "clearlane-embed/tests/data/make.py".to_owned(),
    }
}

/// An extractor of those models: milliseconds for a picture.
pub(crate) fn tiny_extractor() -> &'static Extractor {
    static EXTRACTOR: LazyLock<Extractor> = LazyLock::new(|| {
        let detection = Task::Detection { family: "scrfd".to_owned(), score_threshold: 0.02, overlap_threshold: 0.4 };
        let detector = Detector::new(&entry("scrfd", detection, 64), &data("scrfd.onnx")).unwrap();
        let embedding = Task::Embedding { dimension: 192, calibrations: Vec::new() };
        let embedder = Embedder::new(&entry("embed_mean", embedding, 112), &data("embed_mean.onnx")).unwrap();
        Extractor::new(detector, embedder)
    });
    &EXTRACTOR
}
