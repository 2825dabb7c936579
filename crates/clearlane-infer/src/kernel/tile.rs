//! How many pixels of a row a kernel takes at once.

use std::ops::Range;

/// The numbers of pixels that kernels exist for.
pub(crate) const SIZES: [usize; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14];

/// The numbers of output blocks that dense kernels exist for.
const GROUPS: [usize; 3] = [1, 2, 3];

/// Cuts `planes` output blocks into groups that are computed together: pairs, and three at the end where one would
/// stand alone; single blocks where the registers are few.
pub(crate) fn groups(planes: usize, accumulators: usize) -> Vec<Range<usize>> {
    let [single, pair, triple] = GROUPS;
    let mut groups = Vec::new();
    let mut first = 0;
    while first < planes {
        let blocks = match planes - first {
            _ if accumulators < 4 * triple => single,
            1 => single,
            3 => triple,
            _ => pair,
        };
        groups.push(first..first + blocks);
        first += blocks;
    }
    groups
}

/// A run of neighbouring pixels in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) x: usize,
    pub(crate) pixels: usize,
}

/// Cuts a row into tiles so that `blocks` output blocks of each fit in `accumulators` registers, at the least cost: a
/// step of a tile takes two operations a cycle, arithmetic or loads, and each tile costs a little more.
pub(crate) fn cut(width: usize, blocks: usize, accumulators: usize) -> Vec<Tile> {
    let fits = || SIZES.iter().copied().filter(|&size| size * blocks <= accumulators.max(blocks));
    let cost = |size: usize| (size * blocks).max(size + blocks) + 2;
    let mut best: Vec<(usize, usize)> = vec![(0, 0)];
    for done in 1..=width {
        let choice = fits().filter(|&size| size <= done).map(|size| (best[done - size].0 + cost(size), size)).min();
        best.push(choice.unwrap_or((usize::MAX, 1)));
    }
    let mut tiles = Vec::new();
    let mut x = 0;
    while x < width {
        let pixels = best[width - x].1;
        tiles.push(Tile { x, pixels });
        x += pixels;
    }
    tiles
}
