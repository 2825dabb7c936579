//! The whole way on real photographs, where research models and datasets are available.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use clearlane_embed::{DecodeLimits, Extractor, Frame, Models, Point, Selection};

/// Folders of the research models and datasets; says on one line why the test was skipped where there are none.
fn research_data(test: &str) -> Option<(Models, PathBuf)> {
    let folders = std::env::var_os("CLEARLANE_MODELS").zip(std::env::var_os("CLEARLANE_DATASETS"));
    let Some((folder, datasets)) = folders else {
        eprintln!("{test}: skipped, CLEARLANE_MODELS and CLEARLANE_DATASETS are not set");
        return None;
    };
    let mut models = Models::default();
    models.add_folder(folder).unwrap();
    Some((models, datasets.into()))
}

fn extractor(models: &Models, detector: &str) -> Extractor {
    let detector = models.detector(detector).unwrap();
    Extractor::new(detector, models.embedder("mobilefacenet").unwrap()).with_selection(Selection::Central)
}

fn photograph(datasets: &std::path::Path, person: &str, number: u32) -> Frame<'static> {
    let path = datasets.join(format!("lfw/{person}/{person}_{number:04}.jpg"));
    Frame::open(path, &DecodeLimits::default()).unwrap()
}

#[test]
fn photographs_of_one_person_match_and_those_of_two_do_not() {
    let Some((models, datasets)) = research_data("photographs_of_one_person_match") else { return };
    // The threshold of FMR 1e-4 that the manifest gives for this model.
    let threshold = 0.415;
    for detector in ["scrfd-500m-320", "scrfd-2.5g-320", "yunet-320"] {
        let extractor = extractor(&models, detector);
        let template = |person, number| extractor.extract(&photograph(&datasets, person, number)).unwrap().template;
        let people = ["Abdullah_Gul", "Adrien_Brody", "Ai_Sugiyama"];
        for (i, person) in people.iter().enumerate() {
            let probe = template(person, 2);
            for (j, other) in people.iter().enumerate() {
                let score = probe.score(&template(other, 1)).unwrap();
                assert_eq!(score >= threshold, i == j, "{detector}: {person} and {other}: {score}");
            }
        }
    }
}

#[test]
fn detectors_agree_about_the_landmarks() {
    let Some((models, datasets)) = research_data("detectors_agree_about_the_landmarks") else { return };
    let (scrfd, yunet) = (extractor(&models, "scrfd-500m-320"), extractor(&models, "yunet-320"));
    for person in ["Abdullah_Gul", "Adrien_Brody", "Ai_Sugiyama", "Akbar_Hashemi_Rafsanjani"] {
        let frame = photograph(&datasets, person, 1);
        let (ours, theirs) = (scrfd.extract(&frame).unwrap().face, yunet.extract(&frame).unwrap().face);
        assert!(ours.bounding_box.contains(Point::new(125.0, 125.0)));
        for (a, b) in ours.landmarks.iter().zip(theirs.landmarks) {
            assert!(a.distance(b) < 0.2 * ours.eye_distance(), "{person}");
        }
    }
}

#[test]
fn the_published_pad_samples_are_told_apart() {
    let Some((models, datasets)) = research_data("the_published_pad_samples_are_told_apart") else { return };
    let pad = models.pad(["minifasnet-v2-2.7", "minifasnet-v1se-4.0"]).unwrap();
    let extractor = extractor(&models, "scrfd-500m-640").with_pad(pad).with_selection(Selection::Largest);
    let score = |name: &str| {
        let path = datasets.join(format!("pad-samples/image_{name}.jpg"));
        extractor.extract(&Frame::open(path, &DecodeLimits::default()).unwrap()).unwrap().pad.unwrap()
    };
    // Published for these pictures and models: live 1.000, attacks 0.169 and 0.006.
    assert!(score("T1") > 0.95, "{}", score("T1"));
    assert!(score("F1") < 0.4, "{}", score("F1"));
    assert!(score("F2") < 0.1, "{}", score("F2"));
}
