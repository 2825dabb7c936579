//! What scans of all instruction sets share.

use zeroize::Zeroize;

/// Codes in a block.
pub(crate) const BLOCK: usize = 32;

/// Bit planes of a probe that scans one-bit codes. A fourth would take off a thirtieth of the estimate's deviation and add
/// a third to the work.
pub(crate) const PLANES: usize = 3;

/// Bytes of a line of the processor's caches.
pub(super) const LINE: usize = 64;

/// The most that an entry of a probe's tables is: four dimensions, seven each.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const MOST_DIFFERING: usize = 4 * ((1 << PLANES) - 1);

/// Bytes of a code whose entries, two each, add up to what a byte can hold. Codes have whole words, so whole times as many.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) const SUMMED: usize = 4;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const _: () = assert!(SUMMED * 2 * MOST_DIFFERING <= u8::MAX as usize && 8 % SUMMED == 0);

/// The lines of one of a block's groups of codes.
pub(super) fn group_lines(block: &[u8], group: usize, groups: usize) -> impl Iterator<Item = &[u8; LINE]> {
    block.as_chunks::<LINE>().0.iter().skip(group).step_by(groups)
}

/// A code that its block's threshold did not rule out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Survivor {
    /// Its number, from the first scanned block on.
    pub(crate) row: u32,
    /// Its product with the probe.
    pub(crate) product: i32,
}

/// A probe for one-bit codes: odd integers -7, ..., 7 as three planes of signs, Σ 2ᵖ rₚ. The product with a code of signs o
/// is Σ 2ᵖ (dimension - 2 · (the number of dimensions in which rₚ and o differ)).
pub(crate) struct PlaneProbe {
    /// For each 64 dimensions, the planes, lowest first.
    pub(super) words: Vec<[u64; PLANES]>,
    /// For each 8 dimensions, by the lower and by the higher half of a code's byte: how often signs differ in those four
    /// dimensions, planes weighted. At most [`MOST_DIFFERING`].
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    pub(super) tables: Vec<[[u8; 16]; 2]>,
    /// The product where no sign differs.
    most: i32,
}

impl PlaneProbe {
    /// The probe with these levels, 0 to 7 for -7 to 7.
    pub(crate) fn new(levels: &[u8]) -> Self {
        let words = levels.chunks(64).map(|levels| {
            std::array::from_fn(|plane| {
                levels.iter().rev().fold(0, |word, level| word << 1 | u64::from(level >> plane & 1))
            })
        });
        Self {
            words: words.collect(),
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            tables: tables(levels),
            most: levels.len() as i32 * ((1 << PLANES) - 1),
        }
    }

    /// The product with one code, bit after bit in its bytes.
    #[expect(clippy::inline_always, reason = "it is compiled for each instruction set: see `Loops`")]
    #[inline(always)]
    pub(crate) fn product_with(&self, code: &[u8]) -> i32 {
        let words = code.as_chunks::<8>().0.iter().zip(&self.words).map(|(word, planes)| {
            let word = u64::from_le_bytes(*word);
            planes.iter().rev().fold(0, |sum, plane| 2 * sum + (word ^ plane).count_ones())
        });
        self.product(words.sum::<u32>() as i32)
    }

    /// The product of a code whose signs differ so often, planes weighted.
    pub(super) fn product(&self, differing: i32) -> i32 {
        self.most - 2 * differing
    }

    /// How often signs may differ in a code whose product is to reach `threshold`; negative where none can.
    pub(super) fn differing(&self, threshold: i32) -> i32 {
        self.most.saturating_sub(threshold) >> 1
    }

    pub(super) fn block_bytes(&self) -> usize {
        self.words.len() * 8 * BLOCK
    }
}

/// See [`PlaneProbe::tables`]: whole words of codes, the dimensions that are not there differ in nothing.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn tables(levels: &[u8]) -> Vec<[[u8; 16]; 2]> {
    let table = |first: usize| {
        let mut table = [0_u8; 16];
        for (i, &level) in levels.iter().skip(first).take(4).enumerate() {
            // A code's sign agrees with all planes that have the same: the others are what the level lacks, or the level.
            let differing = [level, (1 << PLANES) - 1 - level];
            for (half, sum) in table.iter_mut().enumerate() {
                *sum += differing[half >> i & 1];
            }
        }
        table
    };
    (0..levels.len().div_ceil(64) * 8).map(|byte| [table(8 * byte), table(8 * byte + 4)]).collect()
}

impl Zeroize for PlaneProbe {
    fn zeroize(&mut self) {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        self.tables.zeroize();
        self.words.zeroize();
        self.most = 0;
    }
}

/// A probe for codes of two or four bits: integers -127, ..., 127. The product with a code o = 2 u - (2ᵇ - 1), of levels u,
/// is 2 ⟨r, u⟩ - (2ᵇ - 1) Σ r.
pub(crate) struct LevelProbe {
    /// Four dimensions each, in the order of the fields of a line, padded with zeros to whole lines.
    pub(super) quads: Vec<[i8; 4]>,
    pub(super) bits: u32,
    /// What is taken off.
    offset: i32,
}

impl LevelProbe {
    /// The probe with these values, for codes of `bits` bits a dimension: 2 or 4.
    pub(crate) fn new(values: &[i8], bits: u32) -> Self {
        let fields = (8 / bits) as usize;
        let mut quads = vec![[0; 4]; values.len().div_ceil(4 * fields) * fields];
        for (quad, values) in quads.iter_mut().zip(values.chunks(4)) {
            quad[..values.len()].copy_from_slice(values);
        }
        let sum: i32 = values.iter().map(|value| i32::from(*value)).sum();
        Self { quads, bits, offset: sum * ((1 << bits) - 1) }
    }

    /// The product of a code from ⟨r, u⟩.
    pub(super) fn product(&self, levels: i32) -> i32 {
        2 * levels - self.offset
    }

    /// What ⟨r, u⟩ has to reach for a product to reach `threshold`.
    pub(super) fn levels(&self, threshold: i32) -> i32 {
        // Half, rounded up; no threshold of interest is so large that the addition saturates.
        threshold.saturating_add(self.offset).saturating_add(1) >> 1
    }

    /// How many fields a byte of a code has.
    pub(super) fn fields(&self) -> usize {
        (8 / self.bits) as usize
    }

    pub(super) fn lines(&self) -> usize {
        self.quads.len() / self.fields()
    }

    pub(super) fn block_bytes(&self) -> usize {
        self.lines() * 4 * BLOCK
    }
}

impl Zeroize for LevelProbe {
    fn zeroize(&mut self) {
        self.quads.zeroize();
        self.offset = 0;
    }
}

/// Adds the codes of one block that its mask names.
#[cold]
#[inline(never)]
pub(super) fn push(
    survivors: &mut Vec<Survivor>,
    block: usize,
    mut mask: u32,
    counts: &[i32; BLOCK],
    product: impl Fn(i32) -> i32,
) {
    while mask != 0 {
        let lane = mask.trailing_zeros() as usize;
        mask &= mask - 1;
        survivors.push(Survivor { row: (block * BLOCK + lane) as u32, product: product(counts[lane]) });
    }
}
