//! Every kernel against the portable one, and the portable one against arithmetic in the open.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use half::f16;
use proptest::prelude::*;

use super::{AppendBuffer, RowCount, Step};
use super::{BLOCK, Kernel, LevelProbe, PLANES, PlaneProbe, RowSlice, Survivor};
use crate::codes::Layout;

/// Numbers that look random and are the same in every run.
fn noise(seed: u64) -> impl Iterator<Item = u64> {
    (0..).map(move |step| {
        let i = seed.wrapping_add(step);
        let z = (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (i >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z ^ (z >> 29)
    })
}

fn others() -> Vec<Kernel> {
    Kernel::available().into_iter().filter(|kernel| kernel.name() != "portable").collect()
}

fn portable() -> Kernel {
    Kernel::by_name("portable").unwrap()
}

fn scores(kernel: Kernel, probe: &[f32], rows: RowSlice<'_>, count: usize) -> Vec<u32> {
    let mut scores = vec![0.0; count];
    kernel.score_rows(probe, rows, &mut scores);
    scores.into_iter().map(|score| (score + 0.0).to_bits()).collect()
}

fn check_scores(dimension: usize, count: usize, seed: u64) {
    let mut values = noise(seed).map(|z| (z >> 40) as f32 / (1 << 23) as f32 - 1.0);
    let probe: Vec<f32> = values.by_ref().take(dimension).collect();
    let single: Vec<f32> = values.take(dimension * count).collect();
    let half: Vec<f16> = single.iter().map(|x| f16::from_f32(*x)).collect();
    let bytes: Vec<i8> = single.iter().map(|x| (x * 127.0) as i8).collect();
    for rows in [RowSlice::F32(&single), RowSlice::F16(&half), RowSlice::I8(&bytes)] {
        let expected = scores(portable(), &probe, rows, count);
        for kernel in others() {
            assert_eq!(scores(kernel, &probe, rows, count), expected, "{kernel} at {dimension}");
        }
    }
    let exact: f64 = probe.iter().zip(&single).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    let found = f32::from_bits(scores(portable(), &probe, RowSlice::F32(&single), count)[0]);
    assert!((exact - f64::from(found)).abs() < 1e-4 * (dimension as f64).sqrt());
}

/// Blocks of random codes, with their levels.
fn blocks(layout: Layout, dimension: usize, count: usize, seed: u64) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut random = noise(seed);
    let mut bytes = vec![0; count * layout.block_bytes()];
    let codes = (0..count * BLOCK)
        .map(|row| {
            let levels: Vec<u8> =
                random.by_ref().take(dimension).map(|z| (z >> 20) as u8 & ((1 << layout.bits()) - 1)).collect();
            layout.pack(&levels, row % BLOCK, &mut bytes[row / BLOCK * layout.block_bytes()..][..layout.block_bytes()]);
            levels
        })
        .collect();
    (bytes, codes)
}

fn check_scan(dimension: usize, bits: u32, count: usize, seed: u64) {
    let layout = |kernel| Layout::new(dimension, bits, kernel);
    let (_, codes) = blocks(layout(portable()), dimension, count, seed);
    let top = (1 << bits) - 1;
    let mut random = noise(!seed);
    let levels: Vec<u8> = random.by_ref().take(dimension).map(|z| (z >> 30) as u8 & ((1 << PLANES) - 1)).collect();
    let values: Vec<i8> =
        random.take(dimension).map(|z| ((z >> 30) % 255) as i8 as i16 as i8).map(|v| v.max(-127)).collect();
    let integers: Vec<i32> = if bits == 1 {
        levels.iter().map(|level| 2 * i32::from(*level) - ((1 << PLANES) - 1)).collect()
    } else {
        values.iter().map(|value| i32::from(*value)).collect()
    };
    let product = |code: &Vec<u8>| -> i32 {
        code.iter().zip(&integers).map(|(level, value)| (2 * i32::from(*level) - top) * value).sum()
    };
    let products: Vec<i32> = codes.iter().map(product).collect();
    let scan = |kernel: Kernel, thresholds: &[i32]| {
        let (bytes, _) = blocks(layout(kernel), dimension, count, seed);
        let mut survivors = Vec::new();
        if bits == 1 {
            kernel.scan_planes(&PlaneProbe::new(&levels), &bytes, thresholds, &mut survivors);
        } else {
            kernel.scan_levels(&LevelProbe::new(&values, bits), &bytes, thresholds, &mut survivors);
        }
        survivors
    };
    // Thresholds that all, some and none reach, those that are just reached among them.
    let by_block = |pick: &dyn Fn(&[i32]) -> i32| products.chunks(BLOCK).map(pick).collect::<Vec<_>>();
    let cases = [
        vec![i32::MIN; count],
        by_block(&|block| block[7]),
        by_block(&|block| block[7] + 1),
        by_block(&|block| *block.iter().max().unwrap()),
        by_block(&|block| *block.iter().max().unwrap() + 1),
        vec![i32::MAX; count],
    ];
    for thresholds in cases {
        let expected: Vec<_> = (0..)
            .zip(&products)
            .filter(|(row, product)| **product >= thresholds[*row as usize / BLOCK])
            .map(|(row, product)| Survivor { row, product: *product })
            .collect();
        for kernel in Kernel::available() {
            assert_eq!(scan(kernel, &thresholds), expected, "{kernel}, {bits} bits at {dimension}");
        }
    }
}

#[test]
fn neon_is_available_on_64_bit_arm_and_only_there() {
    assert_eq!(Kernel::by_name("neon").is_some(), cfg!(target_arch = "aarch64"));
}

/// Miri, which interprets, would take hours for all dimensions and cases.
const STEP: usize = if cfg!(miri) { 103 } else { 1 };
const CASES: u32 = if cfg!(miri) { 2 } else { 64 };

#[test]
fn every_kernel_gives_the_portable_scores_bit_for_bit_at_every_dimension() {
    for dimension in (1..=1040).step_by(STEP) {
        check_scores(dimension, 3, dimension as u64);
    }
}

#[test]
fn every_kernel_finds_the_survivors_of_plain_arithmetic_at_every_dimension() {
    let dimensions = (1..=130).chain((131..1040).step_by(13)).chain([192, 256, 320, 512, 1024, 4096]);
    for dimension in dimensions.step_by(STEP) {
        for bits in [1, 2, 4] {
            check_scan(dimension, bits, 2, dimension as u64);
        }
    }
}

#[test]
fn what_an_unwound_writer_left_is_never_read_and_is_written_over() {
    let count = Arc::new(RowCount::default());
    let rows = AppendBuffer::<u32>::with_capacity(&count, Step::Row(2), 100).unwrap();
    let blocks = AppendBuffer::<u8>::with_capacity(&count, Step::Block(1), 100).unwrap();
    let mut appending = count.append();
    rows.write(&mut appending, 0, 0..80);
    blocks.write(&mut appending, 0, [1]);
    assert_eq!(rows.as_slice().len(), 0);
    appending.publish(40);
    assert_eq!((rows.as_slice().to_vec(), blocks.as_slice()), ((0..80).collect(), [1].as_slice()));
    let broken = (0..20).map(|i| if i == 13 { resume_unwind(Box::new(())) } else { 7000 + i });
    assert!(catch_unwind(AssertUnwindSafe(|| rows.write(&mut count.append(), 40, broken))).is_err());
    assert_eq!(rows.as_slice().len(), 80);
    let mut appending = count.append();
    rows.write_slice(&mut appending, 40, &(80..160).collect::<Vec<_>>());
    blocks.write(&mut appending, 1, [2]);
    appending.publish(80);
    assert_eq!((rows.as_slice().to_vec(), blocks.as_slice()), ((0..160).collect(), [1, 2].as_slice()));
}

#[test]
fn published_rows_cannot_be_written_again_nor_with_another_segments_lock() {
    let (count, other) = (Arc::new(RowCount::default()), Arc::new(RowCount::default()));
    let rows = AppendBuffer::<u8>::with_capacity(&count, Step::Row(1), 100).unwrap();
    rows.write(&mut count.append(), 0, 0..50);
    count.append().publish(50);
    for first in [0, 49, 51] {
        assert!(catch_unwind(AssertUnwindSafe(|| rows.write(&mut count.append(), first, [9]))).is_err());
    }
    assert!(catch_unwind(AssertUnwindSafe(|| rows.write_slice(&mut other.append(), 50, &[9]))).is_err());
    assert_eq!(rows.as_slice(), (0..50).collect::<Vec<_>>());
}

#[test]
fn a_buffer_is_wiped_with_what_an_unwound_writer_left() {
    let count = Arc::new(RowCount::default());
    let mut rows = AppendBuffer::<u64>::with_capacity(&count, Step::Row(1), 1000).unwrap();
    rows.write(&mut count.append(), 0, 1..=100);
    count.append().publish(100);
    let broken = (0..300).map(|i| if i == 200 { resume_unwind(Box::new(())) } else { !i });
    assert!(catch_unwind(AssertUnwindSafe(|| rows.write(&mut count.append(), 100, broken))).is_err());
    // SAFETY: the buffer has room for 1000 values, zero where it was never written, and nobody writes now.
    let all = |rows: &AppendBuffer<u64>| unsafe { std::slice::from_raw_parts(rows.base(), 1000) }.to_vec();
    assert_eq!(all(&rows).iter().filter(|value| **value != 0).count(), 300);
    rows.wipe();
    assert_eq!(all(&rows), [0; 1000]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_kernel_agrees_on_any_number_of_rows(dimension in 1_usize..300, count in 1_usize..40, seed: u64) {
        check_scores(dimension, count, seed >> 8);
    }

    #[test]
    fn every_kernel_agrees_on_any_number_of_blocks(dimension in 1_usize..300, count in 0_usize..6, bits in 0_u32..3, seed: u64) {
        check_scan(dimension, 1 << bits, count, seed >> 8);
    }
}
