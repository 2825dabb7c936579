//! `kill -9` while a backup is restored, and while a register of an earlier version is migrated: each is done whole or not
//! at all, and can be done again.
//!
//! A program of its own, since it runs itself as the process that is killed. `CLEARLANE_KILLS` sets how often, of each
//! (150; with the 200 kills of writers and lanes, in `tests/crashes.rs` and in the tests of `clearlane`, 500 in all).
#![allow(clippy::unwrap_used, unreachable_pub)]

#[path = "faults/ledger.rs"]
mod ledger;
mod support;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use clearlane_store::Register;
use ledger::{Ledger, MAIN, Operation, State, perform, ring};
use support::Random;

/// How many files a child makes before it stops by itself.
const FILES: usize = 64;

fn main() {
    if let Ok(work) = env::var("CLEARLANE_KILLS_CHILD") {
        return child(&work, Path::new(&env::var_os("CLEARLANE_KILLS_FOLDER").unwrap()));
    }
    let folder = tempfile::tempdir().unwrap();
    let (backup, state) = backup(folder.path());
    let stored = [1, 2].map(|version| {
        let path = folder.path().join(version.to_string());
        fs::write(&path, ledger::stored_bytes(version)).unwrap();
        (path, State::stored(version))
    });
    kill("restore", &[(backup, state)]);
    kill("migrate", &stored);
}

/// A backup that takes some milliseconds to restore.
fn backup(folder: &Path) -> (PathBuf, State) {
    let mut register = None;
    let backup = "copy.register";
    for operation in [Operation::Create, Operation::Enrol((10..300).collect()), Operation::Append((1..9).collect())] {
        perform(&mut register, folder, &operation).unwrap();
    }
    perform(&mut register, folder, &Operation::Backup(backup)).unwrap();
    (folder.join(backup), State::read(&register.unwrap()).unwrap())
}

/// Kills children at random moments of their work, and looks at what they leave. They work on each of `sources` in turn,
/// and what they make out of it holds the state that stands with it.
fn kill(work: &str, sources: &[(PathBuf, State)]) {
    let kills: usize = env::var("CLEARLANE_KILLS").map_or(150, |kills| kills.parse().unwrap());
    let mut random = Random(kills as u64);
    let (mut finished, mut whole, mut absent) = (0, 0, 0);
    // Kills come at any moment of the first three pieces of work, however long a piece takes in the child.
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    do_once(work, &sources[0].0, &folder.path().join(MAIN), || ());
    let longest = started.elapsed().as_micros() as u64 + 1;
    for round in 0..kills {
        let (source, state) = &sources[round % sources.len()];
        let expected = || Ledger::new(Some(state.clone()));
        let folder = tempfile::tempdir().unwrap();
        let said = folder.path().join("said");
        let mut process = Command::new(env::current_exe().unwrap())
            .env("CLEARLANE_KILLS_CHILD", work)
            .env("CLEARLANE_KILLS_FOLDER", folder.path())
            .env("CLEARLANE_KILLS_SOURCE", source)
            .stdout(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let before = random.below(3) as usize;
        while !has_begun(&said, before) && process.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_micros(200));
        }
        thread::sleep(Duration::from_micros(random.below(longest)));
        process.kill().unwrap();
        process.wait().unwrap();

        let said = fs::read_to_string(&said).unwrap();
        assert!(!said.is_empty(), "{work}, round {round}: the child did nothing");
        let done = said.lines().filter(|line| *line == "done").count();
        finished += done;
        let begun = said.lines().filter(|line| *line == "begin").count();
        // What was acknowledged is there; what was begun is there whole or not at all, and of a register that is migrated
        // nothing may be lost.
        for number in done.saturating_sub(1)..begun {
            let place = folder.path().join(number.to_string());
            let there = place.join(MAIN).exists();
            if number >= done {
                (whole, absent) = (whole + u32::from(there), absent + u32::from(!there));
            }
            if number < done || there || work == "migrate" {
                expected().verify(&place);
            } else {
                Ledger::new(None).verify(&place);
                do_once(work, source, &place.join(MAIN), || ());
                expected().verify(&place);
            }
        }
    }
    assert!(finished > 0, "no child finished anything");
    println!(
        "test {kills} kills, {work}: {finished} finished and kept, of those cut short {whole} whole and {absent} absent ... ok"
    );
}

/// Whether a child has finished so many pieces of work and begun the next.
fn has_begun(said: &Path, finished: usize) -> bool {
    fs::read_to_string(said).unwrap().matches("begin\n").count() > finished
}

/// Restores or migrates, file after file, and says when each is begun and done.
fn child(work: &str, folder: &Path) {
    let source = PathBuf::from(env::var_os("CLEARLANE_KILLS_SOURCE").unwrap());
    for number in 0..FILES {
        let place = folder.join(number.to_string());
        fs::create_dir(&place).unwrap();
        do_once(work, &source, &place.join(MAIN), || say("begin"));
        say("done");
    }
}

fn do_once(work: &str, source: &Path, main: &Path, begin: impl Fn()) {
    if work == "migrate" {
        fs::copy(source, main).unwrap();
        begin();
        drop(Register::open(main, ring()).unwrap());
    } else {
        begin();
        drop(Register::restore(source, main, ring(), |_, _| ()).unwrap());
    }
}

fn say(word: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{word}").and_then(|()| out.flush()).unwrap();
}
