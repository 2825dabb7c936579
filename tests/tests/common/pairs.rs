//! Pairs of fictional people's pictures, as a data set has them.

use std::fs;
use std::path::Path;

use assert_cmd::Command;

use super::{clearlane, fictional, file};

pub(crate) const PEOPLE: [&str; 4] = ["f0000", "f0001", "f0003", "f0004"];

/// A person, and the number of a picture of theirs.
pub(crate) type Named = (&'static str, usize);

/// A picture of a person, by its place in their folder of a data set.
pub(crate) fn picture(person: &str, number: usize) -> Vec<u8> {
    let name = ["enrol", "plain-1", "plain-2"][number - 1];
    fs::read(fictional(&format!("enrolled/{person}/{name}.jpg"))).unwrap()
}

/// Mated pairs of everybody's first two pictures, and non-mated pairs of neighbours: person, number, person, number.
pub(crate) fn pairs() -> Vec<(Named, Named)> {
    let mated = PEOPLE.map(|person| ((person, 1), (person, 2)));
    let non_mated = (0..4).map(|at| ((PEOPLE[at], 1), (PEOPLE[(at + 1) % 4], 2)));
    mated.into_iter().chain(non_mated).collect()
}

/// The pictures of all pairs as `PERSON/PERSON_0001.jpg` below `folder`.
pub(crate) fn faces(folder: &Path) {
    for person in PEOPLE {
        for number in [1, 2] {
            file(folder, &format!("{person}/{person}_{number:04}.jpg"), &picture(person, number));
        }
    }
}

pub(crate) fn path((person, number): (&str, usize)) -> String {
    format!("{person}/{person}_{number:04}.jpg")
}

pub(crate) fn labelled() -> String {
    pairs()
        .into_iter()
        .map(|(left, right)| format!("{} {} {}\n", u8::from(left.0 == right.0), path(left), path(right)))
        .collect::<Vec<_>>()
        .concat()
}

pub(crate) fn eval(words: &[&str], paths: &[&Path]) -> Command {
    let mut command = clearlane();
    command.arg("eval").args(words).args(paths);
    command
}
