//! C and C++ programs compile against the installed library and do what gate software does, under `-fsanitize=address` where
//! the compiler has it.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::PathBuf;
use std::process::Command;

use common::build::{Prefix, compilers, here, installed};
use common::port::Port;

const C: [&str; 2] = ["gcc", "clang"];
const CPP: [&str; 2] = ["g++", "clang++"];

/// Runs a program of this crate, compiled by each of the compilers that are installed.
fn run(compilers_of: [&'static str; 2], source: &str, arguments: fn(&Port) -> Vec<PathBuf>) -> Vec<String> {
    let prefix = Prefix::new();
    let each = compilers(&compilers_of).into_iter().map(|compiler| {
        // Programs enrol people and use claims up.
        let port = Port::new();
        Prefix::run(&prefix.compile(compiler, &here().join(source)), &arguments(&port))
    });
    each.collect()
}

fn all_files(port: &Port) -> Vec<PathBuf> {
    port.arguments().map(PathBuf::from).to_vec()
}

fn files_of_four_lanes(port: &Port) -> Vec<PathBuf> {
    [&port.register, &port.keys, &port.policy, &PathBuf::from("shenzhen-bay"), &port.picture]
        .map(PathBuf::from)
        .to_vec()
}

#[test]
fn a_cpp_program_opens_a_port_and_does_everything_that_it_offers() {
    run(CPP, "tests/whole.cpp", all_files);
}

#[test]
fn a_c_program_gets_what_the_header_promises_of_sizes_handles_texts_and_callbacks() {
    run(C, "tests/promises.c", all_files);
}

#[test]
fn a_cpp_program_makes_templates_and_searches_them_without_a_port_and_without_a_thread() {
    let prefix = Prefix::new();
    let document = prefix.path().join("document.dg2");
    let portrait = std::fs::read(here().join("../clearlane-embed/tests/data/portrait.jp2")).unwrap();
    std::fs::write(&document, data_group_2(&portrait)).unwrap();
    let face = |name: &str| here().join(format!("../../datasets/fictional/enrolled/{name}/enrol.jpg"));
    for compiler in compilers(&CPP) {
        let program = prefix.compile(compiler, &here().join("tests/engine.cpp"));
        Prefix::run(&program, &[face("f0000"), face("f0001"), document.clone()]);
    }
}

/// A travel document's data group 2 with one portrait in JPEG 2000 (ICAO Doc 9303-10, ISO/IEC 19794-5:2005).
fn data_group_2(portrait: &[u8]) -> Vec<u8> {
    let object = |tag: &[u8], value: &[u8]| {
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        [tag, &[0x82], &length, value].concat()
    };
    let block = u32::try_from(20 + 12 + portrait.len()).unwrap();
    let mut record = b"FAC\x00010\0".to_vec();
    record.extend((14 + block).to_be_bytes());
    record.extend(1_u16.to_be_bytes());
    record.extend(block.to_be_bytes());
    record.extend([0; 16]);
    // Full frontal, JPEG 2000, 96 x 128.
    record.extend([1, 1, 0, 96, 0, 128, 1, 2, 0, 0, 0, 0]);
    record.extend(portrait);
    let format = object(&[0xA1], &object(&[0x88], &[0x00, 0x08]));
    let template = object(&[0x7F, 0x60], &[format, object(&[0x5F, 0x2E], &record)].concat());
    object(&[0x75], &object(&[0x7F, 0x61], &[object(&[0x02], &[1]), template].concat()))
}

#[test]
fn the_examples_let_the_traveller_pass_in_four_lanes_of_one_port() {
    let outputs = [
        run(C, "examples/four_lanes.c", files_of_four_lanes),
        run(CPP, "examples/four_lanes.cpp", files_of_four_lanes),
    ];
    for output in outputs.concat() {
        let admitted: Vec<_> = output.lines().filter(|line| line.starts_with("admitted {")).collect();
        assert_eq!((admitted.len(), output.lines().count()), (4, 4), "{output}");
    }
}

#[test]
fn pkg_config_and_cmake_find_what_was_installed() {
    let prefix = Prefix::new();
    let example = here().join("examples/four_lanes.c");
    if installed("pkg-config") && installed("gcc") {
        let flags = Command::new("pkg-config")
            .args(["--cflags", "--libs", "clearlane"])
            .env("PKG_CONFIG_PATH", prefix.path().join("lib/pkgconfig"))
            .output()
            .unwrap();
        let flags = String::from_utf8(flags.stdout).unwrap();
        let program = prefix.path().join("by-pkg-config");
        let compiled = Command::new("gcc")
            .arg(&example)
            .args(flags.split_whitespace())
            .arg("-pthread")
            .arg("-o")
            .arg(&program)
            .output()
            .unwrap();
        assert!(compiled.status.success(), "{flags}: {}", String::from_utf8_lossy(&compiled.stderr));
        // Without arguments it says that it lacks them: it found the library and ran.
        let ran = Command::new(&program).env("LD_LIBRARY_PATH", prefix.path().join("lib")).output().unwrap();
        assert_eq!(ran.status.code(), Some(2), "{}", String::from_utf8_lossy(&ran.stderr));
    }
    if installed("cmake") {
        let project = prefix.path().join("project");
        std::fs::create_dir(&project).unwrap();
        let lists = format!(
            "cmake_minimum_required(VERSION 3.13)\nproject(lanes C)\nfind_package(Threads REQUIRED)\n\
             find_package(clearlane REQUIRED)\nadd_executable(lanes \"{}\")\n\
             target_link_libraries(lanes clearlane::clearlane Threads::Threads)\n",
            example.display()
        );
        std::fs::write(project.join("CMakeLists.txt"), lists).unwrap();
        let prefix_path = format!("-DCMAKE_PREFIX_PATH={}", prefix.path().display());
        let build = project.join("build");
        for arguments in [&["-S", ".", "-B", "build", &prefix_path][..], &["--build", "build"]] {
            let made = Command::new("cmake").args(arguments).current_dir(&project).output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        assert_eq!(Command::new(build.join("lanes")).output().unwrap().status.code(), Some(2));
    }
}
