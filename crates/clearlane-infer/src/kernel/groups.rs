//! The output blocks of a dense convolution that are computed together, and the tiles that their rows are cut into.

use std::ops::Range;
use std::sync::Arc;

use super::tile;

/// Weights of more bytes than this do not stay in a core's own cache from one row to the next.
const CACHED_WEIGHTS: usize = 768 << 10;

/// Output blocks that are computed together, by kernels of type `K`.
pub(crate) struct Group<K> {
    pub(crate) first: usize,
    pub(crate) blocks: usize,
    rows: Arc<Rows<K>>,
}

/// How rows are cut into tiles.
struct Rows<K> {
    one: Tiles<K>,
    /// Two rows, where they take less time together: their width is no multiple of what the registers hold.
    two: Option<Tiles<K>>,
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
        let mut groups: Vec<Group<K>> = Vec::new();
        for Range { start, end } in tile::groups(planes, accumulators) {
            let blocks = end - start;
            let rows = match groups.iter().find(|group| group.blocks == blocks) {
                Some(alike) => alike.rows.clone(),
                None => Arc::new(Rows::cut(blocks, width, registers, &kernel)?),
            };
            groups.push(Group { first: start, blocks, rows });
        }
        Some(Self(groups))
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

impl<K: Copy> Rows<K> {
    fn cut(
        blocks: usize,
        width: usize,
        registers: usize,
        kernel: &impl Fn(usize, usize, usize) -> Option<K>,
    ) -> Option<Self> {
        let cut = |rows: usize| {
            let cost = |pixels: usize, first: usize| {
                kernel(blocks, pixels, first).map(|_| tile::cost(pixels, blocks, registers))
            };
            let (tiles, cost) = tile::cut(width, rows, cost)?;
            let tiles = tiles.iter().map(|tile| Some(([tile.y, tile.x], kernel(blocks, tile.pixels, tile.first)?)));
            Some((tiles.collect::<Option<Tiles<K>>>()?, cost))
        };
        let (one, cost) = cut(1)?;
        let two = cut(2).filter(|(_, of_two)| *of_two < 2 * cost).map(|(tiles, _)| tiles);
        Some(Self { one, two })
    }
}

impl<K: Copy> Group<K> {
    fn walk(&self, mut rows: Range<usize>, tile: impl Fn(&Self, usize, usize, K)) {
        while let Some(y) = rows.next() {
            let tiles = match &self.rows.two {
                Some(tiles) if !rows.is_empty() => {
                    rows.next();
                    tiles
                }
                _ => &self.rows.one,
            };
            for &([below, x], kernel) in tiles {
                tile(self, y + below, x, kernel);
            }
        }
    }
}
