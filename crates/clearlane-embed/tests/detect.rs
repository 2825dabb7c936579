//! Detectors read their networks' outputs as the reference implementations do, and refuse networks that do not fit.
#![allow(clippy::unwrap_used)]

mod common;

use clearlane_embed::{BoundingBox, Detector, Face, Frame, ModelError, PixelFormat, Point, SmallestFace};
use common::{bytes, detector_entry, json};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    score: f32,
    r#box: [f32; 4],
    landmarks: [[f32; 2]; 5],
}

fn assert_same(found: &[Face], mut expected: Vec<Expected>, scale: f32) {
    expected.sort_by(|a, b| b.score.total_cmp(&a.score));
    assert_eq!(found.len(), expected.len());
    for (face, expected) in found.iter().zip(expected) {
        assert!((face.score - expected.score).abs() < 1e-4);
        let BoundingBox { x0, y0, x1, y1 } = face.bounding_box;
        for (ours, theirs) in [x0, y0, x1, y1].into_iter().zip(expected.r#box) {
            assert!((ours - scale * theirs).abs() < 1e-3 * scale.max(1.0), "{ours} {theirs}");
        }
        for (ours, [x, y]) in face.landmarks.iter().zip(expected.landmarks) {
            assert!(ours.distance(Point::new(scale * x, scale * y)) < 2e-3 * scale.max(1.0));
        }
    }
}

fn detector(model: &str) -> Detector {
    let (score, overlap) = if model == "yunet" { (0.8, 0.3) } else { (0.5, 0.4) };
    let family = model.split('_').next().unwrap();
    Detector::new(&detector_entry(family, score, overlap), &bytes(&format!("{model}.onnx"))).unwrap()
}

#[test]
fn the_outputs_of_every_family_are_read_as_its_reference_reads_them() {
    let frame = Frame::rgb8(64, 64, vec![90; 64 * 64 * 3]).unwrap();
    for model in ["scrfd", "scrfd_five", "yunet", "retinaface", "retinaface_logits"] {
        let expected: Vec<Expected> = json(&format!("{model}.json"));
        assert!(expected.len() >= 5, "{model}");
        assert_same(&detector(model).detect(&frame).unwrap(), expected, 1.0);
    }
}

#[test]
fn faces_come_in_the_coordinates_of_the_frame_as_given() {
    for (width, height, scale) in [(128, 128, 2.0), (640, 320, 10.0), (32, 16, 0.5)] {
        let frame = Frame::new(PixelFormat::Gray8, width, height, width as usize, vec![9; (width * height) as usize]);
        let found = detector("scrfd").detect(&frame.unwrap()).unwrap();
        assert_same(&found, json("scrfd.json"), scale);
    }
}

#[test]
fn faces_under_the_minimum_size_or_score_are_dropped() {
    let frame = Frame::rgb8(64, 64, vec![90; 64 * 64 * 3]).unwrap();
    let all = detector("scrfd").detect(&frame).unwrap();
    let side = |face: &Face| face.bounding_box.width().max(face.bounding_box.height());
    let large = detector("scrfd").with_smallest_face(SmallestFace::Pixels(40.0)).detect(&frame).unwrap();
    // Boxes are not exact: a fifth less is given too.
    let expected: Vec<_> = all.iter().filter(|face| side(face) >= 0.8 * 40.0).cloned().collect();
    assert!(!expected.is_empty() && expected.len() < all.len());
    assert_eq!(large, expected);
    let sure = detector("scrfd").with_score_threshold(0.9).detect(&frame).unwrap();
    assert!(!sure.is_empty() && sure.len() < all.len() && sure.iter().all(|face| face.score >= 0.9));
}

#[test]
fn a_network_whose_outputs_do_not_fit_its_family_is_refused_at_load() {
    let error = Detector::new(&detector_entry("scrfd", 0.5, 0.4), &bytes("yunet.onnx")).unwrap_err();
    assert!(matches!(error, ModelError::Outputs { .. }), "{error}");
}

#[test]
fn an_unknown_family_is_named_with_the_known_ones() {
    let error = Detector::new(&detector_entry("haar", 0.5, 0.4), &bytes("scrfd.onnx")).unwrap_err();
    assert!(matches!(&error, ModelError::Family { family, known, .. } if family == "haar" && known.len() == 3));
}

#[test]
fn an_embedder_is_not_taken_for_a_detector() {
    let entry = common::embedder_entry("embed_mean");
    assert!(matches!(Detector::new(&entry, &bytes("embed_mean.onnx")), Err(ModelError::Task { .. })));
}
