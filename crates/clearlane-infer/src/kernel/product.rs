//! Products of matrices that lie in flat lists: rows of one list with the columns of a constant or of another list.
//!
//! A tile holds the sums of `P` rows for sixteen columns in registers; every value of those rows passes by once for each such
//! *panel* of columns. A panel is read where it lies; a constant's, and one that is not full, are packed.

use std::borrow::Cow;
use std::ops::Range;

use super::memory::{Arena, Block, View};
use super::set::KernelSet;
use super::vector::{LANES, Vector};
use crate::wiped::Wiped;

/// The extents of a product, for each of `batches` pairs of matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extents {
    pub(crate) batches: usize,
    pub(crate) rows: usize,
    pub(crate) depth: usize,
    pub(crate) columns: usize,
}

/// A constant right-hand side.
pub(crate) struct Weights<'a> {
    /// A row of `columns` values for each of `depth`.
    pub(crate) values: Cow<'a, [f32]>,
    /// Added to each row, a value a column.
    pub(crate) bias: Vec<f32>,
}

/// A product, placed in an arena.
pub(crate) struct Product {
    extents: Extents,
    from: View,
    with: With,
    to: View,
    tallest: usize,
    kernel: fn(usize) -> Option<ProductKernel>,
}

enum With {
    /// Panels, packed one after the other, each with its bias; and a list that is added to the sums.
    Constant {
        panels: Vec<Block>,
        bias: Vec<Block>,
        add: Option<View>,
    },
    List(View),
}

impl Product {
    /// The left-hand side is `from[0]`; `from[1]` is what is added to the product with a constant, or else the right-hand side.
    /// `None` if these are not lists of the extents' lengths.
    pub(crate) fn new(
        kernels: &KernelSet,
        extents: Extents,
        weights: Option<&Weights<'_>>,
        from: &[View],
        to: View,
    ) -> Option<Self> {
        let Extents { batches, rows, depth, columns } = extents;
        let is_list = |view: &View, length: [usize; 3]| {
            view.is_flat() && view.is_float() && view.len() == length.iter().product::<usize>()
        };
        let (first, second) = (*from.first()?, from.get(1).copied());
        let made = [batches, rows, columns];
        let is_whole = [batches, rows, depth, columns].iter().all(|&extent| extent > 0) && from.len() <= 2;
        if !(is_whole && is_list(&first, [batches, rows, depth]) && is_list(&to, made)) {
            return None;
        }
        let with = match (weights, second) {
            (Some(Weights { values, bias }), add) => {
                let fits = values.len() == depth * columns && bias.len() == columns && batches == 1;
                if !(fits && add.is_none_or(|add| is_list(&add, made))) {
                    return None;
                }
                let firsts = (0..columns).step_by(LANES);
                let panels =
                    firsts.flat_map(|first| values.chunks_exact(columns).map(move |row| block(row, first))).collect();
                With::Constant { panels, bias: super::memory::blocks(bias), add }
            }
            (None, Some(second)) if is_list(&second, [batches, depth, columns]) => With::List(second),
            _ => return None,
        };
        let tallest = (1..=kernels.accumulators).rev().find(|&rows| (kernels.product)(rows).is_some())?;
        Some(Self { extents, from: first, with, to, tallest, kernel: kernels.product })
    }

    fn panels(&self) -> usize {
        self.extents.columns.div_ceil(LANES)
    }

    /// The parts that it can be split into: a panel of each batch.
    pub(crate) fn parts(&self) -> usize {
        self.extents.batches * self.panels()
    }

    pub(crate) fn products(&self) -> usize {
        let Extents { batches, rows, depth, columns } = self.extents;
        batches * rows * depth * columns
    }

    /// Computes some of the parts.
    pub(crate) fn run(&self, arena: &Arena, parts: Range<usize>) {
        let Extents { rows, depth, columns, .. } = self.extents;
        for part in parts {
            let (batch, panel) = (part / self.panels(), part % self.panels());
            let first = panel * LANES;
            let zeros = Block::default();
            let mut packed: Wiped<f32>;
            let (weights, weights_step, bias) = match &self.with {
                With::Constant { panels, bias, .. } => (panels[panel * depth..].as_ptr().cast(), LANES, &bias[panel]),
                With::List(view) => {
                    let matrix = &arena.list(view)[batch * depth * columns..(batch + 1) * depth * columns];
                    if first + LANES <= columns {
                        (matrix[first..].as_ptr(), columns, &zeros)
                    } else {
                        packed = Wiped::zeroed(depth * LANES);
                        for (to, row) in packed.chunks_exact_mut(LANES).zip(matrix.chunks_exact(columns)) {
                            to.copy_from_slice(&block(row, first).0);
                        }
                        (packed.as_ptr(), LANES, &zeros)
                    }
                }
            };
            let add = if let With::Constant { add: Some(add), .. } = &self.with {
                arena.at(add.start + first).cast_const()
            } else {
                std::ptr::null()
            };
            let tiles = rows.div_ceil(self.tallest);
            for tile in 0..tiles {
                let (top, below) = (tile * rows / tiles, (tile + 1) * rows / tiles);
                let Some(kernel) = (self.kernel)(below - top) else { continue };
                let row = batch * rows + top;
                let tile = ProductTile {
                    from: arena.at(self.from.start + row * depth).cast_const(),
                    depth,
                    weights,
                    weights_step,
                    bias: bias.0.as_ptr(),
                    add: if add.is_null() { add } else { add.wrapping_add(row * columns) },
                    to: arena.at(self.to.start + row * columns + first),
                    columns,
                    lanes: LANES.min(columns - first),
                };
                // SAFETY: `new` saw that the lists have the extents' lengths, of which the tile is a part, and `packed` outlives
                // it; the kernel exists only where the CPU has its instruction set.
                unsafe { kernel(&tile) };
            }
        }
    }
}

/// Sixteen values of a row, zeros after its end.
fn block(row: &[f32], first: usize) -> Block {
    let values = &row[first..row.len().min(first + LANES)];
    Block(std::array::from_fn(|lane| values.get(lane).copied().unwrap_or(0.0)))
}

/// What one call computes: `P` rows of a panel.
pub(crate) struct ProductTile {
    from: *const f32,
    depth: usize,
    /// The panel: sixteen values for each of `depth`, so many floats apart.
    weights: *const f32,
    weights_step: usize,
    bias: *const f32,
    /// What is added, laid out as `to` is; null where there is nothing.
    add: *const f32,
    to: *mut f32,
    /// Floats from one row of the output to the next.
    columns: usize,
    /// Columns of the panel that the output has.
    lanes: usize,
}

/// A tile's kernel in one instruction set.
pub(crate) type ProductKernel = unsafe fn(&ProductTile);

/// # Safety
///
/// As for [`Vector`]; `from` leads to `P` rows of `depth` floats, `weights` to `depth` panels' rows of sixteen, `bias` to sixteen,
/// `to` and `add` to `lanes` floats in each of `P` rows.
#[inline(always)]
pub(crate) unsafe fn product_tile<V: Vector, const P: usize>(tile: &ProductTile) {
    // SAFETY: the caller gives pointers that reach what is read and written here.
    unsafe {
        let mut sums = [V::load(tile.bias); P];
        let mut weights = tile.weights;
        for at in 0..tile.depth {
            let weight = V::load(weights);
            weights = weights.wrapping_add(tile.weights_step);
            for (row, sum) in sums.iter_mut().enumerate() {
                *sum = weight.mul_add(V::splat_at(tile.from.add(row * tile.depth + at)), *sum);
            }
        }
        for (row, &sum) in sums.iter().enumerate() {
            let (to, add) = (tile.to.add(row * tile.columns), tile.add.wrapping_add(row * tile.columns));
            if tile.lanes == LANES {
                let sum = if tile.add.is_null() { sum } else { sum.add(V::load(add)) };
                sum.store(to);
                continue;
            }
            let mut lanes = [0.0; LANES];
            sum.store(lanes.as_mut_ptr());
            for (lane, value) in lanes[..tile.lanes].iter().enumerate() {
                let add = if tile.add.is_null() { 0.0 } else { *add.add(lane) };
                *to.add(lane) = value + add;
            }
        }
    }
}
