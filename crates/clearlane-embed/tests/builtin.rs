//! The models that are compiled in are those of the manifest, and find and tell apart the fictional faces.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use clearlane_embed::{
    DecodeLimits, Extractor, Frame, Location, Models, Orientation, Rotation, Selection, SmallestFace, Template,
};

fn extractor() -> Extractor {
    let models = Models::builtin().unwrap();
    let detector = models.detector(models.default_detector().unwrap()).unwrap();
    let embedder = models.embedder(models.default_embedder().unwrap()).unwrap();
    Extractor::new(detector, embedder).with_selection(Selection::Largest)
}

fn fictional() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/fictional/enrolled")
}

/// The identities of the set, each with its folder.
fn identities(count: usize) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(fictional()).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders.truncate(count);
    folders
}

#[test]
fn every_built_in_model_is_the_one_of_the_manifest() {
    let models = Models::builtin().unwrap();
    assert_eq!(models.iter().count(), 3);
    for (entry, location) in models.iter() {
        assert_eq!(*location, Location::Builtin);
        models.read(&entry.name).unwrap();
    }
}

#[test]
fn fictional_people_are_told_apart() {
    let extractor = extractor();
    let template = |folder: &Path, name: &str| -> Template {
        let frame = Frame::open(folder.join(name), &DecodeLimits::default()).unwrap();
        extractor.extract(&frame).unwrap_or_else(|error| panic!("{}/{name}: {error}", folder.display())).template
    };
    let folders = identities(8);
    let references: Vec<Template> = folders.iter().map(|folder| template(folder, "enrol.jpg")).collect();
    for (i, folder) in folders.iter().enumerate() {
        let probe = template(folder, "plain-1.jpg");
        let scores: Vec<f32> = references.iter().map(|reference| probe.score(reference).unwrap()).collect();
        let best = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap();
        assert_eq!(best, i, "{}: {scores:?}", folder.display());
    }
}

/// A fictional face on a grey picture of these extents, and the rest of a square of this side black.
fn placed([width, height]: [usize; 2], square: usize) -> Frame<'static> {
    let face = Frame::open(identities(1)[0].join("plain-1.jpg"), &DecodeLimits::default()).unwrap();
    let (side, pixels) = (face.width() as usize, face.to_rgb8());
    let (columns, rows) = (width.max(square), height.max(square));
    let mut rgb = vec![0; 3 * columns * rows];
    rgb.chunks_exact_mut(3 * columns).take(height).for_each(|row| row[..3 * width].fill(128));
    let (x, y) = ((width - side) / 2, (height - side) / 2);
    for (row, pixels) in pixels.chunks_exact(3 * side).enumerate() {
        rgb[3 * ((y + row) * columns + x)..][..3 * side].copy_from_slice(pixels);
    }
    Frame::rgb8(columns as u32, rows as u32, rgb).unwrap()
}

/// What the network made for the shape of a frame finds is what the square one finds in the frame with a black rest.
#[test]
fn a_wide_and_a_high_frame_give_the_faces_that_the_same_frame_in_a_square_gives() {
    let extractor = extractor();
    for extents in [[960, 540], [540, 960], [800, 600], [960, 420]] {
        let long = extractor.extract(&placed(extents, 0)).unwrap();
        let square = extractor.extract(&placed(extents, *extents.iter().max().unwrap())).unwrap();
        assert_eq!((long.faces, square.faces), (1, 1));
        assert!((long.face.score - square.face.score).abs() < 0.02, "{extents:?}");
        let eyes = square.face.eye_distance();
        for (ours, theirs) in long.face.landmarks.iter().zip(square.face.landmarks) {
            assert!(ours.distance(theirs) < 0.01 * eyes, "{extents:?}");
        }
        assert!(long.template.score(&square.template).unwrap() > 0.99, "{extents:?}");
    }
}

/// Two people side by side, the second in a picture of this part of the first's extents.
fn pair(part: usize) -> Frame<'static> {
    let open = |folder: &Path| Frame::open(folder.join("plain-1.jpg"), &DecodeLimits::default()).unwrap();
    let folders = identities(2);
    let (first, second) = (open(&folders[0]), open(&folders[1]));
    let (side, small) = (first.width() as usize, first.width() as usize / part);
    let (left, right) = (first.to_rgb8(), second.to_rgb8());
    let mut rgb = vec![128; 3 * 2 * side * side];
    for y in 0..side {
        rgb[6 * side * y..][..3 * side].copy_from_slice(&left[3 * side * y..][..3 * side]);
    }
    for (y, x) in (0..small).flat_map(|y| (0..small).map(move |x| (y, x))) {
        let from = 3 * (part * y * side + part * x);
        rgb[6 * side * y + 3 * (side + x)..][..3].copy_from_slice(&right[from..from + 3]);
    }
    Frame::rgb8(2 * side as u32, side as u32, rgb).unwrap()
}

#[test]
fn an_extraction_says_how_large_the_largest_further_face_is() {
    let extractor = extractor();
    assert_eq!(extractor.extract(&placed([720, 720], 0)).unwrap().second, None);
    for part in [1, 2] {
        let frame = pair(part);
        let boxes: Vec<_> = extractor.detector().detect(&frame).unwrap().iter().map(|face| face.bounding_box).collect();
        assert_eq!(boxes.len(), 2);
        let areas: Vec<_> = boxes.iter().map(|face| face.width() * face.height()).collect();
        let (largest, other) = (areas[0].max(areas[1]), areas[0].min(areas[1]));
        let found = extractor.extract(&frame).unwrap();
        let second = found.second.unwrap();
        assert!((second - (other / largest).sqrt()).abs() < 1e-6, "{second}");
        assert!((second - 1.0 / part as f32).abs() < 0.2, "the other is {part} times as small, not {second}");
    }
}

#[test]
fn a_face_outside_of_the_limits_gives_a_template_where_one_asks_for_any() {
    let frame = placed([400, 400], 0);
    let whole = extractor().extract(&frame).unwrap();
    let eyes = whole.face.eye_distance();
    for strict in [extractor().with_minimum_eye_distance(eyes + 1.0), extractor().with_maximum_outside(-1.0)] {
        assert!(strict.extract(&frame).is_err());
        let any = strict.extract_any(&frame).unwrap();
        assert_eq!((any.face.clone(), any.template.as_slice()), (whole.face.clone(), whole.template.as_slice()));
        assert!(strict.limits(&any.face, any.outside).is_err());
        assert!(extractor().limits(&any.face, any.outside).is_ok());
    }
}

/// A fictional face scaled to this height, somewhere on a picture of this size, turned so that `rotation` makes it upright.
fn scene([width, height]: [usize; 2], face: f32, number: usize, rotation: Rotation) -> Frame<'static> {
    let portrait = Frame::open(identities(8)[number % 8].join("plain-1.jpg"), &DecodeLimits::default()).unwrap();
    let extractor = extractor();
    let whole = extractor.detector().detect(&portrait).unwrap()[0].longer_side();
    let side = (portrait.width() as f32 * face / whole).round() as usize;
    let pixels = portrait.to_rgb8();
    let from = portrait.width() as usize;
    let noise = |at: usize| 96 + ((at.wrapping_mul(2_654_435_761) >> 27) & 0x3F) as u8;
    let mut rgb: Vec<u8> = (0..3 * width * height).map(|at| noise(at / 3 / 16)).collect();
    let (left, top) = ((width - side) * (number * 37 % 100) / 100, (height - side) * (number * 61 % 100) / 100);
    for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y, x))) {
        // The mean of the pixels that this one covers.
        let span = |at: usize| at * from / side..((at + 1) * from / side).max(at * from / side + 1);
        let mut sum = [0_usize; 3];
        let (rows, columns) = (span(y), span(x));
        let count = rows.len() * columns.len();
        for (v, u) in rows.flat_map(|v| columns.clone().map(move |u| (v, u))) {
            (0..3).for_each(|channel| sum[channel] += usize::from(pixels[3 * (v * from + u) + channel]));
        }
        let at = 3 * ((top + y) * width + left + x);
        rgb[at..at + 3].copy_from_slice(&sum.map(|sum| (sum / count) as u8));
    }
    let upright = Frame::rgb8(width as u32, height as u32, rgb).unwrap();
    let lying = upright.with_rotation(rotation.inverse());
    let lying = Frame::rgb8(lying.width(), lying.height(), lying.to_rgb8().into_owned()).unwrap();
    lying.with_rotation(rotation)
}

#[test]
fn small_faces_in_large_frames_are_found_from_the_stated_size_on() {
    let extractor = extractor();
    for (number, (size, face)) in [
        ([640, 480], 36.0),
        ([1280, 720], 40.0),
        ([1920, 1080], 60.0),
        ([1920, 1080], 100.0),
        ([3840, 2160], 110.0),
        ([3840, 2160], 250.0),
        ([6000, 4000], 250.0),
        ([720, 1280], 50.0),
    ]
    .into_iter()
    .enumerate()
    {
        let frame = scene(size, face, number, Rotation::None);
        let faces = extractor.detector().detect(&frame).unwrap();
        assert_eq!(faces.len(), 1, "{size:?}, a face of {face} pixels");
        assert!((faces[0].longer_side() / face - 1.0).abs() < 0.3, "{size:?}: {} for {face}", faces[0].longer_side());
        assert!(faces[0].is_plausible());
    }
}

#[test]
fn faces_under_the_smallest_that_counts_are_not_given() {
    let frame = scene([640, 480], 100.0, 3, Rotation::None);
    for (smallest, expected) in [
        (SmallestFace::Pixels(60.0), 1),
        (SmallestFace::Pixels(140.0), 0),
        (SmallestFace::Share(0.15), 1),
        (SmallestFace::Share(0.3), 0),
    ] {
        let models = Models::builtin().unwrap();
        let detector = models.detector(models.default_detector().unwrap()).unwrap().with_smallest_face(smallest);
        assert_eq!(detector.detect(&frame).unwrap().len(), expected, "{smallest:?}");
    }
}

#[test]
fn a_turned_camera_gives_the_template_of_the_upright_picture() {
    let extractor = extractor();
    let upright = extractor.extract(&scene([800, 600], 180.0, 1, Rotation::None)).unwrap();
    for rotation in Rotation::ALL {
        let frame = scene([800, 600], 180.0, 1, rotation);
        let said = extractor.extract(&frame).unwrap();
        let found = extractor.clone().with_orientation(Orientation::Auto);
        let found = found.extract(&frame.with_rotation(Rotation::None)).unwrap();
        for extraction in [&said, &found] {
            assert_eq!(extraction.rotation, rotation);
            assert!(extraction.template.score(&upright.template).unwrap() > 0.999, "{rotation:?}");
            assert!((extraction.outside - upright.outside).abs() < 1e-3);
            for (ours, theirs) in extraction.face.landmarks.iter().zip(upright.face.landmarks) {
                assert!(ours.distance(theirs) < 1.0, "{rotation:?}: {ours:?}, {theirs:?}");
            }
            for (ours, theirs) in extraction.quality.measures().iter().zip(upright.quality.measures()) {
                assert!(ours.value.abs_diff(theirs.value) <= 2, "{rotation:?}: {ours:?}, {theirs:?}");
            }
        }
    }
}

#[test]
fn every_face_of_a_frame_has_its_template_the_largest_first() {
    let extractor = extractor();
    let frame = pair(2);
    let all = extractor.extract_all(&frame, 8).unwrap();
    assert_eq!(all.len(), 2);
    assert!(all[0].face.bounding_box.area() > all[1].face.bounding_box.area());
    assert_eq!(all[0].template, extractor.extract(&frame).unwrap().template);
    assert!(all[0].template.score(&all[1].template).unwrap() < 0.5);
    assert!(all[0].second.unwrap() < 1.0 && all[1].second.unwrap() > 1.0);
    assert_eq!(extractor.extract_all(&frame, 1).unwrap().len(), 1);
    let nobody = Frame::rgb8(320, 240, vec![0; 3 * 320 * 240]).unwrap();
    assert!(extractor.extract_all(&nobody, 8).unwrap().is_empty());
}
