//! `models quantise`: a model on floats becomes one on bytes, a model of its own that finds or recognises as well.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};

use common::{clearlane, file, json};
use predicates::str::contains;

const INPUT: i32 = 3;
const MODEL: i32 = 4;

/// A folder of the fictional faces.
fn faces(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/fictional").join(name)
}

fn quantise(model: &str, faces: &Path, out: &Path, count: &str) -> assert_cmd::Command {
    let mut command = clearlane();
    command.args(["models", "quantise", model, "--count", count]);
    command.arg("--faces").arg(faces).arg("--out").arg(out);
    command
}

/// The comparison score of two pictures under the only embedder of a folder of models.
fn score(models: Option<&Path>, embedder: &str, pictures: [&Path; 2]) -> f64 {
    let mut command = clearlane();
    command.args(["verify", "--embedder", embedder, "--threshold", "0.5"]).args(pictures);
    command.args(models.map(|folder| format!("--models={}", folder.display())));
    json(&mut command)["score"].as_f64().unwrap()
}

#[test]
fn a_quantised_embedder_scores_as_the_one_it_was_made_from() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("embedder-int8.onnx");
    let printed = quantise("clearlane-embedder", &faces("enrolled"), &out, "24").output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    file(folder.path(), "manifest.toml", &printed.stdout);
    clearlane().args(["models", "verify", "clearlane-embedder-int8", "--models"]).arg(folder.path()).assert().success();

    let [same, other] = ["enrolled/f0000/plain-2.jpg", "enrolled/f0001/plain-1.jpg"].map(faces);
    for picture in [same, other] {
        let pair = [&*faces("enrolled/f0000/plain-1.jpg"), &*picture];
        let float = score(None, "clearlane-embedder", pair);
        let bytes = score(Some(folder.path()), "clearlane-embedder-int8", pair);
        assert!((float - bytes).abs() < 0.05, "{}: {float} and {bytes}", picture.display());
    }
}

/// The landmarks of the only face that a detector finds, ten values.
fn landmarks(models: Option<&Path>, detector: &str, picture: &Path) -> Vec<f64> {
    let mut command = clearlane();
    command.args(["inspect", "--detector", detector]).arg(picture);
    command.args(models.map(|folder| format!("--models={}", folder.display())));
    let seen = json(&mut command);
    let faces = seen["faces"].as_array().unwrap();
    assert_eq!(faces.len(), 1, "{}", picture.display());
    let points = faces[0]["landmarks"].as_array().unwrap();
    points.iter().flat_map(|point| ["x", "y"].map(|axis| point[axis].as_f64().unwrap())).collect()
}

#[test]
fn a_quantised_detector_finds_the_faces_of_the_one_it_was_made_from() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("detector-int8.onnx");
    let printed = quantise("clearlane-detector", &faces("enrolled"), &out, "24").output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    file(folder.path(), "manifest.toml", &printed.stdout);

    let wide = folder.path().join("wide.png");
    let face = image::open(faces("enrolled/f0000/plain-2.jpg")).unwrap().into_rgb8();
    let mut picture = image::RgbImage::from_pixel(2 * face.width(), face.height(), image::Rgb([128; 3]));
    image::imageops::replace(&mut picture, &face, i64::from(face.width() / 2), 0);
    picture.save(&wide).unwrap();
    let [first, second] = ["enrolled/f0000/plain-1.jpg", "enrolled/f0001/plain-2.jpg"].map(faces);
    for picture in [first, second, wide] {
        let float = landmarks(None, "clearlane-detector", &picture);
        let bytes = landmarks(Some(folder.path()), "clearlane-detector-int8", &picture);
        let eyes = (float[2] - float[0]).hypot(float[3] - float[1]);
        for (float, bytes) in float.iter().zip(bytes) {
            assert!((float - bytes).abs() < 0.05 * eyes, "{}: {float} and {bytes}", picture.display());
        }
    }
}

#[test]
fn what_cannot_be_quantised_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (out, empty) = (folder.path().join("out.onnx"), folder.path().join("empty"));
    std::fs::create_dir(&empty).unwrap();
    quantise("clearlane-embedder", &empty, &out, "8").assert().code(INPUT).stdout("").stderr(contains("no picture"));
    quantise("clearlane-embedder", &folder.path().join("missing"), &out, "8")
        .assert()
        .code(INPUT)
        .stderr(contains("missing"));
    image::RgbImage::from_pixel(160, 120, image::Rgb([128; 3])).save(empty.join("grey.png")).unwrap();
    quantise("clearlane-embedder", &empty, &out, "8").assert().code(INPUT).stderr(contains("no face among 1 pictures"));

    let int8 = folder.path().join("embedder-int8.onnx");
    let printed = quantise("clearlane-embedder", &faces("enrolled"), &int8, "2").output().unwrap();
    file(folder.path(), "manifest.toml", &printed.stdout);
    let mut again = clearlane();
    again.args(["models", "quantise", "clearlane-embedder-int8", "--count", "2", "--models"]).arg(folder.path());
    again.arg("--faces").arg(faces("enrolled")).arg("--out").arg(&out);
    again.assert().code(MODEL).stderr(contains("quantised already"));
    assert!(!out.exists());
}
