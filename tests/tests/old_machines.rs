//! The same binary on a processor without AVX, or anything newer than 2008: an emulated Nehalem.
#![cfg(all(target_os = "linux", target_arch = "x86_64", feature = "builtin"))]
#![allow(clippy::unwrap_used)]

mod common;

use std::process::Command;

use common::{clearlane, fictional, json};
use serde_json::Value;

#[test]
fn a_processor_without_avx_sees_the_same_faces_and_finds_the_same_people() {
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

    let (enrolled, live) = (fictional("enrolled/f0000/enrol.jpg"), fictional("enrolled/f0000/plain-1.jpg"));
    let words = ["verify", enrolled.to_str().unwrap(), live.to_str().unwrap()];
    let (here, there) = (json(clearlane().args(words)), json(&mut old(&words)));
    let score = |answer: &Value| answer["score"].as_f64().unwrap();
    // Kernels of other widths sum in another order.
    assert!((score(&here) - score(&there)).abs() < 1e-3, "{here} {there}");
    assert_eq!(here["match"], there["match"]);

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
