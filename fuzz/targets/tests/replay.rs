//! Every target on stable Rust, with every file of its corpus and some mutations of each: always the same ones.
//!
//! `CLEARLANE_MUTATIONS=50` makes fifty times as many.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clearlane_fuzz::{ELSEWHERE, Random, TARGETS, Target, check, mutate};

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files of a target's corpus, by name.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(fuzz().join("corpus").join(name))
        .unwrap_or_else(|error| panic!("{name} has no corpus: {error}"))
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{name} has an empty corpus");
    files
}

/// An input that fails is left where somebody can take it into the corpus.
fn run(target: &Target, what: &str, bytes: &[u8]) {
    if let Err(failure) = check(target, bytes) {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-failure", target.name));
        fs::write(&kept, bytes).unwrap();
        // Not a panic: the watch for panics writes none down.
        eprintln!("{}, {what}: {failure}\nthe input is in {}", target.name, kept.display());
        std::process::exit(1);
    }
}

#[test]
fn every_file_of_every_corpus_and_its_mutations_are_survived() {
    let times: usize = std::env::var("CLEARLANE_MUTATIONS").map_or(1, |times| times.parse().unwrap());
    for target in &TARGETS {
        let begun = std::time::Instant::now();
        let files = corpus(target.name);
        for (name, bytes) in &files {
            run(target, name, bytes);
        }
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for round in 0..target.mutations * times {
            let (name, seed) = &files[round % files.len()];
            let other = &files[random.below(files.len())].1;
            let bytes = mutate(seed, other, target.pieces, &mut random);
            run(target, &format!("mutation {round}, of {name}"), &bytes);
        }
        println!(
            "{}: {} files, {} mutations, {:.1?}",
            target.name,
            files.len(),
            target.mutations * times,
            begun.elapsed()
        );
    }
}

#[test]
fn every_target_has_a_wrapper_for_libfuzzer_and_every_wrapper_and_corpus_a_target() {
    let targets: BTreeSet<String> =
        TARGETS.iter().map(|target| target.name).chain(ELSEWHERE).map(str::to_owned).collect();
    assert_eq!(targets.len(), TARGETS.len() + ELSEWHERE.len(), "two targets of one name");
    let names = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(fuzz().join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names("fuzz_targets"), targets);
    assert_eq!(names("corpus"), targets);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in &targets {
        let path = format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n");
        assert!(manifest.contains(&path), "fuzz/Cargo.toml names no binary {name}");
        assert!(!corpus(name).is_empty());
    }
}

#[test]
fn corpora_are_small() {
    let mut all = 0;
    for name in TARGETS.iter().map(|target| target.name).chain(ELSEWHERE) {
        for (file, bytes) in corpus(name) {
            assert!(bytes.len() <= 1 << 17, "{name}/{file} has {} bytes", bytes.len());
            all += bytes.len();
        }
    }
    assert!(all <= 1_000_000, "all corpora together have {all} bytes");
}
