//! The fuzz target of the C ABI on stable Rust: its corpus, `fuzz/corpus/c_abi`, and sequences that are drawn, always the same ones.
#![allow(clippy::unwrap_used)]

mod sequences;

use std::path::Path;

#[test]
fn calls_in_any_order_with_any_handles_answer_as_the_header_says() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/c_abi");
    let mut files: Vec<_> = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        sequences::c_abi(&std::fs::read(file).unwrap());
    }
    // xorshift64* (Vigna, 2016).
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut byte = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    };
    let wanted = std::env::var("CLEARLANE_MUTATIONS").map_or(1, |times| times.parse().unwrap());
    for _ in 0..3000 * wanted {
        let bytes: Vec<u8> = (0..500).map(|_| byte()).collect();
        sequences::c_abi(&bytes);
    }
}
