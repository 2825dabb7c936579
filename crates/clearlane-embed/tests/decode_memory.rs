//! What decoding takes in memory is bounded, measured by the operating system: one test, alone in its process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod hostile;

use clearlane_embed::{DecodeLimits, Frame};

#[test]
fn a_colour_profile_that_inflates_to_a_gigabyte_takes_no_gigabyte() {
    let profile = [&b"p\0\0"[..], &hostile::zeros(1 << 30)].concat();
    let picture = hostile::png([8, 8], &hostile::chunk(*b"iCCP", &profile), &hostile::zeros(8 * 25));
    let before = peak_kib();
    // The profile is nothing that a frame needs.
    assert!(Frame::decode(&picture, &DecodeLimits::default()).is_ok());
    let taken = peak_kib() - before;
    assert!(taken < 200 << 10, "{taken} KiB");
}

/// The most memory that this process has held so far.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
