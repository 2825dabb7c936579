//! A C program compiles against the header, links, sees the same structs as Rust does, is told what it did wrong, and lets
//! a traveller pass where the policy's presentation attack detection does.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::fmt::Write as _;
use std::mem::{offset_of, size_of};
use std::path::{Path, PathBuf};
use std::process::Command;

use clearlane_capi::{Decision, EvidenceItem, Files, FramePointer};

#[test]
fn a_c_program_links_agrees_on_layout_gets_errors_and_opens_for_a_live_traveller_alone() {
    if Command::new("cc").arg("--version").output().is_err() {
        println!("skipped: no C compiler (cc) is installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let compiled = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(here.join("include"))
        .arg(here.join("tests/program.c"))
        .arg(library())
        .args(["-lpthread", "-ldl", "-lm", "-o"])
        .arg(&program)
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let (port, frame) = (common::Port::new(), common::face());
    let pixels = folder.path().join("frame.rgb");
    std::fs::write(&pixels, frame.to_rgb8()).unwrap();
    let ran = Command::new(&program)
        .arg(folder.path().join("no such file"))
        .args([&port.register, &port.keys, &port.policy, &port.pad_models, &pixels])
        .args([frame.width().to_string(), frame.height().to_string()])
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(String::from_utf8(ran.stdout).unwrap(), layout());
}

/// The static library, which cargo builds beside this test.
fn library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folders = test.ancestors().skip(1).take(2);
    let candidates = folders.map(|folder| folder.join("libclearlane_capi.a"));
    candidates.into_iter().find(|path| path.exists()).expect("cargo builds the static library with the tests")
}

macro_rules! layout {
    ($text:ident, $name:literal, $type:ty { $($field:ident),* }) => {
        writeln!($text, "size {} {}", $name, size_of::<$type>()).unwrap();
        $(writeln!($text, "field {}.{} {}", $name, stringify!($field), offset_of!($type, $field)).unwrap();)*
    };
}

fn layout() -> String {
    let mut text = String::new();
    layout!(
        text,
        "clearlane_files",
        Files {
            register_path,
            keys_path,
            policy_path,
            models_path,
            detector,
            embedder,
            pad,
            pad_count,
            claim_issuer,
            port,
            lane,
            direction,
            witness_path
        }
    );
    layout!(text, "clearlane_frame", FramePointer { pixels, size, width, height, stride, format });
    layout!(text, "clearlane_evidence", EvidenceItem { matcher, subject, score });
    layout!(
        text,
        "clearlane_decision",
        Decision {
            admitted,
            has_subject,
            subject,
            has_comparison,
            score,
            threshold,
            has_margin,
            margin,
            has_record,
            record,
            total_us,
            json
        }
    );
    text
}
