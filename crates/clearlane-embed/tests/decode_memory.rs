//! What decoding takes in memory is bounded, measured by the operating system: one test, alone in its process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod hostile;
mod memory;

use clearlane_embed::{DecodeLimits, Frame};
use memory::held;

#[test]
fn a_colour_profile_that_inflates_to_a_gigabyte_takes_no_gigabyte() {
    let profile = [&b"p\0\0"[..], &hostile::zeros(1 << 30)].concat();
    let picture = hostile::png([8, 8], &hostile::chunk(*b"iCCP", &profile), &hostile::zeros(8 * 25));
    let before = held("VmHWM").unwrap();
    // The profile is nothing that a frame needs.
    assert!(Frame::decode(&picture, &DecodeLimits::default()).is_ok());
    let taken = held("VmHWM").unwrap() - before;
    assert!(taken < 200 << 20, "{} KiB", taken >> 10);
}
