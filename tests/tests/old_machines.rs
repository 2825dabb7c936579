//! The same binary on a processor without AVX, or anything newer than 2008: an emulated Nehalem.
#![cfg(all(target_os = "linux", target_arch = "x86_64", feature = "builtin"))]
#![allow(clippy::unwrap_used)]

mod common;

use std::process::Command;

use common::{clearlane, fictional, json};
use serde_json::Value;

#[test]
fn a_processor_without_avx_sees_the_same_face_and_searches() {
    if Command::new("qemu-x86_64").arg("--version").output().is_err() {
        println!("note: not tried on an emulated Nehalem: qemu-x86_64 is not installed");
        return;
    }
    let old = |words: &[&str]| {
        let mut command = assert_cmd::Command::new("qemu-x86_64");
        command.args(["-cpu", "Nehalem", env!("CARGO_BIN_EXE_clearlane-under-test")]).args(words);
        for setting in common::SETTINGS {
            command.env_remove(setting);
        }
        command
    };
    let cpu = json(&mut old(&["bench", "--cpu"]));
    assert!(!cpu.to_string().contains("avx"), "{cpu}");

    // Emulated, a network takes a hundred times as long: the smallest input of the detector that finds the face will do.
    let face = fictional("enrolled/f0000/enrol.jpg");
    let words = ["inspect", face.to_str().unwrap(), "--orientation", "given", "--detector-size", "128"];
    let (here, there) = (json(clearlane().args(words)), json(&mut old(&words)));
    assert_eq!((here["faces"].as_array().unwrap().len(), there["faces"].as_array().unwrap().len()), (1, 1));
    let measures = |answer: &Value| answer["faces"][0]["quality"].as_object().unwrap().clone();
    for (name, measure) in measures(&here) {
        let other = &measures(&there)[&name];
        assert_eq!(measure.is_null(), other.is_null(), "{name}");
        if let (Some(value), Some(other)) = (measure["value"].as_f64(), other["value"].as_f64()) {
            // Kernels of other widths sum in another order.
            assert!((value - other).abs() <= 2.0, "{name}: {value} {other}");
        }
    }

    let words = [
        "bench",
        "search",
        "--sizes",
        "1000",
        "--dimension",
        "64",
        "--probes",
        "4",
        "--modes",
        "exhaustive,certified,sketch",
    ];
    let rows = json(&mut old(&words));
    assert!(rows["rows"].as_array().is_some_and(|rows| rows.len() >= 3), "{rows}");
}
