//! Building one crate reuses what building all has compiled: Cargo compiles a dependency again for each set of features, and
//! tract takes minutes.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Crates that are compiled with tract.
const WITH_TRACT: [&str; 5] = ["clearlane", "clearlane-capi", "clearlane-cli", "clearlane-embed", "clearlane-infer"];

/// Dependencies that are compiled again in moments, with nothing that depends on them but our own crates.
const LIGHT: [&str; 3] = ["crypto-common", "getrandom", "tracing-subscriber"];

/// The sets of features of each dependency.
fn features(of: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "-e", "normal,build", "--prefix", "none", "-f", "{p}|{f}"])
        .args(of)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut features: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        // Between two packages of the workspace there is an empty line.
        let Some((package, set)) = line.trim_end_matches(" (*)").split_once('|') else { continue };
        if !package.starts_with("clearlane") {
            features.entry(package.to_owned()).or_default().insert(set.to_owned());
        }
    }
    features
}

#[test]
fn a_crate_is_built_of_what_the_workspace_has_compiled() {
    let all = features(&["--workspace"]);
    assert!(all.keys().any(|package| package.starts_with("tract-onnx ")));
    for package in WITH_TRACT {
        for (dependency, sets) in features(&["-p", package]) {
            let light = LIGHT.iter().any(|name| dependency.starts_with(&format!("{name} ")));
            assert!(
                light || sets.is_subset(&all[&dependency]),
                "{package}: {dependency} has the features {sets:?}, where the workspace gives it {:?}: \
                 name those in clearlane-features",
                all[&dependency]
            );
        }
    }
}
