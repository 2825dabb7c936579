//! What covers a face is seen, a free face is left alone, and models that do not fit are refused.
#![allow(clippy::unwrap_used)]

mod common;

use clearlane_embed::{AlignedFace, Component, ModelError, Occlusion};
use common::{bytes, occlusion_entry};

/// The network gives the mean of each plane: with these three components, each is a plane's.
const THREE: [Component; 3] =
    [Component::MouthOcclusionPrevention, Component::EyesVisible, Component::FaceOcclusionPrevention];

fn plain(colour: [u8; 3]) -> AlignedFace {
    AlignedFace::from_rgb8(colour.repeat(112 * 112)).unwrap()
}

#[test]
fn each_output_is_the_share_of_the_component_that_the_manifest_names_for_it() {
    let mut entry = occlusion_entry("means", &THREE);
    entry.input.std = [255.0; 3];
    let occlusion = Occlusion::new(&entry, &bytes("means.onnx")).unwrap();
    let measures = occlusion.assess(&plain([0, 51, 255])).unwrap();
    for (measure, (component, share)) in measures.iter().zip(THREE.into_iter().zip([0.0, 0.2, 1.0])) {
        assert_eq!(measure.component, component);
        assert!((measure.native - share).abs() < 1e-4, "{component}: {}", measure.native);
        assert_eq!(f32::from(measure.value), 100.0 * (1.0 - share), "{component}");
    }
    assert_eq!(measures.len(), 3);
}

#[test]
fn a_model_that_does_not_fit_is_refused() {
    let load = |entry, name| Occlusion::new(&entry, &bytes(name)).unwrap_err();
    let error = load(occlusion_entry("means", &THREE[..2]), "means.onnx");
    assert!(matches!(&error, ModelError::Outputs { problem, .. } if problem.contains("2 shares, got 3")), "{error}");
    let error = load(occlusion_entry("embed_nan", &THREE), "embed_nan.onnx");
    assert!(matches!(error, ModelError::Outputs { .. }), "{error}");
    let error = load(common::embedder_entry("means"), "means.onnx");
    assert!(matches!(error, ModelError::Task { expected: "occlusion", found: "embedding", .. }), "{error}");
    assert!(matches!(load(occlusion_entry("means", &THREE), "pattern.png"), ModelError::Network { .. }));
}

#[test]
fn what_is_no_share_is_an_error_and_no_value() {
    // Undivided, the means are levels.
    let occlusion = Occlusion::new(&occlusion_entry("means", &THREE), &bytes("means.onnx")).unwrap();
    let error = occlusion.assess(&plain([0, 7, 0])).unwrap_err();
    assert!(matches!(&error, ModelError::Outputs { problem, .. } if problem.contains("got 7")), "{error}");
}

#[cfg(feature = "builtin")]
mod builtin {
    use std::path::PathBuf;

    use clearlane_embed::{
        AlignedFace, Component, DecodeLimits, Detector, Extractor, Frame, Models, Occlusion, Point, Quality,
        QuantisationSamples,
    };

    use image::RgbImage;
    use image::imageops;

    const MOUTH: Component = Component::MouthOcclusionPrevention;
    const EYES: Component = Component::EyesVisible;

    /// Those of the hard captures in which a covered face wears sunglasses; the others have a cap, or a scarf under the mouth.
    const SUNGLASSES: [&str; 11] =
        ["f0006", "f0018", "f0614", "f1655", "f1667", "f1807", "f1861", "f1926", "f1992", "u0336", "u1803"];

    struct Bench {
        detector: Detector,
        occlusion: Occlusion,
    }

    fn captures(folders: &str, name: &str) -> Vec<PathBuf> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/fictional");
        let people = std::fs::read_dir(PathBuf::from(folder).join(folders)).unwrap();
        let mut found: Vec<_> = people.map(|person| person.unwrap().path().join(name)).collect();
        found.retain(|path| path.is_file());
        found.sort();
        found
    }

    fn open(path: &PathBuf) -> Frame<'static> {
        Frame::open(path, &DecodeLimits::default()).unwrap()
    }

    impl Bench {
        fn new() -> Self {
            let models = Models::builtin().unwrap();
            let detector = models.detector(models.default_detector().unwrap()).unwrap();
            Self { detector, occlusion: models.any_occlusion().unwrap().unwrap() }
        }

        /// The covers that are named of a frame; `None` where no face is found in it.
        fn found(&self, frame: &Frame<'_>) -> Option<Vec<Component>> {
            let faces = self.detector.detect(frame).unwrap();
            let face = faces.first()?;
            let aligned = AlignedFace::cut(frame, &face.landmarks).unwrap();
            let quality = Quality::assess(frame, face, &faces).unwrap().with(self.occlusion.assess(&aligned).unwrap());
            let named = quality.doubts().into_iter().map(|doubt| doubt.measure().component);
            Some(named.filter(|component| Component::OCCLUSION.contains(component)).collect())
        }

        fn named(&self, frame: &Frame<'_>) -> Vec<Component> {
            self.found(frame).expect("a face")
        }

        fn landmarks(&self, frame: &Frame<'_>) -> [Point; 5] {
            self.detector.detect(frame).unwrap().first().expect("a face").landmarks
        }
    }

    /// The frame with what `paint` gives for a place instead of the picture. Places are in eye distances from the middle of the
    /// eyes, x to the right of the picture and y towards the mouth, which lies at about (0, 1.15).
    fn painted(frame: &Frame<'_>, eyes: [Point; 2], paint: impl Fn(f32, f32) -> Option<[u8; 3]>) -> Frame<'static> {
        let middle = Point::new(f32::midpoint(eyes[0].x, eyes[1].x), f32::midpoint(eyes[0].y, eyes[1].y));
        let distance = eyes[0].distance(eyes[1]);
        let (right, down) = ((eyes[1].x - eyes[0].x) / distance, (eyes[1].y - eyes[0].y) / distance);
        let width = frame.width();
        let mut pixels = frame.to_rgb8().into_owned();
        for (index, pixel) in pixels.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let (x, y) = ((index as u32 % width) as f32 - middle.x, (index as u32 / width) as f32 - middle.y);
            let place = ((x * right + y * down) / distance, (y * right - x * down) / distance);
            if let Some(colour) = paint(place.0, place.1) {
                *pixel = colour;
            }
        }
        // As a lens would: the captures have no edge as sharp as a drawn one.
        let drawn = RgbImage::from_raw(width, frame.height(), pixels).unwrap();
        Frame::rgb8(width, frame.height(), imageops::blur(&drawn, 1.5).into_raw()).unwrap()
    }

    #[test]
    fn faces_without_a_cover_are_left_alone() {
        let bench = Bench::new();
        for path in ["enrolled", "unknown"].into_iter().flat_map(|folder| captures(folder, "plain-1.jpg")) {
            assert_eq!(bench.named(&open(&path)), [], "{}", path.display());
        }
    }

    #[test]
    fn sunglasses_of_the_fictional_people_are_named_and_their_caps_and_scarves_are_not() {
        let bench = Bench::new();
        for folder in ["enrolled", "unknown"] {
            for path in captures(folder, "hard-covered.jpg") {
                let person = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
                let expected: &[Component] = if SUNGLASSES.contains(&person) { &[EYES] } else { &[] };
                assert_eq!(bench.named(&open(&path)), expected, "{person}");
            }
        }
    }

    #[test]
    fn masks_of_several_colours_are_named_and_masks_on_the_chin_are_not() {
        let bench = Bench::new();
        let colours = [[150, 190, 215], [245, 245, 240], [25, 25, 30], [170, 40, 50]];
        let (mut found, mut tried) = (0, 0);
        for path in captures("enrolled", "plain-1.jpg").iter().step_by(5) {
            let frame = open(path);
            let [left, right, ..] = bench.landmarks(&frame);
            let mask = |top: f32, colour: [u8; 3]| {
                painted(&frame, [left, right], |x, y| {
                    // Narrower towards the chin, a pleat here and there.
                    let inside = y > top && y < 2.05 && x.abs() < 1.05 - 0.35 * (y - 0.5).max(0.0);
                    let shade = if (y * 6.0).fract() < 0.12 { 0.85 } else { 1.0 - 0.25 * x * x };
                    inside.then(|| colour.map(|level| (f32::from(level) * shade) as u8))
                })
            };
            for colour in colours {
                // A flat drawing over half a face is no face to the detector at times, and makes no template then.
                if let Some(named) = bench.found(&mask(0.42, colour)) {
                    assert!(!named.contains(&EYES), "{}, {colour:?}: {named:?}", path.display());
                    found += usize::from(named.contains(&MOUTH));
                    tried += 1;
                }
                assert_eq!(bench.named(&mask(1.55, colour)), [], "{}, {colour:?} on the chin", path.display());
            }
        }
        assert!(tried >= 40 && found * 100 >= tried * 95, "{found} of {tried}");
    }

    #[test]
    fn dark_glasses_of_several_shapes_are_named_and_clear_ones_are_not() {
        let bench = Bench::new();
        let (mut found, mut tried) = (0, 0);
        for path in captures("enrolled", "plain-1.jpg").iter().step_by(5) {
            let frame = open(path);
            let [left, right, ..] = bench.landmarks(&frame);
            for (power, half_height) in [(2, 0.27), (2, 0.38), (6, 0.25), (6, 0.33)] {
                // 1 on the rim of a lens: of a power of two an ellipse, of a higher one nearly a rectangle.
                let rim = |x: f32, y: f32| {
                    let (x, y) = ((x.abs() - 0.5) / 0.42, (y - 0.06) / half_height);
                    x.abs().powi(power) + y.abs().powi(power)
                };
                let bridge = |x: f32, y: f32| x.abs() < 0.12 && (y + 0.02).abs() < 0.03;
                let dark =
                    painted(&frame, [left, right], |x, y| (rim(x, y) < 1.0 || bridge(x, y)).then_some([20, 20, 24]));
                let named = bench.named(&dark);
                assert!(!named.contains(&MOUTH), "{}: {named:?}", path.display());
                found += usize::from(named.contains(&EYES));
                tried += 1;
                let clear = painted(&frame, [left, right], |x, y| {
                    ((0.82..1.0).contains(&rim(x, y)) || bridge(x, y)).then_some([20, 20, 24])
                });
                assert_eq!(bench.named(&clear), [], "{}", path.display());
            }
        }
        assert!(found * 100 >= tried * 95, "{found} of {tried}");
    }

    #[test]
    fn quantised_it_says_nearly_the_same() {
        let bench = Bench::new();
        let models = Models::builtin().unwrap();
        let (entry, _) = models.get(bench.occlusion.name()).unwrap();
        let onnx = models.read(bench.occlusion.name()).unwrap();
        let mut samples = QuantisationSamples::new(entry, &onnx);
        let mut faces = Vec::new();
        for path in captures("enrolled", "hard-covered.jpg") {
            let frame = open(&path);
            faces.push(AlignedFace::cut(&frame, &bench.landmarks(&frame)).unwrap());
            samples.add_face(faces.last().unwrap()).unwrap();
        }
        let quantised = samples.quantise("occlusion-int8.onnx").unwrap();
        assert!(quantised.onnx.len() * 2 < onnx.len(), "{} bytes", quantised.onnx.len());
        let quantised = Occlusion::new(&quantised.entry, &quantised.onnx).unwrap();
        for face in &faces {
            let both = bench.occlusion.assess(face).unwrap().into_iter().zip(quantised.assess(face).unwrap());
            for (one, other) in both.filter(|(one, _)| one.component == EYES) {
                assert!((one.native - other.native).abs() < 0.2, "{} and {}", one.native, other.native);
            }
        }
    }

    #[test]
    fn without_a_model_covers_are_not_assessed() {
        let frame = open(&captures("enrolled", "plain-1.jpg")[0]);
        let models = Models::builtin().unwrap();
        let detector = models.detector(models.default_detector().unwrap()).unwrap();
        let embedder = models.embedder(models.default_embedder().unwrap()).unwrap();
        let without = Extractor::new(detector, embedder);
        let with = without.clone().with_occlusion(models.any_occlusion().unwrap().unwrap());
        let (plain, assessed) = (without.extract(&frame).unwrap(), with.extract(&frame).unwrap());
        for component in Component::ALL {
            let cover = Component::OCCLUSION.contains(&component);
            assert_eq!(without.assesses(component), !cover, "{component}");
            assert!(with.assesses(component), "{component}");
            assert_eq!(plain.quality.get(component).is_none(), cover, "{component}");
            assert!(assessed.quality.get(component).is_some(), "{component}");
        }
        assert_eq!(plain.template, assessed.template);
        assert_eq!(without.recipe(), with.recipe());
    }
}
