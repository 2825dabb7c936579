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
    assert_eq!(quality.weakest().unwrap().value, quality.measures().iter().map(|m| m.value).min().unwrap());
    // All 28, in the standard's order; those without a measure are null: not assessed.
    assert_eq!(json.as_object().unwrap().len(), Component::STANDARD.len());
    let place = |component: &Component| Component::STANDARD.iter().position(|name| *name == component.name()).unwrap();
    assert!(Component::ALL.iter().is_sorted_by_key(place));
    for (name, measure) in quality.standard() {
        assert_eq!(json[name].is_null(), measure.is_none(), "{name}");
        let own = |component: Component| !Component::OCCLUSION.contains(&component);
        assert_eq!(measure.is_some(), Component::from_name(name).is_some_and(own), "{name}");
    }
}

/// A frame of colours, by column and row.
fn coloured(pixel: impl Fn(usize, usize) -> [u8; 3]) -> Frame<'static> {
    let pixels = (0..SIDE * SIDE).flat_map(|i| pixel(i % SIDE, i / SIDE));
    Frame::rgb8(SIDE as u32, SIDE as u32, pixels.collect::<Vec<_>>()).unwrap()
}

#[test]
fn an_even_background_has_no_gradient_and_a_ramp_has_its_own() {
    assert_eq!(measured(&frame(|_, _| 128), Component::BackgroundUniformity), (0.0, 100));
    // 70.5 pixels are 81.3 samples; the weights of Sobel's operator sum to 8 differences of neighbours.
    for (across, down) in [(0.5, 0.0), (0.0, 0.5), (0.3, 0.4)] {
        let ramp = frame(|x, y| (across * x as f32 + down * y as f32).round() as u8);
        let (gradient, _) = measured(&ramp, Component::BackgroundUniformity);
        let expected = 8.0 * 0.5 * 70.5 / 81.3;
        assert!((gradient - expected).abs() < 0.15 * expected, "expected {expected}, got {gradient}");
    }
    assert!(measured(&frame(noise), Component::BackgroundUniformity).1 < 30);
}

#[test]
fn the_head_is_no_background() {
    let eyes = face().landmarks[0].middle(face().landmarks[1]);
    let head = |x: usize, y: usize| (x as f32 - eyes.x).abs() < 75.0 && (-80.0..190.0).contains(&(y as f32 - eyes.y));
    let lively = frame(|x, y| if head(x, y) { noise(x, y) } else { 128 });
    assert_eq!(measured(&lively, Component::BackgroundUniformity), (0.0, 100));
}

#[test]
fn what_is_hardly_in_the_frame_is_not_assessed() {
    let close = |scale: f32, shift: f32| {
        let mut face = face();
        face.landmarks = face.landmarks.map(|p| Point::new(scale * p.x + shift, scale * p.y + shift));
        Quality::assess(&frame(noise), &face, std::slice::from_ref(&face)).unwrap()
    };
    // A face that fills the frame leaves no background; one of 24 pixels has no blocks.
    assert_eq!(close(2.2, -180.0).get(Component::BackgroundUniformity), None);
    let small = close(0.1, 100.0);
    assert_eq!(small.get(Component::CompressionArtifacts), None);
    let json = serde_json::to_value(&small).unwrap();
    assert!(json["CompressionArtifacts"].is_null() && json["BackgroundUniformity"].is_object());
}

#[test]
fn blocks_are_found_wherever_they_begin_and_noise_has_none() {
    let (ratio, value) = measured(&frame(noise), Component::CompressionArtifacts);
    assert!((1.0..1.1).contains(&ratio) && value > 90, "{ratio}");
    for (x0, y0) in [(0, 0), (3, 0), (5, 6)] {
        let blocks = frame(|x, y| noise((x + x0) / 8, (y + y0) / 8) / 8 + 100);
        assert!(measured(&blocks, Component::CompressionArtifacts).1 < 5, "from {x0}, {y0} on");
    }
}

#[test]
fn skin_is_natural_and_with_red_and_blue_exchanged_it_is_not() {
    // From light to dark.
    for [r, g, b] in [[244, 208, 177], [224, 172, 140], [141, 85, 56], [80, 48, 36]] {
        assert_eq!(measured(&coloured(|_, _| [r, g, b]), Component::NaturalColour), (0.0, 100));
        assert_eq!(measured(&coloured(|_, _| [b, g, r]), Component::NaturalColour), (100.0, 0));
    }
    assert_eq!(measured(&frame(noise), Component::NaturalColour), (0.0, 100));
}

#[test]
fn unnatural_colours_are_measured_in_cielab() {
    // Red of sRGB has a* = 80.81 and b* = 69.89 under D50 (Lindbloom's calculator), where skin ends at 25 and 35.
    let (distance, _) = measured(&coloured(|_, _| [255, 0, 0]), Component::NaturalColour);
    assert!((distance - (80.81_f32 - 25.0).hypot(69.89 - 35.0)).abs() < 0.1, "{distance}");
}
