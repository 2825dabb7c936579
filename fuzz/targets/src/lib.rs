//! Fuzz targets: functions that take any bytes, give them to a part of the product, and fail only where the product does.
//!
//! Each runs in two ways. libFuzzer calls it through a wrapper in `fuzz/fuzz_targets`; `tests/replay.rs` calls it on stable Rust with
//! every file of its corpus and some mutations of each. A target is a line of [`TARGETS`]: a test fails until it has a wrapper and a
//! corpus.
//!
//! A target asks for more than "no panic": what one function gives must fit what another says, and where there are two ways to an
//! answer they must agree.
#![forbid(unsafe_code)]
// A failed expectation is what a target reports.
#![allow(clippy::missing_panics_doc, clippy::unwrap_used)]

mod checked;
mod claims;
mod data_sets;
mod exchange;
mod frames;
mod galleries;
mod graphs;
mod models;
mod mutate;
mod onnx;
mod pictures;
mod registers;
mod steer;
mod texts;

pub use checked::{check, or_abort};
pub use claims::example_claims;
pub use mutate::{Random, mutate};
pub use steer::Steer;

/// A function that takes any bytes, and what a mutator should know of it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its corpus and of its wrapper.
    pub name: &'static str,
    /// Takes any bytes; panics where the product is wrong.
    pub run: fn(&[u8]),
    /// What occurs in its inputs, and what breaks those who read them.
    pub pieces: &'static [&'static [u8]],
    /// How many mutations the tests try; the slower a target, the fewer.
    pub mutations: usize,
    /// MiB that a run may hold at once, beside what was held before: no header may ask for more than limits allow.
    pub memory: usize,
}

/// All targets of this crate.
pub const TARGETS: [Target; 16] = [
    Target { name: "claim_pictures", run: claims::claim_pictures, pieces: NUMBERS, mutations: 100, memory: 16 },
    Target { name: "claim_texts", run: claims::claim_texts, pieces: claims::PIECES, mutations: 20000, memory: 16 },
    Target { name: "csv", run: exchange::csv, pieces: exchange::CSV, mutations: 150, memory: 16 },
    Target { name: "data_sets", run: data_sets::data_sets, pieces: data_sets::PIECES, mutations: 20000, memory: 16 },
    Target {
        name: "enrolment_lists",
        run: exchange::enrolment_lists,
        pieces: exchange::CSV,
        mutations: 5000,
        memory: 16,
    },
    Target { name: "frames", run: frames::frames, pieces: NUMBERS, mutations: 1500, memory: 64 },
    Target { name: "galleries", run: galleries::galleries, pieces: NUMBERS, mutations: 300, memory: 16 },
    Target { name: "graphs", run: graphs::graphs, pieces: NUMBERS, mutations: 250, memory: 64 },
    Target { name: "json_lines", run: exchange::json_lines, pieces: exchange::JSON, mutations: 150, memory: 16 },
    Target { name: "manifests", run: texts::manifests, pieces: texts::TOML, mutations: 5000, memory: 16 },
    Target { name: "onnx", run: onnx::onnx, pieces: NUMBERS, mutations: 1000, memory: 64 },
    Target { name: "pictures", run: pictures::pictures, pieces: pictures::PIECES, mutations: 6000, memory: 16 },
    Target { name: "policies", run: texts::policies, pieces: texts::TOML, mutations: 5000, memory: 16 },
    Target { name: "portraits", run: pictures::portraits, pieces: pictures::PIECES, mutations: 6000, memory: 16 },
    Target { name: "registers", run: registers::registers, pieces: NUMBERS, mutations: 60, memory: 16 },
    Target { name: "words", run: texts::words, pieces: texts::WORDS, mutations: 20000, memory: 16 },
];

/// Targets whose functions are elsewhere, since they need `unsafe`: the tests of `clearlane-capi` replay this one.
pub const ELSEWHERE: [&str; 1] = ["c_abi"];

/// Numbers at which lengths and sums overflow.
const NUMBERS: &[&[u8]] = &[
    b"\0",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff\xff",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x80",
    b"\x7f\xff\xff\xff",
    b"\0\0\x80\x3f",
    b"\0\0\xc0\x7f",
    b"\0\0\x80\x7f",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x80\x80\x80\x80\x10",
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
