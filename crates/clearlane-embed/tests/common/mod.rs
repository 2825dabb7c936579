//! What the tests of this crate share: the data in this folder, and entries for the models in it.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::PathBuf;

use clearlane_embed::{ColourOrder, Component, InputSpec, ModelEntry, Task};

pub(crate) fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

pub(crate) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(data(name)).unwrap()
}

pub(crate) fn json<T: serde::de::DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&bytes(name)).unwrap()
}

pub(crate) fn detector_entry(family: &str, score_threshold: f32, overlap_threshold: f32) -> ModelEntry {
    let task = Task::Detection { family: family.to_owned(), score_threshold, overlap_threshold };
    entry(family, task, 64)
}

pub(crate) fn embedder_entry(name: &str) -> ModelEntry {
    entry(name, Task::Embedding { dimension: 192, calibrations: Vec::new() }, 112)
}

pub(crate) fn pad_entry(name: &str, family: &str, live_class: usize) -> ModelEntry {
    entry(name, Task::Pad { family: family.to_owned(), crop: 1.5, live_class }, 112)
}

pub(crate) fn occlusion_entry(name: &str, components: &[Component]) -> ModelEntry {
    entry(name, Task::Occlusion { components: components.to_vec() }, 112)
}

fn entry(name: &str, task: Task, side: usize) -> ModelEntry {
    ModelEntry {
        name: name.to_owned(),
        file: format!("{name}.onnx"),
        sha256: "0".repeat(64),
        task,
        input: InputSpec { width: side, height: side, colour: ColourOrder::Rgb, mean: [0.0; 3], std: [1.0; 3] },
        licence: "none".to_owned(),
        source: "tests/data/make.py".to_owned(),
    }
}
