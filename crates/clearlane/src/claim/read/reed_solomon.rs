//! Reed-Solomon codes over GF(2⁸) with the field and the generators of ISO/IEC 18004 (7.5.2, annex A).

/// x⁸ + x⁴ + x³ + x² + 1.
const FIELD: u16 = 0b1_0001_1101;

/// The powers of 2, twice over so that sums of two logarithms need no reduction, and the logarithms.
const TABLES: ([u8; 512], [u8; 256]) = {
    let (mut powers, mut logarithms) = ([0; 512], [0; 256]);
    let (mut value, mut exponent) = (1_u16, 0);
    while exponent < 255 {
        powers[exponent] = value as u8;
        powers[exponent + 255] = value as u8;
        logarithms[value as usize] = exponent as u8;
        value <<= 1;
        if value > 255 {
            value ^= FIELD;
        }
        exponent += 1;
    }
    (powers, logarithms)
};

/// 2 to a power.
fn power(exponent: usize) -> u8 {
    TABLES.0[exponent % 255]
}

fn logarithm(value: u8) -> usize {
    TABLES.1[value as usize].into()
}

fn product(a: u8, b: u8) -> u8 {
    if a == 0 || b == 0 { 0 } else { TABLES.0[logarithm(a) + logarithm(b)] }
}

/// `b` is not 0.
fn quotient(a: u8, b: u8) -> u8 {
    if a == 0 { 0 } else { TABLES.0[logarithm(a) + 255 - logarithm(b)] }
}

/// The value of a polynomial, its constant term first.
fn value(polynomial: &[u8], at: u8) -> u8 {
    polynomial.iter().rev().fold(0, |sum, &term| product(sum, at) ^ term)
}

/// Corrects a block of at most 255 codewords, the last `correction` of them its code; `None` where it is too damaged.
pub(super) fn correct(block: &mut [u8], correction: usize) -> Option<()> {
    let syndromes = syndromes(block, correction);
    if syndromes.iter().all(|&syndrome| syndrome == 0) {
        return Some(());
    }
    let locator = locator(&syndromes);
    let errors = locator.len() - 1;
    if 2 * errors > correction {
        return None;
    }
    // The errors' values, by Forney's formula: evaluator over the derivative of the locator.
    let evaluator: Vec<u8> = (0..correction)
        .map(|index| (0..=index.min(errors)).fold(0, |sum, i| sum ^ product(locator[i], syndromes[index - i])))
        .collect();
    let derivative: Vec<u8> = (1..=errors).map(|index| if index % 2 == 1 { locator[index] } else { 0 }).collect();
    let mut found = 0;
    let length = block.len();
    for (position, codeword) in block.iter_mut().enumerate() {
        let exponent = length - 1 - position;
        let inverse = power(255 - exponent);
        if value(&locator, inverse) != 0 {
            continue;
        }
        let slope = value(&derivative, inverse);
        if slope == 0 {
            return None;
        }
        // The first root of the generator is 2⁰, so that the quotient is multiplied by the location.
        *codeword ^= product(power(exponent), quotient(value(&evaluator, inverse), slope));
        found += 1;
    }
    (found == errors && self::syndromes(block, correction).iter().all(|&syndrome| syndrome == 0)).then_some(())
}

fn syndromes(block: &[u8], correction: usize) -> Vec<u8> {
    (0..correction).map(|root| block.iter().fold(0, |sum, &codeword| product(sum, power(root)) ^ codeword)).collect()
}

/// The polynomial whose roots are the inverse locations of the errors (Berlekamp and Massey), without leading zeros.
fn locator(syndromes: &[u8]) -> Vec<u8> {
    let size = syndromes.len() + 1;
    let (mut locator, mut before) = (vec![0; size], vec![0; size]);
    (locator[0], before[0]) = (1, 1);
    let (mut errors, mut shift, mut last) = (0, 1, 1);
    for (index, &syndrome) in syndromes.iter().enumerate() {
        let discrepancy = (1..=errors).fold(syndrome, |sum, i| sum ^ product(locator[i], syndromes[index - i]));
        if discrepancy == 0 {
            shift += 1;
            continue;
        }
        let factor = quotient(discrepancy, last);
        let unchanged = locator.clone();
        for i in shift..size {
            locator[i] ^= product(factor, before[i - shift]);
        }
        if 2 * errors <= index {
            (errors, before, last, shift) = (index + 1 - errors, unchanged, discrepancy, 1);
        } else {
            shift += 1;
        }
    }
    let length = locator.iter().rposition(|&term| term != 0).map_or(1, |degree| degree + 1);
    locator.truncate(length);
    locator
}
