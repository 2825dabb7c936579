//! The PAD stage averages its models' scores, looks where each model was trained to look, and refuses models that do not fit.
#![allow(clippy::unwrap_used)]

mod common;

use clearlane_embed::{BoundingBox, Face, Frame, ModelError, Pad, REFERENCE_LANDMARKS};
use common::{bytes, pad_entry};

/// A network gives the mean of each 14 × 14 square of each plane: 192 classes, the first 64 of them red.
fn pad(classes: &[usize]) -> Result<Pad, ModelError> {
    let onnx = bytes("embed_mean.onnx");
    let entries: Vec<_> = classes.iter().map(|class| pad_entry("embed_mean", "minivision", *class)).collect();
    Pad::new(entries.iter().map(|entry| (entry, &*onnx)))
}

fn face(side: f32) -> Face {
    let bounding_box = BoundingBox { x0: 100.0, y0: 100.0, x1: 100.0 + side, y1: 100.0 + side };
    Face { bounding_box, landmarks: REFERENCE_LANDMARKS, score: 1.0 }
}

/// A frame of one level, with another one from `edge` pixels on to all sides of (150, 150).
fn framed(inner: u8, outer: u8, edge: usize) -> Frame<'static> {
    let inside = |at: usize| (150 - edge..150 + edge).contains(&at);
    let level = |at: usize| if inside(at % 300) && inside(at / 300) { inner } else { outer };
    Frame::rgb8(300, 300, (0..300 * 300).flat_map(|at| [level(at), 0, 0]).collect::<Vec<_>>()).unwrap()
}

#[test]
fn the_score_is_the_mean_of_the_models_probabilities() {
    let frame = framed(2, 2, 1);
    // 64 logits of 2 and 128 of 0.
    let all = 64.0 * 2.0_f32.exp() + 128.0;
    let (red, green) = (2.0_f32.exp() / all, 1.0 / all);
    for (classes, expected) in [(&[3][..], red), (&[64], green), (&[3, 64, 64], (red + 2.0 * green) / 3.0)] {
        let score = pad(classes).unwrap().assess(&frame, &face(100.0)).unwrap();
        assert!((score - expected).abs() < 1e-6, "{classes:?}: {score} for {expected}");
    }
}

#[test]
fn a_model_sees_the_faces_box_enlarged_by_its_factor_and_no_more() {
    let pad = pad(&[0]).unwrap();
    let score = |frame: &Frame<'_>| pad.assess(frame, &face(100.0)).unwrap();
    // A face of 100 pixels enlarged to 150 ends 75 pixels from its centre.
    assert_eq!(score(&framed(2, 9, 78)), score(&framed(2, 2, 78)));
    assert_ne!(score(&framed(2, 9, 70)), score(&framed(2, 2, 70)));
}

#[test]
fn a_model_that_does_not_fit_is_refused_at_load() {
    assert!(matches!(pad(&[192]), Err(ModelError::Outputs { .. })));
    assert!(matches!(pad(&[]), Err(ModelError::NoneForTask { task: "pad" })));
    let load = |entry| Pad::new([(&entry, &*bytes("embed_mean.onnx"))]).unwrap_err();
    let error = load(pad_entry("embed_mean", "thermal", 0));
    assert!(matches!(&error, ModelError::Family { task: "pad", family, .. } if family == "thermal"), "{error}");
    assert!(error.to_string().contains("minivision"), "{error}");
    let error = load(common::embedder_entry("embed_mean"));
    assert!(matches!(error, ModelError::Task { expected: "pad", found: "embedding", .. }), "{error}");
}
