//! The bound that always holds, against the pairs of a row and a probe that come closest to breaking it.
//!
//! A row, stored in each precision, fills one block. In the plane of the rotated row and its code, the probe lies on the other
//! side of the row than the code: no probe with the same score has a smaller product with the code. The threshold is the
//! score of the pair, as the search computes it, so the row has to survive. Products are integers, from the scan.

use clearlane_template::{ModelId, SubjectId, TemplateId};

use super::quantise::nearest;
use super::refinement::BITS;
use super::{BLOCK, Bound, CodedProbe, Contract, Layout, Rotation};
use crate::gallery::{Owner, Segment, Shape};
use crate::kernel::{Kernel, Survivor};
use crate::{GalleryBuilder, Precision};

const NORMS: [f64; 3] = [0.999_950_1, 1.0, 1.000_049_9];
const COSINES: [f64; 12] = [0.002, 0.05, 0.2, 0.35, 0.5, 0.6, 0.8, 0.9, 0.97, 0.995, 0.9999, 1.0];

/// A small generator, the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let z = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (z >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    fn vector(&mut self, dimension: usize, norm: f64) -> Vec<f64> {
        // Sums of three, so that directions are spread well enough.
        let vector: Vec<f64> = (0..dimension).map(|_| self.next() + self.next() + self.next()).collect();
        scaled(&vector, norm)
    }
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn scaled(vector: &[f64], norm: f64) -> Vec<f64> {
    let factor = norm / product(vector, vector).sqrt().max(1e-300);
    vector.iter().map(|x| x * factor).collect()
}

fn single(vector: &[f64]) -> Vec<f32> {
    vector.iter().map(|x| *x as f32).collect()
}

fn double(vector: &[f32]) -> Vec<f64> {
    vector.iter().map(|x| f64::from(*x)).collect()
}

fn rotate(rotation: &Rotation, vector: &[f32]) -> Vec<f32> {
    let mut rotated = vector.to_vec();
    rotation.apply::<1>(rotated.as_chunks_mut().0);
    rotated
}

/// The probe of this norm that a rotation maps to the direction of a vector.
fn rotated_back(rotation: &Rotation, vector: &[f64], norm: f64) -> Vec<f32> {
    let mut probe = single(&scaled(vector, 1.0));
    rotation.undo(&mut probe);
    single(&scaled(&double(&probe), norm))
}

/// The nearest direction to that of a vector that the bytes of a probe have no error in: what rounding the probe may add is
/// then no part of the bound, and the rest is held against the product to a unit.
fn on_lattice(vector: &[f64]) -> Vec<f64> {
    let largest = vector.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
    vector.iter().map(|x| (x * 127.0 / largest).round()).collect()
}

fn shape(dimension: usize, precision: Precision, bits: u32, seed: u64) -> Shape {
    Shape {
        rotation: Rotation::of_seed(dimension, seed),
        sketch: Layout::new(dimension, bits, Kernel::best()),
        fine: None,
        certified: true,
        ..GalleryBuilder::new(ModelId::from_bytes([1; 32]), dimension).precision(precision).shape().unwrap()
    }
}

/// Checks one row against probes on the far side of it, and says how many pairs that were.
fn check(shape: &Shape, row: &[f32]) -> usize {
    let (dimension, layout, rotation) = (shape.dimension, shape.sketch, &shape.rotation);
    let owner = Owner { subject: SubjectId(0), template: TemplateId(0) };
    let segment = Segment::with_capacity(shape, 1, BLOCK).unwrap();
    segment.write(shape, 0, &[owner; BLOCK], std::iter::repeat_n(row, BLOCK));
    segment.publish(BLOCK);

    let mut stored = vec![0.0; dimension];
    segment.memory().read(0, &mut stored);
    let rotated = rotate(rotation, &stored);
    let bits = if layout.is_refined() { BITS } else { layout.bits() };
    let mut levels = vec![0; dimension];
    let _ = nearest(rotated.as_chunks::<1>().0, bits, levels.as_chunks_mut().0);
    let top = f64::from((1 << bits) - 1);
    let code: Vec<f64> = levels.iter().map(|level| 2.0 * f64::from(*level) - top).collect();
    let rotated = double(&rotated);
    let parallel = product(&rotated, &code) / product(&rotated, &rotated);
    let perpendicular: Vec<f64> = code.iter().zip(&rotated).map(|(o, x)| o - parallel * x).collect();
    // A code in its row's direction has no perpendicular part.
    let flat = product(&perpendicular, &perpendicular) < 1e-18 * product(&code, &code);
    let (ahead, aside) = (scaled(&rotated, 1.0), scaled(&perpendicular, if flat { 0.0 } else { 1.0 }));

    let mut pairs = 0;
    for cosine in COSINES {
        let sine = (1.0 - cosine * cosine).sqrt();
        let far: Vec<f64> = ahead.iter().zip(&aside).map(|(x, o)| cosine * x - sine * o).collect();
        for direction in [on_lattice(&far), far] {
            for norm in NORMS {
                pairs += usize::from(survives(shape, &segment, &rotated_back(rotation, &direction, norm)));
            }
        }
    }
    pairs
}

/// That a segment's only row survives a search for a probe that scores as it does. `false` where the bound says nothing.
fn survives(shape: &Shape, segment: &Segment, probe: &[f32]) -> bool {
    let kernel = Kernel::best();
    let codes = segment.codes(shape.sketch);
    let mut score = [0.0];
    segment.memory().score(kernel, probe, 0, &mut score);
    let coded = CodedProbe::new(probe, shape.sketch, &shape.rotation);
    let Some(thresholds) = Bound::new(&coded, Contract::Always).at(score[0]) else { return false };
    let mut survivors = Vec::new();
    coded.scan(kernel, codes.bytes(0..1), &[i32::MIN], &mut survivors);
    let mut row = [Survivor { row: 0, ..survivors[0] }];
    let at =
        || format!("{} dimensions, {:?}, {:?}, score {}", shape.dimension, shape.sketch, shape.precision, score[0]);
    let of_block = thresholds.of_block(&codes.block_factors(0..1)[0]);
    assert!(of_block <= row[0].product, "{of_block} > {} of the block: {}", row[0].product, at());
    if let Some(refinement) = codes.refinement() {
        refinement.refine(kernel, &coded, &mut row);
    }
    let of_row = thresholds.of_row(codes.row_factors(0));
    assert!(of_row <= row[0].product, "{of_row} > {} of the row: {}", row[0].product, at());
    true
}

#[test]
fn no_certified_bound_lies_above_the_product_of_the_worst_aligned_pair_at_any_dimension() {
    let mut random = Random(1);
    let mut pairs = 0;
    for dimension in (1..=70).chain([96, 127, 128, 200, 256, 384, 512, 1000, 2048, 4096]) {
        let (rows, seeds) = match dimension {
            ..=4 => (60, 3),
            5..=70 => (6, 1),
            _ => (3, 1),
        };
        for seed in 0..seeds {
            for precision in [Precision::F32, Precision::F16, Precision::I8] {
                for bits in [1, 2, 4] {
                    let shape = shape(dimension, precision, bits, seed);
                    for i in 0..rows {
                        pairs += check(&shape, &single(&random.vector(dimension, NORMS[i % NORMS.len()])));
                    }
                }
            }
        }
    }
    assert!(pairs > 500_000, "{pairs}");
}
