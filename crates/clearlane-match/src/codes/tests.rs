//! Encoding by every kernel, against plain arithmetic.

use std::sync::Arc;

use super::{BLOCK, Codes, EncodedBlock, Encoding, Factors, Fit, INTERLEAVED, Layout, Rotation, quantise};
use crate::kernel::{Kernel, RowCount};

/// Unit vectors that look random and are the same in every run.
fn unit_vectors(dimension: usize, count: usize) -> Vec<Vec<f32>> {
    let mut state = dimension as u64;
    let mut value = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count)
        .map(|_| {
            let vector: Vec<f32> = (0..dimension).map(|_| value()).collect();
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            vector.iter().map(|x| x / length).collect()
        })
        .collect()
}

fn all_layouts(dimension: usize, kernel: Kernel) -> Vec<Codes> {
    let count = Arc::new(RowCount::default());
    [1, 2, 4].map(|bits| Codes::with_capacity(Layout::new(dimension, bits, kernel), &count, BLOCK).unwrap()).into()
}

fn encode(kernel: Kernel, codes: &[Codes], rotation: &Rotation, vectors: &[Vec<f32>]) -> Vec<EncodedBlock> {
    let all: Vec<&Codes> = codes.iter().collect();
    let read = |row: usize, vector: &mut [f32]| vector.copy_from_slice(&vectors[row]);
    kernel.vectorise(Encoding { all: &all, block: 0, rotation, read: &read })
}

fn bits_of(block: &EncodedBlock) -> (Vec<u8>, Vec<u8>, Vec<[u32; 2]>) {
    let factors = block.scanned.iter().chain(&block.refined.1);
    let factors = factors.map(|factors| [factors.parallel.to_bits(), factors.perpendicular.to_bits()]).collect();
    (block.bytes.clone(), block.refined.0.clone(), factors)
}

#[test]
fn every_kernel_encodes_alike_bit_for_bit() {
    for dimension in (1..=70).chain([96, 127, 128, 192, 256, 500, 512, 1000, 1024]) {
        let (rotation, vectors) = (Rotation::of_seed(dimension, 7), unit_vectors(dimension, BLOCK));
        let codes = all_layouts(dimension, Kernel::best());
        let of = |kernel| encode(kernel, &codes, &rotation, &vectors).iter().map(bits_of).collect::<Vec<_>>();
        let portable = of(Kernel::by_name("portable").unwrap());
        for kernel in Kernel::available() {
            assert_eq!(of(kernel), portable, "{kernel} at {dimension}");
        }
    }
}

#[test]
fn a_row_is_encoded_interleaved_as_it_is_alone() {
    for dimension in [1, 7, 64, 100, 128, 333, 512] {
        let (rotation, vectors) = (Rotation::of_seed(dimension, 7), unit_vectors(dimension, BLOCK));
        let encoded = encode(Kernel::best(), &all_layouts(dimension, Kernel::best()), &rotation, &vectors);
        for (bits, block) in [2, 4].into_iter().zip(&encoded[1..]) {
            let layout = Layout::new(dimension, bits, Kernel::best());
            let mut bytes = vec![0; layout.block_bytes()];
            for (lane, vector) in vectors.iter().enumerate() {
                let (mut rotated, mut levels) = (vector.clone(), vec![0; dimension]);
                rotation.apply::<1>(rotated.as_chunks_mut().0);
                let [fit] = quantise::nearest(rotated.as_chunks::<1>().0, bits, levels.as_chunks_mut().0);
                assert_eq!(Factors::new(fit).parallel.to_bits(), block.scanned[lane].parallel.to_bits());
                layout.pack(&levels, lane, &mut bytes);
            }
            assert_eq!(bytes, block.bytes, "{bits} bits at {dimension}");
        }
    }
}

#[test]
fn factors_are_those_of_the_vector_and_its_code_in_plain_arithmetic_and_on_the_safe_side() {
    for (dimension, bits) in [(1, 1), (1, 4), (2, 2), (64, 1), (100, 2), (128, 3), (512, 4)] {
        for (vector, norm) in
            unit_vectors(dimension, INTERLEAVED).into_iter().zip([0.99995, 1.0, 1.0005].iter().cycle())
        {
            let vector: Vec<f32> = vector.iter().map(|x| x * norm).collect();
            let mut levels = vec![0; dimension];
            let [fit] = quantise::nearest(vector.as_chunks::<1>().0, bits, levels.as_chunks_mut().0);
            let factors = Factors::new(fit);
            let top = f64::from((1 << bits) - 1);
            let code: Vec<f64> = levels.iter().map(|level| 2.0 * f64::from(*level) - top).collect();
            let product: f64 = vector.iter().zip(&code).map(|(x, o)| f64::from(*x) * o).sum();
            let parallel = product / vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
            let perpendicular: Vec<f64> = vector.iter().zip(&code).map(|(x, o)| o - parallel * f64::from(*x)).collect();
            let perpendicular = perpendicular.iter().map(|x| x * x).sum::<f64>().sqrt();
            let length = code.iter().map(|o| o * o).sum::<f64>().sqrt();
            assert!(
                (0.0..1e-6 * parallel).contains(&(parallel - f64::from(factors.parallel))),
                "{factors:?} {parallel}"
            );
            assert!(
                (-1e-12..1e-5 * length).contains(&(f64::from(factors.perpendicular) - perpendicular)),
                "{factors:?} {perpendicular}"
            );
            assert!((0.0..2e-3 * length).contains(&(f64::from(factors.length()) - length)), "{factors:?} {length}");
            // A code of more bits lies closer to its vector.
            let cosine = product / length / f64::from(*norm);
            assert!(dimension < 64 || cosine > [0.7, 0.9, 0.96, 0.99][bits as usize - 1], "{bits} bits: {cosine}");
        }
    }
}

#[test]
fn a_row_that_is_longer_than_the_bound_reckons_with_is_never_ruled_out() {
    let long = [[Factors::NORM * 1.0001_f32]; 8];
    let [fit] = Fit::of(&long.map(|[x]| [x / 8.0_f32.sqrt()]), std::iter::repeat_n([15.0], 8));
    let factors = Factors::new(fit);
    let rotation = Rotation::of_seed(8, 1);
    let probe = super::CodedProbe::new(&[8.0_f32.sqrt().recip(); 8], Layout::new(8, 4, Kernel::best()), &rotation);
    for contract in [super::Contract::Always, super::Contract::with_miss(0.4)] {
        for threshold in [0.01, 0.5, 1.0] {
            assert_eq!(super::Bound::new(&probe, contract).at(threshold).unwrap().of_row(factors), i32::MIN);
        }
    }
}

#[test]
fn rotations_are_drawn_anew_unless_their_seed_is_given() {
    let rotated = |rotation: &Rotation| {
        let mut vector = [[1.0_f32]; 64];
        rotation.apply(&mut vector);
        vector
    };
    assert_ne!(rotated(&Rotation::random(64).unwrap()), rotated(&Rotation::random(64).unwrap()));
    assert_eq!(rotated(&Rotation::of_seed(64, 9)), rotated(&Rotation::of_seed(64, 9)));
}

#[test]
fn a_rotation_keeps_every_product() {
    for dimension in [1, 3, 64, 100, 512, 1000] {
        let rotation = Rotation::of_seed(dimension, 3);
        let vectors = unit_vectors(dimension, 2);
        let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let mut rotated = vectors.clone();
        for vector in &mut rotated {
            rotation.apply::<1>(vector.as_chunks_mut().0);
        }
        for (a, b) in [(0, 0), (0, 1)] {
            assert!((product(&vectors[a], &vectors[b]) - product(&rotated[a], &rotated[b])).abs() < 1e-5);
        }
        assert!(dimension < 64 || product(&vectors[0], &rotated[0]).abs() < 0.5);
    }
}
