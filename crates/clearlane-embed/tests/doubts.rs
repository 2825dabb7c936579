//! What makes scores doubtful is named, and good pictures are left alone.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clearlane_embed::{Component, DecodeLimits, Detector, Doubt, Frame, Language, Models, PixelFormat, Quality};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

/// Plain captures of this many people who do not exist.
const PEOPLE: usize = 12;

/// Pixels between the eyes of those captures, about.
const EYES: f32 = 70.0;

fn captures() -> Vec<RgbImage> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/fictional/enrolled");
    let mut people: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    people.sort();
    let open = |person: &PathBuf| image::open(person.join("plain-1.jpg")).unwrap().into_rgb8();
    people.iter().step_by(people.len() / PEOPLE).map(open).collect()
}

fn detector() -> Detector {
    let models = Models::builtin().unwrap();
    models.detector(models.default_detector().unwrap()).unwrap()
}

fn quality(detector: &Detector, frame: &Frame<'_>) -> Quality {
    let faces = detector.detect(frame).unwrap();
    let face = faces.first().expect("a face");
    Quality::assess(frame, face, &faces).unwrap()
}

fn frame(picture: &RgbImage) -> Frame<'static> {
    Frame::rgb8(picture.width(), picture.height(), picture.as_raw().clone()).unwrap()
}

/// The components that are named of a frame.
fn named(detector: &Detector, frame: &Frame<'_>) -> BTreeSet<Component> {
    quality(detector, frame).doubts().iter().map(|doubt| doubt.measure().component).collect()
}

fn small(picture: &RgbImage, eyes: f32) -> RgbImage {
    let side = |side: u32| (side as f32 * eyes / EYES).round() as u32;
    imageops::resize(picture, side(picture.width()), side(picture.height()), FilterType::Lanczos3)
}

fn dim(picture: &RgbImage, part: f32) -> RgbImage {
    let mut dim = picture.clone();
    for Rgb(levels) in dim.pixels_mut() {
        *levels = levels.map(|level| (f32::from(level) * part) as u8);
    }
    dim
}

fn compressed(picture: &RgbImage, quality: u8) -> Frame<'static> {
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, quality).encode_image(picture).unwrap();
    Frame::decode(&jpeg, &DecodeLimits::default()).unwrap()
}

#[test]
fn what_is_wrong_with_a_picture_is_named() {
    let detector = detector();
    for (number, picture) in captures().iter().enumerate() {
        let names = |frame: &Frame<'_>, component: Component, what: &str| {
            let named = named(&detector, frame);
            assert!(named.contains(&component), "person {number}, {what}: expected {component}, got {named:?}");
        };
        assert_eq!(named(&detector, &frame(picture)), BTreeSet::new(), "person {number}");
        for part in [0.04, 0.06] {
            let blurred = imageops::blur(picture, part * EYES);
            names(&frame(&blurred), Component::Sharpness, &format!("blurred by {part} eye distances"));
        }
        for eyes in [8.0, 16.0, 20.0, 24.0] {
            names(
                &frame(&small(picture, eyes)),
                Component::InterEyeDistance,
                &format!("{eyes} pixels between the eyes"),
            );
        }
        for part in [0.3, 0.15] {
            let dim = frame(&dim(picture, part));
            names(&dim, Component::LuminanceMean, &format!("{part} of the light"));
            assert!(!named(&detector, &dim).contains(&Component::Sharpness), "a dim face is no blurred one");
        }
        for quality in [5, 10] {
            names(&compressed(picture, quality), Component::CompressionArtifacts, &format!("JPEG of {quality}"));
        }
        let (width, height) = picture.dimensions();
        let exchanged = Frame::new(PixelFormat::Bgr8, width, height, 3 * width as usize, picture.as_raw().clone());
        names(&exchanged.unwrap(), Component::NaturalColour, "red and blue exchanged");
    }
}

#[test]
fn doubts_are_words_and_data_and_the_worst_comes_first() {
    let detector = detector();
    let picture = &captures()[0];
    let quality = quality(&detector, &frame(&imageops::blur(&small(picture, 20.0), 1.5)));
    let doubts = quality.doubts();
    assert!(doubts.len() >= 2, "{doubts:?}");
    let share = |component: Component, value: u8| f32::from(value) / f32::from(component.doubtful_below().unwrap());
    assert!(doubts.iter().map(Doubt::measure).is_sorted_by_key(|m| share(m.component, m.value)), "{doubts:?}");
    for doubt in &doubts {
        let measure = doubt.measure();
        assert_eq!(quality.get(measure.component), Some(measure));
        assert!(measure.value < measure.component.doubtful_below().unwrap());
        let (english, chinese) = (doubt.phrase(Language::English), doubt.phrase(Language::Chinese));
        assert!(english.is_ascii() && !chinese.is_ascii());
        assert_eq!(doubt.to_string(), format!("{english} ({} {})", measure.component, measure.value));
        let json = serde_json::to_value(doubt).unwrap();
        assert_eq!((&json["component"], &json["value"]), (&measure.component.name().into(), &measure.value.into()));
        assert_eq!((&json["phrase"]["en"], &json["phrase"]["zh"]), (&english.into(), &chinese.into()));
    }
}
