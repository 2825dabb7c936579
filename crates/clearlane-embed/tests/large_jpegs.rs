//! A large JPEG, of which only what is looked at is decoded, gives what its pixels give.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::sync::Arc;

use clearlane_embed::{
    AlignedFace, DecodeLimits, Extractor, Frame, JpegPicture, Models, Pad, Quality, Reduction, Rotation, Selection,
};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

/// Width, height, and how high a face's picture is in it: a face is half of that.
const SCENES: [([u32; 2], u32); 5] =
    [([1280, 720], 400), ([1920, 1080], 360), ([1283, 721], 500), ([720, 1280], 600), ([1920, 1080], 160)];

/// As a camera that holds it so writes the file: the EXIF orientation, 1 to 8, in a JPEG.
fn jpeg(picture: &RgbImage, orientation: u8) -> Vec<u8> {
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 92).encode_image(picture).unwrap();
    let tag = [0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
    let exif = [b"Exif\0\0MM\0\x2A\0\0\0\x08".as_slice(), &tag].concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    jpeg.splice(2..2, [&[0xFF, 0xE1], &length[..], &exif].concat());
    jpeg
}

/// Nobody's face on a background of soft waves.
fn scene([width, height]: [u32; 2], side: u32, person: usize) -> RgbImage {
    scene_with_face_at([width, height], side, person, [(width - side) / 3, (height - side) / 2])
}

fn scene_with_face_at([width, height]: [u32; 2], side: u32, person: usize, [x, y]: [u32; 2]) -> RgbImage {
    let people = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/fictional/enrolled");
    let mut people: Vec<_> = std::fs::read_dir(people).unwrap().map(|entry| entry.unwrap().path()).collect();
    people.sort();
    let face = image::open(people[person].join("plain-1.jpg")).unwrap().into_rgb8();
    let mut scene = RgbImage::from_fn(width, height, |x, y| {
        let wave = (x as f32 / 90.0).sin() * (y as f32 / 70.0).cos();
        Rgb([120.0, 130.0, 140.0].map(|level| (level + 30.0 * wave) as u8))
    });
    let face = imageops::resize(&face, side, side, FilterType::CatmullRom);
    imageops::replace(&mut scene, &face, i64::from(x), i64::from(y));
    scene
}

fn turned(picture: &RgbImage, orientation: u8) -> RgbImage {
    match orientation {
        6 => imageops::rotate270(picture),
        3 => imageops::rotate180(picture),
        _ => picture.clone(),
    }
}

#[test]
fn faces_qualities_and_templates_are_those_of_the_pixels() {
    let models = Models::builtin().unwrap();
    let detector = models.detector(models.default_detector().unwrap()).unwrap();
    let embedder = models.embedder(models.default_embedder().unwrap()).unwrap();
    let extractor = Extractor::new(detector, embedder).with_selection(Selection::Largest);
    for (number, &(size, side)) in SCENES.iter().enumerate() {
        for (orientation, rotation) in
            [(1, Rotation::None), (6, Rotation::None), (3, Rotation::Clockwise90), (1, Rotation::Clockwise270)]
        {
            let what = format!("scene {number}, EXIF {orientation}, {rotation:?}");
            let scene = turned(&scene(size, side, number), orientation);
            let scene = match rotation {
                Rotation::Clockwise90 => imageops::rotate270(&scene),
                Rotation::Clockwise270 => imageops::rotate90(&scene),
                _ => scene,
            };
            let bytes = jpeg(&scene, orientation);
            let frame = Frame::decode(&bytes, &DecodeLimits::default()).unwrap().with_rotation(rotation);
            let picture = JpegPicture::read(&bytes, &DecodeLimits::default()).unwrap();
            let pixels = picture.reduced(Reduction::None).unwrap().with_rotation(rotation);
            assert_eq!([frame.width(), frame.height()], [pixels.width(), pixels.height()], "{what}");

            let [part, all] = [&frame, &pixels].map(|frame| extractor.extract(frame).expect(&what));
            // The detector sees a picture that was made smaller in another way, the rest sees the same pixels.
            let cosine = part.template.score(&all.template).unwrap();
            assert!(cosine > 0.97, "{what}: {cosine}");
            assert_eq!(part.faces, all.faces, "{what}");
            let near = 0.05 * all.face.eye_distance();
            for (one, other) in part.face.landmarks.iter().zip(&all.face.landmarks) {
                assert!(one.distance(*other) < near, "{what}: {one:?} and {other:?}");
            }
            let landmarks = &part.face.landmarks;
            assert_eq!(part.aligned, AlignedFace::cut(&pixels, landmarks).unwrap(), "{what}");
            let faces = std::slice::from_ref(&part.face);
            let [quality, expected] = [&frame, &pixels].map(|frame| Quality::assess(frame, &part.face, faces).unwrap());
            assert_eq!(quality, expected, "{what}");

            // Whatever was made of it before, a frame has all its pixels, and gives the same again.
            assert_eq!(*frame.to_rgb8(), *pixels.to_rgb8(), "{what}");
            let anew = Frame::decode(&bytes, &DecodeLimits::default()).unwrap().with_rotation(rotation);
            assert_eq!(anew.into_rgb8(), *pixels.to_rgb8(), "{what}");
            assert_eq!(extractor.extract(&frame).unwrap().template, part.template, "{what}");
        }
    }
}

#[test]
fn a_frame_says_how_large_it_is_without_its_pixels_and_none_of_them() {
    let frame = Frame::decode(&jpeg(&scene([1280, 720], 400, 0), 6), &DecodeLimits::default()).unwrap();
    assert_eq!([frame.width(), frame.height()], [720, 1280]);
    let said = format!("{frame:?}");
    assert!(said.contains(&(3 * 1280 * 720).to_string()), "{said}");
}

#[test]
fn presentation_attacks_are_looked_for_in_the_same_pixels_wherever_the_face_stands() {
    let models = Models::builtin().unwrap();
    let detector = models.detector(models.default_detector().unwrap()).unwrap();
    let embedder = models.embedder(models.default_embedder().unwrap()).unwrap();
    // It looks at 1.5 times the face's box, which is moved inward where the picture ends.
    let entry = common::pad_entry("embed_mean", "minivision", 3);
    let onnx = common::bytes("embed_mean.onnx");
    let pad = Arc::new(Pad::new([(&entry, &*onnx)]).unwrap());
    let extractor = Extractor::new(detector, embedder).with_selection(Selection::Largest).with_pad(pad.clone());
    let (size, side) = ([1280, 720], 400);
    let [right, bottom] = size.map(|extent| extent - side);
    for at in [[0, 0], [right, 0], [0, bottom], [right, bottom], [0, bottom / 2], [right / 2, 0]] {
        let bytes = jpeg(&scene_with_face_at(size, side, 1, at), 1);
        let frame = Frame::decode(&bytes, &DecodeLimits::default()).unwrap();
        let pixels = JpegPicture::read(&bytes, &DecodeLimits::default()).unwrap().reduced(Reduction::None).unwrap();
        let part = extractor.extract(&frame).expect("a face");
        // The same face, whatever the detector made of the other picture.
        let expected = pad.assess(&pixels, &part.face).unwrap();
        assert_eq!(part.pad, Some(expected), "a face at {at:?}");
    }
}
