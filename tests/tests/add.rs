//! `models add`: an ONNX file as people have it becomes a model that recognises.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};

use common::{clearlane, file, json};
use predicates::str::contains;

const INPUT: i32 = 3;
const MODEL: i32 = 4;

fn of_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A built-in model's file as nobody knows it: with a field more, which readers skip.
fn unknown_model(folder: &Path, name: &str, model: &str) -> PathBuf {
    let mut onnx = std::fs::read(of_repository(model)).unwrap();
    onnx.extend([0xFA, 0x3F, 0]);
    file(folder, name, &onnx)
}

fn add(model: &Path, more: &[&str]) -> assert_cmd::Command {
    let mut command = clearlane();
    command.args(["models", "add"]).arg(model).args(more);
    command
}

#[test]
fn an_embedder_is_fed_as_it_was_trained_and_recognises_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let model = unknown_model(folder.path(), "found.onnx", "models/embedder.onnx");
    let told = json(&mut add(&model, &["--licence", "ours"]));
    assert_eq!(told["model"]["task"]["embedding"]["dimension"], 128);
    assert_eq!(told["model"]["licence"], "ours");
    let own = serde_json::json!([123.675, 116.28, 103.53]);
    let rgb = |input: &serde_json::Value| input["colour"] == "rgb";
    let alike = told["alike"].as_array().unwrap();
    assert!(rgb(&told["model"]["input"]) && alike.iter().all(rgb), "{told}");
    let ways: Vec<_> = alike.iter().chain([&told["model"]["input"]]).collect();
    let near = |mean: &serde_json::Value| {
        let pairs = mean.as_array().unwrap().iter().zip(own.as_array().unwrap());
        pairs.into_iter().all(|(a, b)| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-3)
    };
    assert!(ways.iter().any(|way| near(&way["mean"])), "{told}");

    let [one, same, other] = ["f0000/plain-1.jpg", "f0000/plain-2.jpg", "f0001/plain-1.jpg"]
        .map(|picture| of_repository("datasets/fictional/enrolled").join(picture));
    for (pair, answer) in [([&one, &same], 0), ([&one, &other], 1)] {
        let mut verify = clearlane();
        verify.args(["verify", "--embedder", "found", "--threshold", "0.5", "--models"]).arg(folder.path()).args(pair);
        verify.assert().code(answer);
    }
}

#[test]
fn a_detector_is_known_by_its_outputs_and_its_colours_by_what_it_finds() {
    let folder = tempfile::tempdir().unwrap();
    let told = json(&mut add(&unknown_model(folder.path(), "d.onnx", "models/detector.onnx"), &["--name", "mine"]));
    assert_eq!(told["model"]["name"], "mine");
    assert_eq!(told["model"]["task"]["detection"]["family"], "yunet");
    assert_eq!(told["model"]["input"]["mean"], serde_json::json!([0.0, 0.0, 0.0]));
    assert_eq!(told["model"]["input"]["std"], serde_json::json!([1.0, 1.0, 1.0]));
    clearlane().args(["models", "verify", "mine", "--models"]).arg(folder.path()).assert().success();
}

#[test]
fn a_public_model_is_known_by_its_digest_whatever_it_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let onnx = std::fs::read(of_repository("models/embedder.onnx")).unwrap();
    let told = json(&mut add(&file(folder.path(), "renamed.onnx", &onnx), &[]));
    assert!(!told["model"]["task"]["embedding"]["calibration"].as_array().unwrap().is_empty());
    assert_eq!((&told["model"]["name"], &told["model"]["file"]), (&"renamed".into(), &"renamed.onnx".into()));
    clearlane().args(["models", "verify", "renamed", "--models"]).arg(folder.path()).assert().success();
}

#[test]
fn a_manifest_keeps_what_it_says_and_takes_no_name_twice() {
    let folder = tempfile::tempdir().unwrap();
    let onnx = std::fs::read(of_repository("models/embedder.onnx")).unwrap();
    let [one, two] = ["one.onnx", "two.onnx"].map(|name| file(folder.path(), name, &onnx));
    let manifest = folder.path().join("manifest.toml");
    add(&one, &["--dry-run"]).assert().success().stdout(contains("name = \"one\""));
    assert!(!manifest.exists());
    file(folder.path(), "manifest.toml", b"# mine\n");
    add(&one, &[]).assert().success();
    let text = std::fs::read_to_string(&manifest).unwrap();
    assert!(text.starts_with("# mine\n"), "{text}");
    add(&two, &["--name", "one"]).assert().code(INPUT).stderr(contains("two models are named `one`"));
    assert_eq!(std::fs::read_to_string(&manifest).unwrap(), text);
    add(&two, &[]).assert().success();
    clearlane().args(["models", "verify", "one", "two", "--models"]).arg(folder.path()).assert().success();
}

#[cfg(unix)]
#[test]
fn whoever_could_read_a_manifest_still_can_and_a_link_stays_one() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let onnx = std::fs::read(of_repository("models/embedder.onnx")).unwrap();
    let [one, two] = ["one.onnx", "two.onnx"].map(|name| file(folder.path(), name, &onnx));
    let real = file(elsewhere.path(), "real.toml", b"# mine\n");
    std::fs::set_permissions(&real, PermissionsExt::from_mode(0o644)).unwrap();
    let manifest = folder.path().join("manifest.toml");
    symlink(&real, &manifest).unwrap();
    for model in [one, two] {
        add(&model, &[]).assert().success();
        assert!(manifest.is_symlink());
        assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o644);
    }
}

#[test]
fn a_model_that_may_be_anything_becomes_a_pad_model_only_where_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let onnx = std::fs::read(of_repository("crates/clearlane/tests/data/pad/bright.onnx")).unwrap();
    let model = file(folder.path(), "bright.onnx", &onnx);
    add(&model, &[]).assert().code(MODEL).stderr(contains("--crop"));
    assert!(!folder.path().join("manifest.toml").exists());
    let told = json(&mut add(&model, &["--crop", "2.7"]));
    assert_eq!(told["model"]["task"]["pad"]["live_class"], 1);
    let embedder = unknown_model(folder.path(), "e.onnx", "models/embedder.onnx");
    add(&embedder, &["--crop", "2.7"]).assert().code(2).stderr(contains("--crop"));
}

#[test]
fn what_is_no_model_or_of_no_known_family_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    add(&file(folder.path(), "letter.onnx", b"Dear Sir or Madam,"), &[])
        .assert()
        .code(MODEL)
        .stderr(contains("letter.onnx"));
    add(&file(folder.path(), "empty.onnx", b""), &[]).assert().code(MODEL).stderr(contains("empty.onnx"));
    add(&folder.path().join("missing.onnx"), &[]).assert().code(INPUT).stderr(contains("missing.onnx"));
    // What covers a face is told of the built-in model's task, not of its outputs: four numbers are no template.
    let covered = unknown_model(folder.path(), "covered.onnx", "models/occlusion.onnx");
    add(&covered, &[]).assert().code(MODEL).stderr(contains("3 x 112 x 112"));
    assert!(!folder.path().join("manifest.toml").exists());
}
