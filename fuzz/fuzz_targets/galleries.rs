#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| clearlane_fuzz::or_abort("galleries", bytes));
