//! Alignment against transforms and crops that other software computed.
#![allow(clippy::unwrap_used)]

mod common;

use clearlane_embed::{AlignedFace, DecodeLimits, Frame, Point, REFERENCE_LANDMARKS, Similarity, estimate_pose};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    landmarks: [[f32; 2]; 5],
    a: f32,
    b: f32,
    tx: f32,
    ty: f32,
}

fn points(rows: [[f32; 2]; 5]) -> [Point; 5] {
    rows.map(|[x, y]| Point::new(x, y))
}

#[test]
fn the_similarity_is_the_one_that_scikit_image_fits() {
    for case in common::json::<Vec<Case>>("align.json") {
        let fitted = Similarity::fit(&points(case.landmarks), &REFERENCE_LANDMARKS).unwrap();
        for (ours, theirs) in [(fitted.a, case.a), (fitted.b, case.b), (fitted.tx, case.tx), (fitted.ty, case.ty)] {
            assert!((ours - theirs).abs() <= 1e-4 * theirs.abs().max(1.0), "{ours} {theirs}");
        }
    }
}

#[test]
fn the_aligned_face_is_the_one_that_opencv_cuts() {
    let texture = Frame::open(common::data("texture.png"), &DecodeLimits::default()).unwrap();
    let expected = Frame::open(common::data("aligned.png"), &DecodeLimits::default()).unwrap();
    let case = &common::json::<Vec<Case>>("align.json")[2];
    let aligned = AlignedFace::cut(&texture, &points(case.landmarks)).unwrap();
    let differences: Vec<u8> =
        aligned.as_rgb8().iter().zip(&*expected.to_rgb8()).map(|(a, b)| a.abs_diff(*b)).collect();
    let mean = differences.iter().map(|d| f64::from(*d)).sum::<f64>() / differences.len() as f64;
    // OpenCV rounds the position of a sample to 1/32 pixel.
    assert!(mean < 0.7, "{mean}");
    assert!(differences.iter().max().unwrap() <= &8);
}

#[test]
fn landmarks_that_coincide_or_are_nan_give_an_error() {
    let frame = Frame::rgb8(4, 4, vec![0; 48]).unwrap();
    assert!(AlignedFace::cut(&frame, &[Point::new(1.0, 1.0); 5]).is_err());
    let mut landmarks = REFERENCE_LANDMARKS;
    landmarks[3].x = f32::NAN;
    assert!(AlignedFace::cut(&frame, &landmarks).is_err());
    landmarks[3].x = f32::INFINITY;
    assert!(AlignedFace::cut(&frame, &landmarks).is_err());
}

#[test]
fn a_face_outside_the_frame_is_black() {
    let frame = Frame::rgb8(4, 4, vec![255; 48]).unwrap();
    let far = REFERENCE_LANDMARKS.map(|p| Point::new(p.x + 1e9, p.y));
    assert!(AlignedFace::cut(&frame, &far).unwrap().as_rgb8().iter().all(|value| *value == 0));
}

#[test]
fn a_face_across_the_frames_edge_is_cut_as_if_black_lay_beyond() {
    let texture = Frame::open(common::data("texture.png"), &DecodeLimits::default()).unwrap();
    let (width, height, border) = (texture.width() as usize, texture.height() as usize, 151);
    let mut wider = vec![0; 3 * (width + 2 * border) * (height + 2 * border)];
    for (y, row) in texture.to_rgb8().chunks_exact(3 * width).enumerate() {
        wider[3 * ((y + border) * (width + 2 * border) + border)..][..3 * width].copy_from_slice(row);
    }
    let wider = Frame::rgb8((width + 2 * border) as u32, (height + 2 * border) as u32, wider).unwrap();
    for (scale, x, y) in [(0.7, -20.3, -14.6), (1.0, width as f32 - 60.2, 7.0), (2.6, 11.0, height as f32 - 140.8)] {
        let at = |shift: f32| {
            REFERENCE_LANDMARKS.map(|p| Point::new(scale * p.x + x + shift, scale * p.y + 0.1 * p.x + y + shift))
        };
        let cut = AlignedFace::cut(&texture, &at(0.0)).unwrap();
        let expected = AlignedFace::cut(&wider, &at(border as f32)).unwrap();
        let difference = cut.as_rgb8().iter().zip(expected.as_rgb8()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(difference <= Some(1), "{difference:?} at scale {scale}");
        assert!(cut.as_rgb8().iter().any(|value| *value > 0));
    }
}

#[test]
fn flipping_twice_changes_nothing() {
    let texture = Frame::open(common::data("texture.png"), &DecodeLimits::default()).unwrap();
    let aligned = AlignedFace::cut(&texture, &REFERENCE_LANDMARKS).unwrap();
    assert_ne!(aligned.flipped(), aligned);
    assert_eq!(aligned.flipped().flipped(), aligned);
}

/// The mean head of the estimator (nose tip 0.44 eye distances before the eyes, mouth corners 0.03), turned in three
/// dimensions and projected.
fn turned_head(yaw: f32, pitch: f32, roll: f32) -> [Point; 5] {
    let eye_distance = REFERENCE_LANDMARKS[0].distance(REFERENCE_LANDMARKS[1]);
    let depths = [0.0, 0.0, 0.44, 0.03, 0.03].map(|d: f32| d * eye_distance);
    std::array::from_fn(|i| {
        let (x, y, z) = (REFERENCE_LANDMARKS[i].x - 56.0, REFERENCE_LANDMARKS[i].y - 72.0, depths[i]);
        let (y, z) = (y * pitch.cos() - z * pitch.sin(), y * pitch.sin() + z * pitch.cos());
        let x = x * yaw.cos() + z * yaw.sin();
        Point::new(x * roll.cos() - y * roll.sin() + 300.0, x * roll.sin() + y * roll.cos() + 200.0)
    })
}

proptest! {
    #[test]
    fn the_pose_of_a_turned_head_is_found(yaw in -50f32..50.0, pitch in -40f32..40.0, roll in -60f32..60.0) {
        let pose = estimate_pose(&turned_head(yaw.to_radians(), pitch.to_radians(), roll.to_radians()));
        prop_assert!((pose.roll - roll).abs() < 0.5, "{pose:?}");
        prop_assert!((pose.yaw - yaw).abs() < 0.5, "{pose:?}");
        prop_assert!((pose.pitch - pitch).abs() < 0.5, "{pose:?}");
    }

    #[test]
    fn undoing_a_similarity_gives_the_point_back(
        a in -3f32..3.0, b in 0.2f32..3.0, tx in -500f32..500.0, ty in -500f32..500.0, x in -500f32..500.0, y in -500f32..500.0,
    ) {
        let transform = Similarity { a, b, tx, ty };
        let back = transform.inverse().apply(transform.apply(Point::new(x, y)));
        prop_assert!(back.distance(Point::new(x, y)) < 0.05);
    }
}
