//! Mutates the corpus of a target for as long as is wanted, without libFuzzer:
//! `cargo run --release -p clearlane-fuzz --example run -- TARGET SECONDS [SEED]`.
//!
//! Nothing guides it, so it finds less for each execution; a panic ends it, and its input is written to `TARGET-failure`.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::{Duration, Instant};

use clearlane_fuzz::{Random, check, mutate, target};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, seconds, rest @ ..] = &arguments[..] else { panic!("expected TARGET SECONDS [SEED]") };
    let target = target(name).unwrap_or_else(|| panic!("no target {name}"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(name);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let files: Vec<_> = files.into_iter().map(|path| std::fs::read(path).unwrap()).collect();
    let mut random = Random(rest.first().map_or(1, |seed| seed.parse().unwrap()));
    let (begun, wanted) = (Instant::now(), Duration::from_secs(seconds.parse().unwrap()));
    let (mut done, mut longest) = (0_u64, Duration::ZERO);
    while begun.elapsed() < wanted {
        let (seed, other) = (&files[random.below(files.len())], &files[random.below(files.len())]);
        let bytes = mutate(seed, other, target.pieces, &mut random);
        let start = Instant::now();
        if let Err(failure) = check(target, &bytes) {
            std::fs::write(format!("{name}-failure"), &bytes).unwrap();
            eprintln!("{name}, execution {done}: {failure}");
            std::process::exit(1);
        }
        if start.elapsed() > longest {
            longest = start.elapsed();
            std::fs::write(std::env::temp_dir().join(format!("{name}-slowest")), &bytes).unwrap();
        }
        done += 1;
    }
    println!("{name}: {done} executions in {:.0?}, the longest {longest:.2?}", begun.elapsed());
}
