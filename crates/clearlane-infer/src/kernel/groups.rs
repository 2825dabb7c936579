//! The output blocks of a dense convolution that are computed together, and the tiles that their rows are cut into.

use std::ops::Range;

use super::tile;

/// Weights of more bytes than this do not stay in a core's own cache from one row to the next.
const CACHED_WEIGHTS: usize = 768 << 10;

/// Output blocks that are computed together, by kernels of type `K`.
pub(crate) struct Group<K> {
    pub(crate) first: usize,
    pub(crate) blocks: usize,
    /// A row, cut into tiles.
    row: Tiles<K>,
    /// Two rows, where they take less time together: their width is no multiple of what the registers hold.
    two_rows: Option<Tiles<K>>,
}

/// Where tiles begin, as y and x, and their kernels.
type Tiles<K> = Vec<([usize; 2], K)>;

/// All groups of one convolution.
pub(crate) struct Groups<K>(Vec<Group<K>>);

impl<K: Copy> Groups<K> {
    /// Cuts `planes` output blocks and their rows so that tiles fit in `accumulators` sums of `registers` each; `kernel` gives
    /// the kernel for a number of blocks, of pixels, and of those of them that lie in the first row.
    pub(crate) fn new(
        planes: usize,
        width: usize,
        accumulators: usize,
        registers: usize,
        kernel: impl Fn(usize, usize, usize) -> Option<K>,
    ) -> Option<Self> {
        let group = |Range { start, end }: Range<usize>| {
            let blocks = end - start;
            let cut = |rows: usize| {
                let cost = |pixels: usize, first: usize| {
                    kernel(blocks, pixels, first).map(|_| tile::cost(pixels, blocks, registers))
                };
                let (tiles, cost) = tile::cut(width, rows, cost)?;
                let tiles = tiles.iter().map(|tile| Some(([tile.y, tile.x], kernel(blocks, tile.pixels, tile.first)?)));
                Some((tiles.collect::<Option<Tiles<K>>>()?, cost))
            };
            let (row, cost) = cut(1)?;
            let two_rows = cut(2).filter(|(_, of_two)| *of_two < 2 * cost).map(|(tiles, _)| tiles);
            Some(Group { first: start, blocks, row, two_rows })
        };
        tile::groups(planes, accumulators).into_iter().map(group).collect::<Option<_>>().map(Self)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The output blocks of each group.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        self.0.iter().map(|group| group.first..group.first + group.blocks)
    }

    /// The output planes of some groups.
    pub(crate) fn planes(&self, groups: Range<usize>) -> Range<usize> {
        let groups = &self.0[groups];
        groups.first().map_or(0, |group| group.first)..groups.last().map_or(0, |group| group.first + group.blocks)
    }

    /// Calls `tile` with each tile of some rows of some groups: the group, the tile's first pixel as y and x, its kernel.
    /// `weights` is how many bytes the weights of all groups take.
    pub(crate) fn walk(
        &self,
        rows: Range<usize>,
        groups: Range<usize>,
        weights: usize,
        tile: impl Fn(&Group<K>, usize, usize, K),
    ) {
        let groups = &self.0[groups];
        if weights > CACHED_WEIGHTS {
            // A group's weights are read from far away once, and serve all rows.
            for group in groups {
                group.walk(rows.clone(), &tile);
            }
        } else {
            for first in rows.clone().step_by(2) {
                for group in groups {
                    group.walk(first..rows.end.min(first + 2), &tile);
                }
            }
        }
    }
}

impl<K: Copy> Group<K> {
    fn walk(&self, mut rows: Range<usize>, tile: impl Fn(&Self, usize, usize, K)) {
        while let Some(y) = rows.next() {
            let tiles = match &self.two_rows {
                Some(tiles) if !rows.is_empty() => {
                    rows.next();
                    tiles
                }
                _ => &self.row,
            };
            for &([below, x], kernel) in tiles {
                tile(self, y + below, x, kernel);
            }
        }
    }
}
