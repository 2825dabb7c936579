//! The shim for NIST's interfaces (`examples/frte`) does what their validation asks, where `CLEARLANE_FRTE_HEADERS` names their
//! headers: a checkout of their repository, or a folder with all four.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::build::{Prefix, here, installed};

/// Each library's name in NIST's files, and its source.
const LIBRARIES: [(&str, &str); 3] = [("1N", "identification"), ("11", "verification"), ("quality", "quality")];

/// Where the headers lie in NIST's repository, and in a folder of their own.
const FOLDERS: [&str; 5] = ["", "common/src/include", "1N/src/include", "11/src/include", "quality/src/include"];

#[test]
fn the_shim_passes_a_validation_like_nists() {
    let Some(headers) = std::env::var_os("CLEARLANE_FRTE_HEADERS").map(PathBuf::from) else {
        println!("skipped: CLEARLANE_FRTE_HEADERS names no folder with NIST's headers");
        return;
    };
    if !installed("g++") {
        return;
    }
    let prefix = Prefix::new();
    let driver = build(&prefix, &headers);
    let (config, work) = (prefix.path().join("config"), prefix.path().join("work"));
    std::fs::create_dir(&config).unwrap();
    std::fs::write(config.join("clearlane.conf"), "mode = certified # the default\nsmallest-face = 0.1\n").unwrap();
    let pictures = here().join("../../datasets/fictional");
    let arguments = |command: &str, numbers: [&str; 2]| -> Vec<PathBuf> {
        let paths = [Path::new(command), &pictures, &config, &work].map(Path::to_owned);
        paths.into_iter().chain(numbers.map(PathBuf::from)).collect()
    };
    let said = Prefix::run(&driver, &arguments("validate", ["6", "2"]));
    println!("{said}");
    assert!(said.ends_with("all as it should be: 6 people, 2 processes, one thread in each\n"), "{said}");
    let said = Prefix::run(&driver, &arguments("search", ["5000", "10"]));
    println!("{said}");
    assert!(said.ends_with("mates that were not first: 0 of 10\n"), "{said}");

    std::fs::write(config.join("clearlane.conf"), "mode = certified\nmood = good\n").unwrap();
    let refused = Command::new(&driver).args(arguments("search", ["10", "1"])).output().unwrap();
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && why.contains("clearlane.conf:2"), "{why}");
}

/// The driver, with the libraries beside the installed one.
fn build(prefix: &Prefix, headers: &Path) -> PathBuf {
    let (sources, lib) = (here().join("../../examples/frte"), prefix.path().join("lib"));
    let compile = |source: &str, output: &Path, more: &[&str]| {
        let mut command = Command::new("g++");
        command.args(["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic"]);
        command.arg("-I").arg(prefix.path().join("include"));
        for folder in FOLDERS {
            command.arg("-isystem").arg(headers.join(folder));
        }
        command.arg(sources.join(source).with_extension("cpp")).arg("-o").arg(output).arg("-L").arg(&lib).args(more);
        command.args(["-lclearlane_capi", "-Wl,-rpath,$ORIGIN:$ORIGIN/lib", "-Wl,--no-undefined"]);
        let compiled = command.output().unwrap();
        assert!(compiled.status.success(), "{source}: {}", String::from_utf8_lossy(&compiled.stderr));
    };
    for (kind, source) in LIBRARIES {
        compile(source, &lib.join(format!("libfrvt_{kind}_clearlane_000.so")), &["-shared", "-fPIC"]);
    }
    let driver = prefix.path().join("driver");
    let linked = LIBRARIES.map(|(kind, _)| format!("-lfrvt_{kind}_clearlane_000"));
    compile("driver", &driver, &linked.each_ref().map(String::as_str));
    driver
}
