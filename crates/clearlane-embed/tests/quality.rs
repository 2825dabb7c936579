//! Quality components on pictures whose values are known.
#![allow(clippy::unwrap_used)]

use clearlane_embed::{BoundingBox, Component, Face, Frame, Point, Quality, REFERENCE_LANDMARKS};

const SIDE: usize = 300;

/// A face of twice the aligned size in the middle of a frame of 300 × 300: 70.5 pixels between the eyes.
fn face() -> Face {
    Face {
        bounding_box: BoundingBox { x0: 90.0, y0: 60.0, x1: 214.0, y1: 240.0 },
        landmarks: REFERENCE_LANDMARKS.map(|p| Point::new(2.0 * p.x + 38.0, 2.0 * p.y + 20.0)),
        score: 0.9,
    }
}

fn frame(pixel: impl Fn(usize, usize) -> u8) -> Frame<'static> {
    let gray = (0..SIDE * SIDE).map(|i| pixel(i % SIDE, i / SIDE));
    Frame::rgb8(SIDE as u32, SIDE as u32, gray.flat_map(|value| [value; 3]).collect::<Vec<_>>()).unwrap()
}

fn measured(frame: &Frame<'_>, component: Component) -> (f32, u8) {
    let face = face();
    let measure = Quality::assess(frame, &face, std::slice::from_ref(&face)).unwrap().get(component).unwrap();
    (measure.native, measure.value)
}

fn noise(x: usize, y: usize) -> u8 {
    ((x * 7919 + y * 104_729) * 2_654_435_761 % 4_294_967_296 / 16_777_216) as u8
}

#[test]
fn an_even_grey_face_has_its_luminance_and_nothing_else() {
    let grey = frame(|_, _| 128);
    let (mean, value) = measured(&grey, Component::LuminanceMean);
    assert!((mean - 128.0 / 255.0).abs() < 1e-4);
    assert_eq!(value, 100);
    assert!(measured(&grey, Component::LuminanceVariance).0 < 1e-6);
    assert_eq!(measured(&grey, Component::DynamicRange), (0.0, 0));
    assert_eq!(measured(&grey, Component::Sharpness).1, 0);
    assert_eq!(measured(&grey, Component::IlluminationUniformity), (1.0, 100));
    assert_eq!(measured(&grey, Component::OverExposurePrevention), (0.0, 100));
    assert_eq!(measured(&grey, Component::UnderExposurePrevention).1, 100);
}

#[test]
fn black_and_white_faces_are_badly_exposed() {
    let black = frame(|_, _| 10);
    assert_eq!(measured(&black, Component::UnderExposurePrevention), (1.0, 0));
    assert!(measured(&black, Component::LuminanceMean).1 < 5);
    let white = frame(|_, _| 255);
    assert_eq!(measured(&white, Component::OverExposurePrevention), (1.0, 1));
}

#[test]
fn light_from_one_side_is_not_uniform() {
    let lit = frame(|x, _| if x < SIDE / 2 { 200 } else { 40 });
    assert_eq!(measured(&lit, Component::IlluminationUniformity), (0.0, 0));
}

#[test]
fn noise_has_nearly_the_whole_dynamic_range_and_is_sharp() {
    let noisy = frame(noise);
    assert!(measured(&noisy, Component::DynamicRange).0 > 7.0);
    assert!(measured(&noisy, Component::Sharpness).1 > 95);
}

#[test]
fn blur_lowers_sharpness() {
    let blurred = |radius: usize| {
        frame(move |x, y| {
            let (xs, ys) = (x.saturating_sub(radius)..=x + radius, y.saturating_sub(radius)..=y + radius);
            let sum: usize = ys.clone().flat_map(|y| xs.clone().map(move |x| noise(x, y) as usize)).sum();
            (sum / (xs.count() * ys.count())) as u8
        })
    };
    let sharpness = |radius| measured(&blurred(radius), Component::Sharpness).0;
    assert!(sharpness(0) > 2.0 * sharpness(1) && sharpness(1) > 2.0 * sharpness(3));
}

#[test]
fn placement_is_measured_in_the_frame() {
    let grey = frame(|_, _| 128);
    let eyes = 2.0 * REFERENCE_LANDMARKS[0].distance(REFERENCE_LANDMARKS[1]);
    let (distance, value) = measured(&grey, Component::InterEyeDistance);
    assert!((distance - eyes).abs() < 1.0, "{distance}");
    assert!((49..=53).contains(&value));
    let left = face().landmarks[0].x / eyes;
    assert!((measured(&grey, Component::LeftwardCropOfTheFaceImage).0 - left).abs() < 1e-3);
    // Eyes to mouth are 81.4 pixels, so that the chin is estimated at 138 below the eyes.
    assert!((measured(&grey, Component::HeadSize).0 - 138.0 / 300.0).abs() < 0.01);
    assert!((measured(&grey, Component::MarginAboveOfTheFaceImage).0 - 123.2 / 138.0).abs() < 0.02);
    assert!((measured(&grey, Component::MarginBelowOfTheFaceImage).0 - 176.8 / 138.0).abs() < 0.02);
    for component in [Component::HeadPoseYaw, Component::HeadPosePitch, Component::HeadPoseRoll] {
        assert_eq!(measured(&grey, component).1, 100, "{component}");
    }
}

#[test]
fn a_second_face_competes_by_its_area() {
    let grey = frame(|_, _| 128);
    let first = face();
    let mut second = first.clone();
    second.bounding_box = BoundingBox { x0: 0.0, y0: 0.0, x1: 62.0, y1: 90.0 };
    let value =
        |faces: &[Face]| Quality::assess(&grey, &first, faces).unwrap().get(Component::SingleFacePresent).unwrap();
    assert_eq!(value(std::slice::from_ref(&first)).value, 100);
    let both = value(&[first.clone(), second]);
    assert!((both.native - 0.5).abs() < 1e-3);
    assert_eq!(both.value, 50);
}

#[test]
fn quality_is_written_under_the_standards_names() {
    let grey = frame(|_, _| 128);
    let face = face();
    let quality = Quality::assess(&grey, &face, std::slice::from_ref(&face)).unwrap();
    let json = serde_json::to_value(&quality).unwrap();
    assert_eq!(json["IlluminationUniformity"]["value"], 100);
    assert_eq!(json.as_object().unwrap().len(), quality.measures().len());
    assert_eq!(quality.weakest().unwrap().value, quality.measures().iter().map(|m| m.value).min().unwrap());
}
