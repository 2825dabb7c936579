//! Template protection: the keyed orthogonal transform of a register's templates (renewable references, ISO/IEC 24745).
//!
//! Three rounds, each a permutation, random signs and a Hadamard transform, all drawn from the register's key: the
//! randomised Hadamard construction of Ailon & Chazelle, "The fast Johnson–Lindenstrauss transform" (SIAM J. Comput. 39,
//! 2009), repeated so that any input is spread over all coordinates. Where the dimension is no power of two, the Hadamard
//! transform covers the first and then the last 2^k coordinates, 2^k being the largest power that fits.
//!
//! What it gives: scores within a register stay the same; templates of two registers, or of one register before and after
//! a new key, do not match each other. What it does not give: secrecy from someone who has the key, since the transform
//! is undone as easily as it is done.

use std::fmt;

use clearlane_template::{ModelId, Template};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{Result, StoreError};

const ROUNDS: usize = 3;

/// The transform of one register, key, model and dimension. Cheap to apply: microseconds at 512 values.
pub struct TemplateProtection {
    model: ModelId,
    protected: ModelId,
    dimension: usize,
    rounds: Vec<Round>,
}

struct Round {
    /// Where each coordinate comes from.
    from: Vec<u32>,
    /// The sign that each coordinate gets.
    signs: Vec<f64>,
}

impl TemplateProtection {
    /// `seed` is derived from the register's key for this purpose alone.
    pub(crate) fn new(seed: &[u8; 32], model: ModelId, dimension: usize) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(seed);
        hasher.update(model.as_bytes()).update(&(dimension as u64).to_le_bytes());
        let mut stream = Stream { source: hasher.finalize_xof(), at: 0, buffer: Zeroizing::new([0; 64]) };
        hasher.zeroize();
        let name: [u8; 8] = stream.next_u64().to_le_bytes();
        let rounds = (0..ROUNDS).map(|_| Round::draw(&mut stream, dimension)).collect();
        // The label keeps its first word: registers hold ids that were made with it.
        let protected = ModelId::digest([b"clearlane turned templates".as_slice(), model.as_bytes(), &name]);
        Self { model, protected, dimension, rounds }
    }

    /// The model whose templates it protects.
    #[must_use]
    pub fn model(&self) -> ModelId {
        self.model
    }

    /// The model id that protected templates bear, so that a probe that was not transformed, or was transformed for another
    /// register or an older key, is an error and never a low score.
    #[must_use]
    pub fn protected_model(&self) -> ModelId {
        self.protected
    }

    /// How many values the templates have.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The template, transformed. Scores between transformed templates are those of the templates themselves, within the
    /// rounding of `f32`.
    pub fn apply(&self, template: &Template) -> Result<Template> {
        let mut values = self.checked(template, self.model)?;
        let mut scratch = Zeroizing::new(vec![0.0; self.dimension]);
        for round in &self.rounds {
            for ((to, &from), sign) in scratch.iter_mut().zip(&round.from).zip(&round.signs) {
                *to = values[from as usize] * sign;
            }
            hadamard_forward(&mut scratch);
            std::mem::swap(&mut *values, &mut *scratch);
        }
        rounded(&values, self.protected)
    }

    /// The template that a transformed one was made from, within the rounding of `f32`.
    pub fn undo(&self, protected: &Template) -> Result<Template> {
        let mut values = self.checked(protected, self.protected)?;
        let mut scratch = Zeroizing::new(vec![0.0; self.dimension]);
        for round in self.rounds.iter().rev() {
            hadamard_back(&mut values);
            for ((value, &from), sign) in values.iter().zip(&round.from).zip(&round.signs) {
                scratch[from as usize] = value * sign;
            }
            std::mem::swap(&mut *values, &mut *scratch);
        }
        rounded(&values, self.model)
    }

    fn checked(&self, template: &Template, model: ModelId) -> Result<Zeroizing<Vec<f64>>> {
        if template.model() != model {
            return Err(StoreError::OtherModel { wanted: template.model(), present: vec![model] });
        }
        if template.dimension() != self.dimension {
            let (expected, found) = (self.dimension, template.dimension());
            return Err(StoreError::OtherDimension { model, expected, found });
        }
        Ok(Zeroizing::new(template.as_slice().iter().map(|&value| f64::from(value)).collect()))
    }
}

fn rounded(values: &[f64], model: ModelId) -> Result<Template> {
    Ok(Template::from_unit(model, values.iter().map(|&value| value as f32).collect())?)
}

impl fmt::Debug for TemplateProtection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemplateProtection")
            .field("model", &self.model)
            .field("protected_model", &self.protected)
            .field("dimension", &self.dimension)
            .finish_non_exhaustive()
    }
}

impl Drop for TemplateProtection {
    fn drop(&mut self) {
        for round in &mut self.rounds {
            round.from.zeroize();
            round.signs.zeroize();
        }
    }
}

impl Round {
    fn draw(stream: &mut Stream, dimension: usize) -> Self {
        // Fisher–Yates. A 64-bit number reduced to at most 4096 is uniform within 2^-52.
        let mut from: Vec<u32> = (0..dimension as u32).collect();
        for last in (1..dimension).rev() {
            from.swap(last, (stream.next_u64() % (last as u64 + 1)) as usize);
        }
        let signs = (0..dimension).map(|_| if stream.next_u64() & 1 == 0 { 1.0 } else { -1.0 }).collect();
        Self { from, signs }
    }
}

/// Random numbers from a key.
struct Stream {
    source: blake3::OutputReader,
    at: usize,
    buffer: Zeroizing<[u8; 64]>,
}

impl Stream {
    fn next_u64(&mut self) -> u64 {
        if self.at == 0 {
            self.source.fill(self.buffer.as_mut());
        }
        let mut word = [0; 8];
        word.copy_from_slice(&self.buffer[self.at..self.at + 8]);
        self.at = (self.at + 8) % self.buffer.len();
        u64::from_le_bytes(word)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.source.zeroize();
    }
}

fn hadamard_forward(values: &mut [f64]) {
    let power = largest_power(values.len());
    let rest = values.len() - power;
    hadamard(&mut values[..power]);
    if rest > 0 {
        hadamard(&mut values[rest..]);
    }
}

/// The transform is its own inverse, so the two passes are undone in the other order.
fn hadamard_back(values: &mut [f64]) {
    let power = largest_power(values.len());
    let rest = values.len() - power;
    if rest > 0 {
        hadamard(&mut values[rest..]);
    }
    hadamard(&mut values[..power]);
}

fn largest_power(length: usize) -> usize {
    1 << length.max(1).ilog2()
}

/// The orthonormal Walsh–Hadamard transform, in place, of a slice whose length is a power of two.
fn hadamard(values: &mut [f64]) {
    let mut half = 1;
    while half < values.len() {
        for block in values.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
    let scale = 1.0 / (values.len() as f64).sqrt();
    for value in values {
        *value *= scale;
    }
}
