//! Memory that core dumps leave out.

use clearlane_simd::{HUGE_PAGE, Pages};

const SIZES: [usize; 9] = [0, 1, 100, 4096, 5000, 1 << 20, HUGE_PAGE - 1, HUGE_PAGE, 2 * HUGE_PAGE + HUGE_PAGE / 2 + 1];

/// Both kinds of pages.
fn both(bytes: usize) -> [Pages; 2] {
    [Pages::new(bytes), Pages::huge(bytes)].map(|pages| pages.expect("the system has so much memory"))
}

#[test]
fn pages_hold_what_was_asked_for_and_zeros_at_first() {
    for size in SIZES {
        for pages in both(size) {
            assert!(pages.size() >= size);
            // SAFETY: the pages are `size` bytes at least, which nobody else uses.
            let bytes = unsafe { std::slice::from_raw_parts(pages.base().as_ptr().cast_const(), size) };
            assert!(bytes.iter().all(|byte| *byte == 0), "{size}");
        }
    }
}

#[test]
fn pages_begin_at_a_page_and_large_ones_at_a_huge_page() {
    for size in SIZES {
        for pages in both(size) {
            assert!(pages.base().addr().get().is_multiple_of(4096));
        }
        let pages = Pages::huge(size).expect("the system has so much memory");
        assert!(size < HUGE_PAGE || pages.base().addr().get().is_multiple_of(HUGE_PAGE), "{size}");
    }
}

#[test]
fn a_wipe_zeroes_as_many_bytes_as_it_says() {
    let mut pages = Pages::new(10_000).expect("the system has so much memory");
    // SAFETY: the pages are 10,000 bytes at least, which nobody else uses.
    unsafe { pages.base().as_ptr().write_bytes(7, 10_000) };
    pages.wipe(6_000);
    // SAFETY: as above; all of them were written.
    let bytes = unsafe { std::slice::from_raw_parts(pages.base().as_ptr().cast_const(), 10_000) };
    assert!(bytes[..6_000].iter().all(|byte| *byte == 0) && bytes[6_000..].iter().all(|byte| *byte == 7));
}

#[test]
fn more_than_the_address_space_is_refused() {
    for bytes in [usize::MAX, usize::MAX - 4096, 1 << 62] {
        assert!(Pages::new(bytes).is_none() && Pages::huge(bytes).is_none(), "{bytes}");
    }
}

/// Whether a core dump holds the mapping that an address lies in, as the system describes it.
#[cfg(target_os = "linux")]
fn is_dumped(address: usize) -> bool {
    let maps = std::fs::read_to_string("/proc/self/smaps").expect("Linux tells a process about its memory");
    let mut inside = false;
    for line in maps.lines() {
        let range = line.split_whitespace().next().and_then(|range| range.split_once('-'));
        let number = |text| usize::from_str_radix(text, 16).ok();
        if let Some((start, end)) = range.and_then(|(start, end)| Some((number(start)?, number(end)?))) {
            inside = (start..end).contains(&address);
        } else if inside && let Some(flags) = line.strip_prefix("VmFlags:") {
            return !flags.split_whitespace().any(|flag| flag == "dd");
        }
    }
    panic!("{address:x} is mapped nowhere");
}

#[cfg(target_os = "linux")]
#[test]
fn pages_of_every_size_are_kept_out_of_core_dumps() {
    for size in SIZES {
        for pages in both(size) {
            for at in [0, size / 2, size.saturating_sub(1)] {
                let address = pages.base().as_ptr().wrapping_add(at);
                assert!(!is_dumped(address.addr()), "byte {at} of {size}");
            }
        }
    }
    let other = [1_u8; 64];
    assert!(is_dumped(other.as_ptr().addr()), "other memory is dumped");
}
