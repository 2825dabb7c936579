//! Nothing of a traveller's picture, face or template is left in memory when the caller has dropped what it was given.
#![cfg(all(target_os = "linux", feature = "builtin"))]
#![allow(clippy::unwrap_used)]

mod common;
#[path = "../../clearlane-infer/tests/common/memory.rs"]
mod memory;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use clearlane_embed::{
    ColourOrder, DecodeLimits, Extractor, Frame, InputSpec, Models, Pad, PixelFormat, Quality, QuantisationSamples,
    Selection,
};
use clearlane_infer::Wiped;
use memory::{Needle, distinct, found};
use ndarray::ArrayView4;

/// The detector's own size, so that its input is known.
const SIDE: usize = 320;

fn picture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../datasets/fictional/enrolled/f0000/enrol.jpg")
}

fn extractor(models: &Models) -> Extractor {
    let detector = models.detector(models.default_detector().unwrap()).unwrap();
    let embedder = models.embedder(models.default_embedder().unwrap()).unwrap().with_flip(true);
    // No PAD model is part of this project: an embedder's outputs serve as classes.
    let entry = common::pad_entry("embed_mean", "minivision", 0);
    let pad = Pad::new([(&entry, &*common::bytes("embed_mean.onnx"))]).unwrap();
    let occlusion = models.any_occlusion().unwrap().unwrap();
    Extractor::new(detector, embedder).with_pad(pad).with_occlusion(occlusion).with_selection(Selection::Largest)
}

/// Held by a test while it runs: all look for pixels of one picture.
static ALONE: Mutex<()> = Mutex::new(());

/// The upper left of a fictional face's picture, as a camera of this format sends it.
fn frame(format: PixelFormat) -> Frame<'static> {
    let face = Frame::open(picture(), &DecodeLimits::default()).unwrap();
    let (width, rgb) = (face.width() as usize, face.to_rgb8());
    // Paler than the file has it: what its decoder leaves is not looked for here, see `allocator.rs`.
    let pixel = |x: usize, y: usize| rgb.as_chunks::<3>().0[y * width + x].map(|level| level - level / 8 + 16);
    let all = (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x, y)));
    let mut data = Vec::with_capacity(4 * SIDE * SIDE);
    // Chroma of the picture's noise, next to grey.
    let chroma = |x: usize, y: usize, part: usize| 120 + pixel(x, y)[2 * part] / 16;
    let halves = || (0..SIDE / 2).flat_map(|y| (0..SIDE / 2).map(move |x| (2 * x, 2 * y)));
    match format {
        PixelFormat::Rgb8 => all.for_each(|(x, y)| data.extend(pixel(x, y))),
        PixelFormat::Bgr8 => all.for_each(|(x, y)| data.extend(pixel(x, y).iter().rev())),
        PixelFormat::Rgba8 => all.for_each(|(x, y)| data.extend(pixel(x, y).iter().chain(&[255]))),
        PixelFormat::Bgra8 => all.for_each(|(x, y)| data.extend(pixel(x, y).iter().rev().chain(&[255]))),
        PixelFormat::Gray8 => all.for_each(|(x, y)| data.push(pixel(x, y)[1])),
        PixelFormat::Gray16 => all.for_each(|(x, y)| data.extend([pixel(x, y)[1]; 2])),
        PixelFormat::Nv12 => {
            all.for_each(|(x, y)| data.push(pixel(x, y)[1]));
            halves().for_each(|(x, y)| data.extend([0, 1].map(|part| chroma(x, y, part))));
        }
        PixelFormat::I420 => {
            all.for_each(|(x, y)| data.push(pixel(x, y)[1]));
            data.extend(halves().map(|(x, y)| chroma(x, y, 0)));
            data.extend(halves().map(|(x, y)| chroma(x, y, 1)));
        }
        PixelFormat::P010 => {
            all.for_each(|(x, y)| data.extend([0, pixel(x, y)[1]]));
            halves().for_each(|(x, y)| data.extend([0, 1].into_iter().flat_map(|part| [0, chroma(x, y, part)])));
        }
        PixelFormat::Yuyv => all.for_each(|(x, y)| data.extend([pixel(x, y)[1], chroma(x, y, x % 2)])),
        PixelFormat::Uyvy => all.for_each(|(x, y)| data.extend([chroma(x, y, x % 2), pixel(x, y)[1]])),
    }
    let stride = format.row_bytes(SIDE as u32);
    Frame::new(format, SIDE as u32, SIDE as u32, stride, data).unwrap()
}

/// What may be left of a frame: its pixels as red, green and blue, alone and by fours, and as a detector's planes.
fn of_frame(frame: &Frame<'_>, spec: &InputSpec, needles: &mut Vec<Needle>) {
    let rgb = frame.to_rgb8();
    // Pieces of rows that no other picture has.
    let places = (0..SIDE).step_by(10).flat_map(|y| (0..SIDE - 16).step_by(16).map(move |x| (x, y)));
    let lively = |&(x, y): &(usize, usize)| {
        let row = rgb[3 * (y * SIDE + x)..].as_chunks::<3>().0;
        (0..3).all(|channel| distinct(&std::array::from_fn::<u8, 16, _>(|at| row[at][channel])) >= 12)
    };
    let places: Vec<_> = places.filter(lively).take(5).collect();
    assert!(!places.is_empty(), "the picture is flat");
    for (x, y) in places {
        let pixels = || rgb[3 * (y * SIDE + x)..].as_chunks::<3>().0[..16].iter();
        needles.push(Needle::new("pixels", pixels().flatten().copied()));
        needles.push(Needle::new("pixels by fours", pixels().flat_map(|&[r, g, b]| [r, g, b, 0])));
        for plane in 0..3 {
            let channel = if spec.colour == ColourOrder::Bgr { 2 - plane } else { plane };
            let level = |value: u8| (f32::from(value) - spec.mean[plane]) * spec.std[plane].recip();
            needles.push(Needle::floats("the detector's input", pixels().map(|pixel| level(pixel[channel]))));
        }
    }
}

#[test]
fn an_extraction_leaves_nothing_in_memory() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let models = Models::builtin().unwrap();
    let extractor = extractor(&models);
    let (detector, _) = models.get(extractor.detector().name()).unwrap();
    let (embedder, _) = models.get(extractor.embedder().name()).unwrap();
    for format in PixelFormat::ALL {
        let mut needles = Vec::new();
        let frame = frame(format);
        of_frame(&frame, &detector.input, &mut needles);
        let extraction = extractor.extract(&frame).unwrap();
        Quality::assess(&frame, &extraction.face, std::slice::from_ref(&extraction.face)).unwrap();

        let template = extraction.template.as_slice();
        needles.push(Needle::floats("the template", template[16..24].iter().copied()));
        let InputSpec { mean, std, .. } = embedder.input;
        for face in [extraction.aligned.clone(), extraction.aligned.flipped()] {
            let pixels = face.as_rgb8();
            let rows = (10..100).map(|row| &pixels[3 * (112 * row + 40)..][..48]);
            let liveliest = rows.max_by_key(|row| distinct(row)).unwrap();
            needles.push(Needle::new("the aligned face", liveliest.iter().copied()));
            let mut planes = Wiped::zeroed(3 * 112 * 112);
            for (at, value) in planes.iter_mut().enumerate() {
                let plane = at / (112 * 112);
                *value = (f32::from(pixels[3 * (at % (112 * 112)) + plane]) - mean[plane]) / std[plane];
            }
            needles.push(Needle::floats("the embedder's input", planes[112 * 56 + 40..][..16].iter().copied()));
            let input = ArrayView4::from_shape([1, 3, 112, 112], &planes).unwrap();
            let outputs = extractor.embedder().network().run(input).unwrap();
            needles.push(Needle::floats("an embedding", outputs[0].iter().skip(16).take(8).copied()));
        }
        let sees = found(&needles);
        for what in ["pixels", "the template", "the aligned face"] {
            let there = sees.iter().any(|name| name.starts_with(what));
            assert!(
                there || (what == "pixels" && format != PixelFormat::Rgb8),
                "the search does not find {what}: {sees:?}"
            );
        }
        drop((frame, extraction));
        assert_eq!(found(&needles), [""; 0], "{format:?}");
    }
}

#[test]
fn pictures_to_quantise_by_leave_nothing_in_memory() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let models = Models::builtin().unwrap();
    let name = models.default_detector().unwrap();
    let (entry, _) = models.get(name).unwrap();
    let onnx = models.read(name).unwrap();
    let mut needles = Vec::new();
    let mut samples = QuantisationSamples::new(entry, &onnx);
    for _ in 0..3 {
        let frame = frame(PixelFormat::Rgb8);
        of_frame(&frame, &entry.input, &mut needles);
        samples.add_frame(&frame).unwrap();
    }
    samples.quantise("detector-int8.onnx").unwrap();
    drop(samples);
    assert_eq!(found(&needles), [""; 0]);
}
