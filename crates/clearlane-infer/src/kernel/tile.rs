//! How many pixels a kernel takes at once.

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

/// A run of neighbouring pixels: those of a row, and, where the row ends before the run does, the first of the row below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    /// The run's first pixel; `y` is 0 or 1, of the rows that are cut together.
    pub(crate) y: usize,
    pub(crate) x: usize,
    pub(crate) pixels: usize,
    /// How many of them lie in the first row.
    pub(crate) first: usize,
}

/// The row, 0 or 1, and the place in it of a run's pixel, of which the first `first` lie in the row where it begins.
pub(crate) const fn place(pixel: usize, first: usize) -> (usize, usize) {
    if pixel < first { (0, pixel) } else { (1, pixel - first) }
}

/// Operations, arithmetic or loads, that a step of a tile of this many pixels takes, two of them a cycle, where a block of
/// outputs takes `registers`. A sum waits four cycles for the one before it, and each tile costs a little more.
pub(crate) fn cost(pixels: usize, blocks: usize, registers: usize) -> usize {
    const LATENCY: usize = 2 * 4;
    let arithmetic = pixels * blocks * registers;
    arithmetic.max(pixels + blocks * registers).max(LATENCY) + 2
}

/// Cuts some rows, one or two, into tiles at the least cost, and says what that is. `cost` gives what a tile of so many pixels
/// costs of which so many lie in the first row, `None` where no kernel exists for it.
pub(crate) fn cut(
    width: usize,
    rows: usize,
    cost: impl Fn(usize, usize) -> Option<usize>,
) -> Option<(Vec<Tile>, usize)> {
    let all = rows * width;
    // From each pixel on: the least cost, and the tile that begins there.
    let mut best: Vec<Option<(usize, usize)>> = vec![None; all];
    best.push(Some((0, 0)));
    let tile = |start: usize, pixels: usize| {
        let (y, x) = (start / width, start % width);
        Tile { y, x, pixels, first: pixels.min(width - x) }
    };
    for start in (0..all).rev() {
        let choices = SIZES.iter().filter_map(|&pixels| {
            let rest = (*best.get(start + pixels)?)?.0;
            let tile = tile(start, pixels);
            let one_row_more = pixels - tile.first <= width;
            Some((cost(pixels, tile.first).filter(|_| one_row_more)? + rest, pixels))
        });
        best[start] = choices.min();
    }
    let mut tiles = Vec::new();
    let mut start = 0;
    while start < all {
        let (_, pixels) = best[start]?;
        tiles.push(tile(start, pixels));
        start += pixels;
    }
    Some((tiles, best[0]?.0))
}

/// Cuts a row for kernels that take up to `most` pixels and load as many of them as they compute with.
pub(crate) fn cut_row(width: usize, most: usize) -> Option<Vec<Tile>> {
    const EACH: usize = 3;
    cut(width, 1, |pixels, _| (pixels <= most).then_some(pixels + EACH)).map(|(tiles, _)| tiles)
}
