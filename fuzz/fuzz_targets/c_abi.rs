#![no_main]

#[path = "../../crates/clearlane-capi/tests/sequences/mod.rs"]
mod sequences;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sequences::c_abi(bytes));
