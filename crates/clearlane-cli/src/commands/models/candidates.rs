//! What a model file may be: its task, its family and how pixels become its input, each tried on faces.

use std::collections::HashMap;

use clearlane_embed::{
    AlignedFace, ColourOrder, DecodeLimits, Detector, Embedder, Extractor, Face, Frame, InputSpec, ModelEntry, Pad,
    Selection, Task, digest,
};
use clearlane_infer::{Network, declared_input};

use crate::commands::demo::faces;
use crate::failure::{Exit, Failure, Result};
use crate::models::ModelArgs;

/// So many people of the fictional set, two pictures of each: enough to tell colours apart, in seconds.
const PEOPLE: usize = 30;
/// So many of their pictures for a detector.
const PICTURES: usize = 12;

/// The side of what embedders see, which alignment fixes.
const ALIGNED: usize = 112;
/// The side of what PAD models of the known family see, where the file leaves it open.
const PAD_SIDE: usize = 80;
/// The shortest template.
const SHORTEST: usize = 32;
/// The sides that detectors are tried with, where the file leaves them open.
const DETECTOR_SIDES: [usize; 2] = [320, 640];

/// How the values 0 to 255 become inputs, as public face models are trained: mean, standard deviation, in the order red, green,
/// blue.
const SCALES: [([f32; 3], [f32; 3]); 6] = [
    ([127.5; 3], [128.0; 3]),
    ([127.5; 3], [127.5; 3]),
    ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]),
    ([0.0; 3], [1.0; 3]),
    ([0.0; 3], [255.0; 3]),
    ([123.0, 117.0, 104.0], [1.0; 3]),
];

/// Scores that differ by less of them than this do not tell two ways of feeding apart.
const ALIKE: f64 = 0.01;

/// An embedder that holds fictional people less far apart recognises nobody.
const LEAST_APART: f64 = 1.0;

/// What stands for a licence or a source that nobody has said.
pub(super) const NOT_STATED: &str = "not stated";

/// What was found out about a model file.
pub(super) struct Found {
    pub(super) entry: ModelEntry,
    /// How well it did on the fictional faces, in words.
    pub(super) tried: String,
    /// Other ways to feed it that did as well.
    pub(super) alike: Vec<InputSpec>,
    /// What nobody but the model's maker knows.
    pub(super) unknown: Vec<&'static str>,
}

/// A face that is tried: its picture, what the built-in detector found, and whose it is.
struct Sample {
    frame: Frame<'static>,
    face: Face,
    aligned: AlignedFace,
    person: String,
}

/// Finds out what a model is.
pub(super) fn find(name: &str, file: &str, onnx: &[u8], crop: Option<f32>, models: &ModelArgs) -> Result<Found> {
    let declared = declared_input(onnx).map_err(|error| Failure::of(Exit::Model, &error))?;
    let channels_last = declared.len() == 4 && declared[3] == Some(3) && declared[1] != Some(3);
    if channels_last {
        let problem = "the model takes its channels last (N x H x W x C)";
        return Err(Failure::new(Exit::Model, problem).with_help("export it with channels first, N x C x H x W"));
    }
    let side = |open: &[usize]| match declared[..] {
        [_, _, Some(height), Some(width)] => vec![[height, width]],
        _ => open.iter().map(|&side| [side; 2]).collect(),
    };
    let entry = |task: Task, [height, width]: [usize; 2]| ModelEntry {
        name: name.to_owned(),
        file: file.to_owned(),
        sha256: digest(onnx),
        task,
        input: InputSpec { width, height, colour: ColourOrder::Rgb, mean: SCALES[0].0, std: SCALES[0].1 },
        licence: NOT_STATED.to_owned(),
        source: NOT_STATED.to_owned(),
    };
    if side(&[ALIGNED]) == [[ALIGNED; 2]]
        && let Some(dimension) = length(&entry(embedding(1), [ALIGNED; 2]), onnx).filter(|length| *length >= SHORTEST)
    {
        return embedder(&entry(embedding(dimension), [ALIGNED; 2]), onnx, &samples(models)?);
    }
    for side in side(&DETECTOR_SIDES) {
        for (family, score_threshold, overlap_threshold) in
            [("scrfd", 0.5, 0.4), ("yunet", 0.6, 0.3), ("retinaface", 0.6, 0.4)]
        {
            let task = Task::Detection { family: family.to_owned(), score_threshold, overlap_threshold };
            let entry = entry(task, side);
            if Detector::new(&entry, onnx).is_ok() {
                let samples = samples(models)?;
                return detector(&entry, onnx, &samples[..samples.len().min(PICTURES)]);
            }
        }
    }
    for side in side(&[PAD_SIDE]) {
        let task = Task::Pad { family: "minivision".to_owned(), crop: crop.unwrap_or(2.7), live_class: 1 };
        let mut entry = entry(task, side);
        (entry.input.mean, entry.input.std, entry.input.colour) = ([0.0; 3], [1.0; 3], ColourOrder::Bgr);
        if length(&entry, onnx).is_some_and(|classes| (2..=3).contains(&classes)) && Pad::new([(&entry, onnx)]).is_ok()
        {
            if crop.is_none() {
                let problem = "it may be a PAD model, or any other with so few outputs";
                let help = "where it is one, say with --crop how much of the frame around the face it sees";
                return Err(Failure::new(Exit::Model, problem).with_help(help));
            }
            let unknown =
                vec!["which output is a live face, and how its input is scaled: the known models' is written"];
            return Ok(Found { entry, tried: "it runs".to_owned(), alike: Vec::new(), unknown });
        }
    }
    let extent = |extent: &Option<usize>| extent.map_or_else(|| "?".to_owned(), |extent| extent.to_string());
    let problem = format!(
        "with an input of {} it is of no family that is known: an embedder of 3 x 112 x 112 faces, SCRFD with landmarks, YuNet, \
         RetinaFace, a PAD model of Minivision's",
        declared.iter().map(extent).collect::<Vec<_>>().join(" x ")
    );
    Err(Failure::new(Exit::Model, problem).with_help("a detector without landmarks cannot align faces"))
}

fn embedding(dimension: usize) -> Task {
    Task::Embedding { dimension, calibrations: Vec::new() }
}

/// The length of a model's only output.
fn length(entry: &ModelEntry, onnx: &[u8]) -> Option<usize> {
    let network = Network::from_onnx(onnx, [3, entry.input.height, entry.input.width]).ok()?;
    match network.outputs() {
        [output] => Some(output.shape().iter().product()),
        _ => None,
    }
}

/// The ways in which a model may be fed.
fn inputs(input: &InputSpec) -> impl Iterator<Item = InputSpec> {
    [ColourOrder::Rgb, ColourOrder::Bgr].into_iter().flat_map(move |colour| {
        SCALES.map(|(mut mean, mut std)| {
            if colour == ColourOrder::Bgr {
                mean.reverse();
                std.reverse();
            }
            InputSpec { width: input.width, height: input.height, colour, mean, std }
        })
    })
}

/// The way to feed that does best, and those that do as well.
fn best(entry: &ModelEntry, score: impl Fn(&ModelEntry) -> Option<f64>) -> Option<(ModelEntry, f64, Vec<InputSpec>)> {
    let tried = inputs(&entry.input).filter_map(|input| {
        let entry = ModelEntry { input, ..entry.clone() };
        Some((score(&entry).filter(|score| score.is_finite())?, entry))
    });
    let tried: Vec<(f64, ModelEntry)> = tried.collect();
    let (most, chosen) = tried.iter().max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    let near = |(score, entry): &&(f64, ModelEntry)| *score >= most * (1.0 - ALIKE) && entry.input != chosen.input;
    let alike = tried.iter().filter(near).map(|(_, entry)| entry.input.clone()).collect();
    Some((chosen.clone(), *most, alike))
}

fn embedder(entry: &ModelEntry, onnx: &[u8], samples: &[Sample]) -> Result<Found> {
    let faces: Vec<AlignedFace> = samples.iter().map(|sample| sample.aligned.clone()).collect();
    let apart = |entry: &ModelEntry| {
        let templates = Embedder::new(entry, onnx).ok()?.embed_batch(&faces).ok()?;
        let (mut mated, mut other) = (Vec::new(), Vec::new());
        for (index, a) in templates.iter().enumerate() {
            for (later, b) in templates.iter().enumerate().skip(index + 1) {
                let same = samples[index].person == samples[later].person;
                if same { &mut mated } else { &mut other }.push(f64::from(a.score(b).ok()?));
            }
        }
        Some(decidability(&mated, &other))
    };
    let (entry, most, alike) = best(entry, apart).filter(|(_, most, _)| *most >= LEAST_APART).ok_or_else(useless)?;
    Ok(Found {
        entry,
        tried: format!("holds {} fictional faces apart by d' = {most:.2} (3 and more is good)", samples.len()),
        alike,
        unknown: vec!["its thresholds: measure them with `calibrate folder` on people like your travellers"],
    })
}

/// How far two kinds of scores lie apart, in their deviations (d', Daugman 2000).
fn decidability(mated: &[f64], other: &[f64]) -> f64 {
    let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
    let variance = |scores: &[f64], mean: f64| {
        scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / scores.len() as f64
    };
    let [a, b] = [mean(mated), mean(other)];
    (a - b) / (0.5 * (variance(mated, a) + variance(other, b))).sqrt()
}

fn detector(entry: &ModelEntry, onnx: &[u8], samples: &[Sample]) -> Result<Found> {
    // Faces found where the built-in detector finds them, by their scores.
    let agreement = |entry: &ModelEntry| {
        let detector = Detector::new(entry, onnx).ok()?;
        let scores = samples.iter().map(|sample| {
            let found = detector.detect(&sample.frame).ok()?;
            let near = |face: &&Face| face.is_plausible() && off(face, &sample.face) < 0.25;
            found.iter().find(near).map(|face| f64::from(face.score))
        });
        Some(scores.flatten().sum::<f64>() / samples.len() as f64)
    };
    let (entry, most, alike) = best(entry, agreement).filter(|(_, most, _)| *most > 0.0).ok_or_else(useless)?;
    Ok(Found {
        entry,
        tried: format!(
            "finds the faces of {} fictional pictures, mean score {most:.2} where 0 is a miss",
            samples.len()
        ),
        alike,
        unknown: vec!["its thresholds: a common score and overlap are written"],
    })
}

/// How far landmarks lie from others at most, in eye distances.
fn off(face: &Face, other: &Face) -> f32 {
    let far = face.landmarks.iter().zip(&other.landmarks).map(|(a, b)| (a.x - b.x).hypot(a.y - b.y));
    far.fold(0.0, f32::max) / other.eye_distance().max(1.0)
}

fn useless() -> Failure {
    Failure::new(Exit::Model, "it runs, but in no known way of feeding it does it know the fictional faces")
}

fn samples(models: &ModelArgs) -> Result<Vec<Sample>> {
    let available = models.available()?;
    let extractor = Extractor::new(models.load_detector()?, available.embedder(available.default_embedder()?)?)
        .with_selection(Selection::Largest);
    let mut taken: HashMap<String, usize> = HashMap::new();
    let mut samples = Vec::new();
    for capture in faces::read(None)?.into_iter().filter(|capture| capture.enrolled) {
        let people = taken.len();
        let count = match taken.get_mut(&capture.person) {
            Some(count) => count,
            None if people < PEOPLE => taken.entry(capture.person.clone()).or_default(),
            None => continue,
        };
        let Ok(frame) = Frame::decode(&capture.jpeg, &DecodeLimits::default()) else { continue };
        if *count == 2 {
            continue;
        }
        if let Ok(seen) = extractor.extract(&frame) {
            *count += 1;
            samples.push(Sample { face: seen.face, aligned: seen.aligned, person: capture.person, frame });
        }
    }
    Ok(samples)
}
