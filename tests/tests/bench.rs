//! The search benchmark: what it measures agrees with itself, on random vectors and on a register's templates.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{clearlane, json};
use serde_json::Value;

fn column<'a>(report: &'a Value, name: &str) -> Vec<&'a Value> {
    report["rows"].as_array().unwrap().iter().map(|row| &row[name]).collect()
}

#[test]
fn every_mode_finds_what_the_exhaustive_one_finds_and_the_plot_shows_each() {
    let folder = tempfile::tempdir().unwrap();
    let plot = folder.path().join("latency.svg");
    let report = json(
        clearlane()
            .args([
                "bench",
                "search",
                "--sizes",
                "500,1000",
                "--dimension",
                "64",
                "--probes",
                "8",
                "--threshold",
                "0.5",
            ])
            .arg("--plot")
            .arg(&plot),
    );
    assert_eq!(column(&report, "size"), [500, 500, 500, 1000, 1000, 1000]);
    assert!(column(&report, "recall").iter().all(|recall| **recall == 1.0));
    assert!(report["bandwidth"].as_f64().unwrap() > 0.0);
    let plot = std::fs::read_to_string(plot).unwrap();
    assert!(plot.starts_with("<svg") && ["exhaustive", "certified", "sketch"].iter().all(|mode| plot.contains(mode)));
}

#[test]
fn a_registers_templates_can_be_searched() {
    let folder = tempfile::tempdir().unwrap();
    let (register, key) = (folder.path().join("port.register"), folder.path().join("port.key"));
    clearlane().args(["register", "keygen"]).arg(&key).assert().success();
    let faces = folder.path().join("faces");
    let fictional = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/fictional/enrolled");
    for subject in ["f0000", "f0001", "f0003"] {
        std::fs::create_dir_all(faces.join(subject)).unwrap();
        let picture = Path::new(subject).join("enrol.jpg");
        std::fs::copy(fictional.join(&picture), faces.join(&picture)).unwrap();
    }
    clearlane()
        .args(["enrol", "--without-policy", "--register"])
        .arg(&register)
        .arg("--key-file")
        .arg(&key)
        .arg(&faces)
        .assert()
        .success();
    let report = json(clearlane().args(["bench", "search", "--register"]).arg(&register).arg("--key-file").arg(&key));
    assert_eq!(column(&report, "size"), [3, 3, 3]);
    assert!(column(&report, "recall").iter().all(|recall| **recall == 1.0));
}
