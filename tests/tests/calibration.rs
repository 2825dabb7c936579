//! Own captures give thresholds for a manifest: counted where the comparisons suffice, extrapolated and said so beyond.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};

use common::{clearlane, json};
use predicates::str::contains;

/// The first people of a part of the fictional set.
fn people(part: &str, many: usize) -> Vec<PathBuf> {
    let part = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/fictional").join(part);
    let mut people: Vec<_> = std::fs::read_dir(part).unwrap().map(|entry| entry.unwrap().path()).collect();
    people.sort();
    people.truncate(many);
    people
}

/// A folder with copies of some people's captures, and how many each of them has.
fn captures(folder: &Path, people: &[PathBuf]) -> Vec<usize> {
    let copy = |person: &PathBuf| {
        let to = folder.join(person.file_name().unwrap());
        std::fs::create_dir_all(&to).unwrap();
        let pictures: Vec<_> = std::fs::read_dir(person).unwrap().map(|entry| entry.unwrap()).collect();
        for picture in &pictures {
            std::fs::copy(picture.path(), to.join(picture.file_name())).unwrap();
        }
        pictures.len()
    };
    people.iter().map(copy).collect()
}

#[test]
fn own_captures_give_thresholds_for_a_manifest() {
    let (enrolled, unknown) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut counts = captures(enrolled.path(), &people("enrolled", 5));
    counts.extend(captures(unknown.path(), &people("unknown", 3)));
    let eval = || {
        let mut command = clearlane();
        command.args(["eval", "folder"]).args([enrolled.path(), unknown.path()]);
        command
    };

    let report = json(&mut eval());
    assert_eq!(report["models"]["failed"], serde_json::json!([]), "every picture of the set shows a face");
    let all: usize = counts.iter().sum();
    let mated: usize = counts.iter().map(|count| count * (count - 1) / 2).sum();
    let figures = &report["figures"];
    assert_eq!(figures["mated"], mated);
    assert_eq!(figures["non_mated"], all * (all - 1) / 2 - mated);
    assert!(figures["auc"].as_f64().unwrap() > 0.9, "{figures}");
    let points = figures["calibration"].as_array().unwrap();
    assert!(points.windows(2).all(|pair| pair[0]["threshold"].as_f64() <= pair[1]["threshold"].as_f64()), "{figures}");

    let text = String::from_utf8(eval().output().unwrap().stdout).unwrap();
    let entry = &text[text.find("thresholds = [").unwrap()..];
    let entry: toml::Table = entry.parse().unwrap();
    let thresholds = entry["thresholds"].as_array().unwrap();
    assert!(
        thresholds.windows(2).all(|pair| pair[0]["threshold"].as_float() < pair[1]["threshold"].as_float()),
        "{text}"
    );
    for line in thresholds {
        let point = points.iter().find(|point| point["target_fmr"].as_f64() == line["fmr"].as_float()).unwrap();
        assert!(line["threshold"].as_float() >= point["threshold"].as_f64().map(|exact| exact - 1e-6), "{text}");
        let extrapolated = point["method"]["method"] == "tail_fit";
        assert_eq!(line["measured_on"].as_str().unwrap().starts_with("extrapolated"), extrapolated);
    }
}

#[test]
fn captures_of_one_person_or_one_capture_each_calibrate_nothing() {
    for (many, each) in [(1, usize::MAX), (3, 1)] {
        let folder = tempfile::tempdir().unwrap();
        captures(folder.path(), &people("enrolled", many));
        for person in std::fs::read_dir(folder.path()).unwrap() {
            for picture in std::fs::read_dir(person.unwrap().path()).unwrap().skip(each) {
                std::fs::remove_file(picture.unwrap().path()).unwrap();
            }
        }
        clearlane()
            .args(["eval", "folder"])
            .arg(folder.path())
            .assert()
            .code(3)
            .stdout("")
            .stderr(contains("nothing to measure"));
    }
}
